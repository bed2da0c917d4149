"""The ledger of findings. One connection, short transactions; the verdicts come from hub.core.coverage, the facts from hub.store.coverage_facts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from hub.core.coverage import sentences
from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.findings import Finding
from hub.core.coverage.ledger import STALE_AFTER, Held, moves, stated
from hub.core.coverage.rules import Verdict
from hub.model import Micros, to_datetime
from hub.profiles import Profile
from hub.store.coverage_facts import UNCONNECTED, Facts
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import all_rows
from hub.store.session import translated

_SQL = queries("coverage")
_LOCK = 0x636F766572  # "cover": one judge writes at a time


class Ledger:
    """Facts and findings over an autocommit connection of its own. Every method raises LinkDown when the connection is gone."""

    def __init__(self, conn: Connection, profiles: Mapping[str, Profile]) -> None:
        self._conn = conn
        self._facts = Facts(conn, profiles)

    async def subjects(self) -> list[str]:
        """Everything that must be judged: institutions by id, then entries of the register that are not connected."""
        with translated():
            institutions = await (await self._conn.execute(_SQL["institutions"])).fetchall()
            entries = await (await self._conn.execute(_SQL["entries"])).fetchall()
        return [row[0] for row in institutions] + [UNCONNECTED + row[0] for row in entries]

    async def listened(self) -> frozenset[int]:
        """The partitions that somebody listens to. Where nobody does, no device counts as online: the hub is blind there."""
        with translated():
            return await self._facts.listened()

    @asynccontextmanager
    async def judging(self, subjects: Sequence[str]) -> AsyncIterator["Judging"]:
        """One transaction: the facts of `subjects` as they are now, and the place to record what follows from them."""
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                yield Judging(self._conn, await self._facts.of(subjects), subjects)

    async def close_gone(self, at: Micros) -> int:
        """Close the findings of subjects that are judged no more; how many subjects."""
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                gone = [row[0] for row in await (await self._conn.execute(_SQL["gone"])).fetchall()]
                if gone:
                    await Judging(self._conn, (), gone).record((), at)
                    await self._conn.execute(_SQL["forget_checks"], {"subjects": gone})
        return len(gone)


class Judging:
    """An open transaction with the facts of some subjects."""

    def __init__(self, conn: Connection, facts: Sequence[InstitutionFacts], subjects: Sequence[str]) -> None:
        self._conn = conn
        self._subjects = list(subjects)
        self.facts = facts

    async def record(self, findings: Sequence[Finding], at: Micros) -> int:
        """Write what moved since these subjects were last judged, and say so in the change feed; how many verdicts moved."""
        await self._doubt(at)
        rows = await all_rows(self._conn, _SQL["held"], {"subjects": self._subjects})
        held = [
            Held(row["key"], row["subject"], row["rule"], row["basis"], Verdict(row["verdict"]), row["stated"])
            for row in rows
        ]
        moved = moves(held, findings)
        moment = to_datetime(at)
        if moved.closes:
            await self._conn.execute(_SQL["close"], {"keys": [row.key for row in moved.closes], "at": moment})
        if moved.opens:
            opened = [
                {"subject": one.subject, "rule": one.rule.id, "verdict": one.verdict.value, **stated(one)}
                for one in moved.opens
            ]
            await self._conn.execute(_SQL["open"], {"rows": Jsonb(opened), "at": moment})
        if moved.restates:
            restated = [{"key": key, **stated(one)} for key, one in moved.restates]
            await self._conn.execute(_SQL["restate"], {"rows": Jsonb(restated)})
        if moved.turned:
            said = [_said(finding, before, moment) for finding, before in moved.turned]
            await self._conn.execute(_SQL["say"], {"rows": Jsonb(said)})
        judged = [one.subject for one in self.facts]
        await self._conn.execute(_SQL["checked"], {"subjects": judged, "at": moment})
        return len(moved.turned)

    async def _doubt(self, at: Micros) -> None:
        """Where nobody judged for too long (the hub was down), what was compliant is unknown from its last check on: never green on silence."""
        zh, en = sentences.STALE
        since = to_datetime(at - STALE_AFTER)
        asked = {"subjects": self._subjects, "fresh_since": since, "zh": zh, "en": en}
        rows = await all_rows(self._conn, _SQL["unrenewed"], asked)
        if rows:
            await self._conn.execute(_SQL["doubt"], asked | {"keys": [row["key"] for row in rows]})


def _said(finding: Finding, before: Verdict | None, at: datetime) -> dict[str, Any]:
    """A row of the change feed, kind `coverage`."""
    payload = {
        "subject": finding.subject,
        "rule": finding.rule.id,
        "clause_id": finding.rule.clause_id,
        "basis": finding.basis.value,
        "from": None if before is None else before.value,
        "to": finding.verdict.value,
        "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "sentence": {"zh": finding.sentence_zh, "en": finding.sentence_en},
    }
    return {"subject": finding.subject, "payload": payload}


@asynccontextmanager
async def open_ledger(database_url: str, profiles: Mapping[str, Profile]) -> AsyncIterator[Ledger]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "coverage", autocommit=True)
    try:
        yield Ledger(conn, profiles)
    finally:
        await conn.close()
