"""A clock that is set is noticed; a slow database, a slewed clock and what somebody else has noticed are not taken for that."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.steady import TOLERANCE, Reading, shift, since_another_boot, step_between
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
def test_what_was_written_between_two_readings_is_put_on_its_side_of_the_step(
    step: Micros, elapsed: Micros, data: st.DataObject
) -> None:
    first = Reading(WALL, 0, 0, 0)
    second = Reading(WALL + elapsed + step, elapsed, elapsed, 0)
    instant = data.draw(st.integers(0, elapsed))
    assert shift(first, second, step, WALL + instant) == step
    assert shift(first, second, step, WALL + instant + step) == 0


@given(st.just(0) | STEPS, ELAPSED, STEPS | st.just(0), st.data())
def test_what_was_written_by_whatever_clock_is_never_early_but_by_the_time_between_the_readings_and_never_later_than_now(
    step: Micros, elapsed: Micros, offset: Micros, data: st.DataObject
) -> None:
    first = Reading(WALL, 0, 0, 0)
    second = Reading(WALL + elapsed + step, elapsed, elapsed, 0)
    instant = data.draw(st.integers(0, elapsed))
    written = WALL + instant + offset
    result = written + shift(first, second, step_between(first, second), written)
    in_truth = WALL + instant + step  # by the clock as it is now
    assert in_truth - elapsed - 2 * TOLERANCE <= result <= second.wall + TOLERANCE
    if offset in (0, step):
        assert result >= in_truth - 2 * TOLERANCE


@given(st.integers(0, 60 * SECOND), st.integers(0, 86_400 * SECOND))
def test_what_was_under_way_at_a_reading_may_have_been_written_a_little_before_it(ago: Micros, elapsed: Micros) -> None:
    first, second = Reading(WALL, 0, 0, 0), Reading(WALL + elapsed, elapsed, elapsed, 0)
    assert shift(first, second, 0, WALL - ago, grace=60 * SECOND) == 0


@given(STEPS, ELAPSED, st.sampled_from([-HOUR, HOUR]))
def test_a_step_that_another_process_has_taken_in_changes_nothing_in_where_a_later_one_lies(
    taken: Micros, elapsed: Micros, step: Micros
) -> None:
    first = Reading(WALL, 0, 0, 0)
    second = Reading(WALL + elapsed + taken + step, elapsed, elapsed, taken)
    if elapsed < HOUR // 2:
        assert shift(first, second, step, WALL + taken + elapsed) == step
        assert shift(first, second, step, WALL + taken + elapsed + step) == 0


@given(ELAPSED, SPANS)
def test_time_does_not_go_back_over_a_boot(behind: Micros, took: Micros) -> None:
    now = Reading(WALL, 10 * SECOND, 10 * SECOND + took, 0)
    found = step_between(since_another_boot(WALL + behind, now), now)
    assert -behind - took <= found <= 0
    assert (found == 0) == (behind <= TOLERANCE)


@given(ELAPSED, SPANS)
def test_how_long_a_machine_was_off_is_believed(off: Micros, took: Micros) -> None:
    now = Reading(WALL, 10 * SECOND, 10 * SECOND + took, 0)
    assert step_between(since_another_boot(WALL - off, now), now) == 0
