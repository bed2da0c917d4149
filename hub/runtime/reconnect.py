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
_STANDS = 0.5
"""seconds after which a connection serves: a database that lets in and takes nothing is not back"""


async def keep(name: str, session: Callable[[Callable[[], None]], Awaitable[None]]) -> NoReturn:
    """Run `session` for ever. It is given `connected`, to be called once its connection stands, and ends by raising LinkDown
    (or Conflict, where it was chosen as the one to give way: what it did is rolled back and due again).

    `name` is the loop's name in the log. Any other error is a mistake of ours and goes up.
    """
    failures = 0
    loop = asyncio.get_running_loop()
    standing: asyncio.TimerHandle | None = None

    def stands() -> None:
        nonlocal failures
        if failures > 0:
            _log.info("database_back", loop=name, failures=failures)
        failures = 0

    def connected() -> None:
        nonlocal standing
        standing = loop.call_later(_STANDS, stands)

    while True:
        try:
            await apart(session(connected))
        except (LinkDown, Conflict) as error:
            failures += 1
            if failures == 1:
                _log.warning("database_gone", loop=name, reason=str(error))
        finally:
            if standing is not None:
                standing.cancel()
        ceiling = min(_LONGEST, _FIRST * 2 ** min(failures, 10))
        await asyncio.sleep(random.uniform(0.05, ceiling))
