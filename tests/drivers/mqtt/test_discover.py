"""Discovery: what hangs on a broker, by its topics, for a bounded time."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mqtt import driver
from drivers.mqtt.settings import Address, Device
from drivers.mqtt.sight import Sight, devices
from hub.driver import Discoverer, Found
from hub.errors import AccessDenied, BadInput
from tests.brokers import HOST, PASSWORD, OwnBroker


def said(document: object) -> bytes:
    return json.dumps(document).encode()


LISTED = [
    {"friendly_name": "Coordinator", "type": "Coordinator", "definition": None},
    {
        "friendly_name": "nap-room",
        "definition": {"vendor": "HEIMAN", "model": "HS1SA-E", "description": "Smoke detector"},
    },
    {"friendly_name": "kitchen/gas", "definition": {"vendor": "HEIMAN", "model": "HS1CG-M", "description": "Gas"}},
]
SEEN = {
    "zigbee2mqtt/bridge/devices": said(LISTED),
    "zigbee2mqtt/bridge/state": said({"state": "online"}),
    "zigbee2mqtt/nap-room": said({"smoke": False, "battery": 97, "linkquality": 90}),
    "zigbee2mqtt/nap-room/availability": said({"state": "online"}),
    "other2mqtt/button": said({"action": "", "linkquality": 12}),
    "tasmota/discovery/A4CF12/config": said(
        {"t": "tasmota_A4CF12", "md": "Sonoff Basic", "sw": "13.4.0", "dn": "Lamp"}
    ),
    "tele/tasmota_A4CF12/LWT": b"Online",
    "stat/tasmota_A4CF12/POWER": b"ON",
    "shellyplussmoke-80646fcc7a2c/online": b"true",
    "shellyplussmoke-80646fcc7a2c/status/smoke:0": said({"id": 0, "alarm": False, "mute": False}),
    "axis/ACCC8E012345/event/tns:onvif/VideoSource/MotionAlarm": said({"message": {"data": {"State": "0"}}}),
    "gate/onvif-ej/RuleEngine/CellMotionDetector/Motion": said({"State": True}),
    "plant/a/temperature": b"21.5",
    "$SYS/broker/uptime": b"12 seconds",
}


def by_topic(seen: dict[str, bytes]) -> dict[str, Sight]:
    return {sight.topic: sight for sight in devices(seen)}


def test_products_are_recognised_by_what_they_say_of_themselves_and_by_their_topics() -> None:
    found = by_topic(SEEN)
    assert list(found) == sorted(found)
    assert found["zigbee2mqtt/nap-room"].marks == {
        "style": "zigbee2mqtt",
        "vendor": "HEIMAN",
        "model": "HS1SA-E",
        "description": "Smoke detector",
        "topic": "zigbee2mqtt/nap-room",
    }
    assert found["zigbee2mqtt/kitchen/gas"].says == "zigbee2mqtt HEIMAN HS1CG-M Gas"  # listed, and silent until now
    assert found["other2mqtt/button"].marks["style"] == "zigbee2mqtt"
    assert found["tasmota_A4CF12"].says == "tasmota Sonoff Basic Lamp"
    assert found["shellyplussmoke-80646fcc7a2c"].marks["model"] == "shellyplussmoke"
    assert found["axis/ACCC8E012345/event"].marks["serial"] == "ACCC8E012345"
    assert found["gate"].marks["style"] == "onvif"
    assert found["plant/a/temperature"].marks == {"topic": "plant/a/temperature"}
    assert len(found) == 8


def test_the_points_of_a_find_are_addresses_that_the_driver_takes_and_hold_what_it_said() -> None:
    found = by_topic(SEEN)
    points = {point.name: point for point in found["zigbee2mqtt/nap-room"].points}
    assert (points["battery"].address, points["battery"].raw) == ({"pointer": "/battery"}, 97)
    assert points["state"].address == {"topic": "availability", "pointer": "/state"}
    power = {point.name: point for point in found["tasmota_A4CF12"].points}["power"]
    assert (power.address, power.raw) == ({"topic": "stat/{device}/POWER", "format": "raw"}, "ON")
    for sight in found.values():
        device = Device(topic=sight.topic)
        for point in sight.points:
            assert Address.model_validate(point.address).full_topic(device) in SEEN


@given(
    st.dictionaries(
        st.sampled_from([*SEEN, "a/b", "tele/x/LWT", "x/bridge/devices"]) | st.text(max_size=9), st.binary(max_size=60)
    )
)
def test_any_topics_and_payloads_are_sorted_and_each_device_is_one_that_a_manifest_can_name(
    seen: dict[str, bytes],
) -> None:
    for sight in devices(seen):
        assert len(sight.points) <= 40
        if not any(sign in sight.topic for sign in "+#\0"):  # no broker has such topics
            Device(topic=sight.topic)


async def look(broker: OwnBroker, **settings: Any) -> list[Found]:
    told = {"host": HOST, "port": broker.port, "username": "hub", "password": PASSWORD, "seconds": 1.5, **settings}
    return [one async for one in driver.discover(driver.Search.model_validate(told))]


async def test_what_a_broker_keeps_and_what_comes_meanwhile_is_found_without_the_password(broker: OwnBroker) -> None:
    assert isinstance(driver, Discoverer)
    async with broker.session("device") as device:
        await device.publish("zigbee2mqtt/bridge/devices", SEEN["zigbee2mqtt/bridge/devices"], retain=True)
        await device.publish("elsewhere/x", b"1", retain=True)
        looking = asyncio.create_task(look(broker, filter="zigbee2mqtt/#", seconds=3))
        while not looking.done():
            await device.publish("zigbee2mqtt/nap-room", SEEN["zigbee2mqtt/nap-room"])
            await asyncio.sleep(0.05)
        found = await looking
    assert [one.device for one in found] == [{"topic": "zigbee2mqtt/kitchen/gas"}, {"topic": "zigbee2mqtt/nap-room"}]
    assert [one.name for one in found] == ["gas", "nap-room"]
    assert found[1].endpoint == {"host": HOST, "port": broker.port, "username": "hub"}
    assert {point.name for point in found[1].points} == {"smoke", "battery", "linkquality"}
    assert PASSWORD not in repr(found)


async def test_more_than_was_asked_for_ends_the_search_with_what_was_found(broker: OwnBroker) -> None:
    async with broker.session("device") as device:
        for number in range(5):
            await device.publish(f"a/{number}", b"1", retain=True)
    for bound, said in (({"max_topics": 3}, "more than 3 topics"), ({"max_messages": 3}, "3 messages")):
        found = []
        search = {"host": HOST, "port": broker.port, "username": "hub", "password": PASSWORD, "seconds": 60, **bound}
        with pytest.raises(BadInput, match=said):
            async for one in driver.discover(driver.Search.model_validate({**search, "filter": "a/#"})):
                found.append(one)  # noqa: PERF401 -- what was found before the error stays
        assert len(found) == 3


async def test_wrong_credentials_are_access_denied(broker: OwnBroker) -> None:
    with pytest.raises(AccessDenied):
        await look(broker, filter="#", password="wrong-one")
