"""The ledger of findings, kept: bitemporal, append-only, chained (docs/decisions/0355, 0356). One connection, short transactions, one judge at a time.

What is written follows from hub.core.coverage.ledger; the facts come from hub.store.coverage_facts. Statements do not grow in number with subjects.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from hub.core.coverage import late, ledger
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.signer import Signer
from hub.core.coverage.snapshot import Snapshot, snapshot, steady
from hub.core.coverage.turns import points
from hub.model import SECOND, Lane, Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store import evidence, waivers
from hub.store.coverage_facts import UNCONNECTED, Facts
from hub.store.fact_rows import ODD
from hub.store.ledger_rows import Writing, held_of
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import all_rows
from hub.store.session import translated

_SQL = queries("coverage") | queries("ledger")
ARRIVING: Micros = 2 * SECOND
"""after which is looked again whether all has come that an edge kept"""
_LOCK = 0x636F766572  # "cover": one judge writes at a time
_log = structlog.get_logger(__name__)


REMEMBERED: Micros = 3600 * SECOND
"""after which whoever is looked at is judged again, whatever is remembered"""


class Seen(NamedTuple):
    """What a watch remembers of a subject: while its facts stay steady, its packs the same, and no time limit passes, nothing is to be judged."""

    steady: bytes
    packs: bytes
    turns_at: Micros | None
    until: Micros = 0
    """how long it is remembered: a renewal by the same value changes nothing in what is steady, though what was too old is believed again"""

    def is_quiet(self, facts: bytes, packs: bytes, at: Micros) -> bool:
        """Whether nothing that matters is different."""
        same = (self.steady, self.packs) == (facts, packs) and at < self.until
        return same and (self.turns_at is None or at < self.turns_at)


class Ledger:
    """Facts and findings over an autocommit connection of its own. Every method raises LinkDown when the connection is gone."""

    def __init__(
        self, conn: Connection, profiles: Mapping[str, Profile], rules: Rulebook, signer: Signer | None = None
    ) -> None:
        self._conn = conn
        self._signer = signer
        self._facts = Facts(conn, profiles, points(rules.packs))
        self._profiles = profiles
        self.rules = rules
        self.seen: dict[str, Seen] = {}

    async def subjects(self) -> list[str]:
        """Everything that must be judged: institutions by id, then entries of the register that are not connected."""
        with translated():
            institutions = await (await self._conn.execute(_SQL["institutions"])).fetchall()
            entries = await (await self._conn.execute(_SQL["entries"])).fetchall()
        return [row[0] for row in institutions] + [UNCONNECTED + row[0] for row in entries]

    async def of_partitions(self, partitions: Collection[int]) -> list[str]:
        """The institutions of these partitions."""
        return await self._names("of_partitions", partitions=sorted(partitions))

    async def registered_since(self, at: Micros) -> list[str]:
        """Who is another one on the register since `at`."""
        return await self._names("registered_since", at=to_datetime(at))

    async def measured_since(self, since: Micros) -> list[str]:
        """Whose values that rules ask for have moved, or came late, since a look; nobody's where no rule asks for any."""
        asked = sorted(points(self.rules.packs))
        return await self._names("measured_since", points=asked, since=to_datetime(since)) if asked else []

    async def calendars(self) -> int:
        """A number that is another one when a holiday calendar was changed."""
        with translated():
            row = await (await self._conn.execute(_SQL["calendars"])).fetchone()
        assert row is not None
        return int(row[0])

    async def _names(self, statement: str, **asked: Any) -> list[str]:
        with translated():
            rows = await (await self._conn.execute(_SQL[statement], asked)).fetchall()
        return [row[0] for row in rows]

    async def listened(self) -> frozenset[tuple[int, Lane]]:
        """The lanes, by partition, that somebody listens to. Where nobody does, no device counts as online: the hub is blind there."""
        with translated():
            return await self._facts.listened()

    @asynccontextmanager
    async def judging(self, subjects: Sequence[str], at: Micros) -> AsyncIterator["Judging"]:
        """One transaction: the facts of `subjects` as they are now, and the place to record what follows from them at `at`."""
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                fresh = await self._fresh(subjects, at)
                judging = Judging(self._conn, self.rules, self.seen, fresh, at, self._facts.turns_at, self._profiles)
                yield judging
        self.seen |= judging.learnt  # only what is committed is remembered
        for subject in judging.lost:
            self.seen.pop(subject, None)

    async def _fresh(self, subjects: Sequence[str], at: Micros) -> list[Snapshot]:
        try:
            async with self._conn.transaction():
                excused = await waivers.standing(self._conn, list(subjects), at)
        except ODD as error:
            if len(subjects) == 1:
                _log.error("coverage.unreadable", subject=subjects[0], where="its waivers", error=str(error)[:300])
                return [snapshot(replace(one, unreadable=True)) for one in await self._facts.of(subjects)]
            half = len(subjects) // 2
            return [*await self._fresh(subjects[:half], at), *await self._fresh(subjects[half:], at)]
        return [snapshot(one, excused) for one in await self._facts.of(subjects)]

    async def close_gone(self, at: Micros) -> int:
        """End the findings of subjects that are judged no more; how many subjects."""
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                gone = [row[0] for row in await (await self._conn.execute(_SQL["gone"])).fetchall()]
                if gone:
                    await Judging(self._conn, self.rules, {}, [], at, {}, self._profiles).end(gone)
                    await self._conn.execute(_SQL["forget_checks"], {"subjects": gone})
        for subject in gone:
            self.seen.pop(subject, None)
        return len(gone)

    async def take_digest(self, at: Micros) -> date | None:
        """The digest over all chains of the day before, once a day; the day, None where it is taken already."""
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                return await evidence.take_digest(self._conn, at, self._signer)

    async def take_over(self, at: Micros) -> None:
        """Write down until when a watch that is gone held its findings for good, and remember what was learnt of each subject when it was judged last.

        Nobody vouches for what is later than `at`.
        """
        fresh_since = to_datetime(at - ledger.STALE_AFTER)
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["set_back"], {"at": to_datetime(at)})
                await self._conn.execute(_SQL["take_over"], {"fresh_since": fresh_since})
                rows = await all_rows(self._conn, _SQL["remembered"], {"judge": _judge(self.rules.current)})
        self.seen = {
            row["subject"]: Seen(bytes(row["steady"]), self.rules.current, _micros(row["turns_at"]), at + REMEMBERED)
            for row in rows
        }

    async def doubt(self, waiting: Mapping[str, Micros]) -> None:
        """Nobody vouches for these subjects beyond the time given with each, until they are judged: something changed then and has waited for too long.

        Under the judges' lock: whoever judges afterwards has seen the change, and whoever had not does not undo this.
        """
        asked = {"subjects": list(waiting), "since": [to_datetime(since) for since in waiting.values()]}
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                await self._conn.execute(_SQL["doubt"], asked)

    async def renew(self, watch: str, since: Micros, at: Micros) -> None:
        """Say that all that was judged since `since` holds until `at`: this watch has judged every change from before that, or doubts whom it concerns."""
        with translated():
            await self._conn.execute(_SQL["renew"], {"id": watch, "since": to_datetime(since), "at": to_datetime(at)})


class Judging:
    """An open transaction with the facts of some subjects at a time."""

    def __init__(
        self,
        conn: Connection,
        rules: Rulebook,
        seen: Mapping[str, Seen],
        fresh: Sequence[Snapshot],
        at: Micros,
        turns_at: Mapping[str, Micros],
        profiles: Mapping[str, Profile],
    ) -> None:
        self._conn = conn
        self._rules = rules
        self._seen = seen
        self._at = at
        self.turns_at = dict(turns_at)
        self._steadies = {one.facts.subject: steady(one) for one in fresh}
        self._profiles = profiles
        self.fresh = fresh
        self.learnt: dict[str, Seen] = {}
        """what may be remembered of these subjects once this is committed"""
        self.lost: list[str] = []
        """subjects that could not be judged, since what is kept of them cannot be read"""

    async def record(self) -> int:
        """Judge what must be judged, write what moved, and say in the change feed which verdicts turned; how many."""
        loud = await self._loud()
        moved: dict[str, ledger.Moved] = {}
        if loud:
            fresh = {one.facts.subject: one for one in loud}
            held = await held_of(self._conn, self._rules, fresh, self._at, self._profiles)
            for kept in loud:
                subject = kept.facts.subject
                if subject not in held:
                    continue
                known = held[subject]
                try:
                    told = self._held_back(kept, known) if known.arriving else kept
                    moved[subject] = ledger.recount(known, told, self._rules.current, self._at, self._rules, known.late)
                except ODD as error:
                    _log.error("coverage.unreadable", subject=subject, where="its past", error=str(error)[:300])
                await self._conn.execute("select")  # the database ends a transaction in which nothing is said for long
        turned = await Writing(self._conn, self._rules).write(moved)
        loud_subjects = {one.facts.subject for one in loud}
        judged = [
            one.facts.subject
            for one in self.fresh
            if one.facts.subject not in loud_subjects or one.facts.subject in moved
        ]
        await self._conn.execute(_SQL["checked"], {"subjects": judged, "at": to_datetime(self._at)})
        self.lost = sorted(loud_subjects - moved.keys())
        if self.lost:  # what it said stands in the ledger, and nobody vouches for it beyond now: judged again, that time is unknown
            since = [to_datetime(self._at)] * len(self.lost)
            await self._conn.execute(_SQL["doubt"], {"subjects": self.lost, "since": since})
            await self._conn.execute(_SQL["unlearn"], {"subjects": self.lost})
        for kept in loud:
            if kept.facts.subject in moved:
                self._remember(kept)
        if self.learnt:
            subjects = sorted(self.learnt)
            turns = [self.learnt[subject].turns_at for subject in subjects]
            asked = {
                "subjects": subjects,
                "steadies": [self.learnt[subject].steady for subject in subjects],
                "turns": [None if at is None else to_datetime(at) for at in turns],
                "judge": _judge(self._rules.current),
            }
            await self._conn.execute(_SQL["learnt"], asked)
        return turned

    def _held_back(self, kept: Snapshot, held: ledger.Held) -> Snapshot:
        """The snapshot without the return of devices of whose silence a part is still on its way; it is looked at again in a moment."""
        subject = kept.facts.subject
        self.turns_at[subject] = min(self._at + ARRIVING, self.turns_at.get(subject, self._at + ARRIVING))
        last = next(span for span in held.spans if span.end is None)
        return replace(kept, facts=late.held_back(kept.facts, last.kept.facts, held.arriving))

    async def end(self, subjects: Sequence[str]) -> None:
        """End everything of these subjects."""
        held = await held_of(self._conn, self._rules, dict.fromkeys(subjects), self._at, self._profiles)
        moved = {
            subject: ledger.recount(one, None, self._rules.current, self._at, self._rules)
            for subject, one in held.items()
        }
        await Writing(self._conn, self._rules).write(moved)

    async def _loud(self) -> list[Snapshot]:
        """Those whose ledger may have to say something else."""
        packs = self._rules.current
        steadies = self._steadies
        fresh_since = to_datetime(self._at - ledger.STALE_AFTER)
        asked = {"subjects": list(steadies), "fresh_since": fresh_since}
        stale = {row["subject"] for row in await all_rows(self._conn, _SQL["stale"], asked)}
        awake = [
            one for one in self.fresh if not self._is_quiet(one.facts.subject, steadies) or one.facts.subject in stale
        ]
        subjects = {"subjects": [one.facts.subject for one in awake]}
        standing = {row["subject"]: row for row in await all_rows(self._conn, _SQL["standing"], subjects)}
        loud = []
        for kept in awake:
            row = standing[kept.facts.subject]
            same = row["steady"] == steadies[kept.facts.subject] and row["packs"] == packs
            if same and kept.facts.subject not in stale:
                said = self._rules.essences(kept, self._at)
                await asyncio.sleep(0)
                if said == dict(zip(row["rules"] or (), row["essences"] or (), strict=True)):
                    self._remember(kept)
                    continue
            loud.append(kept)
        return loud

    def _is_quiet(self, subject: str, steadies: Mapping[str, bytes]) -> bool:
        seen = self._seen.get(subject)
        return seen is not None and seen.is_quiet(steadies[subject], self._rules.current, self._at)

    def _remember(self, kept: Snapshot) -> None:
        packs = self._rules.current
        both = (self._rules.next_turn(packs, kept, self._at), self.turns_at.get(kept.facts.subject))
        turns_at = min((at for at in both if at is not None), default=None)
        self.learnt[kept.facts.subject] = Seen(
            self._steadies[kept.facts.subject], packs, turns_at, self._at + REMEMBERED
        )


def _judge(packs: bytes) -> bytes:
    """Names the packs and the program that judges by them: another release may judge otherwise."""
    return hashlib.sha256(packs + _program()).digest()


@cache
def _program() -> bytes:
    """Of the sources of `hub.core.coverage`; of nothing that lasts where they are not there."""
    sources = sorted(Path(ledger.__file__).parent.glob("*.py"))
    told = [hashlib.sha256(one.read_bytes()).digest() for one in sources]
    return b"".join(told) if told else os.urandom(32)


def _micros(at: datetime | None) -> Micros | None:
    return None if at is None else to_micros(at)


@asynccontextmanager
async def open_ledger(
    database_url: str, profiles: Mapping[str, Profile], rules: Rulebook, signer: Signer | None = None
) -> AsyncIterator[Ledger]:
    """Connect; raises LinkDown. `signer` signs the daily digests."""
    conn = await connect(database_url, "coverage", autocommit=True)
    try:
        yield Ledger(conn, profiles, rules, signer)
    finally:
        await conn.close()
