"""The fire-risk score: its points add up, silence never lowers it, worse facts never lower it, and a fire is not averaged away."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core import fire_kept
from hub.core.coverage.facts import DeviceFact, ZoneFact
from hub.core.fire_facts import HARD, SOFT, Factor, FireFacts, LiveAlarm, Measured, State
from hub.core.fire_risk import MOST_EVIDENCE, Risk, assess
from hub.core.fire_sentences import age, of_factor, of_risk, reason
from hub.errors import BadInput
from hub.fire_weights import load_weights, parse_weights
from hub.model import SECOND, AdminState, FunctionState, LinkState, SignalClass

WEIGHTS = load_weights([data_folder("rule-packs")])
NOW = 1_795_000_000_000_000
HOUR, DAY = 3600 * SECOND, 86400 * SECOND
CHECKS = tuple(WEIGHTS.limits.checks)


def device(id: str, *capabilities: str, kind: str = "smoke_detector", zone: str | None = None) -> DeviceFact:
    return DeviceFact(
        id, kind, zone, frozenset(capabilities), AdminState.IN_SERVICE, NOW, LinkState.ONLINE, NOW, FunctionState.OK, NOW, NOW
    )  # fmt: skip


ROOM, HALL, DOOR, KITCHEN = (
    ZoneFact(id, purpose, id, id)
    for id, purpose in (("act", "activity_room"), ("hall", "corridor"), ("door", "entrance"), ("cook", "kitchen"))
)
SAFE = FireFacts(
    subject="sun",
    is_open=True,
    zones=(ROOM, HALL, DOOR, KITCHEN),
    devices=(
        device("smoke-1", "fire.smoke", zone="act"),
        device("smoke-2", "fire.smoke", zone="hall"),
        device("gas-1", "gas.detect", kind="gas_detector", zone="cook"),
        device("door-1", "access.control", kind="access_controller", zone="door"),
    ),
    measured=(Measured("air-1", "environment_sensor", "°C", 22.0, NOW, True),),
    tested={"smoke-1": NOW - DAY, "smoke-2": NOW - DAY, "gas-1": NOW - DAY},
    checked=dict.fromkeys(CHECKS, NOW - HOUR),
)


def factor(risk: Risk, name: Factor) -> Any:
    [found] = [one for one in risk.factors if one.factor is name]
    return found


def test_an_institution_of_which_everything_is_known_to_be_well_has_no_risk() -> None:
    risk = assess(SAFE, WEIGHTS, NOW)
    assert (risk.score, risk.certain, risk.level.id, risk.hard) == (0, 0, "low", False)


def test_what_is_not_connected_has_the_full_score_and_all_of_it_is_unknown() -> None:
    risk = assess(FireFacts("register:1", connected=False), WEIGHTS, NOW)
    assert (risk.score, risk.certain, risk.hard) == (100, 0, False)
    assert {seen.reason for one in risk.factors for seen in one.evidence} == {"not_connected"}


@pytest.mark.parametrize(
    ("worse", "name", "points", "why"),
    [
        ({"devices": (replace(SAFE.devices[0], function_state=FunctionState.FAILED), *SAFE.devices[1:])}, Factor.DETECTORS, 8, "failed"),
        ({"devices": (replace(SAFE.devices[0], link_state=LinkState.OFFLINE), *SAFE.devices[1:])}, Factor.DETECTORS, 8, "offline"),
        ({"devices": SAFE.devices[1:]}, Factor.ROOMS, 6, "no_detector_here"),
        ({"alarms": (LiveAlarm("door-1", "held_open", SignalClass.ACCESS, False, NOW - HOUR),)}, Factor.EXITS, 8, "exit_not_free"),
        ({"devices": SAFE.devices[:3]}, Factor.EXITS, 8, "nobody_tells_of_it"),
        ({"devices": (*SAFE.devices[:2], SAFE.devices[3])}, Factor.GAS, 8, "no_gas_detector_here"),
        ({"alarms": (LiveAlarm("gas-1", "concentration_high", SignalClass.SUPERVISORY, True, NOW),)}, Factor.GAS, 8, "gas_warning"),
        ({"measured": (Measured("air-1", "environment_sensor", "°C", 50.0, NOW, True),)}, Factor.HEAT, 10, "hot"),
        ({"measured": (Measured("air-1", "environment_sensor", "°C", 22.0, NOW - DAY, True),)}, Factor.HEAT, 10, "value_too_old"),
        ({"measured": ()}, Factor.HEAT, 10, "not_measured"),
        ({"is_open": False}, Factor.CIRCUITS, 8, "not_measured"),
        ({"is_open": False, "measured": (*SAFE.measured, Measured("m", "breaker", "W", 900.0, NOW, True))}, Factor.CIRCUITS, 6, "live_after_closing"),
        ({"alarms": (LiveAlarm("b", "leakage", SignalClass.SUPERVISORY, False, NOW),)}, Factor.CIRCUITS, 6, "electrical"),
        ({"checked": {**SAFE.checked, "patrol": NOW - 5 * DAY}}, Factor.CHECKS, 4, "overdue"),
        ({"checked": {kind: NOW for kind in CHECKS if kind != "patrol"}}, Factor.CHECKS, 4, "never_recorded"),
        ({"tested": {**SAFE.tested, "smoke-1": NOW - 400 * DAY}}, Factor.TESTS, 2, "test_overdue"),
        ({"tested": {}}, Factor.TESTS, 6, "never_tested"),
    ],
)  # fmt: skip
def test_each_bad_or_unknown_thing_adds_its_points_with_its_reason(
    worse: dict[str, Any], name: Factor, points: int, why: str
) -> None:
    risk = assess(replace(SAFE, **worse), WEIGHTS, NOW)
    found = factor(risk, name)
    assert (found.points, found.evidence[0].reason) == (points, why)
    assert (
        found.evidence[0].since is not None
        or found.evidence[0].thing.startswith(("zone:", "check:"))
        or not found.certain
    )


def test_circuits_that_draw_power_in_opening_hours_are_no_finding_and_nobody_need_measure_them() -> None:
    live = replace(SAFE, measured=(*SAFE.measured, Measured("m", "breaker", "W", 900.0, NOW, True)))
    assert factor(assess(live, WEIGHTS, NOW), Factor.CIRCUITS).points == 0
    assert factor(assess(SAFE, WEIGHTS, NOW), Factor.CIRCUITS).points == 0


def test_a_room_beside_a_fire_panel_is_unknown_and_not_bare() -> None:
    panel = device("panel", "fire.panel", kind="fire_panel")
    found = factor(assess(replace(SAFE, devices=(*SAFE.devices[1:], panel)), WEIGHTS, NOW), Factor.ROOMS)
    assert (found.points, found.certain, found.evidence[0].reason) == (6, 0, "panel_only")


def test_a_fire_is_not_averaged_away_however_well_the_rest_is() -> None:
    burning = replace(SAFE, alarms=(LiveAlarm("smoke-1", "fire", SignalClass.FIRE, False, NOW - SECOND),))
    risk = assess(burning, WEIGHTS, NOW)
    assert (risk.score, risk.certain, risk.hard, factor(risk, Factor.FIRE_ALARM).points) == (100, 100, True, 100)
    unconnected = assess(FireFacts("register:1", connected=False), WEIGHTS, NOW)
    assert min(fire_kept.rank(fire_kept.of_risk(one, WEIGHTS)) for one in (unconnected, risk))[3] == risk.subject


def test_gas_above_its_limit_is_hard_by_its_alarm_and_by_its_value_of_any_age() -> None:
    alarm = replace(SAFE, alarms=(LiveAlarm("gas-1", "gas", SignalClass.FIRE, True, NOW),))
    value = replace(SAFE, measured=(*SAFE.measured, Measured("gas-1", "gas_detector", "%LEL", 25.0, NOW - DAY, False)))
    for facts in (alarm, value):
        risk = assess(facts, WEIGHTS, NOW)
        assert risk.hard
        assert risk.score >= 95


# properties ----------------------------------------------------------------------------------------------------------

zones = st.lists(
    st.builds(ZoneFact, st.sampled_from("abcdef"), st.sampled_from(["activity_room", "corridor", "entrance", "kitchen", "toilet"]),
              st.just("z"), st.just("z")), max_size=5, unique_by=lambda one: one.id,
).map(tuple)  # fmt: skip
devices = st.lists(
    st.builds(
        DeviceFact,
        id=st.text("abcdefgh", min_size=1, max_size=3),
        kind=st.just("smoke_detector"),
        zone=st.sampled_from([None, *"abcdef"]),
        capabilities=st.frozensets(
            st.sampled_from(["fire.smoke", "fire.panel", "gas.detect", "access.control", "video.live"]), max_size=2
        ),
        admin_state=st.sampled_from(AdminState),
        admin_since=st.just(NOW),
        link_state=st.sampled_from(LinkState),
        link_since=st.just(NOW),
        function_state=st.sampled_from(FunctionState),
        function_since=st.just(NOW),
        last_heard_at=st.just(NOW),
    ),
    max_size=9,
    unique_by=lambda one: one.id,
).map(tuple)
names = st.text("abcdefgh", min_size=1, max_size=3)
alarm = st.builds(
    LiveAlarm, names, st.sampled_from(["fire", "held_open", "leakage", "other"]), st.sampled_from(SignalClass),
    st.booleans(), st.integers(NOW - DAY, NOW),
)  # fmt: skip
measured = st.builds(
    Measured, names, st.sampled_from(["environment_sensor", "breaker", "gas_detector", "camera"]),
    st.sampled_from(["°C", "W", "%LEL"]), st.none() | st.floats(0, 300), st.integers(NOW - DAY, NOW), st.booleans(),
)  # fmt: skip
moments = st.integers(NOW - 500 * DAY, NOW)
facts = st.builds(
    FireFacts,
    subject=st.just("i"),
    connected=st.booleans(),
    is_open=st.booleans(),
    zones=zones,
    devices=devices,
    alarms=st.lists(alarm, max_size=4).map(tuple),
    measured=st.lists(measured, max_size=4).map(tuple),
    tested=st.dictionaries(names, moments, max_size=4),
    checked=st.dictionaries(st.sampled_from(CHECKS), moments, max_size=5),
)


@st.composite
def worse(draw: st.DrawFn, of: FireFacts) -> FireFacts:
    """One fact that is worse, or known no more."""
    options = ["alarm", "closed", "plan", "hub", "connection"]
    options += ["device"] * bool(of.devices) + ["value"] * bool(of.measured)
    options += ["check"] * bool(of.checked) + ["test"] * bool(of.tested)
    match draw(st.sampled_from(options)):
        case "alarm":
            return replace(of, alarms=(*of.alarms, draw(alarm)))
        case "closed":
            return replace(of, is_open=False)
        case "plan":
            return replace(of, zones=())
        case "hub":
            gone = tuple(replace(one, link_state=LinkState.UNKNOWN) for one in of.devices if one)
            return replace(of, devices=gone)
        case "connection":
            return replace(of, connected=False, alarms=(), measured=()) if not assess(of, WEIGHTS, NOW).hard else of
        case "device":
            return replace(of, devices=_one(of.devices, draw, lambda one: draw(st.sampled_from([
                replace(one, link_state=LinkState.OFFLINE), replace(one, function_state=FunctionState.FAILED),
                replace(one, admin_state=AdminState.OUT_OF_SERVICE),
                replace(one, function_state=FunctionState.UNPROVEN) if one.function_state is not FunctionState.FAILED else one,
            ]))))  # fmt: skip
        case "value":
            return replace(of, measured=_one(of.measured, draw, lambda one: draw(st.sampled_from([
                one._replace(good=False), one._replace(at=NOW - 2 * DAY), one._replace(value=(one.value or 0) + 500),
            ]))))  # fmt: skip
        case "check":
            lost = draw(st.sampled_from(sorted(of.checked)))
            return replace(of, checked={kind: at for kind, at in of.checked.items() if kind != lost})
        case _:
            lost = draw(st.sampled_from(sorted(of.tested)))
            return replace(of, tested={name: at - 400 * DAY if name == lost else at for name, at in of.tested.items()})


def _one(rows: tuple[Any, ...], draw: st.DrawFn, change: Any) -> tuple[Any, ...]:
    n = draw(st.integers(0, len(rows) - 1))
    return tuple(change(one) if i == n else one for i, one in enumerate(rows))


@given(facts)
def test_the_points_of_the_factors_add_up_to_the_score(of: FireFacts) -> None:
    risk = assess(of, WEIGHTS, NOW)
    assert sum(one.points for one in risk.factors) == risk.score
    assert sum(one.certain for one in risk.factors) == risk.certain
    assert 0 <= risk.certain <= risk.score <= 100
    assert [one.factor for one in risk.factors] == [*SOFT, *HARD]
    for one in risk.factors:
        assert bool(one.evidence) == bool(one.bad + one.unknown)
        assert not one.points or one.evidence
        assert len(one.evidence) <= MOST_EVIDENCE


@given(st.data())
def test_worse_facts_and_lost_knowledge_never_lower_the_score(data: st.DataObject) -> None:
    of = data.draw(facts)
    before = assess(of, WEIGHTS, NOW)
    for _ in range(3):
        of = data.draw(worse(of))
        after = assess(of, WEIGHTS, NOW)
        assert after.score >= before.score
        assert after.hard >= before.hard
        before = after


@given(facts, st.randoms(use_true_random=False))
def test_the_order_of_the_facts_changes_nothing(of: FireFacts, dice: Any) -> None:
    mixed = replace(
        of,
        devices=tuple(dice.sample(of.devices, len(of.devices))),
        zones=tuple(dice.sample(of.zones, len(of.zones))),
        alarms=tuple(dice.sample(of.alarms, len(of.alarms))),
    )
    assert [one[:6] for one in assess(of, WEIGHTS, NOW).factors] == [
        one[:6] for one in assess(mixed, WEIGHTS, NOW).factors
    ]


@given(facts)
def test_every_factor_says_in_both_languages_what_it_adds_and_what_is_unknown(of: FireFacts) -> None:
    risk = assess(of, WEIGHTS, NOW)
    for one in risk.factors:
        zh, en = of_factor(one, WEIGHTS, NOW)
        if one.evidence:
            assert f"计{one.points}分" in zh
            assert f"{one.points} points ({one.bad} bad, {one.unknown} unknown)" in en
        for seen in one.evidence:
            assert reason(seen.reason) != (seen.reason, seen.reason), "a reason without words"
            assert (seen.state is State.UNKNOWN) == (
                "未知" in reason(seen.reason)[0] or "无从得知" in reason(seen.reason)[0]
            )
    zh, en = of_risk(risk, WEIGHTS)
    assert "内部参数" in zh
    assert str(risk.score) in en


def test_an_age_is_said_in_whole_units() -> None:
    assert age(NOW - 3 * DAY - HOUR, NOW) == ("3天", "3 d")
    assert age(NOW - 59 * SECOND, NOW) == ("不到1分钟", "under 1 min")
    assert age(None, NOW) == ("", "")


# weights -------------------------------------------------------------------------------------------------------------

DOCUMENT = yaml.safe_load((data_folder("rule-packs") / "fire-risk.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("factors", "heat", "most"), 11, "100"),
        (("factors", "heat", "each"), 60, "each"),
        (("factors", "moon"), {"each": 1, "most": 1, "title": {"zh": "月", "en": "moon"}}, "moon"),
        (("levels", 0, "from"), 5, "levels"),
        (("limits", "fresh"), "soon", "limits.fresh"),
        (("limits", "exits"), ["moon"], "limits.exits"),
        (("hard", "fire_alarm", "raises_to"), 0, "raises_to"),
        (("colour",), "red", "colour"),
    ],
)
def test_badly_written_weights_are_refused_with_file_and_key(path: tuple[Any, ...], value: Any, said: str) -> None:
    document = yaml.safe_load(yaml.safe_dump(DOCUMENT))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BadInput, match=r"w\.yaml") as refused:
        parse_weights(document, "w.yaml")
    assert said in str(refused.value)


def test_a_factor_that_is_left_out_is_refused() -> None:
    document = {**DOCUMENT, "hard": {"fire_alarm": DOCUMENT["hard"]["fire_alarm"]}}
    with pytest.raises(BadInput, match="gas_alarm"):
        parse_weights(document, "w.yaml")
