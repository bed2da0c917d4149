"""What a channel sends and what it answers. Knows nothing of databases, policies or how any channel works."""

from abc import ABC, abstractmethod
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from hub.model import Exercise, Micros, Priority, SignalClass
from hub.profiles import Title


class Purpose(StrEnum):
    """Why a message goes out: to tell of an alarm; to ask whoever has taken one; to tell of many at once."""

    PAGE = "page"
    REMINDER = "reminder"
    DIGEST = "digest"


class Listed(NamedTuple):
    """One alarm of a digest."""

    alarm: UUID
    title: Title
    institution_title: Title
    place: Title
    priority: Priority


class Message(NamedTuple):
    """One message about one alarm (a digest's is its gravest) to one responder, in both languages."""

    id: UUID
    """the idempotency key: the same for every attempt, so that a receiver can drop what it has seen"""
    alarm: UUID
    institution: str
    institution_title: Title
    division: str
    device: str
    definition: str
    instance: str
    signal_class: SignalClass
    priority: Priority
    state: str
    place: Title
    """zone and position; the institution's title where the device has no position"""
    title: Title
    response: Title
    """what to do first"""
    raised_at: datetime
    occurrences: int
    late: bool
    """the alarm had waited in a spool: it is older than it seems"""
    responder: str
    responder_title: Title
    round: int
    step: int
    repetition: int
    link: str
    """where the alarm is shown; empty where the hub has no public address"""
    exercise: Exercise | None = None
    """None: real. Anything else is marked in title and text by every renderer (hub.notify.wording)"""
    purpose: Purpose = Purpose.PAGE
    owner: str = ""
    """of a reminder: who has acknowledged the alarm"""
    listed: tuple[Listed, ...] = ()
    """of a digest: the gravest alarms, at most ten"""
    listed_count: int = 1
    """of a digest: how many alarms in all"""


class Outcome(StrEnum):
    """What became of one attempt, and so what the deliverer does: be done, try again later, give up."""

    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


class Receipt(NamedTuple):
    """The proof of one attempt. `detail` is in our own words: nothing the other side said, no address, no secret."""

    outcome: Outcome
    code: int | None = None
    """HTTP status or SMTP reply code"""
    detail: str = ""
    provider_id: str = ""
    """what the provider calls this message, where it tells later whether it arrived; `[A-Za-z0-9^._:-]`, at most 100"""
    retry_after: Micros | None = None
    """of a failure: before that the receiver does not want another"""


class ChannelSettings(BaseModel, ABC):
    """What a channel is told; each kind has its own. Unknown keys are refused, secrets are SecretStr."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def shown(self) -> dict[str, object]:
        """What may be shown."""

    @abstractmethod
    def channel(self, *, allow_loopback: bool) -> "Channel":
        """The channel of these settings."""


class Channel(Protocol):
    """One way to reach one responder, made from its settings."""

    carries_marks: ClassVar[bool]
    """whether what arrives says that it is an exercise; where it cannot, exercises are not sent (`hub.notify.deliver`)"""

    async def send(self, message: Message) -> Receipt:
        """One attempt, within the channel's own time limit. What goes wrong on the way is a receipt, not an exception."""
        ...
