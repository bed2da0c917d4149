"""The MQTT driver against a real Mosquitto, fed by mosquitto_pub and by simulated Zigbee2MQTT devices."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from drivers.mqtt import Address, Device, Endpoint, driver
from drivers.simulator.mqtt_device import MqttDevice
from hub.driver import Binding, Driver, PushLink
from hub.engine import Prefix
from hub.errors import AccessDenied, LinkDown
from hub.model import Delivery, Series
from tests.brokers import HOST, PASSWORD, OwnBroker

Publish = Callable[..., Awaitable[None]]


def bindings(device: str = "smoke-1", topic: str = "zigbee2mqtt/smoke-1") -> list[Binding]:
    def bind(point: str, kind: str, **address: Any) -> Binding:
        return Binding(Series(device, point), Device(topic=topic), Address(**address), kind)

    return [
        bind("smoke", "bool", pointer="/smoke"),
        bind("battery", "float", pointer="/battery"),
        bind("pressed", "bool", pointer="/action", equals="emergency", only_when_equal=True),
        bind(
            "reachable",
            "bool",
            topic="availability",
            pointer="/state",
            map={"online": True, "offline": False},
            retained="take",
        ),
    ]


def endpoint(broker: OwnBroker, **more: Any) -> Endpoint:
    settings = {
        "host": HOST,
        "port": broker.port,
        "username": "hub",
        "password": PASSWORD,
        "client_id": "edge-1",
        **more,
    }
    return Endpoint.model_validate(settings)


@pytest.fixture
def publish(peers: Prefix, broker: OwnBroker) -> Publish:
    """mosquitto_pub, the reference client that we did not write."""

    async def run(topic: str, payload: bytes, *options: str) -> None:
        address = ("-h", HOST, "-p", str(broker.port), "-u", "hub", "-P", PASSWORD)
        process = await asyncio.create_subprocess_exec(
            *(
                str(peers.program("mosquitto_pub")),
                *address,
                "-q",
                "1",
                "-t",
                topic,
                "-s" if payload else "-n",
                *options,
            ),
            stdin=asyncio.subprocess.PIPE,
        )
        await asyncio.wait_for(process.communicate(payload), 20)
        assert process.returncode == 0

    return run


@asynccontextmanager
async def stream(broker: OwnBroker, *bound: Binding, **more: Any) -> AsyncIterator[AsyncIterator[Delivery]]:
    async with driver.connect(endpoint(broker, **more), bound or bindings()) as link:
        yield link.deliveries()


async def following(deliveries: AsyncIterator[Delivery]) -> Delivery:
    return await asyncio.wait_for(anext(deliveries), 20)


def values(delivery: Delivery) -> dict[str, object]:
    return {sample.series.point: sample.raw for sample in delivery.samples}


def test_it_is_a_driver() -> None:
    typed: Driver = driver
    assert typed.name == "mqtt"


async def test_what_mosquitto_pub_publishes_arrives_as_samples(broker: OwnBroker, publish: Publish) -> None:
    async with driver.connect(endpoint(broker), bindings()) as link:
        assert isinstance(link, PushLink)
        deliveries = link.deliveries()
        await publish("zigbee2mqtt/smoke-1", b'{"smoke":true,"battery":42.5,"linkquality":7}')
        delivery = await following(deliveries)
        assert values(delivery) == {"smoke": True, "battery": 42.5}
        assert delivery.rejects == ()
        await delivery.settle()


async def test_on_mqtt_3_1_1_too(broker: OwnBroker, publish: Publish) -> None:
    async with stream(broker, version="3.1.1") as deliveries:
        await publish("zigbee2mqtt/smoke-1", b'{"smoke":true}', "-V", "311")
        assert values(await following(deliveries)) == {"smoke": True}


async def test_a_press_while_we_were_away_waits_in_our_session(broker: OwnBroker, publish: Publish) -> None:
    async with stream(broker):
        pass
    await publish("zigbee2mqtt/smoke-1", b'{"action":"emergency"}')
    async with stream(broker) as deliveries:
        assert values(await following(deliveries)) == {"pressed": True}


async def test_what_was_not_settled_comes_again(broker: OwnBroker, publish: Publish) -> None:
    async with stream(broker) as deliveries:
        for number in range(3):
            await publish("zigbee2mqtt/smoke-1", b'{"battery":%d}' % number)
        taken = [await following(deliveries) for _ in range(3)]
        await taken[1].settle()  # out of order: the broker hears of it only after the first
    async with stream(broker) as deliveries:
        again = [await following(deliveries) for _ in range(3)]
        assert [values(one)["battery"] for one in again] == [0, 1, 2]
        for one in reversed(again):
            await one.settle()
    async with stream(broker) as deliveries:
        await publish("zigbee2mqtt/smoke-1", b'{"battery":9}')
        assert values(await following(deliveries)) == {"battery": 9}
    await taken[0].settle()  # of a connection that is gone: nothing happens


async def test_a_retained_press_raises_nothing_and_retained_availability_is_taken(
    broker: OwnBroker, publish: Publish
) -> None:
    await publish("zigbee2mqtt/smoke-1", b'{"action":"emergency","smoke":true}', "-r")
    await publish("zigbee2mqtt/smoke-1/availability", b'{"state":"offline"}', "-r")
    async with stream(broker) as deliveries:
        assert values(await following(deliveries)) == {"reachable": False}
        await publish("zigbee2mqtt/smoke-1", b'{"battery":1}')
        assert values(await following(deliveries)) == {"battery": 1}


@pytest.mark.parametrize("payload", [b"garbage", b"", b"\x00\xff", b'{"smoke":NaN}', b"x" * 100_000])
async def test_garbage_is_rejected_and_the_stream_goes_on(broker: OwnBroker, publish: Publish, payload: bytes) -> None:
    async with stream(broker) as deliveries:
        await publish("zigbee2mqtt/smoke-1", payload)
        bad = await following(deliveries)
        assert bad.samples == ()
        assert "zigbee2mqtt/smoke-1" in bad.rejects[0].source
        await bad.settle()
        await publish("zigbee2mqtt/smoke-1", b'{"smoke":false}')
        assert values(await following(deliveries)) == {"smoke": False}


async def test_what_stands_for_a_plus_is_the_instance_and_one_too_many_is_told_and_costs_nobody_else(
    broker: OwnBroker, publish: Publish
) -> None:
    device = Device(topic="cam/1")
    moved = Binding(Series("cam", "moved"), device, Address(topic="event/+", pointer="/on", retained="take"), "bool")
    exact = Binding(Series("cam", "gate"), device, Address(topic="event/gate", pointer="/on", retained="take"), "bool")
    await publish("cam/1/event/left", b'{"on":true}', "-r")
    async with stream(broker, moved, exact, max_instances=2) as deliveries:
        (kept,) = (await following(deliveries)).samples
        assert (kept.series, kept.raw) == (Series("cam", "moved", "left"), True)
        await publish("cam/1/event/right", b'{"on":false}')
        (sample,) = (await following(deliveries)).samples
        assert (sample.series.instance, sample.raw) == ("right", False)
        await publish("cam/1/event/gate", b'{"on":true}')
        delivery = await following(deliveries)
        assert [(one.series, one.raw) for one in delivery.samples] == [(Series("cam", "gate"), True)]
        assert [one.code for one in delivery.rejects] == ["instance"]
        await publish("cam/1/event/middle", b'{"on":true}')
        delivery = await following(deliveries)
        assert ([*delivery.samples], [one.code for one in delivery.rejects]) == ([], ["instance"])


async def test_two_devices_share_one_broker_and_keep_apart(broker: OwnBroker) -> None:
    bound = [*bindings(), *bindings("panic-1", "zigbee2mqtt/panic-1")]
    async with (
        MqttDevice(broker.as_user(), "zigbee2mqtt/smoke-1", beat=60) as smoke,
        MqttDevice(broker.as_user(), "zigbee2mqtt/panic-1", "TS0215A_sos", beat=60) as button,
        stream(broker, *bound) as deliveries,
    ):
        await button.press()
        await smoke.alarm()
        seen: set[tuple[str, str, object]] = set()
        while len(seen & {("panic-1", "pressed", True), ("smoke-1", "smoke", True)}) < 2:
            delivery = await following(deliveries)
            seen |= {(s.series.device, s.series.point, s.raw) for s in delivery.samples}
        assert ("smoke-1", "pressed", True) not in seen
        assert button.presses == 1


async def test_a_device_that_loses_power_is_said_offline_by_its_last_will_and_online_when_it_is_back(
    broker: OwnBroker,
) -> None:
    reachable = bindings()[-1]
    async with (
        MqttDevice(broker.as_user(), "zigbee2mqtt/smoke-1", beat=60) as device,
        stream(broker, reachable) as deliveries,
    ):
        assert values(await following(deliveries)) == {"reachable": True}
        await device.unplug()
        assert values(await following(deliveries)) == {"reachable": False}
        await device.plug()
        assert values(await following(deliveries)) == {"reachable": True}


async def test_a_simulated_device_beats_sends_garbage_and_survives_its_broker(broker: OwnBroker) -> None:
    async with MqttDevice(broker.as_user(), "zigbee2mqtt/smoke-1", beat=0.05) as device:
        async with stream(broker, *bindings()[:1]) as deliveries:
            assert values(await following(deliveries)) == {"smoke": False}
            await device.garbage()
            while not (delivery := await following(deliveries)).rejects:
                assert delivery.samples
            broker.kill()
            with pytest.raises(LinkDown):
                while True:
                    await following(deliveries)
        broker.start()
        async with stream(broker, *bindings()[:1]) as deliveries:
            assert values(await following(deliveries)) == {"smoke": False}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_wrong_credentials_are_access_denied_without_showing_them(broker: OwnBroker) -> None:
    with pytest.raises(AccessDenied) as caught:
        async with driver.connect(endpoint(broker, password="wr0ng-secret"), bindings()):
            pytest.fail("was let in")
    assert "wr0ng-secret" not in str(caught.value)
    assert isinstance(endpoint(broker).password, SecretStr)


async def test_a_port_where_nobody_listens_is_link_down(broker: OwnBroker) -> None:
    broker.kill()
    with pytest.raises(LinkDown, match=str(broker.port)):
        async with driver.connect(endpoint(broker), bindings()):
            pytest.fail("was connected")


async def test_a_peer_that_is_no_broker_is_link_down() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkDown):
            async with asyncio.timeout(20):
                async with driver.connect(Endpoint(host=HOST, port=port), bindings()):
                    pytest.fail("was connected")


async def test_to_be_cancelled_in_the_middle_of_waiting_leaves_nothing_and_to_connect_again_works(
    broker: OwnBroker,
) -> None:
    waiting = asyncio.Event()

    async def run() -> None:
        async with stream(broker) as deliveries:
            waiting.set()
            await anext(deliveries)

    for _ in range(2):
        waiting.clear()
        task = asyncio.create_task(run())
        await asyncio.wait_for(waiting.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_silent_broker_costs_no_more_than_its_time_out(broker: OwnBroker) -> None:
    """Nothing is sent in MQTT unless something happens: silence is no error, the keep-alive tells."""
    async with stream(broker, keepalive=2) as deliveries:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(deliveries), 0.05)
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, broker.port)) == 0
