"""The loop that keeps the database from growing for ever: once an hour, in small bounded batches, said once a run.

It must not know what an institution is obliged to keep beyond `Retention`: alarms, pages and their receipts, findings and the audit log are
never touched here (three years at least).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import structlog

from hub.runtime.reconnect import keep
from hub.store.housekeeping import Keeper, open_keeper

EVERY_SECONDS = 3600.0
BATCH = 2000
"""Rows deleted in one transaction: a few milliseconds."""
MAX_BATCHES = 500
"""Of one kind in one run: a million rows. What is left goes with the next run."""
PAUSE_SECONDS = 0.01
"""Between two batches, so that a run takes at most a part of the disk from ingest."""
MAX_BACKOFF_SECONDS = 300.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Retention:
    """How long what may go is kept."""

    readings: timedelta = timedelta(days=90)
    changes: timedelta = timedelta(days=7)
    """how long a subscriber of the event stream may be away and still resume"""
    quarantine: timedelta = timedelta(days=30)
    quarantine_rows: int = 200_000
    tallies: timedelta = timedelta(days=400)


@dataclass(frozen=True)
class Swept:
    """What one run deleted: chunks of readings, else rows."""

    reading_chunks: int
    changes: int
    quarantine: int
    tallies: int


def _now() -> datetime:
    return datetime.now(UTC)


async def run(
    database_url: str,
    *,
    retention: Retention,
    every_seconds: float = EVERY_SECONDS,
    clock: Callable[[], datetime] = _now,
) -> NoReturn:
    """Until cancelled. A lost database, or a table in use, is tried again later; two processes that run this do the work once."""

    async def session(connected: Callable[[], None]) -> None:
        while True:
            async with open_keeper(database_url) as keeper:
                if await keeper.is_alone():
                    swept = await sweep(keeper, retention, clock())
                    _log.info("housekeeping.done", **asdict(swept))
            connected()
            await asyncio.sleep(every_seconds)

    await keep("housekeeping", session, MAX_BACKOFF_SECONDS)


async def sweep(keeper: Keeper, retention: Retention, now: datetime, *, batch: int = BATCH) -> Swept:
    """Delete what is due, at most MAX_BATCHES batches of each kind."""
    before = now - retention.changes
    return Swept(
        changes=await _until_done(lambda: keeper.trim_changes(before, batch)),
        quarantine=await _until_done(
            lambda: keeper.thin_quarantine(retention.quarantine, retention.quarantine_rows, batch)
        ),
        tallies=await _until_done(lambda: keeper.drop_tallies(retention.tallies, batch)),
        # last, since it is what a long reader can hold up
        reading_chunks=await _until_done(lambda: keeper.drop_readings(retention.readings)),
    )


async def _until_done(delete: Callable[[], Awaitable[int]]) -> int:
    total = 0
    for _ in range(MAX_BATCHES):
        gone = await delete()
        total += gone
        if gone == 0:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return total
