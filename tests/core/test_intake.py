"""A batch of messages judged without a database: order, conservation, presses, health, function tests."""

import json
import random
from collections import Counter
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from hub.core.draft import Draft
from hub.core.lane import State
from hub.core.supervision import tick
from hub.model import AdminState, FunctionState, Lane, Series
from tests.core.lane_world import SECOND, T0, World, device, registry, sample


def function_of(world: World, name: str) -> FunctionState:
    return world.state.live[name].function


# what must never stop the lane -----------------------------------------------------------------------------------


def test_a_beat_of_any_size_is_taken() -> None:
    world = World()
    for uptime in (1e308, -1e308, 0.0):
        world.beat(uptime)
    assert world.state.streams[world.stream].upto == 3


def test_what_a_gateway_says_of_a_device_is_kept_and_never_counts_as_heard_from_it() -> None:
    world = World()
    for second, reachable in enumerate((True, False, True)):
        world.say(sample("button-1", "reachable", reachable, T0 + second * SECOND))
        assert world.state.latest[Series("button-1", "reachable")].value == reachable
        assert Draft(world.state, world.registry, T0).live_of("button-1").heard is None
    world.say(sample("button-1", "battery", 20.0, T0 + 3 * SECOND))
    assert world.state.live["button-1"].heard == T0 + 3 * SECOND


# health ----------------------------------------------------------------------------------------------------------


def proven(world: World, name: str) -> None:
    live = Draft(world.state, world.registry, T0).live_of(name)
    world.state.live[name] = live._replace(proven=True, function=FunctionState.OK)


def test_an_old_good_value_from_a_spool_does_not_heal_what_is_broken_now() -> None:
    world = World()
    proven(world, "button-1")
    world.say(sample("button-1", "fault", True, T0))
    world.say(sample("button-1", "fault", False, T0 - 60 * SECOND))
    assert function_of(world, "button-1") is FunctionState.FAILED


def test_after_a_restart_a_fault_still_stands_and_still_ends() -> None:
    world = World()
    proven(world, "button-1")
    world.say(sample("button-1", "fault", True, T0), sample("button-1", "battery", 101.0, T0))
    before = world.state
    world.state = State(latest=before.latest, live=before.live, streams=before.streams)  # what the store keeps
    world.state.remember_faults(world.registry)
    assert world.state.faults == before.faults
    world.say(sample("button-1", "battery", 50.0, T0 + SECOND))
    assert function_of(world, "button-1") is FunctionState.FAILED
    world.say(sample("button-1", "fault", False, T0 + 2 * SECOND))
    assert function_of(world, "button-1") is FunctionState.OK


# function tests ----------------------------------------------------------------------------------------------------


def test_a_press_that_waited_in_a_spool_is_no_proof_in_a_test_and_pages() -> None:
    world = World()
    world.tick(requested=[world.trial("button-1")])
    world.now += SECOND
    world.say(sample("button-1", "press", "single", T0 - 3600 * SECOND))
    assert world.alarms() == {"click": "latched_unack"}
    world.say(sample("button-1", "pressed", True, T0 - 1800 * SECOND))
    assert world.alarms()["panic"] == "unack_active"
    assert world.state.tests["button-1"].pressed == frozenset()


def test_what_still_burns_when_a_test_runs_out_is_an_alarm() -> None:
    world = World()
    world.say(sample("smoke-1", "smoke", 0, T0))
    world.tick(requested=[world.trial("smoke-1", 30)])
    world.now += 10 * SECOND
    world.say(sample("smoke-1", "smoke", 1, world.now))
    assert world.alarms() == {}
    world.now += 20 * SECOND
    world.tick()
    world.now += SECOND
    world.tick()
    assert world.alarms() == {"smoke": "unack_active"}


def test_another_part_that_holds_when_a_test_passes_is_an_alarm_at_once() -> None:
    world = World()
    world.tick(requested=[world.trial("button-1", 30)])
    for second, instance, raw in ((1, "left", True), (2, "right", True), (3, "left", False)):
        world.now = T0 + second * SECOND
        draft = world.say(sample("button-1", "pressed", raw, world.now, instance))
    assert list(draft.passed.values()) == ["button-1"]
    assert {alarm.instance for alarm in world.state.alarms.values()} == {"right"}


def test_a_test_that_was_asked_for_is_opened_by_the_hubs_clock() -> None:
    world = World()
    asked = world.trial("button-1", 60)
    world.now += 5 * SECOND
    world.tick(requested=[asked])
    opened = world.state.tests["button-1"]
    assert (opened.opened_at, opened.deadline) == (world.now, world.now + 60 * SECOND)


def test_a_newer_test_takes_the_place_of_one_that_the_store_ended() -> None:
    world = World()
    first, second = world.trial("button-1"), world.trial("button-1")
    world.tick(requested=[first])
    draft = tick(world.state, world.registry, world.lane, world.now, T0, {}, [second])
    assert [trial.id for trial in draft.opened()] == [second.id]


# streams -----------------------------------------------------------------------------------------------------------


def test_the_stream_of_another_client_is_quarantined_and_counted_nowhere() -> None:
    world = World()
    world.say(sample("button-1", "battery", 50.0))
    draft = world.take(world.raw(b"{}", 2, "edge-2"))
    assert [row.code for row in draft.quarantined] == ["client"]
    assert (draft.confirm, dict(draft.tallies)) == ({}, {})


def test_a_gap_and_a_repetition_are_answered_with_what_is_stored() -> None:
    world = World()
    first = world.message(sample("button-1", "battery", 50.0))
    draft = world.take(first, first, world.raw(b"garbage", 5))
    assert list(draft.confirm.values()) == [1]
    assert draft.tallies[world.stream].produced == 1


# presses -----------------------------------------------------------------------------------------------------------


def test_out_of_service_nobody_is_paged_and_back_in_service_what_still_holds_is_an_alarm() -> None:
    resting = device(2, "button-1", "p-button", admin_state=AdminState.OUT_OF_SERVICE)
    world = World(known=registry(device(1, "edge-1", "p-edge"), resting))
    draft = world.say(sample("button-1", "pressed", True))
    assert world.alarms() == {"panic": "unack_active"}
    [alarm] = world.state.alarms.values()
    assert alarm.out_of_service
    assert (draft.begin, draft.stop) == ({}, {})
    world.tick()
    world.registry = registry()
    draft = world.tick()
    assert list(draft.begin) == [alarm.id]
    assert draft.transitions[-1].event == "return_to_service"


def test_a_second_press_with_the_time_of_one_that_has_ended_is_an_alarm_of_its_own() -> None:
    """A device whose clock stands still: all its presses have the same time."""
    world = World()
    draft = world.say(sample("button-1", "press", "single"))
    first = next(iter(draft.touched.values()))[1]
    world.state.alarms.clear()  # acknowledged and reset
    world.state.taken.add(first.id)  # the store said so
    draft = world.say(sample("button-1", "press", "single"))
    second = next(iter(draft.touched.values()))[1]
    assert second.id != first.id
    assert second.raised_at == first.raised_at
    assert list(draft.begin) == [second.id]


def test_a_bad_value_neither_raises_nor_clears() -> None:
    world = World()
    world.say(sample("button-1", "pressed", "yes", T0))
    assert world.alarms() == {}
    world.say(sample("button-1", "pressed", True, T0 + 1))
    world.say(sample("button-1", "pressed", None, T0 + 2, error="no answer"))
    assert world.alarms() == {"panic": "unack_active"}


def test_a_code_that_the_profile_does_not_know_clears_no_fire_and_is_shown() -> None:
    world = World()
    proven(world, "smoke-1")
    world.now += 9 * SECOND
    world.say(sample("smoke-1", "smoke", 1, T0), sample("smoke-1", "smoke", 1, T0 + 3 * SECOND))
    assert world.alarms() == {"smoke": "unack_active"}
    world.say(sample("smoke-1", "smoke", 7, T0 + 4 * SECOND), sample("smoke-1", "smoke", "FIRE", T0 + 5 * SECOND))
    assert world.alarms() == {"smoke": "unack_active"}
    assert function_of(world, "smoke-1") is FunctionState.UNPROVEN
    world.say(sample("smoke-1", "smoke", 0, T0 + 6 * SECOND))
    assert world.alarms() == {"smoke": "unack_cleared"}
    assert function_of(world, "smoke-1") is FunctionState.OK


def test_an_edge_on_the_other_lane_may_only_beat() -> None:
    world = World(Lane.BULK)
    draft = world.say(sample("button-1", "pressed", True), sample("edge-1", "beat", 1.0))
    assert [row.code for row in draft.quarantined] == ["point"]
    assert world.state.beats["edge-1"].uptime == SECOND


# conservation ------------------------------------------------------------------------------------------------------


GOOD_JSON = st.builds(
    lambda d, p, t, r: {"d": d, "p": p, "t": t, "r": r},
    st.sampled_from(["button-1", "smoke-1", "heat-1", "edge-1", "nobody"]),
    st.sampled_from(["pressed", "press", "battery", "smoke", "celsius", "beat", "nonsense"]),
    st.sampled_from([T0, T0, T0 + 1, T0 + SECOND, T0 - 9 * SECOND, 1, T0 + 7200 * SECOND]),
    st.sampled_from([True, False, 0, 1, 50.0, 1e308, "fire", "single"]),
)
BAD_JSON: st.SearchStrategy[object] = st.sampled_from([{"d": "X"}, 7, {"d": "button-1", "p": "pressed", "t": T0}])
MESSAGES = st.one_of(
    st.just(b"garbage"),
    st.just(b'{"v":2}'),
    st.lists(st.one_of(GOOD_JSON, GOOD_JSON, GOOD_JSON, BAD_JSON), max_size=6).map(
        lambda samples: json.dumps({"v": 1, "samples": samples}).encode()
    ),
)


def naive(world: World, payload: bytes, refused: set[int]) -> Counter[str]:
    """Where the samples of one message end, computed one by one from the words of the protocol."""
    counts: Counter[str] = Counter()
    try:
        document = json.loads(payload)
        assert document["v"] == 1
    except (ValueError, AssertionError):
        return Counter(produced=1, quarantined=1)
    for n, item in enumerate(document["samples"]):
        counts["produced"] += 1
        known = isinstance(item, dict) and world.registry.devices.get(str(item.get("d")))
        if (
            not known
            or "r" not in item
            or n in refused
            or item["p"] not in known.profile.points
            or (known.lane is not world.lane and not known.is_edge)
            or (world.lane is Lane.BULK and not known.is_edge and item["t"] in (1, T0 + 7200 * SECOND))
        ):
            counts["quarantined"] += 1
        else:
            record = known.profile.points[item["p"]].record
            counts["beats" if record == "beat" else "events" if record == "event" else "kept"] += 1
    return counts


@given(
    st.sampled_from(list(Lane)),
    st.lists(st.tuples(MESSAGES, st.integers(-1, 1), st.sets(st.integers(0, 5), max_size=1)), max_size=8),
)
def test_everything_produced_ends_in_exactly_one_place(lane: Lane, sent: list[tuple[bytes, int, set[int]]]) -> None:
    world = World(lane)
    expected: Counter[str] = Counter()
    total: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    upto = 0
    for payload, shift, refused in sent:
        seq = max(1, upto + 1 + shift)  # a repetition, the next one, or a gap
        if seq == upto + 1:
            upto = seq
            expected += naive(world, payload, refused)
        draft = world.take(world.raw(payload, seq), refused=frozenset((world.stream, seq, n) for n in refused))
        assert list(draft.confirm.values()) == [upto]
        for tally in draft.tallies.values():
            total += Counter(asdict(tally))
        rows += Counter(stored=len(draft.readings), events=len(draft.events), quarantined=len(draft.quarantined))
    assert total["produced"] == total.total() - total["produced"]
    for name in ("produced", "quarantined", "events", "beats"):
        assert total[name] == expected[name]
    assert total["stored"] + total["suppressed"] + total["duplicates"] == expected["kept"]
    assert all(total[name] == rows[name] for name in ("stored", "events", "quarantined"))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([20.0, 30.0])), max_size=20), st.randoms())
def test_however_it_is_cut_into_messages_and_batches_the_state_is_the_same(
    values: list[tuple[int, float]], chance: random.Random
) -> None:
    samples = [sample("heat-1", "celsius", value, T0 + at) for at, value in values]
    whole, cut = World(Lane.BULK), World(Lane.BULK)
    whole.say(*samples)
    while samples:
        size = chance.randint(1, len(samples))
        cut.take(*(cut.message(each) for each in samples[:size]))
        del samples[:size]
    assert cut.state.latest == whole.state.latest
    assert cut.state.watches == whole.state.watches
