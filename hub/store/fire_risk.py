"""The facts of the fire-risk score, as they are now: detectors, doors, measured values, alarms, attestations. Read set-wise, for many at a time.

And the book of what the scores were (table fire_risk).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from hub.core.commissioning import last_proofs
from hub.core.coverage.facts import DeviceFact, ZoneFact
from hub.core.fire_facts import DETECTING, FireFacts, Level, Limits, LiveAlarm, Measured, Weights
from hub.core.fire_kept import GAP, Kept, Listed, Share, of_kept, of_risk, rank, shares, to_score
from hub.core.fire_risk import Risk, assess
from hub.core.rights import EVERYTHING, Scope
from hub.core.rota import Calendar
from hub.errors import NotFound
from hub.model import AdminState, FunctionState, Lane, LinkState, Micros, SignalClass, to_micros
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
MOST_LIVE = 100
"""of a list, scored from the facts as they are: a quarter of a second"""
CHANGING = frozenset({"device_state", "registry", "alarm", "proof", "drill"})
"""changes after which a kept score is not believed; a calendar that changes, or a value below the limit of gas, waits for the next round"""
_LOCK = 0x66697265  # "fire": one process keeps the book


class _Snapshot(NamedTuple):
    """What a statement of the database saw: of the transactions from `xmin` to before `xmax` all but `running`, and all before them."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def of(cls, text: str) -> "_Snapshot":
        """From what PostgreSQL writes: xmin:xmax:running,…"""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, filter(None, running.split(",")))))

    def has(self, transaction: int) -> bool:
        """Whether what it wrote was seen."""
        return transaction < self.xmin or (transaction < self.xmax and transaction not in self.running)


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


async def listed(
    conn: Connection,
    scope: Scope,
    division: str | None,
    profiles: Mapping[str, Profile],
    weights: Weights,
    at: datetime,
) -> list[tuple[Place, Listed]]:
    """Every subject within the scope and the division, the most dangerous first: by kept scores, as far as they are believed (hub.core.fire_kept);
    of the others at most MOST_LIVE are scored from the facts as they are.
    """
    rows = {row["subject"]: row for row in await _places(conn, scope, division, None)}
    kept = await _kept(conn, list(rows), profiles, weights.limits, at)
    now = to_micros(at)
    chosen = to_score(list(rows), kept, weights, now, MOST_LIVE)
    found = {one: of_kept(one, kept.get(one), weights, now) for one in rows.keys() - set(chosen)}
    if chosen:
        days = await _days(conn)
        for facts in await _read(conn, [rows[one] for one in chosen], profiles, weights.limits, days, at):
            found[facts.subject] = of_risk(assess(facts, weights, now), weights)
            await asyncio.sleep(0)
    return [(_place(rows[one.subject]), one) for one in sorted(found.values(), key=rank)]


async def _kept(
    conn: Connection, subjects: Sequence[str], profiles: Mapping[str, Profile], limits: Limits, at: datetime
) -> dict[str, Kept]:
    """The last kept score of each of these subjects that has any. What has changed is read after the scores: nothing slips between."""
    rows = await all_rows(conn, _SQL["kept"], {"subjects": list(subjects)})
    listened = await Facts(conn, profiles).listened()
    seen = {
        row["subject"]: _Snapshot.of(row["snapshot"])
        for row in rows
        if row["snapshot"] is not None and row["seen_at"] > at - GAP
    }
    changed: dict[str, list[int]] = {}
    if seen:
        asked = {"since": str(min(one.xmin for one in seen.values())), "kinds": sorted(CHANGING)}
        changed = {row["subject"]: row["transactions"] for row in await all_rows(conn, _SQL["changed"], asked)}
    gas = [(name, point) for name, one in profiles.items() for point, unit in _measured_points(one) if unit == "%LEL"]
    over = {
        "profiles": sorted({one[0] for one in gas}),
        "points": sorted({one[1] for one in gas}),
        "limit": limits.gas_limit,
    }
    burning = {row["subject"] for row in await all_rows(conn, _SQL["gas_above"], over)}

    def is_other(row: Row) -> bool:
        return (
            (snapshot := seen.get(row["subject"])) is None
            or not all(map(snapshot.has, changed.get(row["subject"], ())))
            or (row["subject"] in burning and not row["hard"])
            or (row["partition"] is not None and row["listened"] is not _is_listened(row, listened))
        )

    return {
        row["subject"]: Kept(
            subject=row["subject"],
            score=row["score"],
            certain=row["certain"],
            level=Level(0, row["level"], row["level_zh"], row["level_en"]),
            hard=row["hard"],
            shares=tuple(Share(name, *numbers) for name, numbers in row["factors"].items()),
            weights=row["weights"],
            seen_at=to_micros(row["seen_at"]),
            changed=is_other(row),
        )
        for row in rows
    }


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
            devices=tuple(
                _device(one, profiles, (row["partition"], one["lane"]) in listened) for one in devices.get(key, ())
            ),
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


def _is_listened(row: Row, listened: Collection[tuple[int, Lane]]) -> bool:
    """Whether each lane of the place's partition is."""
    return all((row["partition"], lane) in listened for lane in Lane)


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


class Round(NamedTuple):
    """Facts of some subjects, with what of the database they saw at least. `listened`: subjects whose devices the hub heard."""

    facts: Sequence[FireFacts]
    snapshot: str
    listened: frozenset[str]


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
        self, profiles: Mapping[str, Profile], weights: Weights, at: datetime, most: int | None = None
    ) -> AsyncIterator[Round]:
        """The facts of every subject of the hub, some hundred at a time. With `most` only of those whose kept score is not believed, so many at most,
        the most urgent first.
        """
        with translated():
            places = await _places(self._conn, EVERYTHING, None, None)
            if most is not None:
                rows = {row["subject"]: row for row in places}
                kept = await _kept(self._conn, list(rows), profiles, weights.limits, at)
                places = [rows[one] for one in to_score(list(rows), kept, weights, to_micros(at), most)]
            days = await _days(self._conn)
        for n in range(0, len(places), _AT_ONCE):
            part = places[n : n + _AT_ONCE]
            with translated():
                seen = await one_row(self._conn, _SQL["snapshot"])
                listened = await Facts(self._conn, profiles).listened()
                found = await _read(self._conn, part, profiles, weights.limits, days, at)
            assert seen is not None
            heard = frozenset(row["subject"] for row in part if _is_listened(row, listened))
            yield Round(found, seen["snapshot"], heard)

    async def keep(self, risks: Sequence[Risk], weights: Weights, at: datetime, of: Round) -> None:
        """Write down what was found at `at`; a score that was not looked at for GAP begins anew, though it be the same."""
        rows = [
            {
                "subject": risk.subject,
                "score": risk.score,
                "certain": risk.certain,
                "level": risk.level.id,
                "level_zh": risk.level.title_zh,
                "level_en": risk.level.title_en,
                "hard": risk.hard,
                "factors": {one.factor: one[1:] for one in shares(risk, weights)},
                "listened": risk.subject in of.listened,
            }
            for risk in risks
        ]
        asked = {"rows": Jsonb(rows), "weights": weights.version, "at": at, "gap": GAP, "snapshot": of.snapshot}
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
