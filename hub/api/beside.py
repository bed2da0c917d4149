"""Saying "I have it" by a token or a login while the database does not answer: through this process's standby, or through another's.

Who shows a secret is known from the standby's plan (as the database had it some seconds before it fell silent: nobody can be let in or thrown out
since). What is done is what a page's signed link does: written into the journal before it is answered, brought into the database afterwards.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import httpx
from fastapi import Request, Response
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from hub.api.access import Services, services
from hub.api.alarm_schemas import AlarmNote
from hub.api.schemas import Moment
from hub.core.alarms import Alarm
from hub.core.rights import Principal
from hub.errors import BadInput, LinkDown, NotFound
from hub.model import to_datetime
from hub.runtime.standby import Standby
from hub.store.access import recognised
from hub.store.session import within

ANSWER = 3.0
"""seconds after which a database that does not answer is given up: somebody is waiting"""
FORWARD = 8.0
"""seconds that the process with the standby may take"""
FORWARDED = "x-anxin-forwarded"
"""borne by what was passed on once: it is passed on no further"""


class Taken(BaseModel):
    """Acknowledged while the database does not answer: no further step goes out, and the database gets it when it is back."""

    alarm: UUID
    acknowledged_by: str
    acknowledged_at: Moment
    database: Literal["away"] = Field(default="away", description="what else is known of the alarm can be read later")


class Found(NamedTuple):
    """An alarm that somebody may take without the database."""

    standby: Standby
    who: Principal
    alarm: Alarm


def found(hub: Services, alarm: UUID, kind: Literal["token", "login"], secret: str, now: datetime) -> Found | None:
    """The alarm, where this process's standby owes its pages, and who asks; None where that is not known here. Raises NotFound out of scope."""
    standby = hub.standby
    who = None if standby is None else recognised(standby.known.people.bearers, kind, secret, now)
    owed = None if standby is None else standby.owed(alarm)
    place = None if standby is None or owed is None else standby.known.places.get(owed.device)
    if standby is None or who is None or owed is None or place is None:
        return None
    if not who.scope.covers(place.institution, place.division, place.groups):
        raise NotFound(f"there is no alarm {str(alarm)!r}")
    return Found(standby, who, owed)


async def forward(request: Request, path: str, headers: Mapping[str, str], body: bytes = b"") -> Response | None:
    """Ask the process that has the standby, as we are asked; it checks what is shown itself. None where there is none or it cannot help."""
    to = services(request).settings.standby_url.rstrip("/")
    if not to or FORWARDED in request.headers:
        return None
    sent = {"origin": to, FORWARDED: "1", **headers}
    try:
        async with httpx.AsyncClient(timeout=FORWARD, follow_redirects=False) as http:
            given = await http.request(request.method, to + path, headers=sent, content=body)
    except httpx.HTTPError:
        return None
    kind = given.headers.get("content-type", "text/html; charset=utf-8")
    return None if given.status_code >= 500 else Response(given.content, given.status_code, media_type=kind)


class BesideRoute(APIRoute):
    """A route by which an alarm is acknowledged: where the database does not answer in time, or does not know the alarm, the standby is asked."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is for this route."""
        request = Request(scope, receive)
        body = await request.body()
        said: list[Message] = []
        try:
            # all of it in a task of its own: what it has opened must be closed there
            await within(ANSWER, super().handle(scope, _once(body), _noting(said)))
        except LinkDown:
            said.clear()
        if not said or said[0].get("status") in (404, 503):
            beside = await _take(request, body)
            if beside is not None:
                await beside(scope, receive, send)
                return
        if not said:
            raise LinkDown(f"database: no answer within {ANSWER:g} s")
        for message in said:
            await send(message)


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _noting(said: list[Message]) -> Send:
    async def send(message: Message) -> None:
        said.append(message)

    return send


async def _take(request: Request, body: bytes) -> Response | None:
    hub = services(request)
    try:
        alarm = UUID(request.path_params["alarm"])
    except ValueError:
        return None
    shown = request.headers.get("authorization", "")
    scheme, secret = get_authorization_scheme_param(shown)
    if hub.standby is None:
        headers = {"authorization": shown, "content-type": request.headers.get("content-type", "application/json")}
        return await forward(request, f"/api/v1/alarms/{alarm}/acknowledge", headers, body)
    owed = found(hub, alarm, "token", secret if scheme.lower() == "bearer" else "", hub.clock())
    if owed is None:
        return None
    try:
        note = AlarmNote.model_validate_json(body).note if body.strip() not in (b"", b"null") else ""
    except ValidationError as error:
        raise BadInput(error.errors(include_url=False, include_input=False)[0]["msg"], "#", "validation") from None
    answer = await owed.standby.acknowledge(owed.alarm, owed.who.name, None, note)
    said = Taken(alarm=alarm, acknowledged_by=answer.actor, acknowledged_at=to_datetime(answer.at))
    return JSONResponse(said.model_dump(mode="json"), 202)
