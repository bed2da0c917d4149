"""Every shipped device profile: it loads, its driver understands it, and it promises what its class of alarm needs."""

import json
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub import yaml_text
from hub.config import data_folder
from hub.driver import ENTRY_POINT_GROUP, Driver
from hub.errors import BadInput
from hub.model import LIFE_SAFETY, Lane, SignalClass
from hub.profiles import LINK_POINT, Kind, Profile, Record, load_profiles
from hub.profiles_schema import generated, main, schema

jsonschema: Any = import_module("jsonschema")  # comes with check-jsonschema; it has no types
FOLDER = data_folder("device-profiles")
PROFILES = load_profiles([FOLDER])
DRIVERS = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
OWN = {"edge"}
"""Written by the edge itself, not read through a driver."""
HOUR = 3_600_000_000
each = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())


@each
def test_its_device_settings_and_addresses_are_understood_by_its_driver(profile: Profile) -> None:
    if profile.driver in OWN:
        assert all(not point.address for point in profile.points.values())
        return
    driver: Driver = DRIVERS[profile.driver].load()
    needed = {"mqtt": {"topic": "zigbee2mqtt/x"}}.get(profile.driver, {})
    driver.Device.model_validate({**needed, **profile.device})
    for point in profile.points.values():
        driver.Address.model_validate(point.address)


@each
def test_an_alarm_of_fire_or_panic_is_not_left_unheard_for_more_than_a_day(profile: Profile) -> None:
    if any(alarm.signal_class in LIFE_SAFETY for alarm in profile.alarms.values()):
        assert profile.lane is Lane.URGENT
        assert profile.liveness.offline_after <= 24 * HOUR


@each
def test_a_fire_or_panic_latches_until_a_person_ends_it(profile: Profile) -> None:
    assert all(alarm.latching for alarm in profile.alarms.values() if alarm.signal_class in LIFE_SAFETY)


@each
def test_somebody_is_told_when_it_is_not_heard(profile: Profile) -> None:
    told = [alarm for alarm in profile.alarms.values() if alarm.point == LINK_POINT]
    if profile.kind is Kind.HUB:
        assert told == []  # it is the hub that speaks there, and whether that runs is said outside
        return
    assert [alarm.signal_class for alarm in told] == [SignalClass.COMMUNICATION]


@each
def test_an_alarm_on_an_event_latches_because_events_do_not_clear(profile: Profile) -> None:
    for alarm in profile.alarms.values():
        if alarm.condition.present is not None:
            assert profile.points[alarm.point].record is Record.EVENT
            assert alarm.latching


@each
def test_a_beat_is_never_judged_and_a_poll_is_quicker_than_the_silence_it_must_prevent(profile: Profile) -> None:
    for name, point in profile.points.items():
        if point.record is Record.BEAT:
            judged = {alarm.point for alarm in profile.alarms.values()} | {row.point for row in profile.health}
            assert name not in judged
    if profile.driver in ("snmp", "modbus", "onvif", "rtsp"):
        assert min(point.every for point in profile.points.values()) <= profile.liveness.beat


@each
def test_what_people_read_is_chinese_first(profile: Profile) -> None:
    texts = [profile.title, *(point.title for point in profile.points.values())]
    texts += [text for alarm in profile.alarms.values() for text in (alarm.title, alarm.response)]
    for text in texts:
        assert any("\u4e00" <= sign <= "\u9fff" for sign in text.zh), text
        assert text.en.isascii() or "°" in text.en, text


def test_whoever_tells_how_many_days_it_holds_tells_whether_it_still_records() -> None:
    tells = [one for one in PROFILES.values() if "video.record" in one.capabilities and "days" in one.points]
    assert tells
    assert [one.profile for one in tells if "newest_age" not in one.points] == []


def test_every_kind_of_device_has_a_profile() -> None:
    assert {profile.kind for profile in PROFILES.values()} >= set(Kind) - {Kind.OTHER}


def test_a_profile_stands_in_the_folder_of_its_kind() -> None:
    for path in FOLDER.rglob("*.yaml"):
        document = yaml.safe_load(path.read_text("utf-8"))
        folder = path.parent.name
        assert folder in ("demo", PROFILES[document["profile"]].kind.value)
        assert (folder == "demo") == document["profile"].startswith("demo-")


def test_the_demo_beats_every_two_seconds_and_is_offline_after_six() -> None:
    demo = [profile for profile in PROFILES.values() if profile.profile.startswith("demo-")]
    assert {profile.driver for profile in demo} == {"snmp", "mqtt", "modbus", "serial", "onvif", "edge"}
    for profile in demo:
        assert (profile.liveness.beat, profile.liveness.offline_after) == (2_000_000, 6_000_000)


def test_every_profile_meets_the_generated_schema() -> None:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    judge = jsonschema.Draft202012Validator(made)
    for path in FOLDER.rglob("*.yaml"):
        judge.validate(yaml_text.load(path.read_text("utf-8")))


def test_the_schema_refuses_an_unknown_key() -> None:
    document = yaml.safe_load((FOLDER / "ups" / "rfc1628-ups.yaml").read_text("utf-8"))
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        jsonschema.validate({**document, "colour": "grey"}, schema())


def test_the_generated_files_are_those_of_the_profiles() -> None:
    for path, text in generated(FOLDER).items():
        assert path.read_text("utf-8") == text


def test_check_says_which_file_is_stale_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "schema.json").write_text("{}")
    assert main(["--check", str(tmp_path)]) == 1
    assert "schema.json" in capsys.readouterr().err
    assert (tmp_path / "schema.json").read_text() == "{}"
    assert main([str(tmp_path)]) == 0
    assert json.loads((tmp_path / "schema.json").read_text()) == schema()
    assert main(["--check", str(tmp_path)]) == 0


GOOD = yaml.safe_load((FOLDER / "ups" / "rfc1628-ups.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "grey"}, "colour"),
        ({"kind": "toaster"}, "kind"),
        ({"liveness": {"beat": "2s", "offline_after": "3s"}}, "liveness"),
        ({"liveness": {"beat": "2 s", "offline_after": "9s"}}, "liveness.beat"),
        ({"test": {}}, "test"),
        ({"capabilities": ["Video"]}, "capabilities.0"),
        ({"health": [{**GOOD["health"][0], "point": "nothing"}]}, "nothing"),
        ({"alarms": {"a": {**GOOD["alarms"]["on_battery"], "class": "fire"}}}, "alarms.a"),
        ({"alarms": {"a": {**GOOD["alarms"]["on_battery"], "condition": {"above": 1, "below": 2}}}}, "exactly one"),
        ({"alarms": {"a": {**GOOD["alarms"]["on_battery"], "condition": {"equals": "no_label"}}}}, "no_label"),
        ({"extends": "nobody"}, "nobody"),
    ],
)
def test_a_bad_profile_is_refused_with_file_and_key(tmp_path: Path, change: dict[str, object], said: str) -> None:
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(BadInput, match=r"bad\.yaml") as refused:
        load_profiles([tmp_path])
    assert said in str(refused.value)


def test_two_files_with_one_profile_and_a_circle_are_refused(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(yaml.safe_dump(GOOD))
    with pytest.raises(BadInput, match=r"one\.yaml too"):
        load_profiles([tmp_path])
    (tmp_path / "one.yaml").write_text("profile: one\nextends: two\n")
    (tmp_path / "two.yaml").write_text("profile: two\nextends: one\n")
    with pytest.raises(BadInput, match="circle"):
        load_profiles([tmp_path])


@pytest.mark.parametrize("text", ["profile: [", "just text", "- a\n- b", "profile: 3"])
def test_what_is_no_profile_at_all_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"bad\.yaml"):
        load_profiles([tmp_path])


def test_a_variant_changes_only_what_it_names() -> None:
    real, demo = PROFILES["heiman-hs1sa"], PROFILES["demo-smoke"]
    assert demo.points == real.points
    assert demo.alarms == real.alarms
    assert demo.test.pressed == real.test.pressed
    assert demo.liveness != real.liveness
