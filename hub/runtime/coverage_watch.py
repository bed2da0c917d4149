"""The loop that keeps findings true: what changed is judged at once or soon, a time limit when it passes, everything once in ten minutes, slowly.

It follows the change feed, enters whom changes concern into the docket (hub.core.coverage.docket), which says who is judged next, for whom the watch
may vouch, and how long it rests; and lives through a lost database. What nobody vouches for stays green for three minutes at most. It must not know
how a rule is judged (hub.core.coverage) nor how findings are kept (hub.store.coverage).
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

import structlog

from hub.core.backoff import full_jitter
from hub.core.coverage.docket import Docket, Horizon, Rank
from hub.core.coverage.ledger import STALE_AFTER
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.rules import RulePack
from hub.core.coverage.signer import Signer
from hub.errors import ODD, Conflict, LinkDown
from hub.model import SECOND, Lane, Micros
from hub.profiles import Profile
from hub.store.changes import Cursor, Feed, Page, open_feed
from hub.store.coverage import Ledger, open_ledger

POLL_SECONDS = 1.0
"""How late a change is seen at most when its NOTIFY was lost."""
ROUND_SECONDS = 600.0
"""In so much time everything is looked at once, a part at a time: a net for what nobody announced. Time limits and changes do not wait for it."""
RENEW_SECONDS = 5.0
"""How often what stands is renewed; it is believed for `hub.core.coverage.ledger.STALE_AFTER`."""
LOOK_SECONDS = 2.0
"""How often is looked for what no row of the feed tells of by itself: who is new, a holiday calendar, values that rules ask for."""
PASS_SECONDS = 0.1
"""From one look into the feed to the next at least, however often it is announced; so soon, too, where something is withheld."""
BATCH = 20
"""Subjects judged in one transaction; between two of them others have their turn."""
PAGE = 5000
"""Changes looked at in one go; only their institutions come over the line."""
MAX_BACKOFF_SECONDS = 5.0
_DAY, _CHINA = 86_400 * SECOND, 8 * 3600 * SECOND
FOLLOWED = frozenset({"device_state", "registry", "waiver", "retyping", "alarm", "notification", "proof", "drill"})
"""What makes a fact another one: also who was told of an alarm and when, what is hidden, a drill, a proof (hub.store.coverage_facts)."""
_UNJUDGED = (Conflict, *ODD)
"""what one subject's facts may make of us that the database refuses, or that another release wrote: it ends nobody else's findings"""
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
        signer: Signer | None = None,
    ) -> None:
        self._url = database_url
        self._rules = Rulebook(packs)
        self._profiles = profiles
        self._clock = clock
        self._round = round_seconds
        self._signer = signer
        self._docket, self._horizon = Docket(), Horizon(0)
        self._id, self._since, self._vouched, self._at = "", 0, 0, 0
        self._digested: int | None = None
        """the day (+08:00) on which the digest of the day before was seen to be taken"""
        self._listened: frozenset[tuple[int, Lane]] = frozenset()
        self._calendars = 0
        self._before = self._looked = 0
        """when the feed was read the last time, and when was looked around"""
        self._strangers = False
        """whether there may be others to judge than are known"""
        self._owed: set[str] = set()
        """whom this watch has still to judge for the first time"""
        self._refused: set[str] = set()
        """whom it could not judge when it tried last, which was said"""
        self._slowly: list[str] = []
        """what is left of the slow round"""
        self.judged_all = asyncio.Event()
        """set once everything was judged since the database was last reached"""

    async def run(self) -> None:
        """Until cancelled. A lost database is waited for, and everything is judged again when it is back."""
        failures = 0
        while True:
            try:
                async with (
                    open_feed(self._url) as feed,
                    open_ledger(self._url, self._profiles, self._rules, self._signer) as ledger,
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
                await asyncio.sleep(full_jitter(failures, 0.2, MAX_BACKOFF_SECONDS, random.random()))

    async def _begin(self, ledger: Ledger) -> None:
        """Nothing that was judged before now is renewed any more by this watch: everything is to be judged again, in its turn."""
        at = self._clock()
        self._id, self._since, self._vouched, self._at = uuid.uuid4().hex, at, at, at
        self._docket, self._horizon = Docket(), Horizon(at)
        await ledger.take_over(at)
        await ledger.close_gone(at)
        self._listened, self._calendars = await ledger.listened(), await ledger.calendars()
        self._before, self._looked, self._strangers = at, at, False
        self._owed = set()
        self._owe(await ledger.subjects(), Rank.FIRST)
        self._slowly = []

    def _owe(self, subjects: Sequence[str], rank: Rank) -> None:
        self._owed.update(subjects)
        for subject in subjects:
            self._docket.add(subject, rank, self._clock())

    async def _follow(self, feed: Feed, ledger: Ledger, cursor: Cursor) -> None:
        loop = asyncio.get_running_loop()
        next_part = loop.time() + self._round
        next_look = next_renewal = loop.time()
        while True:
            began, at = loop.time(), self._clock()
            page = await feed.stirred(cursor, PAGE, FOLLOWED)
            cursor = page.cursor
            await self._enter(ledger, page, at)
            if began >= next_look:
                await self._look_around(ledger, at)
                next_look = loop.time() + LOOK_SECONDS
            if not self._owed:
                self.judged_all.set()
                if began >= next_part:
                    await self._enter_part(ledger, at)
                    next_part = loop.time() + self._round * BATCH / max(BATCH, len(ledger.seen))
            rest = await self._judge(ledger)
            if began >= next_renewal:
                await self._renew(ledger, at)
                next_renewal = loop.time() + RENEW_SECONDS
            await asyncio.sleep(max(0.0, rest, 0.0 if page.is_full else began + PASS_SECONDS - loop.time()))
            if not page.is_full and not page.withheld:
                await feed.wait(max(0.0, min(POLL_SECONDS, next_part - loop.time(), self._until_next())))

    async def _enter(self, ledger: Ledger, page: Page, at: Micros) -> None:
        """Whom the changes of a page concern, and whom it concerns that somebody listens now, or no longer does."""
        for one in page.stirred:
            self._strangers |= one.registered
            rank = Rank.TAKES if one.takes else Rank.ADDS
            named = [one.institution] if one.institution is not None else []
            if not named and one.registered:
                named = await ledger.registered_since(one.since)
            for subject in named:
                self._docket.add(subject, rank, at, one.since)
        self._horizon.looked(at, page.began, page.read)
        listened = await ledger.listened()
        for lanes, rank in ((self._listened - listened, Rank.TAKES), (listened - self._listened, Rank.ADDS)):
            for subject in await ledger.of_partitions({partition for partition, _ in lanes}) if lanes else ():
                self._docket.add(subject, rank, at, self._before)
        self._listened, self._before = listened, at

    async def _look_around(self, ledger: Ledger, at: Micros) -> None:
        """What no row of the feed tells of by itself."""
        if self._strangers:
            self._strangers = False
            await ledger.close_gone(at)
            subjects = set(await ledger.subjects())
            self._docket.keep(subjects)
            self._owed &= subjects
            self._owe(sorted(subjects - ledger.seen.keys() - self._owed), Rank.ADDS)
        calendars = await ledger.calendars()
        changed = await ledger.subjects() if calendars != self._calendars else []
        changed += await ledger.measured_since(
            self._looked - int(LOOK_SECONDS * SECOND)
        )  # what was under way then, too
        for subject in changed:
            self._docket.add(subject, Rank.TAKES, at, self._looked)
        self._calendars, self._looked = calendars, at

    async def _enter_part(self, ledger: Ledger, at: Micros) -> None:
        """The next part of the slow round."""
        await ledger.close_gone(at)
        self._slowly = self._slowly or await ledger.subjects()
        part, self._slowly = self._slowly[:BATCH], self._slowly[BATCH:]
        for subject in part:
            self._docket.add(subject, Rank.ROUND, at)

    async def _judge(self, ledger: Ledger) -> float:
        """The next ones of the docket, and how many seconds are due to others after that."""
        at = self._clock()
        batch = self._docket.take(at, BATCH)
        if not batch:
            return 0.0
        began = time.perf_counter_ns()
        try:
            await self._record(ledger, batch, at)
        except _UNJUDGED:
            for subject in batch:
                try:
                    await self._record(ledger, [subject], at)
                except _UNJUDGED as error:
                    self._refuse(subject, error, at)
        self._owed.difference_update(batch)
        worked = (time.perf_counter_ns() - began) // 1000
        return self._docket.rest(worked, len(batch)) / SECOND

    async def _record(self, ledger: Ledger, batch: Sequence[str], at: Micros) -> None:
        async with ledger.judging(batch, at) as judging:
            turned = await judging.record()
        if turned:
            _log.debug("coverage.turned", findings=turned)
        for subject in batch:
            self._refused.discard(subject)
            if subject in ledger.seen:  # also of what a watch before this one learnt
                self._docket.sleeps(subject, ledger.seen[subject].turns_at)

    def _refuse(self, subject: str, error: Exception, at: Micros) -> None:
        """One that cannot be judged now waits with a change that nobody vouches for, so that its findings become unknown, and keeps nobody else."""
        (_log.debug if subject in self._refused else _log.error)(
            "coverage.not_judged", subject=subject, reason=repr(error)[:300]
        )
        self._refused.add(subject)
        self._docket.add(subject, Rank.TAKES, at, min(at, self._vouched))

    async def _renew(self, ledger: Ledger, at: Micros) -> None:
        """Say until when everything that was judged is known to hold, and of whom it is not."""
        vouched = self._docket.vouch(self._horizon.upto, at)
        if at - self._vouched > STALE_AFTER or at < self._at:
            # this process stood still, the database withheld for long, or the clock was set back: what nobody judged is not believed
            self.judged_all.clear()
            await self._begin(ledger)
            return
        if vouched.doubted:
            _log.info("coverage.behind", institutions=len(vouched.doubted), waiting=len(self._docket))
            await ledger.doubt(vouched.doubted)
        await ledger.renew(self._id, self._since, vouched.until)
        self._vouched, self._at = max(self._vouched, vouched.until), at
        day = (at + _CHINA) // _DAY
        if not self._owed and day != self._digested:
            await ledger.take_digest(at)
            self._digested = day

    def _until_next(self) -> float:
        """Seconds until somebody may be judged."""
        at = self._clock()
        due = self._docket.next_at(at)
        return POLL_SECONDS if due is None else max(0.0, (due - at) / SECOND)
