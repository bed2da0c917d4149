"""The event stream over a real socket."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hub.api.server import GRACE_SECONDS, serve
from hub.runtime.fanout import Fanout
from hub.store.changes import open_feed
from hub.testing import eventually
from tests.api import seed
from tests.api.conftest import City

LONG = 40.0


@dataclass
class Stream:
    """What a client has received; the lines are read by a task of its own."""

    response: httpx.Response
    events: list[dict[str, Any]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        event: dict[str, Any] = {}
        async for line in self.response.aiter_lines():
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                event[name] = value
            elif "event" in event:
                self.events.append(event | {"data": json.loads(event["data"])})
                event = {}
        self.ended.set()

    def numbers(self) -> list[int]:
        return [event["data"]["data"]["n"] for event in self.events]


class Running:
    """The city's API on a socket, with its fan-out followed."""

    def __init__(self, city: City, port: int, server: asyncio.Task[None]) -> None:
        self.city = city
        self.url = f"http://127.0.0.1:{port}/api/v1/events"
        self.server = server
        self.fanout: Fanout = city.app.state.services.fanout

    @asynccontextmanager
    async def stream(self, token: str = "admin", query: str = "", last: str | None = None) -> AsyncIterator[Stream]:
        headers = {"Authorization": f"Bearer {self.city.tokens[token]}"} | (
            {} if last is None else {"Last-Event-ID": last}
        )
        async with (
            httpx.AsyncClient(timeout=LONG) as client,
            client.stream("GET", self.url + query, headers=headers) as response,
        ):
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            made = Stream(response)
            task = asyncio.create_task(made.read(), name="reader")
            try:
                yield made
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def running(city: City) -> AsyncIterator[Running]:
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    fanout: Fanout = city.app.state.services.fanout
    following = asyncio.create_task(fanout.follow(), name="follow")
    server = asyncio.create_task(serve(city.app, "127.0.0.1", 0, port.set_result), name="serve")
    async with asyncio.timeout(LONG):
        await fanout.following.wait()
        made = Running(city, await port, server)
    yield made
    server.cancel()
    following.cancel()
    await asyncio.gather(server, following, return_exceptions=True)


async def test_a_change_reaches_the_client_with_kind_time_place_and_content(running: Running) -> None:
    async with running.stream() as stream:
        await eventually(lambda: running.fanout.subscribers == 1)
        await seed.say(running.city.conn, running.city.a.key, "alarm", n=1, text="火警")
        await eventually(lambda: stream.events)
    [event] = stream.events
    assert event["event"] == "alarm"
    assert event["data"]["kind"] == "alarm"
    assert event["data"]["institution"] == "a-home"
    assert event["data"]["data"] == {"n": 1, "text": "火警"}
    assert event["data"]["at"].endswith("Z")
    assert len(event["data"]["at"]) == len("2026-11-21T08:00:00.123456Z")


async def test_a_stream_holds_only_what_is_within_the_scope_and_of_the_kinds_asked_for(running: Running) -> None:
    conn, a, b = running.city.conn, running.city.a, running.city.b
    async with running.stream("regulator-a", "?kind=alarm&kind=coverage") as stream:
        await eventually(lambda: running.fanout.subscribers == 1)
        await seed.say(conn, b.key, "alarm", n=1)
        await seed.say(conn, None, "alarm", n=2)
        await seed.say(conn, a.key, "device_state", n=3)
        await seed.say(conn, a.key, "escalation", n=4)
        await seed.say(conn, a.key, "coverage", n=5)
        await eventually(lambda: stream.events)
    assert stream.numbers() == [5]


async def test_another_platforms_stream_holds_no_alarm_of_an_exercise(running: Running) -> None:
    conn, a = running.city.conn, running.city.a
    async with running.stream("platform-a") as theirs, running.stream("operator-a") as ours:
        await eventually(lambda: running.fanout.subscribers == 2)
        for n, exercise in enumerate(("drill", "proof", None)):
            await seed.say(conn, a.key, "alarm", n=n, exercise=exercise)
        await eventually(lambda: theirs.events and len(ours.events) == 3)
    assert theirs.numbers() == [2]


async def test_who_comes_back_goes_on_after_the_last_event_without_gap_or_repetition(running: Running) -> None:
    conn, a = running.city.conn, running.city.a
    async with running.stream() as stream:
        await eventually(lambda: running.fanout.subscribers == 1)
        for n in range(3):
            await seed.say(conn, a.key, n=n)
        await eventually(lambda: len(stream.events) == 3)
    await eventually(lambda: running.fanout.subscribers == 0)
    for n in range(3, 6):
        await seed.say(conn, a.key, n=n)
    async with running.stream(last=stream.events[1]["id"]) as again:
        for n in range(6, 9):
            await seed.say(conn, a.key, n=n)
        await eventually(lambda: 8 in again.numbers())
    assert again.numbers() == [2, 3, 4, 5, 6, 7, 8]


async def test_a_place_whose_followers_are_no_longer_kept_gives_resync(running: Running) -> None:
    await seed.say(running.city.conn, running.city.a.key, n=1)
    async with open_feed(running.city.url) as feed:
        await feed.trim(datetime.now(UTC) + timedelta(days=1))
    async with running.stream(last="1-1") as stream:
        await eventually(lambda: stream.events)
    assert [(event["event"], event["data"]) for event in stream.events] == [("resync", {})]


async def test_silence_is_broken_by_heartbeats(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.api.stream.HEARTBEAT_SECONDS", 0.02)
    async with running.stream() as stream:
        await eventually(lambda: len(stream.comments) >= 3)
    assert stream.events == []


async def test_fifty_clients_come_and_go_and_leave_no_task_no_queue_and_no_connection(running: Running) -> None:
    def strays() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("event-stream")]

    async def visit() -> None:
        async with running.stream() as stream:
            await eventually(lambda: stream.events, LONG)

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(visit())
        await eventually(lambda: running.fanout.subscribers == 50, LONG)
        await seed.say(running.city.conn, running.city.a.key, n=1)
    await eventually(lambda: running.fanout.subscribers == 0)
    await eventually(lambda: not strays())
    # a stream holds no connection of the pool while it waits
    assert running.city.app.state.services.pool.get_stats()["pool_size"] <= 4


async def test_a_stream_ends_after_its_token_was_revoked(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.api.stream.RECHECK_SECONDS", 0.05)
    async with running.stream("platform-a") as stream:
        await eventually(lambda: running.fanout.subscribers == 1)
        await running.city.conn.execute("update token set revoked_at = now() where id = 'one000000004'")
        await eventually(lambda: running.fanout.subscribers == 0)
        await eventually(stream.ended.is_set)


async def test_shutting_down_ends_open_streams_within_the_grace(running: Running) -> None:
    loop = asyncio.get_running_loop()
    async with running.stream() as one, running.stream("regulator-a") as two:
        await eventually(lambda: running.fanout.subscribers == 2)
        started = loop.time()
        running.server.cancel()
        await asyncio.gather(running.server, return_exceptions=True)
        assert loop.time() - started < GRACE_SECONDS + 5  # a busy machine may be late itself
        await eventually(lambda: one.ended.is_set() and two.ended.is_set())


async def test_more_streams_than_allowed_are_refused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.api.stream.MAX_STREAMS", 1)
    async with running.stream():
        await eventually(lambda: running.fanout.subscribers == 1)
        async with running.city.client() as client:
            answer = await client.get("/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
