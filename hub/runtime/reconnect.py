"""A loop over a database connection that comes back by itself: quick first, then later and later with full jitter, logged once each way.

Which loops of this process do not go round is known here (`standing_still`), for /readyz and so for whoever watches from outside: one that hangs or
falls again and again must not look like one that has nothing to do.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

import structlog

from hub.core.backoff import full_jitter
from hub.errors import ODD, Conflict, LinkDown
from hub.logs import broken_at
from hub.runtime.apart import apart

_log = structlog.get_logger(__name__)

_FIRST, _LEAST = 0.5, 0.05
_LONGEST = 2.0
"""where a page may wait for the loop; what has time gives its own"""
_STANDS = 0.5
"""seconds after which a connection serves: a database that lets in and takes nothing is not back"""
AWAY = 60.0
"""seconds without a connection that serves after which a loop is said to stand still; one that takes its time between two tries has some tries"""
FALLS = 300.0
"""seconds for which a loop may fall over what it reads before it ends the process after all, loudly"""


@dataclass
class _Turning:
    """One loop of this process."""

    name: str
    within: float | None
    seen: float
    """when it said that it goes round, monotonic seconds"""
    patience: float
    """seconds for which it may be away"""
    away: float | None = None
    """since when no connection of its has served, None while one does"""
    broken: float | None = None
    """since when it falls over what it reads"""

    def stands_still(self, now: float) -> bool:
        """Whether it is away, or in one round, for too long."""
        if self.away is not None and now - self.away > self.patience:
            return True
        return self.within is not None and now - self.seen > self.within


_loops: list[_Turning] = []


def standing_still() -> list[str]:
    """The loops of this process that do not go round, by name."""
    now = time.monotonic()
    return sorted({one.name for one in _loops if one.stands_still(now)})


async def keep(
    name: str,
    session: Callable[[Callable[[], None]], Awaitable[None]],
    longest: float = _LONGEST,
    *,
    within: float | None = None,
) -> NoReturn:
    """Run `session` for ever. It is given `connected`, to be called when its connection stands, and ends by raising LinkDown
    (or Conflict, where it was chosen as the one to give way: what it did is rolled back and due again).

    `name` is the loop's name in the log, `longest` the seconds between two tries at most. `within`: the session calls `connected` again with each
    round, and a round never lasts so many seconds. What a row makes of it that nobody foresaw (`ODD`) is said, and tried again for `FALLS` seconds: a
    process that such a row ended would fall over it again with each start, and page nobody in between. Then, and for any other error, it goes up.
    """
    failures = 0
    loop = asyncio.get_running_loop()
    standing: asyncio.TimerHandle | None = None
    turning = _Turning(name, within, time.monotonic(), AWAY + 4 * longest)

    def stands() -> None:
        nonlocal failures, standing
        if failures > 0:
            _log.info("database_back", loop=name, failures=failures)
        failures, standing = 0, None
        turning.away = turning.broken = None

    def connected() -> None:
        nonlocal standing
        turning.seen = time.monotonic()
        if standing is None and (failures > 0 or turning.away is not None):
            standing = loop.call_later(_STANDS, stands)

    _loops.append(turning)
    try:
        while True:
            try:
                await apart(session(connected))
            except (LinkDown, Conflict) as error:
                failures += 1
                if failures == 1:
                    _log.warning("database_gone", loop=name, reason=str(error))
            except ODD as error:
                failures += 1
                now = time.monotonic()
                turning.broken = now if turning.broken is None else turning.broken
                say = _log.error if failures == 1 else _log.debug
                say("loop_broke", loop=name, at=broken_at(error))
                if now - turning.broken > FALLS:
                    raise
            finally:
                if standing is not None:
                    standing.cancel()
                    standing = None
            if turning.away is None:
                turning.away = time.monotonic()
            await asyncio.sleep(max(_LEAST, full_jitter(failures, _FIRST, longest, random.random())))
    finally:
        _loops.remove(turning)
