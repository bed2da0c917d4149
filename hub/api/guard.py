"""What no route ever sees: bodies above the limit, slow bodies, JSON that is none, NUL bytes and lone surrogates.

Plain ASGI around the application. Strings that PostgreSQL or UTF-8 cannot hold are refused here once, with a pointer, so that no
route, model or table has to think of them.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api.problems import FieldError, response

MAX_BODY = 2 * 1024 * 1024
MAX_HELD = 64 * 1024 * 1024
"""All bodies that are held at one time; beyond it a request is told to try again."""
MAX_FORGOTTEN = 32 * 1024 * 1024
"""How much of a body that is refused is still taken, so that its sender comes to read why."""
FORGET_SECONDS = 5.0
BODY_SECONDS = 30.0
"""How long a client may take to send its body."""


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, detail: str, code: str, pointer: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.pointer = pointer


class Guard:
    """ASGI middleware; the body is read here, whole, and handed on once it holds."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body: int = MAX_BODY,
        max_held: int = MAX_HELD,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.app = app
        self.max_body = max_body
        self.max_held = max_held
        self.body_seconds = body_seconds
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].startswith("/api/"):
            send = _uncached(send)
        held = _Held()
        try:
            check_target(scope["raw_path"], scope["query_string"])
            body = await self._body(scope, receive, held)
            if body is not None:
                check_json(body, _content_type(scope))
            await self.app(scope, receive if body is None else _replay(body, receive), send)
        except Refused as refused:
            await _refuse(refused, scope, receive, send)
        finally:
            self._held -= held.size

    async def _body(self, scope: Scope, receive: Receive, held: "_Held") -> bytes | None:
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return None
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = Refused(413, f"the body has more than {self.max_body} bytes", "too-large", "#")
        if declared.isdigit() and int(declared[:20]) > self.max_body:
            await _forget(receive)
            raise too_large
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(408, "the client left before the body was complete", "body", "#")
                    parts.append(message.get("body", b""))
                    held.size += len(parts[-1])
                    self._held += len(parts[-1])
                    if held.size > self.max_body:
                        parts.clear()
                        if message.get("more_body", False):
                            await _forget(receive)
                        raise too_large
                    if self._held > self.max_held:
                        raise Refused(503, "too many large requests at once: try again", "busy", "#")
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Refused(408, f"the body was not complete after {self.body_seconds:g} s", "body", "#") from None


class _Held:
    """How many bytes one request holds."""

    def __init__(self) -> None:
        self.size = 0


async def _forget(receive: Receive) -> None:
    """Take the rest of a body without keeping it: an answer to somebody who is still sending would be lost with the connection."""
    left = MAX_FORGOTTEN
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FORGET_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message["body"])


async def _refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    errors = [FieldError(pointer=refused.pointer, detail=refused.detail)]
    answer = response(refused.status, f"{refused.pointer}: {refused.detail}", refused.code, errors)
    if refused.status in (408, 413, 503):
        answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


def _uncached(send: Send) -> Send:
    """What is shown depends on the token, and a token's secret is shown once: nobody in between may keep an answer."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"cache-control"]
            extra = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
            message = {**message, "headers": [*headers, *extra]}
        await send(message)

    return marked


def _content_type(scope: Scope) -> bytes:
    return bytes(dict(scope["headers"]).get(b"content-type", b"")).split(b";")[0].strip().lower()


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


def check_target(raw_path: bytes, query: bytes) -> None:
    """Refuse NUL and whatever is not UTF-8 (a lone surrogate is not) in path and query."""
    for place, raw in (("path", raw_path), ("query", query)):
        decoded = unquote_to_bytes(raw)
        if b"\x00" in decoded:
            raise Refused(422, "a NUL byte is not allowed", "text", place)
        try:
            decoded.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(422, "not UTF-8", "text", place) from None


def check_json(body: bytes, content_type: bytes) -> None:
    """Refuse a JSON body that is malformed, has NaN, infinities or lone surrogates, is nested too deep, or holds NUL."""
    if not body or not (content_type == b"application/json" or content_type.endswith(b"+json")):
        return
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(422, f"not JSON: {error}", "json", "#") from None
    except RecursionError:
        raise Refused(422, "nested too deep", "json", "#") from None
    if b"\\u0000" in body:
        found = next(_nul_in(document, "#"), None)
        if found is not None:
            raise Refused(422, "a NUL character is not allowed", "text", found)


def _nul_in(value: object, pointer: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\x00" in value:
            yield pointer
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_in(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\x00" in key:
                yield pointer
            yield from _nul_in(item, f"{pointer}/{key}")
