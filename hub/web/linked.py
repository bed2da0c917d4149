"""Signed links: a notification's alarm with the least that lets its responder act, without a login. Only the button's POST acts.

Opening, previewing and scanning (GET, HEAD) change nothing. See docs/decisions/0270-signed-links.md.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from hub.core.alarms import AlarmEvent
from hub.errors import Conflict, LinkDown
from hub.model import to_micros
from hub.store import alarms, audit, sessions
from hub.store.pool import Connection
from hub.store.session import transaction, within
from hub.store.sessions import Linked
from hub.web import standby_links
from hub.web.acting import refusal
from hub.web.alarms import for_link
from hub.web.asking import read_form, services
from hub.web.rendering import render
from hub.web.standby_links import link_holds
from hub.web.words import word

ANSWER = 3.0
"""seconds after which a database that does not answer is given up: somebody is waiting with a telephone in the hand"""


async def show(request: Request) -> Response:
    """The alarm of the link, or why it cannot be shown."""
    return await standby_links.held(request) or await _of_database(request, _show, standby_links.away)


async def acknowledge(request: Request) -> Response:
    """The named responder's button."""
    await read_form(request)
    return await standby_links.acknowledge_held(request) or await _of_database(
        request, _acknowledge, standby_links.acknowledge_away
    )


async def _of_database(
    request: Request,
    answer: Callable[[Request, Connection], Awaitable[Response]],
    away: Callable[[Request], Awaitable[Response | None]],
) -> Response:
    """What the database says; where it does not answer, what is known without it. Raises LinkDown where that is nothing."""
    try:
        return await within(ANSWER, _in_transaction(request, answer))
    except LinkDown:
        beside = await away(request)
        if beside is None:
            raise
        return beside


async def _in_transaction(request: Request, answer: Callable[[Request, Connection], Awaitable[Response]]) -> Response:
    async with transaction(services(request).pool) as conn:
        return await answer(request, conn)


async def _show(request: Request, conn: Connection) -> Response:
    found = await _linked(request, conn)
    return found if isinstance(found, Response) else await _page(request, conn, found, None)


async def _acknowledge(request: Request, conn: Connection) -> Response:
    hub = services(request)
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
        said = refusal(error, await for_link(conn, hub.profiles, found.alarm), hub.clock())
    return await _page(request, conn, found, said)


async def _linked(request: Request, conn: Connection) -> Linked | Response:
    """The link's notification, or the answer to a link that does not hold."""
    named = link_holds(request, await sessions.link_key(conn))
    if isinstance(named, Response):
        return named
    found = await sessions.linked(conn, named)
    return render("link_over.html", 404, why="link.pending") if found is None else found


async def _page(request: Request, conn: Connection, found: Linked, said: tuple[str, str] | None) -> Response:
    hub = services(request)
    row = await for_link(conn, hub.profiles, found.alarm)
    return render("link.html", alarm=row, link=found, said=said, path=request.url.path, now=hub.clock())
