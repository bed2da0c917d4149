"""The loop that keeps what the fire-risk scores were: every ten minutes it scores all and writes down what is new; every minute those of which
something has changed since.

It must not know what is dangerous (hub.core.fire_risk) nor how it is stored (hub.store.fire_risk). One institution's score is live where the API
gives it; what is kept is for the list (hub.core.fire_kept), for boards and for the past.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NoReturn

from hub.core.fire_facts import Weights
from hub.core.fire_risk import Risk, assess
from hub.model import Micros, to_datetime
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.store.fire_risk import Book, open_book

EVERY_SECONDS = 600.0
SOON_SECONDS = 60.0
MOST_SOON = 400
"""So many whose facts changed are scored anew in a go: a second's work of a minute. The others wait, and the list says so."""
KEPT = timedelta(days=400)
PAUSE_SECONDS = 0.05
"""Between two batches, so that a round takes at most a part of the processor from what is urgent."""
MAX_BACKOFF_SECONDS = 300.0


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

    async def session(connected: Callable[[], None]) -> None:
        async with open_book(database_url) as book:
            rounds = max(1, round(every_seconds / SOON_SECONDS))
            for number in itertools.count():
                if await book.is_alone():
                    most = MOST_SOON if number % rounds else None
                    await score(book, profiles, weights, clock(), most)
                connected()
                await asyncio.sleep(min(SOON_SECONDS, every_seconds))

    await keep("fire-watch", session, MAX_BACKOFF_SECONDS)


async def score(
    book: Book, profiles: Mapping[str, Profile], weights: Weights, at: Micros, most: int | None = None
) -> int:
    """Score every institution and every entry of the register once, or at most `most` of those whose kept score is not believed any more, and write
    down what is new; how many there were.
    """
    now, scored = to_datetime(at), 0
    async for part in book.rounds(profiles, weights, now, most):
        risks: list[Risk] = []
        for one in part.facts:
            risks.append(assess(one, weights, at))
            await asyncio.sleep(0)
        await book.keep(risks, weights, now, part)
        scored += len(risks)
        await asyncio.sleep(PAUSE_SECONDS)
    if most is None:
        await book.forget(now - KEPT)
    return scored
