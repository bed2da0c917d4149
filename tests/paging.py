"""What the tests of escalation share: a small registered world, alarms in it, time that is moved instead of waited for, and receivers."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hub.core.escalation import Policy, Step
from hub.model import SECOND, Priority, SignalClass
from hub.store.escalation import begin, stop
from hub.store.policies import Channel, Responder, put_policy, put_responder

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"
Rows = list[dict[str, Any]]


class World:
    """One institution `star` in 140403001 with a panic button `button-1`; more on demand. One connection, its own transactions."""

    def __init__(self, conn: psycopg.AsyncConnection[Any], url: str) -> None:
        self.conn = conn
        self.url = url

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            world = cls(conn, url)
            for code, parent in (("14", None), ("1404", "14"), ("140403", "1404"), ("140403001", "140403")):
                await conn.execute(
                    "insert into division values (%s, %s, %s, %s)", (code, parent, f"区{code}", f"D{code}")
                )
            await world.institution("star")
            await world.device("button-1", "star")
            yield world

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator[Self]:
        """The same world over one more connection."""
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            yield cls(conn, url)

    async def own_clock(self) -> None:
        """Give the database a clock that `set_clock` sets; before any connection has used the real one."""
        await self.conn.execute(
            "create table test_clock (ahead interval not null);"
            "insert into test_clock values ('0');"
            "create or replace function hub_clock() returns timestamptz volatile language sql as"
            " $$ select clock_timestamp() + ahead from test_clock $$"
        )

    async def set_clock(self, seconds: float) -> None:
        """Set the database's clock forward, or back, at once for everybody."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as conn:
            await conn.execute("update test_clock set ahead = ahead + %s", (timedelta(seconds=seconds),))

    async def institution(self, name: str, division: str = "140403001") -> None:
        await self.conn.execute(
            "insert into institution (id, division, type, title_zh, title_en, partition) values (%s, %s, 'centre', %s, %s, 0)",
            (name, division, f"机构{name}", f"Institution {name}"),
        )

    async def device(self, name: str, institution: str, profile: str = "some-button") -> None:
        await self.conn.execute(
            "with z as (insert into zone (institution, id, purpose, title_zh, title_en)"
            " select key, %(n)s, 'nap_room', '午睡室', 'Nap room' from institution where id = %(i)s returning key, institution),"
            " p as (insert into position (institution, id, zone, title_zh, title_en)"
            " select institution, %(n)s, key, '门边', 'By the door' from z returning key, institution)"
            " insert into device (id, institution, position, profile, kind, lane)"
            " select %(n)s, institution, key, %(p)s, 'panic_button', 'urgent' from p",
            {"n": name, "i": institution, "p": profile},
        )

    async def policy(self, policy: Policy, settings: dict[str, dict[str, Any]] | None = None) -> None:
        """The policy and the responders it names; `settings` by `responder/channel`: kind and settings."""
        async with self.conn.transaction(), self.conn.cursor() as cur:
            for name in sorted({step.responder for step in policy.steps}):
                channels = sorted({step.channel for step in policy.steps if step.responder == name})
                found = [
                    (settings or {}).get(f"{name}/{channel}") or webhook("http://127.0.0.1:9/") for channel in channels
                ]
                made = tuple(Channel(c, f["kind"], f["settings"]) for c, f in zip(channels, found, strict=True))
                await put_responder(cur, Responder(name, f"人员{name}", f"Person {name}", made))
            await put_policy(cur, policy)

    async def alarm(
        self,
        device: str = "button-1",
        signal_class: SignalClass = SignalClass.PANIC,
        priority: Priority = Priority.CRITICAL,
        *,
        begun: bool = True,
        state: str = "unack_active",
    ) -> UUID:
        """An alarm in one transaction with the begin of its escalation, as ingest does it."""
        alarm = uuid4()
        async with self.conn.transaction(), self.conn.cursor() as cur:
            await cur.execute(
                "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching,"
                " raised_at, received_at)"
                " select %s, key, institution, 'pressed', %s, %s, %s, %s, true, now(), now() from device where id = %s",
                (alarm, secrets.token_hex(4), signal_class, priority, state, device),
            )
            if begun:
                await begin(cur, [alarm])
        return alarm

    async def set_state(self, alarm: UUID, state: str) -> None:
        ended = "now()" if state == "normal" else "null"
        await self.conn.execute(
            f"update alarm set state = %s, version = version + 1, ended_at = {ended} where id = %s", (state, alarm)
        )

    async def acknowledge(
        self, alarm: UUID, actor: str = "duty", *, conn: psycopg.AsyncConnection[Any] | None = None
    ) -> int:
        """As the API does it: the alarm's row first, then the stop, in one transaction."""
        conn = self.conn if conn is None else conn
        async with conn.transaction(), conn.cursor() as cur:
            await cur.execute(
                "update alarm set state = 'ack_active', acknowledged_at = now(), acknowledged_by = %s, version = version + 1"
                " where id = %s",
                (actor, alarm),
            )
            return await stop(cur, alarm, "acknowledged", actor)

    async def pass_time(self, seconds: float) -> None:
        """Everything that waits is due so much sooner."""
        span = timedelta(seconds=seconds)
        await self.conn.execute("update escalation_step set due_at = due_at - %s where state = 'due'", (span,))
        await self.conn.execute("update escalation set round_started_at = round_started_at - %s", (span,))
        await self.conn.execute(
            "update notification set next_attempt_at = next_attempt_at - %s where state = 'pending'", (span,)
        )
        await self.conn.execute(
            "update ownership set remind_at = remind_at - %s, lapse_at = lapse_at - %s where state = 'open'",
            (span, span),
        )

    async def rows(self, statement: str, *parameters: Any) -> Rows:
        async with self.conn.cursor(row_factory=dict_row) as cur:
            await cur.execute(statement, parameters)
            return await cur.fetchall()

    async def pages(self, alarm: UUID) -> list[tuple[int, int, int, str]]:
        """(round, step, repetition, state) of every notification, in order of due time."""
        found = await self.rows(
            "select round, step, repetition, state from notification where alarm = %s order by round, due_at, step",
            alarm,
        )
        return [tuple(row.values()) for row in found]

    async def escalation(self, alarm: UUID) -> dict[str, Any]:
        return (await self.rows("select * from escalation where alarm = %s", alarm))[0]

    async def open_steps(self, alarm: UUID) -> list[tuple[int, int, int]]:
        found = await self.rows(
            "select round, step, repetition from escalation_step where alarm = %s and state = 'due' order by due_at, step",
            alarm,
        )
        return [tuple(row.values()) for row in found]

    async def changes(self, kind: str) -> list[dict[str, Any]]:
        return [
            row["payload"] for row in await self.rows("select payload from change where kind = %s order by seq", kind)
        ]


POLICY = Policy(
    id="city",
    division="1404",
    signal_classes=frozenset({SignalClass.FIRE, SignalClass.PANIC}),
    priorities=frozenset({Priority.CRITICAL}),
    round_every=600 * SECOND,
    steps=(
        Step(1, "guard", "hook"),
        Step(2, "head", "mail", delay=60 * SECOND, repeat_every=30 * SECOND, repeat_times=1),
    ),
    title_zh="全市",
    title_en="The city",
)


def webhook(url: str) -> dict[str, Any]:
    return {"kind": "webhook", "settings": {"url": url, "secret": SECRET}}


def smtp(port: int, **more: Any) -> dict[str, Any]:
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "hub@anxin.test"}
    return {"kind": "smtp", "settings": settings | {"recipients": ["duty@anxin.test"]} | more}


@dataclass
class Request:
    """What reached a receiver."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)


@dataclass
class Receiver:
    """A webhook receiver on loopback, speaking HTTP by hand so that it can misbehave. `answers` (a status, a way to
    misbehave, or JSON with or without a status before it) are used up, then it says 204."""

    answers: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    """set to let those go that hang"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alarms?token=hidden-token"

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append(Request(head[0].split(" ")[1], headers, body))
            await self._answer(self.answers.pop(0) if self.answers else "204", writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, answer: str, writer: asyncio.StreamWriter) -> None:
        if answer == "hang":
            await self.hanging.wait()
        elif answer.lstrip("0123456789")[:1] in ("{", "["):
            body = answer.lstrip("0123456789").encode()
            status = answer[: len(answer) - len(answer.lstrip("0123456789"))] or "200"
            head = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
        elif answer == "slow":
            await self.hanging.wait()
            writer.write(b"HTTP/1.1 204 Said\r\n\r\n")
        elif answer == "reset":
            writer.transport.abort()
        elif answer == "redirect":
            writer.write(
                f"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:{self.port}/elsewhere\r\ncontent-length: 0\r\n\r\n".encode()
            )
        elif answer == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not self.hanging.is_set():
                writer.write(b"x-a: b\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        elif answer == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while not self.hanging.is_set():
                writer.write(b"4\r\nevil\r\n")
                await writer.drain()
        else:
            writer.write(f"HTTP/1.1 {answer} Said\r\ncontent-length: 11\r\n\r\nanswer-body".encode())
        if not writer.transport.is_closing():
            await writer.drain()


@asynccontextmanager
async def receiver(*answers: str) -> AsyncIterator[Receiver]:
    """A receiver for as long as the block lasts."""
    found = Receiver(list(answers))
    async with asyncio.TaskGroup() as serving:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.create_task(found._serve(reader, writer), name="receiver")

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        found.port = server.sockets[0].getsockname()[1]
        try:
            yield found
        finally:
            found.hanging.set()
            server.close()
            await server.wait_closed()


def flat(rows: Sequence[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


__all__ = ["POLICY", "SECRET", "Jsonb", "Receiver", "World", "flat", "receiver", "smtp", "webhook"]
