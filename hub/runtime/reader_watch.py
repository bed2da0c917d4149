"""The loop that holds Grafana's roles to their time: a reader may set its own limits to what it likes, and a transaction that stays open keeps
the database from clearing up and drops of old readings waiting. It must not know what a reader reads.
"""

import asyncio
import random
from typing import NoReturn

import structlog

from hub.errors import LinkDown
from hub.store.pool import connect
from hub.store.readers import end_overdue

EVERY_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 60.0
_log = structlog.get_logger(__name__)


async def run(database_url: str, *, every_seconds: float = EVERY_SECONDS) -> NoReturn:
    """Until cancelled: sessions of readers with an old transaction are ended. A lost database is waited for."""
    failures = 0
    while True:
        try:
            async with await connect(database_url, "readers", autocommit=True) as conn:
                while True:
                    ended = await end_overdue(conn)
                    failures = 0
                    if ended:
                        _log.warning("readers.overdue", ended=sorted(set(ended)), sessions=len(ended))
                    await asyncio.sleep(every_seconds)
        except LinkDown as error:
            failures += 1
            if failures == 1:
                _log.warning("readers.postponed", error=str(error))
            await asyncio.sleep(random.uniform(0.5, 1) * min(MAX_BACKOFF_SECONDS, 2 ** min(failures, 10)))
