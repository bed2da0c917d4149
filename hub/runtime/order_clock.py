"""The loop that keeps orders in step with the facts and with their deadlines, and takes the day's roll-up.

It follows the change feed: where a verdict turned, a waiver or an order changed, that institution's orders are looked at at once. What falls due by
time alone soon has a timer. Everything is looked at twice a minute all the same, for what nobody announced. It must not know what becomes of an order
(hub.core.orders).
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

import structlog

from hub.core.orders import Terms
from hub.core.rota import local_day
from hub.errors import ODD, Conflict
from hub.model import SECOND, Micros
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.store.changes import Change, Feed, open_feed
from hub.store.order_desk import Desk, Done, open_order_desk

LOOK_SECONDS = 30.0
"""from one look at everything to the next"""
TAKE_SECONDS = 240.0
"""from one snapshot of the day's roll-up to the next; the last one of a day stays"""
_FIRST_TAKE_SECONDS = 30.0
"""After a start the snapshots come sooner, each after twice the time of the one before: the first one says that nobody has judged anything yet."""
POLL_SECONDS = 1.0
"""How late a change is seen at most when its NOTIFY was lost."""
WITHHELD_SECONDS = 0.05
"""How soon to look again while an older transaction still runs."""
FEED_BATCH = 500
REST = 5
"""after a look, so many times as long as it took passes before the next: a flood of verdicts costs a sixth of a backend"""
_LEAST_REST = 0.2
_FOLLOWED = frozenset({"coverage", "order", "waiver", "registry"})
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
        async with open_feed(database_url) as feed, open_order_desk(database_url, profile) as desk:
            connected()
            await _OrderClock(feed, desk, terms, clock, look_seconds, take_seconds).follow()

    await keep("orders", session)


class _OrderClock:
    """What is to be looked at, and when, over one pair of connections."""

    def __init__(
        self,
        feed: Feed,
        desk: Desk,
        terms: Terms,
        clock: Callable[[], Micros],
        look_seconds: float,
        take_seconds: float,
    ) -> None:
        self._feed, self._desk, self._terms, self._clock = feed, desk, terms, clock
        self._look_seconds, self._take_seconds = look_seconds, take_seconds
        self._touched: set[str] = set()
        """institutions of which something changed; at most all of them"""
        self._due: dict[str, Micros] = {}
        """when to look at an institution again, whatever changes"""

    async def follow(self) -> None:
        """Raises LinkDown."""
        loop = asyncio.get_running_loop()
        cursor = await self._feed.horizon()
        whole_at = take_at = rested_at = loop.time()
        take_pause = min(_FIRST_TAKE_SECONDS, self._take_seconds)
        while True:
            withheld = await self._feed.withholds()
            changes = await self._feed.after(cursor, FEED_BATCH)
            if changes:
                cursor = changes[-1].cursor
            self._touched |= _institutions(changes)
            began = loop.time()
            if began >= rested_at:
                at = self._clock()
                self._touched |= {one for one, when in self._due.items() if when <= at}
                if began >= whole_at:
                    done = await self._look(at, None)
                    whole_at = loop.time() + (0 if done.more else self._look_seconds)
                elif self._touched:
                    done = await self._look(at, sorted(self._touched))
                    whole_at = loop.time() if done.more else whole_at
                else:
                    done = None
                if done is not None:
                    rested_at = loop.time() + max(_LEAST_REST, REST * (loop.time() - began))
            if loop.time() >= take_at:
                at = self._clock()
                try:
                    await self._desk.take(local_day(at), at)
                except (Conflict, *ODD) as error:  # a day's figures are no reason to let orders stand
                    _log.error("rollup.not_taken", reason=repr(error)[:300])
                take_at = loop.time() + take_pause
                take_pause = min(2 * take_pause, self._take_seconds)
            if len(changes) < FEED_BATCH:
                now = loop.time()
                next_look = now if self._touched else min(whole_at, now + self._until_due())
                seconds = max(0.0, min(POLL_SECONDS, take_at - now, max(rested_at, next_look) - now))
                await (asyncio.sleep(min(WITHHELD_SECONDS, seconds)) if withheld else self._feed.wait(seconds))

    async def _look(self, at: Micros, among: list[str] | None) -> Done:
        """Look at everything, or at some institutions; what falls due there is known anew."""
        done = await self._desk.look(at, self._terms, among)
        if done.events:
            _log.info("orders.moved", **done.events)
        if among is None:
            self._due.clear()
        for one in among or ():
            self._due.pop(one, None)
        self._due |= done.due
        self._touched.clear()
        return done

    def _until_due(self) -> float:
        """Seconds until something falls due."""
        return max(0.0, (min(self._due.values()) - self._clock()) / SECOND) if self._due else POLL_SECONDS


def _institutions(changes: Iterable[Change]) -> set[str]:
    return {change.institution for change in changes if change.kind in _FOLLOWED and change.institution is not None}
