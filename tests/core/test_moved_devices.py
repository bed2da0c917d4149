"""A device whose lane moved speaks on the old one for a while: nothing is lost, nothing is judged twice."""

from dataclasses import replace

from hub.core.draft import Draft
from hub.core.intake import take_in
from hub.model import Lane, Sample
from hub.registry import Registry, changed_devices
from tests.core.lane_world import DEVICES, SECOND, World, device, registry, sample

MOVED = device(4, "heat-1", "p-heat", lane=Lane.URGENT)
AFTER = registry(*(MOVED if each.id == "heat-1" else each for each in DEVICES))


class Pair:
    """Both lanes of a partition."""

    def __init__(self, known: Registry = AFTER) -> None:
        self.urgent, self.bulk = World(Lane.URGENT, known), World(Lane.BULK, known)

    def bulk_says(self, *samples: Sample) -> Draft:
        world = self.bulk
        messages = [world.message(*samples)]
        draft = take_in(world.state, world.registry, messages, world.now, frozenset(), self.urgent.state)
        return world.settle(draft)


def test_a_fire_that_comes_on_the_bulk_lane_is_a_fire_in_its_own_lanes_state() -> None:
    pair = Pair()
    draft = pair.bulk_says(sample("smoke-1", "smoke", 1), sample("smoke-1", "smoke", 1, pair.bulk.now + 3 * SECOND))
    assert pair.urgent.alarms() == {"smoke": "unack_active"}
    assert pair.bulk.alarms() == {}
    assert [row.code for row in draft.quarantined] == []
    (tally,) = draft.tallies.values()
    assert (tally.produced, tally.stored + tally.suppressed) == (2, 2)
    whole = draft.whole()
    assert len(whole.transitions) == len(whole.touched) == 1
    assert {series.device for series in whole.latest} == {"smoke-1"}


def test_one_message_of_devices_of_both_lanes_leaves_each_in_its_own() -> None:
    known = registry(*DEVICES)
    pair = Pair(known)
    at = pair.bulk.now
    draft = pair.bulk_says(sample("heat-1", "celsius", 50.0, at), sample("button-1", "pressed", True, at))
    assert {series.device for series in pair.bulk.state.latest} == {"heat-1"}
    assert {series.device for series in pair.urgent.state.latest} == {"button-1"}
    assert pair.urgent.alarms() == {"panic": "unack_active"}
    assert len(draft.whole().latest) == 2
    assert draft.latest.keys() < draft.whole().latest.keys()


def test_without_the_other_lane_at_hand_the_draft_says_so_and_the_sample_is_refused() -> None:
    world = World(Lane.BULK, AFTER)
    draft = take_in(
        world.state, world.registry, [world.message(sample("heat-1", "celsius", 1.0))], world.now, frozenset()
    )
    assert draft.crosses
    assert [row.code for row in draft.quarantined] == ["point"]


def link_of(pair: Pair) -> str:
    return str(pair.urgent.state.live["heat-1"].link.state)


def test_what_comes_late_on_the_old_lane_is_stored_and_proves_no_life_now() -> None:
    pair = Pair()
    for world in (pair.urgent, pair.bulk):
        world.beat()
    for _ in range(5):
        pair.urgent.now += SECOND
        pair.bulk.now += SECOND
        pair.urgent.beat()
    pair.bulk_says(sample("heat-1", "celsius", 20.0, pair.bulk.now - 4 * SECOND))
    pair.urgent.tick()
    assert link_of(pair) == "unknown"
    pair.bulk_says(sample("heat-1", "celsius", 20.0, pair.bulk.now))
    pair.urgent.tick()
    assert link_of(pair) == "online"


def test_a_silence_that_ends_on_the_old_lane_is_written_down_as_a_gap() -> None:
    pair = Pair()
    for world in (pair.urgent, pair.bulk):
        world.beat()
    pair.bulk_says(sample("heat-1", "celsius", 20.0, pair.bulk.now))
    for _ in range(40):
        pair.urgent.now += 10 * SECOND
        pair.bulk.now += 10 * SECOND
        pair.urgent.beat()
        pair.bulk.beat()
    draft = pair.bulk_says(sample("heat-1", "celsius", 20.0, pair.bulk.now))
    assert [(gap.device, gap.cause) for gap in draft.whole().gaps] == [("heat-1", "device")]


def test_both_lanes_look_again_when_a_device_moves_from_one_to_the_other() -> None:
    before = registry(*DEVICES)
    assert changed_devices(before, AFTER, Lane.BULK) == {"heat-1"}
    assert changed_devices(before, AFTER, Lane.URGENT) == {"heat-1"}
    assert changed_devices(AFTER, replace(AFTER), Lane.BULK) == set()
