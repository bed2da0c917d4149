"""Alarms as the API shows them, and what people send about them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from hub.api.schemas import Given, Moment, Name

AlarmStateName = Literal["normal", "unack_active", "ack_active", "unack_cleared", "latched_unack", "latched_ack"]
SignalClassName = Literal[
    "fire", "panic", "intrusion", "access", "supervisory", "fault", "communication", "clock", "compliance"
]
PriorityName = Literal["critical", "high", "medium", "low", "journal"]


class Alarm(BaseModel):
    """One activation of an alarm definition at a device."""

    id: UUID
    device: str
    kind: str
    institution: str
    division: str
    zone: str | None
    position: str | None
    definition: str
    instance: str
    title: Name
    signal_class: SignalClassName
    priority: PriorityName
    state: AlarmStateName
    latching: bool
    raised_at: Moment
    received_at: Moment
    cleared_at: Moment | None
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    ended_at: Moment | None
    occurrences: int
    late: bool = Field(description="it had waited in a spool before the hub saw it")


class AlarmTransition(BaseModel):
    """One step in an alarm's history; what stands beside the state keeps it."""

    n: int
    event: str
    from_state: str
    to_state: str
    at: Moment
    recorded_at: Moment
    actor: str
    note: str


class Attempt(BaseModel):
    """One try on one channel."""

    n: int
    at: Moment
    outcome: str
    code: int | None
    receipt: str | None = Field(
        description="what the provider said later: arrived, not_arrived, or unknown after an hour"
    )
    receipt_at: Moment | None


class Notification(BaseModel):
    """A message of the escalation, with its attempts."""

    id: UUID
    kind: str
    round: int
    step: int
    repetition: int
    responder: str
    channel: str
    state: str
    due_at: Moment
    created_at: Moment
    ended_at: Moment | None
    attempts: list[Attempt]


class Escalation(BaseModel):
    """How far the escalation of an alarm has come."""

    state: str
    reason: str
    actor: str
    policy: str | None
    started_at: Moment
    ended_at: Moment | None
    round: int


class AlarmDetail(Alarm):
    """An alarm with what was done about it."""

    response: Name | None = Field(description="what to do first")
    transitions: list[AlarmTransition]
    escalation: Escalation | None
    notifications: list[Notification] = Field(description="the first 1,000")


class AlarmNote(Given):
    """A note to an action."""

    note: str = Field(default="", max_length=2000)


class AlarmRemark(Given):
    """What is to stand in an alarm's history."""

    note: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
