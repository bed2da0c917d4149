"""The loop that keeps what the fire-risk scores were: every ten minutes it scores all and writes down what is new.

It must not know what is dangerous (hub.core.fire_risk) nor how it is stored (hub.store.fire_risk). A score is live where the API gives it; what is
kept is for boards and for the past.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NoReturn

import structlog

from hub.core.fire_facts import Weights
from hub.core.fire_risk import Risk, assess
from hub.errors import Conflict, LinkDown
from hub.model import Micros, to_datetime
from hub.profiles import Profile
from hub.store.fire_risk import Book, open_book

EVERY_SECONDS = 600.0
GAP = timedelta(minutes=30)
"""A score that nobody looked at for so long is unknown for that time; boards show it so (dashboards/fire.py)."""
KEPT = timedelta(days=400)
PAUSE_SECONDS = 0.05
"""Between two batches, so that a round takes at most a part of the processor from what is urgent."""
MAX_BACKOFF_SECONDS = 300.0
_log = structlog.get_logger(__name__)


def _now() -> Micros:
    return time.time_ns() // 1000


async def run(
    database_url: str,
    profiles: Mapping[str, Profile],
    weights: Weights,
    *,
    every_seconds: float = EVERY_SECONDS,
    clock: Callable[[], Micros] = _now,
) -> NoReturn:
    """Until cancelled. A lost database is waited for; of two processes that run this one does the work."""
    failures = 0
    while True:
        try:
            async with open_book(database_url) as book:
                while True:
                    if await book.is_alone():
                        await score_all(book, profiles, weights, clock())
                    failures = 0
                    await asyncio.sleep(every_seconds)
        except (LinkDown, Conflict) as error:
            failures += 1
            if failures == 1:
                _log.warning("fire_watch.postponed", error=str(error))
            await asyncio.sleep(random.uniform(0.5, 1) * min(MAX_BACKOFF_SECONDS, 2 ** min(failures, 10)))


async def score_all(book: Book, profiles: Mapping[str, Profile], weights: Weights, at: Micros) -> int:
    """Score every institution and every entry of the register once, and write down what is new; how many there were."""
    now, scored = to_datetime(at), 0
    async for facts in book.rounds(profiles, weights.limits, now):
        risks: list[Risk] = []
        for one in facts:
            risks.append(assess(one, weights, at))
            await asyncio.sleep(0)
        await book.keep(risks, weights, now, GAP)
        scored += len(risks)
        await asyncio.sleep(PAUSE_SECONDS)
    await book.forget(now - KEPT)
    return scored
