"""The loop that proves recordings: once an hour it rolls the last days' readings up and says anew how far back pictures reach.

It must not know what is enough (hub.core.recordings) nor how it is stored (hub.store.recordings). After a start, and once a day, it looks two
weeks back: a spool may have brought late what a recorder said then.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import NoReturn

import structlog

from hub.core.recordings import FloorOf, whole_window
from hub.core.rota import local_day
from hub.model import Micros
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.store.recordings import Roller, open_roller

EVERY_SECONDS = 3600.0
FIRST_SECONDS = 15.0
"""After a start the first looks come soon, each after twice the time of the one before: what was just commissioned is not unknown for an hour."""
BATCH = 50
"""Institutions rolled up in one transaction."""
BACK_DAYS, FAR_BACK_DAYS = 1, 14
PAUSE_SECONDS = 0.02
"""Between two batches, so that a run takes at most a part of the database from ingest."""
MAX_BACKOFF_SECONDS = 300.0
_log = structlog.get_logger(__name__)


def _now() -> Micros:
    return time.time_ns() // 1000


async def run(
    database_url: str,
    profiles: Mapping[str, Profile],
    *,
    floor_of: FloorOf = whole_window,
    every_seconds: float = EVERY_SECONDS,
    clock: Callable[[], Micros] = _now,
) -> NoReturn:
    """Until cancelled. A lost database is waited for; of two processes that run this one does the work."""
    looked_far: date | None = None

    async def session(connected: Callable[[], None]) -> None:
        nonlocal looked_far
        async with open_roller(database_url, profiles) as roller:
            pause = min(FIRST_SECONDS, every_seconds)
            while True:
                at = clock()
                if await roller.is_alone():
                    back = BACK_DAYS if looked_far == local_day(at) else FAR_BACK_DAYS
                    rolled = await roll(roller, at, back, floor_of)
                    looked_far = local_day(at)
                    _log.info("recordings.rolled", batches=rolled, days=back + 1)
                connected()
                await asyncio.sleep(pause)
                pause = min(every_seconds, 2 * pause)

    await keep("recording-days", session, MAX_BACKOFF_SECONDS)


async def roll(
    roller: Roller, at: Micros, back_days: int, floor_of: FloorOf = whole_window, *, batch: int = BATCH
) -> int:
    """Roll today and so many days before it up, of every institution; how many batches of them there were."""
    days: list[date] = [local_day(at) - timedelta(days=n) for n in range(back_days, -1, -1)]
    after, batches = -1, 0
    while (last := await roller.roll(after, batch, days, at, floor_of)) is not None:
        after, batches = last, batches + 1
        await asyncio.sleep(PAUSE_SECONDS)
    return batches
