"""A profile reads what its device really says: published payloads, frames of the standard, printed lines."""

import json
from typing import Any

import pytest

from drivers.mqtt import driver as mqtt
from drivers.mqtt.decode import decode
from drivers.serial import driver as serial
from drivers.serial import gb26875_2011 as gb
from drivers.serial.lines import Lines, compile_pattern
from drivers.serial.panel import Panel
from hub.config import data_folder
from hub.core.alarms import holds
from hub.core.normalise import normalise
from hub.driver import Binding, Driver
from hub.model import Lane, Micros, Quality, Reading, Sample, Scalar, Series, to_datetime
from hub.profiles import Profile, load_profiles

PROFILES = load_profiles([data_folder("device-profiles")])
NOW: Micros = 1_795_000_000_000_000
BASE = "zigbee2mqtt/thing"


def bindings(profile: Profile, driver: Driver, settings: dict[str, Any]) -> list[Binding]:
    device = driver.Device.model_validate({**profile.device, **settings})
    return [
        Binding(Series("thing", name), device, driver.Address.model_validate(point.address), point.type)
        for name, point in profile.points.items()
    ]


def read(profile: Profile, samples: list[Sample]) -> dict[tuple[str, str], Reading]:
    """Good readings by point and instance."""
    found = [normalise(one, profile.points[one.series.point], NOW, Lane.BULK) for one in samples]
    assert all(one.quality is Quality.GOOD for one in found), found
    return {(one.series.point, one.series.instance): one for one in found}


def raised(profile: Profile, readings: dict[tuple[str, str], Reading]) -> set[tuple[str, str]]:
    """Alarms whose condition these readings meet, with their instance."""
    return {
        (name, instance)
        for name, alarm in profile.alarms.items()
        for (point, instance), one in readings.items()
        if alarm.point == point and holds(alarm.condition, alarm.deadband, False, one.value, one.text)
    }


def publish(profile: Profile, topic: str, payload: dict[str, Any], *, retained: bool = False) -> list[Sample]:
    bound = [one for one in bindings(profile, mqtt, {"topic": BASE}) if one.address.full_topic(one.device) == topic]
    found = decode(topic, json.dumps(payload).encode(), retained, bound, NOW, "test", 65_536)
    assert not found.rejects
    return list(found.samples)


def test_a_smoke_detector_at_rest_raises_nothing_and_in_smoke_raises_fire() -> None:
    profile = PROFILES["heiman-hs1sa"]
    rest = read(
        profile, publish(profile, BASE, {"smoke": False, "battery_low": False, "battery": 97, "linkquality": 120})
    )
    assert rest["battery", ""].value == 97
    assert raised(profile, rest) == set()
    smoke = read(profile, publish(profile, BASE, {"smoke": True, "battery_low": True, "battery": 4}))
    assert raised(profile, smoke) == {("fire", ""), ("battery_low", "")}


BEHIND_A_GATEWAY = [
    "aqara-jt-bz-01aq",
    "aqara-jy-gz-01aq",
    "aqara-wxkg11lm",
    "heiman-hs1cg",
    "heiman-hs1sa",
    "tuya-ts0215a-sos",
]


@pytest.mark.parametrize("name", BEHIND_A_GATEWAY)
def test_a_gateway_that_says_offline_raises_at_once_and_nothing_that_it_says_keeps_the_device_alive(name: str) -> None:
    profile, topic = PROFILES[name], f"{BASE}/availability"
    for retained in (False, True):
        lost = publish(profile, topic, {"state": "offline"}, retained=retained)
        assert raised(profile, read(profile, lost)) == {("unreachable", "")}
        assert [profile.points[one.series.point].proves_life for one in lost] == [False]
    back = publish(profile, topic, {"state": "online"})
    assert sorted(one.series.point for one in back) == ["announced", "reachable"]
    assert raised(profile, read(profile, back)) == set()
    kept = publish(profile, topic, {"state": "online"}, retained=True)
    assert [profile.points[one.series.point].proves_life for one in kept] == [False]


@pytest.mark.parametrize("name", BEHIND_A_GATEWAY)
def test_the_last_will_of_the_gateway_itself_is_heard_for_every_device_behind_it(name: str) -> None:
    profile = PROFILES[name]
    for retained in (False, True):
        will = publish(profile, "zigbee2mqtt/bridge/state", {"state": "offline"}, retained=retained)
        assert raised(profile, read(profile, will)) == {("gateway_lost", "")}
        assert [profile.points[one.series.point].proves_life for one in will] == [False]
    assert raised(profile, read(profile, publish(profile, "zigbee2mqtt/bridge/state", {"state": "online"}))) == set()


def test_a_press_of_the_sos_button_raises_panic_and_its_battery_report_does_not() -> None:
    profile = PROFILES["tuya-ts0215a-sos"]
    pressed = read(profile, publish(profile, BASE, {"action": "emergency", "battery": 100}))
    assert raised(profile, pressed) == {("panic", "")}
    for payload in ({"action": "", "battery": 100}, {"action": None, "battery": 100}, {"battery": 100}):
        assert raised(profile, read(profile, publish(profile, BASE, payload))) == set()


def test_a_press_that_the_broker_had_kept_raises_nothing() -> None:
    assert publish(PROFILES["tuya-ts0215a-sos"], BASE, {"action": "emergency"}, retained=True) == []


LABEL = gb.label_of(to_datetime(NOW))


def panel_says(data: bytes) -> dict[tuple[str, str], Reading]:
    profile = PROFILES["gb26875-transmitter"]
    frame = gb.Frame(1, 0xA1, 0x01, gb.Command.SEND, data, LABEL)
    heard = Panel(bindings(profile, serial, {}), "test").hear(frame, NOW)
    assert not heard.rejects
    return read(profile, heard.samples)


def part(status: str, number: int = 23) -> gb.Item:
    return gb.Item(1 | 1 << gb.PART_BITS[status], LABEL, 1, 1, 42, number, 0, "活动室一")


def test_a_part_in_fire_raises_its_own_alarm_and_says_where_it_is() -> None:
    profile = PROFILES["gb26875-transmitter"]
    found = panel_says(gb.part_unit(part("fire"), part("fault", 24)))
    assert raised(profile, found) == {("fire", "1-23"), ("part_fault", "1-24")}
    assert found["place", "1-23"].text == "活动室一"


def test_every_beat_of_the_transmitter_is_heard_and_shows_its_clock() -> None:
    found = panel_says(gb.transmitter_unit(1, LABEL))
    assert found["alive", ""].value == 1
    assert abs(found["clock_skew", ""].value or 0.0) < 1
    assert raised(PROFILES["gb26875-transmitter"], found) == set()


def test_a_panel_on_standby_supply_and_one_that_is_lost_raise_their_alarms() -> None:
    profile = PROFILES["gb26875-transmitter"]
    mains = gb.system_unit(gb.Item(1 | 1 << gb.SYSTEM_BITS["mains_fault"], LABEL, 1, 1))
    assert raised(profile, panel_says(mains)) == {("supply_fault", "")}
    lost = gb.transmitter_unit(1 | 1 << gb.TRANSMITTER_BITS["line_fault"], LABEL)
    assert raised(profile, panel_says(lost)) == {("panel_lost", "")}


def door_prints(line: str) -> dict[tuple[str, str], Reading]:
    profile = PROFILES["ascii-line-door"]
    bound = bindings(profile, serial, {"address": "01"})
    patterns = [compile_pattern(one.address.pattern) for one in bound]
    samples, rejects = Lines(bound, patterns, (), "ascii", "test").read(line.encode(), NOW)
    assert not rejects
    return read(profile, samples)


def test_a_door_prints_its_state_with_any_line_ending() -> None:
    for line in ("D01 OPEN", "D01 OPEN\r"):
        assert door_prints(line)["door", ""].text == "open"
    assert door_prints("D01 CLOSED")["door", ""].text == "closed"
    assert door_prints("D01 ALIVE 3600")["alive", ""].value == 3600
    assert raised(PROFILES["ascii-line-door"], door_prints("D01 FORCED 1")) == {("forced_open", "")}
    assert raised(PROFILES["ascii-line-door"], door_prints("D01 FORCED 0")) == set()


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("axis-camera", {"uptime": 360_000, "video_signal": 1, "temperature": 1}, set()),
        ("axis-camera", {"video_signal": 2, "temperature": 3}, {"video_lost", "overheated"}),
        ("synology-nvr", {"system": 1, "power": 1, "temperature": 41.0, "disk": 1, "volume": 1}, set()),
        (
            "synology-nvr",
            {"volume": 12, "disk": 5, "temperature": 66.0},
            {"storage_failed", "disk_failed", "overheated"},
        ),
        ("rfc1628-ups", {"battery": 2, "charge": 100.0, "source": 3, "load": 20.0, "minutes_left": 40}, set()),
        ("rfc1628-ups", {"battery": 3, "charge": 12.0, "source": 5}, {"on_battery", "battery_low"}),
        ("adam-6050-door", {"door": False, "forced": False, "tamper": False, "lock": False}, set()),
        ("adam-6050-door", {"door": True, "forced": True, "tamper": True}, {"held_open", "forced_open", "tamper"}),
        ("adam-6050-button", {"press": False}, set()),
        ("adam-6050-button", {"press": True}, {"panic"}),
        ("anxin-edge", {"beat": 12, "spool_urgent": 0, "spool_bulk": 3, "dropped": 0}, set()),
        ("anxin-edge", {"spool_urgent": 500, "dropped": 1}, {"backlog", "data_dropped"}),
    ],
)
def test_values_as_the_device_gives_them_are_good_and_raise_what_they_should(
    name: str, raw: dict[str, Scalar], expected: set[str]
) -> None:
    profile = PROFILES[name]
    readings = read(profile, [Sample(Series("thing", point), NOW, value) for point, value in raw.items()])
    assert {alarm for alarm, _ in raised(profile, readings)} == expected
