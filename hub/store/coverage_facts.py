"""What the judge looks at: the facts of institutions as they are now, read set-wise in the caller's transaction.

Knows nothing of rules and findings: those are hub.core.coverage's and hub.store.coverage's. No name of a person leaves the tables through here.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from hub.core.commissioning import last_proofs
from hub.core.coverage.attestations import DAILY, DOCUMENTS, NUMBERED, AttestationKind
from hub.core.coverage.facts import (
    Arming,
    Attestation,
    DeviceFact,
    InstitutionFacts,
    Interval,
    PlanState,
    RecordingFact,
    Value,
    View,
    ZoneFact,
)
from hub.core.coverage.ways import Hangs, depends_on
from hub.core.rota import Calendar
from hub.model import SECOND, AdminState, FunctionState, LinkState, Micros, SignalClass, to_micros
from hub.profiles import Profile
from hub.store import duty, hours, leases, recordings
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("coverage_facts")
_KINDS = [kind.value for kind in AttestationKind]
_DAILY = sorted(kind.value for kind in DAILY)
_NUMBERED = NUMBERED | DOCUMENTS
"""kinds whose number is that of a paper; what somebody writes there for another kind may be anything, also a name"""
_OPEN_DAYS = 8
_HOUR: Micros = 3600 * SECOND
_HEARD_WITHIN: Micros = 6 * _HOUR
"""What moves with every beat is told so coarsely, always too old, never too new: facts that are the same are kept once."""
_log = structlog.get_logger(__name__)

UNCONNECTED = "register:"
"""Begins the subject of an entry of the register that is not connected; no institution's id can hold a colon."""


class _Read(NamedTuple):
    """Everything of some institutions, by their keys; what belongs to a device by the device's id."""

    zones: Mapping[int, Sequence[Row]]
    devices: Mapping[int, Sequence[Row]]
    hangs: Mapping[int, Mapping[str, Hangs]]
    """by institution: what each of its devices hangs on"""
    views: Mapping[str, Sequence[Row]]
    proofs: Mapping[str, Sequence[Row]]
    values: Mapping[str, Sequence[Row]]
    hidden: Collection[tuple[str, str]]
    attestations: Mapping[int, Sequence[Attestation]]
    alarms: Mapping[int, Sequence[Row]]
    recordings: Mapping[int, Sequence[RecordingFact]]
    listened: frozenset[int]
    days: Calendar
    now: Micros
    moments: Mapping[int, Micros]
    """when the first of an institution's facts changes though nobody does anything: a drill is over, what was hidden for a time shows again"""


class Facts:
    """Reads facts over one connection; the number of statements does not depend on how many institutions are asked for.

    `points`: the points whose values rules ask for.
    """

    def __init__(self, conn: Connection, profiles: Mapping[str, Profile], points: Collection[str] = ()) -> None:
        self._conn = conn
        self._profiles = profiles
        self._points = sorted(points)
        self._missing: set[str] = set()
        self._classes: dict[str, Mapping[str, bool]] = {}
        self.turns_at: dict[str, Micros] = {}
        """of the subjects that were asked for last: when their facts change by time alone; those of which none does are left out"""

    async def listened(self) -> frozenset[int]:
        """The partitions that somebody listens to. Where nobody does, no device counts as online: the hub is blind there."""
        rows = await (await self._conn.execute(_SQL["listened"], {"lease_class": leases.CLASS})).fetchall()
        return frozenset(row[0] for row in rows)

    async def of(self, subjects: Sequence[str]) -> tuple[InstitutionFacts, ...]:
        """The facts of these subjects, institutions first; one that is there no more is left out."""
        ids = [subject for subject in subjects if not subject.startswith(UNCONNECTED)]
        entries = [subject.removeprefix(UNCONNECTED) for subject in subjects if subject.startswith(UNCONNECTED)]
        unconnected = await all_rows(self._conn, _SQL["entry_places"], {"filing_numbers": entries}) if entries else []
        places = await all_rows(self._conn, _SQL["places"], {"ids": ids}) if ids else []
        found: tuple[InstitutionFacts, ...] = ()
        self.turns_at = {}
        if places:
            read = await self._read([row["key"] for row in places])
            found = tuple(self._institution(row, read) for row in places)
            turns = {row["id"]: _turns_at(row, read) for row in places}
            self.turns_at = {subject: at for subject, at in turns.items() if at is not None}
        return (*found, *map(_unconnected, unconnected))

    async def _read(self, keys: Sequence[int]) -> _Read:
        asked = {"keys": list(keys), "kinds": _KINDS, "daily": _DAILY, "points": self._points}

        async def rows(name: str) -> list[Row]:
            return await all_rows(self._conn, _SQL[name], asked)

        async with self._conn.cursor() as cursor:
            days = await duty.load_calendar(cursor)
        stated: dict[int, list[Attestation]] = {}
        for name, made in (("attestations", _attestation), ("drills", _drill), ("police_tests", _police_test)):
            for row in await rows(name):
                stated.setdefault(row["institution"], []).append(made(row))
        recorded = await recordings.recordings(self._conn, keys)
        hidden = await rows("hidden")
        now = await (await self._conn.execute(_SQL["now"])).fetchone()
        assert now is not None
        devices = _by(await rows("devices"), "institution")
        return _Read(
            zones=_by(await rows("zones"), "institution"),
            devices=devices,
            hangs={key: {row["id"]: _hangs(row) for row in found} for key, found in devices.items()},
            views=_by(await rows("views"), "device"),
            proofs=_by(await rows("proofs"), "device"),
            values=_by(await rows("values"), "device") if self._points else {},
            hidden={(row["device"], row["signal_class"]) for row in hidden},
            attestations=stated,
            alarms=_by(await rows("alarms"), "institution"),
            recordings={key: tuple(filter(None, map(_recording, found))) for key, found in recorded.items()},
            listened=await self.listened(),
            days=days,
            now=to_micros(now[0]),
            moments=_first(
                *((row["institution"], row["at"]) for row in await rows("drills_ahead")),
                *((row["institution"], row["until"]) for row in hidden if row["until"] is not None),
                after=now[0],
            ),
        )

    def _institution(self, place: Row, read: _Read) -> InstitutionFacts:
        key = place["key"]
        zones = tuple(map(_zone, read.zones.get(key, ())))
        areas = [zone.area_m2 for zone in zones]
        devices = read.devices.get(key, ())
        listened = place["partition"] in read.listened
        return InstitutionFacts(
            subject=place["id"],
            division=place["division"],
            type=place["type"],
            connected=True,
            zones=zones,
            devices=tuple(self._device(row, place["id"], read, listened) for row in devices),
            registered=place["filing_number"] is not None,
            filing_number=place["filing_number"] or "",
            capacity=place["capacity"],
            area_m2=sum(area for area in areas if area is not None) if areas and None not in areas else None,
            plan=_plan(place),
            recordings=tuple(read.recordings.get(key, ())),
            attestations=tuple(read.attestations.get(key, ())),
            intervals=(*_open(place["calendar"], read), *_alarm_intervals(read.alarms.get(key, ()))),
            armed_always=tuple(one for row in devices for one in self._armed(row, read.hidden)),
        )

    def _profile(self, row: Row) -> Profile | None:
        profile = self._profiles.get(row["profile"])
        if profile is None and row["profile"] not in self._missing:
            self._missing.add(row["profile"])
            _log.error("coverage.profile_missing", profile=row["profile"], device=row["id"])
        return profile

    def _device(self, row: Row, institution: str, read: _Read, listened: bool) -> DeviceFact:
        profile = self._profile(row)
        link = LinkState(row["link_state"])
        capabilities = frozenset(() if profile is None else profile.capabilities)
        proven = _proven(row, capabilities, read.proofs.get(row["id"], ()))
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
            last_heard_at=_heard(row),
            proven=tuple(sorted(proven.items())),
            behind=depends_on(row["id"], read.hangs[row["institution"]], institution),
            sees=tuple(map(_view, read.views.get(row["id"], ()))),
            values=tuple(
                Value(one["point"], one["value"], _down(to_micros(one["at"]), _HOUR))
                for one in read.values.get(row["id"], ())
            ),
            # what was never tested at all is unproven as a whole: its function state says so
            unproven=frozenset() if row["proven_at"] is None else capabilities - proven.keys(),
        )

    def _armed(self, row: Row, hidden: Collection[tuple[str, str]]) -> Iterator[Arming]:
        """One for each signal class that the device raises. What people hide from time to time is hidden while it is; since when is not told."""
        profile = self._profile(row)
        if profile is None:
            return
        classes = self._classes.get(profile.profile)
        if classes is None:
            classes = self._classes[profile.profile] = _classes(profile)
        since = to_micros(row["admin_since"])
        for name, always in classes.items():
            yield Arming(row["id"], name, always and (row["id"], name) not in hidden, since)


def _classes(profile: Profile) -> Mapping[str, bool]:
    """The signal classes that a device of the profile raises, and whether every definition of the class is on at every hour."""
    found: dict[SignalClass, bool] = {}
    for one in profile.alarms.values():
        found[one.signal_class] = found.get(one.signal_class, True) and one.when is None
    return {name.value: always for name, always in found.items()}


def _first(*moments: tuple[int, datetime], after: datetime) -> dict[int, Micros]:
    """By institution the first of its moments that is still to come."""
    found: dict[int, Micros] = {}
    for institution, at in moments:
        if at > after:
            found[institution] = min(to_micros(at), found.get(institution, to_micros(at)))
    return found


def _turns_at(place: Row, read: _Read) -> Micros | None:
    closes = None if place["calendar"] is None else hours.closes(place["calendar"], read.days, read.now)
    return min((at for at in (closes, read.moments.get(place["key"])) if at is not None), default=None)


def _by(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found


def _unconnected(row: Row) -> InstitutionFacts:
    return InstitutionFacts(
        UNCONNECTED + row["filing_number"],
        row["division"],
        row["type"],
        connected=False,
        registered=True,
        filing_number=row["filing_number"],
        capacity=row["capacity"],
    )


def _down(at: Micros, step: Micros) -> Micros:
    return at - at % step


def _heard(row: Row) -> Micros | None:
    """When it was heard last: to the microsecond where it is silent."""
    if row["last_heard_at"] is None:
        return None
    at = to_micros(row["last_heard_at"])
    return _down(at, _HEARD_WITHIN) if row["link_state"] == LinkState.ONLINE else at


def _zone(row: Row) -> ZoneFact:
    return ZoneFact(
        row["id"],
        row["purpose"],
        row["title_zh"],
        row["title_en"],
        floor="" if row["floor"] is None else str(row["floor"]),
        area_m2=row["area_m2"],
        entrances=tuple(row["entrances"]),
        ages=tuple(row["ages"]),
    )


def _plan(place: Row) -> PlanState:
    """Version 0 and never changed: no zone was ever declared."""
    changed, signed = place["plan_changed_at"], place["signed_at"]
    return PlanState(
        place["plan_version"],
        None if signed is None else to_micros(signed),
        0 if changed is None else to_micros(changed),
    )


def _view(row: Row) -> View:
    attested = row["attested_at"]
    return View(row["zone"], row["share"], None if attested is None else to_micros(attested), row["masked"])


def _proven(row: Row, capabilities: frozenset[str], proofs: Sequence[Row]) -> Mapping[str, Micros]:
    at = row["proven_at"]
    shown = [(one["capability"], to_micros(one["at"])) for one in proofs]
    return last_proofs(capabilities, None if at is None else to_micros(at), row["proven"], shown)


def _hangs(row: Row) -> Hangs:
    return Hangs(*(row[name] for name in Hangs._fields))


def _recording(row: recordings.RecordingRow) -> RecordingFact | None:
    """None where no index was ever read: of that nothing is known."""
    if row.days is None or row.read_at is None:
        return None
    return RecordingFact(
        row.device,
        row.recorder or "",
        row.days,
        row.gap_seconds,
        oldest_at=None,
        newest_at=row.newest_at,
        read_at=row.read_at,
        bad_seconds=row.bad_seconds,
        installed_at=row.installed_at,
        possible=row.possible,
    )


def _attestation(row: Row) -> Attestation:
    expires = row["expires_at"]
    return Attestation(
        row["id"],
        row["kind"],
        to_micros(row["at"]),
        None if expires is None else to_micros(expires),
        row["zone"],
        row["device"],
        row["number"] if row["kind"] in _NUMBERED else "",
        row["value"],
        row["seconded"],
    )


def _drill(row: Row) -> Attestation:
    return Attestation(f"drill:{row['id']}", AttestationKind.DRILL.value, to_micros(row["at"]))


def _police_test(row: Row) -> Attestation:
    kind = AttestationKind.POLICE_TEST.value
    return Attestation(f"window:{row['id']}", kind, to_micros(row["at"]), device=row["device"], number=row["number"])


def _open(calendar: str | None, read: _Read) -> Iterator[Interval]:
    """Hours that are over, of the last days; nothing where nobody said when it is open."""
    if calendar is not None:
        for began, ended in hours.opened(calendar, read.days, read.now, _OPEN_DAYS):
            yield Interval("open", began, ended)


_FROM = {"fire": "detector", "panic": "press"}


def _alarm_intervals(rows: Iterable[Row]) -> Iterator[Interval]:
    for row in rows:
        raised, received = to_micros(row["raised_at"]), to_micros(row["received_at"])
        told, owned = (_after(received, row[name]) for name in ("told_at", "acknowledged_at"))
        begin = _FROM[row["signal_class"]]
        yield Interval(f"{begin}-centre", raised, received, row["device"])
        yield Interval(f"{begin}-people", raised, told, row["device"])
        yield Interval("centre-people", received, told, row["device"])
        if told is not None:
            # somebody may own it, on the console, before a message arrives
            yield Interval("people-acknowledged", told, None if owned is None else max(told, owned), row["device"])


def _after(began: Micros, at: datetime | None) -> Micros | None:
    """What follows is never before: the clocks of two processes may differ by a little."""
    return None if at is None else max(began, to_micros(at))
