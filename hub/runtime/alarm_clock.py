"""The loop that ends hidings when their time is over: shelvings, maintenance windows, what came late. Several may run at once.

A hiding with an end is over by itself, in every query (`is_paged`): where this loop is dead, the escalator's sweep still finds what is to be
paged. This loop is quicker and writes it down.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from hub import crash
from hub.errors import ODD, Conflict
from hub.runtime.reconnect import keep
from hub.store.hidings import end_due
from hub.store.pool import connect
from hub.store.session import translated

_log = structlog.get_logger(__name__)
ROUND = 60.0
"""seconds; a round is over long before"""
TICK = 0.5
"""seconds between two looks"""
_BATCH = 500


async def run(database_url: str, *, tick: float = TICK) -> NoReturn:
    """End hidings until cancelled."""

    async def session(connected: Callable[[], None]) -> None:
        conn = await connect(database_url, "alarm-clock", autocommit=True, lock_timeout="1s")
        try:
            while True:
                connected()
                try:
                    with translated():
                        ended = await end_due(conn, _BATCH)
                except (Conflict, *ODD) as error:  # what is hidden is over all the same, and swept
                    _log.error("hidings_refused", reason=repr(error)[:200])
                    ended = 0
                crash.point("alarm-clock-after-commit")
                if ended > 0:
                    _log.info("hidings_ended", alarms=ended)
                if ended < _BATCH:
                    await asyncio.sleep(tick)
        finally:
            conn.pgconn.finish()

    await keep("alarm-clock", session, within=ROUND)
