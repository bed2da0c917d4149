"""A loop over a database connection that comes back by itself: quick first, then later and later with full jitter, logged once each way."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from hub.core.backoff import full_jitter
from hub.errors import Conflict, LinkDown
from hub.runtime.apart import apart

_log = structlog.get_logger(__name__)

_FIRST, _LEAST = 0.5, 0.05
_LONGEST = 2.0
"""where a page may wait for the loop; what has time gives its own"""
_STANDS = 0.5
"""seconds after which a connection serves: a database that lets in and takes nothing is not back"""


async def keep(
    name: str, session: Callable[[Callable[[], None]], Awaitable[None]], longest: float = _LONGEST
) -> NoReturn:
    """Run `session` for ever. It is given `connected`, to be called when its connection stands, and ends by raising LinkDown
    (or Conflict, where it was chosen as the one to give way: what it did is rolled back and due again).

    `name` is the loop's name in the log, `longest` the seconds between two tries at most. Any other error is a mistake of ours and goes up.
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
        await asyncio.sleep(max(_LEAST, full_jitter(failures, _FIRST, longest, random.random())))
