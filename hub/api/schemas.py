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


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _in_bounds(at: datetime) -> datetime:
    if not FIRST <= at <= LAST:
        raise ValueError("a time lies between 1970 and 2200")
    return at


Moment = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
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
