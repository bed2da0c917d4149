"""Clocks of ordinary devices: a wrong one is an alarm with its evidence, and its readings are dated by a clock that can be trusted. T12."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core.normalise import normalise
from hub.core.skew import AHEAD, BEHIND, KEPT, SLOT, SPREAD, Skew
from hub.errors import BadInput
from hub.model import Lane, Micros, Quality, Sample, Series
from hub.profiles import CLOCK_ALARM, load_profiles
from tests.core.lane_world import SECOND, T0, World, device, registry

HOUR = 3600 * SECOND


def world(client: str = "edge-1") -> World:
    """A thermometer behind an edge, or (client heat-1) one that speaks for itself."""
    known = registry(device(1, "edge-1", "p-edge"), device(4, "heat-1", "p-heat", client))
    return World(Lane.BULK, known)


def told(at: Micros, edge_at: Micros | None = None, raw: float = 20.0) -> Sample:
    return Sample(Series("heat-1", "celsius", ""), at, raw, edge_at=edge_at)


def pass_by(it: World, ahead: Micros, seconds: int, raw: float = 20.0) -> None:
    """So long a reading comes each ten seconds through the edge, whose driver had it `ahead` of the edge's clock."""
    for _ in range(0, seconds, 10):
        it.now += 10 * SECOND
        it.beat()
        it.say(told(it.now + ahead, it.now if abs(ahead) > SECOND else None, raw))
        it.tick()


def clock_alarms(it: World) -> list[str]:
    return [str(a.state) for a in it.state.alarms.values() if a.definition == CLOCK_ALARM]


@pytest.mark.parametrize(
    "ahead", [600 * SECOND, 8 * SECOND, -HOUR], ids=["ten-minutes-ahead", "eight-seconds", "an-hour-behind"]
)
def test_a_device_whose_clock_is_wrong_raises_a_clock_alarm_after_its_delay_and_ends_it_once_it_is_set(
    ahead: Micros,
) -> None:
    it = world()
    pass_by(it, ahead, 50)
    assert clock_alarms(it) == []
    pass_by(it, ahead, 150)
    assert clock_alarms(it) == ["unack_active"]
    clock = it.state.clocks["heat-1"]
    assert (clock.wrong, clock.ahead, clock.reader) == (True, ahead, "edge")
    assert clock.said_at - clock.read_at == ahead
    pass_by(it, 0, 40)
    assert clock_alarms(it) == ["unack_active"]
    pass_by(it, 0, 60)
    assert clock_alarms(it) == ["unack_cleared"]
    assert not it.state.clocks["heat-1"].wrong


@pytest.mark.parametrize("ahead", [600 * SECOND, 24 * HOUR, -HOUR], ids=["ten-minutes", "a-day", "an-hour-behind"])
def test_readings_of_a_device_whose_clock_is_wrong_are_judged_at_the_time_of_its_edge_and_it_is_not_muted(
    ahead: Micros,
) -> None:
    it = world()
    pass_by(it, 0, 20)
    pass_by(it, ahead, 200)
    it.now += 10 * SECOND
    it.say(told(it.now + ahead, it.now, 60.0))
    it.now += 2 * SECOND
    it.beat()
    draft = it.say(told(it.now + ahead, it.now, 60.0))
    [latest] = [one for series, one in it.state.latest.items() if series.point == "celsius"]
    assert (latest.at, latest.value, latest.quality) == (it.now, 60.0, Quality.UNCERTAIN_CLOCK)
    hot = [a for a in it.state.alarms.values() if a.definition == "hot"]
    assert [a.id for a in hot] == list(draft.begin)
    assert not draft.quarantined
    assert it.state.live["heat-1"].heard == it.now


def test_one_sample_from_the_future_among_shuffled_ones_is_dated_by_its_edge_and_calls_nobody() -> None:
    it = world()
    it.now += 60 * SECOND
    samples = [told(it.now - n * SECOND, it.now if n > 1 else None, 20.0 + n) for n in (5, 1, 7, 3)]
    samples.insert(2, told(it.now + 600 * SECOND, it.now, 39.0))
    it.say(*samples)
    pass_by(it, 0, 200)
    assert clock_alarms(it) == []
    [latest] = [one for series, one in it.state.latest.items() if series.point == "celsius"]
    assert latest.at == it.now


def test_a_device_that_speaks_for_itself_is_compared_with_the_hub() -> None:
    it = world("heat-1")
    for _ in range(9):
        it.now += 10 * SECOND
        draft = it.take(it.message(told(it.now + 600 * SECOND), client="heat-1"))
        assert [row.code for row in draft.quarantined] == ["time"]  # nobody knows when it was: it is kept there
        it.tick()
    assert clock_alarms(it) == ["unack_active"]
    assert it.state.clocks["heat-1"].reader == "hub"


def test_what_bears_the_time_of_the_edge_says_nothing_of_the_devices_clock() -> None:
    it = world()
    for _ in range(12):
        it.now += 10 * SECOND
        it.beat()
        it.say(told(it.now + 600 * SECOND, it.now), Sample(Series("heat-1", "alive", ""), it.now, 1))
        it.tick()
    assert clock_alarms(it) == ["unack_active"]
    it.state.skews.clear()  # the hub begins anew
    for _ in range(12):
        it.now += 10 * SECOND
        it.beat()
        it.say(Sample(Series("heat-1", "alive", ""), it.now, 1), told(it.now + 600 * SECOND, it.now))
        it.tick()
    assert clock_alarms(it) == ["unack_active"]


def test_a_backlog_that_empties_says_nothing_of_a_clock() -> None:
    it = world("heat-1")
    begun = it.now
    it.now += HOUR
    for n in range(60):
        it.now += 5 * SECOND
        it.take(it.message(told(begun + n * 60 * SECOND), client="heat-1"))
        it.tick()
    assert clock_alarms(it) == []
    [latest] = [one for series, one in it.state.latest.items() if series.point == "celsius"]
    assert (latest.at, latest.quality) == (begun + 59 * 60 * SECOND, Quality.GOOD)


def test_a_clock_alarm_survives_a_restart_of_the_hub_and_ends_when_the_clock_was_set_meanwhile() -> None:
    it = world()
    pass_by(it, 600 * SECOND, 120)
    assert clock_alarms(it) == ["unack_active"]
    it.state.skews.clear()  # not stored
    pass_by(it, 0, 100)
    assert clock_alarms(it) == ["unack_cleared"]


def test_a_press_keeps_the_time_by_which_its_alarm_is_named_however_slow_its_clock_is_known_to_be() -> None:
    known = registry(device(1, "edge-1", "p-edge"), device(2, "button-1", "p-button"))
    it = World(Lane.URGENT, known)
    for _ in range(20):
        it.now += 10 * SECOND
        it.say(Sample(Series("button-1", "battery", ""), it.now - HOUR, 90.0, edge_at=it.now))
    assert it.state.skews["button-1"].is_slow
    it.say(Sample(Series("button-1", "pressed", ""), it.now - HOUR, True, edge_at=it.now))
    [panic] = [a for a in it.state.alarms.values() if a.definition == "panic"]
    assert panic.raised_at == it.now - HOUR


def test_a_time_that_cannot_be_is_put_right_by_the_edge_and_refused_where_nobody_can() -> None:
    point = device(4, "heat-1", "p-heat").profile.points["celsius"]
    assert normalise(told(0, T0), point, T0, Lane.BULK).at == T0
    assert normalise(told(T0 + HOUR, T0 - SECOND), point, T0, Lane.BULK).at == T0 - SECOND
    for wrong_edge in (None, 7, T0 + HOUR):  # an edge whose own clock cannot be puts nothing right
        with pytest.raises(BadInput, match="clock"):
            normalise(told(T0 + 2 * HOUR, wrong_edge), point, T0, Lane.BULK)


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(-7200, 7200)), max_size=40))
def test_a_clock_is_called_slow_only_where_all_that_was_told_for_a_minute_lay_as_far_behind(
    steps: list[tuple[int, int]],
) -> None:
    skew, now, offsets = Skew(), T0, []
    for pause, ahead in steps:
        now += pause * SECOND
        skew = skew.with_told(now, now + ahead * SECOND)
        offsets.append(ahead * SECOND)
        estimate = skew.estimate
        assert len(skew.told) <= KEPT
        if ahead * SECOND > AHEAD:
            assert estimate == ahead * SECOND
        elif ahead * SECOND >= -BEHIND:
            assert estimate == 0
        elif estimate is not None:
            assert estimate < -BEHIND
            assert skew.told[-1].read_at - skew.told[0].read_at >= (KEPT - 1) * SLOT
            assert max(one.ahead for one in skew.told) - min(one.ahead for one in skew.told) <= SPREAD


def test_every_shipped_profile_has_an_alarm_for_a_wrong_clock_but_the_hubs_own() -> None:
    for profile in load_profiles([data_folder("device-profiles")]).values():
        has = any(alarm.signal_class == "clock" for alarm in profile.alarms.values())
        assert has is (profile.kind not in ("path", "hub")), profile.profile
