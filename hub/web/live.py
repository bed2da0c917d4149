"""The event stream of the console: what changes in one's scope, and a beat every few seconds that says whether the hub itself sees.

A page that hears no beat says that it is blind; a beat that names a part which does not hold makes it say so too. Old state is never
shown as if it were new.
"""

import json
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub.api.access import Services
from hub.api.stream import MAX_STREAMS, EventStream, parse_place
from hub.errors import LinkDown
from hub.runtime.fanout import KINDS
from hub.store import sessions
from hub.store.session import transaction
from hub.web import rendering
from hub.web.asking import COOKIE, services


async def follow(request: Request) -> Response:
    """Server-sent events for a session; `Last-Event-ID`, or `after` where a script opened it anew, resumes."""
    hub = services(request)
    secret = request.cookies.get(COOKIE, "")
    async with transaction(hub.pool) as conn:
        session = await sessions.find(conn, secret, hub.clock())
    if session is None:
        raise HTTPException(401, "nobody is logged in")
    place = request.headers.get("last-event-id") or request.query_params.get("after")
    since = None if not place else parse_place(place, "query/after")
    fanout = hub.fanout
    if fanout is None or fanout.subscribers >= MAX_STREAMS:
        raise HTTPException(503, "no event stream can be had here now")

    async def still_allowed() -> bool:
        async with transaction(hub.pool) as conn:
            return await sessions.find(conn, secret, hub.clock()) is not None

    return EventStream(
        fanout, session.who.scope, frozenset(KINDS), since, still_allowed, beat=_beat(hub), every=rendering.BEAT_SECONDS
    )


def _beat(hub: Services) -> Callable[[], Awaitable[bytes]]:
    async def beat() -> bytes:
        assert hub.fanout is not None
        parts = {"feed": hub.fanout.following.is_set()}
        try:
            parts |= await hub.ready()
        except LinkDown:
            parts["database"] = False
        blind = sorted(name for name, holds in parts.items() if not holds)
        body = json.dumps({"now": hub.clock().isoformat(), "blind": blind})
        return f"event: beat\ndata: {body}\n\n".encode()

    return beat
