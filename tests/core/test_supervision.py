"""What time alone does: silence, delays, tests that run out. And one device's alarm against a naive model."""

import itertools
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
import yaml
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.config import data_folder
from hub.core.alarms import AlarmEvent, AlarmState, Transition, step
from hub.core.draft import Draft
from hub.core.supervision import BEHIND, tick
from hub.errors import Conflict
from hub.model import AdminState, FunctionState, Lane, LinkState
from hub.profiles import parse_profile
from tests.core.lane_world import PROFILES, SECOND, T0, World, device, registry, sample


def link_of(world: World, name: str) -> tuple[str, str]:
    verdict = world.state.live[name].link
    return str(verdict.state), verdict.cause


# silence -------------------------------------------------------------------------------------------------------------


def test_a_device_is_offline_only_after_its_edge_beat_without_it() -> None:
    world = World(Lane.BULK)
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.beat()
    world.tick()
    assert link_of(world, "heat-1") == ("online", "")
    world.now += 4 * SECOND
    world.tick()
    assert link_of(world, "heat-1") == ("unknown", "edge")
    world.beat()
    world.tick()
    assert link_of(world, "heat-1") == ("offline", "device")
    assert world.alarms() == {"silent": "unack_active"}


def test_of_a_client_that_is_left_out_nothing_moves_and_all_of_it_does_once_it_is_not() -> None:
    """Its rows are held by somebody: what time does to its devices waits, and is lost by nothing."""
    world = World(Lane.BULK)
    world.say(sample("heat-1", "celsius", 50.0, world.now))
    world.beat()
    world.tick()
    world.now += 2 * SECOND  # the delay of an alarm is over, and then silence begins
    about = world.state, world.registry, world.lane, world.now, T0 - 3600 * SECOND, world.clients
    assert tick(*about).moved_clients() == {"edge-1"}
    draft = tick(*about, left_out={"edge-1"})
    assert (draft.moved_clients(), draft.touched, draft.changes, draft.transitions) == (set(), {}, [], [])
    draft.settle()
    assert tick(*about).touched
    world.now += 10 * SECOND
    about = *about[:3], world.now, *about[4:]
    draft = tick(*about, left_out={"edge-1"})
    assert (draft.moved_clients(), draft.changes) == (set(), [])
    draft.settle()
    assert {"edge-1"} == tick(*about).moved_clients()


def holding_world(offline_after: str = "3s") -> World:
    """An edge that says how long its spool can hold."""
    document = {
        "profile": "p-holding",
        "kind": "edge",
        "vendor": "anxin",
        "model": "edge",
        "title": {"zh": "网关", "en": "edge"},
        "source": "our own",
        "driver": "edge",
        "liveness": {"beat": "1s", "offline_after": offline_after},
        "points": {
            "beat": {"title": {"zh": "心跳", "en": "beat"}, "type": "float", "record": "beat"},
            "hold_seconds": {"title": {"zh": "缓存", "en": "hold"}, "type": "int"},
            "clock_skew": {"title": {"zh": "钟", "en": "clock"}, "type": "float"},
        },
        "alarms": {
            "spool_ends": {
                "title": {"zh": "满", "en": "full"},
                "class": "supervisory",
                "priority": "high",
                "point": "hold_seconds",
                "condition": {"below": 14400},
                "deadband": 3600,
                "response": {"zh": "看", "en": "look"},
            }
        },
        "test": {"seen": ["beat"]},
    }
    profile = parse_profile(document, "world")
    edge = replace(device(1, "edge-1", "p-edge"), profile=profile, lane=Lane.BULK)
    return World(Lane.BULK, registry(edge, device(4, "heat-1", "p-heat")))


def test_while_an_edge_is_not_heard_the_time_that_its_spool_can_hold_runs_out_and_is_an_alarm() -> None:
    world = holding_world()
    world.beat()
    world.say(sample("edge-1", "hold_seconds", 20_000, world.now))
    for silent in (100, 5_000):
        world.now += silent * SECOND
        world.tick()
        assert world.alarms() == {}
    world.now += 1_000 * SECOND
    world.tick()
    assert world.alarms() == {"spool_ends": "unack_active"}
    quiet = world.tick()
    assert (quiet.transitions, quiet.readings) == ([], [])
    world.now += 10 * SECOND
    world.say(sample("edge-1", "beat", 30_000.0, world.now), sample("edge-1", "hold_seconds", 90_000, world.now))
    assert world.alarms() == {"spool_ends": "unack_cleared"}


def test_an_edge_that_is_heard_says_itself_how_long_its_spool_can_hold() -> None:
    world = holding_world()
    world.say(sample("edge-1", "hold_seconds", 20_000, world.now))
    for _ in range(8):
        world.now += 1000 * SECOND
        world.beat()
        world.tick()
    assert world.alarms() == {}


def test_what_an_edge_with_a_wrong_clock_says_of_itself_is_taken() -> None:
    world = holding_world()
    wrong = [sample("edge-1", "clock_skew", 9e8, at) for at in (world.now + 9 * 10**14, 0)]
    draft = world.say(*wrong, sample("heat-1", "celsius", 20.0, 0))
    assert [row.code for row in draft.quarantined] == ["time"]
    assert [reading.at for reading in draft.readings] == [world.now, world.now + 1][: len(draft.readings)]
    assert len(draft.readings) >= 1


def test_an_edge_whose_session_ended_takes_its_devices_into_the_unknown_until_it_is_heard_again() -> None:
    world = holding_world("30s")
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.beat()
    died = world.now
    for after, expected in ((0, "online"), (4, "online"), (6, "unknown"), (20, "unknown")):
        world.now = died + after * SECOND
        since = T0 - 3600 * SECOND
        draft = tick(world.state, world.registry, world.lane, world.now, since, world.clients, (), {"edge-1": died})
        world.settle(draft)
        assert link_of(world, "edge-1")[0] == expected
        assert link_of(world, "heat-1")[0] == ("online" if expected == "online" else "unknown")
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.beat()
    world.tick()
    assert link_of(world, "edge-1") == ("online", "")


def test_a_hub_that_hears_nothing_calls_nobody_online_and_nobody_offline() -> None:
    world = World(Lane.BULK)
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.beat()
    world.tick()
    for _ in range(10):
        world.now += 60 * SECOND
        world.tick(since=world.now)  # deaf
    assert {link_of(world, name) for name in ("edge-1", "heat-1")} == {("unknown", "hub")}
    assert world.alarms() == {}


def test_an_errors_only_device_is_not_heard() -> None:
    world = World(Lane.BULK)
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.beat()
    for _ in range(5):
        world.now += SECOND
        world.say(sample("heat-1", "celsius", None, world.now, error="no answer"))
        world.beat()
        world.tick()
    assert link_of(world, "heat-1") == ("offline", "device")


def test_a_device_whose_own_clock_runs_ahead_is_missed_all_the_same() -> None:
    world = World(Lane.BULK)
    world.beat()
    world.say(sample("heat-1", "celsius", 20.0, world.now + 4 * SECOND))
    for _ in range(8):
        world.now += SECOND
        world.beat()
        world.tick()
    assert link_of(world, "heat-1") == ("offline", "device")


def test_an_edge_whose_clock_goes_back_makes_no_silent_device_online() -> None:
    world = World(Lane.BULK)
    world.beat()
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.now -= 1800 * SECOND  # hub and edge follow the same wrong source, which is put right
    world.beat()
    world.tick()
    assert link_of(world, "heat-1") == ("unknown", "edge")
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.tick()
    assert link_of(world, "heat-1") == ("online", "")
    world.now += 4 * SECOND
    world.beat()
    world.tick()
    assert link_of(world, "heat-1") == ("offline", "device")


def test_what_stands_behind_something_that_is_no_client_is_unknown() -> None:
    behind = (
        device(1, "edge-1", "p-edge", client="edge-0"),
        device(2, "button-1", "p-button"),
        device(5, "edge-0", "p-edge", client="edge-0"),
    )
    world = World(known=registry(*behind))
    world.tick()
    assert link_of(world, "button-1") == ("unknown", "unplaced")


def test_a_silent_device_out_of_service_raises_nothing() -> None:
    resting = device(4, "heat-1", "p-heat", admin_state=AdminState.OUT_OF_SERVICE)
    world = World(Lane.BULK, registry(device(1, "edge-1", "p-edge"), resting))
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.now += 4 * SECOND
    world.beat()
    world.tick()
    assert link_of(world, "heat-1") == ("offline", "device")
    assert world.alarms() == {}


# function and tests --------------------------------------------------------------------------------------------------


def test_ok_that_nobody_proved_becomes_unproven() -> None:
    """A manifest changed the device while ingest wrote what it knew from before."""
    world = World()
    live = Draft(world.state, world.registry, T0).live_of("button-1")
    world.state.live["button-1"] = live._replace(function=FunctionState.OK, proven=False)
    world.tick()
    assert world.state.live["button-1"].function is FunctionState.UNPROVEN


def test_a_test_of_a_device_that_is_gone_ends() -> None:
    world = World()
    world.tick(requested=[world.trial("button-1", 30)])
    world.registry = registry(device(1, "edge-1", "p-edge"))
    world.now += 31 * SECOND
    draft = world.tick()
    assert [why for _, why in draft.expired.values()] == ["the device is not registered any more"]
    assert world.state.tests == {}


# delays --------------------------------------------------------------------------------------------------------------


def test_a_fire_that_waits_for_its_delay_is_raised_though_the_hub_hears_nothing_more() -> None:
    world = World()
    world.say(sample("smoke-1", "smoke", 1, world.now))
    world.now += 2 * SECOND
    world.tick(since=world.now)
    assert world.alarms() == {"smoke": "unack_active"}
    assert next(iter(world.state.alarms.values())).raised_at == T0 + 2 * SECOND


def test_silence_is_no_evidence_that_it_is_still_too_hot() -> None:
    world = World(Lane.BULK)
    world.say(sample("heat-1", "celsius", 45.0, world.now))
    world.now += 2 * SECOND
    world.tick()
    assert world.alarms() == {}
    world.beat()
    world.tick()
    assert world.alarms() == {"hot": "unack_active"}


def test_an_alarm_whose_definition_is_gone_from_the_profile_ends_its_condition() -> None:
    world = World()
    world.say(sample("button-1", "pressed", True))
    document = PROFILES["p-button"].model_dump(by_alias=True)
    del document["alarms"]["panic"]
    bare = replace(device(2, "button-1", "p-button"), profile=parse_profile(document, "test"))
    world.registry = registry(device(1, "edge-1", "p-edge"), bare)
    draft = world.tick()
    assert world.alarms() == {"panic": "latched_unack"}
    assert "no longer" in draft.transitions[0].note
    assert world.tick().transitions == []


@pytest.mark.parametrize("back", [0, 3600])
def test_a_hub_whose_clock_goes_back_loses_no_press(back: int) -> None:
    world = World()
    world.say(sample("button-1", "pressed", False, world.now))
    world.now -= back * SECOND
    world.tick()
    world.say(sample("button-1", "pressed", True, world.now + 1))
    assert set(world.alarms()) == {"panic"}


# one alarm against a naive model -------------------------------------------------------------------------------------


@dataclass
class Naive:
    """A latching panic alarm, as one would explain it."""

    pressed: bool = False
    sounding: bool = False
    acknowledged: bool = False


class OneAlarm(RuleBasedStateMachine):
    """Presses, releases, repetitions, late and bad data, ticks, people and restarts, in any order."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.model = Naive()
        self.histories: dict[UUID, list[Transition]] = {}
        self.driven: set[UUID] = set()

    def note(self, draft: Draft) -> None:
        for transition in draft.transitions:
            self.histories.setdefault(transition.alarm, []).append(transition)
        self.driven |= draft.begin.keys() - draft.stop.keys()
        self.driven -= draft.stop.keys()

    @rule(pressed=st.booleans())
    def say(self, pressed: bool) -> None:
        self.world.now += SECOND
        if pressed and not self.model.pressed:
            self.model.sounding, self.model.acknowledged = True, False
        self.model.pressed = pressed
        self.note(self.world.say(sample("button-1", "pressed", pressed, self.world.now)))

    @rule()
    def say_again_what_was_said(self) -> None:
        if self.world.seq:
            self.note(self.world.take(self.world.raw(b"other bytes", self.world.seq)))

    @rule()
    def say_something_bad(self) -> None:
        self.world.now += SECOND
        self.note(self.world.say(sample("button-1", "pressed", "broken", self.world.now)))
        self.note(self.world.say(sample("button-1", "pressed", None, self.world.now, error="no answer")))

    @rule()
    def a_late_release_comes_out_of_a_spool(self) -> None:
        self.note(self.world.say(sample("button-1", "pressed", False, T0 - 3600 * SECOND)))

    @rule(seconds=st.integers(0, 100))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds * SECOND
        self.note(self.world.tick(since=self.world.now))

    @rule()
    def a_batch_fails_and_is_judged_again(self) -> None:
        tick(self.world.state, self.world.registry, self.world.lane, self.world.now, T0, {})

    @precondition(lambda self: self.world.state.alarms)
    @rule(event=st.sampled_from([AlarmEvent.ACKNOWLEDGE, AlarmEvent.RESET]))
    def a_person_acts(self, event: AlarmEvent) -> None:
        ((key, alarm),) = self.world.state.alarms.items()
        allowed = not self.model.acknowledged if event is AlarmEvent.ACKNOWLEDGE else (
            self.model.acknowledged and not self.model.pressed
        )  # fmt: skip
        try:
            moved, transition = step(alarm, event, self.world.now, "duty")
        except Conflict:
            assert not allowed
            return
        assert allowed
        self.histories[alarm.id].append(transition)
        self.driven.discard(alarm.id)
        if event is AlarmEvent.ACKNOWLEDGE:
            self.model.acknowledged = True
            self.world.state.alarms[key] = moved
        else:
            self.model.sounding = False
            del self.world.state.alarms[key]

    @invariant()
    def the_alarm_is_what_the_model_says(self) -> None:
        if not hasattr(self, "world"):
            return
        found = list(self.world.state.alarms.values())
        assert bool(found) == self.model.sounding
        if found:
            wanted = {
                (True, False): AlarmState.UNACK_ACTIVE,
                (True, True): AlarmState.ACK_ACTIVE,
                (False, False): AlarmState.LATCHED_UNACK,
                (False, True): AlarmState.LATCHED_ACK,
            }[self.model.pressed, self.model.acknowledged]
            assert found[0].state is wanted
            assert (found[0].id in self.driven) == (not self.model.acknowledged)

    @invariant()
    def every_history_is_a_chain(self) -> None:
        for history in getattr(self, "histories", {}).values():
            assert [t.n for t in history] == list(range(1, len(history) + 1))
            assert all(a.to_state is b.from_state for a, b in itertools.pairwise(history))


OneAlarm.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
test_one_alarm_is_what_a_naive_model_says = OneAlarm.TestCase


def test_nobody_is_offline_before_a_first_beat() -> None:
    world = World(Lane.BULK)
    world.say(sample("heat-1", "celsius", 20.0, world.now))
    world.tick()
    assert world.state.live["heat-1"].link.state is not LinkState.OFFLINE


# configuration --------------------------------------------------------------------------------------------------------

CONFIGURED = parse_profile(
    {
        **yaml.safe_load((data_folder("device-profiles") / "edge" / "anxin-edge.yaml").read_text("utf-8")),
        "liveness": {"beat": "1s", "offline_after": "3s"},
    },
    "edge",
)


def configured_world(wanted: int) -> World:
    edge = replace(device(1, "edge-1", "p-edge"), profile=CONFIGURED, wanted=wanted, wanted_at=T0)
    return World(Lane.BULK, registry(edge))


def runs(world: World, version: int) -> tuple[dict[str, str], str]:
    """After the edge said by what it runs: alarms, and the function state."""
    world.say(sample("edge-1", "config_version", version, world.now))
    world.beat()
    world.tick()
    return world.alarms(), str(world.state.live["edge-1"].function)


def test_an_edge_that_is_there_and_does_not_take_what_is_wanted_is_degraded_after_ten_minutes_until_it_does() -> None:
    world = configured_world(7)
    assert runs(world, 6) == ({}, "ok")
    world.now = T0 + BEHIND - 1
    assert runs(world, 6) == ({}, "ok")
    world.now = T0 + BEHIND
    assert runs(world, 6) == ({"config_behind": "unack_active"}, "degraded")
    world.now += SECOND
    assert runs(world, 7) == ({"config_behind": "unack_cleared"}, "ok")


def test_an_edge_that_is_away_is_not_blamed_for_what_it_could_not_hear() -> None:
    world = configured_world(7)
    runs(world, 6)
    world.now = T0 + BEHIND + SECOND
    world.tick()
    assert "config_behind" not in world.alarms()


def test_an_edge_of_which_nothing_is_wanted_is_left_alone() -> None:
    world = configured_world(0)
    world.now = T0 + 2 * BEHIND
    assert runs(world, 6) == ({}, "ok")
