"""A clock that is set is noticed; a slow database, a slewed clock and what somebody else has noticed are not taken for that."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.steady import TOLERANCE, Reading, divide, step_between
from hub.model import SECOND, Micros

HOUR: Micros = 3600 * SECOND
WALL: Micros = 1_700_000_000 * SECOND

SPANS = st.integers(0, 30 * SECOND)
ELAPSED = st.integers(0, 86_400 * SECOND)
STEPS = st.sampled_from([-HOUR, HOUR]) | st.integers(-86_400 * SECOND, 86_400 * SECOND)


def readings(
    first_took: Micros, at_first: Micros, elapsed: Micros, took: Micros, at: Micros, step: Micros
) -> tuple[Reading, Reading]:
    """Two readings by hand: the wall is read `at` within the `took` of its round trip; `step` lies between the readings."""
    first = Reading(WALL + min(at_first, first_took), 0, first_took, 0)
    begin = first_took + elapsed
    return first, Reading(WALL + begin + min(at, took) + step, begin, begin + took, 0)


@given(SPANS, SPANS, ELAPSED, SPANS, SPANS)
def test_a_clock_that_nobody_sets_is_never_taken_for_one_that_was(
    first_took: Micros, at_first: Micros, elapsed: Micros, took: Micros, at: Micros
) -> None:
    first, second = readings(first_took, at_first, elapsed, took, at, 0)
    assert step_between(first, second) == 0


@given(SPANS, SPANS, ELAPSED, SPANS, SPANS, STEPS)
def test_a_step_is_found_as_exactly_as_the_round_trips_allow(
    first_took: Micros, at_first: Micros, elapsed: Micros, took: Micros, at: Micros, step: Micros
) -> None:
    first, second = readings(first_took, at_first, elapsed, took, at, step)
    found = step_between(first, second)
    slack = first_took + took + TOLERANCE
    if abs(step) > slack:
        assert abs(found - step) <= first_took + took
    if found:
        assert (found > 0) == (step > 0)


@given(STEPS, ELAPSED)
def test_what_somebody_else_has_noticed_already_is_no_second_step(step: Micros, elapsed: Micros) -> None:
    first = Reading(WALL, 0, 0, 0)
    second = Reading(WALL + elapsed + step, elapsed, elapsed, step)
    assert step_between(first, second) == 0


@given(st.sampled_from([-HOUR, HOUR]), st.integers(0, 20 * 60 * SECOND), st.data())
def test_a_time_that_was_read_is_put_on_its_side_of_the_step(
    step: Micros, elapsed: Micros, data: st.DataObject
) -> None:
    first = Reading(WALL, 0, 0, 0)
    second = Reading(WALL + elapsed + step, elapsed, elapsed, 0)
    instant = data.draw(st.integers(0, elapsed))
    old, new, edge = WALL + instant, WALL + instant + step, divide(first, second, step)
    assert (old < edge < new) if step > 0 else (new < edge < old)
