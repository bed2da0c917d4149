"""The judge: it reads ledgers and the database and nothing else, and says in one line what became of every value."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from tests.faults.ledger import Ledger, Value

_STORED = """
select d.id, s.point, r.value::bigint, count(*) from reading r
    join series s on s.key = r.series_id join device d on d.key = s.device where s.point = 'level' group by 1, 2, 3
union all
select d.id, e.point, e.value::bigint, count(*) from event e
    join device d on d.key = e.device where e.point = 'press' group by 1, 2, 3
"""
_UNBALANCED = """
select count(*) from stream_tally
    where produced <> stored + suppressed + events + beats + duplicates + quarantined + dropped or missing + surplus > 0
"""
_OCCURRENCES = "select coalesce(sum(occurrences), 0), count(*) from alarm where definition = 'pressed'"
_PAGES = "select id::text, alarm::text, round, step, repetition, state from notification"
_SENT_AS = "select id::text from sent_as"
"""keys of pages that the standby sent by a press that is not the alarm's first here: it had not heard that"""
_OVERDUE = """
select (select count(*) from escalation_step where state = 'due' and due_at < now() - interval '5 seconds')
     + (select count(*) from notification where state = 'pending' and created_at < now() - interval '5 seconds')
"""
ALARMING = "bare-u"
"""each of its presses is an occurrence of one latched alarm that nobody acknowledges"""


@dataclass(frozen=True)
class Report:
    """What became of everything."""

    kills: int
    seed: int
    produced: int
    confirmed: int
    lost: int
    """promised, and not stored"""
    unstored: int
    """sent, never promised, and not stored: still owed"""
    doubled: int
    invented: int
    """stored, and never sent"""
    unbalanced: int
    """streams and hours whose tally does not add up"""
    quarantined: int
    miscounted: int
    """occurrences of the alarm more or less than presses stored, and alarms beyond the one"""

    paged: int = 0
    """notifications that were sent"""
    mispaged: int = 0
    """sent and never received, received and never written, steps left out"""
    overdue: int = 0
    pages: tuple[str, ...] = ()
    """each page that is wrong"""

    @property
    def owed(self) -> int:
        """What is still to come when nobody is killed any more."""
        return self.lost + self.unstored + self.overdue

    @property
    def ok(self) -> bool:
        """Whether every promise was kept, and the run proved something."""
        wrong = (self.lost, self.unstored, self.doubled, self.invented, self.unbalanced)
        return self.confirmed > 0 and not any((*wrong, self.quarantined, self.miscounted, self.mispaged, self.overdue))

    def __str__(self) -> str:
        extra = "".join(
            f", {name} {getattr(self, name)}"
            for name in (
                "paged",
                "mispaged",
                "overdue",
                "unstored",
                "invented",
                "unbalanced",
                "quarantined",
                "miscounted",
            )
            if getattr(self, name)
        )
        return (
            f"{self.kills} kills, produced {self.produced}, confirmed {self.confirmed}, "
            f"lost {self.lost}, doubled {self.doubled}{extra}, seed {self.seed}"
            + "".join(f"\n{page}" for page in self.pages)
        )


def judge(ledger: Ledger, stored: Mapping[Value, int], kills: int = 0, seed: int = 0, **more: int) -> Report:
    """Pure: the ledger against how often each value is stored."""
    missing = {value for value in ledger.sent if stored.get(value, 0) == 0}
    return Report(
        kills=kills,
        seed=seed,
        produced=len(ledger.sent),
        confirmed=len(ledger.promised),
        lost=len(missing & ledger.promised),
        unstored=len(missing - ledger.promised),
        doubled=sum(count > 1 for count in stored.values()),
        invented=sum(value not in ledger.sent for value in stored),
        unbalanced=more.get("unbalanced", 0),
        quarantined=more.get("quarantined", 0),
        miscounted=more.get("miscounted", 0),
        paged=more.get("paged", 0),
        mispaged=more.get("mispaged", 0),
        overdue=more.get("overdue", 0),
    )


def mispaged(pages: Iterable[tuple[str, str, int, int, int, str]], received: Set[str]) -> list[str]:
    """Pages against what the sink was sent, a line for each that is wrong; each row is id, alarm, round, step, repetition, state."""
    rows = list(pages)
    steps: dict[tuple[str, int, int], set[int]] = defaultdict(set)
    for _, alarm, round_, step, repetition, _ in rows:
        steps[alarm, round_, step].add(repetition)
    left_out = [
        f"left out: round {round_}, step {step}, repetition {repetition}"
        for (_, round_, step), found in steps.items()
        for repetition in sorted(set(range(max(found))) - found)
    ]
    unreceived = [f"not received: {row}" for row in rows if row[5] == "sent" and row[0] not in received]
    return left_out + unreceived + [f"not written: {id_}" for id_ in sorted(received - {row[0] for row in rows})]


def read_database(
    connection: psycopg.Connection[Any], received: Set[str]
) -> tuple[Counter[Value], dict[str, int], list[str]]:
    """How often each value is stored, and what else there is to know. The sink's ledger must have been read before: its pages are here then."""
    with connection.transaction():
        rows = connection.execute(_STORED).fetchall()
        (unbalanced,) = connection.execute(_UNBALANCED).fetchone() or (0,)
        (quarantined,) = connection.execute("select count(*) from quarantine").fetchone() or (0,)
        occurrences, alarms = connection.execute(_OCCURRENCES).fetchone() or (0, 0)
        (overdue,) = connection.execute(_OVERDUE).fetchone() or (0,)
        pages = connection.execute(_PAGES).fetchall()
        received = received - {key for (key,) in connection.execute(_SENT_AS)}
    stored = Counter({Value(device, point, number): count for device, point, number, count in rows})
    wrong = mispaged(pages, received)
    presses = sum(count for value, count in stored.items() if value.device == ALARMING and value.point == "press")
    return (
        stored,
        {
            "unbalanced": unbalanced,
            "quarantined": quarantined,
            "miscounted": abs(int(occurrences) - presses) + max(0, alarms - 1),
            "overdue": overdue,
            "paged": sum(page[5] == "sent" for page in pages),
            "mispaged": len(wrong),
        },
        wrong,
    )


def check(database_url: str, ledger: Ledger, received: Set[str] = frozenset(), kills: int = 0, seed: int = 0) -> Report:
    """What the database says about the ledgers at this moment."""
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        connection.execute("set transaction isolation level repeatable read")
        stored, more, wrong = read_database(connection, received)
    return replace(judge(ledger, stored, kills, seed, **more), pages=tuple(wrong))
