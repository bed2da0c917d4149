"""The field's judge: spools, ledgers and the database, and nothing else. Conservation on every stream, exactly.

What an edge's spool took (its own count) must be what the hub counted plus what still waits; each hour of each stream must add up with
nothing missing and nothing surplus; what the tallies call stored must be the rows that stand there; and what pushing devices wrote into
their ledgers must be among them.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tests.faults.ledger import Ledger, Value

FATES = ("stored", "suppressed", "events", "beats", "duplicates", "quarantined", "dropped")
_HOURS = f"""
select stream, produced, {", ".join(FATES)}, missing, surplus from stream_tally
"""
_STREAMS = "select stream, client, upto, counted, given from stream"
_LAMPS = """
select d.id, s.point, r.value::bigint, count(*) from reading r
    join series s on s.key = r.series_id join device d on d.key = s.device where s.point = 'level' group by 1, 2, 3
"""
_PARTS = """
select distinct d.id, split_part(s.instance, '-', 2)::bigint from reading r
    join series s on s.key = r.series_id join device d on d.key = s.device
    where s.point in ('fire', 'fault') and s.instance <> '' and r.value = 1
"""


class Spooled(NamedTuple):
    """One lane of one edge's spool."""

    stream: str
    items: int
    """given numbers since the stream began"""
    waiting: Mapping[int, int]
    """items by number, of what was not confirmed to the edge"""


class Counted(NamedTuple):
    """One stream as the hub has it."""

    client: str
    upto: int
    counted: int | None
    given: int | None


Hour = Mapping[str, Any]


@dataclass
class Balance:
    """What became of everything; `wrong` is empty or the run has failed."""

    streams: int = 0
    produced: int = 0
    """by the edges' own count"""
    fates: dict[str, int] = field(default_factory=dict)
    in_spool: int = 0
    left_behind: int = 0
    """streams that no spool has any more, of which everything has come"""
    sent: int = 0
    promised: int = 0
    gaps: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all adds up, and the run proved something."""
        return not self.wrong and self.produced > 0 and self.promised > 0

    def lines(self) -> list[str]:
        """For people."""
        fates = ", ".join(f"{name} {count}" for name, count in self.fates.items())
        gaps = ", ".join(f"{count} {cause}" for cause, count in sorted(self.gaps.items())) or "none"
        return [
            f"{self.streams} streams: produced {self.produced} = {fates}, in the spools {self.in_spool}"
            + (f"; {self.left_behind} streams left behind" if self.left_behind else ""),
            f"pushed {self.sent}, promised {self.promised}; gaps noted: {gaps}",
            *(f"WRONG: {line}" for line in self.wrong[:20]),
        ]

    def document(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {"ok": self.ok}


def weigh(
    spools: Iterable[Spooled], streams: Mapping[str, Counted], hours: Iterable[Hour], rows: Mapping[str, int]
) -> Balance:
    """Pure: the spools against the hub's counts, and the counts against its rows."""
    found = Balance(fates=dict.fromkeys(FATES, 0))
    produced: Counter[str] = Counter()
    for hour in hours:
        produced[hour["stream"]] += hour["produced"]
        for name in FATES:
            found.fates[name] += hour[name]
        if hour["missing"] or hour["surplus"]:
            found.wrong.append(f"{hour['stream']}: {hour['missing']} missing, {hour['surplus']} surplus")
        if hour["produced"] != sum(hour[name] for name in FATES):
            found.wrong.append(f"{hour['stream']}: an hour does not add up: {dict(hour)}")
    of_edges = set()
    for spooled in spools:
        of_edges.add(spooled.stream)
        found.streams += 1
        found.produced += spooled.items
        hub = streams.get(spooled.stream, Counted("", 0, 0, 0))
        waiting = sum(items for seq, items in spooled.waiting.items() if seq > hub.upto)
        found.in_spool += waiting
        if hub.counted is None or spooled.items != hub.counted + waiting:
            found.wrong.append(f"{spooled.stream}: took {spooled.items}, hub {hub.counted}, waiting {waiting}")
    for stream, hub in streams.items():
        if hub.counted != produced[stream]:
            found.wrong.append(f"{stream}: counted {hub.counted}, tallied {produced[stream]}")
        if stream in of_edges:
            continue
        # left behind: one that was in memory while a disk was too slow, and then of nothing but what has come
        found.left_behind += 1
        found.produced += hub.counted or 0
        if hub.given != hub.counted:
            found.wrong.append(
                f"{stream} of {hub.client}: no spool has it any more, {hub.given} given, {hub.counted} came"
            )
    for name in ("stored", "events"):
        if found.fates[name] != rows[name]:
            found.wrong.append(f"{found.fates[name]} {name} by the tallies, {rows[name]} rows")
    return found


def hold_against(found: Balance, ledger: Ledger, stored: Mapping[Value, int]) -> Balance:
    """What devices pushed must be stored, once where it is a number that is never repeated."""
    found.sent, found.promised = len(ledger.sent), len(ledger.promised)
    missing = {value for value in ledger.sent if stored.get(value, 0) == 0}
    doubled = [value for value, count in stored.items() if count > 1]
    invented = [value for value in stored if value not in ledger.sent]
    for what, values in (
        ("promised and lost", missing & ledger.promised),
        ("sent and not stored", missing - ledger.promised),
        ("stored twice", doubled),
        ("never sent", invented),
    ):
        if values:
            found.wrong.append(f"{len(values)} {what}, such as {sorted(values)[0]}")
    return found


def read_spool(folder: Path) -> list[Spooled]:
    """Both lanes of a spool; its edge may run."""
    with sqlite3.connect(f"file:{folder / 'spool.db'}?mode=ro", uri=True, timeout=10) as spool:
        lanes = spool.execute("select lane, stream, items from stream").fetchall()
        waiting = {
            lane: dict(spool.execute("select seq, items from message where lane = ?", (lane,))) for lane, _, _ in lanes
        }
    spool.close()
    return [Spooled(stream, items, waiting[lane]) for lane, stream, items in lanes]


def stored_values(connection: psycopg.Connection[Any]) -> dict[Value, int]:
    """How often each lamp's number is stored, and that a panel's part is."""
    stored = {Value(device, point, n): count for device, point, n, count in connection.execute(_LAMPS)}
    return stored | {Value(device, "part", n): 1 for device, n in connection.execute(_PARTS)}


def check(database_url: str, spools: Iterable[Path], ledger: Ledger) -> Balance:
    """At a moment when nothing moves any more."""
    taken = [lane for folder in spools for lane in read_spool(folder)]
    with psycopg.connect(database_url, connect_timeout=10) as connection:
        connection.execute("set transaction isolation level repeatable read")
        streams = {row[0]: Counted(*row[1:]) for row in connection.execute(_STREAMS)}
        names = ("stream", "produced", *FATES, "missing", "surplus")
        hours = [dict(zip(names, row, strict=True)) for row in connection.execute(_HOURS)]
        rows = {}
        for name, table in (("stored", "reading"), ("events", "event")):
            (rows[name],) = connection.execute(f"select count(*) from {table}").fetchone() or (0,)
        found = weigh(taken, streams, hours, rows)
        found.gaps = dict(connection.execute("select cause, count(*) from gap group by 1").fetchall())
        return hold_against(found, ledger, stored_values(connection))
