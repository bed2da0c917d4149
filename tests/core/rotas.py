"""Rotas for the tests: a plain one, strategies for any, and who is on duty found the slow way, by words of its own."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import strategies as st

from hub.core.rota import Calendar, Override, Rota, Shift
from hub.model import DayKind, Micros, to_micros

CHINA = timezone(timedelta(hours=8))
PEOPLE = ("ada", "bo", "chen", "dai")
MONDAY = date(2026, 9, 28)
FIRST = to_micros(datetime(2026, 9, 28, tzinfo=CHINA))

DAY_SHIFT = Shift("day", 8 * 60, 20 * 60, ("ada", "bo"), MONDAY)
NIGHT_SHIFT = Shift("night", 20 * 60, 8 * 60, ("chen", "dai"), date(2026, 9, 27))
ROTA = Rota("duty", (DAY_SHIFT, NIGHT_SHIFT))
NATIONAL_DAY = Calendar(
    {date(2026, 10, day): DayKind.HOLIDAY for day in range(1, 8)} | {date(2026, 10, 10): DayKind.WORKDAY},
    frozenset({2026}),
)


def local(text: str) -> Micros:
    """Micros of `2026-10-01 03:10` in China."""
    return to_micros(datetime.fromisoformat(text).replace(tzinfo=CHINA))


def naive_on_duty(rota: Rota, at: Micros, calendar: Calendar) -> tuple[str, ...]:
    """The rule read aloud: every day there is, every shift, wall-clock times as datetimes."""
    now = datetime.fromtimestamp(at / 1_000_000, UTC).astimezone(CHINA)
    there: list[str] = []
    for shift in rota.shifts:
        for back in (0, 1):
            day = (now - timedelta(days=back)).date()
            begins = datetime(day.year, day.month, day.day, shift.starts // 60, shift.starts % 60, tzinfo=CHINA)
            ends = datetime(day.year, day.month, day.day, shift.ends // 60, shift.ends % 60, tzinfo=CHINA)
            if ends <= begins:
                ends += timedelta(days=1)
            kind = calendar.days.get(day, DayKind.WEEKEND if day.isoweekday() > 5 else DayKind.WORKDAY)
            in_force = shift.since <= day and (shift.until is None or day <= shift.until)
            if in_force and day.isoweekday() - 1 in shift.weekdays and kind in shift.day_kinds and begins <= now < ends:
                turn = (day - shift.since).days // shift.turn_days
                waiting = list(shift.responders) * (turn * shift.crew + shift.crew)
                there += [name for name in waiting[turn * shift.crew : (turn + 1) * shift.crew] if name not in there]
    for override in rota.overrides:
        if not override.starts <= at < override.ends:
            continue
        if override.absent is None:
            there += [name for name in (override.present,) if name is not None and name not in there]
        elif override.absent in there:
            instead = [] if override.present is None or override.present in there else [override.present]
            index = there.index(override.absent)
            there[index : index + 1] = instead
    return tuple(there)


days = st.dates(date(2026, 9, 26), date(2026, 10, 12))
calendars = st.dictionaries(days, st.sampled_from(DayKind), max_size=8).map(lambda known: Calendar(known))


@st.composite
def shifts(draw: st.DrawFn, name: str = "s") -> Shift:
    """Any shift that holds."""
    people = tuple(draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4, unique=True)))
    since = draw(days)
    return Shift(
        name,
        draw(st.integers(0, 1439)),
        draw(st.integers(0, 1439)),
        people,
        since,
        draw(st.none() | st.dates(since, date(2026, 10, 20))),
        draw(st.integers(1, 9)),
        draw(st.integers(1, len(people))),
        draw(st.frozensets(st.integers(0, 6), min_size=1)),
        draw(st.frozensets(st.sampled_from(DayKind), min_size=1)),
    )


@st.composite
def overrides(draw: st.DrawFn, name: str = "o") -> Override:
    """Any swap that holds."""
    starts = FIRST + draw(st.integers(-2 * 1440, 12 * 1440)) * 60_000_000
    absent = draw(st.none() | st.sampled_from(PEOPLE))
    others = st.sampled_from([person for person in (*PEOPLE, "eve") if person != absent])
    present = draw(others if absent is None else st.none() | others)
    return Override(name, starts, starts + draw(st.integers(1, 3 * 1440)) * 60_000_000, absent, present)


@st.composite
def rotas(draw: st.DrawFn, name: str = "duty") -> Rota:
    """Any rota that holds."""
    count = draw(st.integers(1, 3))
    made = tuple(replace(draw(shifts()), id=f"s{n}") for n in range(count))
    swaps = tuple(replace(draw(overrides()), id=f"o{n}") for n in range(draw(st.integers(0, 3))))
    return Rota(name, made, swaps)
