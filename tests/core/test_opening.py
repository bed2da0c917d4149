"""Opening calendars and the armed state: the hours of institutions, China's days off, who is armed when."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.opening import ASSUMED, Armed, Hours, Mode, Opening, check_armed, parse_opening
from hub.core.rota import DAY, Calendar
from hub.errors import BadInput
from hub.model import SECOND, DayKind, When, to_micros

HOUR = 3600 * SECOND


def at(text: str) -> int:
    """Local time of Asia/Shanghai."""
    return to_micros(datetime.fromisoformat(f"{text}+08:00").astimezone(UTC))


DOCUMENT = {
    "weekly": {"mon": ["07:30-12:00", "14:00-18:00"], "fri": ["08:00-17:00"], "sun": ["00:00-24:00"]},
    "dates": {"2026-12-31": ["07:30-12:00"], "2027-01-04": []},
}


def test_hours_are_local_and_half_open() -> None:
    hours = Hours(parse_opening(DOCUMENT))
    for text, is_open in (
        ("2026-11-23T07:29:59.999999", False),
        ("2026-11-23T07:30:00", True),
        ("2026-11-23T11:59:59.999999", True),
        ("2026-11-23T12:00:00", False),
        ("2026-11-23T14:00:00", True),
        ("2026-11-24T10:00:00", False),
        ("2026-11-22T00:00:00", True),
        ("2026-11-22T23:59:59", True),
        ("2026-12-31T09:00:00", True),
        ("2027-01-04T09:00:00", False),
    ):
        assert hours.is_open(at(text)) is is_open, text
        assert hours.stands(When.OPEN, at(text)) is is_open
        assert hours.stands(When.CLOSED, at(text)) is not is_open


def test_a_day_off_is_closed_and_a_made_up_working_day_has_fridays_hours() -> None:
    days = Calendar({date(2026, 10, 5): DayKind.HOLIDAY, date(2026, 10, 10): DayKind.WORKDAY}, frozenset({2026}))
    hours = Hours(parse_opening(DOCUMENT), None, days)
    assert not hours.is_open(at("2026-10-05T09:00:00"))  # a Monday
    assert hours.is_open(at("2026-10-10T09:00:00"))  # a Saturday
    assert not hours.is_open(at("2026-10-10T17:30:00"))
    heedless = Hours(parse_opening({**DOCUMENT, "public_holidays": False}), None, days)
    assert heedless.is_open(at("2026-10-05T09:00:00"))
    assert not heedless.is_open(at("2026-10-10T09:00:00"))


def test_an_institution_without_a_calendar_is_taken_to_be_open_by_day_from_monday_to_friday() -> None:
    hours = Hours(ASSUMED)
    assert hours.is_open(at("2026-11-23T12:00:00"))
    assert not hours.is_open(at("2026-11-23T19:00:00"))
    assert not hours.is_open(at("2026-11-22T12:00:00"))


def test_whoever_said_nothing_is_armed_while_closed_and_what_was_said_holds_from_then_on_until_its_end() -> None:
    noon, night = at("2026-11-23T12:00:00"), at("2026-11-23T23:00:00")
    assert (Hours().is_armed(noon), Hours().is_armed(night)) == (False, True)
    said = Hours(ASSUMED, Armed(Mode.DISARMED, night, night + HOUR))
    assert said.is_armed(night - 1)
    assert not said.is_armed(night)
    assert not said.is_armed(night + HOUR - 1)
    assert said.is_armed(night + HOUR)
    armed = Hours(ASSUMED, Armed(Mode.ARMED, noon, None, Mode.DISARMED))
    assert (armed.is_armed(noon - 1), armed.is_armed(noon), armed.is_armed(noon + DAY)) == (False, True, True)


def test_since_when_something_holds_is_the_instant_at_which_it_began_to() -> None:
    hours = Hours(ASSUMED)
    friday = at("2026-11-20T19:00:00")
    for later in (friday, friday + 1, friday + HOUR, at("2026-11-22T12:00:00")):
        assert hours.since(When.CLOSED, later) == friday
        assert hours.since(When.ARMED, later) == friday
    monday = at("2026-11-23T07:00:00")
    assert hours.since(When.CLOSED, monday) == monday  # since then it is not
    assert Hours(Opening(((),) * 7)).since(When.CLOSED, monday) is None
    said = Hours(ASSUMED, Armed(Mode.DISARMED, friday + HOUR, friday + 2 * HOUR))
    assert said.since(When.ARMED, friday + 90 * 60 * SECOND) == friday + HOUR
    assert said.since(When.ARMED, friday + 3 * HOUR) == friday + 2 * HOUR


@st.composite
def _spans(draw: st.DrawFn) -> list[str]:
    ends = sorted(draw(st.sets(st.integers(0, 1440), max_size=8)))
    ends = ends[: len(ends) // 2 * 2]
    pairs = [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=True) if end > start][:6]
    return [f"{s // 60:02}:{s % 60:02}-{e // 60:02}:{e % 60:02}" for s, e in pairs]


calendars = st.builds(
    lambda weekly, dates, public: {"weekly": weekly, "dates": dates, "public_holidays": public},
    st.dictionaries(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), _spans()),
    st.dictionaries(st.dates(date(2026, 11, 1), date(2026, 12, 31)).map(str), _spans(), max_size=5),
    st.booleans(),
)
_moments = st.integers(at("2026-11-10T00:00:00"), at("2026-12-10T00:00:00"))


@given(calendars, _moments, st.none() | st.tuples(st.sampled_from(Mode), _moments, st.integers(1, 40 * 3600)))
def test_nothing_changes_before_the_next_change_and_since_is_where_it_was_otherwise(
    document: object, moment: int, said: tuple[Mode, int, int] | None
) -> None:
    armed = None if said is None else Armed(said[0], said[1], said[1] + said[2] * SECOND)
    hours = Hours(parse_opening(document), armed)
    ahead = hours.next_change(moment)
    assert ahead > moment
    for when in When:
        now = hours.stands(when, moment)
        for part in range(1, 9):
            assert hours.stands(when, moment + (ahead - moment) * part // 9) is now or part == 9
        assert hours.stands(when, ahead - 1) is now
        since = hours.since(when, moment)
        if since is not None:
            assert since <= moment
            assert hours.stands(when, since) is now
            assert hours.stands(when, since - 1) is not now


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["07:30-18:00", "mon", "2026-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["weekly", "dates", "mon", "public_holidays", "2026-02-30"]) | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_json)
def test_a_calendar_that_does_not_hold_is_refused_by_name(document: object) -> None:
    where = "institutions.0.calendar"
    try:
        opening = parse_opening(document, where)
    except BadInput as error:
        refused = error.where
    else:
        refused = where
        assert len(opening.weekly) == 7
    assert refused.startswith(where)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"weekly": {"mon": ["18:00-07:30"]}}, "calendar.weekly.mon"),
        ({"weekly": {"mon": ["07:00-12:00", "11:00-13:00"]}}, "calendar.weekly.mon"),
        ({"weekly": {"monday": []}}, "calendar.weekly.monday"),
        ({"weekly": {}, "dates": {"1 October": []}}, "calendar.dates.1 October"),
        ({"weekly": {}, "holidays": []}, "calendar.holidays"),
        ({}, "calendar.weekly"),
    ],
)
def test_the_refusal_names_the_key(document: object, where: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_opening(document)
    assert refused.value.where == where


def test_what_a_person_disarms_ends_within_a_week() -> None:
    check_armed(Mode.ARMED, None, 0)
    check_armed(Mode.DISARMED, 7 * DAY, 0)
    for mode, until in ((Mode.DISARMED, None), (Mode.DISARMED, 7 * DAY + 1), (Mode.ARMED, 0), (Mode.AUTO, HOUR)):
        with pytest.raises(BadInput, match="until"):
            check_armed(mode, until, 0)
