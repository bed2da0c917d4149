"""The facts of the fire-risk score, as they are now: detectors, doors, measured values, alarms, attestations. Read set-wise, for many at a time.

And the book of what the scores were (table fire_risk).
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg.types.json import Jsonb

from hub.core.commissioning import last_proofs
from hub.core.coverage.facts import DeviceFact, ZoneFact
from hub.core.fire_facts import DETECTING, FireFacts, Limits, LiveAlarm, Measured, Weights
from hub.core.fire_risk import Risk
from hub.core.rights import EVERYTHING, Scope
from hub.core.rota import Calendar
from hub.errors import NotFound
from hub.model import AdminState, FunctionState, LinkState, Micros, SignalClass, to_micros
from hub.profiles import Profile
from hub.store import duty, hours
from hub.store.coverage_facts import Facts
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_SQL = queries("fire_risk")
_UNITS = frozenset({"°C", "W", "%LEL"})
_BAD = 100
"""qualities from here on are bad"""
_AT_ONCE = 200
"""institutions read by one round of statements"""
_LOCK = 0x66697265  # "fire": one process keeps the book


class Place(NamedTuple):
    """A subject: an institution, or an entry of the register that is not connected (`institution` is None)."""

    subject: str
    institution: str | None
    division: str
    type: str
    title_zh: str
    title_en: str


async def one(
    conn: Connection, scope: Scope, subject: str, profiles: Mapping[str, Profile], limits: Limits, at: datetime
) -> tuple[Place, FireFacts]:
    """The facts of one subject; raises NotFound outside the scope."""
    rows = await _places(conn, scope, None, subject)
    if not rows:
        raise NotFound(f"there is no institution {subject!r}")
    [found] = await _read(conn, rows, profiles, limits, await _days(conn), at)
    return _place(rows[0]), found


async def many(
    conn: Connection, scope: Scope, division: str | None, profiles: Mapping[str, Profile], limits: Limits, at: datetime
) -> AsyncIterator[tuple[Place, FireFacts]]:
    """The facts of every subject within the scope and the division, read some hundred at a time: nobody else waits for the whole."""
    places = await _places(conn, scope, division, None)
    days = await _days(conn)
    for n in range(0, len(places), _AT_ONCE):
        rows = places[n : n + _AT_ONCE]
        for row, facts in zip(rows, await _read(conn, rows, profiles, limits, days, at), strict=True):
            yield _place(row), facts


async def _days(conn: Connection) -> Calendar:
    async with conn.cursor() as cursor:
        return await duty.load_calendar(cursor)


async def _places(conn: Connection, scope: Scope, division: str | None, subject: str | None) -> list[Row]:
    asked = {"scope": Jsonb(scope.as_json()), "division": division, "subject": subject}
    return await all_rows(conn, _SQL["places"], asked)


async def _read(
    conn: Connection,
    places: Sequence[Row],
    profiles: Mapping[str, Profile],
    limits: Limits,
    days: Calendar,
    at: datetime,
) -> list[FireFacts]:
    """The facts of these subjects, in their order."""
    measures = {(name, point): unit for name, one in profiles.items() for point, unit in _measured_points(one)}
    looked = {name for name, one in profiles.items() if (DETECTING | {"access.control"}) & set(one.capabilities)}
    asked = {
        "keys": [row["key"] for row in places if row["key"] is not None],
        "profiles": sorted(looked),
        "measuring": sorted({name for name, _ in measures}),
        "points": sorted({point for _, point in measures}),
        "kinds": sorted(limits.checks),
        "at": at,
    }

    async def rows(name: str) -> dict[int, list[Row]]:
        by_key: dict[int, list[Row]] = {}
        for row in await all_rows(conn, _SQL[name], asked):
            by_key.setdefault(row["institution"], []).append(row)
        return by_key

    zones, devices, alarms, measured, checked = [
        await rows(name) for name in ("zones", "devices", "alarms", "measured", "checked")
    ]
    listened = await Facts(conn, profiles).listened()
    now = to_micros(at)
    return [
        FireFacts(row["subject"], connected=False)
        if (key := row["key"]) is None
        else FireFacts(
            subject=row["subject"],
            is_open=hours.is_open(row["calendar"], days, now),
            zones=tuple(
                ZoneFact(one["id"], one["purpose"], one["title_zh"], one["title_en"]) for one in zones.get(key, ())
            ),
            devices=tuple(_device(one, profiles, row["partition"] in listened) for one in devices.get(key, ())),
            alarms=tuple(_alarm(one, profiles) for one in alarms.get(key, ())),
            measured=tuple(
                Measured(one["device"], one["kind"], unit, one["value"], to_micros(one["at"]), one["quality"] < _BAD)
                for one in measured.get(key, ())
                if (unit := measures.get((one["profile"], one["point"]))) is not None
            ),
            tested=_tested(devices.get(key, ()), profiles),
            checked={one["kind"]: to_micros(one["at"]) for one in checked.get(key, ())},
        )
        for row in places
    ]


def _measured_points(profile: Profile) -> list[tuple[str, str]]:
    """The points in units that the score understands."""
    return [(name, point.unit) for name, point in profile.points.items() if point.unit in _UNITS]


def _place(row: Row) -> Place:
    return Place(*(row[name] for name in Place._fields))


def _device(row: Row, profiles: Mapping[str, Profile], listened: bool) -> DeviceFact:
    """With the link unknown where nobody listens: no silence is believed there, and no life."""
    link = LinkState(row["link_state"])
    capabilities = frozenset(profiles[row["profile"]].capabilities)
    return DeviceFact(
        id=row["id"],
        kind=row["kind"],
        zone=row["zone"],
        capabilities=capabilities,
        admin_state=AdminState(row["admin_state"]),
        admin_since=to_micros(row["admin_since"]),
        link_state=link if listened or link is not LinkState.ONLINE else LinkState.UNKNOWN,
        link_since=to_micros(row["link_since"]),
        function_state=FunctionState(row["function_state"]),
        function_since=to_micros(row["function_since"]),
        last_heard_at=None if row["last_heard_at"] is None else to_micros(row["last_heard_at"]),
        unproven=frozenset() if row["proven_at"] is None else capabilities - _shown(row, profiles).keys(),
    )


def _shown(row: Row, profiles: Mapping[str, Profile]) -> Mapping[str, Micros]:
    """When each of the device's capabilities was shown last. A proof from the hub that its own test answered is no function test here."""
    at = row["proven_at"]
    return last_proofs(profiles[row["profile"]].capabilities, None if at is None else to_micros(at), row["proven"])


def _tested(rows: Iterable[Row], profiles: Mapping[str, Profile]) -> dict[str, Micros]:
    """When all that a device detects was tested: of each the last time, and of those the oldest."""
    found: dict[str, Micros] = {}
    for row in rows:
        shown = _shown(row, profiles)
        detects = DETECTING & frozenset(profiles[row["profile"]].capabilities)
        if detects and detects <= shown.keys():
            found[row["id"]] = min(shown[one] for one in detects)
    return found


def _alarm(row: Row, profiles: Mapping[str, Profile]) -> LiveAlarm:
    profile = profiles.get(row["profile"])
    gas = profile is not None and "gas.detect" in profile.capabilities
    return LiveAlarm(
        row["device"], row["definition"], SignalClass(row["signal_class"]), gas, to_micros(row["raised_at"])
    )


class Book:
    """One autocommit connection that keeps what scores were. Every method raises LinkDown when the connection is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def is_alone(self) -> bool:
        """True where no other process keeps the book; from then on until this connection ends no other one will."""
        with translated():
            row = await one_row(self._conn, _SQL["lock"], {"key": _LOCK})
        return row is not None and bool(row["held"])

    async def rounds(
        self, profiles: Mapping[str, Profile], limits: Limits, at: datetime
    ) -> AsyncIterator[Sequence[FireFacts]]:
        """The facts of every subject of the hub, some hundred at a time."""
        with translated():
            places = await _places(self._conn, EVERYTHING, None, None)
            days = await _days(self._conn)
        for n in range(0, len(places), _AT_ONCE):
            with translated():
                found = await _read(self._conn, places[n : n + _AT_ONCE], profiles, limits, days, at)
            yield found

    async def keep(self, risks: Sequence[Risk], weights: Weights, at: datetime, gap: timedelta) -> None:
        """Write down what was found at `at`; a score that was not looked at for `gap` begins anew, though it be the same."""
        rows = [
            {
                "subject": one.subject,
                "score": one.score,
                "certain": one.certain,
                "level": one.level.id,
                "level_zh": one.level.title_zh,
                "level_en": one.level.title_en,
                "hard": one.hard,
                "factors": {
                    points.factor.value: [
                        points.points, points.certain, points.bad, points.unknown,
                        weights.factors[points.factor].title_zh, weights.factors[points.factor].title_en,
                    ]
                    for points in one.factors
                    if points.bad or points.unknown
                },
            }
            for one in risks
        ]  # fmt: skip
        asked = {"rows": Jsonb(rows), "weights": weights.version, "at": at, "gap": gap}
        with translated():
            await self._conn.execute(_SQL["keep"], asked)

    async def forget(self, before: datetime) -> None:
        """Remove a bounded number of rows that ended before this."""
        with translated():
            await self._conn.execute(_SQL["forget"], {"before": before, "limit": 5000})


@asynccontextmanager
async def open_book(database_url: str) -> AsyncIterator[Book]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "fire-watch", autocommit=True)
    try:
        yield Book(conn)
    finally:
        await conn.close()
