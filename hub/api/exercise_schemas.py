"""What the API takes and gives of exercises: drills, proofs, windows at the police centre."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from hub.api.schemas import DivisionCode, Given, GivenMoment, Identifier, Line, Moment, Name, Number

Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
Note = Annotated[str, StringConstraints(max_length=2000)]
UrgentClass = Literal["fire", "panic"]


class GivenName(Given):
    """Text for people, Chinese first."""

    zh: Words
    en: Words


class DrillPlace(Given):
    """One division, institution or group; a zone together with its institution."""

    division: DivisionCode | None = None
    institution: Identifier | None = None
    group: Identifier | None = None
    zone: Identifier | None = None


class ExpectedPress(Given):
    """A press that is expected: at a position, of a class, at a minute. One press uses it up; whatever else comes is real."""

    institution: Identifier
    position: Identifier
    signal_class: UrgentClass = "panic"
    at: GivenMoment
    tolerance_seconds: float = Field(default=60.0, ge=1, le=600, allow_inf_nan=False)


class DrillRequest(Given):
    """A drill, declared before it is held."""

    title: GivenName
    place: DrillPlace
    starts_at: GivenMoment
    ends_at: GivenMoment
    presses: tuple[ExpectedPress, ...] = Field(min_length=1, max_length=2000)


class Drill(BaseModel):
    """A drill; `presses` are expected, `pressed` have come."""

    id: UUID
    title: Name
    division: str | None
    institution: str | None
    group: str | None
    zone: str | None
    starts_at: Moment
    ends_at: Moment
    declared_by: str
    declared_at: Moment
    cancelled_by: str | None
    cancelled_at: Moment | None
    presses: int
    pressed: int


class DrillMarkRequest(Given):
    """What a person saw; a later word of the same kind corrects the one before."""

    institution: Identifier
    kind: Literal["arrival", "all_clear"]
    at: GivenMoment | None = Field(default=None, description="now where it is left out")
    note: Note = ""


class DrillMark(BaseModel):
    """What a person recorded."""

    kind: Literal["arrival", "all_clear"]
    at: Moment
    actor: str
    note: str
    recorded_at: Moment


class DrillPress(BaseModel):
    """A declared press, and what came of it."""

    n: int
    position: str
    title: Name
    signal_class: str
    at: Moment
    since: Moment
    until: Moment
    pressed_at: Moment | None
    alarm: UUID | None
    first_notice_at: Moment | None
    first_responder: str | None
    messages: int
    acknowledged_at: Moment | None
    acknowledged_by: str | None


class DrillTimings(BaseModel):
    """Seconds from the first declared press that was made; null: it did not happen, or was not recorded."""

    first_notice: Number
    acknowledged: Number
    arrival: Number
    all_clear: Number


class EarlierDrill(BaseModel):
    """A drill of the same institution before."""

    starts_at: Moment
    title: Name
    timings: DrillTimings


class RealAlarm(BaseModel):
    """A real fire or panic alarm while the drill went on."""

    id: UUID
    device: str
    signal_class: str
    raised_at: Moment
    acknowledged_by: str | None


class DrillRun(BaseModel):
    """A drill at one institution."""

    institution: str
    title: Name
    timings: DrillTimings
    presses: list[DrillPress]
    marks: list[DrillMark]
    real: list[RealAlarm]
    earlier: list[EarlierDrill]


class DrillReport(BaseModel):
    """The timed report, compared with earlier drills."""

    drill: Drill
    institutions: list[DrillRun]


class ProofRequest(Given):
    """What is to be proven: a device, or the one at a position."""

    device: Identifier | None = None
    institution: Identifier | None = None
    position: Identifier | None = None
    level: Literal["auto", "device", "driver", "edge", "hub"] = Field(default="auto", description="the lowest there is")
    definition: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = None
    tell: Literal["sink", "responders"] = Field(
        default="sink", description="responders: the policy's first step is told as well, every message marked"
    )
    within_seconds: float = Field(default=60.0, ge=1, le=600, allow_inf_nan=False)


class ProofAsked(BaseModel):
    """The proof that was asked for; poll `/proofs/{id}`."""

    id: UUID


class Proof(BaseModel):
    """A proof with the time of each hop; those of device, edge and spool are by the edge's clock."""

    id: UUID
    device: str
    institution: str
    position: str | None
    definition: str
    point: str
    instance: str
    level: Literal["device", "driver", "edge", "hub"]
    not_lower: str = Field(description="why at no lower level, a code; empty: not kept")
    not_lower_text: Name | None = Field(description="the same for people")
    tell: Literal["sink", "responders"]
    scheduled: bool
    requested_by: str
    requested_at: Moment
    expires_at: Moment
    sent_at: Moment | None
    device_at: Moment | None
    edge_at: Moment | None
    spooled_at: Moment | None
    hub_at: Moment | None
    committed_at: Moment | None
    alarm: UUID | None
    notified_at: Moment | None
    handed_over_at: Moment | None
    received_at: Moment | None
    state: Literal["requested", "open", "sent", "raised", "passed", "failed", "preempted"]
    reason: str
    finished_at: Moment | None


class PositionProof(BaseModel):
    """A position that can raise fire or panic, and what its device's way to people was last worth."""

    institution: str
    position: str
    title: Name
    zone: str
    device: str
    kind: str
    admin_state: str
    last_proven_at: Moment | None
    last_proof: UUID | None
    last_level: str | None
    newest_proof: UUID | None
    newest_state: str | None
    newest_reason: str | None
    newest_at: Moment | None


class WindowRequest(Given):
    """A window agreed with the police centre for a button that dials it itself."""

    device: Identifier
    reference: Words = Field(description="the centre's reference number")
    agreed_by: Words = Field(description="who agreed at the centre")
    starts_at: GivenMoment
    ends_at: GivenMoment


class WindowReceipt(Given):
    """What the centre confirmed after the test."""

    number: Line
    text: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class Window(BaseModel):
    """A booked window with its receipt."""

    id: UUID
    device: str
    institution: str
    reference: str
    agreed_by: str
    starts_at: Moment
    ends_at: Moment
    booked_by: str
    booked_at: Moment
    cancelled_by: str | None
    cancelled_at: Moment | None
    receipt_number: str | None
    receipt_text: str | None
    receipt_by: str | None
    receipt_at: Moment | None
