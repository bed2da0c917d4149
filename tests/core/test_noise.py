"""Chattering, fleeting, standing, floods: against a count that looks at every instant."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import noise
from hub.core.noise import FLOOD_BEGINS, FLOOD_ENDS, MINUTE, STANDING, WINDOW, Activation, Source, measure
from hub.model import SECOND, Micros, Priority

T0: Micros = 1_795_000_000_000_000
HOUR = 60 * MINUTE
DOOR = Source("sunflower", "door-1", "held_open", "")
SMOKE = Source("sunflower", "smoke-1", "fault", "")


def act(
    at: Micros, lasts: Micros | None = 5 * MINUTE, source: Source = DOOR, priority: Priority = Priority.LOW
) -> Activation:
    return Activation(source, UUID(int=0), priority, T0 + at, None if lasts is None else T0 + at + lasts)


def test_a_quiet_post_has_nothing_to_show() -> None:
    found = measure([], T0, T0 + HOUR)
    assert (found.activations, found.per_window, found.peak, found.floods, found.mix) == (0, 0.0, 0, (), {})
    assert (found.chattering, found.fleeting, found.standing, found.worst) == ((), (), (), ())


def test_an_interval_that_is_empty_measures_nothing() -> None:
    with pytest.raises(ValueError, match="not empty"):
        measure([], T0, T0)


def test_the_rate_the_peak_and_the_mix() -> None:
    alarms = [act(0), act(MINUTE, priority=Priority.HIGH), act(30 * MINUTE), act(40 * MINUTE - 1)]
    found = measure(alarms, T0, T0 + HOUR)
    assert (found.activations, found.peak) == (4, 2)
    assert found.per_window == pytest.approx(4 / 6)
    assert found.mix == {Priority.LOW: 0.75, Priority.HIGH: 0.25}
    assert found.worst == ((DOOR, 4),)


def test_what_began_before_is_standing_and_is_not_counted_again() -> None:
    old, ended = act(-STANDING, None), act(-STANDING - HOUR, HOUR)
    found = measure([old, ended, act(1)], T0, T0 + HOUR)
    assert found.standing == (old,)
    assert found.activations == 1


def test_the_eleventh_in_ten_minutes_begins_a_flood_and_quiet_ends_it() -> None:
    burst = [act(n * SECOND) for n in range(FLOOD_BEGINS + 1)]
    found = measure(burst, T0, T0 + HOUR)
    (flood,) = found.floods
    assert flood.since == T0 + FLOOD_BEGINS * SECOND
    # four are left in the window when the seventh of eleven leaves it
    assert flood.until == T0 + (FLOOD_BEGINS + 1 - FLOOD_ENDS) * SECOND + WINDOW
    assert flood.activations == 1
    assert measure(burst[:-1], T0, T0 + HOUR).floods == ()


def test_a_flood_that_goes_on_is_one_and_lasts_until_now() -> None:
    (flood,) = measure([act(n * 30 * SECOND) for n in range(120)], T0, T0 + HOUR).floods
    assert flood.until == T0 + HOUR
    assert flood.activations == 120 - FLOOD_BEGINS


def test_three_in_a_minute_chatter_and_three_in_more_do_not() -> None:
    (found,) = measure([act(0, 1), act(30 * SECOND, 1), act(MINUTE - 1, 1)], T0, T0 + HOUR).chattering
    assert (found.source, found.worst, found.activations) == (DOOR, 3, 3)
    assert measure([act(0, 1), act(30 * SECOND, 1), act(MINUTE, 1)], T0, T0 + HOUR).chattering == ()


def test_two_sources_do_not_chatter_together() -> None:
    assert measure([act(0), act(1, source=SMOKE), act(2)], T0, T0 + HOUR).chattering == ()


def test_over_before_anybody_could_act_is_fleeting_and_chatter_is_not() -> None:
    alone, chatter = act(0, SECOND), [act(HOUR // 2 + n * SECOND, 1, SMOKE) for n in range(3)]
    found = measure([alone, *chatter], T0, T0 + HOUR)
    assert found.fleeting == ((DOOR, 1), (SMOKE, 1))  # the last of a chatter is over and does not come back
    assert measure([act(0, MINUTE)], T0, T0 + HOUR).fleeting == ()
    assert measure([act(0, None)], T0, T0 + HOUR).fleeting == ()


@given(st.lists(st.integers(0, 160), max_size=60))
def test_floods_are_what_a_look_at_every_moment_sees(moments: list[int]) -> None:
    tick = 20 * SECOND
    times = sorted(T0 + moment * tick for moment in moments)
    found = noise.floods(times, T0 + 3 * HOUR)
    flooded = False
    for moment in range(200):
        now = T0 + moment * tick
        held = sum(now - WINDOW < at <= now for at in times)
        flooded = held > FLOOD_BEGINS or (flooded and held >= FLOOD_ENDS)
        assert flooded == any(one.since <= now < one.until for one in found), moment
    assert all(a.until <= b.since for a, b in pairwise(found))


@given(st.lists(st.integers(0, 3600), max_size=40))
def test_the_peak_is_the_fullest_window(seconds: list[int]) -> None:
    times = sorted(T0 + second * SECOND for second in seconds)
    assert noise.peak(times) == max((sum(at - WINDOW < one <= at for one in times) for at in times), default=0)
