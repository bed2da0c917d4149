"""Devices as the API shows them: their states, what they measured, their tests; and what people say about them."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from hub.api.schemas import Given, Moment, Name, Number

AdminStateName = Literal["registered", "commissioned", "in_service", "out_of_service", "retired", "quarantined"]
LinkStateName = Literal["online", "offline", "unknown"]
FunctionStateName = Literal["ok", "degraded", "failed", "unproven"]
KindName = Literal[
    "camera",
    "recorder",
    "access_controller",
    "smoke_detector",
    "fire_panel",
    "panic_button",
    "ups",
    "gas_detector",
    "alarm_panel",
    "environment_sensor",
    "uv_lamp",
    "breaker",
    "network_switch",
    "edge",
    "path",
    "hub",
    "other",
]


LinkCauseName = Literal[
    "",
    "device",
    "line",
    "switch",
    "power_feed",
    "edge",
    "site_power",
    "uplink",
    "carrier",
    "district",
    "broker",
    "hub",
    "database",
    "undetermined",
    "never_seen",
    "unplaced",
    "profile_missing",
]


class LinkEvidence(BaseModel):
    """One observation that a link's cause rests on."""

    what: str = Field(description="area_silent, silent, other_heard, mains_lost … (docs/operations.md, Blindness)")
    facts: dict[str, Any]
    sentence: Name


class DeviceClock(BaseModel):
    """What a device's own clock said against the clock of whoever received it."""

    ahead_s: float = Field(description="seconds that it is ahead; below 0: behind")
    said_at: Moment = Field(description="what it said")
    read_at: Moment = Field(description="when that was received, by the clock of `reader`")
    reader: Literal["edge", "hub"]
    wrong: bool = Field(description="more than 5 s ahead, or steadily more than a minute behind")
    since: Moment = Field(description="of `wrong`")


class Conclusion(BaseModel):
    """A cause with what it rests on."""

    cause: LinkCauseName
    evidence: list[LinkEvidence]


class Silence(Conclusion):
    """A time in which a device was not seen, and why, as far as it is known now."""

    subject: Literal["client", "line", "lane"] = Field(
        description="what was not heard: its edge (or itself, where it speaks for itself), its line, or anything by the hub"
    )
    since: Moment
    until: Moment | None = Field(description="null: it goes on")
    root_alarm: UUID | None
    said: Conclusion | None = Field(description="what was said while it went on, where more became known afterwards")
    amended_at: Moment | None


class DeviceStatus(BaseModel):
    """The three axes of a device with their times and causes: the compact row for platforms."""

    id: str
    institution: str
    division: str
    kind: str
    admin_state: AdminStateName
    admin_since: Moment
    link_state: LinkStateName
    link_since: Moment
    link_cause: LinkCauseName
    function_state: FunctionStateName
    function_since: Moment
    function_reason: str
    last_heard_at: Moment | None


class Device(DeviceStatus):
    """A device with its place and profile."""

    link_evidence: list[LinkEvidence] = Field(description="what `link_cause` rests on; empty while the device is heard")
    root_alarm: UUID | None = Field(
        description="the alarm of the line, carrier, district or broker that explains its silence"
    )
    clock: DeviceClock | None = Field(description="null: its samples bear no times of its own that differ")
    silent_after_s: int | None = Field(
        description="how long a dead device of this type may look alive; null: no profile"
    )
    found_late: Name | None = Field(
        description="set where that is too long for a fire or panic device: why its type cannot be found sooner"
    )
    position: str | None
    zone: str | None
    endpoint: str | None
    profile: str
    lane: str
    switch: str | None = Field(description="the switch it hangs on: a device, or a plain one by its name")
    powered_by: str | None
    proven_at: Moment | None = Field(description="when a function test last passed")
    unproven: list[str] = Field(description="its capabilities that no function test has shown, although one has passed")
    created_at: Moment
    retired_at: Moment | None


class EdgeConfiguration(BaseModel):
    """What an edge is to run by, and what it runs by."""

    id: str
    institution: str
    link_state: LinkStateName
    state: Literal["current", "pending", "refused", "not_made", "unknown"] = Field(
        description="unknown: the edge has never said by what it runs; not_made: the hub cannot make it, see `problem`"
    )
    wanted: int = Field(description="version; 0: none has been made yet")
    wanted_at: Moment | None
    running: int | None
    running_since: Moment | None
    refused: int = Field(description="the version that the edge refused last and nothing newer has followed; 0: none")
    refused_reason: str | None
    problem: str
    issued_at: Moment | None = Field(description="when its bundle was made")


QualityClass = Literal["good", "uncertain", "bad"]


class Measured(BaseModel):
    """A value of a series."""

    at: Moment = Field(description="event time")
    received_at: Moment
    value: Number
    label: str | None = Field(description="the enumeration's label of the value, where the profile has one")
    quality: QualityClass
    quality_reason: str


OWN_TIME = "when the edge had it, by the edge's clock; null: `at` is the edge's own time"


class Reading(Measured):
    """One stored value."""

    edge_at: Moment | None = Field(description=OWN_TIME)


class Figure(BaseModel):
    """One series over an hour or a day."""

    since: Moment = Field(serialization_alias="from")
    until: Moment = Field(serialization_alias="to")
    n: int = Field(description="rows stored")
    n_value: int = Field(description="of them with a value that is not bad: what the figures are made of")
    mean: Number
    minimum: Number
    maximum: Number
    completeness: float | None = Field(
        description="the share of this time that is not known to be without readings; null where nothing can be known"
    )


class PointState(Measured):
    """The latest value of one series."""

    point: str
    instance: str
    unit: str
    text: str | None
    changed_at: Moment


class Event(BaseModel):
    """Something that happened once."""

    at: Moment
    edge_at: Moment | None = Field(description=OWN_TIME)
    received_at: Moment
    point: str
    instance: str
    value: Number
    text: str | None
    quality: QualityClass
    quality_reason: str


class AdminStateChange(Given):
    """Put a device in or out of service. Only in_service counts toward coverage."""

    state: Literal["in_service", "out_of_service"]
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class DeviceTestRequest(Given):
    """How long the test may take; the profile's time where it is left out."""

    within_seconds: float | None = Field(default=None, ge=1, le=3600, allow_inf_nan=False)


class DeviceTestStarted(BaseModel):
    """The test that was asked for; poll `/device-tests/{id}`."""

    id: UUID


class DeviceTest(BaseModel):
    """A function test: requested, open, then passed or expired."""

    id: UUID
    device: str
    state: Literal["requested", "open", "passed", "expired"]
    requested_by: str
    requested_at: Moment
    opened_at: Moment | None
    finished_at: Moment | None
    detail: str = Field(description="what was missing")
    within_seconds: Number
