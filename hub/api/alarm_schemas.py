"""Alarms as the API shows them, and what people send about them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from hub.api.schemas import Given, GivenMoment, Moment, Name

AlarmStateName = Literal["normal", "unack_active", "ack_active", "unack_cleared", "latched_unack", "latched_ack"]
SignalClassName = Literal[
    "fire", "panic", "intrusion", "access", "supervisory", "fault", "communication", "clock", "compliance"
]
HidingName = Literal["shelved", "suppressed", "maintenance", "late", "out_of_service", "stale"]
DispositionName = Literal["true", "false", "nuisance", "test"]
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
    exercise: Literal["drill", "proof", "canary", "function_test"] | None = Field(
        description="null: real. Whoever shows it says so"
    )
    exercise_id: UUID | None = Field(description="of which drill or proof")
    paged: bool = Field(description="somebody is still to be told: unacknowledged, and nothing hides it")
    hidden: list[HidingName] = Field(description="what keeps it from being paged")
    shelved_until: Moment | None
    shelved_by: str | None
    shelved_with: str | None = Field(description="the second person, without whom no fire or panic is shelved")
    shelve_reason: str | None
    suppressed_by: UUID | None = Field(description="the root alarm that explains it")
    suppress_reason: str | None
    maintenance: str | None = Field(description="the maintenance window that holds its paging")
    held_until: Moment | None
    disposition: DispositionName | None = Field(description="what a person found it to be")
    disposition_by: str | None
    disposition_at: Moment | None
    closed_at: Moment | None
    closed_by: str | None


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
    receipt_detail: str = Field(
        description="what more the provider said: that a call was answered, which key was pressed"
    )


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


class ShelvingAsked(BaseModel):
    """A shelving of a fire or panic alarm that one person has asked for and a second one may agree to, within 10 minutes."""

    asked_by: str
    asked_at: Moment
    until: Moment
    reason: str


class AlarmDetail(Alarm):
    """An alarm with what was done about it."""

    shelving_asked: ShelvingAsked | None
    response: Name | None = Field(description="what to do first")
    transitions: list[AlarmTransition]
    escalation: Escalation | None
    notifications: list[Notification] = Field(description="the first 1,000")


class GivenShelving(Given):
    """Hide an alarm from paging for a while: critical at most 1 h, high 8 h, medium 24 h, low and journal 7 days."""

    until: GivenMoment
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


class GivenDisposition(Given):
    """What the alarm was: a true one, a false one, a nuisance, or a test."""

    disposition: DispositionName
    note: str = Field(default="", max_length=2000)


class AlarmNote(Given):
    """A note to an action."""

    note: str = Field(default="", max_length=2000)


class AlarmRemark(Given):
    """What is to stand in an alarm's history."""

    note: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
