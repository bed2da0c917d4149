"""The console served on loopback, a line to it that can be cut, and a real browser."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from hub.api.app import create_app
from hub.api.server import serve
from hub.config import Settings
from hub.engine.browser import Browser as Program
from hub.runtime.fanout import Fanout
from hub.store.pool import open_pool
from hub.web.app import install
from tests.api import seed
from tests.api.conftest import Filled
from tests.web.routes import furnish

WAIT = 30_000
"""milliseconds that a test waits for something at most: generous, since the machine may be busy"""
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--font-render-hinting=none"),
)


@dataclass
class Line:
    """A TCP line between the browser and the hub: it can be cut, or go silent without a goodbye, and come back."""

    target: int
    port: int = 0
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    open: bool = True
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.close()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self._ends |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.silent.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
        self._ends.discard(writer)

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self.open = False
        for end in list(self._ends):
            end.transport.abort()

    def hush(self) -> None:
        """Carry nothing more, and say nothing of it."""
        self.silent.clear()

    def mend(self) -> None:
        """As before."""
        self.open = True
        self.silent.set()


@asynccontextmanager
async def line(target: int) -> AsyncIterator[Line]:
    """A line to a port of this machine, for as long as the block lasts."""
    made = Line(target)
    made.mend()
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.cut()
        made.silent.set()


@dataclass
class Hub:
    """A hub with the console, the line to it, and its database."""

    filled: Filled
    line: Line
    conn: AsyncConnection[Any]
    names: dict[str, str] = field(default_factory=dict)
    """how everything of tenant a is named (tests.web.routes)"""
    blind: set[str] = field(default_factory=set)
    """parts that the hub says do not hold"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.line.port}"

    async def clear(self) -> None:
        """No alarms."""
        for table in ("attempt", "notification", "escalation_step", "escalation", "alarm_transition", "alarm"):
            await self.conn.execute(f"delete from {table}".encode())
        await self.conn.execute("delete from change")

    async def raise_alarms(
        self, *instances: str, signal_class: str = "panic", priority: str = "critical"
    ) -> list[UUID]:
        """Alarms of tenant a's button as ingest commits them: the row, its transition and the change, in one transaction."""
        made = []
        a = self.filled.a
        async with self.conn.transaction():
            for instance in instances:
                alarm = uuid4()
                await self.conn.execute(
                    "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at,"
                    " received_at) values (%s, %s, %s, 'pressed', %s, %s, %s, 'unack_active', true, now(), now())",
                    [alarm, a.button_key, a.key, instance, signal_class, priority],
                )
                await self.conn.execute(
                    "insert into alarm_transition (alarm, n, event, from_state, to_state, at)"
                    " values (%s, 1, 'raise', 'normal', 'unack_active', now())",
                    [alarm],
                )
                payload = Jsonb({"id": str(alarm), "event": "raise"})
                await self.conn.execute(
                    "insert into change (kind, institution, payload) values ('alarm', %s, %s)", [a.key, payload]
                )
                made.append(alarm)
        return made

    async def owner(self, alarm: UUID) -> str | None:
        """Who has acknowledged it."""
        row = await (await self.conn.execute("select acknowledged_by from alarm where id = %s", [alarm])).fetchone()
        return None if row is None else row[0]


@asynccontextmanager
async def served(filled: Filled) -> AsyncIterator[Hub]:
    """A hub over a filled database, by uvicorn on loopback."""
    settings = Settings.model_validate({"database_url": filled.url, "mqtt_url": "mqtt://127.0.0.1"})
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with await seed.connect(filled.url) as conn, open_pool(filled.url, 6) as pool:
        fanout = Fanout(filled.url)
        blind: set[str] = set()

        async def ready() -> dict[str, bool]:
            return dict.fromkeys(blind, False)

        app = create_app(settings, pool, seed.PROFILES, (), fanout=fanout, ready=ready)
        install(app)
        await conn.execute(
            "insert into lane_watch (partition, lane, listened_at, heard_at) select n, 'urgent', now(), now() + interval '50 min'"
            " from generate_series(0, (select value::int - 1 from hub_setting where name = 'partitions')) n"
        )
        names = await furnish(conn, filled.a)
        tasks = [asyncio.create_task(fanout.follow()), asyncio.create_task(serve(app, "127.0.0.1", 0, port.set_result))]
        try:
            async with line(await port) as wire:
                yield Hub(filled, wire, conn, names, blind)
        finally:
            for task in reversed(tasks):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


@asynccontextmanager
async def chromium(program: Program) -> AsyncIterator[Browser]:
    """One browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program.program, args=list(OPTIONS), env={**os.environ, **program.environment}
        )
        try:
            yield browser
        finally:
            await browser.close()


LogIn = Callable[..., Awaitable[Page]]


@asynccontextmanager
async def people(browser: Browser, hub: Hub) -> AsyncIterator[LogIn]:
    """Call it with a token's name for a page of somebody who is logged in; a page that logs an error or asks another host fails the test."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    async def log_in(name: str, *, path: str = "/console/", **more: Any) -> Page:
        context = await browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", **more)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on(
            "request", lambda request: None if request.url.startswith(hub.url) else wrong.append(f"asked {request.url}")
        )
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
        await page.goto(f"{hub.url}{path}")
        await page.fill("#token", hub.filled.tokens[name])
        await page.click("button[type=submit]")
        await page.wait_for_url(f"**{path}")
        return page

    try:
        yield log_in
    finally:
        for context in contexts:
            await context.close()
    assert wrong == []
