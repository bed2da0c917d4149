"""What discovery found becomes a manifest that an installer can edit, whatever the field said of itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core.discovery import CHOOSE, manifest_text, recognised, suggest
from hub.driver import Found, FoundPoint
from hub.manifest import Endpoint
from hub.model import IDENTIFIER
from hub.profiles import Profile, load_profiles
from provisioning.sources import read_manifest

PROFILES = load_profiles([data_folder("device-profiles")])


def found(name: str = "Unit 1", **changes: Any) -> Found:
    made = Found(name, {"host": "192.0.2.7", "port": 502}, {"unit": 1}, "")
    return made._replace(**changes)


def read(*devices: Found, secrets: dict[str, str] | None = None) -> Any:
    (institution,) = yaml.safe_load(manifest_text("modbus", devices, PROFILES, secrets or {}))["institutions"]
    return institution


def marked(profile: str, **patterns: str) -> Profile:
    base = next(one for one in PROFILES.values() if one.driver == "modbus")
    return base.model_copy(update={"profile": profile, "recognised_by": patterns})


def test_devices_behind_the_same_settings_share_an_endpoint() -> None:
    institution = read(found(), found(device={"unit": 2}), found(endpoint={"host": "192.0.2.8", "port": 502}))
    assert [endpoint["id"] for endpoint in institution["endpoints"]] == ["modbus", "modbus-2"]
    assert [device["endpoint"] for device in institution["devices"]] == ["modbus", "modbus", "modbus-2"]
    assert [device["settings"] for device in institution["devices"]] == [{"unit": 1}, {"unit": 2}, {"unit": 1}]


def test_two_that_call_themselves_the_same_get_ids_of_their_own() -> None:
    assert [device["id"] for device in read(found(), found(), found(name="门"))["devices"]] == [
        "unit-1",
        "unit-1-2",
        "device",
    ]


def test_a_device_that_nobody_recognised_has_a_profile_that_every_plan_refuses() -> None:
    (device,) = read(found(marks={"vendor": "nobody"}))["devices"]
    assert device["profile"] == CHOOSE
    assert CHOOSE not in PROFILES


@pytest.mark.parametrize("address", ["0000942e1678", "1e3", "0x1f", "000000001234", "on", "0o17", "12_3", "1:30", "~"])
def test_a_setting_that_looks_like_a_number_is_still_text_for_whoever_reads_the_manifest(
    address: str, tmp_path: Path
) -> None:
    """`0000942e1678` is the address of a transmitter, and a number too large in YAML 1.2."""
    written = tmp_path / "found.yaml"
    written.write_text(manifest_text("serial", [found(device={"address": address})], PROFILES, {}), "utf-8")
    (institution,) = read_manifest([written]).content["institutions"]
    assert isinstance(institution, dict)
    devices = institution["devices"]
    assert isinstance(devices, list)
    assert isinstance(devices[0], dict)
    assert devices[0]["settings"] == {"address": address}


def test_a_line_of_settings_is_no_wider_than_a_terminal() -> None:
    far = {"host": "a-rather-long-name.of-some-camera.example", "port": 37007, "version": "2c", "user": "anxin"}
    text = manifest_text("snmp", [found(endpoint=far)], PROFILES, {"auth_key": "${env:ANXIN_SNMP_AUTH_KEY}"})
    assert max(map(len, text.splitlines())) <= 80
    (institution,) = yaml.safe_load(text)["institutions"]
    assert institution["endpoints"][0]["settings"] == {**far, "auth_key": "${env:ANXIN_SNMP_AUTH_KEY}"}


def test_the_most_particular_profile_is_chosen_and_every_mark_must_match() -> None:
    profiles = {
        name: marked(name, **patterns)
        for name, patterns in {
            "any": {"vendor": "ACME*"},
            "this": {"vendor": "ACME*", "product": "D-1*"},
            "other": {"vendor": "ACME*", "product": "E*"},
            "unmarked": {},
        }.items()
    }
    one = found(marks={"vendor": "ACME Ltd", "product": "D-17"})
    assert recognised(one, profiles, "modbus") == ("this", "any")
    assert recognised(one, profiles, "snmp") == ()
    assert "# also fits: any" in manifest_text("modbus", [one], profiles, {})


def test_the_demos_variants_of_a_profile_are_never_suggested() -> None:
    """They beat every two seconds and call a real detector offline after six."""
    smoke = found(marks={"style": "zigbee2mqtt", "vendor": "HEIMAN", "model": "HS1SA-E"})
    assert recognised(smoke, PROFILES, "mqtt") == ("heiman-hs1sa",)


def test_secrets_are_named_by_their_variable() -> None:
    (endpoint,) = read(found(), secrets={"password": "${env:ANXIN_MODBUS_PASSWORD}"})["endpoints"]
    assert endpoint["settings"]["password"] == "${env:ANXIN_MODBUS_PASSWORD}"


def test_the_points_of_an_unknown_device_are_shown_as_comments() -> None:
    text = manifest_text(
        "modbus", [found(points=[FoundPoint(f"p{n}", {"holding": n}, n) for n in range(50)])], PROFILES, {}
    )
    assert "# p0: {holding: 0} gave 0" in text
    assert "# and 10 points more" in text


def test_with_nothing_found_it_is_still_a_manifest() -> None:
    assert read() == {
        "id": "choose-an-institution",
        "edges": [{"id": "choose-an-edge"}],
        "endpoints": [],
        "devices": [],
    }


TEXT = st.text(max_size=300)
SETTINGS = st.dictionaries(st.text(max_size=20), st.one_of(st.integers(), st.booleans(), TEXT), max_size=4)
ANYTHING = st.builds(
    Found,
    TEXT,
    SETTINGS,
    SETTINGS,
    TEXT,
    st.dictionaries(TEXT, TEXT, max_size=3),
    st.lists(st.builds(FoundPoint, TEXT, SETTINGS, TEXT), max_size=3),
)


@given(st.lists(ANYTHING, max_size=5))
def test_whatever_the_field_says_the_manifest_says_what_was_found_and_nothing_else(devices: list[Found]) -> None:
    institution = read(*devices)
    endpoints, suggestions = suggest("modbus", devices, PROFILES)
    assert {one["id"]: one.get("settings", {}) for one in institution["endpoints"]} == dict(endpoints)
    assert [one.get("settings", {}) for one in institution["devices"]] == [dict(one.device) for one in devices]
    assert len({one.id for one in suggestions}) == len(devices)
    for endpoint in institution["endpoints"]:
        assert Endpoint.model_fields.keys() >= endpoint.keys()
    text = manifest_text("modbus", devices, PROFILES, {})
    assert all(sign == "\n" or sign.isprintable() for sign in text)


@given(TEXT)
def test_every_name_becomes_an_identifier(name: str) -> None:
    _, (suggestion,) = suggest("modbus", [found(name=name)], PROFILES)
    assert re.match(IDENTIFIER, suggestion.id)
