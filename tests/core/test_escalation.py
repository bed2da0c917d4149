"""Who is told, when: the choice of a policy, the rows of a round, the way from round to round."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.escalation import (
    Due,
    Plan,
    Policy,
    Step,
    Uncovered,
    check_policy,
    covers,
    idempotency_key,
    next_round,
    retry_after,
    round_of,
    uncovered,
    urgency,
)
from hub.errors import BadInput
from hub.model import SECOND, Priority, SignalClass

FIRE, PANIC, FAULT = SignalClass.FIRE, SignalClass.PANIC, SignalClass.FAULT
CRITICAL, LOW, JOURNAL = Priority.CRITICAL, Priority.LOW, Priority.JOURNAL
ALARM = UUID("11111111-2222-5333-8444-555555555555")

POLICY = Policy(
    id="city",
    signal_classes=frozenset({FIRE, PANIC}),
    priorities=frozenset({CRITICAL}),
    round_every=600 * SECOND,
    steps=(
        Step(1, "guard", "hook"),
        Step(2, "head", "mail", delay=60 * SECOND, repeat_every=30 * SECOND, repeat_times=2),
    ),
)


def chosen(*policies: Policy, signal_class: SignalClass = FIRE, priority: Priority = CRITICAL) -> str | None:
    policy = covers(policies, "star", "140403001", signal_class, priority)
    return None if policy is None else policy.id


def test_the_most_specific_policy_wins() -> None:
    everywhere = POLICY
    city = replace(POLICY, id="b-city", division="1404")
    district = replace(POLICY, id="a-district", division="140403")
    own = replace(POLICY, id="own", institution="star")
    assert chosen(everywhere) == "city"
    assert chosen(everywhere, city) == "b-city"
    assert chosen(district, everywhere, city) == "a-district"
    assert chosen(district, own, everywhere, city) == "own"


def test_between_equal_places_the_one_that_says_more_wins() -> None:
    city = replace(POLICY, division="1404", id="m-city")
    typed = replace(city, id="n-typed", institution_types=frozenset({"home"}))
    two_types = replace(typed, id="a-two-types", institution_types=frozenset({"home", "centre"}))
    fire = replace(city, id="n-fire", signal_classes=frozenset({FIRE}))
    lower = replace(city, id="a-lower", priorities=frozenset({CRITICAL, LOW}))
    group = replace(POLICY, id="z-group", group="chain")
    here = ("star", "140403001", FIRE, CRITICAL, "home", ("chain",))

    def of(*policies: Policy) -> str:
        found = covers(policies, *here)
        assert found is not None
        assert found == covers(policies[::-1], *here)
        return found.id

    assert of(city, typed, two_types) == "n-typed"
    assert of(city, two_types, fire) == "a-two-types"
    assert of(city, fire, lower) == "n-fire"
    assert of(city, lower) == "m-city"
    assert of(city, replace(city, id="a-city")) == "a-city"
    assert of(typed, replace(POLICY, id="district", division="140403")) == "district", "place comes before type"
    assert of(typed, group) == "z-group"
    assert of(group, replace(POLICY, id="own", institution="star")) == "own"


def test_a_policy_for_other_types_or_groups_covers_nothing() -> None:
    for other in (replace(POLICY, institution_types=frozenset({"home"})), replace(POLICY, group="chain")):
        assert covers([other], "star", "140403", FIRE, CRITICAL, "centre", ("pilot",)) is None


def test_a_policy_of_another_place_class_or_priority_covers_nothing() -> None:
    assert chosen(replace(POLICY, division="140404")) is None
    assert chosen(replace(POLICY, institution="moon")) is None
    assert chosen(POLICY, signal_class=FAULT) is None
    assert chosen(POLICY, priority=LOW) is None


def test_a_specific_policy_that_is_not_for_this_class_leaves_the_alarm_to_a_wider_one() -> None:
    own = replace(POLICY, id="own", institution="star", signal_classes=frozenset({FAULT}))
    assert chosen(own, POLICY) == "city"


def test_a_policy_without_steps_covers_nothing() -> None:
    assert chosen(replace(POLICY, steps=())) is None


def test_between_equals_the_smallest_id_is_taken_whatever_their_order() -> None:
    a, b = replace(POLICY, id="a"), replace(POLICY, id="b")
    assert chosen(a, b) == chosen(b, a) == "a"


def test_journal_is_never_paged() -> None:
    anything = replace(POLICY, priorities=frozenset(Priority), signal_classes=frozenset(SignalClass))
    assert chosen(anything, priority=LOW) == "city"
    assert chosen(anything, priority=JOURNAL) is None


def test_fire_and_panic_devices_that_nobody_would_hear_of_are_named() -> None:
    alarms_of_devices = [
        ("smoke-1", FIRE, CRITICAL),
        ("smoke-1", FAULT, LOW),
        ("button-1", PANIC, CRITICAL),
        ("button-1", PANIC, CRITICAL),
    ]
    only_fire = replace(POLICY, signal_classes=frozenset({FIRE}))
    assert uncovered([POLICY], "star", "140403", alarms_of_devices) == ()
    assert uncovered(iter([only_fire]), "star", "140403", alarms_of_devices) == (Uncovered("button-1", PANIC),)
    assert uncovered([], "star", "140403", alarms_of_devices) == (
        Uncovered("button-1", PANIC),
        Uncovered("smoke-1", FIRE),
    )


def test_a_round_is_every_step_with_its_repetitions_in_order_of_time() -> None:
    late_first = replace(POLICY.steps[0], delay=70 * SECOND)
    plan = replace(POLICY.plan, steps=(late_first, POLICY.steps[1]))
    assert round_of(plan, 3) == (
        Due(3, 2, 0, "head", "mail", 60 * SECOND),
        Due(3, 1, 0, "guard", "hook", 70 * SECOND),
        Due(3, 2, 1, "head", "mail", 90 * SECOND),
        Due(3, 2, 2, "head", "mail", 120 * SECOND),
    )


def test_rounds_follow_each_other_from_start_to_start_and_are_not_made_up_for() -> None:
    plan = POLICY.plan
    assert next_round(plan, 1, 1, 1000, 1000 + 120 * SECOND) == (2, 1000 + 600 * SECOND)
    long_after = 1000 + 5 * 3600 * SECOND
    assert next_round(plan, 1, 1, 1000, long_after) == (2, long_after)


def test_the_last_round_is_counted_from_where_the_escalation_began() -> None:
    plan = replace(POLICY.plan, max_rounds=2)
    assert next_round(plan, 1, 1, 0, 0) is not None
    assert next_round(plan, 1, 2, 0, 0) is None
    assert next_round(plan, 5, 5, 0, 0) is not None
    assert next_round(plan, 5, 6, 0, 0) is None


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"division": "14", "institution": "star"}, "division"),
        ({"signal_classes": frozenset()}, "signal_classes"),
        ({"priorities": frozenset({JOURNAL})}, "priorities"),
        ({"steps": ()}, "steps"),
        ({"steps": (Step(2, "guard", "hook"),)}, "steps"),
        ({"group": "chain", "institution": "star"}, "division"),
        ({"group": "chain", "division": "14"}, "division"),
        ({"institution": "star", "institution_types": frozenset({"home"})}, "institution_types"),
        ({"steps": (Step(1),)}, r"steps\.1: name a responder or a rota"),
        ({"steps": (Step(1, "guard", rota="duty"),)}, r"steps\.1: name a responder or a rota"),
        ({"steps": (Step(1, channel="hook", rota="duty"),)}, r"steps\.1: channel"),
        ({"steps": (Step(1, "guard", "hook", kinds=2),)}, r"steps\.1: channel"),
        ({"steps": (Step(1, "guard", kinds=0),)}, r"steps\.1: kinds"),
        ({"steps": (Step(1, "guard", kinds=6),)}, r"steps\.1: kinds"),
        ({"steps": (Step(1, "guard", "hook", delay=-1),)}, "steps.1"),
        ({"steps": (Step(1, "guard", "hook", repeat_times=1),)}, "steps.1"),
        ({"steps": (Step(1, "guard", "hook", repeat_times=-1),)}, "steps.1"),
        ({"max_rounds": 0}, "max_rounds"),
        ({"lapse_after": 86_401 * SECOND}, "lapse_after"),
        ({"lapse_after": 0}, "lapse_after"),
        ({"remind_after": 60 * SECOND}, "remind_after"),
        ({"remind_after": 60 * SECOND, "lapse_after": 60 * SECOND}, "remind_after"),
        ({"remind_after": 0, "lapse_after": 60 * SECOND}, "remind_after"),
        ({"round_every": SECOND - 1}, "round_every"),
        ({"round_every": 119 * SECOND}, "round_every"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused_with_policy_and_key(
    changed: dict[str, object], where: str
) -> None:
    check_policy(POLICY)
    with pytest.raises(BadInput, match=rf"policy city: {where}"):
        check_policy(replace(POLICY, **changed))  # type: ignore[arg-type]


steps = st.lists(
    st.builds(
        Step,
        n=st.just(0),
        responder=st.sampled_from(["guard", "head"]),
        channel=st.sampled_from(["hook", "mail"]),
        delay=st.integers(0, 100 * SECOND),
        repeat_every=st.integers(SECOND, 50 * SECOND),
        repeat_times=st.integers(0, 4),
    ),
    min_size=1,
    max_size=5,
).map(lambda found: tuple(replace(step, n=n) for n, step in enumerate(found, 1)))


@given(steps, st.integers(1, 50), st.one_of(st.none(), st.integers(1, 5)), st.data())
def test_no_escalation_ends_before_its_rounds_are_through_and_no_key_comes_twice(
    found: tuple[Step, ...], first: int, max_rounds: int | None, data: st.DataObject
) -> None:
    plan = Plan(max(step.last_offset for step in found) + SECOND, max_rounds, found)
    number, start, now = first, 0, 0
    keys: set[UUID] = set()
    rounds = 0
    while rounds < 8:
        rows = round_of(plan, number)
        assert [row.offset for row in rows] == sorted(row.offset for row in rows)
        assert len(rows) == sum(step.repeat_times + 1 for step in found)
        keys |= {idempotency_key(ALARM, row) for row in rows}
        rounds += 1
        assert len(keys) == rounds * len(rows)
        now = max(now, start + rows[-1].offset) + data.draw(st.integers(0, 1000 * SECOND), label="late by")
        following = next_round(plan, first, number, start, now)
        if following is None:
            assert rounds == max_rounds
            return
        assert following[0] == number + 1
        assert following[1] >= max(now, start + plan.round_every)
        number, start = following
    assert max_rounds is None or max_rounds > rounds


@given(st.lists(st.sampled_from(["14", "1404", "140403", "140404", "1404031", None]), max_size=5), st.booleans())
def test_the_chosen_place_is_never_wider_than_another_that_fits(divisions: list[str | None], own: bool) -> None:
    policies = [replace(POLICY, id=f"p{n}", division=division) for n, division in enumerate(divisions)]
    if own:
        policies.append(replace(POLICY, id="own", institution="star"))
    found = covers(policies, "star", "140403", FIRE, CRITICAL)
    fitting = [p for p in policies if p.institution == "star" or p.division is None or "140403".startswith(p.division)]
    if not fitting:
        assert found is None
        return
    assert found is not None
    assert found in fitting
    if own:
        assert found.id == "own"
    else:
        assert len(found.division or "") == max(len(p.division or "") for p in fitting)


@given(st.integers(1, 10_000), st.floats(0, 1), st.booleans())
def test_a_retry_waits_some_time_and_never_longer_than_its_bound(attempt: int, chance: float, urgent: bool) -> None:
    wait = retry_after(attempt, chance, urgent)
    assert SECOND // 10 <= wait <= (30 if urgent else 600) * SECOND
    assert wait <= max(SECOND // 10, SECOND * 2 ** (attempt - 1))


@given(st.integers(1, 10_000), st.floats(0, 1), st.booleans(), st.integers(0, 10**12))
def test_who_asks_to_be_left_alone_is_but_a_fire_waits_for_nobody_for_long(
    attempt: int, chance: float, urgent: bool, asked: int
) -> None:
    longest = (30 if urgent else 600) * SECOND
    wait = retry_after(attempt, chance, urgent, asked)
    assert min(asked, longest) <= wait <= longest


def test_the_bound_of_retries_grows_twofold_from_one_second() -> None:
    assert [retry_after(n, 1.0, True) // SECOND for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert retry_after(30, 1.0, False) == 600 * SECOND


def test_fire_and_panic_go_first() -> None:
    assert {signal_class: urgency(signal_class) for signal_class in SignalClass if urgency(signal_class) == 0} == {
        FIRE: 0,
        PANIC: 0,
    }


def test_the_idempotency_key_is_the_same_in_every_release() -> None:
    row = Due(2, 1, 0, "guard", "hook", 0)
    assert idempotency_key(ALARM, row) == UUID("a2bba8de-90c2-5f9f-aa5f-6059e46e206e")
