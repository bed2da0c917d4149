"""Configuration from afar, over a real broker and to real Modbus servers: proven, tried, kept, rolled back, never lost by a kill."""

import asyncio
import json
import os
import random
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import backoff
from hub.core.configuration import make_envelope, public_key, read_envelope
from hub.edge.configuration import Keeper, Memory, Offered, Patience, Refusal, begin, consider
from hub.model import Lane
from hub.runtime.drivers import plan_links
from hub.testing import eventually
from tests.brokers import OwnBroker, own_broker
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.sites import (
    KEY,
    OTHER_KEY,
    SEAL,
    SOON,
    Device,
    bundle_in,
    device,
    document,
    endpoint,
    offer,
    point,
    publish,
    running,
)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.01)
    monkeypatch.setattr(backoff, "SHORTEST", 0.001)


@pytest.fixture
def lamp() -> Iterator[Device]:
    with device() as peer:
        yield peer


@pytest.fixture
def boiler() -> Iterator[Device]:
    with device() as peer:
        yield peer


def last(hub: FakeHub, name: str) -> Any:
    said = [sample.raw for sample in hub.samples[Lane.BULK] if sample.series == ("edge-1", name, "")]
    return said[-1] if said else None


def runs(hub: FakeHub, version: int) -> bool:
    return bool(last(hub, "config_version") == version)


def refused(hub: FakeHub, version: int, reason: str) -> bool:
    return bool(last(hub, "config_refused") == version and reason in str(last(hub, "config_reason")))


# what a message means ------------------------------------------------------------------------------------------------

OWN = document(1883, endpoint("io", 5020))
NEXT = document(1883, endpoint("io", 5021))


def judged(payload: bytes, memory: Memory | None = None, running: int = 1) -> Offered | Refusal | None:
    memory = memory or Memory(public_key(KEY).hex(), 1)
    return consider(payload, bundle_in(OWN), bundle_in({**OWN, "configuration": running}), memory)


def test_a_newer_configuration_by_the_hubs_key_may_be_tried_with_the_files_own_password_and_trust() -> None:
    found = judged(offer(2, NEXT))
    assert isinstance(found, Offered)
    assert found.version == found.bundle.configuration == 2
    assert found.bundle.endpoints[0].settings["port"] == 5021
    assert found.bundle.broker == bundle_in(OWN).broker
    assert found.bundle.trust == bundle_in(OWN).trust
    assert b"correct-horse" not in offer(2, NEXT)


@pytest.mark.parametrize(
    ("envelope", "why"),
    [
        (offer(2, NEXT, key=OTHER_KEY), "signature"),
        (offer(2, NEXT, edge="edge-2"), "for edge 'edge-2'"),
        (offer(2, NEXT, seal=OTHER_KEY), "another bundle"),
        (offer(2, {**NEXT, "edge": "edge-9"}), "another edge's"),
        (make_envelope("edge-1", 2, b"{}", KEY, SEAL, b"n" * 12), "no bundle"),
        (make_envelope("edge-1", 2, b'{"broker": {}}', KEY, SEAL, b"n" * 12), "edge"),
        (offer(2, document(1883, {**endpoint("io", 1), "driver": "nosuch"})), "no driver 'nosuch'"),
        (offer(2, document(1883, endpoint("io", 1, colour="red"))), "endpoints.io.settings.colour"),
        (b"\xff garbage", "no envelope"),
        (b"x" * 200_000, "200000 bytes"),
    ],
)
def test_what_is_not_the_hubs_word_for_this_edge_or_does_not_hold_is_refused_with_the_reason(
    envelope: bytes, why: str
) -> None:
    found = judged(envelope)
    assert isinstance(found, Refusal)
    assert why in found.reason


def test_an_older_version_is_refused_and_the_one_that_runs_or_was_refused_is_no_news() -> None:
    memory = Memory(public_key(KEY).hex(), highest=5, refused=Refusal(5, "did not come up"))
    assert judged(offer(4, OWN), memory, running=4) is None
    assert judged(offer(5, NEXT), memory, running=4) is None
    replayed = judged(offer(3, NEXT), memory, running=4)
    assert isinstance(replayed, Refusal)
    assert "has had version 5" in replayed.reason
    assert isinstance(judged(offer(6, NEXT), memory, running=4), Offered)


def test_the_number_that_runs_with_other_content_is_refused_under_that_number() -> None:
    """A hub that was put back from a backup counts again: what it calls 1 is not what runs."""
    found = judged(offer(1, NEXT))
    assert isinstance(found, Refusal)
    assert found.version == 1
    assert "other content" in found.reason
    assert judged(offer(1, OWN)) is None


def test_a_driver_that_fails_in_a_way_of_its_own_is_refused_and_ends_no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("libfoo.so: correct-horse")

    monkeypatch.setattr(EntryPoint, "load", broken)
    found = judged(offer(2, NEXT))
    assert isinstance(found, Refusal)
    assert found.version == 2
    assert "'modbus'" in found.reason
    assert "RuntimeError" in found.reason


def test_a_seal_once_opened_holds_neither_for_another_version_nor_for_other_content() -> None:
    told = json.loads(offer(2, NEXT))
    for change in ({"version": 3}, {"hash": "0" * 64}, {"content": told["content"][:-8] + "AAAAAAA="}):
        found = judged(json.dumps({**told, **change}).encode())
        assert isinstance(found, Refusal), change


GENUINE = offer(2, NEXT)


def _bent(at: int, byte: bytes) -> bytes:
    return GENUINE[:at] + byte + GENUINE[at + 1 :]


@given(st.binary(max_size=300) | st.builds(_bent, st.integers(0, len(GENUINE)), st.binary(min_size=1, max_size=1)))
def test_no_bytes_on_the_topic_end_the_edge_or_pass_for_the_hubs(payload: bytes) -> None:
    assert isinstance(judged(payload), Refusal) or read_envelope(payload) == read_envelope(GENUINE)


# what an edge starts with --------------------------------------------------------------------------------------------


def begun(memory: Memory | None, own: dict[str, Any] = OWN) -> tuple[Memory, int]:
    bundle = bundle_in(own)
    found = begin(bundle, plan_links(bundle.endpoints, "edge.json"), memory)
    assert [plan.endpoint_id for plan in found.plans] == [endpoint.id for endpoint in found.bundle.endpoints]
    return found.memory, found.bundle.configuration


def test_an_edge_starts_with_the_last_good_one_with_its_file_where_that_is_newer_and_never_with_the_one_on_trial() -> (
    None
):
    key = public_key(KEY).hex()
    good, trial = offer(3, NEXT), offer(4, NEXT)
    memory, version = begun(Memory(key, 3, good, trial))
    assert version == 3
    assert (memory.trial, memory.highest, memory.refused.version) == (None, 4, 4)
    assert "on trial" in memory.refused.reason
    memory, version = begun(Memory(key, 3, good), {**OWN, "configuration": 7})
    assert (version, memory.good, memory.highest) == (7, None, 7)
    assert begun(Memory(key, 3, offer(3, NEXT, seal=OTHER_KEY)))[1] == 1, "sealed for an older file of this edge"
    without_driver = offer(3, document(1883, {**endpoint("io", 1), "driver": "nosuch"}))
    memory, version = begun(Memory(key, 3, without_driver))
    assert (version, memory.good) == (1, without_driver), "the driver may come back"
    assert "no driver 'nosuch'" in memory.refused.reason
    memory, version = begun(Memory(public_key(OTHER_KEY).hex(), 900, good))
    assert (version, memory.highest, memory.key) == (1, 1, key), "another hub's numbers mean nothing"
    assert begun(None) == (Memory(key, 1), 1)
    assert begun(Memory(key, 3, good), {**OWN, "trust": None})[1] == 1


def test_what_is_kept_is_read_back_is_its_owners_alone_and_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    assert keeper.load() is None
    memory = Memory(public_key(KEY).hex(), 5, offer(3, NEXT), None, Refusal(5, "端点没有恢复"))
    keeper.save(memory)
    keeper.save(memory)
    assert keeper.load() == memory
    assert stat.S_IMODE(keeper.path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["configuration.json"]
    for damage in (b"", b"{", b'{"v":1}', os.urandom(200)):
        keeper.path.write_bytes(damage)
        assert keeper.load() is None


# what an edge does ---------------------------------------------------------------------------------------------------


async def test_a_configuration_is_taken_without_a_restart_and_without_a_break_for_what_it_does_not_change(
    tmp_path: Path, broker: OwnBroker, lamp: Device, boiler: Device
) -> None:
    hub = FakeHub()
    own = document(broker.port, endpoint("lamp", lamp.port), endpoint("boiler", boiler.port))
    new = document(broker.port, endpoint("lamp", lamp.port), endpoint("boiler", boiler.port, point("heat")))
    async with serving(hub, broker.as_user()), running(own, tmp_path):
        await eventually(lambda: hub.values(Lane.BULK) and runs(hub, 1))
        await publish(broker, offer(2, new))
        await eventually(lambda: hub.values(Lane.BULK, "heat") and runs(hub, 2))
        before = lamp.handler.reads
        await eventually(lambda: lamp.handler.reads > before)
        assert len(lamp.handler.callers) == 1, "one connection from the first read to the last"
        assert len(boiler.handler.callers) == 2
    broker.kill()
    hub.samples[Lane.BULK].clear()
    reads = boiler.handler.reads
    async with running(own, tmp_path):  # no broker, no hub: by the last good one all the same
        await eventually(lambda: boiler.handler.reads > reads)
        broker.start()
        async with serving(hub, broker.as_user()):
            await eventually(lambda: hub.values(Lane.BULK, "heat") and runs(hub, 2))
    assert not [s for s in hub.samples[Lane.BULK] if s.series == ("boiler-device", "level", "")]


async def test_one_whose_endpoint_does_not_come_up_again_is_rolled_back_and_said(
    tmp_path: Path, broker: OwnBroker, lamp: Device
) -> None:
    hub = FakeHub()
    own = document(broker.port, endpoint("lamp", lamp.port))
    async with serving(hub, broker.as_user()), running(own, tmp_path, Patience(4.0, 0.1)):
        await eventually(lambda: hub.values(Lane.BULK))
        await publish(broker, offer(2, document(broker.port, endpoint("lamp", 1))))
        await eventually(lambda: refused(hub, 2, "'lamp' did not come up"), deadline=40)
        before = lamp.handler.reads
        await eventually(lambda: lamp.handler.reads > before)
        assert runs(hub, 1)
        await publish(broker, offer(3, document(broker.port, endpoint("lamp", lamp.port, point("heat")))))
        await eventually(lambda: hub.values(Lane.BULK, "heat") and runs(hub, 3))
        await eventually(lambda: refused(hub, 0, ""))


async def test_a_broker_that_is_not_there_is_left_again_and_the_hub_regained(
    tmp_path: Path, broker: OwnBroker, lamp: Device
) -> None:
    hub = FakeHub()
    own = document(broker.port, endpoint("lamp", lamp.port))
    async with serving(hub, broker.as_user()), running(own, tmp_path, Patience(1.0, 0.1)):
        await eventually(lambda: hub.values(Lane.BULK))
        await publish(broker, offer(2, document(1, endpoint("lamp", lamp.port))))
        await eventually(lambda: refused(hub, 2, "the hub confirmed nothing"))
        assert runs(hub, 1)
        assert len(lamp.handler.callers) == 1


async def test_an_edge_follows_the_hub_to_another_broker_and_no_stream_begins_anew(
    tmp_path: Path, engine_prefix: Any, broker: OwnBroker, lamp: Device
) -> None:
    hub = FakeHub()
    own = document(broker.port, endpoint("lamp", lamp.port))
    (tmp_path / "second").mkdir()
    with own_broker(engine_prefix, tmp_path / "second") as second:
        new = document(second.port, endpoint("lamp", lamp.port))
        async with serving(hub, second.as_user()), running(own, tmp_path / "edge"):
            async with serving(hub, broker.as_user()):
                await eventually(lambda: len(hub.values(Lane.BULK)) > 3)
                await publish(broker, offer(2, new))
                await eventually(lambda: runs(hub, 2))
            broker.kill()
            count = len(hub.values(Lane.BULK))
            await eventually(lambda: len(hub.values(Lane.BULK)) > count)
        assert len({stream for stream, _ in hub.seen}) == 2, "one a lane, from the first message to the last"


async def test_what_is_on_trial_when_the_edge_is_stopped_in_order_is_tried_again_at_the_next_start(
    tmp_path: Path, broker: OwnBroker, lamp: Device
) -> None:
    hub = FakeHub()
    own = document(broker.port, endpoint("lamp", lamp.port))
    new = document(broker.port, endpoint("lamp", lamp.port, point("heat")))
    async with serving(hub, broker.as_user()):
        async with running(own, tmp_path, Patience(60.0, 60.0)):
            await eventually(lambda: hub.values(Lane.BULK))
            await publish(broker, offer(2, new))
            await eventually(lambda: hub.values(Lane.BULK, "heat"))
            assert runs(hub, 1), "what is on trial is not said to run"
        async with running(own, tmp_path):
            await eventually(lambda: runs(hub, 2))
        assert not refused(hub, 2, "")


_KILLED = """
import asyncio, sys
from pathlib import Path
from hub import logs
from hub.bundle import read_bundle
from hub.edge.configuration import Patience
from hub.edge.service import run_edge
from hub.runtime.drivers import plan_links
logs.configure("error", "json")
bundle = read_bundle(Path(sys.argv[1]))
plans = plan_links(bundle.endpoints, sys.argv[1])
patience = Patience(float(sys.argv[3]), 0.1)
asyncio.run(run_edge(bundle, plans, Path(sys.argv[2]), asyncio.Event(), patience=patience))
"""


@pytest.mark.parametrize(
    ("label", "fails", "runs_then", "refused_then"),
    [
        ("edge-config-before-trial:1", False, 2, 0),
        ("edge-config-before-rename:2", False, 2, 0),
        ("edge-config-on-trial:1", False, 1, 2),
        ("edge-config-adopted:1", False, 1, 2),
        ("edge-config-before-promote:1", False, 1, 2),
        ("edge-config-promoted:1", False, 2, 0),
        ("edge-config-before-rollback:1", True, 1, 2),
        ("edge-config-rolled-back:1", True, 1, 2),
    ],
)
async def test_wherever_it_is_killed_it_comes_back_with_a_good_configuration_and_never_loops(
    tmp_path: Path, broker: OwnBroker, lamp: Device, label: str, fails: bool, runs_then: int, refused_then: int
) -> None:
    hub = FakeHub()
    own = document(broker.port, endpoint("lamp", lamp.port))
    new = document(broker.port, endpoint("lamp", 1 if fails else lamp.port, point("heat")))
    (tmp_path / "edge.json").write_text(json.dumps(own))
    await publish(broker, offer(2, new))
    command = [
        sys.executable,
        "-c",
        _KILLED,
        str(tmp_path / "edge.json"),
        str(tmp_path / "spool"),
        "0.5" if fails else "60",
    ]
    async with serving(hub, broker.as_user()):
        with subprocess.Popen(command, env={**os.environ, "ANXIN_CRASH_AT": label}) as process:
            assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
        async with running(own, tmp_path / "spool", SOON):
            await eventually(lambda: runs(hub, runs_then) and last(hub, "config_refused") == refused_then)
            before = lamp.handler.reads
            await eventually(lambda: lamp.handler.reads > before)
