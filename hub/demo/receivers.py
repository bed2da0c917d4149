"""The two duty rooms of the demo: a webhook receiver that checks the signature, and a mail server. Both keep what came, with its time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default as mail_policy
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, Request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.responses import Response

from hub.api.server import bind


@dataclass
class Notice:
    """Something that reached a duty room."""

    at: float
    """monotonic seconds"""
    key: str
    """the idempotency key on the wire"""
    body: dict[str, Any]


@dataclass
class DutyRooms:
    """What came in, raw; the same key twice is one notice repeated."""

    webhook_port: int = 0
    smtp_port: int = 0
    calls: list[Notice] = field(default_factory=list)
    mails: list[Notice] = field(default_factory=list)
    forged: int = 0
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, notices: list[Notice], notice: Notice) -> None:
        """Keep a notice and wake whoever waits."""
        async with self.moved:
            notices.append(notice)
            self.moved.notify_all()


@contextlib.asynccontextmanager
async def duty_rooms(secret: str) -> AsyncIterator[DutyRooms]:
    """Both receivers on free loopback ports; `secret` is the webhook's (`whsec_…`)."""
    rooms = DutyRooms()
    app = FastAPI(openapi_url=None)

    @app.post("/duty-room")
    async def receive(request: Request) -> Response:
        at = time.monotonic()
        body = await request.body()
        try:
            content = Webhook(secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            rooms.forged += 1
            return Response(status_code=401)
        await rooms.note(rooms.calls, Notice(at, request.headers["webhook-id"], content))
        return Response(status_code=204)

    listener = bind("127.0.0.1", 0)
    rooms.webhook_port = listener.getsockname()[1]
    server = _Quiet(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=2))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="demo-webhook")
    mail_listener = bind("127.0.0.1", 0)
    rooms.smtp_port = mail_listener.getsockname()[1]
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(lambda: SMTP(_Mailbox(rooms), loop=loop, enable_SMTPUTF8=True), sock=mail_listener)
    try:
        yield rooms
    finally:
        mail.close()
        server.should_exit = True
        await asyncio.wait({serving}, timeout=5)
        listener.close()


class _Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


class _Mailbox:
    """aiosmtpd's handler."""

    def __init__(self, rooms: DutyRooms) -> None:
        self._rooms = rooms

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        mail = message_from_bytes(content, policy=mail_policy)
        part = mail.get_body(("plain",))
        text = "" if part is None else part.get_content()
        notice = Notice(time.monotonic(), str(mail["Message-ID"]), {"subject": str(mail["Subject"]), "text": text})
        await self._rooms.note(self._rooms.mails, notice)
        return "250 OK"


__all__ = ["DutyRooms", "Notice", "duty_rooms"]
