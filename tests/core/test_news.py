"""What may wait a moment for company, and what may not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.draft import Draft
from hub.core.intake import take_in
from hub.core.news import is_news
from hub.model import Lane, Sample
from tests.core.lane_world import DEVICES, SECOND, T0, World, registry, sample


def living(lane: Lane = Lane.URGENT) -> World:
    """A world in which everything was heard before."""
    world = World(lane)
    for _ in range(2):
        world.now += SECOND
        world.beat()
        if lane is Lane.URGENT:
            world.say(
                sample("button-1", "pressed", False, world.now),
                sample("smoke-1", "smoke", 0, world.now),
                sample("button-1", "battery", 80.0, world.now),
            )
    world.now += SECOND
    return world


def news(world: World, *samples: Sample) -> bool:
    return is_news(Draft(world.state, world.registry, world.now), [world.message(*samples)])


def test_a_beat_and_values_on_which_nothing_turns_are_no_news() -> None:
    world = living()
    at = world.now
    said = sample("button-1", "pressed", False, at), sample("smoke-1", "smoke", 0, at)
    assert not news(world, sample("edge-1", "beat", 901.0, at), *said, sample("button-1", "battery", 79.5, at))


@pytest.mark.parametrize(
    "said",
    [
        sample("button-1", "pressed", True, T0 + 3 * SECOND),
        sample("button-1", "press", "short", T0 + 3 * SECOND),
        sample("smoke-1", "smoke", 1, T0 + 3 * SECOND),  # its delay begins
        sample("button-1", "fault", True, T0 + 3 * SECOND),  # health
        sample("nobody", "pressed", False, T0 + 3 * SECOND),  # refused
    ],
    ids=lambda said: f"{said.series.device}-{said.series.point}",
)
def test_a_press_an_event_a_condition_that_begins_a_fault_and_what_is_refused_are_news(said: Sample) -> None:
    assert news(living(), said)


def test_what_ends_is_news() -> None:
    world = living()
    world.say(sample("button-1", "pressed", True, world.now))
    world.now += SECOND
    assert news(world, sample("button-1", "pressed", False, world.now))


def test_a_press_is_news_behind_quiet_messages_of_its_own_stream() -> None:
    world = living()
    draft = Draft(world.state, world.registry, world.now)
    assert not is_news(draft, [world.message(sample("edge-1", "beat", 901.0, world.now))])
    assert is_news(draft, [world.message(sample("button-1", "pressed", True, world.now))])


def test_a_device_under_test_and_one_of_the_other_lane_are_news() -> None:
    world = living()
    world.state.tests["button-1"] = world.trial("button-1")
    assert news(world, sample("button-1", "pressed", True, world.now))
    moved = World(Lane.BULK, registry(*DEVICES))
    assert is_news(
        Draft(moved.state, moved.registry, moved.now), [moved.message(sample("button-1", "pressed", True, T0))]
    )


_SAID = st.lists(
    st.sampled_from(
        [("button-1", "pressed", True), ("button-1", "pressed", False), ("button-1", "press", "short"), ("smoke-1", "smoke", 1),
         ("smoke-1", "smoke", 0), ("button-1", "battery", 50.0), ("edge-1", "beat", 7.0), ("nobody", "pressed", True)]
    ),
    max_size=4,
)  # fmt: skip


@settings(max_examples=100)
@given(st.lists(_SAID, min_size=1, max_size=5))
def test_whatever_would_move_an_alarm_is_news(messages: list[list[tuple[str, str, bool | int | float | str]]]) -> None:
    world = living()
    made = [world.message(*(sample(*said, world.now + n) for n, said in enumerate(one))) for one in messages]
    scratch = Draft(world.state, world.registry, world.now)
    found = [is_news(scratch, [one]) for one in made]
    written = take_in(world.state, world.registry, made, world.now, frozenset())
    if written.touched or written.begin or written.events or written.quarantined:
        assert any(found)
    assert not world.state.alarms  # the scratch is never written
