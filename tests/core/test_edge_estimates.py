"""What an edge reckons of itself: its hold time and its clock."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.edge_estimates import (
    CLOCK_ERROR,
    CLOCK_WINDOW,
    LONGEST_HOLD,
    OVERHEAD,
    RATE_LEAST,
    RATE_WINDOW,
    Rate,
    Skew,
    SkewEstimate,
    hold_seconds,
)


def test_a_spool_holds_what_is_left_at_the_rate_of_the_last_ten_minutes() -> None:
    rate = Rate()
    for second in range(0, 3600, 10):
        rate.note(float(second), 100_000 + 1_000 * second if second < 1800 else 1_900_000 + 2_000 * (second - 1800))
    measured = rate.per_second()
    assert measured is not None
    assert abs(measured - 2_000) < 1
    assert hold_seconds(31 * 3600 * 2_000, None, measured) == 31 * 3600


def test_before_a_minute_of_measuring_nothing_is_said() -> None:
    rate = Rate()
    assert rate.per_second() is None
    rate.note(0, 0)
    rate.note(RATE_LEAST - 1, 1000)
    assert rate.per_second() is None
    assert hold_seconds(1000, None, None) is None
    rate.note(RATE_LEAST, 1000)
    assert rate.per_second() is not None


def test_the_disk_bounds_it_when_it_has_less_room_than_the_budget() -> None:
    assert hold_seconds(10**9, int(1_000_000 * OVERHEAD), 100.0) == 10_000
    assert hold_seconds(10**9, 0, 100.0) == 0
    assert hold_seconds(10**9, None, 0.0) == LONGEST_HOLD


@given(st.lists(st.tuples(st.floats(0.1, 120), st.integers(0, 10**7)), min_size=2, max_size=200))
def test_the_rate_lies_between_the_least_and_the_most_that_was_seen(steps: list[tuple[float, int]]) -> None:
    rate, now, total, rates = Rate(), 0.0, 0, list[float]()
    rate.note(now, total)
    for pause, more in steps:
        now, total = now + pause, total + more
        rates.append(more / pause)
        rate.note(now, total)
    found = rate.per_second(0.0)
    assert found is not None
    assert min(rates) * 0.999 <= found <= max(rates) * 1.001 + 1e-6
    assert rate._seen[-1][0] - rate._seen[0][0] <= RATE_WINDOW + max(pause for pause, _ in steps)


T = 1_795_000_000_000_000


@given(st.integers(-(10**9), 10**9), st.floats(0, 4), st.floats(0, 1))
def test_the_error_bounds_the_skew_whatever_the_way_up_and_down_took(ahead: int, trip: float, share: float) -> None:
    """The hub wrote its time anywhere between sending and coming in."""
    sent = T
    came = sent + int(trip * 1e6)
    wrote = sent + int(share * (came - sent))
    estimate = SkewEstimate()
    estimate.note(wrote - ahead, came, trip, 0.0)
    found = estimate.best(0.0)
    if found is None:
        assert trip * 500_000 > CLOCK_ERROR
        return
    assert abs(found.ahead - ahead) <= found.error + 2


def test_the_shortest_round_trip_of_the_last_minute_counts() -> None:
    estimate = SkewEstimate()
    estimate.note(T, T + 9_000_000, 4.0, 0.0)
    estimate.note(T, T + 7_010_000, 0.02, 10.0)
    estimate.note(T, T + 8_000_000, 2.0, 20.0)
    assert estimate.best(30.0) == Skew(7_000_000, 10_000)
    assert estimate.best(10.0 + CLOCK_WINDOW + 1) == Skew(7_000_000, 1_000_000)
    assert estimate.best(20.0 + CLOCK_WINDOW + 1) is None
