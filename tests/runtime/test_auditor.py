"""The kill matrix: whatever single part dies, hangs or lies, the outside heartbeat stops; and it comes back when the part does."""

import asyncio
import contextlib
import inspect
import os
import re
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from hub.config import Settings
from hub.core.blindness import Cause
from hub.core.canary import PROFILE
from hub.engine import Engine
from hub.model import SECOND, Lane
from hub.mqtt import parse_broker
from hub.notify import Outcome, Receipt
from hub.runtime import auditor, deliverer, escalator, ingest, pulse, standby
from hub.runtime.apart import in_thread
from hub.runtime.auditor import Auditor, Timing
from hub.runtime.partitions import Partitions
from hub.store.escalation import unattended
from hub.testing import eventually
from tests.clusters import put_cluster
from tests.runtime.city import fetch, profiles, seed
from tests.runtime.outage import centre

TIMING = Timing(every=0.3, limit=2.0, deaf=3.0)
"""in production 30 s, 20 s and 15 s; the lanes here say five times as often that they listen"""
QUIET = 2.2
"""seconds without a beat after which the outside would alarm"""


class Outside:
    """Who watches from outside, in threads of his own: whatever happens here does not stop his clock."""

    def __init__(self) -> None:
        self.beats = 0
        self.last = time.monotonic()
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/beat":
                    outside.beats, outside.last = outside.beats + 1, time.monotonic()
                self.send_response(204 if self.path != "/down" else 503)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    async def beating(self) -> None:
        seen = self.beats
        await eventually(lambda: self.beats > seen + 1, 40)

    async def alarmed(self, quiet: float = QUIET) -> None:
        """The beat stops, and within the time that stands for 90 s."""
        await eventually(lambda: time.monotonic() - self.last > quiet, 40)


Loop = Callable[[], Coroutine[Any, Any, Any]]


@dataclass
class Stand:
    """All parts as tasks of this loop, the auditor in a thread of its own."""

    engine: Engine
    outside: Outside
    auditor: Auditor
    loops: dict[str, Loop]
    tasks: dict[str, "asyncio.Task[Any]"] = field(default_factory=dict)
    partitions: Partitions | None = None

    def own(self, partitions: Partitions) -> Coroutine[Any, Any, Any]:
        self.partitions = partitions
        return partitions.run()

    @asynccontextmanager
    async def wedged(self, lane: Lane) -> AsyncIterator[None]:
        """That lane's loop waits for something that never comes."""
        assert self.partitions is not None
        async with self.partitions.shared[0].lanes[lane]._lock:
            yield

    def start(self, name: str) -> None:
        self.tasks[name] = asyncio.create_task(self.loops[name](), name=name)

    async def stop(self, name: str) -> None:
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.wait({task})

    @asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """That part is dead."""
        await self.stop(name)
        yield
        self.start(name)

    @asynccontextmanager
    async def frozen(self, pids: list[int]) -> AsyncIterator[None]:
        """These processes stand still."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):  # who woke first may have sent this one home
                    os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def delivering_by(self, patch: pytest.MonkeyPatch, deliver: Any) -> AsyncIterator[None]:
        """The deliverer sends in another way."""
        with patch.context() as patched:
            patched.setattr(deliverer, "deliver", deliver)
            yield
        await self.stop("deliverer")
        self.start("deliverer")

    @asynccontextmanager
    async def unattended(self) -> AsyncIterator[None]:
        """A panic that no policy covers: nobody is told."""
        url = self.engine.database_url
        with psycopg.connect(url) as conn:
            conn.execute(
                "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at)"
                " select gen_random_uuid(), key, institution, 'panic', 'panic', 'critical', 'unack_active', true, now(), now()"
                " from device where id = 'button-1'"
            )
        yield
        with psycopg.connect(url) as conn:
            conn.execute("update alarm set state = 'ack_active' where institution > 0")

    def postgres(self) -> list[int]:
        cluster = Path(self.engine.database_url.split("host=")[1].split("&")[0]).parent / "cluster"
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _cwd(entry) == cluster]


def _cwd(entry: Path) -> Path | None:
    try:
        return (entry / "cwd").readlink()
    except OSError:
        return None


def one_partition(url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("update hub_setting set value = '1' where name = 'partitions'")
        conn.execute("update institution set partition = 0")


def test_with_the_real_periods_whatever_dies_is_noticed_outside_within_ninety_seconds_and_a_hub_that_is_well_is_left_alone() -> (
    None
):
    """The worst case of each way, by the constants: how old what a beat vouches for may be when it arrives, and how long the outside waits."""
    beat = auditor.ASKED  # the heartbeat's own request
    overdue = inspect.signature(unattended).parameters["grace"].default / SECOND
    vouched = {
        "the canary's way": auditor.LIMIT + beat,
        "a lane that stands still": auditor.DEAF + auditor.LOOKED + beat,
        "an alarm without a next step": overdue + auditor.LOOKED + beat,
        "the standby's loop": standby.ROUND + auditor.ASKED + auditor.LOOKED + beat,
        "the auditor itself": beat,
    }
    assert {name: age + auditor.OUTSIDE for name, age in vouched.items() if age + auditor.OUTSIDE > 90.0} == {}
    assert auditor.EVERY + auditor.LIMIT + beat < auditor.OUTSIDE  # one beat early, the next as late as it can be
    assert auditor.DEAF >= 3 * ingest.LOOK  # a lane says with every look that it listens
    assert Timing() == (auditor.EVERY, auditor.LIMIT, auditor.DEAF)
    assert auditor.EVERY == Settings.model_fields["canary_seconds"].default
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    period, grace = re.findall(r"Period (\d+) s, grace (\d+) s: whatever single part dies", text)[0]
    assert float(period) + float(grace) == auditor.OUTSIDE


@asynccontextmanager
async def stand(folder: Path, watched: tuple[str, ...] = ("/well",), timing: Timing = TIMING) -> AsyncIterator[Stand]:
    outside = Outside()
    await asyncio.to_thread(put_cluster, folder / "engine")
    async with Engine(folder / "engine", durable=False, environment={}, say=lambda _: None) as engine:
        url, broker = engine.database_url, parse_broker(engine.mqtt_url)
        seed(url)
        one_partition(url)
        known = {**profiles(), PROFILE.profile: PROFILE}
        urls = tuple(outside.url + path for path in watched)
        auditor = Auditor(url, broker, heartbeat=f"{outside.url}/beat", watched=lambda: urls, timing=timing)
        loops: dict[str, Loop] = {
            "ingest": lambda: all_.own(Partitions(url, broker, known, [0])),
            "escalator": lambda: escalator.run(url),
            "deliverer": lambda: deliverer.run(url, profiles=known),  # no loopback but for the canary
            "auditor": lambda: in_thread(auditor.run),
        }
        all_ = Stand(engine, outside, auditor, loops)
        for name in loops:
            all_.start(name)
        try:
            yield all_
        finally:
            for name in list(all_.tasks):
                await all_.stop(name)
            outside.close()


async def _hangs(*_: object) -> Receipt:
    await asyncio.Event().wait()
    raise AssertionError


async def _lies(*_: object) -> Receipt:
    return Receipt(Outcome.DELIVERED, 204, "")


def faults_of(parts: Stand, patch: pytest.MonkeyPatch) -> dict[str, Callable[[], AbstractAsyncContextManager[None]]]:
    """Each way in which one part dies, hangs or lies."""
    return {
        "ingest": lambda: parts.without("ingest"),
        "escalator": lambda: parts.without("escalator"),
        "deliverer": lambda: parts.without("deliverer"),
        "a notifier that waits for ever": lambda: parts.delivering_by(patch, _hangs),
        "a notifier that lies": lambda: parts.delivering_by(patch, _lies),
        "auditor": lambda: parts.without("auditor"),
        "the urgent lane stands still": lambda: parts.wedged(Lane.URGENT),
        "the bulk lane stands still": lambda: parts.wedged(Lane.BULK),
        "broker": lambda: parts.frozen([parts.engine.pids()["mosquitto"]]),
        "database": lambda: parts.frozen(parts.postgres()),
        "an alarm that nobody drives": lambda: parts.unattended(),
    }


@pytest.mark.timeout(300)
async def test_whatever_single_part_dies_hangs_or_lies_the_heartbeat_stops_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, shorter in (
        (ingest, "LOOK", 1.0),
        (ingest, "STALL", 1.6),
        (pulse, "ASK", 0.3),
        (pulse, "SILENT", 2.0),
    ):
        monkeypatch.setattr(module, name, shorter)
    blamed = "select distinct evidence #>> '{0,facts,part}' from blindness where subject = 'lane' and cause = %s"
    async with stand(tmp_path) as parts:
        outside = parts.outside
        await outside.beating()
        for name, fault in faults_of(parts, monkeypatch).items():
            with psycopg.connect(parts.engine.database_url) as conn:
                conn.execute("delete from blindness")
            async with fault():
                await outside.alarmed()
                if name == "broker":  # said while it is frozen
                    await eventually(lambda: fetch(parts.engine.database_url, blamed, "broker") == [("broker",)])
            await outside.beating()
            assert all(not task.done() for task in parts.tasks.values()), name
            if name in (Cause.BROKER, Cause.DATABASE):
                assert fetch(parts.engine.database_url, blamed, name) == [(name,)]
        before = outside.beats
        time.sleep(QUIET + TIMING.limit)  # noqa: ASYNC251 -- the loop of all parts but the auditor is blocked
        assert outside.beats <= before + 1
        await outside.beating()
        assert fetch(parts.engine.database_url, "select count(*) from change where institution < 0") == [(0,)]
        kinds = "select distinct n.responder, a.exercise from notification n join alarm a on a.id = n.alarm"
        assert fetch(parts.engine.database_url, kinds) == [("canary", "canary")]


@pytest.mark.timeout(120)
async def test_a_database_that_is_slow_as_an_auditor_begins_ends_neither_it_nor_the_hub(
    fresh_database: str, mqtt_url: str
) -> None:
    seed(fresh_database)
    about = Auditor(fresh_database, parse_broker(mqtt_url), timing=Timing(every=0.1, limit=0.3))
    with psycopg.connect(fresh_database) as slow:
        slow.execute("lock table responder, institution, device in access exclusive mode")
        running = asyncio.create_task(about.run(), name="auditor")
        try:
            await eventually(lambda: "in time" in about.watch.reason)
            slow.rollback()
            await eventually(lambda: about.watch.rounds > 0)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.wait({running})


async def test_what_else_must_answer_is_asked_and_only_what_is_signed_is_believed(tmp_path: Path) -> None:
    async with stand(tmp_path, watched=("/well", "/down")) as parts:
        await eventually(lambda: parts.auditor.watch.unanswered == 1, 40)
        assert parts.outside.beats == 0
        await eventually(lambda: parts.auditor.watch.took > 0, 40)  # the canary itself is back
        assert parts.outside.beats == 0
        assert not parts.auditor._sink._believe({"webhook-id": "1", "webhook-timestamp": "1"}, b"{}")
        assert not parts.auditor._sink._believe({}, b"\xff")


@pytest.mark.timeout(180)
async def test_what_is_not_on_the_canarys_way_is_asked_of_the_process_itself_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "ROUND", 5.0)
    outside = Outside()
    await asyncio.to_thread(put_cluster, tmp_path / "engine")
    async with Engine(tmp_path / "engine", durable=False, environment={}, say=lambda _: None) as engine:
        seed(engine.database_url)
        one_partition(engine.database_url)
        more: dict[str, Any] = {"heartbeat_url": SecretStr(f"{outside.url}/beat"), "canary_seconds": 1.5}
        try:
            async with centre(engine.database_url, engine.mqtt_url, tmp_path, **more) as hub:
                await outside.beating()
                for fault in (hub.without_its_standby, hub.without_its_api):
                    async with fault():
                        await outside.alarmed(4.0)
                    await outside.beating()
        finally:
            outside.close()


async def test_a_round_that_falls_over_a_row_of_another_release_feeds_no_beat_says_why_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    auditor, rounds = Auditor("", parse_broker("mqtt://127.0.0.1:1"), timing=Timing(0.01, 0.01)), 0

    async def falls() -> None:
        nonlocal rounds
        rounds += 1
        raise ValueError("'flood' is not a valid SignalClass")

    monkeypatch.setattr(auditor, "_rounds", falls)
    running = asyncio.create_task(auditor._fly())
    try:
        await eventually(lambda: rounds > 2 or running.done())
        assert not running.done()
        assert "flood" in auditor.watch.reason
        assert auditor.watch.beats == 0
    finally:
        running.cancel()
        await asyncio.wait({running})
