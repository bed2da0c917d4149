"""The loop that keeps findings true: what changed is judged at once, a time limit when it passes, and everything once, slowly, every ten minutes.

It follows the change feed, judges in bounded batches, and lives through a lost database. While it has followed every change and has none left, it
renews what it judged, and only that: where it hangs, nothing stays green for longer than three minutes. It must not know how a rule is judged
(hub.core.coverage) nor how findings are kept (hub.store.coverage).
"""

import asyncio
import heapq
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from hub.core.coverage.ledger import STALE_AFTER
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.rules import RulePack
from hub.errors import Conflict, LinkDown
from hub.model import SECOND, Micros
from hub.profiles import Profile
from hub.store.changes import Change, Cursor, Feed, open_feed
from hub.store.coverage import Ledger, open_ledger

POLL_SECONDS = 1.0
"""How late a change is seen at most when its NOTIFY was lost."""
ROUND_SECONDS = 600.0
"""In so much time everything is looked at once, a part at a time: a net for what nobody announced. Time limits and changes do not wait for it."""
RENEW_SECONDS = 5.0
"""How often what stands is renewed; it is believed for `hub.core.coverage.ledger.STALE_AFTER`."""
WITHHELD_SECONDS = 0.05
"""How soon to look again while an older transaction still runs."""
BATCH = 20
"""Subjects judged in one transaction. Measured: 3 ms of the loop's time for an institution of 48 devices; ingest may share this loop."""
FEED_BATCH = 500
MAX_BACKOFF_SECONDS = 5.0
_DAY, _CHINA = 86_400 * SECOND, 8 * 3600 * SECOND
_FOLLOWED = frozenset({"device_state", "registry", "waiver", "retyping"})
_log = structlog.get_logger(__name__)


def _now() -> Micros:
    return time.time_ns() // 1000


class CoverageWatch:
    """Judges coverage for the whole hub. Its owner runs `run()` as a task; two of them only do the work twice."""

    def __init__(
        self,
        database_url: str,
        packs: Sequence[RulePack],
        profiles: Mapping[str, Profile],
        *,
        clock: Callable[[], Micros] = _now,
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self._url = database_url
        self._rules = Rulebook(packs)
        self._profiles = profiles
        self._clock = clock
        self._round = round_seconds
        self._id, self._since, self._renewed = "", 0, 0
        self._digested: int | None = None
        """the day (+08:00) on which the digest of the day before was seen to be taken"""
        self._listened: frozenset[int] = frozenset()
        self._backlog: deque[str] = deque()
        """who is to be judged as soon as the changes that have come are"""
        self._slowly: list[str] = []
        """what is left of the slow round"""
        self._limits: list[tuple[Micros, str]] = []
        """when which subject's verdicts may turn by themselves, soonest first"""
        self.judged_all = asyncio.Event()
        """set once everything was judged since the database was last reached"""

    async def run(self) -> None:
        """Until cancelled. A lost database is waited for, and everything is judged again when it is back."""
        failures = 0
        while True:
            try:
                async with (
                    open_feed(self._url) as feed,
                    open_ledger(self._url, self._profiles, self._rules) as ledger,
                ):
                    cursor = await feed.horizon()
                    await self._begin(ledger)
                    if failures:
                        _log.info("coverage.back")
                    failures = 0
                    await self._follow(feed, ledger, cursor)
            except (LinkDown, Conflict) as error:
                self.judged_all.clear()
                failures += 1
                if failures == 1:
                    _log.warning("coverage.lost", error=str(error))
                await asyncio.sleep(random.uniform(0, min(MAX_BACKOFF_SECONDS, 0.1 * 2 ** min(failures, 10))))

    async def _begin(self, ledger: Ledger) -> None:
        """Nothing that was judged before now is renewed any more by this watch: everything is to be judged again, in its turn."""
        self._id, self._since = uuid.uuid4().hex, self._clock()
        self._renewed = self._since
        await ledger.take_over(self._since)
        await ledger.close_gone(self._since)
        self._listened = await ledger.listened()
        self._backlog.clear()
        self._backlog.extend(await ledger.subjects())

    async def _follow(self, feed: Feed, ledger: Ledger, cursor: Cursor) -> None:
        loop = asyncio.get_running_loop()
        next_part = loop.time() + self._round
        next_renewal = loop.time()
        while True:
            at = self._clock()
            withheld = await feed.withholds()
            changes = await feed.after(cursor, FEED_BATCH)
            if changes:
                cursor = changes[-1].cursor
            await self._judge(ledger, sorted(_dirty(changes) | self._passed(ledger, at)))
            if await ledger.listened() != self._listened or at - self._renewed > STALE_AFTER:
                await self._begin(ledger)  # also where this process stood still: what nobody judged is not believed
            if any(change.kind == "registry" for change in changes):
                await self._judge(ledger, await self._newcomers(ledger))
            if self._backlog:
                await self._judge(ledger, [self._backlog.popleft() for _ in range(min(BATCH, len(self._backlog)))])
            elif not self.judged_all.is_set():
                self.judged_all.set()
            elif loop.time() >= next_part:
                await ledger.close_gone(at)
                self._slowly = self._slowly or await ledger.subjects()
                part, self._slowly = self._slowly[:BATCH], self._slowly[BATCH:]
                await self._judge(ledger, part)
                next_part = loop.time() + self._round * BATCH / max(BATCH, len(ledger.seen))
            behind = len(changes) == FEED_BATCH
            if loop.time() >= next_renewal and not withheld and not behind:
                await ledger.renew(self._id, self._since, at)
                self._renewed = at
                if self.judged_all.is_set() and (at + _CHINA) // _DAY != self._digested:
                    await ledger.take_digest(at)
                    self._digested = (at + _CHINA) // _DAY
                next_renewal = loop.time() + RENEW_SECONDS
            if behind or self._backlog:
                await asyncio.sleep(0)
            elif withheld or not self.judged_all.is_set():
                await asyncio.sleep(WITHHELD_SECONDS)
            else:
                await feed.wait(max(0.0, min(POLL_SECONDS, next_part - loop.time(), self._until_limit())))

    async def _newcomers(self, ledger: Ledger) -> list[str]:
        """Who is to be judged and never was; what is judged no more ends."""
        await ledger.close_gone(self._clock())
        waiting = set(self._backlog)
        return [one for one in await ledger.subjects() if one not in ledger.seen and one not in waiting]

    async def _judge(self, ledger: Ledger, subjects: Sequence[str]) -> None:
        for first in range(0, len(subjects), BATCH):
            batch = subjects[first : first + BATCH]
            async with ledger.judging(batch, self._clock()) as judging:
                turned = await judging.record()
            if turned:
                _log.debug("coverage.turned", findings=turned)
            for subject, seen in judging.learnt.items():
                if seen.turns_at is not None:
                    heapq.heappush(self._limits, (seen.turns_at, subject))

    def _passed(self, ledger: Ledger, at: Micros) -> set[str]:
        """The subjects whose time limit has passed."""
        passed = set()
        while self._limits and self._limits[0][0] <= at:
            turns_at, subject = heapq.heappop(self._limits)
            seen = ledger.seen.get(subject)
            if seen is not None and seen.turns_at == turns_at:  # else it was judged since, and has another
                passed.add(subject)
        return passed

    def _until_limit(self) -> float:
        return max(0.0, (self._limits[0][0] - self._clock()) / SECOND) if self._limits else POLL_SECONDS


def _dirty(changes: Iterable[Change]) -> set[str]:
    return {change.institution for change in changes if change.kind in _FOLLOWED and change.institution is not None}
