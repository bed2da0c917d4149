"""Who is on duty: shifts meet without gap or overlap, turns go round, days off count, swaps replace."""

import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.rota import (
    DAY,
    MINUTE,
    Calendar,
    Known,
    Override,
    Rota,
    Shift,
    Turn,
    check_override,
    check_rota,
    local_day,
    midnight,
    on_duty,
    timeline,
    timeline_of,
    was_on_duty,
    watch_handed_over,
)
from hub.errors import BadInput
from hub.model import DayKind, Micros
from tests.core.rotas import (
    DAY_SHIFT,
    FIRST,
    MONDAY,
    NATIONAL_DAY,
    NIGHT_SHIFT,
    PEOPLE,
    ROTA,
    calendars,
    local,
    naive_on_duty,
    rotas,
    shifts,
)

PLAIN = Calendar()
WEEK = 7 * DAY


def on(text: str, rota: Rota = ROTA, calendar: Calendar = PLAIN) -> tuple[str, ...]:
    return on_duty(rota, local(text), calendar)


def test_who_begins_at_eight_has_eight_o_clock_and_who_ends_then_has_it_no_more() -> None:
    assert on("2026-09-28 07:59:59.999999") == ("chen",)
    assert on("2026-09-28 08:00") == ("ada",)
    assert on("2026-09-28 19:59:59.999999") == ("ada",)
    assert on("2026-09-28 20:00") == ("dai",)
    assert on("2026-09-29 03:00") == ("dai",), "a night belongs to the day on which it began"
    assert on("2026-09-29 08:00") == ("bo",)


def test_turns_of_a_week_change_on_the_day_of_the_week_on_which_they_began() -> None:
    weekly = Rota("duty", (replace(DAY_SHIFT, starts=0, ends=0, turn_days=7),))
    assert [on(f"2026-{day} 12:00", weekly) for day in ("09-28", "10-04", "10-05", "10-12")] == [
        ("ada",),
        ("ada",),
        ("bo",),
        ("ada",),
    ]


def test_a_crew_goes_round_without_leaving_anybody_out() -> None:
    rota = Rota("duty", (Shift("all", 0, 0, ("ada", "bo", "chen"), MONDAY, crew=2),))
    assert on("2026-09-28 12:00", rota) == ("ada", "bo")
    assert on("2026-09-29 12:00", rota) == ("chen", "ada")
    assert on("2026-09-30 12:00", rota) == ("bo", "chen")


def test_a_day_off_and_a_working_saturday_decide_which_shift_begins() -> None:
    office = replace(DAY_SHIFT, responders=("ada",), day_kinds=frozenset({DayKind.WORKDAY}))
    rest = replace(DAY_SHIFT, id="rest", responders=("bo",), day_kinds=frozenset({DayKind.WEEKEND, DayKind.HOLIDAY}))
    rota = Rota("duty", (office, rest))
    thursday, saturday = "2026-10-01 12:00", "2026-10-10 12:00"
    assert on(thursday, rota, NATIONAL_DAY) == ("bo",)
    assert on(saturday, rota, NATIONAL_DAY) == ("ada",)
    assert on(thursday, rota) == ("ada",), "without data it is a plain Thursday"
    assert on(saturday, rota) == ("bo",)


def test_the_night_before_a_day_off_goes_on_into_it() -> None:
    night = replace(NIGHT_SHIFT, responders=("chen",), day_kinds=frozenset({DayKind.WORKDAY}))
    assert on("2026-10-01 07:59", Rota("duty", (night,)), NATIONAL_DAY) == ("chen",)
    assert on("2026-10-01 20:00", Rota("duty", (night,)), NATIONAL_DAY) == ()


def test_a_swap_replaces_a_person_only_where_that_person_is_on_duty() -> None:
    swap = Override("o", local("2026-09-28 12:00"), local("2026-09-29 12:00"), "ada", "eve")
    rota = replace(ROTA, overrides=(swap,))
    assert on("2026-09-28 11:59", rota) == ("ada",)
    assert on("2026-09-28 12:00", rota) == ("eve",)
    assert on("2026-09-28 21:00", rota) == ("dai",)
    assert on("2026-09-29 11:00", rota) == ("bo",)


def test_swaps_are_applied_in_the_order_in_which_they_were_made() -> None:
    start, end = local("2026-09-28 08:00"), local("2026-09-28 20:00")
    ill, cover = Override("a", start, end, "ada", "eve"), Override("b", start, end, "eve", None)
    more = Override("c", start, end, None, "bo")
    assert on("2026-09-28 12:00", replace(ROTA, overrides=(ill, more))) == ("eve", "bo")
    assert on("2026-09-28 12:00", replace(ROTA, overrides=(ill, cover))) == ()
    assert on("2026-09-28 12:00", replace(ROTA, overrides=(cover, ill))) == ("eve",)


@given(rotas(), calendars, st.lists(st.integers(-2 * 1440, 14 * 1440), min_size=1, max_size=40))
def test_on_duty_is_what_the_rule_says_read_aloud(rota: Rota, calendar: Calendar, minutes: list[int]) -> None:
    for minute in minutes:
        at = FIRST + minute * MINUTE
        assert on_duty(rota, at, calendar) == naive_on_duty(rota, at, calendar)


@given(rotas(), calendars, st.integers(0, 3 * 1440), st.integers(1, 4 * 1440), st.data())
def test_a_timeline_divides_the_time_and_agrees_with_every_instant(
    rota: Rota, calendar: Calendar, first: int, length: int, data: st.DataObject
) -> None:
    start, end = FIRST + first * MINUTE, FIRST + (first + length) * MINUTE
    watches = timeline(rota, calendar, start, end)
    assert (watches[0].start, watches[-1].end) == (start, end)
    for before, after in itertools.pairwise(watches):
        assert before.end == after.start
        assert before.responders != after.responders
    for watch in watches:
        assert watch.start < watch.end
        for at in (watch.start, watch.end - 1, data.draw(st.integers(watch.start, watch.end - 1), label="at")):
            assert on_duty(rota, at, calendar) == watch.responders


@given(shifts(), calendars, st.integers(-1440, 14 * 1440))
def test_never_more_people_than_were_declared_are_on_duty(shift: Shift, calendar: Calendar, minute: int) -> None:
    there = on_duty(Rota("duty", (shift,)), FIRST + minute * MINUTE, calendar)
    assert len(there) <= shift.crew
    assert set(there) <= set(shift.responders)


@given(
    st.lists(st.integers(0, 1439), min_size=2, max_size=6, unique=True).map(sorted),
    st.integers(0, 14 * 1440),
    st.integers(0, 59_999_999),
)
def test_shifts_that_meet_leave_neither_gap_nor_overlap(cuts: list[int], minute: int, rest: int) -> None:
    since = MONDAY - timedelta(days=2)
    around = tuple(Shift(f"s{n}", start, cuts[(n + 1) % len(cuts)], (f"p{n}",), since) for n, start in enumerate(cuts))
    assert len(on_duty(Rota("duty", around), FIRST + minute * MINUTE + rest, PLAIN)) == 1


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 40))
def test_turns_are_fair(turn_days: int, people: int, crew: int, first: int) -> None:
    crew = min(crew, people)
    shift = Shift("s", 0, 0, tuple(f"p{n}" for n in range(people)), MONDAY, turn_days=turn_days, crew=crew)
    period = turn_days * people
    days = [MONDAY + timedelta(days=first + n) for n in range(period)]
    had = [name for day in days for name in shift.crew_of(day)]
    assert {had.count(name) for name in shift.responders} == {turn_days * crew}


@given(st.dates(date(1970, 1, 2), date(2200, 1, 1)), st.integers(0, DAY - 1))
def test_a_local_day_is_the_day_between_its_midnights(day: date, after: Micros) -> None:
    assert local_day(midnight(day) + after) == day


def test_an_empty_time_has_no_watch() -> None:
    assert timeline(ROTA, PLAIN, FIRST, FIRST) == ()
    assert timeline(ROTA, PLAIN, FIRST, FIRST - 1) == ()


@pytest.mark.parametrize(
    ("shift", "says"),
    [
        ({"starts": 1440}, "shifts.0.starts: from 00:00 to 23:59"),
        ({"ends": -1}, "shifts.0.ends: from 00:00 to 23:59"),
        ({"responders": ()}, "shifts.0.responders: 1 to 200"),
        ({"responders": ("ada", "ada")}, "shifts.0.responders: a responder stands here twice"),
        ({"crew": 3}, "shifts.0.crew: at least one, at most"),
        ({"crew": 0}, "shifts.0.crew"),
        ({"turn_days": 0}, "shifts.0.turn_days: from 1 to 366"),
        ({"weekdays": frozenset()}, "shifts.0.weekdays"),
        ({"weekdays": frozenset({7})}, "shifts.0.weekdays"),
        ({"day_kinds": frozenset()}, "shifts.0.day_kinds"),
        ({"until": MONDAY - timedelta(days=1)}, "shifts.0.until: not before since"),
    ],
)
def test_a_shift_that_contradicts_itself_is_refused_by_name(shift: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=f"rota duty: {says}"):
        check_rota(Rota("duty", (replace(DAY_SHIFT, **shift),)))  # type: ignore[arg-type]


def test_a_rota_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(BadInput, match="1 to 30 shifts"):
        check_rota(Rota("duty", ()))
    with pytest.raises(BadInput, match="'day' stands here twice"):
        check_rota(Rota("duty", (DAY_SHIFT, DAY_SHIFT)))
    with pytest.raises(BadInput, match="not to both"):
        check_rota(replace(ROTA, division="14", institution="star"))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (Override("o", FIRST, FIRST, "ada", "bo"), "ends: after starts"),
        (Override("o", FIRST, FIRST + 367 * DAY, "ada", "bo"), "at most 366 days"),
        (Override("o", FIRST, FIRST + 1), "absent: name who"),
        (Override("o", FIRST, FIRST + 1, "ada", "ada"), "present: somebody else"),
    ],
)
def test_a_swap_that_contradicts_itself_is_refused(override: Override, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        check_override(override, "rota duty: overrides")


@given(rotas())
def test_any_rota_of_the_tests_holds(rota: Rota) -> None:
    check_rota(rota)


# what was known ---------------------------------------------------------------------------------------------------


@st.composite
def books(draw: st.DrawFn) -> tuple[Known, ...]:
    """Some editions of a rota and its calendar, one after the other."""
    moments = sorted(draw(st.sets(st.integers(-1440, 10 * 1440), min_size=1, max_size=4)))
    return tuple(Known(FIRST + moment * 60_000_000, draw(rotas()), draw(calendars)) for moment in moments)


@settings(max_examples=40)
@given(books(), st.integers(-1440, 5 * 1440), st.integers(0, 59_999_999))
def test_the_past_is_answered_by_what_was_known_then_whatever_is_saved_later(
    book: tuple[Known, ...], minutes: int, rest: int
) -> None:
    at = FIRST + minutes * 60_000_000 + rest
    by_then = [known for known in book if known.since <= at]
    expected = naive_on_duty(by_then[-1].rota, at, by_then[-1].calendar) if by_then else ()
    assert was_on_duty(book, at) == expected
    assert was_on_duty(by_then, at) == expected  # what was saved afterwards is no news of it
    span = timeline_of(book, FIRST - DAY, FIRST + 6 * DAY)
    assert (span[0].start, span[-1].end) == (FIRST - DAY, FIRST + 6 * DAY)
    assert all(one.end == two.start and one.responders != two.responders for one, two in itertools.pairwise(span))
    assert next(watch.responders for watch in span if watch.start <= at < watch.end) == expected


def test_a_handover_belongs_to_the_watch_that_was() -> None:
    """Just after eight the night hands over: to the night's watch the note belongs, not to the day's that has begun."""
    book = (Known(FIRST - 100 * DAY, ROTA, Calendar()),)

    def turn(giver: str, at: str) -> tuple[str, Micros] | None:
        found = watch_handed_over(book, giver, local(at))
        return None if found is None else (found.shift, found.start)

    assert turn("dai", "2026-09-29 08:10") == ("night", local("2026-09-28 20:00"))
    assert turn("dai", "2026-09-29 07:50") == ("night", local("2026-09-28 20:00"))
    assert turn("ada", "2026-09-28 19:59") == ("day", local("2026-09-28 08:00"))
    assert turn("dai", "2026-09-29 09:00") is None  # an hour after its end it is nobody's to hand over
    assert turn("eve", "2026-09-29 08:10") is None
    swapped = replace(
        ROTA, overrides=(Override("o", local("2026-09-29 00:00"), local("2026-09-29 08:00"), "dai", "eve"),)
    )
    assert watch_handed_over((Known(FIRST - DAY, swapped, Calendar()),), "eve", local("2026-09-29 08:10")) is not None


def test_a_handover_after_an_edit_belongs_to_the_watch_as_it_was_before_it() -> None:
    edited = replace(ROTA, shifts=(replace(DAY_SHIFT, id="all-day", responders=("eve",)),), version=2)
    book = (Known(FIRST - 100 * DAY, ROTA, Calendar()), Known(local("2026-09-29 08:05"), edited, Calendar()))
    night = watch_handed_over(book, "dai", local("2026-09-29 08:10"))
    assert night == Turn("night", local("2026-09-28 20:00"), local("2026-09-29 08:00"), 1)


@settings(max_examples=40)
@given(books(), st.sampled_from((*PEOPLE, "eve")), st.integers(-1440, 11 * 1440))
def test_whoever_is_on_duty_by_a_shift_always_has_a_watch_to_hand_over(
    book: tuple[Known, ...], person: str, minutes: int
) -> None:
    at = FIRST + minutes * 60_000_000
    turn = watch_handed_over(book, person, at)
    if turn is not None:
        assert turn.start <= at < turn.end + 3_600_000_000
    plain = tuple(known._replace(rota=replace(known.rota, overrides=())) for known in book)
    if person in was_on_duty(plain, at):
        assert watch_handed_over(plain, person, at) is not None
