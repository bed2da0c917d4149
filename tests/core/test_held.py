"""Alarms whose paging waits: maintenance, what comes late, what is out of service, what is still shelved."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import hidings
from hub.core.alarms import Alarm, AlarmEvent, Hiding, is_paged, step
from hub.core.alarms import hidings as hidden_by
from hub.core.lateness import QUIET, Lag, followed, waits
from hub.core.maintenance import LONGEST_WINDOW, Window, check_window, covering
from hub.core.premises import Premises, Said
from hub.errors import BadInput
from hub.model import AdminState, Lane, Micros
from tests.core.lane_world import SECOND, T0, World, device, registry, sample

HOUR = 3600 * SECOND
DAY = 24 * HOUR


def heat(**changes: Any) -> World:
    world = World(
        Lane.BULK, registry(device(1, "edge-1", "p-edge"), device(4, "heat-1", "p-heat", zone="nap", **changes))
    )
    world.now = T0 + DAY
    world.say(sample("edge-1", "beat", 900.0, world.now))
    world.stream, world.seq = (
        f"{world.stream[:-6]}2-bulk",
        0,
    )  # what memory says now does not stand behind what the disk still holds
    return world


def hot(world: World, celsius: float, at: Micros) -> list[UUID]:
    """A temperature that is confirmed two seconds later (its alarm has a delay of one); the alarms that are to be paged now."""
    draft = world.say(sample("heat-1", "celsius", celsius, at), sample("heat-1", "celsius", celsius, at + 2 * SECOND))
    return list(draft.begin)


def only(world: World) -> Alarm:
    [alarm] = world.state.alarms.values()
    return alarm


def maintained(world: World, since: Micros, until: Micros, **place: str) -> None:
    window = Window("m-1", "garden", since, until, **place)
    world.state.premises = Said({"garden": Premises(windows=(window,))})


# maintenance ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "is_held"),
    [
        ({}, True),
        ({"zone": "nap"}, True),
        ({"zone": "hall"}, False),
        ({"device": "heat-1"}, True),
        ({"device": "x"}, False),
    ],
)
def test_what_is_raised_within_a_window_over_its_place_is_recorded_and_not_paged(
    place: dict[str, str], is_held: bool
) -> None:
    world = heat()
    maintained(world, T0, T0 + 2 * DAY, **place)
    begun = hot(world, 50, world.now)
    assert (begun == []) is is_held
    assert (only(world).maintenance == "m-1") is is_held
    assert only(world).state == "unack_active"


def test_what_stood_before_the_window_goes_on_being_paged() -> None:
    world = heat()
    hot(world, 50, world.now)
    maintained(world, T0, T0 + 2 * DAY)
    world.tick()
    assert only(world).maintenance is None


def test_no_window_holds_a_press() -> None:
    world = World()
    maintained(world, T0 - HOUR, T0 + HOUR)
    draft = world.say(sample("button-1", "pressed", True))
    assert list(draft.begin) == [only(world).id]


def test_before_and_after_the_window_alarms_are_paged_as_ever() -> None:
    for since, until in ((T0 - HOUR, T0), (T0 + 2 * DAY, T0 + 3 * DAY)):
        world = heat()
        maintained(world, since, until)
        assert hot(world, 50, world.now) == [only(world).id]


def test_of_several_windows_the_one_that_ends_last_holds() -> None:
    windows = (Window("a", "g", 0, 10), Window("b", "g", 0, 20, zone="z"), Window("c", "g", 5, 15, device="d"))
    assert covering(windows, "d", "z", 7) == windows[1]
    assert covering(windows, "d", None, 7) == windows[2]
    assert covering(windows, "d", None, 15) is None


def test_a_window_has_an_end_a_reason_and_at_most_a_week() -> None:
    check_window(T0, T0 + LONGEST_WINDOW, "boiler", T0)
    for since, until, reason in ((T0, T0, "x"), (T0, T0 + 8 * DAY, "x"), (T0 - 2, T0 - 1, "x"), (T0, T0 + 1, " ")):
        with pytest.raises(BadInput):
            check_window(since, until, reason, T0)


# late -----------------------------------------------------------------------------------------------------------------


def test_a_batch_delivered_late_pages_nobody_for_what_is_over_and_says_when_it_was() -> None:
    """T15: the occurrence, the receipt and that it is late are told; the clear comes in a later message."""
    world = heat()
    assert hot(world, 50, T0) == []
    alarm = only(world)
    assert (alarm.raised_at, alarm.received_at, alarm.late) == (T0 + SECOND, T0 + DAY, True)
    assert hidden_by(alarm, world.now) == (Hiding.LATE,)
    hot(world, 20, T0 + HOUR)
    world.now += 30 * SECOND
    assert list(world.tick().begin) == []
    assert (only(world).state, only(world).held_until) == ("unack_cleared", None)
    assert not is_paged(only(world), world.now)


def test_a_late_alarm_that_still_stands_when_the_backlog_has_come_is_paged() -> None:
    world = heat()
    hot(world, 50, T0)
    alarm = only(world)
    for n in range(1, 10):  # the backlog goes on coming, faster than time
        world.now += 2 * SECOND
        hot(world, 50 + n, T0 + n * HOUR)
        assert alarm.id not in world.tick().begin
    world.now += SECOND
    hot(world, 50, world.now - 4 * SECOND)
    assert alarm.id in world.tick().begin
    assert alarm.raised_at == T0 + SECOND


def test_a_backlog_that_stops_coming_holds_an_alarm_only_for_seconds_and_none_longer_than_the_limit() -> None:
    world = heat()
    hot(world, 50, T0)
    world.now += QUIET - 1
    assert list(world.tick().begin) == []
    world.now += 1
    assert list(world.tick().begin) == [only(world).id]
    shrinking = [Lag(HOUR, T0)]
    assert waits(T0 + 1, shrinking, 0, T0)
    assert not waits(T0, shrinking, 0, T0)
    assert not waits(T0 + HOUR, shrinking, 0, T0)  # the clock was set back meanwhile


def test_an_edge_whose_clock_is_behind_waits_for_nothing() -> None:
    world = heat()
    world.say(sample("heat-1", "celsius", 20, world.now - 180 * SECOND))
    for _ in range(12):
        world.now += 2 * SECOND
        world.say(sample("heat-1", "celsius", 20, world.now - 180 * SECOND))
    hot(world, 50, world.now - 179 * SECOND)
    world.now += 4 * SECOND
    assert list(world.tick().begin) == [only(world).id]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-5, 400)), max_size=20))
def test_a_stream_catches_up_only_while_its_lag_shrinks(steps: list[tuple[int, int]]) -> None:
    now, newest, lag = T0 + DAY, T0, None
    for waited, came in steps:
        now, newest = now + waited * SECOND, newest + came * SECOND
        moved = followed(lag, newest, now)
        if lag is not None and came <= waited:
            assert moved.shrank_at == lag.shrank_at or now - newest < lag.lag
        assert moved.shrank_at <= now
        lag = moved


@given(st.permutations(range(8)), st.integers(0, 7))
def test_shuffled_samples_and_one_from_the_future_neither_mute_a_device_nor_leave_a_wrong_latest(
    order: list[int], ahead: int
) -> None:
    """T12, but for the clock alarm: the value at the newest time that can be true is the latest, and what comes after is judged."""
    world = heat()
    times = {n: world.now - (8 - n) * SECOND for n in order}
    for place, n in enumerate(order):
        if place == ahead:
            world.say(sample("heat-1", "celsius", 30.0, world.now + 600 * SECOND))
        world.say(sample("heat-1", "celsius", 20.0 + n, times[n]))
    world.now += 2 * SECOND
    world.say(sample("heat-1", "celsius", 21.0, world.now))
    [latest] = [one for series, one in world.state.latest.items() if series.point == "celsius"]
    assert (latest.at, latest.value) == (world.now, 21.0)
    world.now += 5 * SECOND
    assert hot(world, 50, world.now - 3 * SECOND) == [only(world).id]


def test_a_press_that_waited_in_a_spool_is_paged_at_once_and_even_when_it_is_over() -> None:
    world = World()
    world.now = T0 + DAY
    draft = world.say(sample("button-1", "press", "single", T0))
    assert list(draft.begin) == [only(world).id]
    assert only(world).late
    assert draft.transitions[-1].event == "clear"


def test_a_recovery_in_the_same_message_in_which_the_delay_has_passed_pages_nobody_and_leaves_a_pair() -> None:
    """T7: down and up, both written, and nobody is told of either."""
    world = heat()
    world.say(sample("heat-1", "celsius", 50, world.now))
    draft = world.say(
        sample("heat-1", "celsius", 50, world.now + SECOND), sample("heat-1", "celsius", 20, world.now + SECOND + 1)
    )
    assert [row.event for row in draft.transitions] == ["raise", "clear"]
    assert (draft.begin, draft.stop) == ({}, {})


def test_a_recovery_just_after_the_delay_stops_what_it_began_and_one_just_before_leaves_nothing() -> None:
    """T7, the two ticks beside it."""
    world = heat()
    world.say(sample("heat-1", "celsius", 50, world.now))
    world.say(sample("heat-1", "celsius", 20, world.now + SECOND - 1))
    assert world.state.alarms == {}
    world.say(sample("heat-1", "celsius", 50, world.now + 2 * SECOND))
    begun = world.say(sample("heat-1", "celsius", 50, world.now + 3 * SECOND)).begin
    ended = world.say(sample("heat-1", "celsius", 20, world.now + 3 * SECOND + 1)).stop
    assert list(begun) == list(ended) == [only(world).id]


# out of service -------------------------------------------------------------------------------------------------------


def test_taking_a_device_out_of_service_hides_what_stands_and_its_return_pages_what_still_does() -> None:
    world = heat()
    hot(world, 50, world.now)
    alarm = only(world)
    world.registry = heat(admin_state=AdminState.OUT_OF_SERVICE).registry
    assert world.tick().stop == {alarm.id: "out_of_service"}
    assert world.tick().transitions == []
    world.registry = heat().registry
    assert list(world.tick().begin) == [alarm.id]


def test_what_was_over_before_the_return_is_not_paged() -> None:
    world = heat(admin_state=AdminState.OUT_OF_SERVICE)
    hot(world, 50, world.now)
    hot(world, 20, world.now + 4 * SECOND)
    world.registry = heat().registry
    draft = world.tick()
    assert ([row.event for row in draft.transitions], draft.begin) == (["return_to_service"], {})


# shelved --------------------------------------------------------------------------------------------------------------


def test_what_is_shelved_stays_shelved_however_often_it_comes_and_goes() -> None:
    world = heat()
    hot(world, 50, world.now)
    [(key, alarm)] = world.state.alarms.items()
    alarm, _ = step(alarm, AlarmEvent.ACKNOWLEDGE, world.now, "duty")
    world.state.alarms[key], _ = hidings.shelve(alarm, world.now, world.now + HOUR, "duty", "being repaired")
    world.now += 10 * SECOND
    hot(world, 20, world.now - 4 * SECOND)
    assert world.state.alarms == {}
    world.now += 10 * SECOND
    assert hot(world, 50, world.now - 4 * SECOND) == []
    assert (only(world).shelved_by, only(world).shelved_until) == ("duty", alarm.raised_at - SECOND + HOUR)
    assert only(world).id != alarm.id


def test_an_ended_shelving_is_not_inherited_and_a_press_inherits_none() -> None:
    raised = partial(hidings.hide_raised, out_of_service=False, window=None)
    world = heat()
    hot(world, 50, world.now)
    alarm = only(world)
    row = hidings.note(alarm, world.now, "", "")[1]._replace(to_state=alarm.state, from_state=alarm.state.NORMAL)
    old = replace_shelved(alarm, world.now)
    assert list(raised(alarm, row, world.now, shelved=old)) == []
    new = replace_shelved(alarm, world.now + 1)
    assert len(list(raised(alarm, row, world.now, shelved=new))) == 1
    press = World()
    press.say(sample("button-1", "pressed", True))
    row = row._replace(at=press.now)
    assert list(raised(only(press), row, press.now, shelved=new)) == []


def replace_shelved(alarm: Alarm, until: Micros) -> Alarm:
    return alarm._replace(shelved_until=until, shelved_by="duty", shelve_reason="x")
