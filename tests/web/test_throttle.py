"""Failures: so many at once, then by and by, and nobody pays for another."""

from hypothesis import given
from hypothesis import strategies as st

from hub.web.throttle import Throttle


def test_after_the_burst_one_has_to_wait_and_then_may_try_again() -> None:
    throttle = Throttle(3, 6.0)
    for _ in range(3):
        assert throttle.wait("a", 100.0) == 0
        throttle.failed("a", 100.0)
    assert throttle.wait("a", 100.0) == 6.0
    assert throttle.wait("b", 100.0) == 0
    assert throttle.wait("a", 106.0) == 0
    throttle.failed("a", 106.0)
    assert throttle.wait("a", 106.0) == 6.0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 5)), max_size=200))
def test_it_never_lets_more_pass_than_it_says_and_never_knows_more_callers_than_it_may(
    tries: list[tuple[str, float]],
) -> None:
    throttle = Throttle(3, 6.0, most=4)
    now = 0.0
    failed: dict[str, list[float]] = {}
    for caller, pause in tries:
        now += pause
        assert throttle.wait(caller, now) >= 0
        if throttle.wait(caller, now) == 0:
            throttle.failed(caller, now)
            failed.setdefault(caller, []).append(now)
        assert len(throttle._callers) <= 4
    only = {caller for caller, _ in tries}
    if len(only) <= 4:  # nobody was forgotten
        for times in failed.values():
            for n, first in enumerate(times):
                assert len([at for at in times[n:] if at <= first + 60]) <= 3 + 60 / 6 + 1
