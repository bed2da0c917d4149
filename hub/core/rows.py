"""What one transaction of a lane writes beside readings and alarms: the values of its rows, as the core hands them to the store. Pure."""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from hub.model import Lane, Micros, Reading

HOUR: Micros = 3_600_000_000
"""tallies are kept by the hour"""


class Quarantined(NamedTuple):
    """One row of quarantine; `n` is -1 for a whole message."""

    at: Micros | None
    client: str | None
    source: str
    stream: str | None
    seq: int | None
    n: int | None
    code: str
    reason: str
    payload: bytes


class EventRow(NamedTuple):
    """One row of `event`."""

    stream: str
    seq: int
    n: int
    reading: Reading


class Change(NamedTuple):
    """One row of the change feed."""

    kind: str
    institution: int
    payload: dict[str, Any]


@dataclass
class Tally:
    """Conservation: produced + surplus is the sum of all others, every item in exactly one of them."""

    produced: int = 0
    """samples and rejects: as the client declares them, else as they came"""
    stored: int = 0
    suppressed: int = 0
    events: int = 0
    beats: int = 0
    duplicates: int = 0
    quarantined: int = 0
    dropped: int = 0
    """given up and declared by the client's full spool"""
    missing: int = 0
    """declared as produced, and nowhere: an imbalance"""
    surplus: int = 0
    """came, and was never declared: an imbalance"""


class Gap(NamedTuple):
    """A period whose readings are known to be missing: of one device, or of all that a client's lane carries."""

    client: str
    lane: Lane
    device: str | None
    since: Micros
    until: Micros
    cause: str
    """`dropped` by a full spool, `edge` off or stalled, `device` silent"""
    items: int | None = None


class Probed(NamedTuple):
    """What became of a proof in this lane: an alarm was raised, or (`ended`: preempted, failed) none can be, and why."""

    alarm: UUID | None
    at: Micros
    """when it was injected, by the clock of whoever did"""
    ended: str = ""
    reason: str = ""


class Hopped(NamedTuple):
    """A hop of a proof that the edge tells of, by the edge's clock; `text`: why it was `refused`."""

    proof: UUID
    hop: str
    at: Micros
    text: str
