"""What is known of an institution when its coverage is judged: zones, devices with their three axes, what they see, prove and record, what people
attested, and whether it is connected at all.

Frozen dataclasses of plain values, so that they can be kept as canonical JSON and read back equal. The order of tuples means nothing to the judge.
No personal data: who signed or patrolled stays in the register's own tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from hub.model import AdminState, FunctionState, LinkState, Micros


@dataclass(frozen=True, slots=True)
class ZoneFact:
    """A zone of the zone plan that is not retired."""

    id: str
    purpose: str
    title_zh: str
    title_en: str
    floor: str = ""
    """`1`, `-1` …; empty where nobody said"""
    area_m2: float | None = None
    entrances: tuple[str, ...] = ()
    """ids of the zones through which one comes into this one"""
    ages: tuple[str, ...] = ()
    """which groups of children use it"""


@dataclass(frozen=True, slots=True)
class View:
    """A zone that a camera sees: `share` of its area, above 0 and at most 1. `masked`: a privacy mask hides it.

    `attested_at` is None where nobody attested it for the device that stands there now: it counts as unknown.
    """

    zone: str
    share: float
    attested_at: Micros | None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """The latest good value of one of a device's points."""

    point: str
    value: float
    at: Micros


@dataclass(frozen=True, slots=True)
class DeviceFact:
    """A device that is not retired. `zone` is None where it has no position."""

    id: str
    kind: str
    zone: str | None
    capabilities: frozenset[str]
    admin_state: AdminState
    admin_since: Micros
    link_state: LinkState
    link_since: Micros
    function_state: FunctionState
    function_since: Micros
    last_heard_at: Micros | None
    proven: tuple[tuple[str, Micros], ...] = ()
    """(capability, when it was last proven); capability "" is the device as a whole"""
    behind: tuple[str, ...] = ()
    """what it depends on, from the device outward, as `kind:id` with the kinds link, power, switch, recorder, edge, uplink"""
    sees: tuple[View, ...] = ()
    """the zones a camera declares to see; empty where it declares none"""
    values: tuple[Value, ...] = ()
    heard_late: bool = False
    """its edge heard it all this time, while the hub heard neither; what was kept there arrived later. Only ever true of the past"""
    unproven: frozenset[str] = frozenset()
    """capabilities that it has and that no test of it has shown, although another one of it was: they contribute unknown"""


@dataclass(frozen=True, slots=True)
class RecordingFact:
    """What a recorder's own index says of one camera (or of a recorder whose cameras are not known).

    `days` is what is proven to be held, reckoned back from `read_at`; `possible` what it may hold at most (None: the same). `gap_seconds` and
    `bad_seconds` (black or frozen) are missing within that; they do not overlap. `installed_at`: since when the camera is in service at all.
    """

    device: str
    recorder: str
    days: float
    gap_seconds: float
    oldest_at: Micros | None
    newest_at: Micros | None
    read_at: Micros
    bad_seconds: float = 0.0
    installed_at: Micros | None = None
    possible: float | None = None


@dataclass(frozen=True, slots=True)
class Attestation:
    """A fact that a person stated, or a document. It counts from `at` until, but not including, `expires_at`.

    `zone` and `device` say what it is about; neither means the whole institution. `seconded`: a second person signed it too.
    """

    id: str
    kind: str
    at: Micros
    expires_at: Micros | None = None
    zone: str | None = None
    device: str | None = None
    number: str = ""
    value: float | None = None
    seconded: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """Something that took time: from one fact to another (`detector-centre`), or the hours an institution was open (`open`)."""

    kind: str
    began_at: Micros
    ended_at: Micros | None = None
    """None while the second fact has not come"""
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Arming:
    """Whether the alarms of one class of a device are always on: false where a schedule, an armed state or a shelving may keep one from people."""

    device: str
    signal_class: str
    always: bool
    at: Micros
    """since when, as far as is known"""


@dataclass(frozen=True, slots=True)
class PlanState:
    """The zone plan: its version, when it last changed, and when the regulator signed it as it is now (None: not signed as it is now)."""

    version: int
    signed_at: Micros | None
    changed_at: Micros


@dataclass(frozen=True, slots=True)
class InstitutionFacts:
    """Everything that rules may ask about one subject: an institution, or an entry of the register that is not connected."""

    subject: str
    division: str
    type: str
    connected: bool
    zones: tuple[ZoneFact, ...] = ()
    devices: tuple[DeviceFact, ...] = ()
    registered: bool | None = None
    """on the regulator's register; None where nobody looked"""
    filing_number: str = ""
    capacity: int | None = None
    area_m2: float | None = None
    plan: PlanState | None = None
    recordings: tuple[RecordingFact, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    intervals: tuple[Interval, ...] = ()
    armed_always: tuple[Arming, ...] = ()
    unreadable: bool = False
    """what is stored of it could not be understood, and so nothing of it is told here: everything is unknown"""

    @property
    def plan_signed(self) -> bool:
        """Whether the regulator signed the zone plan as it is now. What nobody signed, or nobody knows to be signed, is not."""
        plan = self.plan
        return plan is not None and plan.signed_at is not None and plan.signed_at >= plan.changed_at


def figures(facts: InstitutionFacts) -> Iterator[float | None]:
    """Every figure that is no whole number; None where nobody said."""
    yield facts.area_m2
    yield from (zone.area_m2 for zone in facts.zones)
    for device in facts.devices:
        yield from (view.share for view in device.sees)
        yield from (one.value for one in device.values)
    for recording in facts.recordings:
        yield from (recording.days, recording.gap_seconds, recording.bad_seconds, recording.possible)
    yield from (one.value for one in facts.attestations)


class Contribution(StrEnum):
    """What a device adds to "at least n"."""

    PROVEN = "proven"
    UNKNOWN = "unknown"
    NONE = "none"


_ADMIN = {state: state.value for state in AdminState}
_FUNCTION = {state: state.value for state in FunctionState}
"""`.value` of an enum costs more than all the rest of `contribution`"""


ALONE = frozenset({"access.control", "power.backup", "video.live", "video.record"})
"""What a device does at the institution by itself, whether or not anybody outside hears of it (docs/decisions/0380). What must reach somebody
is not among it: a press, a fire or gas that nobody could be told of was not covered, however healthy the device was."""


def works_alone(device: DeviceFact, asked: frozenset[str]) -> bool:
    """Whether what the device gives of what is asked for needs nobody outside to hear it."""
    given = asked & device.capabilities
    return bool(given) and given <= ALONE


def contribution(device: DeviceFact, asked: frozenset[str] = frozenset()) -> tuple[Contribution, str, Micros]:
    """What the device contributes to any of these capabilities (to whatever it does, where none is `asked`), a word for why, and since when.

    Only a device in service counts. A function known to have failed counts for nothing even when the link is gone now;
    offline, unheard or unproven is unknown, never proven; so is a capability that no test has shown. What only its edge heard
    proves what the device does alone, where that is `asked` for.
    """
    if device.admin_state is not AdminState.IN_SERVICE:
        return Contribution.NONE, _ADMIN[device.admin_state], device.admin_since
    if device.function_state is FunctionState.FAILED:
        return Contribution.NONE, "failed", device.function_since
    if device.link_state is LinkState.OFFLINE:
        return Contribution.UNKNOWN, "offline", device.link_since
    late = False
    if device.link_state is not LinkState.ONLINE:
        late = device.heard_late and works_alone(device, asked)
        if not late:
            return Contribution.UNKNOWN, "link_unknown", device.link_since
    if device.function_state is FunctionState.UNPROVEN:
        return Contribution.UNKNOWN, "unproven", device.function_since
    if device.unproven:
        meant = asked & device.capabilities
        if meant and meant <= device.unproven:
            return Contribution.UNKNOWN, "never_proven", device.function_since
    if late:
        return Contribution.PROVEN, "heard_late", device.link_since
    return Contribution.PROVEN, _FUNCTION[device.function_state], device.function_since
