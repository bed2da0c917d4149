"""The armed state of an institution, as people and panels said it, and whether it is open: what conditions may depend on."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from hub.api.access import Conn, Hub, Maintainer, Reader
from hub.api.schemas import Given, GivenMoment, Identifier, Moment
from hub.core.opening import Mode, check_armed
from hub.model import to_micros
from hub.store import audit, hours

router = APIRouter(prefix="/institutions/{institution}/armed", tags=["alarms"])

InstitutionId = Annotated[Identifier, Path()]
ModeName = Literal["auto", "armed", "disarmed"]


class SaidArmed(BaseModel):
    """What was said once, by a person or by the panel `device`."""

    mode: ModeName
    since: Moment
    until: Moment | None
    actor: str
    device: str | None
    reason: str
    said_at: Moment


class ArmedState(BaseModel):
    """Whether an institution is armed now. `auto`, and where nobody said anything: armed while it is closed."""

    institution: str
    armed: bool
    open: bool
    mode: ModeName
    assumed_hours: bool = Field(
        description="it has no opening calendar: taken to be open Monday to Friday, 07:00 to 19:00"
    )
    history: list[SaidArmed] = Field(description="the last 100, newest first")


class GivenArmed(Given):
    """Arm, disarm (with an end, at most 7 days ahead), or leave it to the opening calendar."""

    mode: ModeName
    until: GivenMoment | None = None
    reason: str = Field(default="", max_length=2000)


@router.get("")
async def show_armed(who: Reader, conn: Conn, hub: Hub, institution: InstitutionId) -> ArmedState:
    """Whether it is armed now, and what was said."""
    now = await hours.arming(conn, who.scope, institution)
    at, armed = to_micros(hub.clock()), now.hours.armed
    return ArmedState(
        institution=institution,
        armed=now.hours.is_armed(at),
        open=now.hours.is_open(at),
        mode=(Mode.AUTO if armed is None else armed.mode_at(at)).value,
        assumed_hours=now.last["calendar"] is None,
        history=[SaidArmed.model_validate(row) for row in await hours.history(conn, now.key)],
    )


@router.post("")
async def say_armed(who: Maintainer, conn: Conn, hub: Hub, institution: InstitutionId, asked: GivenArmed) -> ArmedState:
    """Arm or disarm. Fire and panic are always armed."""
    now = await hours.arming(conn, who.scope, institution)
    at, until = to_micros(hub.clock()), None if asked.until is None else to_micros(asked.until)
    check_armed(Mode(asked.mode), until, at)
    await hours.say_armed(conn, now, institution, Mode(asked.mode), at, until, who.name, asked.reason)
    said = {
        "mode": asked.mode,
        "until": None if asked.until is None else asked.until.isoformat(),
        "reason": asked.reason,
    }
    await audit.record(conn, who.name, "institution.arm", f"institution:{institution}", said)
    return await show_armed(who, conn, hub, institution)
