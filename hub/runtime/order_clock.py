"""The loop that keeps orders in step with the facts and with their deadlines, and takes the day's roll-up.

It looks twice a minute and follows no feed: everything that moves an order by itself takes hours or days, and a look costs a few statements. It
must not know what becomes of an order (hub.core.orders).
"""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

import structlog

from hub.core.orders import Terms
from hub.core.rota import local_day
from hub.model import Micros
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.store.order_desk import Desk, open_order_desk

LOOK_SECONDS = 30.0
TAKE_SECONDS = 240.0
"""from one snapshot of the day's roll-up to the next; the last one of a day stays"""
_log = structlog.get_logger(__name__)


def _now() -> Micros:
    return time.time_ns() // 1000


async def run(
    database_url: str,
    *,
    terms: Terms,
    profile: Profile | None,
    clock: Callable[[], Micros] = _now,
    look_seconds: float = LOOK_SECONDS,
    take_seconds: float = TAKE_SECONDS,
) -> NoReturn:
    """Until cancelled. `profile` says what the alarm of an overdue order is; without it nobody is paged, loudly."""
    if profile is None:
        _log.error("orders.profile_missing", reason="nobody is told about overdue orders")

    async def session(connected: Callable[[], None]) -> None:
        async with open_order_desk(database_url, profile) as desk:
            connected()
            loop = asyncio.get_running_loop()
            take_at = loop.time()
            while True:
                more = await look(desk, clock(), terms)
                if loop.time() >= take_at:
                    at = clock()
                    await desk.take(local_day(at), at)
                    take_at = loop.time() + take_seconds
                await asyncio.sleep(0 if more else look_seconds)

    await keep("orders", session)


async def look(desk: Desk, at: Micros, terms: Terms) -> bool:
    """One look; whether there is more to draft at once."""
    done = await desk.look(at, terms)
    if done.events:
        _log.info("orders.moved", **done.events)
    return done.more
