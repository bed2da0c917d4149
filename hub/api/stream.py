"""The event stream (server-sent events): what changes within the caller's scope, as it is committed.

`id` is the place in the feed, `Last-Event-ID` resumes after it. A `resync` event says that something was lost: read the lists again.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.api.access import Hub, Reader
from hub.api.problems import documented
from hub.api.schemas import moment
from hub.core import rights
from hub.errors import BadInput, LinkDown
from hub.runtime.fanout import KINDS, Fanout, Nudge, Resync, Subscription
from hub.store import access
from hub.store.changes import Change, Cursor
from hub.store.session import transaction

router = APIRouter(tags=["events"])
HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 30.0
"""A client that takes nothing for this long is gone."""
RECHECK_SECONDS = 15.0
"""How soon a stream ends after its token was revoked."""
MAX_STREAMS = 1000
_PLACE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


def place(cursor: Cursor) -> str:
    """A place in the feed as an event's id."""
    return f"{cursor.txid}-{cursor.seq}"


def parse_place(text: str, where: str) -> Cursor:
    """The place that an event's id names; raises BadInput that names `where` it stood."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise BadInput("not the id of an event of this stream", where, "cursor")
    return Cursor(int(found[1]), int(found[2]))


def frame(item: Change | Resync) -> bytes:
    """One event on the wire."""
    if isinstance(item, Resync):
        return f"id: {place(item.cursor)}\nevent: resync\ndata: {{}}\n\n".encode()
    body = {"at": moment(item.at), "kind": item.kind, "institution": item.institution, "data": item.payload}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"id: {place(item.cursor)}\nevent: {item.kind}\ndata: {text}\n\n".encode()


class EventStream(Response):
    """A response that lasts: everything it holds is taken and given back inside its own call, never in a generator."""

    media_type = "text/event-stream"

    def __init__(
        self,
        fanout: Fanout,
        scope: rights.Scope,
        kinds: frozenset[str],
        since: Cursor | None,
        still_allowed: Callable[[], Awaitable[bool]],
        *,
        beat: Callable[[], Awaitable[bytes]] | None = None,
        every: float | None = None,
        real_only: bool = False,
        nudged: bytes = b"",
    ) -> None:
        """`nudged` is sent when something beside the feed is another. `real_only`: alarms of exercises are left out. `beat` gives what is sent `every` so many seconds whatever else is, so that a reader sees silence; else a comment in a pause."""
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._fanout = fanout
        self._scope = scope
        self._kinds = kinds
        self._since = since
        self._still_allowed = still_allowed
        self._beat = beat
        self._real_only = real_only
        self._nudged = nudged
        self._every = HEARTBEAT_SECONDS if every is None else every

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client leaves or the hub stops."""
        with self._fanout.subscribe(self._scope) as subscription:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with asyncio.TaskGroup() as group:
                streaming = group.create_task(self._stream(subscription, send), name="event-stream")
                leaving = group.create_task(_left(receive), name="event-stream-left")
                watching = group.create_task(self._watch(subscription), name="event-stream-token")
                await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
                for task in (streaming, leaving, watching):
                    task.cancel()

    async def _watch(self, subscription: Subscription) -> None:
        allowed = True
        while allowed:
            await asyncio.sleep(RECHECK_SECONDS)
            with contextlib.suppress(LinkDown):
                allowed = await self._still_allowed()
        subscription.close()

    async def _stream(self, subscription: Subscription, send: Send) -> None:
        async def write(chunk: bytes, more: bool = True) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": more})

        try:
            await write(b"retry: 2000\n\n")
            await self._catch_up(subscription, write)
            clock = asyncio.get_running_loop().time
            due = clock()
            while True:
                if self._beat is not None and clock() >= due:
                    await write(await self._beat())
                    due = clock() + self._every
                try:
                    item = await subscription.next(self._every if self._beat is None else max(0.0, due - clock()))
                except TimeoutError:
                    if self._beat is None:
                        await write(b": alive\n\n")
                    continue
                if item is None:
                    break
                if isinstance(item, Nudge):
                    if self._nudged:
                        await write(self._nudged)
                elif isinstance(item, Resync) or self._shows(item):
                    await write(frame(item))
            await write(b"", more=False)
        except (OSError, TimeoutError):
            return

    def _shows(self, item: Change) -> bool:
        return item.kind in self._kinds and not (self._real_only and item.payload.get("exercise") is not None)

    async def _catch_up(self, subscription: Subscription, write: Callable[[bytes], Awaitable[None]]) -> None:
        if self._since is None:
            return
        try:
            async with self._fanout.catch_up(self._scope, self._since) as missed:
                async for item in missed:
                    if isinstance(item, Resync) or self._shows(item):
                        await write(frame(item))
                    subscription.floor = item.cursor
        except LinkDown:
            await write(frame(Resync(self._since)))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_EXAMPLE = "id: 12345-678\nevent: alarm\ndata: {…}\n\n"


@router.get(
    "/events",
    status_code=200,
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        **documented(401, 403, 422, 503),
    },
)
async def stream_events(
    who: Reader,
    hub: Hub,
    kind: Annotated[
        list[str] | None, Query(max_length=20, description=f"Only these kinds: {', '.join(KINDS)}.")
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=40, description="Go on after this event.")] = None,
) -> Any:
    """Server-sent events: alarms, device states, coverage, registry, notifications, within your scope, in commit order."""
    unknown = set(kind or ()) - set(KINDS)
    if unknown:
        raise BadInput(f"there is no kind {min(unknown)!r}", "query/kind", "validation")
    since = None if last_event_id is None else parse_place(last_event_id, "header/last-event-id")
    fanout = hub.fanout
    if fanout is None or fanout.subscribers >= MAX_STREAMS:
        raise HTTPException(503, "no event stream can be had here now", {"Retry-After": "5"})

    async def still_allowed() -> bool:
        async with transaction(hub.pool) as conn:
            return await access.is_live(conn, who.token, hub.clock())

    real_only = who.role is rights.Role.PLATFORM  # another platform is told of no exercise
    return EventStream(fanout, who.scope, frozenset(kind or KINDS), since, still_allowed, real_only=real_only)
