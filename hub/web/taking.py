"""The button "acknowledge" of whoever is logged in, also while the database does not answer: then the standby takes it (hub.api.beside)."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.beside import ANSWER, forward, found
from hub.core.rights import Permission
from hub.errors import Conflict, LinkDown, NotFound
from hub.store.alarms import MAX_NOTE
from hub.store.session import within
from hub.web.acting import act
from hub.web.asking import COOKIE, SCRIPTED, action, read_form, services
from hub.web.fields import text
from hub.web.rendering import render
from hub.web.words import reason_of, word

_ordinary = action(act, Permission.ACKNOWLEDGE)


async def press(request: Request) -> Response:
    """A person's button under an alarm."""
    if request.path_params["verb"] != "acknowledge":
        return await _ordinary(request)
    try:
        return await within(ANSWER, _ordinary(request))
    except (LinkDown, NotFound):
        beside = await _take(request)
        if beside is None:
            raise
        return beside


async def _take(request: Request) -> Response | None:
    """The form was seen to be ours before the database was asked for anything."""
    hub = services(request)
    alarm: UUID = request.path_params["alarm"]
    if hub.standby is None:
        passed = ("cookie", "content-type", SCRIPTED)
        headers = {name: request.headers[name] for name in passed if name in request.headers}
        return await forward(request, f"/console/alarms/{alarm}/acknowledge", headers, await request.body())
    owed = found(hub, alarm, "login", request.cookies.get(COOKIE, ""), hub.clock())
    if owed is None:
        return None
    note = text(await read_form(request), "note", most=MAX_NOTE)
    try:
        await owed.standby.acknowledge(owed.alarm, owed.who.name, None, note)
        words, status = word("done.away"), 200
    except Conflict as error:
        standing = owed.standby.answers.standing(alarm)
        words, status = word("refused.already_acknowledged") if standing is not None else reason_of(error), 409
    if SCRIPTED in request.headers:
        return JSONResponse({"zh": words[0], "en": words[1], "to": f"/console/alarms/{alarm}"}, status)
    return render("error.html", status, title=words, reason=("", ""))
