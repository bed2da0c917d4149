"""The alarm tables, conditions and delays."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.alarms import (
    LATCHING,
    PLAIN,
    STATE_EVENTS,
    TABLES,
    Alarm,
    AlarmEvent,
    AlarmState,
    Refused,
    Watch,
    due_at,
    due_events,
    holds,
    is_active,
    judge,
    open_alarm,
    starts_escalation,
    step,
    stops_escalation,
)
from hub.errors import Conflict
from hub.model import Priority, Quality, Reading, Series, SignalClass
from hub.profiles import AlarmDefinition, Condition, Title

E, S = AlarmEvent, AlarmState
SECOND = 1_000_000
T0 = 1_795_000_000 * SECOND
TITLE = Title(zh="测试", en="test")


def definition(**changes: object) -> AlarmDefinition:
    values: dict[str, object] = {
        "title": TITLE,
        "class": SignalClass.FAULT,
        "priority": Priority.HIGH,
        "point": "value",
        "condition": Condition(above=10),
        "response": TITLE,
    }
    return AlarmDefinition.model_validate(values | changes)


PANIC = definition(**{"class": "panic", "priority": "critical", "condition": Condition(equals=True), "latching": True})


def reading(value: float | None, at: int = T0, text: str | None = None) -> Reading:
    return Reading(Series("d-1", "value"), at, at, value, text, Quality.GOOD)


def fresh(latching: bool) -> Alarm:
    return open_alarm("d-1", "a", "", definition(latching=latching), T0, T0)


def in_state(state: AlarmState, latching: bool) -> Alarm:
    return fresh(latching)._replace(state=state, version=3, occurrences=1, acknowledged_by="duty")


@pytest.mark.parametrize("latching", [False, True])
def test_the_table_has_an_entry_for_every_state_it_can_reach_and_every_event(latching: bool) -> None:
    table = TABLES[latching]
    reachable = {S.NORMAL} | {target for target in table.values() if isinstance(target, AlarmState)}
    assert set(table) == set(product(reachable, STATE_EVENTS))


def test_a_plain_alarm_never_latches_and_a_latching_one_is_never_merely_cleared() -> None:
    assert not {S.LATCHED_ACK, S.LATCHED_UNACK} & {state for state, _ in PLAIN}
    assert S.UNACK_CLEARED not in {state for state, _ in LATCHING}


def test_only_a_reset_ends_a_latched_alarm() -> None:
    ways = {
        (state, event) for (state, event), target in LATCHING.items() if target is S.NORMAL and state is not S.NORMAL
    }
    assert ways == {(S.LATCHED_ACK, E.RESET)}


@pytest.mark.parametrize(
    ("latching", "state", "event"),
    [(k, *key) for k, table in TABLES.items() for key, target in table.items() if isinstance(target, Refused)],
)
def test_what_the_state_does_not_allow_is_refused_with_its_reason(
    latching: bool, state: AlarmState, event: AlarmEvent
) -> None:
    with pytest.raises(Conflict) as refusal:
        step(in_state(state, latching), event, T0, "somebody")
    assert str(refusal.value).startswith(str(TABLES[latching][state, event]))


def test_the_second_of_two_people_reads_who_was_first() -> None:
    alarm, _ = step(fresh(False), E.RAISE, T0)
    alarm, _ = step(alarm, E.ACKNOWLEDGE, T0 + 1, "duty-room")
    with pytest.raises(Conflict, match="duty-room"):
        step(alarm, E.ACKNOWLEDGE, T0 + 2, "keeper")


@pytest.mark.parametrize("latching", [False, True])
def test_an_acknowledgement_that_lapses_makes_a_new_cry_for_help(latching: bool) -> None:
    alarm, _ = step(fresh(latching), E.RAISE, T0)
    alarm, _ = step(alarm, E.ACKNOWLEDGE, T0 + 1, "duty")
    if latching:
        alarm, _ = step(alarm, E.CLEAR, T0 + 2)
    alarm, transition = step(alarm, E.LAPSE, T0 + 3)
    assert alarm.state is (S.LATCHED_UNACK if latching else S.UNACK_ACTIVE)
    assert (alarm.acknowledged_at, alarm.acknowledged_by) == (None, None)
    assert starts_escalation(transition, alarm, T0 + 3)
    assert not stops_escalation(alarm, T0 + 3)
    alarm, _ = step(alarm, E.ACKNOWLEDGE, T0 + 4, "other")
    assert alarm.acknowledged_by == "other"


def test_whoever_confirms_owns_the_alarm_from_then_on() -> None:
    alarm, _ = step(fresh(False), E.RAISE, T0)
    with pytest.raises(Conflict, match="acknowledge it"):
        step(alarm, E.CONFIRM, T0 + 1, "duty")
    alarm, _ = step(alarm, E.ACKNOWLEDGE, T0 + 2, "duty")
    alarm, transition = step(alarm, E.CONFIRM, T0 + 3, "head")
    assert (alarm.state, alarm.acknowledged_by, alarm.acknowledged_at) == (S.ACK_ACTIVE, "head", T0 + 2)
    assert not starts_escalation(transition, alarm, T0 + 3)
    assert stops_escalation(alarm, T0 + 3)


def test_a_machine_event_is_never_refused() -> None:
    for table in TABLES.values():
        for (_, event), target in table.items():
            if event in (E.RAISE, E.CLEAR):
                assert isinstance(target, AlarmState)


@given(st.booleans(), st.lists(st.sampled_from(STATE_EVENTS), max_size=40))
def test_whatever_happens_the_alarm_is_ended_exactly_when_it_is_normal(
    latching: bool, events: list[AlarmEvent]
) -> None:
    alarm = fresh(latching)
    alarm, _ = step(alarm, E.RAISE, T0)
    for n, event in enumerate(events):
        if alarm.state is S.NORMAL:
            return
        try:
            moved, transition = step(alarm, event, T0 + n, "p")
        except Conflict:
            continue
        assert transition.n == alarm.version + 1 == moved.version
        assert (moved.ended_at is not None) == (moved.state is S.NORMAL)
        assert is_active(moved) == (moved.state in (S.UNACK_ACTIVE, S.ACK_ACTIVE))
        if starts_escalation(transition, moved, T0 + n):
            assert not stops_escalation(moved, T0 + n)
        alarm = moved


def test_a_latched_alarm_that_comes_again_is_a_new_cry_for_help() -> None:
    alarm, _ = step(fresh(True), E.RAISE, T0)
    alarm, _ = step(alarm, E.ACKNOWLEDGE, T0 + 1, "duty")
    alarm, _ = step(alarm, E.CLEAR, T0 + 2)
    alarm, transition = step(alarm, E.RAISE, T0 + 3)
    assert (alarm.state, alarm.occurrences, alarm.acknowledged_by) == (S.UNACK_ACTIVE, 2, None)
    assert starts_escalation(transition, alarm, T0 + 3)


def test_a_panic_that_was_released_still_needs_a_person_and_a_fault_that_cleared_does_not() -> None:
    for signal_class, stops in ((SignalClass.PANIC, False), (SignalClass.FAULT, True)):
        alarm = fresh(False)._replace(signal_class=signal_class, priority=Priority.CRITICAL)
        alarm, _ = step(alarm, E.RAISE, T0)
        alarm, _ = step(alarm, E.CLEAR, T0 + 1)
        assert stops_escalation(alarm, T0 + 1) is stops


def test_the_same_alarm_has_the_same_id_on_every_path() -> None:
    assert fresh(True).id == fresh(True).id
    assert fresh(True).id != open_alarm("d-1", "a", "2", definition(), T0, T0).id


# conditions ---------------------------------------------------------------------------------------------------------


@given(st.floats(-100, 100), st.floats(0, 10), st.booleans())
def test_a_threshold_is_left_only_beyond_its_deadband(value: float, deadband: float, held: bool) -> None:
    above = holds(Condition(above=10), deadband, held, value, None)
    assert above == (value > 10 - (deadband if held else 0))
    below = holds(Condition(below=10), deadband, held, value, None)
    assert below == (value < 10 + (deadband if held else 0))


def test_labels_numbers_and_booleans_are_compared_with_what_they_are() -> None:
    assert holds(Condition(equals="fire"), 0, False, 1.0, "fire")
    assert not holds(Condition(equals="fire"), 0, False, 1.0, None)
    assert holds(Condition(equals=True), 0, False, 1.0, None)
    assert holds(Condition(any_of=("fire", 3)), 0, False, 3.0, "fault")
    assert not holds(Condition(any_of=("fire", 3)), 0, False, None, None)


def test_a_value_of_zero_is_a_value() -> None:
    assert holds(Condition(equals=0), 0, False, 0.0, None)
    assert holds(Condition(below=1), 0, False, 0.0, None)
    assert not holds(Condition(below=1), 0, False, None, None)


# judging ------------------------------------------------------------------------------------------------------------


def test_without_delays_the_change_of_the_condition_raises_and_clears_at_once() -> None:
    watch, fired = judge(definition(), None, False, reading(11))
    assert [event for event, _ in fired] == [E.RAISE]
    watch, fired = judge(definition(), watch, True, reading(9, T0 + 1))
    assert [event for event, _ in fired] == [E.CLEAR]


def test_an_on_delay_is_waited_for_and_counts_from_when_the_condition_began() -> None:
    slow = definition(on_delay="10s")
    watch, fired = judge(slow, None, False, reading(11))
    assert watch is not None
    assert fired == ()
    assert due_at(slow, watch, False) == T0 + 10 * SECOND
    watch, fired = judge(slow, watch, False, reading(12, T0 + 9 * SECOND))
    assert fired == ()
    assert watch is not None
    assert due_events(slow, watch, False, T0 + 10 * SECOND) == ((E.RAISE, T0 + 10 * SECOND),)


def test_a_condition_that_goes_within_its_on_delay_raises_nothing() -> None:
    slow = definition(on_delay="10s")
    watch, _ = judge(slow, None, False, reading(11))
    watch, fired = judge(slow, watch, False, reading(5, T0 + 5 * SECOND))
    assert fired == ()
    assert watch is not None
    assert due_events(slow, watch, False, T0 + 60 * SECOND) == ()


def test_a_late_reading_does_not_move_the_live_state_back() -> None:
    watch, _ = judge(definition(), None, False, reading(11, T0 + 10))
    again, fired = judge(definition(), watch, True, reading(5, T0))
    assert (again, fired) == (watch, ())


def test_a_press_with_a_clock_that_went_back_still_raises() -> None:
    watch, _ = judge(PANIC, None, False, reading(0.0, T0 + 3600 * SECOND))
    again, fired = judge(PANIC, watch, False, reading(1.0, T0))
    assert again == watch
    assert [event for event, _ in fired] == [E.RAISE, E.CLEAR]


def test_every_event_of_an_event_point_raises() -> None:
    press = definition(
        **{"class": "panic", "priority": "critical", "condition": Condition(present=True), "latching": True}
    )
    watch, fired = judge(press, None, False, reading(None, T0, "single"))
    assert [event for event, _ in fired] == [E.RAISE, E.CLEAR]
    _, fired = judge(press, watch, False, reading(None, T0, "single"))
    assert [event for event, _ in fired] == [E.RAISE, E.CLEAR]


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 20)), max_size=30), st.integers(0, 40), st.integers(0, 40))
def test_raise_and_clear_alternate_and_none_comes_before_its_delay(
    steps: list[tuple[int, float]], on_delay: int, off_delay: int
) -> None:
    rule = definition(on_delay=on_delay * SECOND, off_delay=off_delay * SECOND, deadband=2.0)
    watch: Watch | None = None
    active, at, since = False, T0, T0
    before: bool | None = None
    for wait, value in steps:
        at += wait * SECOND
        watch, fired = judge(rule, watch, active, reading(value, at))
        assert watch is not None
        if watch.holds != before:
            before, since = watch.holds, at
        for event, when in fired:
            assert (event is E.RAISE) is not active
            assert when == since + (on_delay if event is E.RAISE else off_delay) * SECOND <= at
            active = event is E.RAISE
