"""The event stream of the console: what changes in one's scope, and a beat every few seconds that says whether the hub itself sees.

A page that hears no beat says that it is blind; a beat that names a part which does not hold makes it say so too. Old state is never
shown as if it were new.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub.api.access import Services
from hub.api.beside import ANSWER
from hub.api.stream import MAX_STREAMS, EventStream, parse_place
from hub.core.rights import Principal
from hub.errors import LinkDown
from hub.runtime.fanout import KINDS
from hub.store import console, sessions
from hub.store.access import recognised
from hub.store.session import transaction, within
from hub.web import rendering
from hub.web.asking import COOKIE, services

HURRIED = 1.0
"""seconds that the database has to say who asks, where the standby knows already that it does not answer"""
DEAF = timedelta(seconds=30)
"""An ingest that listens says so about every ten seconds: three times without a word is deafness."""
_LOOK_SECONDS = 2.0
"""how long the database may take to answer a beat"""
_FRESH_SECONDS = 1.0


class Sight:
    """What the hub itself does not see now, looked at once for all pages that are open.

    It asks the database itself: one that stands still, and an ingest in another process that is dead, would else look like calm.
    """

    def __init__(self, hub: Services) -> None:
        self._hub = hub
        self._parts: dict[str, bool] = {}
        self._looked = -1e9
        self._look: asyncio.Task[None] | None = None

    async def blind(self) -> list[str]:
        """The parts that do not hold, by name, within two seconds. A look that hangs is left alone and not doubled."""
        if (self._look is None or self._look.done()) and time.monotonic() - self._looked >= _FRESH_SECONDS:
            self._look = asyncio.create_task(self._see(), name="console-sight")
        if self._look is not None and not self._look.done():
            await asyncio.wait({self._look}, timeout=_LOOK_SECONDS)
        seen = self._look is not None and self._look.done() and self._look.exception() is None
        parts = self._parts if seen else {**self._parts, "database": False}
        return sorted(name for name, holds in parts.items() if not holds)

    async def _see(self) -> None:
        assert self._hub.fanout is not None
        parts = {"feed": self._hub.fanout.following.is_set(), "database": False}
        with contextlib.suppress(LinkDown):
            parts |= await self._hub.ready()
            async with transaction(self._hub.pool) as conn:
                parts["ingest"] = not await console.is_deaf(conn, DEAF)
            parts["database"] = True
        self._parts, self._looked = parts, time.monotonic()


async def follow(request: Request) -> Response:
    """Server-sent events for a session; `Last-Event-ID`, or `after` where a script opened it anew, resumes."""
    hub = services(request)
    secret = request.cookies.get(COOKIE, "")
    who = await _who(hub, secret)
    if who is None:
        raise HTTPException(401, "nobody is logged in")
    place = request.headers.get("last-event-id") or request.query_params.get("after")
    since = None if not place else parse_place(place, "query/after")
    fanout = hub.fanout
    if fanout is None or fanout.subscribers >= MAX_STREAMS:
        raise HTTPException(503, "no event stream can be had here now")

    async def still_allowed() -> bool:
        return await _session(hub, secret) is not None

    return EventStream(
        fanout,
        who.scope,
        frozenset(KINDS),
        since,
        still_allowed,
        beat=_beat(hub, request.app.state.sight),
        every=rendering.BEAT_SECONDS,
        nudged=b"event: unstored\ndata: {}\n\n",
    )


async def _who(hub: Services, secret: str) -> Principal | None:
    """Who is logged in; while the database does not answer whoever the standby knows."""
    try:
        blind = hub.standby is not None and hub.standby.is_blind
        session = await within(HURRIED if blind else ANSWER, _session(hub, secret))
    except LinkDown:
        known = () if hub.standby is None else hub.standby.known.people.bearers
        who = recognised(known, "login", secret, hub.clock())
        if who is None:
            raise
        return who
    return None if session is None else session.who


async def _session(hub: Services, secret: str) -> sessions.Session | None:
    async with transaction(hub.pool) as conn:
        return await sessions.find(conn, secret, hub.clock())


def _beat(hub: Services, sight: Sight) -> Callable[[], Awaitable[bytes]]:
    async def beat() -> bytes:
        body = json.dumps({"now": hub.clock().isoformat(), "blind": await sight.blind()})
        return f"event: beat\ndata: {body}\n\n".encode()

    return beat
