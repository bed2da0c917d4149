"""A fire that the centre cannot hear of sounds the siren; nothing else ever does."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.bundle import LocalRule, RuleWatch
from hub.core.local_rules import ANEW, TRIES, Sound, State, decide, observe, sounded
from hub.model import LIFE_SAFETY, Priority, Sample, Scalar, Series, SignalClass
from hub.profiles import AlarmDefinition, Condition, Point, Title

NOW = 1_795_296_000_000_000
AFTER = 60.0
TITLE = Title(zh="火", en="fire")


def watch(
    signal_class: SignalClass = SignalClass.FIRE, *, classes: tuple[SignalClass, ...] = (), **more: Any
) -> RuleWatch:
    urgent = signal_class in LIFE_SAFETY
    condition = more.pop("condition", Condition(equals=True))
    alarm = AlarmDefinition(
        title=TITLE,
        signal_class=signal_class,
        priority=Priority.CRITICAL if urgent else Priority.LOW,
        point="smoke",
        condition=condition,
        response=TITLE,
        **more,
    )
    point = (
        Point(title=TITLE, type="int", scale=0.1) if condition.above is not None else Point(title=TITLE, type="bool")
    )
    # past the model's own checks: the functions must hold by themselves
    return RuleWatch.model_construct(
        device="smoke-1", definition=f"a-{signal_class}", alarm=alarm, reads=point, classes=classes or (signal_class,)
    )


def rule(*watches: RuleWatch) -> LocalRule:
    return LocalRule.model_construct(
        id="r", siren="siren-1", point="sounder", value=True, after=int(AFTER * 1e6), watches=watches or (watch(),)
    )


def smoke(raw: Scalar | None, at: float = 0.0, instance: str = "", device: str = "smoke-1") -> Sample:
    error = "no answer" if raw is None else None
    return Sample(Series(device, "smoke", instance), NOW + int(at * 1e6), raw, error)


def seen(rule: LocalRule, *samples: Sample, state: State = State(), ticks: float = 0.0) -> State:
    for sample in samples:
        state = observe(rule, state, sample, sample.at, ticks)
    return state


def asked(rule: LocalRule, state: State, ticks: float, confirmed_at: float = 0.0) -> bool:
    return decide(rule, state, NOW + int(ticks * 1e6), ticks, confirmed_at)[1] is not None


def test_a_fire_sounds_once_the_hub_has_been_silent_for_long_enough_and_not_before() -> None:
    burning = seen(rule(), smoke(True))
    assert not asked(rule(), burning, 59.9)
    assert asked(rule(), burning, 60.0)
    assert not asked(rule(), burning, 100.0, confirmed_at=50.0)
    assert not asked(rule(), State(), 1000.0)
    assert not asked(rule(), seen(rule(), smoke(True), smoke(False, 1)), 1000.0), "it was over before"
    state, sound = decide(rule(), burning, NOW, 60.0, 0.0)
    assert sound == Sound(rule(), ("smoke-1", "a-fire", ""))
    assert state.tries == 1


def test_bounds_delays_and_other_devices_are_judged_as_the_centre_judges_them() -> None:
    hot = rule(watch(condition=Condition(above=50.0), on_delay=5_000_000, deadband=5.0))
    assert not asked(hot, seen(hot, smoke(500)), 600.0), "50.0 is not above 50"
    burning = seen(hot, smoke(501))
    assert decide(hot, burning, NOW + 4_999_999, 600.0, 0.0)[1] is None
    assert decide(hot, burning, NOW + 5_000_000, 600.0, 0.0)[1] is not None
    assert not asked(rule(), seen(rule(), smoke(True, device="smoke-2")), 600.0)
    assert not asked(rule(), seen(rule(), smoke(None)), 600.0)
    assert asked(rule(), seen(rule(), smoke(True), smoke(None, 1)), 600.0), (
        "what cannot be read does not put a fire out"
    )


def test_a_message_that_has_no_end_sounds_while_the_hub_has_confirmed_nothing_since() -> None:
    momentary = rule(watch(condition=Condition(present=True), latching=True))
    state = seen(momentary, smoke(True), ticks=10.0)
    assert asked(momentary, state, 70.0, confirmed_at=10.0)
    assert asked(momentary, state, 65.0, confirmed_at=5.0)
    assert not asked(momentary, state, 600.0, confirmed_at=11.0), "the hub has it"


def test_writes_that_fail_are_tried_again_ever_more_slowly_and_so_often_at_most() -> None:
    state, times, ticks = seen(rule(), smoke(True)), list[float](), 60.0
    while ticks < 10_000:
        state, sound = decide(rule(), state, NOW, ticks, 0.0)
        if sound is not None:
            times.append(ticks)
        ticks += 0.5
    assert len(times) == TRIES
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (2.0, 60.0)


def test_what_sounds_is_written_once_and_the_next_fire_sounds_again() -> None:
    state, sound = decide(rule(), seen(rule(), smoke(True)), NOW, 60.0, 0.0)
    assert sound is not None
    state = sounded(state, 60.0)
    assert not asked(rule(), state, 6000.0)
    state, _ = decide(rule(), seen(rule(), smoke(False, 1), state=state), NOW, 61.0, 0.0)
    state = seen(rule(), smoke(True, 2), state=state)
    assert not asked(rule(), state, 60.0 + ANEW - 0.1)
    assert asked(rule(), state, 60.0 + ANEW)


def test_parts_of_a_panel_burn_and_go_out_each_by_itself_and_what_is_remembered_is_what_burns() -> None:
    state = seen(
        rule(), *(smoke(True, instance=str(n)) for n in range(5)), *(smoke(False, instance="9") for _ in range(9))
    )
    assert len(state.watches) == len(state.active) == 5
    state = seen(rule(), *(smoke(False, 1, instance=str(n)) for n in range(4)), state=state)
    assert asked(rule(), state, 60.0)
    state = seen(rule(), smoke(False, 1, instance="4"), state=state)
    assert not asked(rule(), state, 60.0)
    assert (dict(state.watches), state.active) == ({}, frozenset())


def test_a_rule_on_anything_but_fire_or_on_a_device_with_a_panic_alarm_is_no_rule() -> None:
    def told(made: RuleWatch) -> dict[str, Any]:
        return made.model_dump(mode="json")

    assert RuleWatch.model_validate(told(watch())) == watch()
    for wrong in (watch(SignalClass.PANIC), watch(SignalClass.INTRUSION)):
        with pytest.raises(ValidationError, match="for fire"):
            RuleWatch.model_validate(told(wrong))
    with pytest.raises(ValidationError, match="panic"):
        RuleWatch.model_validate(told(watch(classes=(SignalClass.FIRE, SignalClass.PANIC))))


ANY_CONDITION = st.sampled_from(
    [Condition(equals=True), Condition(present=True), Condition(any_of=(1,)), Condition(above=0.0)]
)
PANICS = st.builds(watch, st.just(SignalClass.PANIC), condition=ANY_CONDITION)
BOTH = st.builds(
    watch, st.just(SignalClass.FIRE), classes=st.just((SignalClass.FIRE, SignalClass.PANIC)), condition=ANY_CONDITION
)
OTHERS = st.builds(
    watch, st.sampled_from([name for name in SignalClass if name not in LIFE_SAFETY]), condition=ANY_CONDITION
)
SAMPLES = st.lists(
    st.builds(
        smoke,
        st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3) | st.none(),
        st.floats(-1e9, 1e9),
        st.sampled_from(["", "1", "2"]),
    ),
    max_size=30,
)


@given(st.lists(PANICS | BOTH | OTHERS, max_size=4), SAMPLES, st.lists(st.floats(0, 1e9), min_size=1, max_size=10))
def test_nothing_automatic_ever_sounds_on_a_panic_press(
    watches: list[RuleWatch], samples: list[Sample], times: list[float]
) -> None:
    made = rule().model_copy(update={"watches": tuple(watches)})
    state = State()
    for n, ticks in enumerate(sorted(times)):
        state = seen(made, *samples[n::2], state=state, ticks=ticks)
        state, sound = decide(made, state, NOW + int(ticks), ticks, 0.0)
        assert sound is None
    assert not state.active


@given(st.lists(PANICS | BOTH | OTHERS, max_size=3), SAMPLES, st.integers(0, 10**6).map(float))
def test_a_fire_sounds_whatever_stands_beside_it(watches: list[RuleWatch], samples: list[Sample], ticks: float) -> None:
    made = rule().model_copy(update={"watches": (*watches, watch())})
    state = seen(made, *samples, smoke(True, 2e9, instance="here"), ticks=ticks)
    assert asked(made, state, ticks + AFTER, confirmed_at=ticks)
