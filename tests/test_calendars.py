"""The shipped years of days off are those of the notices; any other text is taken or refused by name, and never more."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.calendars import load_calendars, parse_calendar
from hub.config import data_folder
from hub.errors import BadInput
from hub.model import DayKind

SHIPPED = {one.year: one for one in load_calendars([data_folder("calendars")])}
GOOD = 'year: 2026\nnotice: x\nholidays: [{title: {zh: 元旦, en: New Year}, first: "2026-01-01", last: "2026-01-03"}]\n'


@pytest.mark.parametrize(
    ("year", "number", "days_off", "worked"),
    [(2025, "国办发明电〔2024〕12号", 28, 5), (2026, "国办发明电〔2025〕7号", 33, 6)],
)
def test_a_shipped_year_has_the_days_of_its_notice(year: int, number: str, days_off: int, worked: int) -> None:
    calendar = SHIPPED[year]
    assert number in calendar.notice
    kinds = list(calendar.days.values())
    assert (kinds.count(DayKind.HOLIDAY), kinds.count(DayKind.WORKDAY)) == (days_off, worked)
    # law: 13 days off a year since 2025; the rest are weekends, and weekdays that are worked at weekends
    off_weekdays = sum(kind is DayKind.HOLIDAY and day.weekday() < 5 for day, kind in calendar.days.items())
    assert off_weekdays - worked <= 13


def test_the_spring_festival_of_2026_is_nine_days_and_two_saturdays_are_worked() -> None:
    days = SHIPPED[2026].days
    assert all(days[date(2026, 2, day)] is DayKind.HOLIDAY for day in range(15, 24))
    assert days[date(2026, 2, 14)] is days[date(2026, 2, 28)] is DayKind.WORKDAY


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("year: 2026", "year: 12"), "year"),
        (GOOD + "more: 1\n", "more"),
        (GOOD.replace('"2026-01-03"', '"2026-01-32"'), "holidays.0.last"),
        (GOOD.replace('"2026-01-03"', "2026-01-03"), "in quotes"),
        (GOOD.replace('"2026-01-03"', '"2025-12-31"'), "not before first"),
        (GOOD + 'workdays: ["2026-01-05"]\n', "a working day already"),
        (GOOD + 'workdays: ["2026-01-03"]\n', "stands here twice"),
        (GOOD + 'workdays: ["2028-01-01"]\n', "too far from 2026"),
        ("[", "is no YAML"),
        ("x" * 70_000, "larger than"),
    ],
)
def test_a_calendar_that_does_not_hold_is_refused_by_name(text: str, says: str) -> None:
    assert parse_calendar(GOOD, "here").year == 2026
    with pytest.raises(BadInput, match=says) as caught:
        parse_calendar(text, "here.yaml")
    assert str(caught.value).startswith("here.yaml")


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (GOOD + text).encode()))
def test_any_bytes_are_a_calendar_or_refused(text: bytes) -> None:
    try:
        parse_calendar(text, "x")
    except BadInput:
        pass


def test_a_year_stands_in_one_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD, "utf-8")
    with pytest.raises(BadInput, match="2026 stands in two files"):
        load_calendars([tmp_path])
    with pytest.raises(BadInput, match="there is no such folder"):
        load_calendars([tmp_path / "nowhere"])
