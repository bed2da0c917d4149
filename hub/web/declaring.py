"""Planning a drill: where, when, and which presses are expected, by position and minute. Whatever else comes is real."""

import re
from datetime import timedelta
from uuid import UUID

from starlette.responses import Response

from hub.core.exercises import LONGEST_DRILL, MINUTE, MOST_TOLERANCE, Declared
from hub.errors import BadInput
from hub.model import LIFE_SAFETY, SignalClass, to_micros
from hub.profiles import Profile
from hub.store import audit, console, drills
from hub.store.rows import Row
from hub.web.asking import Asked, said
from hub.web.fields import IDENTIFIER, LINE, Form, choice, needed, text, whole
from hub.web.rendering import render
from hub.web.words import word

POSITIONS = 200
"""positions that one form can declare presses at; a larger drill is declared by `anxinctl drill declare`"""
FIELDS = 3 * POSITIONS + 20
PLACES = ("institution", "zone", "division", "group")
_TICKED = re.compile(r"at-([a-z0-9-]{1,40})/([a-z0-9-]{1,40})")
_LEAD = timedelta(minutes=10)


async def show(ask: Asked) -> Response:
    """The form over the positions of a place; without a place, the question for one."""
    place = {name: ask.request.query_params.get(name) or None for name in PLACES}
    named = any(value is not None for name, value in place.items() if name != "zone")
    rows = await console.drillable(ask.conn, ask.who.scope, limit=POSITIONS + 1, **place) if named else []
    start = (ask.hub.clock() + _LEAD).replace(second=0, microsecond=0)
    return render(
        "drill_new.html",
        ask=ask,
        place=place,
        named=named,
        positions=[{**row, "classes": classes(ask.hub.profiles.get(row["profile"]))} for row in rows[:POSITIONS]],
        too_many=len(rows) > POSITIONS,
        start=start,
        longest=LONGEST_DRILL // MINUTE,
        tolerance=MOST_TOLERANCE // MINUTE,
        now=ask.hub.clock(),
    )


def classes(profile: Profile | None) -> list[str]:
    """What a device of this profile can raise of fire and panic, panic first; both where nobody knows."""
    if profile is None:
        return [SignalClass.PANIC.value, SignalClass.FIRE.value]
    found = {alarm.signal_class for alarm in profile.alarms.values()} & LIFE_SAFETY
    return sorted((one.value for one in found), reverse=True)


async def declare(ask: Asked) -> Response:
    """Declare it. Refused whole where one press does not hold; nothing is half declared."""
    form = ask.form
    zh = text(form, "title_zh", least=1, most=LINE)
    start = needed(form, "starts_at")
    end = start + timedelta(minutes=whole(form, "minutes", 1, LONGEST_DRILL // MINUTE))
    tolerance = whole(form, "tolerance", 1, MOST_TOLERANCE // MINUTE) * MINUTE
    presses = expected(form, to_micros(start), tolerance)
    if not presses:
        raise BadInput("tick at least one position: what is not declared is real", "presses", "drill")
    place = {name: text(form, name, most=IDENTIFIER) or None for name in PLACES}
    plan = drills.Plan(
        zh,
        text(form, "title_en", most=LINE) or zh,
        drills.Place(**place),
        to_micros(start),
        to_micros(end),
        presses,
    )
    dialling = [name for name, profile in ask.hub.profiles.items() if profile.dials_police]
    made: UUID = await drills.declare(ask.conn, ask.who.scope, plan, ask.who.name, to_micros(ask.hub.clock()), dialling)
    detail = {"presses": len(presses), "by": "console"}
    await audit.record(ask.conn, ask.who.name, "drill.declare", f"drill:{made}", detail)
    return said(ask, word("done.drill"), f"/console/drills/{made}")


def expected(form: Form, start: int, tolerance: int) -> tuple[Declared, ...]:
    """The presses that were ticked, each so many minutes after the start; raises BadInput."""
    found = []
    for name in form:
        ticked = _TICKED.fullmatch(name)
        if ticked is None:
            continue
        key = f"{ticked[1]}/{ticked[2]}"
        minute = whole(form, f"minute-{key}", 0, LONGEST_DRILL // MINUTE)
        kind = SignalClass(choice(form, f"class-{key}", [one.value for one in sorted(LIFE_SAFETY)]))
        found.append(Declared(ticked[1], ticked[2], kind, start + minute * MINUTE, tolerance))
    return tuple(found)


def phase(press: Row, now: int, over: bool) -> str:
    """How a declared press stands at `now`: made, ahead, due (its window is open), or missed."""
    if press["pressed_at"] is not None:
        return "made"
    if now < to_micros(press["since"]):
        return "missed" if over else "ahead"
    return "due" if now <= to_micros(press["until"]) and not over else "missed"
