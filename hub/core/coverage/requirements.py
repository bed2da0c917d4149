"""What a rule may ask for: one frozen dataclass per kind of requirement. Data, no code; `hub.rulepacks` reads them from YAML.

What each asks precisely stands in rule-packs/README.md; `hub.core.coverage.judge` decides it. Zones are purposes, times are microseconds.
In every kind, `must_exist` says what is so where there is nothing to judge (no such zone, no such device): unknown, instead of not applicable.
"""

from dataclasses import dataclass
from typing import Literal

from hub.model import Micros

DAY: Micros = 86_400_000_000

Silence = Literal["unknown", "non_compliant"]
"""What it means that nobody ever stated a thing."""


@dataclass(frozen=True, slots=True)
class AtLeast:
    """At least `n` devices with any of these capabilities: in the institution, in each zone of these purposes, at each of their entrances, on each
    floor that they lie on.

    With `per_m2` or `per_children`, at least `n` for each such area or number of children begun. Per institution, `zones` limits where the devices
    count; empty means anywhere. `area_above` and `area_up_to` (m²) choose zones by their size.
    """

    capabilities: frozenset[str]
    n: int
    per: Literal["institution", "zone", "entrance", "floor"]
    zones: frozenset[str] = frozenset()
    must_exist: bool = False
    per_m2: float | None = None
    per_children: int | None = None
    area_above: float | None = None
    area_up_to: float | None = None
    views_within: Micros | None = None
    """how long ago a view may have been attested"""


@dataclass(frozen=True, slots=True)
class ShareCovered:
    """In each zone of these purposes, the shares that proven devices with any of these capabilities see add up to at least `share` (capped at 1)."""

    capabilities: frozenset[str]
    share: float
    zones: frozenset[str]
    must_exist: bool = False
    views_within: Micros | None = None


@dataclass(frozen=True, slots=True)
class NoneIn:
    """No device of these kinds or with any of these capabilities in a zone of these purposes, whatever its state, and no unmasked view into one."""

    zones: frozenset[str]
    kinds: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bounds:
    """A point's value or the days of recording, at every device it holds for, the floors that zones lie on, or the institution's area or
    capacity, within bounds.

    `hold_excepted`: a legal hold excuses what is kept for longer than `maximum`. `gaps`: how much of the days asked for may be missing, black or
    frozen. `newest_within`: how long before it was read the newest picture may be; where that is not known it is unknown.
    """

    of: Literal["point", "recording_days", "area_m2", "capacity", "floor"]
    minimum: float | None = None
    maximum: float | None = None
    point: str = ""
    kinds: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    must_exist: bool = False
    hold_excepted: bool = False
    gaps: Micros = DAY
    newest_within: Micros | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """Every device in service with any of these capabilities was proven, for each of them that it has or as a whole, within this time."""

    capabilities: frozenset[str]
    within: Micros
    zones: frozenset[str] = frozenset()
    must_exist: bool = False


@dataclass(frozen=True, slots=True)
class Attested:
    """At least `n` attestations of this kind within this time: for the institution, each zone of these purposes, or each device.

    `where`: only zones in which a device with any of these capabilities hangs or looks; per device, the devices with them. `each_open_day`: `n` on
    each opening day that ended within this time. The value of what was attested may be bounded too.
    """

    kind: str
    within: Micros | None
    n: int = 1
    per: Literal["institution", "zone", "device"] = "institution"
    zones: frozenset[str] = frozenset()
    where: frozenset[str] = frozenset()
    each_open_day: bool = False
    seconded: bool = False
    min_value: float | None = None
    max_value: float | None = None
    value_per_m2: float | None = None
    missing: Silence = "unknown"
    must_exist: bool = False


@dataclass(frozen=True, slots=True)
class Documents:
    """A document of each of these kinds, with its date, not expired, with its number where that is asked."""

    kinds: frozenset[str]
    number_required: bool = True
    within: Micros | None = None
    missing: Silence = "unknown"


@dataclass(frozen=True, slots=True)
class AlwaysArmed:
    """The alarms of these signal classes are always on, at every device in service that has them."""

    classes: frozenset[str]
    must_exist: bool = False


@dataclass(frozen=True, slots=True)
class TimeBound:
    """From one fact to another within this time: every time (`quantile` is None), or in at least this share of the times."""

    start: str
    end: str
    within: Micros
    quantile: float | None = None

    @property
    def interval(self) -> str:
        """The kind of the intervals that are measured."""
        return f"{self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Independent:
    """At least `n` devices with any of these capabilities of which no two depend on the same link, switch, recorder, edge or uplink."""

    capabilities: frozenset[str]
    n: int
    of: Literal["link", "switch", "recorder", "edge", "uplink"]
    per: Literal["institution", "zone"] = "institution"
    zones: frozenset[str] = frozenset()
    must_exist: bool = False


@dataclass(frozen=True, slots=True)
class When:
    """The circumstance in which a rule asks anything: what somebody stated (`stated` is a kind of attestation, with a value of at least `minimum`, not
    longer ago than `within`), or that there is a device with any of these capabilities.
    """

    stated: str = ""
    minimum: float = 1.0
    within: Micros | None = None
    capabilities: frozenset[str] = frozenset()


Requirement = (
    AtLeast | ShareCovered | NoneIn | Bounds | Proven | Attested | Documents | AlwaysArmed | TimeBound | Independent
)


def stands_on_zones(requirement: Requirement) -> bool:
    """Whether the verdict depends on the zone plan: then it carries the mark where the regulator has not signed that."""
    match requirement:
        case AtLeast():
            return requirement.per != "institution" or bool(requirement.zones) or requirement.per_m2 is not None
        case ShareCovered() | NoneIn():
            return True
        case Attested():
            return requirement.per == "zone" or bool(requirement.zones) or requirement.value_per_m2 is not None
        case Bounds():
            return requirement.of == "area_m2" or bool(requirement.zones)
        case Proven():
            return bool(requirement.zones)
        case Independent():
            return requirement.per == "zone" or bool(requirement.zones)
        case Documents() | AlwaysArmed() | TimeBound():
            return False
