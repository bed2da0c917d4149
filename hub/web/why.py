"""Why an alarm was as it was at a moment: what decided, and the facts that it rests on."""

from uuid import UUID

from starlette.responses import Response

from hub.core.why import explain
from hub.model import to_datetime, to_micros
from hub.store import console, why
from hub.web.asking import Asked
from hub.web.fields import moment
from hub.web.rendering import BEIJING, render
from hub.web.words import worded


async def show(ask: Asked) -> Response:
    """The explanation for now, or for the moment that is asked for (Beijing time, as a browser's field gives it)."""
    id: UUID = ask.request.path_params["alarm"]
    row = worded(ask.hub.profiles, await console.alarm(ask.conn, ask.who.scope, id))
    at = moment(ask.request.query_params, "at") or ask.hub.clock()
    found = explain(await why.story(ask.conn, id, ask.hub.profiles), to_micros(at))
    facts = [(None if one.at is None else to_datetime(one.at), one.zh, one.en) for one in found.facts]
    return render(
        "why.html",
        ask=ask,
        alarm=row,
        found=found,
        facts=facts,
        at=at,
        local=at.astimezone(BEIJING).strftime("%Y-%m-%dT%H:%M:%S"),
    )
