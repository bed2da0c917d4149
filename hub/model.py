"""The nouns that every room shares: what a driver reads, what travels, what is stored.

Knows nothing of databases, brokers, clocks or profiles. Times are whole microseconds since the Unix epoch, UTC (`Micros`).
Hot values are NamedTuples: creating one costs a quarter of a pydantic model's time.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import NamedTuple

IDENTIFIER = r"^[a-z0-9][a-z0-9-]{0,39}$"
"""Identifiers chosen in manifests: institutions, zones, positions, devices, edges, policies …"""

Micros = int
"""Whole microseconds since 1970-01-01T00:00:00Z."""

Scalar = bool | int | float | str

SECOND: Micros = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> Micros:
    """Microseconds since the epoch of an aware datetime, exactly (no float on the way)."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(at: Micros) -> datetime:
    """The aware UTC datetime of `at`; raises OverflowError outside years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=at)


class Lane(StrEnum):
    """Urgent carries devices with any fire or panic definition, with all their samples; bulk carries the rest."""

    URGENT = "urgent"
    BULK = "bulk"


class SignalClass(StrEnum):
    """What an alarm is about (VOCABULARY.md). Fire and panic go first everywhere."""

    FIRE = "fire"
    PANIC = "panic"
    INTRUSION = "intrusion"
    ACCESS = "access"
    SUPERVISORY = "supervisory"
    FAULT = "fault"
    COMMUNICATION = "communication"
    CLOCK = "clock"
    COMPLIANCE = "compliance"


class When(StrEnum):
    """What the condition of an alarm definition may depend on. Fire and panic depend on nothing."""

    OPEN = "open"
    CLOSED = "closed"
    ARMED = "armed"
    DISARMED = "disarmed"


LIFE_SAFETY = frozenset({SignalClass.FIRE, SignalClass.PANIC})


class Exercise(StrEnum):
    """What an alarm is where it is not real (VOCABULARY.md); None is real. No authority is ever told of one."""

    DRILL = "drill"
    PROOF = "proof"
    CANARY = "canary"
    FUNCTION_TEST = "function_test"


class Priority(StrEnum):
    """Alarm priority after ISA-18.2; journal is recorded and never paged."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    JOURNAL = "journal"


class DayKind(StrEnum):
    """What a calendar day is: a working day (also a Saturday or Sunday that was made one, 调休), a plain weekend, a day off by the notice."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


class AdminState(StrEnum):
    """What people decided about a device. Only in_service counts toward coverage."""

    REGISTERED = "registered"
    COMMISSIONED = "commissioned"
    IN_SERVICE = "in_service"
    OUT_OF_SERVICE = "out_of_service"
    RETIRED = "retired"
    QUARANTINED = "quarantined"


class LinkState(StrEnum):
    """What liveness decided."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


class FunctionState(StrEnum):
    """What health points and function tests decided."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNPROVEN = "unproven"


class Quality(IntEnum):
    """Quality of a reading with its reason; the hundreds are the class: 0 good, 1 uncertain, 2 bad."""

    GOOD = 0
    UNCERTAIN_CLOCK = 101
    """the device's clock is off by more than the bound; the hub's own clock was used"""
    UNCERTAIN_ENUM = 102
    """the code is not in the profile's enumeration"""
    BAD_RANGE = 201
    BAD_TYPE = 202
    BAD_NOT_FINITE = 203
    BAD_DEVICE = 204
    """the device or the driver said that it could not read this point"""
    BAD_GONE = 205
    """what this instance stood for (a row of a table) was there and is not any more"""

    @property
    def is_good(self) -> bool:
        """True where the reading may be judged."""
        return self < 100


GONE = "gone: "
"""An error of a sample begins so when its instance was there, is not any more, and the rest could be read: `Quality.BAD_GONE`."""


class Series(NamedTuple):
    """One device's point as stored. `instance` is a part, channel or table index, else empty."""

    device: str
    point: str
    instance: str = ""


class Sample(NamedTuple):
    """What a driver read: `raw` as the protocol gave it, or `error` and why. `at` is set once and never changed."""

    series: Series
    at: Micros
    raw: Scalar | None
    error: str | None = None
    edge_at: Micros | None = None
    """the clock of the process that received it, where `at` is the device's own time and differs; the runtime sets it, no driver"""
    mark: str | None = None
    """not real: an exercise's mark (`hub.core.exercises`). The edge and the hub set it, no driver; it is judged apart from all that is known"""


class Reject(NamedTuple):
    """What came from the field and could not be taken: it goes to quarantine. `payload` has at most 4096 bytes."""

    at: Micros
    source: str
    """where it came from: endpoint, topic, register"""
    code: str
    """a short machine-readable reason, `[a-z0-9-]+`"""
    reason: str
    payload: bytes = b""


async def settled() -> None:
    """The settle of a source that needs no confirmation."""


class Delivery(NamedTuple):
    """What a push source hands over; `settle` confirms it to the source, only after it is safe (spooled and synced)."""

    samples: Sequence[Sample]
    rejects: Sequence[Reject] = ()
    settle: Callable[[], Awaitable[None]] = settled


class Reading(NamedTuple):
    """A normalised sample. `value` is None where the quality is bad; text and enum labels go to `text`."""

    series: Series
    at: Micros
    received_at: Micros
    value: float | None
    text: str | None
    quality: Quality
    edge_at: Micros | None = None
    """when the edge had it, by the edge's clock, where that is not `at`"""
