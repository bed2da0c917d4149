"""The lowest point of a proof: the device's own test is tripped over the real driver, answered by a peer that we did not write, and set back."""

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hub.core.configuration import public_key
from hub.core.proof_order import Order, Trial, make_order, order_topic, read_order
from hub.edge.trials import Debts, Owed, Trials
from hub.errors import BadInput, LinkDown
from hub.model import Lane, Sample, Series
from hub.mqtt import Session
from hub.runtime.drivers import plan_links
from hub.runtime.links import LinkRunner
from hub.testing import eventually
from tests.brokers import PASSWORD, OwnBroker
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.sites import CLIENT, KEY, PARTITION, Device, bundle_in, device, document, endpoint, point

TRIAL = Trial("test", True, False, "answer", (2,), 3_000_000)
PRESS = Series("io-device", "pressed")


@pytest.fixture
def button() -> Iterator[Device]:
    with device() as peer:
        yield peer


def site(port: int, broker_port: int = 1883, **changes: Any) -> dict[str, Any]:
    test = {**point("test", table="coil", writable=True), "address": {"table": "coil", "address": 8}}
    answer = {**point("answer", every=3_600_000_000), "address": {"table": "holding", "address": 8}}
    return document(broker_port, endpoint("io", port, point("pressed"), test, answer, lane="urgent"), **changes)


class Kept:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    async def put(self, lane: Lane, samples: Any, rejects: Any = ()) -> None:
        self.samples += samples


class OneLink:
    """The part of an edge's site that a trial asks for."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.bundle = bundle_in(told)
        self.sink = Kept()
        (plan,) = plan_links(self.bundle.endpoints, "edge.json")
        self.link = LinkRunner(plan, self.sink)

    def runner(self, name: str) -> LinkRunner | None:
        return self.link if name == "io-device" else None


@contextlib.asynccontextmanager
async def trials(told: dict[str, Any], folder: Path) -> AsyncIterator[tuple[Trials, OneLink]]:
    there: Any = OneLink(told)
    found = Trials(Debts(folder), there, lambda: time.time_ns() // 1_000)
    work = [asyncio.create_task(there.link.run()), asyncio.create_task(found.run())]
    try:
        await eventually(lambda: there.link.counters.samples > 0)
        yield found, there
    finally:
        for one in work:
            one.cancel()
        await asyncio.wait(work)


async def test_a_device_is_put_into_its_test_answers_and_is_set_back(tmp_path: Path, button: Device) -> None:
    async with trials(site(button.port), tmp_path) as (found, there):
        before = time.time_ns() // 1_000
        answered = await found.conduct("io-device", TRIAL)
        assert before <= answered <= time.time_ns() // 1_000
        assert button.bank.tested == [True, False]
        assert Debts(tmp_path).load() == []
        assert all(sample.mark is None for sample in there.sink.samples), "what the device says is no exercise's"
        again = await found.conduct("io-device", TRIAL)
        assert again > answered


async def test_a_device_that_does_not_answer_fails_and_is_set_back_all_the_same(tmp_path: Path, button: Device) -> None:
    button.bank.answers = False
    async with trials(site(button.port), tmp_path) as (found, _):
        with pytest.raises(LinkDown, match=r"did not answer its test within 0\.5 s: it said 0"):
            await found.conduct("io-device", TRIAL._replace(within=500_000))
        assert button.bank.tested == [True, False]
        assert Debts(tmp_path).load() == []


async def test_an_answer_that_stands_before_the_test_proves_nothing_and_nothing_is_written(
    tmp_path: Path, button: Device
) -> None:
    button.bank.set_holding_registers(8, [2])
    async with trials(site(button.port), tmp_path) as (found, _):
        with pytest.raises(BadInput, match="its answer 2 stands already"):
            await found.conduct("io-device", TRIAL)
    assert button.bank.tested == []


async def test_a_press_within_the_test_goes_its_way_unmarked(tmp_path: Path, button: Device) -> None:
    button.bank.pressed_in_test = True
    async with trials(site(button.port), tmp_path) as (found, there):
        await found.conduct("io-device", TRIAL)

        def pressed() -> list[Sample]:
            return [sample for sample in there.sink.samples if sample.series == PRESS and sample.raw == 1]

        await eventually(pressed)
        assert pressed()[0].mark is None


async def test_what_may_not_be_written_is_refused_and_nothing_is_written(tmp_path: Path, button: Device) -> None:
    watch = {
        "device": "io-device",
        "definition": "fire",
        "alarm": {
            "title": {"zh": "火", "en": "fire"},
            "class": "fire",
            "priority": "critical",
            "point": "pressed",
            "condition": {"equals": 1},
            "response": {"zh": "看", "en": "look"},
        },
        "reads": {"title": {"zh": "火", "en": "fire"}, "type": "int"},
        "classes": ["fire"],
    }
    rule = {
        "id": "siren",
        "siren": "io-device",
        "point": "test",
        "value": True,
        "after": 600_000_000,
        "watches": [watch],
    }
    async with trials(site(button.port, local_rules=[rule]), tmp_path) as (found, _):
        for name, trial, says in (
            ("io-device", TRIAL, "is the siren of a local rule"),
            ("io-device", TRIAL._replace(write="answer"), "is not writable"),
            ("io-device", TRIAL._replace(expect="nothing"), "does not have that test point"),
            ("other", TRIAL, "does not have that test point"),
        ):
            with pytest.raises(BadInput, match=says):
                await found.conduct(name, trial)
    assert button.bank.tested == []


async def test_what_cannot_be_kept_on_the_disk_is_not_begun(tmp_path: Path, button: Device) -> None:
    folder = tmp_path / "gone"
    async with trials(site(button.port), folder) as (found, _):
        with pytest.raises(BadInput, match="what must be set back cannot be kept"):
            await found.conduct("io-device", TRIAL)
    assert button.bank.tested == []


class Alarm:
    """A smoke alarm behind a gateway that speaks MQTT: what it is told, and what it says of its test (zigbee2mqtt's form)."""

    def __init__(self, live: Session) -> None:
        self.live = live
        self.told: list[str] = []
        self.stuck = self.mute = False
        self.idle = "idle"

    async def say(self, test: str) -> None:
        state = json.dumps({"pressed": 0, "selftest": test})
        await self.live.publish("bridge/smoke", state.encode())

    async def run(self) -> None:
        await self.live.subscribe("bridge/smoke/set")
        async for message in self.live.messages():
            self.live.settle(message)
            self.told.append(message.payload.decode())
            if not self.mute:
                await self.say("done" if self.stuck or "START" in self.told[-1] else self.idle)


async def test_a_device_that_speaks_mqtt_is_tested_over_its_broker_and_one_that_always_says_the_answer_proves_nothing(
    tmp_path: Path, broker: OwnBroker
) -> None:
    test = {
        **point("test", writable=True),
        "type": "str",
        "address": {"topic": "none", "command": {"topic": "set", "payload": '{"selftest": {value}}'}},
    }
    answer = {**point("answer"), "type": "str", "address": {"pointer": "/selftest"}}
    where = {
        "host": broker.as_user().host,
        "port": broker.port,
        "username": "hub",
        "password": PASSWORD,
        "answer_s": 0.1,
    }
    points = [{**point("pressed"), "address": {"pointer": "/pressed"}}, test, answer]
    behind = {"id": "io-device", "lane": "urgent", "settings": {"topic": "bridge/smoke"}, "points": points}
    told = document(broker.port, {"id": "io", "driver": "mqtt", "settings": where, "devices": [behind]})
    trial = Trial("test", "START", "STOP", "answer", ("done",), 1_000_000)
    async with broker.session("the-gateway") as live:
        alarm = Alarm(live)
        gateway = asyncio.create_task(alarm.run())
        try:
            there: Any = OneLink(told)
            found = Trials(Debts(tmp_path), there, lambda: time.time_ns() // 1_000)
            work = [asyncio.create_task(there.link.run()), asyncio.create_task(found.run())]

            async def heard() -> bool:
                await alarm.say("idle")
                return bool(there.link.counters.samples)

            await eventually(heard)
            assert await found.conduct("io-device", trial) > 0
            assert alarm.told == ['{"selftest": "START"}', '{"selftest": "STOP"}']
            assert Debts(tmp_path).load() == []
            alarm.stuck = True
            with pytest.raises(LinkDown, match="'answer' stands after its test is over: it proves nothing"):
                await found.conduct("io-device", trial)
            alarm.mute = True
            with pytest.raises(LinkDown, match=r"did not answer its test within 0\.2 s: it said nothing"):
                await found.conduct("io-device", trial._replace(within=200_000))
            assert alarm.told == ['{"selftest": "START"}', '{"selftest": "STOP"}'] * 3
            assert Debts(tmp_path).load() == []
        finally:
            for one in (gateway, *work):
                one.cancel()
            await asyncio.wait([gateway, *work])


async def test_what_an_earlier_process_left_in_its_test_is_set_back_once_the_link_is_up(
    tmp_path: Path, button: Device
) -> None:
    button.bank.set_coils(8, [True])
    Debts(tmp_path).save([Owed("io-device", "test", False), Owed("gone-device", "test", False)])
    async with trials(site(button.port), tmp_path) as (found, _):
        await eventually(lambda: not button.in_test)
        await eventually(lambda: Debts(tmp_path).load() == [Owed("gone-device", "test", False)])
        assert await found.conduct("io-device", TRIAL) > 0, "and it can be proven again"


def test_a_file_that_is_damaged_is_said_and_ends_nothing(tmp_path: Path) -> None:
    debts = Debts(tmp_path)
    for text in (b"", b"{", b'{"v":1,"owed":[{"device":1}]}', b"\xff" * 100):
        debts.path.write_bytes(text)
        assert debts.load() == []


@contextlib.asynccontextmanager
async def edge_of(command: list[str], **settings: str) -> AsyncIterator["subprocess.Popen[bytes]"]:
    edge = subprocess.Popen(command, env={**os.environ, **settings})
    try:
        yield edge
    finally:
        edge.kill()
        await asyncio.to_thread(edge.wait, 60)


async def test_an_edge_that_is_killed_within_a_test_sets_the_device_back_at_its_next_start(
    tmp_path: Path, broker: OwnBroker, button: Device
) -> None:
    (tmp_path / "edge.json").write_text(json.dumps(site(button.port, broker.port)))
    command = [
        sys.executable,
        "-m",
        "hub.cli.edge",
        "--config",
        str(tmp_path / "edge.json"),
        "--spool",
        str(tmp_path / "spool"),
    ]
    hub = FakeHub()
    until = time.time_ns() // 1_000 + 600_000_000
    order = Order("edge-1", uuid4(), PRESS, 1, "device", until, TRIAL)
    assert read_order(make_order(order, KEY), "edge-1", public_key(KEY)) == order
    async with serving(hub, broker.as_user()):
        async with edge_of(command, ANXIN_CRASH_AT="edge-in-a-test:1") as edge:
            await eventually(lambda: 0 in hub.values(Lane.URGENT, "pressed"), deadline=60)
            async with broker.session("prover") as live:
                await live.publish(order_topic(PARTITION, CLIENT), make_order(order, KEY))
            assert await asyncio.to_thread(edge.wait, 60) == -9
        assert button.in_test, "killed between the write and the answer"
        async with edge_of(command) as edge:
            await eventually(lambda: not button.in_test, deadline=60)
            edge.terminate()
            assert await asyncio.to_thread(edge.wait, 60) == 0
    assert button.bank.tested == [True, False]
    assert not [value for value in hub.values(Lane.URGENT, "pressed") if value != 0], "no press was made up"


def test_an_order_whose_test_point_does_not_hold_is_refused() -> None:
    order = Order("edge-1", uuid4(), PRESS, 1, "device", 10, TRIAL)
    for trial in (TRIAL._replace(answers=()), TRIAL._replace(within=20_000_001), TRIAL._replace(write="No")):
        with pytest.raises(BadInput, match="is no order of a proof"):
            read_order(make_order(order._replace(trial=trial), KEY), "edge-1", public_key(KEY))


def test_an_order_of_another_level_reads_as_it_did_at_edges_of_an_earlier_version() -> None:
    """They refuse what they do not know: so an order without a test point must not name one."""
    order = make_order(Order("edge-1", uuid4(), PRESS, 1, "driver", 10), KEY)
    body = json.loads(base64.b64decode(json.loads(order)["order"]))
    assert set(body) == {"edge", "id", "d", "p", "i", "r", "level", "until"}
