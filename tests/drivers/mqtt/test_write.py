"""Commands over MQTT: published, and read back from the topic on which the device says its state."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.mqtt import Address, Device, Endpoint, driver
from hub.driver import Binding, PushLink, WriteLink
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import Series
from hub.mqtt import Session
from hub.testing import eventually
from tests.brokers import HOST, PASSWORD, OwnBroker

COMMAND = {"topic": "set", "payload": '{"state":"{value}"}', "values": {"true": "ON", "false": "OFF"}}
ADDRESS = Address(pointer="/state", map={"ON": True, "OFF": False}, command=COMMAND)
SIREN = Binding(Series("siren", "sound"), Device(topic="z/siren"), ADDRESS, "bool", writable=True)


def endpoint(broker: OwnBroker, **more: Any) -> Endpoint:
    settings = {"host": HOST, "port": broker.port, "username": "hub", "password": PASSWORD, "session_expiry": 0}
    return Endpoint.model_validate({**settings, "answer_s": 10, **more})


@asynccontextmanager
async def listening(broker: OwnBroker, binding: Binding = SIREN, **more: Any) -> AsyncIterator[WriteLink]:
    """A link whose deliveries are taken meanwhile, as the runtime does."""
    async with driver.connect(endpoint(broker, **more), [binding]) as link:
        assert isinstance(link, PushLink)

        async def take() -> None:
            async for delivery in link.deliveries():
                await delivery.settle()

        taking = asyncio.create_task(take())
        try:
            assert isinstance(link, WriteLink)
            yield link
        finally:
            taking.cancel()
            await asyncio.wait({taking})


async def obey(device: Session, *answers: bytes) -> bytes:
    """A device that takes one command and says what it is told to say; returns the command."""
    await device.subscribe("z/siren/set")
    ready.set()
    (command,) = await device.take(1)
    device.settle(command)
    assert not command.retain
    for answer in answers:
        await device.publish("z/siren", answer)
    return command.payload


ready: asyncio.Event


@pytest.fixture(autouse=True)
async def _ready() -> None:
    global ready
    ready = asyncio.Event()


async def test_what_the_device_says_after_the_command_is_returned_and_an_older_state_is_not_taken_for_it(
    broker: OwnBroker,
) -> None:
    async with listening(broker) as link, broker.session("device") as device:
        obeying = asyncio.create_task(obey(device, b'{"state":"OFF"}', b'{"battery":1}', b'{"state":"ON"}'))
        await ready.wait()
        assert await link.write(SIREN.series, True) is True
        assert await obeying == b'{"state":"ON"}'


async def test_a_device_that_does_not_obey_is_seen_and_one_that_says_nothing_is_none(broker: OwnBroker) -> None:
    async with listening(broker, answer_s=0.5) as link, broker.session("device") as device:
        assert await link.write(SIREN.series, True) is None
    async with listening(broker, answer_s=1.5) as link, broker.session("device") as device:
        obeying = asyncio.create_task(obey(device, b'{"state":"OFF"}'))
        await ready.wait()
        assert await link.write(SIREN.series, True) is False
        await obeying


async def test_what_cannot_be_written_is_refused_and_nothing_is_published(broker: OwnBroker) -> None:
    read_only = SIREN._replace(writable=False)
    async with listening(broker, read_only) as link:
        with pytest.raises(BadInput, match="not writable"):
            await link.write(SIREN.series, True)
        with pytest.raises(BadInput, match="not writable"):
            await link.write(Series("siren", "colour"), True)
    async with listening(broker) as link, broker.session("device") as device:
        await device.subscribe("z/siren/set")
        with pytest.raises(BadInput, match="siren/sound: '7' is not among"):
            await link.write(SIREN.series, 7)
        writing = asyncio.create_task(link.write(SIREN.series, True))
        (command,) = await device.take(1)
        assert command.payload == b'{"state":"ON"}'
        with pytest.raises(BadInput, match="under way"):
            await link.write(SIREN.series, False)
        await device.publish("z/siren", b'{"state":"ON"}')
        assert await writing is True


async def test_a_topic_that_the_broker_forbids_is_access_denied_and_a_broker_that_is_gone_a_link_down(
    broker: OwnBroker,
) -> None:
    async with listening(broker, username="reader") as link:
        with pytest.raises(AccessDenied):
            await link.write(SIREN.series, True)
    async with listening(broker) as link:
        broker.kill()
        with pytest.raises(LinkDown):
            await link.write(SIREN.series, True)


async def test_a_write_that_is_cancelled_leaves_the_point_free(broker: OwnBroker) -> None:
    async with listening(broker) as link, broker.session("device") as device:
        await device.subscribe("z/siren/set")
        writing = asyncio.create_task(link.write(SIREN.series, True))
        await device.take(1)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        again = asyncio.create_task(link.write(SIREN.series, False))
        await device.take(1)
        await device.publish("z/siren", b'{"state":"OFF"}')
        assert await again is False
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})
