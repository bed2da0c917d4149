"""Drills and proofs: an exercise never takes a real alarm, and nothing marked is taken for real."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core import wire
from hub.core.alarms import Alarm, AlarmState, holds, open_alarm, step, supersede
from hub.core.alarms import AlarmEvent as Event
from hub.core.configuration import public_key
from hub.core.escalation import Plan, Step
from hub.core.exercises import (
    DAY,
    MINUTE,
    PROOF_STREAM,
    PROVEN_EVERY,
    SINK,
    Declared,
    Handed,
    Press,
    Probe,
    check_drill,
    due,
    due_to_tell,
    expected,
    judge_proof,
    mark,
    parse_mark,
    phase,
    plan_of_proof,
    proof_instance,
    proof_stream,
    slot_at,
    slot_start,
    tripping,
    window,
)
from hub.core.lane import Key
from hub.core.normalise import normalise
from hub.core.proof_order import Order, make_order, read_order
from hub.errors import BadInput, Conflict
from hub.model import LIFE_SAFETY, AdminState, Exercise, Lane, Micros, Quality, Sample, Scalar, Series, SignalClass
from hub.profiles import Profile, load_profiles
from tests.core.lane_world import DEVICES, PROFILES, SECOND, T0, World, registry, sample

DRILL = uuid.UUID(int=7)
PROOF = uuid.UUID(int=8)
PANIC = Key("button-1", "panic", "")
CLICK = Key("button-1", "click", "")


def press(n: int = 0, at: Micros = T0, tolerance: Micros = MINUTE, drill: uuid.UUID = DRILL, **changes: Any) -> Press:
    return Press(drill, n, "button-1", SignalClass.PANIC, at - tolerance, at + tolerance)._replace(**changes)


def drilled(*presses: Press, over: Micros = T0 + 10 * MINUTE) -> World:
    """A lane that knows of declared presses of the button."""
    world = World()
    world.state.presses = {"button-1": presses}
    world.state.drills = {one.drill: over for one in presses}
    return world


def pressed(world: World, after: int = 0, point: str = "press", raw: Scalar = "x") -> list[Alarm]:
    """Press the button `after` seconds from the beginning; the alarms that were touched, in the order of their ids' first touch."""
    world.now = T0 + after * SECOND
    draft = world.say(sample("button-1", point, raw, world.now))
    return [alarm for _, alarm in draft.touched.values()]


# drills -------------------------------------------------------------------------------------------------------------


def test_a_declared_press_raises_an_alarm_of_the_drill_that_pages() -> None:
    world = drilled(press())
    world.now = T0 + 5 * SECOND
    draft = world.say(sample("button-1", "press", "x", world.now))
    (alarm,) = world.state.alarms.values()
    assert (alarm.exercise, alarm.exercise_id, alarm.state) == (Exercise.DRILL, DRILL, AlarmState.LATCHED_UNACK)
    assert list(draft.begin) == [alarm.id]
    assert draft.pressed == {(DRILL, 0): (alarm.id, world.now)}


def test_a_second_press_of_the_same_button_is_real_and_pages_by_an_alarm_of_its_own() -> None:
    world = drilled(press())
    (drill,) = pressed(world)
    world.now += 3 * SECOND
    draft = world.say(sample("button-1", "press", "x", world.now))
    real = world.state.alarms[CLICK]
    assert real.exercise is None
    assert real.id != drill.id
    assert real.occurrences == 1
    assert real.id in draft.begin
    assert real.id not in draft.stop
    assert draft.stop == {drill.id: "ended"}
    assert draft.transitions[0].event == "supersede"


def test_a_press_outside_its_minute_is_real() -> None:
    world = drilled(press(at=T0 + 5 * MINUTE))
    (alarm,) = pressed(world)
    assert alarm.exercise is None


def test_two_presses_in_one_message_are_the_declared_one_and_a_real_one() -> None:
    world = drilled(press())
    draft = world.say(sample("button-1", "press", "x", T0), sample("button-1", "press", "x", T0 + SECOND))
    by_kind = {alarm.exercise: alarm for _, alarm in draft.touched.values()}
    assert by_kind.keys() == {None, Exercise.DRILL}
    assert by_kind[Exercise.DRILL].ended_at is not None
    assert by_kind[None].ended_at is None
    assert [id for id in draft.begin if id not in draft.stop] == [by_kind[None].id]


def test_a_second_press_at_the_same_microsecond_has_an_id_of_its_own() -> None:
    world = drilled(press())
    draft = world.say(sample("button-1", "press", "x", T0), sample("button-1", "press", "y", T0))
    assert len({alarm.id for _, alarm in draft.touched.values()}) == 2


def test_a_press_that_was_declared_twice_is_an_occurrence_of_the_drill() -> None:
    world = drilled(press(0), press(1))
    pressed(world)
    (alarm,) = pressed(world, 4)
    assert (alarm.exercise, alarm.occurrences) == (Exercise.DRILL, 2)
    assert world.state.presses["button-1"] == ()


def test_a_declared_press_on_a_real_alarm_is_an_occurrence_of_the_real_one_and_uses_nothing_up() -> None:
    world = drilled(press(at=T0 + 5 * MINUTE))
    (real,) = pressed(world)
    (again,) = pressed(world, 300)
    assert (again.id, again.exercise, again.occurrences) == (real.id, None, 2)
    assert len(world.state.presses["button-1"]) == 1


def test_another_class_than_declared_is_real() -> None:
    world = drilled(press(signal_class=SignalClass.FIRE))
    (alarm,) = pressed(world)
    assert alarm.exercise is None


def test_what_still_holds_when_the_drill_is_over_is_real() -> None:
    world = drilled(press(), over=T0 + 60 * SECOND)
    (drill,) = pressed(world, 0, "pressed", True)
    assert drill.exercise is Exercise.DRILL
    world.now = T0 + 61 * SECOND
    draft = world.tick()
    real = world.state.alarms[PANIC]
    assert (real.exercise, real.state) == (None, AlarmState.UNACK_ACTIVE)
    assert list(draft.begin) == [real.id]
    assert draft.stop == {drill.id: "ended"}


def test_a_drill_that_is_over_ends_its_alarms_and_pages_nobody_any_more() -> None:
    world = drilled(press(), over=T0 + 60 * SECOND)
    (drill,) = pressed(world)
    world.now = T0 + 61 * SECOND
    draft = world.tick()
    assert world.state.alarms == {}
    assert draft.stop == {drill.id: "ended"}
    assert not draft.begin


def test_a_drill_that_the_lane_does_not_know_is_over() -> None:
    world = drilled(press())
    pressed(world)
    world.state.drills = {}
    world.tick()
    assert world.state.alarms == {}


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=8),
    st.lists(st.integers(-50, 150), max_size=12),
)
def test_each_declaration_takes_one_press_at_most_and_the_rest_is_real(
    declared: list[tuple[int, int]], presses: list[int]
) -> None:
    """Against the greatest matching there is: presses come in order, so no declaration is wasted either."""
    plan = [press(n, T0 + at, tolerance) for n, (at, tolerance) in enumerate(declared)]
    used: dict[tuple[uuid.UUID, int], Micros] = {}
    real = 0
    for at in sorted(presses):
        found = expected(plan, used, SignalClass.PANIC, T0 + at)
        if found is None:
            real += 1
            continue
        assert found.key not in used
        assert found.since <= T0 + at <= found.until
        used[found.key] = T0 + at
    assert len(used) + real == len(presses)
    assert len(used) == _greatest(plan, [T0 + at for at in presses])


def _greatest(plan: list[Press], presses: list[Micros]) -> int:
    """The size of the greatest matching, by augmenting paths."""
    taken: dict[int, int] = {}

    def place(n: int, seen: set[int]) -> bool:
        for m, one in enumerate(plan):
            if m in seen or not one.since <= presses[n] <= one.until:
                continue
            seen.add(m)
            if m not in taken or place(taken[m], seen):
                taken[m] = n
                return True
        return False

    return sum(place(n, set()) for n in range(len(presses)))


@given(st.lists(st.sampled_from(["press", "held", "released", "late", "tick", "ack"]), max_size=12), st.data())
def test_whatever_a_drill_does_every_press_beyond_the_declared_ones_pages(
    steps: list[str], data: st.DataObject
) -> None:
    """The naive reference: of n presses, at most as many as were declared may be without a real alarm that was begun after them."""
    world = drilled(press(0, tolerance=20 * SECOND), press(1, T0 + 40 * SECOND, 20 * SECOND), over=T0 + 90 * SECOND)
    after, undeclared, paged = 0, 0, 0
    for name in steps:
        after += data.draw(st.integers(1, 20))
        world.now = T0 + after * SECOND
        if name == "tick":
            world.tick()
            continue
        if name == "ack":
            for key, alarm in list(world.state.alarms.items()):
                if alarm.acknowledged_at is None and alarm.state is not AlarmState.NORMAL:
                    world.state.alarms[key] = step(alarm, Event.ACKNOWLEDGE, world.now, "someone")[0]
            continue
        before = world.state.alarms.get(CLICK)
        left = len(world.state.presses["button-1"])
        draft = world.say(sample("button-1", "press", name, world.now))
        if len(world.state.presses["button-1"]) == left:
            undeclared += 1
            real = world.state.alarms[CLICK]
            assert real.exercise is None
            running = before is not None and before.id == real.id and before.acknowledged_at is None
            paged += real.id in draft.begin or running
    assert paged == undeclared


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"ends_at": T0 - 1}, "ends_at"),
        ({"ends_at": T0 + 13 * 60 * MINUTE}, "ends_at"),
        ({"presses": []}, "presses"),
        ({"presses": [Declared("a", "b", SignalClass.ACCESS, T0, MINUTE)]}, "presses.0.signal_class"),
        ({"presses": [Declared("a", "b", SignalClass.PANIC, T0, 0)]}, "presses.0.tolerance"),
        ({"presses": [Declared("a", "b", SignalClass.PANIC, T0 + 2 * 60 * MINUTE, MINUTE)]}, "presses.0.at"),
        ({"now": T0 + SECOND}, "presses.0.at"),
    ],
)
def test_a_declaration_that_does_not_hold_is_refused_by_its_key(change: dict[str, object], key: str) -> None:
    given_: dict[str, object] = {
        "starts_at": T0,
        "ends_at": T0 + 60 * MINUTE,
        "presses": [Declared("a", "b", SignalClass.PANIC, T0, MINUTE)],
        "now": T0,
    }
    check_drill(**given_)  # type: ignore[arg-type]
    with pytest.raises(BadInput) as refusal:
        check_drill(**given_ | change)  # type: ignore[arg-type]
    assert refusal.value.where == key


def test_no_press_from_before_the_declaration_is_ever_the_drills() -> None:
    assert window(T0 + 10, 60, T0) == (T0, T0 + 70)


def test_a_real_alarm_is_never_superseded() -> None:
    definition = PROFILES["p-button"].alarms["click"]
    alarm = open_alarm("button-1", "click", "", definition, T0, T0)
    with pytest.raises(Conflict, match="real"):
        supersede(alarm, T0, "")
    ended, transition = supersede(alarm._replace(exercise=Exercise.DRILL), T0, "over")
    assert (ended.state, ended.ended_at, transition.event) == (AlarmState.NORMAL, T0, "supersede")


# proofs -------------------------------------------------------------------------------------------------------------


def proving(key: Key = CLICK, **world: object) -> World:
    """A lane that knows of one open proof."""
    made = World(**world)  # type: ignore[arg-type]
    made.state.probes = {PROOF: Probe(PROOF, *key)}
    return made


def marked(
    point: str = "press", raw: Scalar | None = "proof", hop: str = "", error: str | None = None, at: Micros = T0
) -> Sample:
    return sample("button-1", point, raw, at, error=error)._replace(mark=mark(Exercise.PROOF, PROOF, hop))


def test_a_marked_sample_raises_the_alarm_of_a_proof_and_nothing_else_moves() -> None:
    world = proving(PANIC)
    draft = world.say(marked("pressed", True))
    (alarm,) = world.state.alarms.values()
    assert (alarm.exercise, alarm.exercise_id, alarm.state) == (Exercise.PROOF, PROOF, AlarmState.LATCHED_UNACK)
    assert list(draft.begin) == [alarm.id]
    assert draft.probed[PROOF].alarm == alarm.id
    assert not draft.readings
    assert not draft.events
    assert not draft.latest
    assert not draft.watches
    assert not draft.live
    assert not draft.beats
    assert not draft.faults
    assert not draft.quarantined
    (tally,) = draft.tallies.values()
    assert (tally.produced, tally.beats) == (1, 1)


def test_a_real_press_ends_a_proof_and_pages() -> None:
    world = proving()
    world.say(marked())
    (proof,) = world.state.alarms.values()
    world.now += SECOND
    draft = world.say(sample("button-1", "press", "x", world.now))
    real = world.state.alarms[CLICK]
    assert real.exercise is None
    assert real.id in draft.begin
    assert draft.stop == {proof.id: "ended"}
    assert draft.probed[PROOF].ended == "preempted"


def test_a_proof_stands_back_where_a_real_alarm_stands() -> None:
    world = proving()
    (real,) = pressed(world)
    draft = world.say(marked())
    assert draft.probed[PROOF].ended == "preempted"
    assert draft.probed[PROOF].alarm is None
    assert not draft.touched
    assert world.state.alarms[CLICK] == real


def test_a_proof_stands_back_in_a_function_test() -> None:
    world = proving()
    world.tick(requested=[world.trial("button-1")])
    assert world.say(marked()).probed[PROOF].ended == "preempted"
    assert not world.state.alarms
    assert world.state.tests["button-1"].pressed == frozenset()


def test_a_proof_and_a_real_press_in_one_message_page_the_real_one() -> None:
    for order in ((0, 1), (1, 0)):
        world = proving()
        both = marked(), sample("button-1", "press", "x", T0)
        draft = world.say(*(both[n] for n in order))
        real = world.state.alarms[CLICK]
        assert real.exercise is None
        assert real.id in draft.begin
        assert real.id not in draft.stop
        assert draft.probed[PROOF].ended == "preempted"


def test_a_marked_sample_of_no_open_proof_is_quarantined() -> None:
    world = World()
    draft = world.say(marked())
    assert [row.code for row in draft.quarantined] == ["mark"]
    assert not draft.touched
    other = proving(Key("smoke-1", "smoke", ""))
    assert [row.code for row in other.say(marked()).quarantined] == ["mark"]


def test_a_value_at_which_the_rule_does_not_hold_fails_the_proof() -> None:
    world = proving(PANIC)
    assert world.say(marked("pressed", False)).probed[PROOF].ended == "failed"
    assert not world.state.alarms


def test_a_device_out_of_service_is_not_proven() -> None:
    devices = [replace(d, admin_state=AdminState.OUT_OF_SERVICE) if d.id == "button-1" else d for d in DEVICES]
    world = proving(known=registry(*devices))
    assert "out_of_service" in world.say(marked()).probed[PROOF].reason


def test_hops_are_noted_and_a_refusal_ends_the_proof_with_its_reason() -> None:
    world = proving()
    draft = world.say(marked(hop="spooled"), marked(raw=None, hop="refused", error="the link is down"))
    assert [(hop.hop, hop.text) for hop in draft.hops] == [("spooled", ""), ("refused", "the link is down")]
    assert draft.probed[PROOF].ended == "failed"
    assert "the link is down" in draft.probed[PROOF].reason


def test_a_proof_that_is_over_ends_its_alarm() -> None:
    world = proving()
    world.say(marked())
    world.state.probes = {}
    draft = world.tick()
    assert world.state.alarms == {}
    assert not draft.begin


def test_a_hop_that_is_told_after_the_proofs_end_is_noted_and_nothing_else() -> None:
    world = proving()
    world.state.probes = {PROOF: Probe(PROOF, *CLICK, open=False)}
    draft = world.say(marked(hop="spooled"), marked(), marked(raw=None, hop="refused", error="late"))
    assert [hop.hop for hop in draft.hops] == ["spooled", "refused"]
    assert not draft.probed
    assert not draft.touched
    assert not draft.quarantined


def test_what_the_hub_says_for_a_client_is_no_sign_of_its_life() -> None:
    world = proving()
    message = world.raw(world.message(marked()).payload, 1, stream=proof_stream("edge-1"))
    draft = world.take(message)
    assert draft.clients == {}
    assert draft.probed
    assert proof_stream("edge-1").startswith(PROOF_STREAM)


@given(st.text(max_size=80))
def test_a_mark_is_read_or_refused(text: str) -> None:
    try:
        hop = parse_mark(text)
    except BadInput:
        return
    assert mark(*hop) == text


# the scheduler ------------------------------------------------------------------------------------------------------


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=40), st.integers(T0, T0 + 400 * DAY))
def test_every_calendar_month_has_two_proofs_and_no_fifteen_days_are_without(name: str, now: Micros) -> None:
    slot = slot_at(name, now)
    assert slot_start(name, slot) <= now < slot_start(name, slot + 1)
    assert slot_start(name, slot + 2) - slot_start(name, slot) == 28 * DAY
    assert 0 <= phase(name) < PROVEN_EVERY


def test_the_proofs_of_many_institutions_are_spread_evenly() -> None:
    bins = [0] * 14
    for n in range(14_000):
        bins[phase(f"garden-{n}") // DAY] += 1
    assert min(bins) > 850
    assert max(bins) < 1150


@given(st.integers(0, 60), st.integers(1, 10))
def test_after_a_time_away_each_institution_is_asked_once_a_few_at_a_time(away: int, room: int) -> None:
    names = [f"garden-{n}" for n in range(30)]
    done = {name: slot_at(name, T0) for name in names}
    now = T0 + away * DAY
    asked: list[str] = []
    while batch := due(done, now, room):
        assert len(batch) <= room
        for name, slot in batch:
            asked.append(name)
            done[name] = slot
    assert len(asked) == len(set(asked))
    assert set(asked) == {name for name in names if slot_at(name, now) > slot_at(name, T0)}


# what is injected, and when it has passed ---------------------------------------------------------------------------

SHIPPED = load_profiles([data_folder("device-profiles")])
URGENT = [
    (profile, name)
    for profile in SHIPPED.values()
    for name, definition in profile.alarms.items()
    if definition.signal_class in LIFE_SAFETY
]


@pytest.mark.parametrize(
    ("profile", "name"), URGENT, ids=lambda value: value if isinstance(value, str) else value.profile
)
def test_every_fire_and_panic_alarm_of_the_shipped_profiles_can_be_proven(profile: Profile, name: str) -> None:
    definition = profile.alarms[name]
    point = profile.points[definition.point]
    series = Series("any", definition.point, proof_instance(point))
    told = Sample(series, T0, tripping(definition, point), mark=mark(Exercise.PROOF, PROOF))
    (read,) = wire.decode_up(wire.encode_up([told])).samples
    assert read.sample.mark == told.mark
    reading = normalise(read.sample, point, T0, Lane.URGENT)
    assert reading.quality < Quality.BAD_RANGE
    assert holds(definition.condition, 0.0, False, reading.value, reading.text)


def handed(responder: str, state: str = "sent") -> Handed:
    return Handed(responder, "hook", state, T0, T0, T0)


@pytest.mark.parametrize(
    ("notifications", "escalation", "tell", "state"),
    [
        ([], "uncovered", "sink", "failed"),
        ([], "", "sink", "raised"),
        ([handed(SINK)], "running", "sink", "passed"),
        ([handed(SINK, "pending")], "running", "sink", "raised"),
        ([handed(SINK, "failed")], "running", "sink", "failed"),
        ([handed(SINK), handed(SINK, "pending")], "running", "sink", "raised"),
        ([handed(SINK)], "running", "responders", "raised"),
        ([handed("guard")], "running", "responders", "raised"),
        ([handed(SINK), handed("guard")], "running", "responders", "passed"),
        ([handed(SINK), handed("guard", "failed")], "running", "responders", "failed"),
    ],
)
def test_a_proof_has_passed_when_everybody_who_was_to_be_told_has_it(
    notifications: list[Handed], escalation: str, tell: str, state: str
) -> None:
    assert judge_proof(notifications, escalation, tell)[0] == state


def test_the_plan_of_a_proof_reaches_the_sink_and_nobody_else_unless_it_says_so() -> None:
    policy = Plan(60 * SECOND, None, (Step(1, "guard", "hook"), Step(2, "head", "mail", delay=SECOND)))
    assert {step.responder for step in plan_of_proof(None, ["sink", "hook"]).steps} == {SINK}
    told = plan_of_proof(policy, ["sink"]).steps
    assert [(step.n, step.responder) for step in told] == [(1, "guard"), (2, "head"), (3, SINK)]


@given(st.integers(0, 2 * 366), st.integers(0, 23))
def test_people_are_told_of_proofs_in_their_office_hours_alone(day: int, hour: int) -> None:
    """Beijing's nine to five, which is one to nine in the morning, UTC."""
    now = T0 // DAY * DAY + day * DAY + hour * 60 * MINUTE
    waiting = {"garden": slot_at("garden", now) - 2}
    assert bool(due_to_tell(waiting, now, 9)) == (1 <= hour < 9)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_an_order_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(BadInput):
        read_order(payload, "edge-1", public_key(bytes(32)))


@given(st.text("abcdef0123456789", min_size=1, max_size=20), st.booleans() | st.integers(-9, 9) | st.text(max_size=20))
def test_an_order_is_read_by_its_edge_and_by_nobody_else(device: str, value: Scalar) -> None:
    order = Order("edge-1", PROOF, Series(device, "pressed"), value, "edge", T0)
    payload = make_order(order, bytes(32))
    assert read_order(payload, "edge-1", public_key(bytes(32))) == order
    for edge, key in (("edge-2", bytes(32)), ("edge-1", bytes(range(32)))):
        with pytest.raises(BadInput):
            read_order(payload, edge, public_key(key))
