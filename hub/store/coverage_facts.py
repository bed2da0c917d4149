"""What the judge looks at: the facts of institutions as they are now, read set-wise in the caller's transaction.

Knows nothing of rules and findings: those are hub.core.coverage's and hub.store.coverage's. No name of a person leaves the tables through here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog

from hub.core.coverage.attestations import DAILY, AttestationKind
from hub.core.coverage.facts import (
    Arming,
    Attestation,
    DeviceFact,
    InstitutionFacts,
    Interval,
    RecordingFact,
    Value,
)
from hub.core.coverage.purposes import OUTDOORS
from hub.core.coverage.ways import Hangs, depends_on
from hub.core.rota import Calendar
from hub.model import AdminState, FunctionState, Lane, LinkState, Micros, SignalClass, to_micros
from hub.profiles import Profile
from hub.store import duty, hours, recordings
from hub.store.fact_rows import (
    ODD,
    alarm_intervals,
    attestation_of,
    by_key,
    down_to_hour,
    drill_of,
    first_moments,
    hangs_of,
    heard_of,
    plan_of,
    police_test_of,
    proven_of,
    recording_of,
    sound,
    view_of,
    zone_of,
)
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("coverage_facts")
_KINDS = [kind.value for kind in AttestationKind]
_DAILY = sorted(kind.value for kind in DAILY)
_OPEN_DAYS = 8
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
    listened: frozenset[tuple[int, Lane]]
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
        self._unread: set[str] = set()
        self.turns_at: dict[str, Micros] = {}
        """of the subjects as they were asked for last: when their facts change by time alone; those of which none does are left out"""

    async def listened(self) -> frozenset[tuple[int, Lane]]:
        """The lanes, by partition, that somebody listens to. Where nobody does, no device counts as online: the hub is blind there."""
        rows = await (await self._conn.execute(_SQL["listened"])).fetchall()
        return frozenset((partition, Lane(lane)) for partition, lane in rows)

    async def of(self, subjects: Sequence[str]) -> tuple[InstitutionFacts, ...]:
        """The facts of these subjects; one that is there no more is left out, and one whose rows cannot be understood is `unreadable`.

        In the caller's transaction. One odd row costs its own institution its facts, and no other one.
        """
        try:
            async with self._conn.transaction():
                found = await self._of(subjects)
        except ODD as error:
            if len(subjects) > 1:
                half = len(subjects) // 2
                return (*await self.of(subjects[:half]), *await self.of(subjects[half:]))
            return await self._unreadable(subjects[0], error)
        self._unread.difference_update(subjects)
        return found

    async def _unreadable(self, subject: str, error: Exception) -> tuple[InstitutionFacts, ...]:
        say = _log.debug if subject in self._unread else _log.error
        say(
            "coverage.unreadable",
            subject=subject,
            where="its rows of today",
            error=f"{type(error).__name__}: {error}"[:300],
        )
        self._unread.add(subject)
        self.turns_at.pop(subject, None)
        return tuple(
            InstitutionFacts(subject, row["division"], row["type"], connected=row["connected"], unreadable=True)
            for row in await all_rows(self._conn, _SQL["kind_of"], {"subject": subject})
        )

    async def _of(self, subjects: Sequence[str]) -> tuple[InstitutionFacts, ...]:
        ids = [subject for subject in subjects if not subject.startswith(UNCONNECTED)]
        entries = [subject.removeprefix(UNCONNECTED) for subject in subjects if subject.startswith(UNCONNECTED)]
        unconnected = await all_rows(self._conn, _SQL["entry_places"], {"filing_numbers": entries}) if entries else []
        places = await all_rows(self._conn, _SQL["places"], {"ids": ids}) if ids else []
        found: tuple[InstitutionFacts, ...] = ()
        for subject in subjects:
            self.turns_at.pop(subject, None)
        if places:
            read = await self._read([row["key"] for row in places])
            found = tuple(self._institution(row, read) for row in places)
            turns = {row["id"]: _turns_at(row, read) for row in places}
            self.turns_at |= {subject: at for subject, at in turns.items() if at is not None}
        return (*found, *map(_unconnected, unconnected))

    async def _read(self, keys: Sequence[int]) -> _Read:
        asked = {"keys": list(keys), "kinds": _KINDS, "daily": _DAILY, "points": self._points}

        async def rows(name: str) -> list[Row]:
            return await all_rows(self._conn, _SQL[name], asked)

        async with self._conn.cursor() as cursor:
            days = await duty.load_calendar(cursor)
        stated: dict[int, list[Attestation]] = {}
        for name, made in (("attestations", attestation_of), ("drills", drill_of), ("police_tests", police_test_of)):
            for row in await rows(name):
                stated.setdefault(row["institution"], []).append(made(row))
        recorded = await recordings.recordings(self._conn, keys)
        hidden = await rows("hidden")
        now = await (await self._conn.execute(_SQL["now"])).fetchone()
        assert now is not None
        devices = by_key(await rows("devices"), "institution")
        return _Read(
            zones=by_key(await rows("zones"), "institution"),
            devices=devices,
            hangs={key: {row["id"]: hangs_of(row) for row in found} for key, found in devices.items()},
            views=by_key(await rows("views"), "device"),
            proofs=by_key(await rows("proofs"), "device"),
            values=by_key(await rows("values"), "device") if self._points else {},
            hidden={(row["device"], row["signal_class"]) for row in hidden},
            attestations=stated,
            alarms=by_key(await rows("alarms"), "institution"),
            recordings={key: tuple(filter(None, map(recording_of, found))) for key, found in recorded.items()},
            listened=await self.listened(),
            days=days,
            now=to_micros(now[0]),
            moments=first_moments(
                *((row["institution"], row["at"]) for row in await rows("drills_ahead")),
                *((row["institution"], row["until"]) for row in hidden if row["until"] is not None),
                after=now[0],
            ),
        )

    def _institution(self, place: Row, read: _Read) -> InstitutionFacts:
        key = place["key"]
        zones = tuple(map(zone_of, read.zones.get(key, ())))
        areas = [zone.area_m2 for zone in zones if zone.purpose not in OUTDOORS]
        devices = read.devices.get(key, ())
        return sound(
            InstitutionFacts(
                subject=place["id"],
                division=place["division"],
                type=place["type"],
                connected=True,
                zones=zones,
                devices=tuple(self._device(row, place, read) for row in devices),
                registered=place["filing_number"] is not None,
                filing_number=place["filing_number"] or "",
                capacity=place["capacity"],
                area_m2=sum(area for area in areas if area is not None) if areas and None not in areas else None,
                plan=plan_of(place),
                recordings=tuple(read.recordings.get(key, ())),
                attestations=tuple(read.attestations.get(key, ())),
                intervals=(*_open(place["calendar"], read), *alarm_intervals(read.alarms.get(key, ()))),
                armed_always=tuple(one for row in devices for one in self._armed(row, read.hidden)),
            )
        )

    def _profile(self, row: Row) -> Profile | None:
        profile = self._profiles.get(row["profile"])
        if profile is None and row["profile"] not in self._missing:
            self._missing.add(row["profile"])
            _log.error("coverage.profile_missing", profile=row["profile"], device=row["id"])
        return profile

    def _device(self, row: Row, place: Row, read: _Read) -> DeviceFact:
        profile = self._profile(row)
        listened = (place["partition"], row["lane"]) in read.listened
        link = LinkState(row["link_state"])
        capabilities = frozenset(() if profile is None else profile.capabilities)
        proven = proven_of(row, capabilities, read.proofs.get(row["id"], ()))
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
            last_heard_at=heard_of(row),
            proven=tuple(sorted(proven.items())),
            behind=depends_on(row["id"], read.hangs[row["institution"]], place["id"]),
            sees=tuple(map(view_of, read.views.get(row["id"], ()))),
            values=tuple(
                Value(one["point"], one["value"], down_to_hour(to_micros(one["at"])))
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


def _turns_at(place: Row, read: _Read) -> Micros | None:
    closes = None if place["calendar"] is None else hours.closes(place["calendar"], read.days, read.now)
    return min((at for at in (closes, read.moments.get(place["key"])) if at is not None), default=None)


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


def _open(calendar: str | None, read: _Read) -> Iterator[Interval]:
    """Hours that are over, of the last days; nothing where nobody said when it is open."""
    if calendar is not None:
        for began, ended in hours.opened(calendar, read.days, read.now, _OPEN_DAYS):
            yield Interval("open", began, ended)
