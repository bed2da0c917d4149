"""The driver and npm's mqtt, through a real Mosquitto, in both versions of the protocol on either side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.mqtt import Address, Device, Endpoint, driver
from hub.driver import Binding, PushLink, WriteLink
from hub.model import Delivery, Series
from tests.brokers import HOST, PASSWORD, OwnBroker
from tests.drivers.mqtt.npm_client import missing, modules, npm_client

pytestmark = pytest.mark.timeout(300)  # the first run fetches 3 MB

TOPIC = "z/siren-1"
COMMAND = {"topic": "set", "payload": '{"state":"{value}"}', "values": {"true": "ON", "false": "OFF"}}
ADDRESSES: dict[str, tuple[str, dict[str, Any]]] = {
    "smoke": ("bool", {"pointer": "/smoke"}),
    "sound": ("bool", {"pointer": "/state", "map": {"ON": True, "OFF": False}, "command": COMMAND}),
    "reachable": ("bool", {"topic": "online", "format": "raw", "retained": "take"}),
    "level": ("float", {"topic": "level", "format": "csv", "field": 1}),
}
BOUND = [
    Binding(Series("siren-1", name), Device(topic=TOPIC), Address(**address), kind, writable="command" in address)
    for name, (kind, address) in ADDRESSES.items()
]


@pytest.fixture(scope="session")
def npm() -> Path:
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    return modules()


@asynccontextmanager
async def link(broker: OwnBroker, version: str) -> AsyncIterator[Any]:
    settings = {"host": HOST, "port": broker.port, "username": "hub", "password": PASSWORD, "version": version}
    async with driver.connect(Endpoint.model_validate({**settings, "answer_s": 10}), BOUND) as made:
        assert isinstance(made, PushLink)
        assert isinstance(made, WriteLink)
        yield made


async def following(deliveries: AsyncIterator[Delivery]) -> dict[str, Any]:
    delivery = await asyncio.wait_for(anext(deliveries), 20)
    await delivery.settle()
    assert delivery.rejects == ()
    return {one.series.point: one.raw for one in delivery.samples}


@pytest.mark.parametrize("theirs", [4, 5])
@pytest.mark.parametrize("ours", ["3.1.1", "5"])
async def test_what_it_publishes_is_read_and_what_we_command_it_obeys(
    npm: Path, broker: OwnBroker, ours: str, theirs: int
) -> None:
    async with link(broker, ours) as made, npm_client(npm, broker, protocolVersion=theirs) as device:
        deliveries = made.deliveries()
        await device.publish(TOPIC, {"smoke": True, "state": "OFF"})
        assert await following(deliveries) == {"smoke": True, "sound": False}
        await device.publish(f"{TOPIC}/level", "ok,61.5,dB")
        assert await following(deliveries) == {"level": 61.5}
        await device.do(subscribe=f"{TOPIC}/set")
        await device.do(answer={f"{TOPIC}/set": [TOPIC, '{"state":"ON"}']})
        writing = asyncio.create_task(made.write(BOUND[1].series, True))
        assert await following(deliveries) == {"sound": True}
        assert await writing is True
        assert await asyncio.wait_for(device.messages.get(), 20) == [f"{TOPIC}/set", '{"state":"ON"}', False]


async def test_its_retained_availability_is_taken_and_its_last_will_is_heard_when_it_is_killed(
    npm: Path, broker: OwnBroker
) -> None:
    will = {"topic": f"{TOPIC}/online", "payload": "false", "qos": 1, "retain": True}
    async with npm_client(npm, broker, will=will) as device:
        await device.publish(f"{TOPIC}/online", "true", retain=True)
        await device.publish(TOPIC, {"smoke": True}, retain=True)
        async with link(broker, "5") as made:
            deliveries = made.deliveries()
            assert await following(deliveries) == {"reachable": True}  # and not the smoke of the past
            device.kill()
            assert await following(deliveries) == {"reachable": False}
