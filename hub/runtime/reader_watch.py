"""The loop that holds Grafana's roles to their time: a reader may set its own limits to what it likes, and a transaction that stays open keeps
the database from clearing up and drops of old readings waiting. It must not know what a reader reads.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from hub.runtime.reconnect import keep
from hub.store.pool import connect
from hub.store.readers import end_overdue

EVERY_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 60.0
_log = structlog.get_logger(__name__)


async def run(database_url: str, *, every_seconds: float = EVERY_SECONDS) -> NoReturn:
    """Until cancelled: sessions of readers with an old transaction are ended. A lost database is waited for."""

    async def session(connected: Callable[[], None]) -> None:
        async with await connect(database_url, "readers", autocommit=True) as conn:
            while True:
                ended = await end_overdue(conn)
                connected()
                if ended:
                    _log.warning("readers.overdue", ended=sorted(set(ended)), sessions=len(ended))
                await asyncio.sleep(every_seconds)

    await keep("reader-watch", session, MAX_BACKOFF_SECONDS)
