"""A loop over a database connection that comes back by itself: quick first, then up to 2 s with full jitter, logged once each way."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from hub.errors import Conflict, LinkDown
from hub.runtime.apart import apart

_log = structlog.get_logger(__name__)

_FIRST = 0.25
_LONGEST = 2.0


async def keep(name: str, session: Callable[[Callable[[], None]], Awaitable[None]]) -> NoReturn:
    """Run `session` for ever. It is given `connected`, to be called once its connection stands, and ends by raising LinkDown
    (or Conflict, where it was chosen as the one to give way: what it did is rolled back and due again).

    `name` is the loop's name in the log. Any other error is a mistake of ours and goes up.
    """
    failures = 0

    def connected() -> None:
        nonlocal failures
        if failures > 0:
            _log.info("database_back", loop=name, failures=failures)
        failures = 0

    while True:
        try:
            await apart(session(connected))
        except (LinkDown, Conflict) as error:
            failures += 1
            if failures == 1:
                _log.warning("database_gone", loop=name, reason=str(error))
        ceiling = min(_LONGEST, _FIRST * 2 ** min(failures, 10))
        await asyncio.sleep(random.uniform(0.05, ceiling))
