"""The nouns of provisioning: a thing is its key and its fields, whether a manifest declares it or the hub has it.

Fields are plain JSON values, complete (a field that is not said is None), so that two things are the same when their fields are equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from hub.core.escalation import Policy, Step
from hub.core.rota import Calendar, Override, Rota, Shift
from hub.model import DayKind, Lane, Micros, Priority, SignalClass

OWN_PROTOCOL = "anxin"
"""The driver named by profiles of devices that speak docs/protocol.md themselves: no endpoint, a client of their own."""

Fields = Mapping[str, Any]


class Noun(StrEnum):
    """Kinds of things, in the order in which they are made: what others refer to comes first."""

    DIVISION = "division"
    RESPONDER = "responder"
    INSTITUTION = "institution"
    REGISTER_ENTRY = "register_entry"
    GROUP = "group"
    ZONE = "zone"
    POSITION = "position"
    EDGE = "edge"
    ENDPOINT = "endpoint"
    DEVICE = "device"
    ROTA = "rota"
    POLICY = "policy"


ORDER: Mapping[Noun, int] = {noun: index for index, noun in enumerate(Noun)}
INSIDE = frozenset({Noun.ZONE, Noun.POSITION, Noun.EDGE, Noun.ENDPOINT, Noun.DEVICE})
"""What lies inside an institution: retired when a listed institution no longer names it. All else only by `retired: true`."""


class Key(NamedTuple):
    """What a thing is called. `institution` is empty for what lies in none."""

    noun: Noun
    institution: str
    id: str

    def __str__(self) -> str:
        return f"{self.noun.value} {self.id}"


@dataclass(frozen=True, slots=True)
class Record:
    """A thing as a manifest declares it; `pointer` is the JSON pointer to it."""

    key: Key
    fields: Fields
    pointer: str
    retired: bool = False


class Problem(NamedTuple):
    """What does not hold, or deserves a warning. `clause` names document and clause where a standard says so."""

    pointer: str
    message: str
    code: str
    clause: str = ""


class Finding(NamedTuple):
    """What a catalogue says about settings or a place; `path` leads to the key within them."""

    path: tuple[str | int, ...]
    message: str
    clause: str = ""


class ProfileFacts(NamedTuple):
    """What a plan must know of a device profile."""

    kind: str
    lane: Lane
    driver: str
    is_edge: bool
    alarms: tuple[tuple[SignalClass, Priority], ...]
    """class and priority of every alarm definition"""
    writable: Mapping[str, str] = {}
    """type of every point that can be written as it is, by name: one with a scale is not"""

    @property
    def is_for_panic(self) -> bool:
        """Nothing automatic ever sounds on a press of it."""
        return self.kind == "panic_button" or any(name is SignalClass.PANIC for name, _ in self.alarms)

    @property
    def is_for_fire(self) -> bool:
        """Whether it has a fire alarm."""
        return any(name is SignalClass.FIRE for name, _ in self.alarms)


class Catalogue(Protocol):
    """What a manifest may refer to: profiles, drivers, channels, and the rules of placement."""

    def profile(self, name: str) -> ProfileFacts | None:
        """The facts of a profile, None where there is none of that name."""
        ...

    def has_driver(self, name: str) -> bool:
        """Whether a driver of that name is installed."""
        ...

    def endpoint_findings(self, driver: str, settings: Fields) -> Sequence[Finding]:
        """Why the driver cannot take these settings of an endpoint."""
        ...

    def device_findings(self, profile: str, settings: Fields) -> Sequence[Finding]:
        """Why the profile's driver cannot take these settings of a device."""
        ...

    def channel_findings(self, kind: str, settings: Fields) -> Sequence[Finding]:
        """Why there is no channel of this kind (path `kind`), or why it cannot take these settings (path `settings`, …)."""
        ...

    def placement_findings(self, division: str, institution_type: str, purpose: str, profile: str) -> Sequence[Finding]:
        """What rules say against a device of this profile in such a zone: warnings with their clause."""
        ...


class Guarded(NamedTuple):
    """What decides which policy covers an institution, with the profiles of its urgent devices."""

    division: str
    profiles: tuple[str, ...]
    type: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Current:
    """What the hub has, as far as a manifest touches it.

    Complete for: things inside the listed institutions; every division, register entry, group, responder and institution that the manifest
    names, with the divisions above; all live responders, rotas and policies.
    """

    live: Mapping[Key, Fields] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    """institution of every device and edge id that the manifest names, retired ones too: an id is used once"""
    external: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """institution of every external identifier (scheme, value) that the manifest names"""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """groups of the institutions in `live`, for the question of scope"""
    guarded: Mapping[str, Guarded] = field(default_factory=dict)
    """institutions that the manifest does not list: policies must go on covering them"""
    retired: Mapping[str, str] = field(default_factory=dict)
    """division of every retired institution that the manifest lists: who makes it again has its past"""
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)
    """of every live rota, those that are not over"""
    calendar: Calendar = field(default_factory=Calendar)
    at: Micros = 0
    """when the plan is made: policies must reach somebody from then on"""


_STEP = ("responder", "rota", "channel", "kinds", "delay", "repeat_every", "repeat_times")


def policy_of(policy_id: str, fields: Fields) -> Policy:
    """The escalation's policy in a policy's fields."""
    return Policy(
        id=policy_id,
        title_zh=fields["title_zh"],
        title_en=fields["title_en"],
        division=fields["division"],
        group=fields["group"],
        institution=fields["institution"],
        institution_types=frozenset(fields["institution_types"]),
        signal_classes=frozenset(SignalClass(name) for name in fields["signal_classes"]),
        priorities=frozenset(Priority(name) for name in fields["priorities"]),
        round_every=fields["round_every"],
        max_rounds=fields["max_rounds"],
        remind_after=fields["remind_after"],
        lapse_after=fields["lapse_after"],
        steps=tuple(Step(n, **step) for n, step in enumerate(fields["steps"], 1)),
    )


def policy_fields(policy: Policy) -> Fields:
    """A policy's fields: the other way round."""
    return {
        "title_zh": policy.title_zh,
        "title_en": policy.title_en,
        "division": policy.division,
        "group": policy.group,
        "institution": policy.institution,
        "institution_types": sorted(policy.institution_types),
        "signal_classes": sorted(name.value for name in policy.signal_classes),
        "priorities": sorted(name.value for name in policy.priorities),
        "round_every": policy.round_every,
        "max_rounds": policy.max_rounds,
        "remind_after": policy.remind_after,
        "lapse_after": policy.lapse_after,
        "steps": [{name: getattr(step, name) for name in _STEP} for step in policy.steps],
    }


def rota_of(rota_id: str, fields: Fields, overrides: tuple[Override, ...] = ()) -> Rota:
    """The rota in a rota's fields."""
    return Rota(
        rota_id,
        tuple(_shift_of(shift) for shift in fields["shifts"]),
        overrides,
        fields["title_zh"],
        fields["title_en"],
        fields["division"],
        fields["institution"],
    )


def _shift_of(fields: Fields) -> Shift:
    until = fields["until"]
    return Shift(
        fields["id"],
        fields["starts"],
        fields["ends"],
        tuple(fields["responders"]),
        date.fromisoformat(fields["since"]),
        None if until is None else date.fromisoformat(until),
        fields["turn_days"],
        fields["crew"],
        frozenset(fields["weekdays"]),
        frozenset(map(DayKind, fields["days"])),
    )


def rota_fields(rota: Rota) -> Fields:
    """A rota's fields: the other way round, without overrides."""
    return {
        "title_zh": rota.title_zh,
        "title_en": rota.title_en,
        "division": rota.division,
        "institution": rota.institution,
        "shifts": [_shift_fields(shift) for shift in rota.shifts],
    }


def _shift_fields(shift: Shift) -> Fields:
    return {
        "id": shift.id,
        "starts": shift.starts,
        "ends": shift.ends,
        "responders": list(shift.responders),
        "since": shift.since.isoformat(),
        "until": None if shift.until is None else shift.until.isoformat(),
        "turn_days": shift.turn_days,
        "crew": shift.crew,
        "weekdays": sorted(shift.weekdays),
        "days": sorted(shift.day_kinds),
    }
