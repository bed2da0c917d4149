"""The proof of recordings: what counts, what is asked for of a young camera, and when it will be too little."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.requirements import Bounds
from hub.core.coverage.rules import Basis, Force, Rule, RulePack
from hub.core.recordings import (
    DAY,
    TOLERANCE_DAYS,
    Camera,
    Forecast,
    Held,
    Outlook,
    Recorder,
    floor_by,
    forecast,
    is_enough,
    lost_days,
    needed_days,
    states,
    trend,
)

INSTALLED = 20_000 * DAY


def _history(values: Sequence[float], until_age: float) -> list[Held]:
    """One figure a day, the last one when the camera is `until_age` days old."""
    last = len(values) - 1
    return [Held(INSTALLED + round((until_age - last + n) * DAY), days) for n, days in enumerate(values)]


def _forecast(values: Sequence[float], age: float, missing: float = 0.0) -> Forecast:
    return forecast(_history(values, age), missing, 90, INSTALLED, INSTALLED + round(age * DAY))


def test_a_camera_twenty_days_old_with_twenty_days_is_compliant_so_far_and_with_fifteen_it_is_not() -> None:
    needed = needed_days(90, INSTALLED, INSTALLED + 20 * DAY)
    assert needed == 20.0
    assert is_enough(20.0, 0.0, needed)
    assert is_enough(19.2, 0.0, needed)
    assert not is_enough(15.0, 0.0, needed)
    assert not is_enough(20.0, 0.0, needed_days(90, INSTALLED, INSTALLED + 200 * DAY))


def test_gaps_and_black_or_frozen_pictures_do_not_count() -> None:
    assert lost_days(0, 0, None, None) == 0.0
    assert lost_days(86_400, 2 * 86_400, INSTALLED, INSTALLED + DAY) == 4.0
    assert not is_enough(91.0, lost_days(0, 3 * 86_400, None, None), 90)


def test_what_is_held_beyond_the_floor_makes_up_for_no_day_that_is_dark_and_both_lacks_share_one_allowance() -> None:
    assert is_enough(120.0, 1.0, 90)
    assert not is_enough(120.0, 20.0, 90)
    assert is_enough(89.5, 0.5, 90)
    assert not is_enough(89.5, 0.6, 90)
    assert _forecast([120.0] * 6, age=400, missing=20).outlook is Outlook.SHORT


def test_a_recorder_that_stopped_two_days_ago_is_short_whatever_it_holds() -> None:
    at = INSTALLED + 400 * DAY
    nvr = Recorder("nvr", INSTALLED, tuple(_history([95.0] * 6, 400)), read_at=at, newest_at=at - DAY // 2)
    cam = Camera("cam", INSTALLED, recorded_by="nvr")
    [runs] = states([cam], [nvr], 90, at)
    [stopped] = states([cam], [replace(nvr, newest_at=at - 2 * DAY)], 90, at)
    assert (runs.forecast.outlook, runs.newest_at) == (Outlook.HOLDS, at - DAY // 2)
    assert (stopped.forecast.outlook, stopped.newest_at) == (Outlook.SHORT, at - 2 * DAY)


def test_a_young_camera_that_keeps_every_day_has_no_shortfall_in_sight() -> None:
    found = _forecast([float(n) for n in range(11, 21)], age=20)
    assert (found.outlook, found.short_at) == (Outlook.GROWING, None)
    assert found.a_day == pytest.approx(1.0)
    assert found.full_at == INSTALLED + 90 * DAY


def test_a_disk_that_is_full_too_early_is_short_as_soon_as_the_first_day_is_overwritten() -> None:
    found = _forecast([66.0, 67, 68, 69, 70, 71, 71, 71, 71, 71, 71, 71, 71, 71], age=71.5)
    assert found.outlook is Outlook.SHRINKING
    assert found.short_at is not None
    assert 71 < (found.short_at - INSTALLED) / DAY < 74


def test_a_recorder_that_loses_a_day_every_second_day_is_told_with_its_date() -> None:
    found = _forecast([100 - n / 2 for n in range(14)], age=400)
    assert found.outlook is Outlook.SHRINKING
    assert found.a_day == pytest.approx(-0.5)
    assert found.short_at is not None
    days = (found.short_at - INSTALLED) / DAY - 400
    assert days == pytest.approx((93.5 - (90 - TOLERANCE_DAYS)) / 0.5, abs=0.01)
    assert found.days_then == pytest.approx(90 - TOLERANCE_DAYS, abs=0.01)


def test_one_wrong_figure_does_not_bend_the_forecast() -> None:
    figures = [95.0] * 14
    figures[6] = 3.0
    assert _forecast(figures, age=400).outlook is Outlook.HOLDS


def test_too_little_today_is_short_whatever_the_trend_and_nothing_read_is_unknown() -> None:
    assert _forecast([40.0, 42, 44, 46, 48, 50], age=400).outlook is Outlook.SHORT
    assert _forecast([95.0] * 6, age=400, missing=10).outlook is Outlook.SHORT
    assert _forecast([], age=400).outlook is Outlook.UNKNOWN


def test_without_five_days_of_figures_there_is_no_trend_and_no_date() -> None:
    found = _forecast([95.0, 90.0], age=400)
    assert (found.a_day, found.short_at) == (None, None)
    assert trend(_history([95.0] * 4, 400), INSTALLED + 400 * DAY) is None


@given(
    capacity=st.floats(5, 200),
    shrinks=st.floats(0, 2),
    age=st.integers(20, 400),
    floor=st.sampled_from([30.0, 90.0]),
)
def test_the_date_is_the_one_that_a_disk_followed_day_by_day_finds(
    capacity: float, shrinks: float, age: int, floor: float
) -> None:
    """A disk that holds `capacity` days and loses `shrinks` of them a day (more cameras, more detail), as from 20 days ago on."""

    def held(at_age: float) -> float:
        return max(0.0, min(at_age, capacity - shrinks * (at_age - (age - 20))))

    figures = [held(age - 13 + n) for n in range(14)]
    if held(age - 13) == age - 13 or min(figures) == 0:
        return  # within the two weeks it still grew, or ended: no line
    at = INSTALLED + age * DAY
    found = forecast(_history(figures, age), 0, floor, INSTALLED, at)
    hour = 1 / 24
    steps = (n * hour for n in range(round(364 / hour)))
    short = next((ahead for ahead in steps if held(age + ahead) + TOLERANCE_DAYS < needed_days(floor, 0, round((age + ahead) * DAY))), None)  # fmt: skip
    if found.short_at is None:
        assert short is None
    else:
        assert short is not None
        assert (found.short_at - at) / DAY == pytest.approx(short, abs=0.1)


@given(st.lists(st.floats(0, 400), max_size=20), st.floats(0, 100), st.floats(0, 500))
def test_any_history_has_a_forecast_and_less_that_counts_is_never_better(
    values: list[float], missing: float, age: float
) -> None:
    rank = {Outlook.UNKNOWN: 0, Outlook.HOLDS: 1, Outlook.GROWING: 1, Outlook.SHRINKING: 2, Outlook.SHORT: 3}
    whole, less = _forecast(values, age), _forecast(values, age, missing)
    assert rank[less.outlook] >= rank[whole.outlook]
    assert (less.days is None) is (whole.days is None) is (not values)
    assert less.days is None or whole.days is None or less.days <= whole.days


def test_the_floor_is_the_strictest_that_a_rule_asks_of_this_place_and_ninety_days_where_none_does() -> None:
    def rule(name: str, days: float, jurisdiction: str, since: int) -> Rule:
        return Rule(
            name, "RET-01", "d", "n", "c", Force.NORM, Basis.OBLIGATION, "V3", since, None, jurisdiction, frozenset(),
            "录", "r", 30, Bounds("recording_days", minimum=days),
        )  # fmt: skip

    floor = floor_by([RulePack("p", "1", "p", "p", (rule("a", 30, "", 0), rule("b", 120, "1101", 10)))])
    assert floor("140403", "private", 20) == 30
    assert floor("110105", "private", 20) == 120
    assert floor("110105", "private", 5) == 30
    assert floor_by([])("110105", "private", 5) == 90
