"""The judge: it reads ledgers and the database and nothing else, and says in one line what became of every value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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
    where produced <> stored + suppressed + events + beats + duplicates + quarantined
"""
_OCCURRENCES = "select coalesce(sum(occurrences), 0), count(*) from alarm where definition = 'pressed'"
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

    @property
    def ok(self) -> bool:
        """Whether every promise was kept, and the run proved something."""
        wrong = (self.lost, self.unstored, self.doubled, self.invented, self.unbalanced)
        return self.confirmed > 0 and not any((*wrong, self.quarantined, self.miscounted))

    def __str__(self) -> str:
        extra = "".join(
            f", {name} {getattr(self, name)}"
            for name in ("unstored", "invented", "unbalanced", "quarantined", "miscounted")
            if getattr(self, name)
        )
        return (
            f"{self.kills} kills, produced {self.produced}, confirmed {self.confirmed}, "
            f"lost {self.lost}, doubled {self.doubled}{extra}, seed {self.seed}"
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
    )


def read_database(connection: psycopg.Connection[Any]) -> tuple[Counter[Value], dict[str, int]]:
    """How often each value is stored, and what else there is to know."""
    with connection.transaction():
        rows = connection.execute(_STORED).fetchall()
        (unbalanced,) = connection.execute(_UNBALANCED).fetchone() or (0,)
        (quarantined,) = connection.execute("select count(*) from quarantine").fetchone() or (0,)
        occurrences, alarms = connection.execute(_OCCURRENCES).fetchone() or (0, 0)
    stored = Counter({Value(device, point, number): count for device, point, number, count in rows})
    presses = sum(count for value, count in stored.items() if value.device == ALARMING and value.point == "press")
    miscounted = abs(int(occurrences) - presses) + max(0, alarms - 1)
    return stored, {"unbalanced": unbalanced, "quarantined": quarantined, "miscounted": miscounted}


def check(database_url: str, ledger: Ledger, kills: int = 0, seed: int = 0) -> Report:
    """What the database says about the ledger at this moment."""
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        stored, more = read_database(connection)
    return judge(ledger, stored, kills, seed, **more)
