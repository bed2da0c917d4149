"""Every profile and every case: the exchange is served at the wire, the real driver reads it, and the hub makes of it what the case expects."""

import time
from collections.abc import Callable
from dataclasses import replace as changed
from datetime import datetime
from pathlib import Path

import pytest

from hub.cases import Case, Expected, load_case, load_cases
from hub.config import data_folder
from hub.core.rehearsal import Outcome, rehearse
from hub.errors import BadInput
from hub.model import to_micros
from hub.profiles import load_profiles
from hub.profiles_schema import proven_against
from hub.runtime.replay import replay
from hub.simulation import Place

PROFILES = load_profiles([data_folder("device-profiles")])
ALL = load_cases()


def clock_of(case: Case) -> Callable[[], int]:
    """The wall clock during a replay: it starts when the case was recorded, where that is known to the second."""
    real = time.time_ns
    began = case.about.recorded_at
    if not isinstance(began, datetime):
        return real
    behind = real() - to_micros(began) * 1000
    return lambda: real() - behind


@pytest.mark.parametrize("case", ALL, ids=[f"{case.profile}-{case.name}" for case in ALL])
async def test_a_case_gives_the_readings_and_alarms_that_it_expects(
    case: Case, tmp_path: Path, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = PROFILES[case.profile]
    case.check(profile)
    monkeypatch.setattr(time, "time_ns", clock_of(case))
    came = await replay(case, profile, Place(tmp_path, mqtt_url))
    outcome = rehearse(profile, came.samples, time.time_ns() // 1000)
    assert "\n".join(case.differences(outcome, tuple(one.code for one in came.rejects))) == ""


def test_a_case_belongs_to_a_profile_that_exists() -> None:
    assert {case.profile for case in ALL} - PROFILES.keys() == set()


@pytest.mark.parametrize("name", sorted(name for name in PROFILES if not name.startswith("demo-")))
def test_a_profile_has_a_case_or_the_list_of_devices_admits_that_it_has_none(name: str) -> None:
    listed = (data_folder("device-profiles") / "SUPPORTED.md").read_text("utf-8")
    (row,) = [line for line in listed.splitlines() if f"| `{name}` |" in line]
    assert row.endswith(f"| {proven_against([case for case in ALL if case.profile == name])} |")


# the check itself ---------------------------------------------------------------------------------------------------


UPS = next(case for case in ALL if (case.profile, case.name) == ("rfc1628-ups", "on-battery"))


def expecting(case: Case, **changes: object) -> Case:
    expect = {**case.about.expect.model_dump(mode="json"), **changes}
    return changed(case, about=case.about.model_copy(update={"expect": Expected.model_validate(expect)}))


async def outcome_of(case: Case, folder: Path) -> Outcome:
    profile = PROFILES[case.profile]
    came = await replay(case, profile, Place(folder))
    return rehearse(profile, came.samples, time.time_ns() // 1000)


async def test_whatever_differs_from_what_a_case_expects_is_said(tmp_path: Path) -> None:
    outcome = await outcome_of(UPS, tmp_path)
    assert UPS.differences(outcome, ()) == []
    first, *others = UPS.about.expect.model_dump(mode="json")["readings"]
    alarms = UPS.about.expect.model_dump(mode="json")["alarms"]
    for wrong, said in (
        (expecting(UPS, readings=others), "nobody expects it"),
        (expecting(UPS, readings=[first, first, *others]), "nothing came"),
        (expecting(UPS, readings=[{**first, "value": 7}, *others]), "expected good 7"),
        (expecting(UPS, readings=[{**first, "quality": "bad_range"}, *others]), "expected bad_range"),
        (expecting(UPS, readings=[{"point": first["point"], "error": "gone"}, *others]), "an error with 'gone'"),
        (expecting(UPS, alarms=alarms[1:]), "alarm battery_low: expected none, came unack_active"),
        (expecting(UPS, alarms=[{**alarms[0], "state": "latched_unack"}, *alarms[1:]]), "expected latched_unack"),
        (expecting(UPS, alarms=[*alarms, {**alarms[0], "instance": "2"}]), "battery_low/2: expected unack_active"),
        (expecting(UPS, rejects=["checksum"]), "rejects: expected ['checksum'], came []"),
    ):
        (difference,) = wrong.differences(outcome, ())
        assert said in difference
    (difference,) = UPS.differences(outcome._replace(refused=("time: before 2020",)), ())
    assert difference == "refused by the hub: time: before 2020"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("origin: rumour", "origin"),
        ("colour: red", "colour"),
        ("recorded_at: 2026-11-22T08:00:00", "recorded_at"),
        ("expect: {}", "expect"),
        ("expect: {readings: [{point: a, value: 1, error: b}]}", "expect.readings.0"),
        ("expect: {readings: [{point: a}]}", "expect.readings.0"),
        ("expect: {readings: [{point: a, value: 1, quality: fine}]}", "expect.readings.0.quality"),
        ("expect: {readings: [{point: a, value: 1}], alarms: [{alarm: x, state: on}]}", "expect.alarms.0.state"),
        ("expect: [", "while parsing"),
    ],
)
def test_a_bad_case_is_refused_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    good = [
        "origin: simulator",
        "source: ours",
        "recorded_at: 2026-11-22",
        "expect: {readings: [{point: a, value: 1}]}",
    ]
    key = text.split(":")[0]
    (tmp_path / "case.yaml").write_text("\n".join([*(line for line in good if not line.startswith(key)), text]))
    with pytest.raises(BadInput, match=r"case\.yaml") as refused:
        load_case(tmp_path)
    assert said in str(refused.value)


def test_a_case_that_names_a_point_or_an_alarm_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match=r"case\.yaml: expect\.alarms: the profile has no 'fire'"):
        expecting(UPS, alarms=[{"alarm": "fire", "state": "unack_active"}]).check(PROFILES["rfc1628-ups"])
    with pytest.raises(BadInput, match=r"expect\.readings: the profile has no 'smoke'"):
        expecting(UPS, readings=[{"point": "smoke", "value": True}]).check(PROFILES["rfc1628-ups"])


def test_a_folder_without_a_case_is_no_case(tmp_path: Path) -> None:
    (tmp_path / "rfc1628-ups" / "empty").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"case\.yaml: cannot be read"):
        load_cases(tmp_path)
    (tmp_path / "rfc1628-ups" / "empty").rename(tmp_path / "rfc1628-ups" / "Not an id")
    with pytest.raises(BadInput, match="named like an identifier"):
        load_cases(tmp_path)
