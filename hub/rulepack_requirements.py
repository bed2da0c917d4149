"""What a rule asks for, as it is written in a rule pack. Exactly one kind a rule; unknown keys are errors. Semantics: rule-packs/README.md."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hub.core.coverage import requirements as core
from hub.core.coverage.attestations import CIRCUMSTANCES, AttestationKind
from hub.core.coverage.purposes import ZONE_SETS, ZonePurpose
from hub.model import Micros, SignalClass
from hub.profiles import Duration, Kind

_CAPABILITY = r"^[a-z]+\.[a-z_]+$"
_WORD = r"^[a-z][a-z0-9_]{0,39}$"


def _listed(given: object) -> object:
    return [given] if isinstance(given, str) else given


def _zones(given: object) -> object:
    """Purposes, with the names of sets (`infant_zones`) replaced by what they hold."""
    names = _listed(given)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return names
    return sorted({one for name in names for one in ZONE_SETS.get(name, [name])})


_ONE_OR_MORE = str | list[str]
Capabilities = Annotated[
    tuple[Annotated[str, Field(pattern=_CAPABILITY)], ...],
    BeforeValidator(_listed, json_schema_input_type=_ONE_OR_MORE),
]
Zones = Annotated[tuple[ZonePurpose, ...], BeforeValidator(_zones, json_schema_input_type=_ONE_OR_MORE)]
Word = Annotated[str, Field(pattern=_WORD)]


def _is_circumstance(kind: AttestationKind) -> AttestationKind:
    if kind not in CIRCUMSTANCES:
        raise ValueError(f"is none of {', '.join(sorted(CIRCUMSTANCES))}")
    return kind


Circumstance = Annotated[AttestationKind, AfterValidator(_is_circumstance)]
Kinds = Annotated[tuple[AttestationKind, ...], BeforeValidator(_listed, json_schema_input_type=_ONE_OR_MORE)]
Classes = Annotated[tuple[SignalClass, ...], BeforeValidator(_listed, json_schema_input_type=_ONE_OR_MORE)]
Amount = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Area = Annotated[float, Field(allow_inf_nan=False, ge=0.1, le=1e6)]
Period = Annotated[Duration, Field(gt=0)]
AnyPeriod = Period | None


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _set(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word.value if isinstance(word, StrEnum) else word for word in words)


def _on_zones(per: str, zones: Zones) -> None:
    if per == "zone" and not zones:
        raise ValueError("zones: a requirement per zone names its zones")


class AtLeastText(_Model):
    """`at_least`: n devices with any of the capabilities, per institution, zone, entrance or floor; n for each `per_m2` or `per_children` begun."""

    capability: Capabilities = Field(min_length=1)
    n: int = Field(default=1, ge=1, le=10_000)
    per: Literal["institution", "zone", "entrance", "floor"]
    zones: Zones = ()
    must_exist: bool = False
    per_m2: Area | None = None
    per_children: int | None = Field(default=None, ge=1, le=10_000)
    area_above: Area | None = None
    area_up_to: Area | None = None
    views_within: AnyPeriod = None

    @model_validator(mode="after")
    def _holds_together(self) -> "AtLeastText":
        _on_zones(self.per, self.zones)
        if self.per == "institution" and self.must_exist:
            raise ValueError("must_exist: an institution exists; only other requirements have it")
        if self.per_m2 is not None and self.per in ("entrance", "floor"):
            raise ValueError("per_m2: only per institution or per zone is an area known")
        if self.per_children is not None and self.per != "institution":
            raise ValueError("per_children: only per institution are the children known")
        if self.per_m2 is not None and self.per_children is not None:
            raise ValueError("per_children: not beside per_m2")
        if (self.area_above or self.area_up_to) is not None and self.per != "zone":
            raise ValueError("area_above, area_up_to: only per zone")
        if self.area_above is not None and self.area_up_to is not None and self.area_up_to <= self.area_above:
            raise ValueError("area_up_to: not above area_above")
        return self

    def to_core(self) -> core.AtLeast:
        """The core's value."""
        return core.AtLeast(
            _set(self.capability), self.n, self.per, _set(self.zones), self.must_exist, self.per_m2,
            self.per_children, self.area_above, self.area_up_to, self.views_within,
        )  # fmt: skip


class ShareCoveredText(_Model):
    """`share_covered`: the shares that devices see of each zone add up to this."""

    capability: Capabilities = Field(min_length=1)
    share: float = Field(gt=0, le=1)
    zones: Zones = Field(min_length=1)
    must_exist: bool = False
    views_within: AnyPeriod = None

    def to_core(self) -> core.ShareCovered:
        """The core's value."""
        asked = _set(self.capability)
        return core.ShareCovered(asked, self.share, _set(self.zones), self.must_exist, self.views_within)


class NoneInText(_Model):
    """`none_in`: no device of these kinds or capabilities in these zones, and no view into them without a privacy mask."""

    zones: Zones = Field(min_length=1)
    kinds: tuple[Kind, ...] = ()
    capability: Capabilities = ()

    @model_validator(mode="after")
    def _names_something(self) -> "NoneInText":
        if not self.kinds and not self.capability:
            raise ValueError("none_in names kinds or capability: else it forbids nothing")
        return self

    def to_core(self) -> core.NoneIn:
        """The core's value."""
        return core.NoneIn(_set(self.zones), _set(self.kinds), _set(self.capability))


class BoundsText(_Model):
    """`bounds`: a point's value, the days of recording, or the institution's area or capacity, at least `min` and at most `max`."""

    point: Word | None = None
    of: Literal["recording_days", "area_m2", "capacity", "floor"] | None = None
    kinds: tuple[Kind, ...] = ()
    min: Amount | None = None
    max: Amount | None = None
    capability: Capabilities = ()
    zones: Zones = ()
    must_exist: bool = False
    excepted: Literal["legal_hold"] | None = Field(default=None, alias="except")
    gaps: Duration | None = None
    newest_within: AnyPeriod = None

    @model_validator(mode="after")
    def _holds_together(self) -> "BoundsText":
        if (self.point is None) == (self.of is None):
            raise ValueError("bounds is of exactly one: point, or of: recording_days, area_m2, capacity or floor")
        if self.min is None and self.max is None:
            raise ValueError("min, max: bounds has at least one of them")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise ValueError("max: below min")
        if self.of != "recording_days" and (self.excepted or self.gaps or self.newest_within) is not None:
            raise ValueError("except, gaps, newest_within: only of recording_days")
        if self.newest_within is not None and self.min is None:
            raise ValueError("newest_within: goes with a min of days")
        if self.of == "recording_days" and not self.capability:
            raise ValueError("capability: name what is recorded (video.live)")
        if self.of in ("area_m2", "capacity") and (self.capability or self.zones or self.must_exist):
            raise ValueError("capability, zones, must_exist: not of the institution's area or capacity")
        if self.of == "floor" and (self.capability or not self.zones):
            raise ValueError("zones, capability: of floor names zones and no capability")
        if self.kinds and self.point is None:
            raise ValueError("kinds: only of a point")
        return self

    def to_core(self) -> core.Bounds:
        """The core's value."""
        return core.Bounds(
            self.of or "point", self.min, self.max, self.point or "", _set(self.kinds), _set(self.capability),
            _set(self.zones), self.must_exist,
            self.excepted is not None, core.DAY if self.gaps is None else self.gaps, self.newest_within,
        )  # fmt: skip


class ProvenText(_Model):
    """`proven`: each device in service with any of the capabilities was proven within this time."""

    capability: Capabilities = Field(min_length=1)
    within: Period
    zones: Zones = ()
    must_exist: bool = False

    def to_core(self) -> core.Proven:
        """The core's value."""
        return core.Proven(_set(self.capability), self.within, _set(self.zones), self.must_exist)


class WhenText(_Model):
    """`when`: the circumstance in which alone the rule asks anything: `stated` by a person, or a device with any of the capabilities."""

    stated: Circumstance | None = None
    min: Annotated[Amount, Field(gt=0)] = 1.0
    within: AnyPeriod = None
    capability: Capabilities = ()

    @model_validator(mode="after")
    def _exactly_one(self) -> "WhenText":
        if (self.stated is None) == (not self.capability):
            raise ValueError("when is of exactly one: stated, or capability")
        if self.stated is None and (self.within is not None or self.min != 1.0):
            raise ValueError("min, within: only of what is stated")
        return self

    def to_core(self) -> core.When:
        """The core's value."""
        stated = "" if self.stated is None else self.stated.value
        return core.When(stated, self.min, self.within, _set(self.capability))


class WhereText(_Model):
    """`where`: what must be there for the rest to be asked."""

    capability: Capabilities = Field(min_length=1)


class ValueText(_Model):
    """`value`: bounds of what was attested; `per_m2`: at least one for each such area begun."""

    min: Amount | None = None
    max: Amount | None = None
    per_m2: Area | None = None


class AttestedText(_Model):
    """`attested`: at least n attestations of a kind within a time, for the institution, each zone or each device, or on each opening day."""

    kind: AttestationKind
    within: AnyPeriod = None
    n: int = Field(default=1, ge=1, le=1_000)
    per: Literal["institution", "zone", "device"] = "institution"
    each: Literal["open_day"] | None = None
    zones: Zones = ()
    where: WhereText | None = None
    seconded: bool = False
    value: ValueText | None = None
    missing: core.Silence = "unknown"
    must_exist: bool = False

    @model_validator(mode="after")
    def _holds_together(self) -> "AttestedText":
        if self.per == "zone" and not self.zones and self.where is None:
            raise ValueError("zones: attested per zone names zones or where")
        if self.per == "device" and self.where is None:
            raise ValueError("where: attested per device names the devices' capability")
        if self.per == "institution" and (self.zones or self.where is not None):
            raise ValueError("zones, where: only per zone or per device")
        if self.each is not None and (self.per != "institution" or self.within is None):
            raise ValueError("each: open_day goes with per: institution and a within")
        if self.n > 1 and self.within is None:
            raise ValueError("within: several attestations need a time they fall into")
        if self.each is not None and self.value is not None:
            raise ValueError("value: not with each")
        return self

    def to_core(self) -> core.Attested:
        """The core's value."""
        value = self.value or ValueText()
        return core.Attested(
            self.kind.value, self.within, self.n, self.per, _set(self.zones),
            frozenset() if self.where is None else _set(self.where.capability),
            self.each is not None, self.seconded, value.min, value.max, value.per_m2, self.missing, self.must_exist,
        )  # fmt: skip


class DocumentsText(_Model):
    """`documents`: a document of each kind, dated and not expired, with its number unless that is `optional`."""

    kind: Kinds = Field(min_length=1)
    number: Literal["required", "optional"] = "required"
    within: AnyPeriod = None
    missing: core.Silence = "unknown"

    def to_core(self) -> core.Documents:
        """The core's value."""
        return core.Documents(_set(self.kind), self.number == "required", self.within, self.missing)


class AlwaysArmedText(_Model):
    """`always_armed`: alarms of these classes are never off by a schedule, a mode or a hiding."""

    classes: Classes = Field(min_length=1)
    must_exist: bool = False

    def to_core(self) -> core.AlwaysArmed:
        """The core's value."""
        return core.AlwaysArmed(_set(self.classes), self.must_exist)


class TimeBoundText(_Model):
    """`time_bound`: from one fact to another within this time, every time or in this share of the times."""

    start: Word = Field(alias="from")
    end: Word = Field(alias="to")
    within: Period
    quantile: float | None = Field(default=None, gt=0, lt=1)
    every: Literal[True] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "TimeBoundText":
        if (self.quantile is None) == (self.every is None):
            raise ValueError("quantile, every: time_bound has exactly one of them")
        return self

    def to_core(self) -> core.TimeBound:
        """The core's value."""
        return core.TimeBound(self.start, self.end, self.within, self.quantile)


class IndependentText(_Model):
    """`independent`: n devices of which no two are behind the same link, switch, recorder, edge or uplink."""

    capability: Capabilities = Field(min_length=1)
    n: int = Field(default=2, ge=2, le=1_000)
    of: Literal["link", "switch", "recorder", "edge", "uplink"]
    per: Literal["institution", "zone"] = "institution"
    zones: Zones = ()
    must_exist: bool = False

    @model_validator(mode="after")
    def _zones_where_they_matter(self) -> "IndependentText":
        _on_zones(self.per, self.zones)
        if self.per == "institution" and self.must_exist:
            raise ValueError("must_exist: only a requirement per zone has it")
        return self

    def to_core(self) -> core.Independent:
        """The core's value."""
        return core.Independent(_set(self.capability), self.n, self.of, self.per, _set(self.zones), self.must_exist)


_DATED = ("bounds", "time_bound")
_HOUR: Micros = 3_600_000_000
_LEAST_AGE: dict[str, Micros] = dict.fromkeys(
    ("at_least", "share_covered", "proven", "always_armed", "independent"), 12 * _HOUR
) | {"bounds": 2 * _HOUR}
"""Facts are kept with the times at which a device was last heard rounded down, so that they do not differ with every beat."""


class RequirementText(_Model):
    """Exactly one kind of requirement."""

    at_least: AtLeastText | None = None
    share_covered: ShareCoveredText | None = None
    none_in: NoneInText | None = None
    bounds: BoundsText | None = None
    proven: ProvenText | None = None
    attested: AttestedText | None = None
    documents: DocumentsText | None = None
    always_armed: AlwaysArmedText | None = None
    time_bound: TimeBoundText | None = None
    independent: IndependentText | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "RequirementText":
        if len(self._given()) != 1:
            raise ValueError(f"a requirement is exactly one of {', '.join(type(self).model_fields)}")
        return self

    def _given(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name) is not None]

    def greatest_age(self, given: Micros | None) -> Micros | None:
        """The evidence's greatest age as given; raises ValueError where it must be given and is not, or cannot be. Without one, liveness decides:
        how long a device may be silent is a matter of its profile."""
        [kind] = self._given()
        if self.bounds is not None and self.bounds.of in ("area_m2", "capacity", "floor"):
            return None
        if given is None and kind in _DATED:
            raise ValueError(f"evidence_max_age: {kind} needs it: how old may what it looks at be?")
        least = _LEAST_AGE.get(kind, 0)
        if given is not None and given < least:
            raise ValueError(f"evidence_max_age: of {kind} not below {least // _HOUR}h; times are kept that exactly")
        if given is not None and kind == "none_in":
            raise ValueError("evidence_max_age: none_in has none; a place does not grow old")
        return given

    def to_core(self) -> core.Requirement:
        """The core's value."""
        [kind] = self._given()
        made: core.Requirement = getattr(self, kind).to_core()
        return made
