"""Bundles put together, written, read back; and what is no bundle."""

import json
from pathlib import Path
from typing import Any

import pytest

from hub.bundle import MAX_BYTES, Broker, Bundle, configured, content_of, parse_bundle, plain, read_bundle
from hub.config import data_folder
from hub.core.bundling import Behind, bundle_of
from hub.errors import BadInput, Conflict
from hub.model import Lane
from hub.profiles import load_profiles

PROFILES = load_profiles([data_folder("device-profiles")])
BROKER = Broker.model_validate({"host": "h", "port": 1883, "username": "edge-1", "password": 'hush "\\ 中'})
ROWS = [
    Behind("io", "modbus", {"host": "10.0.0.1"}, "button-1", "adam-6050-button", Lane.URGENT, {"unit": 7}),
    Behind("io", "modbus", {"host": "10.0.0.1"}, "door-1", "adam-6050-door", Lane.BULK, {}),
    Behind("spare", "serial", {}, None, None, None, None),
]


def made(rows: list[Behind] = ROWS) -> Bundle:
    return bundle_of("edge-1", "sun", 3, PROFILES["anxin-edge"], BROKER, rows, PROFILES)


def test_devices_stand_behind_their_endpoints_with_their_points_resolved() -> None:
    io, spare = made().endpoints
    assert [device.id for device in io.devices] == ["button-1", "door-1"]
    assert spare.devices == ()
    button, door = io.devices
    assert button.settings == {"unit": 7}, "the manifest's settings win over the profile's"
    assert door.settings == PROFILES["adam-6050-door"].device
    (press,) = button.points
    assert (press.point, press.type, press.every, press.address) == (
        "press",
        "bool",
        200_000,
        {"table": "discrete", "address": 4},
    )
    assert {point.point: point.writable for point in door.points}["lock"] is True
    assert made().beat == PROFILES["anxin-edge"].liveness.beat


def test_a_device_whose_profile_is_gone_makes_no_bundle() -> None:
    with pytest.raises(Conflict, match="'ghost'"):
        made([ROWS[0]._replace(profile="ghost")])


def test_a_bundle_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "edge.json"
    path.write_text(json.dumps(plain(made()), ensure_ascii=False), "utf-8")
    assert read_bundle(path) == made()


def test_the_password_is_shown_nowhere_but_in_the_plain_bundle() -> None:
    assert "hush" not in repr(made()) + str(made()) + made().model_dump_json()
    assert "hush" in plain(made())["broker"]["password"]


def changed(**keys: Any) -> str:
    return json.dumps({**plain(made()), **keys})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "edge.json: line 1"),
        ("[]", "edge.json: "),
        (b"\xff", "not UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        (" " * (MAX_BYTES + 1), "larger than"),
        (changed(version=2), "version"),
        (changed(colour="red"), "colour: Extra inputs"),
        (changed(beat=0), "never beats"),
        (changed(edge="Edge"), "edge: "),
        (changed(endpoints=plain(made())["endpoints"] * 2), "endpoint 'io' stands in the bundle twice"),
        (changed(edge="door-1"), "device 'door-1' stands in the bundle twice"),
        (changed(broker={"host": "h", "port": 0, "username": "e", "password": "hush"}), "broker.port"),
    ],
)
def test_what_is_no_bundle_is_refused_by_file_and_key(text: str | bytes, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_bundle(text, "edge.json")
    assert says in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.json: cannot be read"):
        read_bundle(tmp_path / "none.json")


# local rules ----------------------------------------------------------------------------------------------------------

RULE = {
    "id": "r",
    "siren": "door-1",
    "point": "lock",
    "value": True,
    "devices": [],
    "zones": ["nap"],
    "after": 60_000_000,
}
FIRE_ROWS = [
    *(row._replace(zone="nap") for row in ROWS[:2]),
    Behind("z", "mqtt", {}, "smoke-1", "heiman-hs1sa", Lane.URGENT, {}, "nap"),
    Behind("z", "mqtt", {}, "smoke-2", "heiman-hs1sa", Lane.URGENT, {}, "wc"),
    Behind("z", "mqtt", {}, "smoke-3", "heiman-hs1sa", Lane.URGENT, {}, "nap", out_of_service=True),
]


def ruled(rows: list[Behind] = FIRE_ROWS, **changes: object) -> Bundle:
    profile = PROFILES["anxin-edge"]
    return bundle_of("edge-1", "sun", 3, profile, BROKER, rows, PROFILES, local_rules=[{**RULE, **changes}])


def watched(bundle: Bundle) -> set[str]:
    return {watch.device for rule in bundle.local_rules for watch in rule.watches}


def test_a_rule_watches_the_fire_alarms_of_its_zones_and_devices_that_are_in_service_and_no_panic_button() -> None:
    assert watched(ruled()) == {"smoke-1"}
    assert watched(ruled(devices=["smoke-2", "button-1"], zones=[])) == {"smoke-2"}
    (rule,) = ruled().local_rules
    (watch,) = rule.watches
    assert watch.alarm == PROFILES["heiman-hs1sa"].alarms[watch.definition]
    assert watch.reads.address == {}
    assert ruled(devices=["button-1"], zones=[]).local_rules == ()
    assert ruled(devices=["smoke-3"], zones=[]).local_rules == ()


def test_a_rule_whose_siren_cannot_be_written_makes_no_bundle() -> None:
    for siren, point in (("gone", "lock"), ("door-1", "open"), ("smoke-1", "smoke")):
        with pytest.raises(Conflict, match="no writable point"):
            ruled(siren=siren, point=point)


def test_what_travels_as_configuration_makes_the_same_bundle_again_and_holds_no_password() -> None:
    made = ruled()
    content = content_of(made)
    assert b"hush" not in content
    assert content_of(ruled()) == content, "the same bytes for the same content"
    assert configured(made, 9, content) == made.model_copy(update={"configuration": 9})
