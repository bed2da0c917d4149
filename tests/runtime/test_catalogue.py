"""What this hub's profiles, drivers, channels and rules say of a manifest's settings."""

import pytest

from hub.config import data_folder
from hub.core.provisioning import Noun
from hub.model import LIFE_SAFETY, Lane, SignalClass
from hub.profiles import load_profiles
from hub.rulepacks import load_rule_packs
from hub.runtime.catalogue import InstalledCatalogue, installed_drivers, marked

AT = 1_795_000_000_000_000
CATALOGUE = InstalledCatalogue(
    load_profiles([data_folder("device-profiles")]),
    load_rule_packs([data_folder("rule-packs")]),
    installed_drivers(),
    AT,
)
SNMP = {"host": "10.0.0.1", "user": "hub", "auth_key": "auth-hush", "priv_key": "priv-hush"}


def test_the_built_in_drivers_are_found_by_their_entry_points() -> None:
    assert {"modbus", "mqtt", "snmp", "serial"} <= set(CATALOGUE.drivers)
    assert not CATALOGUE.has_driver("telepathy")


@pytest.mark.parametrize("name", sorted(CATALOGUE.profiles))
def test_every_shipped_profile_binds_with_its_driver(name: str) -> None:
    profile = CATALOGUE.profiles[name]
    facts = CATALOGUE.profile(name)
    assert facts is not None
    assert (facts.lane is Lane.URGENT) == any(alarm[0] in LIFE_SAFETY for alarm in facts.alarms)
    if profile.kind in ("path", "hub"):
        (refused,) = CATALOGUE.device_findings(name, {})
        assert "edge" in refused.message, "what the hub makes itself is in nobody's manifest"
    elif not facts.is_edge:
        needed = {"topic": "a/b"} if profile.driver == "mqtt" else {}
        assert CATALOGUE.device_findings(name, needed) == []


def test_settings_that_a_driver_does_not_take_are_named_by_key_and_never_by_value() -> None:
    found = CATALOGUE.endpoint_findings("snmp", {**SNMP, "auth_key": "hush", "colour": 1})
    assert {row.path for row in found} == {("auth_key",), ("colour",)}
    assert "hush" not in str(found)
    assert CATALOGUE.endpoint_findings("snmp", SNMP) == []


def test_a_channel_is_checked_by_its_own_model() -> None:
    assert [row.path for row in CATALOGUE.channel_findings("pigeon", {})] == [("kind",)]
    found = CATALOGUE.channel_findings("webhook", {"url": "ftp://x", "secret": "whsec_hush"})
    assert {row.path for row in found} == {("settings", "url"), ("settings", "secret")}
    assert "hush" not in str(found)


def test_a_camera_in_a_toilet_breaks_a_law_and_a_smoke_detector_there_does_not() -> None:
    (found,) = CATALOGUE.placement_findings("140403", "home_point", "toilet", "axis-camera")
    assert found.clause == "公共安全视频图像信息系统管理条例 国务院令第799号 第八条"
    assert CATALOGUE.placement_findings("140403", "home_point", "toilet", "heiman-hs1sa") == []
    assert CATALOGUE.placement_findings("140403", "home_point", "nap_room", "axis-camera") == []


def test_secrets_are_covered_and_the_rest_is_shown() -> None:
    shown = CATALOGUE.shown(Noun.ENDPOINT, {"driver": "snmp", "edge": "e", "settings": {**SNMP, "port": 161}})
    assert shown["settings"] == {**SNMP, "port": 161, "auth_key": "**********", "priv_key": "**********"}
    webhook = {"kind": "webhook", "settings": {"url": "https://hush/x", "secret": "whsec_" + "A" * 32}}
    responder = CATALOGUE.shown(Noun.RESPONDER, {"title_zh": "x", "channels": {"hook": webhook}})
    assert set(responder["channels"]["hook"]["settings"].values()) == {"**********"}


def test_where_the_model_no_longer_takes_the_settings_every_text_is_covered() -> None:
    shown = CATALOGUE.shown(Noun.ENDPOINT, {"driver": "gone", "edge": "e", "settings": {"a": "hush", "b": [1, "hush"]}})
    assert shown["settings"] == {"a": "**********", "b": [1, "**********"]}


def test_a_secret_that_changed_is_marked_and_one_that_did_not_is_not() -> None:
    mask = {"key": "**********", "port": 2}
    assert marked({"key": "a", "port": 1}, {"key": "b", "port": 2}, mask) == {"key": "********** (changed)", "port": 2}
    assert marked({"key": "a"}, {"key": "a", "port": 2}, mask) == mask
    assert marked(None, {"key": "a", "port": 2}, mask) == mask


def test_an_alarm_class_of_a_profile_is_known_with_its_priority() -> None:
    facts = CATALOGUE.profile("gb26875-transmitter")
    assert facts is not None
    assert SignalClass.FIRE in {signal_class for signal_class, _ in facts.alarms}
