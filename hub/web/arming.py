"""Whether an institution is armed, who said so and when, and saying it anew."""

from dataclasses import dataclass

from starlette.responses import Response

from hub.core.opening import Mode, check_armed
from hub.model import to_micros
from hub.store import audit, hours
from hub.store.rows import Row
from hub.web.asking import Asked, said
from hub.web.fields import NOTE, choice, moment, text
from hub.web.words import word

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Armed:
    """The armed state of an institution now, and the words of people and panels that led to it, newest first."""

    armed: bool
    open: bool
    mode: str
    assumed_hours: bool
    history: list[Row]


async def state(ask: Asked, institution: str) -> Armed:
    """Of an institution within the scope; raises NotFound."""
    now = await hours.arming(ask.conn, ask.who.scope, institution)
    at, said_last = to_micros(ask.hub.clock()), now.hours.armed
    return Armed(
        now.hours.is_armed(at),
        now.hours.is_open(at),
        (Mode.AUTO if said_last is None else said_last.mode_at(at)).value,
        now.last["calendar"] is None,
        await hours.history(ask.conn, now.key, SHOWN),
    )


async def say(ask: Asked) -> Response:
    """Arm, disarm until a moment, or leave it to the opening hours. Fire and panic are always armed."""
    institution: str = ask.request.path_params["institution"]
    mode = Mode(choice(ask.form, "mode", list(Mode)))
    until = moment(ask.form, "until")
    reason = text(ask.form, "reason", most=NOTE)
    now = await hours.arming(ask.conn, ask.who.scope, institution)
    at, end = to_micros(ask.hub.clock()), None if until is None else to_micros(until)
    check_armed(mode, end, at)
    await hours.say_armed(ask.conn, now, institution, mode, at, end, ask.who.name, reason)
    detail = {"mode": mode.value, "until": None if until is None else until.isoformat(), "reason": reason}
    await audit.record(
        ask.conn, ask.who.name, "institution.arm", f"institution:{institution}", {**detail, "by": "console"}
    )
    return said(ask, word(f"done.{mode.value}"), f"/console/institutions/{institution}")
