"""A device that needs no look is not looked at, and nobody can tell the difference."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.model import Lane, LinkState
from tests.core.lane_world import SECOND, World, sample

STEP = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.5, 0.5, 0.5, 1, 2.5, 3, 3.5, 11, 40])),
    st.tuples(st.just("beat"), st.sampled_from([1.0, 900.0, 901.0])),
    st.tuples(st.just("late beat"), st.sampled_from([1, 2, 4, 45])),
    st.tuples(st.just("heard"), st.sampled_from(["smoke-1", "button-1", "heat-1"])),
    st.tuples(st.just("early"), st.sampled_from(["smoke-1", "heat-1"])),
    st.tuples(st.just("died"), st.just(0)),
    st.tuples(st.just("deaf"), st.just(0)),
    st.tuples(st.just("registry"), st.just(0)),
    st.tuples(st.just("test"), st.sampled_from(["smoke-1", "heat-1"])),
)
POINT = {"smoke-1": ("smoke", False), "button-1": ("battery", 80), "heat-1": ("celsius", 20.0)}


def play(world: World, step: tuple[str, Any], since: int) -> int:
    what, how = step
    if what == "wait":
        world.now += int(how * SECOND)
    elif what == "beat":
        world.beat(how)
    elif what == "late beat":
        world.say(sample("edge-1", "beat", 900.0, world.now - how * SECOND))
    elif what in ("heard", "early"):
        world.say(sample(how, *POINT[how], world.now + (2 * SECOND if what == "early" else 0)))
    elif what == "deaf":
        since = world.now
    elif what == "registry":
        world.registry = world.registry.__class__(
            world.registry.partitions, world.registry.devices, world.registry.clients
        )
    elif what == "test":
        return since if how in world.state.tests else tick(world, since, how)
    return tick(world, since)


def tick(world: World, since: int, tested: str | None = None) -> int:
    world.tick(since, [] if tested is None else [world.trial(tested)])
    return since


@given(st.sampled_from(list(Lane)), st.lists(STEP, max_size=40))
def test_who_rests_is_found_as_if_every_device_was_looked_at(lane: Lane, steps: list[tuple[str, Any]]) -> None:
    resting, looking = World(lane), World(lane)
    since = [resting.now - 3600 * SECOND] * 2
    for step in steps:
        looking.state.rests.clear()
        since = [play(world, step, one) for world, one in zip((resting, looking), since, strict=True)]
        assert resting.state.live == looking.state.live
        assert resting.state.watches == looking.state.watches
        assert resting.alarms() == looking.alarms()


def test_a_quiet_lane_costs_a_look_at_its_clients_only() -> None:
    world = World(Lane.URGENT)
    world.beat()
    for device, (point, value) in POINT.items():
        world.say(sample(device, point, value, world.now))
    for _ in range(4):
        world.tick()
    assert {world.state.live[name].link.state for name in ("smoke-1", "button-1")} == {LinkState.ONLINE}
    for _ in range(3):
        world.now += SECOND // 2
        assert world.tick().rests == {}
    world.now += SECOND
    world.beat()
    assert world.tick().rests == {}
    world.now += SECOND // 2  # the beat is as far as the devices were heard for
    world.beat()
    assert list(world.tick().rests) == ["edge-1"]


def test_an_edge_that_began_anew_takes_back_what_it_said_of_the_silent() -> None:
    world = World(Lane.URGENT)
    world.beat()
    world.say(sample("smoke-1", *POINT["smoke-1"], world.now))
    for _ in range(4):
        world.now += SECOND
        world.beat()
        world.tick()
    assert link_of(world, "smoke-1") == "offline"
    assert world.tick().rests == {}
    world.now += SECOND
    world.beat(1.0)
    world.tick()
    assert link_of(world, "smoke-1") == "unknown"


def link_of(world: World, device: str) -> str:
    return str(world.state.live[device].link.state)
