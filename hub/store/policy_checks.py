"""All policies checked together: what is judged, what was found, and when anybody last looked. The judging is hub.core.reachability's.

What was found stays in the database, so that neither a restart nor a dead loop makes it green: `state` says how old it is and whether
something has changed since.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

from psycopg.types.json import Jsonb

from hub.core.policy_alarms import UNCHECKED, UNREACHED, unchecked, wanted
from hub.core.reach import Way
from hub.core.reachability import Duty, Finding, Person, Site
from hub.model import DayKind, Priority, SignalClass, to_datetime, to_micros
from hub.profiles import Profile
from hub.store import duty, hub_alarms, policies
from hub.store.duty import Cursor
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_SQL = queries("policy_checks")
_LOCK = 0x616E78696E02
MOST_FINDINGS = 2_000
"""that are kept; all of them are counted"""

Alarms = Mapping[str, Sequence[tuple[SignalClass, Priority]]]
"""what the devices of a profile can raise, by profile"""


class State(NamedTuple):
    """The last check. `problem` says why the one after it failed; `checked_at` None: there was none yet."""

    checked_at: datetime | None
    horizon_until: datetime | None
    errors: int
    warnings: int
    problem: str
    is_current: bool
    """nothing that it was made of has changed since"""
    is_overdue: bool
    """nobody has looked for more than a day"""
    now: datetime


class Facts(NamedTuple):
    """What a check is made of: as it was at `now`, and the `basis` by which a later change is seen."""

    duty: Duty
    sites: tuple[Site, ...]
    now: datetime
    basis: str
    homes: Mapping[str, str | None]
    """the division of each policy"""
    parents: Mapping[str, str | None]
    """each division's own"""


async def load_duty(cur: Cursor, since: datetime | None = None) -> Duty:
    """Policies, rotas with the overrides that are not over at `since`, people with their live channels, and the calendar."""
    people = {
        responder.id: Person(tuple(Way(c.id, c.kind) for c in responder.channels), responder.manned)
        for responder in await policies.load_responders(cur)
    }
    rotas = await duty.load_rotas(cur, since)
    return Duty(await policies.load_policies(cur), rotas, people, await duty.load_calendar(cur))


async def load_sites(cur: Cursor, alarms: Alarms) -> tuple[Site, ...]:
    """Every institution with an urgent device, with what its devices can raise: one device of a profile stands for all of that profile."""
    await cur.execute(_SQL["sites"])
    sites = []
    for name, group in groupby(await cur.fetchall(), key=lambda row: str(row[0])):
        rows = list(group)
        raised = tuple((row[5], *alarm) for row in rows for alarm in alarms.get(row[4], ()))
        sites.append(Site(name, rows[0][1], rows[0][2], tuple(rows[0][3]), raised))
    return tuple(sites)


async def load_state(conn: Connection) -> State:
    """What is known of the last check."""
    row = await one_row(conn, _SQL["state"])
    assert row is not None, "policy_check has no row: the database is not migrated"
    return State(**row)


async def load_findings(conn: Connection, policy_ids: Sequence[str] | None = None, limit: int = 500) -> list[Row]:
    """What the last check found, errors first; of these policies, or of all and of institutions that none covers."""
    given = {"policies": None if policy_ids is None else list(policy_ids), "limit": limit}
    return await all_rows(conn, _SQL["findings"], given)


async def seed_calendars(conn: Connection, years: Iterable[tuple[int, str, Mapping[date, DayKind]]]) -> None:
    """Add the years that the hub is shipped with, where nobody has imported them yet."""
    for year, notice, days in years:
        await conn.execute(_SQL["seed_year"], _year(year, notice, days, "anxin"))


async def put_calendar(conn: Connection, year: int, notice: str, days: Mapping[date, DayKind], actor: str) -> bool:
    """Import a year's days off; whether anything is different by it."""
    found = await conn.execute(_SQL["put_year"], _year(year, notice, days, actor))
    return found.rowcount > 0


def _year(year: int, notice: str, days: Mapping[date, DayKind], actor: str) -> dict[str, object]:
    named = {day.isoformat(): kind.value for day, kind in sorted(days.items())}
    return {"year": year, "notice": notice, "days": Jsonb(named), "actor": actor}


async def load_years(conn: Connection) -> list[Row]:
    """The years that are known, with their notices."""
    return await all_rows(conn, _SQL["years"])


class Checker:
    """The connection of whoever checks all policies. Every method raises LinkDown when it is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def state(self) -> State:
        """What is known of the last check."""
        with translated():
            return await load_state(self._conn)

    async def seed(self, years: Iterable[tuple[int, str, Mapping[date, DayKind]]]) -> None:
        """`seed_calendars`."""
        with translated():
            await seed_calendars(self._conn, years)

    async def facts(self, alarms: Alarms) -> Facts:
        """What is to be judged, as it is at one instant."""
        with translated():
            async with self._conn.transaction(), self._conn.cursor() as cur:
                await cur.execute("set transaction isolation level repeatable read")
                await cur.execute(_SQL["now"])
                row = await cur.fetchone()
                await cur.execute(_SQL["basis"])
                basis = await cur.fetchone()
                assert row is not None
                assert basis is not None
                found = await load_duty(cur, row[0]), await load_sites(cur, alarms), row[0], str(basis[0])
                return Facts(*found, await hub_alarms.homes(self._conn), await hub_alarms.parents(self._conn))

    async def record(self, findings: Sequence[Finding], facts: Facts, until: datetime, profile: Profile | None) -> None:
        """Keep what was found, say so on the change feed, and have the alarms stand that it makes, by the profile that says what they are: all of
        it or nothing.
        """
        errors = sum(finding.severity == "error" for finding in findings)
        kept = sorted(findings, key=lambda finding: finding.severity)[:MOST_FINDINGS]
        rows = [
            {
                "policy": one.policy,
                "code": one.code,
                "severity": one.severity,
                "zh": one.zh,
                "en": one.en,
                "since": None if one.since is None else to_datetime(one.since).isoformat(),
                "until": None if one.until is None else to_datetime(one.until).isoformat(),
            }
            for one in kept
        ]
        counts = {"errors": errors, "warnings": len(findings) - errors}
        alarms = wanted(facts.duty, facts.sites, findings, facts.homes, facts.parents)
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                await self._conn.execute(_SQL["forget"])
                await self._conn.execute(_SQL["remember"], {"rows": Jsonb(rows)})
                await self._conn.execute(_SQL["looked"], {**counts, "until": until, "basis": facts.basis})
                await self._conn.execute(_SQL["say"], {"payload": Jsonb(counts)})
                if profile is not None:
                    now = to_micros(facts.now)
                    await hub_alarms.settle(self._conn, profile, UNREACHED, alarms, now)
                    await hub_alarms.settle(self._conn, profile, UNCHECKED, [], now)

    async def fail(self, problem: str, profile: Profile | None) -> None:
        """Keep why a check could not be made; an alarm stands until one can."""
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["lock"], {"key": _LOCK})
                await self._conn.execute(_SQL["failed"], {"problem": problem[:500]})
                if profile is not None:
                    row = await one_row(self._conn, _SQL["now"])
                    assert row is not None
                    alarms = unchecked(problem, await hub_alarms.parents(self._conn))
                    await hub_alarms.settle(self._conn, profile, UNCHECKED, alarms, to_micros(row["now"]))


@asynccontextmanager
async def open_checker(database_url: str) -> AsyncIterator[Checker]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "duty-watch", autocommit=True)
    try:
        yield Checker(conn)
    finally:
        await conn.close()
