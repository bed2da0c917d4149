"""Signed links: a notification's alarm with the least that lets its responder act, without a login. Only the button's POST acts.

Opening, previewing and scanning (GET, HEAD) change nothing. See docs/decisions/0270-signed-links.md.
"""

import time
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from hub.core.alarms import AlarmEvent
from hub.core.links import opened
from hub.errors import Conflict
from hub.model import to_micros
from hub.store import alarms, audit, sessions
from hub.store.pool import Connection
from hub.store.session import transaction
from hub.store.sessions import Linked
from hub.web.acting import refusal
from hub.web.alarms import for_link
from hub.web.asking import read_form, services
from hub.web.logins import caller
from hub.web.rendering import render, word
from hub.web.throttle import Throttle


async def show(request: Request) -> Response:
    """The alarm of the link, or why it cannot be shown."""
    async with transaction(services(request).pool) as conn:
        found = await _linked(request, conn)
        if isinstance(found, Response):
            return found
        return await _page(request, conn, found, None)


async def acknowledge(request: Request) -> Response:
    """The named responder's button."""
    await read_form(request)
    hub = services(request)
    async with transaction(hub.pool) as conn:
        found = await _linked(request, conn)
        if isinstance(found, Response):
            return found
        if found.retired:
            return render("link_over.html", 403, why="link.retired")
        actor = f"{found.title_zh} [{found.responder}]"
        said = word("done.acknowledge")
        try:
            async with conn.transaction():
                await alarms.act(conn, found.alarm, AlarmEvent.ACKNOWLEDGE, actor, "", to_micros(hub.clock()))
                detail = {"notification": str(found.id), "by": "link"}
                await audit.record(conn, actor, "alarm.acknowledge", f"alarm:{found.alarm}", detail)
        except Conflict as error:
            said = refusal(error, await for_link(conn, hub.profiles, found.alarm))
        return await _page(request, conn, found, said)


async def _linked(request: Request, conn: Connection) -> Linked | Response:
    """The link's notification, or the answer to a link that does not hold. Wrong ones cost a try; one that holds is never made to wait, since
    thousands of phones share one address.
    """
    hub = services(request)
    given = request.path_params
    key = await sessions.link_key(conn)
    now = int(hub.clock().timestamp())
    named: UUID | None = opened(key, given["notification"], given["expires"], given["mac"], now)
    if named is None:
        tries: Throttle = request.app.state.logins
        if tries.wait(caller(request), time.monotonic()) > 0:
            return render("link_over.html", 429, why="login.often")
        tries.failed(caller(request), time.monotonic())
        return render("link_over.html", 404, why="link.expired")
    found = await sessions.linked(conn, named)
    return render("link_over.html", 404, why="link.pending") if found is None else found


async def _page(request: Request, conn: Connection, found: Linked, said: tuple[str, str] | None) -> Response:
    hub = services(request)
    row = await for_link(conn, hub.profiles, found.alarm)
    return render("link.html", alarm=row, link=found, said=said, path=request.url.path, now=hub.clock())
