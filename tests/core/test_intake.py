"""A batch of messages judged without a database: order, conservation, presses, health, function tests."""

from hub.core.draft import Draft, State
from hub.core.supervision import tick
from hub.model import AdminState, FunctionState, Lane
from tests.core.lane_world import SECOND, T0, World, device, registry, sample


def function_of(world: World, name: str) -> FunctionState:
    return world.state.live[name].function


# what must never stop the lane -----------------------------------------------------------------------------------


def test_a_beat_of_any_size_is_taken() -> None:
    world = World()
    for uptime in (1e308, -1e308, 0.0):
        world.beat(uptime)
    assert world.state.streams[world.stream].upto == 3


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
    world.say(sample("button-1", "pressed", True))
    assert world.alarms() == {}
    world.registry = registry()
    world.tick()
    assert world.alarms() == {"panic": "unack_active"}


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


def test_an_edge_on_the_other_lane_may_only_beat() -> None:
    world = World(Lane.BULK)
    draft = world.say(sample("button-1", "pressed", True), sample("edge-1", "beat", 1.0))
    assert [row.code for row in draft.quarantined] == ["point"]
    assert world.state.beats["edge-1"].uptime == SECOND
