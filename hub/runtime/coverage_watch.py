"""The loop that keeps findings true: what changed is judged at once, everything once a minute and at the start.

It follows the change feed for devices and registry, judges in bounded batches, and lives through a lost database. It must not know how
a rule is judged (hub.core.coverage) nor how findings are kept (hub.store.coverage).
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog

from hub.core.coverage.findings import Finding
from hub.core.coverage.judge import check
from hub.core.coverage.rules import RulePack
from hub.errors import Conflict, LinkDown
from hub.model import Micros
from hub.profiles import Profile
from hub.store.changes import Change, Cursor, Feed, open_feed
from hub.store.coverage import Ledger, open_ledger

POLL_SECONDS = 1.0
"""How late a change is seen at most when its NOTIFY was lost."""
EVERYTHING_SECONDS = 60.0
"""Rules come into effect and nobody announces it: so everything is judged again."""
WITHHELD_SECONDS = 0.05
"""How soon to look again while an older transaction still runs."""
BATCH = 10
"""Subjects judged in one transaction. Measured: 3 ms of the loop's time for an institution of 48 devices; ingest may share this loop."""
FEED_BATCH = 500
MAX_BACKOFF_SECONDS = 5.0
_FOLLOWED = frozenset({"device_state", "registry"})
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
        everything_seconds: float = EVERYTHING_SECONDS,
    ) -> None:
        self._url = database_url
        self._packs = packs
        self._profiles = profiles
        self._clock = clock
        self._every = everything_seconds
        self.judged_all = asyncio.Event()
        """set once everything was judged since the database was last reached"""

    async def run(self) -> None:
        """Until cancelled. A lost database is waited for, and everything is judged again when it is back."""
        failures = 0
        while True:
            try:
                async with open_feed(self._url) as feed, open_ledger(self._url, self._profiles) as ledger:
                    cursor, listened = await feed.horizon(), await ledger.listened()
                    await self.judge_everything(ledger)
                    if failures:
                        _log.info("coverage.back")
                    failures = 0
                    await self._follow(feed, ledger, cursor, listened)
            except (LinkDown, Conflict) as error:
                self.judged_all.clear()
                failures += 1
                if failures == 1:
                    _log.warning("coverage.lost", error=str(error))
                await asyncio.sleep(random.uniform(0, min(MAX_BACKOFF_SECONDS, 0.1 * 2 ** min(failures, 10))))

    async def judge_everything(self, ledger: Ledger) -> None:
        """Every subject, and the end of those that are gone."""
        await ledger.close_gone(self._clock())
        await self._judge(ledger, await ledger.subjects())
        self.judged_all.set()

    async def _judge(self, ledger: Ledger, subjects: Sequence[str]) -> None:
        for first in range(0, len(subjects), BATCH):
            async with ledger.judging(subjects[first : first + BATCH]) as judging:
                at = self._clock()
                findings: list[Finding] = []
                for facts in judging.facts:
                    findings += check(self._packs, facts, at)
                    await asyncio.sleep(0)  # a press waits behind one institution, never behind the city
                turned = await judging.record(findings, at)
            if turned:
                _log.debug("coverage.turned", findings=turned)

    async def _follow(self, feed: Feed, ledger: Ledger, cursor: Cursor, listened: frozenset[int]) -> None:
        loop = asyncio.get_running_loop()
        next_everything = loop.time() + self._every
        while True:
            changes = await feed.after(cursor, FEED_BATCH)
            if changes:
                cursor = changes[-1].cursor
            dirty = _dirty(changes)
            if dirty:
                await self._judge(ledger, sorted(dirty))
            before, listened = listened, await ledger.listened()
            if loop.time() >= next_everything or listened != before or _register_moved(changes):
                await self.judge_everything(ledger)
                next_everything = loop.time() + self._every
            if len(changes) == FEED_BATCH:
                continue
            if await feed.withholds():
                await asyncio.sleep(WITHHELD_SECONDS)
            else:
                await feed.wait(min(POLL_SECONDS, max(0.0, next_everything - loop.time())))


def _dirty(changes: Iterable[Change]) -> Collection[str]:
    return {change.institution for change in changes if change.kind in _FOLLOWED and change.institution is not None}


def _register_moved(changes: Iterable[Change]) -> bool:
    """Whether the list of subjects itself may be another now."""
    return any(change.kind == "registry" for change in changes)
