"""A manifest: what an installer declares, as it comes over the API. Unknown keys are refused; an error names the key by JSON pointer.

What lies inside an institution (zones, positions, edges, endpoints, devices) is complete: what the hub has and the manifest does not name is
retired. All else is retired only by `retired: true`, and what a manifest does not name is left alone.
Knows the shape of things and nothing of what they refer to: hub.core.provisioning compares it with the hub.
"""

import math
import re
from datetime import date
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from hub.errors import BadInput
from hub.model import IDENTIFIER, LIFE_SAFETY, DayKind, Priority, SignalClass
from hub.profiles import Duration, Title
from hub.video import check_template

MAX_INSTITUTIONS = 5_000
MOST_SHIFTS = 30
MOST_KINDS = 5
_MAX_DEPTH = 8
_PHONE = r"^\+?[0-9](?:[0-9 -]{1,18}[0-9])$"
"""Digits, with blanks or hyphens between: 110, 0355-2071234, +86 139 0355 1234."""
_LARGEST = 2**53
"""Above it JSON's numbers are not exact everywhere."""


def _quoted(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("write the code in quotes")
    return value


def _text(text: str) -> str:
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("NUL and lone surrogates are not allowed")
    return text


def _minutes(value: object) -> int:
    found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('write the time as "08:30", in quotes, from "00:00" to "23:59"')
    return int(found[1]) * 60 + int(found[2])


def _day(text: str) -> str:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        raise ValueError('write the day as "2026-10-01"')
    day = date.fromisoformat(text)
    if not 2000 <= day.year <= 2200:
        raise ValueError("a day from 2000 to 2200")
    return text


def _plain(value: Any, depth: int = 0) -> Any:
    """JSON that PostgreSQL stores and gives back as it was; whole numbers become integers."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(key): _plain(below, depth + 1) for key, below in value.items()}
    if isinstance(value, list):
        return [_plain(below, depth + 1) for below in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value) or abs(value) > _LARGEST:
            raise ValueError("a number must be finite and at most 2^53")
        return int(value) if value == int(value) else value
    return value


Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
Code = Annotated[str, BeforeValidator(_quoted), Field(pattern=r"^[0-9]{2,12}$")]
"""A division's code, GB/T 2260 and town codes without trailing zeros."""
PathWord = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,19}$")]
"""A carrier (`telecom`, `unicom`, `mobile`, `broadnet`, or any other) and its access node."""
Word = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")]
Age = Literal["infant", "junior", "senior", "mixed"]
"""Groups of children: 乳儿班, 托小班, 托大班, 混合班."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Text = Annotated[str, BeforeValidator(_quoted), Field(min_length=1, max_length=200), AfterValidator(_text)]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TimeOfDay = Annotated[int, BeforeValidator(_minutes, json_schema_input_type=str)]
"""Minutes after midnight in China, written "08:30"."""
Day = Annotated[str, BeforeValidator(_quoted), AfterValidator(_day)]
"""A calendar day, written "2026-10-01"."""
Settings = Annotated[dict[str, Any], AfterValidator(_plain), Field(max_length=100)]
"""What a driver or a channel is told; its own model checks it. May hold secrets."""


class _Model(BaseModel):
    # an input's value may be a secret: it is never shown in an error
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_Checked = TypeVar("_Checked")


def _unique(model: _Checked, what: str, names: list[str]) -> _Checked:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(f"{what}: {double[0]!r} stands here twice")
    return model


def _video(template: str) -> str:
    try:
        return check_template(template)
    except BadInput as error:
        raise ValueError(error.reason) from None


def _titled(title: Title) -> Title:
    _text(title.zh + title.en)
    return title


Names = Annotated[Title, AfterValidator(_titled)]


class Division(_Model):
    """A node of the administrative tree."""

    code: Code
    parent: Code | None = None
    title: Names


class RegisterEntry(_Model):
    """A line of the regulator's list of the institutions that must be there."""

    filing_number: Text
    division: Code
    type: Word
    title: Names
    capacity: int | None = Field(default=None, ge=1, le=100_000)
    credit_code: Annotated[Text, Field(pattern=r"^[0-9A-HJ-NP-RTUW-Y]{18}$")] | None = None
    """统一社会信用代码"""
    retired: bool = False


class Group(_Model):
    """Institutions that belong together across divisions."""

    id: Identifier
    title: Names
    institutions: tuple[Identifier, ...] = Field(default=(), max_length=MAX_INSTITUTIONS)


class Channel(_Model):
    """One way to reach a responder."""

    id: Identifier
    kind: Word
    settings: Settings = Field(repr=False)


class Responder(_Model):
    """Who is told: a role, reached over channels in order of preference; `manned`: a room with somebody in it at every hour."""

    id: Identifier
    title: Names
    manned: bool = False
    channels: tuple[Channel, ...] = Field(default=(), max_length=20)
    retired: bool = False

    @model_validator(mode="after")
    def _channels_are_told_apart(self) -> Self:
        return _unique(self, "channels", [channel.id for channel in self.channels])


class Shift(_Model):
    """One watch a day of a rota, from `starts` to `ends` (the next day where that is not later); the responders take turns of `turn_days`."""

    id: Identifier
    starts: TimeOfDay
    ends: TimeOfDay
    responders: tuple[Identifier, ...] = Field(min_length=1, max_length=200)
    since: Day
    until: Day | None = None
    turn_days: int = Field(default=1, ge=1, le=366)
    crew: int = Field(default=1, ge=1, le=200)
    weekdays: tuple[Weekday, ...] = Field(default=WEEKDAYS, min_length=1, max_length=7)
    days: tuple[DayKind, ...] = Field(default=tuple(DayKind), min_length=1, max_length=3)


class Rota(_Model):
    """A duty post and who fills it; for a division or an institution, neither means for the whole hub."""

    id: Identifier
    title: Names
    division: Code | None = None
    institution: Identifier | None = None
    shifts: tuple[Shift, ...] = Field(min_length=1, max_length=MOST_SHIFTS)
    retired: bool = False


class PolicyStep(_Model):
    """Tell `responder`, or who is on duty in `rota`, `delay` after the round began, and `repeat_times` more times every `repeat_every`.

    By `channel`, or by `kinds` kinds of channel at once in the responder's order of preference.
    """

    responder: Identifier | None = None
    rota: Identifier | None = None
    channel: Identifier | None = None
    kinds: int = Field(default=1, ge=1, le=MOST_KINDS)
    delay: Duration = 0
    repeat_every: Duration = 0
    repeat_times: int = Field(default=0, ge=0, le=1000)


class Policy(_Model):
    """Who is told about which alarms, where; for a division, a group or an institution, none of them means everywhere."""

    id: Identifier
    title: Names
    division: Code | None = None
    group: Identifier | None = None
    institution: Identifier | None = None
    institution_types: tuple[Word, ...] = Field(default=(), max_length=20)
    signal_classes: tuple[SignalClass, ...] = tuple(sorted(LIFE_SAFETY))
    priorities: tuple[Priority, ...] = (Priority.CRITICAL,)
    round_every: Duration
    max_rounds: int | None = Field(default=None, ge=1, le=100_000)
    remind_after: Duration | None = None
    lapse_after: Duration | None = None
    steps: tuple[PolicyStep, ...] = Field(min_length=1, max_length=100)
    retired: bool = False


class Zone(_Model):
    """A part of an institution with a purpose."""

    id: Identifier
    purpose: Word
    title: Names
    area_m2: float | None = Field(default=None, gt=0, le=1_000_000, allow_inf_nan=False)
    floor: int | None = Field(default=None, ge=-10, le=200)
    entrances: tuple[Identifier, ...] = Field(default=(), max_length=50)
    """zones through which one comes into this one"""
    ages: tuple[Age, ...] = Field(default=(), max_length=4)


class OnPlan(_Model):
    """Where on the plan of its zone's floor: shares of the picture's width from the left and of its height from the top."""

    x: float = Field(ge=0, le=1, allow_inf_nan=False)
    y: float = Field(ge=0, le=1, allow_inf_nan=False)


class Sight(_Model):
    """A zone that the camera at a position sees: which share of its floor, and whether a privacy mask hides it."""

    zone: Identifier
    share: float = Field(gt=0, le=1, allow_inf_nan=False)
    masked: bool = False


class Position(_Model):
    """The place in a zone where a device is installed."""

    id: Identifier
    zone: Identifier
    title: Names
    plan: OnPlan | None = None
    sees: tuple[Sight, ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _zones_are_told_apart(self) -> Self:
        return _unique(self, "sees", [sight.zone for sight in self.sees])


class LocalRule(_Model):
    """Sound a siren for a fire that `devices`, or those in `zones`, see while the hub has been away for `after`."""

    id: Identifier
    siren: Identifier
    point: Word
    value: bool | int = True
    devices: tuple[Identifier, ...] = Field(default=(), max_length=500)
    zones: tuple[Identifier, ...] = Field(default=(), max_length=500)
    after: Duration = 60_000_000

    @field_validator("after")
    @classmethod
    def _gives_the_hub_time(cls, after: int) -> int:
        if after < 30_000_000:
            raise ValueError("at least 30s: the hub's own people come first")
        return after

    @model_validator(mode="after")
    def _watches_something(self) -> Self:
        if not self.devices and not self.zones:
            raise ValueError("name the devices or zones that it watches")
        return self


class Edge(_Model):
    """The process at the institution that runs drivers."""

    id: Identifier
    profile: Identifier = "anxin-edge"
    local_rules: tuple[LocalRule, ...] = Field(default=(), max_length=50)
    switch: Identifier | None = None
    """as of a device"""
    powered_by: Identifier | None = None

    @model_validator(mode="after")
    def _rules_are_told_apart(self) -> Self:
        return _unique(self, "local_rules", [rule.id for rule in self.local_rules])


class Endpoint(_Model):
    """Where a driver connects."""

    id: Identifier
    driver: Identifier
    edge: Identifier
    settings: Settings = Field(default_factory=dict, repr=False)


class Device(_Model):
    """A device at a position, behind an endpoint; a device that speaks the hub's own protocol has none."""

    id: Identifier
    profile: Identifier
    position: Identifier | None = None
    endpoint: Identifier | None = None
    settings: Settings = Field(default_factory=dict, repr=False)
    dials_police: bool | None = None
    """whether this unit dials the police centre by its own line; left out: as its profile says"""
    recorded_by: Identifier | None = None
    """the device that tells how far back this camera's pictures reach; left out: by the institution's recorders, the worst of them"""
    switch: Identifier | None = None
    """the switch it hangs on: a device of the institution of the kind network_switch, or the name of a plain one that nothing is read of"""
    powered_by: Identifier | None = None
    """what feeds it: a UPS, a breaker or a switch of the institution, or the name of a circuit"""


class Place(_Model):
    """WGS-84."""

    latitude: float = Field(ge=-90, le=90, allow_inf_nan=False)
    longitude: float = Field(ge=-180, le=180, allow_inf_nan=False)


class Contact(_Model):
    """Who is called about an institution: a post, not a person's name."""

    title: Names
    phone: Annotated[str, BeforeValidator(_quoted), Field(pattern=_PHONE)]


class Uplink(_Model):
    """By which way an institution reaches the hub: who carries it, and at which access node, as that carrier names it."""

    carrier: PathWord
    access: PathWord | None = None


class Institution(_Model):
    """One licensed address with all that is in it."""

    id: Identifier
    division: Code
    type: Word
    title: Names
    capacity: int | None = Field(default=None, ge=1, le=100_000)
    place: Place | None = None
    operator: Text | None = None
    uplink: Uplink | None = None
    calendar: Settings | None = None
    contacts: tuple[Contact, ...] = Field(default=(), max_length=20)
    video: Annotated[str, AfterValidator(_video)] | None = None
    external_ids: dict[Word, Text] = Field(default_factory=dict, max_length=20)
    filing_number: Text | None = None
    retired: bool = False
    zones: tuple[Zone, ...] = Field(default=(), max_length=500)
    positions: tuple[Position, ...] = Field(default=(), max_length=2_000)
    edges: tuple[Edge, ...] = Field(default=(), max_length=50)
    endpoints: tuple[Endpoint, ...] = Field(default=(), max_length=500)
    devices: tuple[Device, ...] = Field(default=(), max_length=2_000)


class Manifest(_Model):
    """Everything that one plan or apply is about."""

    divisions: tuple[Division, ...] = Field(default=(), max_length=50_000)
    register_: tuple[RegisterEntry, ...] = Field(default=(), max_length=50_000, alias="register")
    groups: tuple[Group, ...] = Field(default=(), max_length=5_000)
    responders: tuple[Responder, ...] = Field(default=(), max_length=5_000)
    rotas: tuple[Rota, ...] = Field(default=(), max_length=5_000)
    policies: tuple[Policy, ...] = Field(default=(), max_length=5_000)
    institutions: tuple[Institution, ...] = Field(default=(), max_length=MAX_INSTITUTIONS)
