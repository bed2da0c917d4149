"""Rows of the ledger as the core's values, and the core's values as rows. In the caller's transaction; set-wise, what is new by COPY."""

import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from psycopg import sql
from psycopg.types.json import Jsonb

from hub.core.coverage import canonical, chain
from hub.core.coverage.chain import Entry, Head
from hub.core.coverage.ledger import STALE_AFTER, Held, Moved, Row, Span, Turned, begins
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.rules import Verdict
from hub.core.coverage.snapshot import Snapshot, from_plain, steady
from hub.core.coverage.statements import Said, Statement, iso
from hub.errors import BadInput
from hub.model import Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store import rows
from hub.store.fact_rows import ODD
from hub.store.late import Late, Spans, late_of
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import all_rows

_SQL = queries("ledger")
_log = structlog.get_logger(__name__)

MOST_SPANS = 2000
"""of one subject in one judgement: what comes later than so many changes of facts amends only the newest of them"""
FAST = 1
"""how hard facts are deflated: a third of the time of the usual, for a sixth more room (measured)"""
MOST_TEXT = 16 << 20
"""bytes of one text of facts or packs; an institution of 300 devices takes 0.15 MB"""


def inflate(body: bytes) -> bytes:
    """The text of facts or packs; raises BadInput where it is none, or too long."""
    try:
        reader = zlib.decompressobj()
        text = reader.decompress(body, MOST_TEXT)
    except zlib.error:
        raise BadInput("is not deflated text", "ledger", code="ledger") from None
    if reader.unconsumed_tail or not reader.eof:
        raise BadInput("is longer than any facts are, or cut off", "ledger", code="ledger")
    return text


async def held_of(
    conn: Connection, rules: Rulebook, fresh: Mapping[str, Snapshot | None], at: Micros, profiles: Mapping[str, Profile]
) -> dict[str, Held]:
    """What is held of these subjects, as far back as recording `fresh` at `at` needs, with what came late of silences that have ended (`late`).

    One whose rows cannot be read is left out, loudly. `profiles`: those of devices, by name.
    """
    subjects = list(fresh)
    heads = {row["subject"]: row for row in await all_rows(conn, _SQL["heads"], {"subjects": subjects})}
    spans: dict[str, list[Span]] = {subject: [] for subject in subjects}
    unreadable: set[str] = set()
    await _read_spans(conn, rules, await all_rows(conn, _SQL["open_spans"], {"subjects": subjects}), spans, unreadable)

    async def read(found: Iterable[rows.Row]) -> None:
        await _read_spans(
            conn, rules, found, spans, set()
        )  # what cannot be read there ends the look back, and nothing else

    came_late = await _late_of(conn, profiles, spans, fresh, at, read)
    held = {}
    for subject, head in heads.items():
        checked = None if head["checked_at"] is None else to_micros(head["checked_at"])
        known = 0 if head["dated"] is None else to_micros(head["dated"])
        newest = [span for span in spans[subject] if span.end is None]
        came = came_late.get(subject, Late((), frozenset()))
        held[subject] = Held(subject, newest, (), checked, known, late=came.observed, arriving=came.arriving)
    since = {subject: _since(held[subject], one, at) for subject, one in fresh.items()}
    earlier = [s for s in subjects if not held[s].spans or since[s] < held[s].spans[0].start]
    asked = {"subjects": earlier, "since": [to_datetime(since[s]) for s in earlier], "most": MOST_SPANS}
    if earlier:
        await _read_spans(conn, rules, await all_rows(conn, _SQL["past_spans"], asked), spans, unreadable)
    found: dict[str, list[Row]] = {subject: [] for subject in subjects}
    asked = {"subjects": subjects, "since": [to_datetime(since[s]) for s in subjects]}
    for row in await all_rows(conn, _SQL["rows"], asked):
        found[row["subject"]].append(_row(row))
    for subject, one in held.items():
        ordered = sorted(found[subject], key=lambda row: (row.rule, row.start))
        held[subject] = one._replace(spans=sorted(spans[subject], key=lambda span: span.start), rows=ordered)
    return await _with_statements(conn, {s: one for s, one in held.items() if s not in unreadable}, at)


async def _late_of(
    conn: Connection,
    profiles: Mapping[str, Profile],
    spans: Spans,
    fresh: Mapping[str, Snapshot | None],
    at: Micros,
    read: Callable[[Sequence[rows.Row]], Awaitable[None]],
) -> dict[str, Late]:
    """As `late_of`; one of whom something there cannot be understood has nothing amended, and costs no other one."""
    try:
        async with conn.transaction():
            return await late_of(conn, profiles, spans, fresh, at, read)
    except ODD as error:
        subjects = list(fresh)
        if len(subjects) == 1:
            _log.error("coverage.unreadable", subject=subjects[0], where="what came late", error=str(error)[:300])
            return {}
        half = len(subjects) // 2
        found: dict[str, Late] = {}
        for part in (subjects[:half], subjects[half:]):
            found |= await _late_of(conn, profiles, spans, {one: fresh[one] for one in part}, at, read)
        return found


def _since(held: Held, fresh: Snapshot | None, at: Micros) -> Micros:
    if fresh is None:
        return at if held.checked_at is None else min(at, held.checked_at)
    return begins(held, fresh, at, held.late)


async def _read_spans(
    conn: Connection, rules: Rulebook, found: Iterable[rows.Row], into: dict[str, list[Span]], unreadable: set[str]
) -> None:
    known = {span.key for spans in into.values() for span in spans}
    for row in found:
        if row["key"] in known:
            continue
        where = f"facts of {row['subject']} from {row['true_from']:%Y-%m-%dT%H:%M:%SZ}"
        try:
            if not rules.knows(row["packs"]):
                await _learn(conn, rules, row["packs"])
            kept = from_plain(json.loads(inflate(row["body"])), where)
        except (BadInput, ValueError) as error:
            # an older hub wrote what this one cannot read, or somebody changed it: nobody judges, so it goes stale and is shown unknown
            _log.error("coverage.unreadable", subject=row["subject"], where=where, error=str(error))
            unreadable.add(row["subject"])
            continue
        end = None if row["true_to"] is None else to_micros(row["true_to"])
        into[row["subject"]].append(
            Span(to_micros(row["true_from"]), end, kept, row["packs"], row["key"], row["facts"])
        )


async def _learn(conn: Connection, rules: Rulebook, packs: bytes) -> None:
    row = await rows.one_row(conn, _SQL["packs"], {"hash": packs})
    assert row is not None, "a foreign key holds it"
    try:
        rules.learn(packs, inflate(row["body"]))
    except BadInput as error:
        _log.warning("coverage.packs_unreadable", packs=packs.hex()[:12], error=str(error))


async def _with_statements(conn: Connection, held: dict[str, Held], at: Micros) -> dict[str, Held]:
    """What the green rows say of those subjects that nobody judged for long: it will be doubted."""
    old = {s: one for s, one in held.items() if one.checked_at is not None and one.checked_at < at - STALE_AFTER}
    hashes = {row.said.statement for one in old.values() for row in one.rows if row.said.verdict == Verdict.COMPLIANT}
    if not hashes:
        return held
    said = {row.pop("hash"): row for row in await all_rows(conn, _SQL["statements"], {"hashes": list(hashes)})}
    return held | {s: one._replace(statements=said) for s, one in old.items()}


_SAID = ("basis", "module", "verdict", "reason", "plan_not_signed", "statement", "essence", "facts", "packs")


def _row(row: rows.Row) -> Row:
    judged_at = None if row["judged_at"] is None else to_micros(row["judged_at"])
    said = Said(**{key: row[key] for key in _SAID}, judged_at=judged_at)
    end = None if row["true_to"] is None else to_micros(row["true_to"])
    since = to_micros(row["verdict_since"])
    return Row(row["rule"], to_micros(row["true_from"]), end, since, said, row["key"], row["hash"])


class Writing:
    """Writes what moved of some subjects, each as the next entry of its chain."""

    def __init__(self, conn: Connection, rules: Rulebook) -> None:
        self._conn = conn
        self._rules = rules
        self._entries: list[tuple[Any, ...]] = []
        self._judgements: list[tuple[Any, ...]] = []
        self._findings: list[tuple[Any, ...]] = []
        self._ends: list[tuple[int, int, datetime]] = []
        self._ends_judgements: list[tuple[int, int, datetime]] = []

    async def write(self, moved: Mapping[str, Moved]) -> int:
        """Everything in one go; how many verdicts turned, each of which the change feed says."""
        moved = {subject: one for subject, one in moved.items() if not one.is_empty}
        if not moved:
            return 0
        for row in await all_rows(self._conn, _SQL["heads"], {"subjects": list(moved)}):
            head = Head() if row["n"] is None else Head(row["n"], row["hash"], to_micros(row["known_from"]))
            self._enter(row["subject"], row["institution"], head, moved[row["subject"]])
        await self._shelve(moved.values())
        for name, ends in (("end_findings", self._ends), ("end_judgements", self._ends_judgements)):
            if ends:
                keys, entries, at = zip(*ends, strict=True)
                await self._conn.execute(_SQL[name], {"keys": list(keys), "entries": list(entries), "at": list(at)})
        await self._copy("copy_entries", self._entries)
        await self._copy("copy_judgements", self._judgements)
        await self._copy("copy_findings", self._findings)
        told = [_change(subject, one, moved[subject]) for subject in moved for one in moved[subject].turned]
        if told:
            await self._conn.execute(_SQL["say"], {"rows": Jsonb(told)})
        return len(told)

    def _enter(self, subject: str, institution: int | None, head: Head, moved: Moved) -> None:
        n, at, shelf = head.n + 1, to_datetime(moved.at), moved.shelf
        filing = None if institution is not None else subject.partition(":")[2]
        added, judged = [], []
        for row in moved.adds:
            content = chain.row_content(subject, row)
            hash = canonical.digest(content)
            added.append(hash.hex())
            said = row.said
            times = (_moment(said.judged_at), to_datetime(row.start), _moment(row.end), to_datetime(row.verdict_since))
            told = (said.basis, said.module, said.verdict, said.reason, said.plan_not_signed, said.statement)
            rests = (said.essence, said.facts, said.packs)
            self._findings.append((subject, institution, filing, n, row.rule, *told, *rests, *times, at, hash))
        for span in moved.adds_spans:
            facts = shelf.keep(span.kept)
            judged.append(canonical.digest(chain.span_content(subject, span, facts)).hex())
            period = (to_datetime(span.start), _moment(span.end))
            self._judgements.append((subject, n, facts, span.packs, steady(span.kept), *period, at))
        ends = [f"before:{row.key}" if row.hash is None else row.hash.hex() for row in moved.ends]
        gone = [canonical.digest(chain.span_content(subject, span, span.facts)).hex() for span in moved.ends_spans]
        entry = Entry(subject, n, moved.at, added, judged, ends, gone)
        self._entries.append((subject, n, at, head.hash, entry.hash(head.hash)))
        self._ends += [(row.key, n, at) for row in moved.ends if row.key is not None]
        self._ends_judgements += [(span.key, n, at) for span in moved.ends_spans if span.key is not None]

    async def _shelve(self, moved: Iterable[Moved]) -> None:
        """The texts that are named and not yet kept."""
        named = {row[10] for row in self._findings} | {row[2] for row in self._judgements}
        named |= {row[12] for row in self._findings} | {self._rules.current}
        facts: dict[bytes, bytes] = {}
        statements: dict[bytes, Statement] = {}
        for one in moved:
            facts |= one.shelf.facts
            statements |= one.shelf.statements
        hashes = {"hashes": [one for one in named if one is not None]}
        known = {row["hash"] for row in await all_rows(self._conn, _SQL["known_hashes"], hashes)}
        named -= known
        new = [(name, zlib.compress(text, FAST)) for name, text in facts.items() if name in named]
        await self._copy("copy_facts", new)
        said = [(name, one) for name, one in statements.items() if name in named]
        await self._copy("copy_statements", [(name, *one[:6]) for name, one in said])
        if self._rules.current not in known:
            await self._copy("copy_packs", [(self._rules.current, zlib.compress(self._rules.body))])

    async def _copy(self, name: str, given: Sequence[tuple[Any, ...]]) -> None:
        if not given:
            return
        async with self._conn.cursor() as cursor, cursor.copy(_statement(name)) as copy:
            for row in given:
                await copy.write_row(row)


def _statement(name: str) -> sql.SQL:
    return _SQL[name]


def _moment(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)


def _change(subject: str, one: Turned, moved: Moved) -> dict[str, Any]:
    """A row of the change feed, kind `coverage`."""
    content = moved.shelf.statements[one.said.statement]
    payload = {
        "subject": subject,
        "rule": one.rule,
        "clause_id": content.clause_id,
        "basis": one.said.basis,
        "module": one.said.module,
        "from": one.before,
        "to": one.said.verdict,
        "at": iso(one.since),
        "sentence": {"zh": content.sentence_zh, "en": content.sentence_en},
    }
    return {"subject": subject, "payload": payload}
