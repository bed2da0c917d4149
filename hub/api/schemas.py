"""What the API takes and gives. Imports only pydantic, so that `anxinctl` may read it too.

Times leave as RFC 3339 in UTC with microseconds; a float that is not finite leaves as null.
"""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

IDENTIFIER = r"^[a-z0-9][a-z0-9-]{0,39}$"
Identifier = Annotated[str, Field(pattern=IDENTIFIER, examples=["smoke-1"])]
DivisionCode = Annotated[str, Field(pattern=r"^[0-9]{2,12}$", examples=["1404"])]
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2200, 1, 1, tzinfo=UTC)


def moment(at: datetime) -> str:
    """A time as it leaves: RFC 3339, UTC, microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _in_bounds(at: datetime) -> datetime:
    if not FIRST <= at <= LAST:
        raise ValueError("a time lies between 1970 and 2200")
    return at


Moment = Annotated[datetime, PlainSerializer(moment, return_type=str, when_used="json")]
"""A time as it leaves."""
GivenMoment = Annotated[AwareDatetime, AfterValidator(_in_bounds)]
"""A time as it comes: with its offset."""
Number = Annotated[float | None, BeforeValidator(_finite)]
Line = Annotated[str, Field(min_length=1, max_length=200)]


class Given(BaseModel):
    """The root of what comes from outside: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Name(BaseModel):
    """Text for people, Chinese first."""

    zh: str
    en: str


# tokens and audit ----------------------------------------------------------------------------------------------------

RoleName = Literal["admin", "installer", "operator", "regulator", "platform"]


class TokenScope(Given):
    """Everything, or the union of divisions (by code prefix), institutions and groups."""

    everything: bool = False
    divisions: tuple[DivisionCode, ...] = Field(default=(), max_length=200)
    institutions: tuple[Identifier, ...] = Field(default=(), max_length=1000)
    groups: tuple[Identifier, ...] = Field(default=(), max_length=200)


class TokenRequest(Given):
    """A token of a named person or service."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
    kind: Literal["person", "service"]
    role: RoleName
    scope: TokenScope
    expires_at: GivenMoment | None = None


class TokenCreated(BaseModel):
    """The only time that the secret is shown."""

    id: str
    secret: str = Field(description="`hub_<id>_<43 characters>`; it cannot be shown again")


class Token(BaseModel):
    """A token without its secret."""

    id: str
    name: str
    kind: str
    role: str
    scope: TokenScope
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    revoked_at: Moment | None
    revoked_by: str | None
    last_used_at: Moment | None


class AuditEntry(BaseModel):
    """Who did what to which thing."""

    at: Moment
    actor: str
    action: str
    target: str
    detail: dict[str, Any]


# places --------------------------------------------------------------------------------------------------------------


class Division(BaseModel):
    """A node of the administrative tree."""

    code: str
    parent: str | None
    title: Name


class RegisterEntry(BaseModel):
    """An institution that must be there, whether connected or not."""

    filing_number: str
    division: str
    type: str
    title: Name
    capacity: int | None
    credit_code: str | None = Field(description="统一社会信用代码")
    institution: str | None = Field(description="the connected institution; null while it is not connected")


class Uplink(BaseModel):
    """By which way an institution reaches the hub."""

    carrier: str
    access: str | None = Field(description="the carrier's access node")


class Institution(BaseModel):
    """One licensed childcare address."""

    id: str
    division: str
    type: str
    title: Name
    capacity: int | None
    latitude: Number
    longitude: Number
    operator: str | None
    uplink: Uplink | None
    calendar: Any | None
    external_ids: dict[str, str]
    filing_number: str | None
    registered: bool = Field(description="whether it is on the regulator's register; otherwise it is in no rate")
    groups: list[str]
    created_at: Moment
    retired_at: Moment | None


class Zone(BaseModel):
    """A part of an institution with a purpose."""

    institution: str
    id: str
    purpose: str
    title: Name
    area_m2: Number
    floor: int | None
    entrances: list[str] = Field(description="zones through which one comes into this one")
    ages: list[str] = Field(description="which groups of children use it: infant, junior, senior, mixed")
    retired_at: Moment | None


class Position(BaseModel):
    """The place in a zone where a device is installed."""

    institution: str
    id: str
    zone: str
    title: Name
    device: str | None = Field(description="the device that is installed there now")
    plan_x: Number = Field(description="place on its floor's plan: share of the width, from the left")
    plan_y: Number = Field(description="share of the height, from the top")
    retired_at: Moment | None


class Contact(BaseModel):
    """Who is called about an institution."""

    title_zh: str
    title_en: str
    phone: str


class FloorPlan(BaseModel):
    """A picture of one floor, without the picture."""

    floor: int
    media_type: str
    width: int = Field(description="pixels")
    height: int
    bytes: int
    sha256: str
    updated_at: Moment
    updated_by: str


class InstitutionDetail(Institution):
    """An institution with its contacts, zones and positions."""

    contacts: list[Contact] = Field(description="in the order in which they are called")
    video: str | None = Field(description="template of a URL of its video system")
    zones: list[Zone]
    positions: list[Position]


# policies, quarantine ------------------------------------------------------------------------------------------------


class PolicyStep(BaseModel):
    """Who is told, by which channel, after how long; the channel's settings are never shown."""

    n: int
    responder: str | None = Field(description="null where a rota is named")
    channel: str | None = Field(description="null: by the responder's own order of preference")
    kind: str | None = Field(description="of the channel that is named")
    rota: str | None = Field(description="who is on duty there when the step is due")
    kinds: int = Field(description="by how many kinds of channel at once")
    delay: float = Field(description="seconds")
    repeat_every: float = Field(description="seconds")
    repeat_times: int


class Policy(BaseModel):
    """An escalation policy. Without division, group and institution it holds for the whole hub, without types for all of them."""

    id: str
    title: Name
    division: str | None
    group: str | None
    institution: str | None
    institution_types: list[str]
    signal_classes: list[str]
    priorities: list[str]
    round_every: float = Field(description="seconds")
    max_rounds: int | None
    remind_after: float | None = Field(
        description="seconds after an acknowledgement until its owner is asked; null: as for its class"
    )
    lapse_after: float | None = Field(
        description="seconds until an acknowledgement that nothing follows lapses; null: after six minutes for fire and panic, else never"
    )
    steps: list[PolicyStep]


class Quarantined(BaseModel):
    """What the field sent and nobody could take, with the reason."""

    received_at: Moment
    at: Moment | None
    client: str | None
    source: str = Field(description="where it came from: topic, endpoint, register")
    stream: str | None
    seq: int | None
    code: str
    reason: str
    payload: str = Field(description="the first 4,096 bytes in base64")


# the change feed -----------------------------------------------------------------------------------------------------


class ChangeItem(BaseModel):
    """One change, as the event stream sends it too."""

    id: str = Field(description="its place in the feed")
    at: Moment
    kind: str = Field(
        description="alarm, device_state, coverage, registry …: one of the kinds that the event stream names"
    )
    institution: str | None
    data: dict[str, Any]


class ChangePage(BaseModel):
    """Changes after a place; `next` is the place after them."""

    items: list[ChangeItem]
    next: str
    more: bool = Field(description="ask again at once")
