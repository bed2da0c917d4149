"""A profile's test point: a proof may write it, and nothing of it can be taken for a real press."""

from pathlib import Path
from typing import Any

import pytest

from hub.core.exercises import lowest_level, trial_of
from hub.core.proof_order import Trial
from hub.errors import BadInput
from hub.profiles import Profile, load_profiles, parse_profile

SHIPPED = load_profiles([Path(__file__).parents[2] / "device-profiles"])
TITLE = {"zh": "一", "en": "one"}
TEST = {
    "write": "test",
    "value": True,
    "rest": False,
    "expect": "state",
    "answer": {"equals": "testing"},
    "harmless": {"zh": "灯闪一下", "en": "a lamp blinks"},
}


def made(changes: dict[str, Any] | None = None, **more: Any) -> Profile:
    alarm = {"title": TITLE, "class": "fire", "priority": "critical", "latching": True, "response": TITLE}
    document = {
        "profile": "smoke",
        "kind": "smoke_detector",
        "vendor": "v",
        "model": "m",
        "title": TITLE,
        "source": "this test",
        "driver": "modbus",
        "liveness": {"beat": "1s", "offline_after": "5s"},
        "points": {
            "state": {"title": TITLE, "type": "int", "enum": {0: "idle", 1: "fire", 2: "testing"}},
            "test": {"title": TITLE, "type": "bool", "writable": True},
            "level": {"title": TITLE, "type": "float"},
            "parts": {"title": TITLE, "type": "bool", "instances": True},
        },
        "alarms": {"fire": {**alarm, "point": "state", "condition": {"equals": "fire"}}},
        "test": {"seen": ["state"]},
        "test_point": {**TEST, **(changes or {})},
        **more,
    }
    return parse_profile(document, "smoke.yaml")


def test_what_a_test_and_a_proof_show_is_what_they_name_or_the_only_thing_there_is() -> None:
    two: dict[str, Any] = {"capabilities": ["fire.smoke", "fire.heat"]}
    alone = made(capabilities=["fire.smoke"])
    assert alone.shown_by_test == alone.shown_by_trial == {"fire.smoke"}
    silent = made(**two)
    assert (silent.shown_by_test, silent.shown_by_trial) == (frozenset(), frozenset())
    said = made({"proves": ["fire.heat"]}, **two, test={"seen": ["state"], "proves": {"fire.smoke": ["state"]}})
    assert said.shown_by_test == {"fire.smoke"}
    assert said.shown_by_trial == {"fire.heat"}
    for wrong, where in (
        ({"test": {"seen": ["state"], "proves": {"gas.detect": ["state"]}}}, "test.proves: the profile has no"),
        ({"test": {"seen": ["state"], "proves": {"fire.smoke": ["level"]}}}, "'level' is neither seen nor pressed"),
        ({"test": {"seen": ["state"], "proves": {"fire.smoke": []}}}, "test.proves.fire.smoke"),
        ({"test_point": {**TEST, "proves": ["gas.detect"]}}, "test_point.proves: the profile has no"),
    ):
        with pytest.raises(BadInput, match=where):
            made(**{**two, **wrong})


def test_a_test_point_goes_to_the_edge_in_raw_values() -> None:
    assert trial_of(made()) == Trial("test", True, False, "state", ("testing", 2), 10_000_000)
    assert trial_of(made({"answer": {"any_of": [2]}, "within": "3s"})) == Trial(
        "test", True, False, "state", (2,), 3_000_000
    )
    loop = trial_of(SHIPPED["adam-6050-button-tested"])
    assert loop == Trial("test_feed", True, False, "test_pair", (True,), 5_000_000)
    assert trial_of(SHIPPED["adam-6050-button"]) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"answer": {"equals": "fire"}}, "would raise the alarm 'fire'"),
        ({"answer": {"any_of": [2, 1]}}, "would raise the alarm 'fire'"),
        ({"answer": {"equals": "unheard_of"}}, "no label 'unheard_of'"),
        ({"answer": {"any_of": ["unheard_of"]}}, "no label 'unheard_of'"),
        ({"answer": {"above": 1}}, "equals or any_of"),
        ({"write": "nothing"}, "no point 'nothing'"),
        ({"expect": "nothing"}, "no point 'nothing'"),
        ({"write": "state"}, "'state' is not writable"),
        ({"expect": "test", "answer": {"equals": True}}, "answers nothing"),
        ({"expect": "level", "answer": {"equals": 1.0}}, "no float"),
        ({"expect": "parts", "answer": {"equals": True}}, "has instances"),
        ({"rest": True}, "another value"),
        ({"within": "21s"}, "at most 20 s"),
        ({"within": "0s"}, "at most 20 s"),
        ({"siren": True}, "siren"),
    ],
)
def test_a_test_point_that_could_hide_a_press_or_prove_nothing_is_refused_by_name(
    changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        made(changes)


def test_a_point_whose_every_event_is_an_alarm_is_no_answer() -> None:
    any_event = {"title": TITLE, "class": "panic", "priority": "critical", "response": TITLE, "point": "state"}
    for condition in ({"present": True}, {"above": 1}):
        with pytest.raises(BadInput, match="a real one could not be told from it"):
            made(alarms={"panic": {**any_event, "condition": condition}})
    with pytest.raises(BadInput, match="a function test"):
        made(test={"seen": ["state"], "pressed": {"state": {"equals": "testing"}}})


def test_that_it_is_harmless_must_be_said() -> None:
    with pytest.raises(BadInput, match="harmless"):
        made({"harmless": None})


def test_the_lowest_level_is_that_of_the_device_and_says_why_it_is_no_lower() -> None:
    assert lowest_level(behind_an_edge=True, has_test_point=True, dials_police=False) == ("device", "lowest")
    assert lowest_level(behind_an_edge=True, has_test_point=True, dials_police=True) == ("driver", "dials_police")
    assert lowest_level(behind_an_edge=True, has_test_point=False, dials_police=False) == ("driver", "no_test_point")
    assert lowest_level(behind_an_edge=False, has_test_point=True, dials_police=False) == ("hub", "no_edge")
