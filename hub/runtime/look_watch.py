"""The loop that keeps what devices and recordings look like: every ten minutes it looks at all institutions, and writes down what is new.

Their boards read it where a past is chosen (dashboards/asof.py); it decides nothing.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn, get_args

from hub.model import Micros, to_datetime
from hub.runtime.reconnect import keep
from hub.store.looks import Looks, What, open_looks

EVERY_SECONDS = 600.0
KEPT = timedelta(days=400)
_AT_ONCE = 200
"""institutions looked at in one statement"""
PAUSE_SECONDS = 0.05
"""Between two statements, so that a round takes at most a part of the processor from what is urgent."""
MAX_BACKOFF_SECONDS = 300.0


def _now() -> Micros:
    return time.time_ns() // 1000


async def run(
    database_url: str, *, every_seconds: float = EVERY_SECONDS, clock: Callable[[], Micros] = _now
) -> NoReturn:
    """Until cancelled. A lost database is waited for; of two processes that run this one does the work."""

    async def session(connected: Callable[[], None]) -> None:
        async with open_looks(database_url) as looks:
            while True:
                if await looks.is_alone():
                    await look_at_all(looks, clock)
                connected()
                await asyncio.sleep(every_seconds)

    await keep("look-watch", session, MAX_BACKOFF_SECONDS)


async def look_at_all(looks: Looks, clock: Callable[[], Micros]) -> int:
    """Look at every institution once, each part at its own time; how many there are."""
    keys = await looks.institutions()
    for n in range(0, len(keys), _AT_ONCE):
        for what in get_args(What):
            await looks.look(what, keys[n : n + _AT_ONCE], to_datetime(clock()))
            await asyncio.sleep(PAUSE_SECONDS)
    for what in get_args(What):
        await looks.forget(what, to_datetime(clock()) - KEPT)
    return len(keys)
