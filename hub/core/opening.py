"""When an institution is open, and whether it is armed: what conditions of alarm definitions may depend on. Pure; times are arguments.

The calendar (营业日历) has hours for each day of the week and for single dates. Unless it says otherwise it follows the notice of public
holidays (`hub.core.rota.Calendar`): closed on a day off, open on a weekend day that was made a working day by the hours of the Friday before.
Local time is that of Asia/Shanghai. An institution without a calendar is taken to be open from Monday to Friday, 07:00 to 19:00: a door that
opens at night is no less strange where nobody has written down the hours.

Armed (布防) is what a person or an alarm panel said last; `auto`, and where nobody ever said anything, it is armed while it is closed. What a
person says to be disarmed ends by itself: nobody remembers it at night.

The calendar as it stands in manifests::

    calendar:
      weekly: {mon: ["07:30-18:00"], tue: ["07:30-12:00", "14:00-18:00"]}   # a day that is left out is closed
      dates: {"2026-12-31": ["07:30-12:00"], "2027-01-04": []}               # wins over everything
      public_holidays: true                                                  # the default
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from hub.core.rota import DAY, MINUTE, MINUTES_A_DAY, Calendar, local_day, midnight
from hub.errors import BadInput
from hub.model import DayKind, Micros, When

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_DATES = 1000
MOST_SPANS = 6
LONGEST_DISARMED: Micros = 7 * DAY
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24:00))", re.ASCII)
_LOOK = 400
"""days in which the next or the last change is looked for"""

Span = tuple[int, int]
"""open from, until before: minutes after local midnight"""


@dataclass(frozen=True, slots=True)
class Opening:
    """The hours of an institution: by day of the week from Monday on, and of single dates."""

    weekly: tuple[tuple[Span, ...], ...]
    dates: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)
    public_holidays: bool = True

    def hours(self, day: date, days: Calendar) -> tuple[Span, ...]:
        """When it is open on `day`."""
        own = self.dates.get(day)
        if own is not None:
            return own
        if self.public_holidays:
            kind = days.kind(day)
            if kind is DayKind.HOLIDAY:
                return ()
            if kind is DayKind.WORKDAY and day.weekday() >= 5:
                return self.weekly[4]
        return self.weekly[day.weekday()]


_WORKDAY: tuple[Span, ...] = ((7 * 60, 19 * 60),)
ASSUMED = Opening((_WORKDAY,) * 5 + ((), ()))
"""of an institution without a calendar"""


def parse_opening(document: object, where: str = "calendar") -> Opening:
    """The calendar of a manifest; raises BadInput that names the key."""

    def refuse(key: str, reason: str) -> BadInput:
        return BadInput(reason, f"{where}.{key}" if key else where, code="calendar")

    if not isinstance(document, Mapping):
        raise refuse("", "a calendar is a mapping with the key weekly")
    for key in document:
        if key not in ("weekly", "dates", "public_holidays"):
            raise refuse(str(key)[:40], "there is no such key: weekly, dates, public_holidays")
    weekly = document.get("weekly")
    if not isinstance(weekly, Mapping):
        raise refuse("weekly", "the hours by day of the week: mon, tue, wed, thu, fri, sat, sun")
    for day in weekly:
        if day not in WEEK:
            raise refuse(f"weekly.{str(day)[:40]}", "a day of the week is mon, tue, wed, thu, fri, sat or sun")
    public = document.get("public_holidays", True)
    if not isinstance(public, bool):
        raise refuse("public_holidays", "true or false")
    given = document.get("dates", {})
    if not isinstance(given, Mapping) or len(given) > MOST_DATES:
        raise refuse("dates", f"at most {MOST_DATES} dates with their hours")
    dates: dict[date, tuple[Span, ...]] = {}
    for day, spans in given.items():
        where_day = f"dates.{str(day)[:40]}"
        try:
            dates[date.fromisoformat(day)] = _spans(spans, f"{where}.{where_day}")
        except (TypeError, ValueError):
            raise refuse(where_day, 'a date is written "2026-10-01"') from None
    hours = tuple(_spans(weekly.get(day, []), f"{where}.weekly.{day}") for day in WEEK)
    return Opening(hours, dates, public)


def _spans(given: object, where: str) -> tuple[Span, ...]:
    if not isinstance(given, list) or len(given) > MOST_SPANS:
        raise BadInput(f'at most {MOST_SPANS} times written ["07:30-18:00"]; none: closed', where, code="calendar")
    spans: list[Span] = []
    for one in given:
        found = _SPAN.fullmatch(one) if isinstance(one, str) else None
        if found is None:
            raise BadInput('a time is written "07:30-18:00", the end at most 24:00', where, code="calendar")
        start = int(found[1]) * 60 + int(found[2])
        end = MINUTES_A_DAY if found[5] else int(found[3]) * 60 + int(found[4])
        if end <= start or (spans and start < spans[-1][1]):
            raise BadInput("times end after they begin, stand in order and do not overlap", where, code="calendar")
        spans.append((start, end))
    return tuple(spans)


class Mode(StrEnum):
    """What was said of an institution's armed state."""

    AUTO = "auto"
    ARMED = "armed"
    DISARMED = "disarmed"


class Armed(NamedTuple):
    """The last word on whether an institution is armed, from `since` on, until it ends by itself; and what was said before it."""

    mode: Mode
    since: Micros
    until: Micros | None = None
    before: Mode = Mode.AUTO

    def mode_at(self, at: Micros) -> Mode:
        """What held at `at`."""
        if at < self.since:
            return self.before
        return Mode.AUTO if self.until is not None and at >= self.until else self.mode


@dataclass(frozen=True, slots=True)
class Hours:
    """All that decides whether an institution is open and armed."""

    opening: Opening = ASSUMED
    armed: Armed | None = None
    days: Calendar = field(default_factory=Calendar)

    def is_open(self, at: Micros) -> bool:
        """Whether it is open at `at`."""
        day = local_day(at)
        minute = (at - midnight(day)) / MINUTE
        return any(start <= minute < end for start, end in self.opening.hours(day, self.days))

    def is_armed(self, at: Micros) -> bool:
        """Whether it is armed at `at`."""
        mode = Mode.AUTO if self.armed is None else self.armed.mode_at(at)
        return not self.is_open(at) if mode is Mode.AUTO else mode is Mode.ARMED

    def stands(self, when: When, at: Micros) -> bool:
        """Whether what `when` asks for holds at `at`."""
        if when in (When.OPEN, When.CLOSED):
            return self.is_open(at) is (when is When.OPEN)
        return self.is_armed(at) is (when is When.ARMED)

    def since(self, when: When, at: Micros) -> Micros | None:
        """Since when what `when` asks for has been as it is at `at`; None where that is more than a year."""
        now = self.stands(when, at)
        changes = (moment for moment in self._past(at) if self.stands(when, moment - 1) is not now)
        return next(changes, None)

    def next_change(self, at: Micros) -> Micros:
        """The next instant after `at` at which anything may be otherwise, at most a day ahead."""
        today = local_day(at)
        ahead = [moment for n in range(2) for moment in self._edges(_days_on(today, n))] + self._spoken()
        return min((moment for moment in ahead if at < moment < at + DAY), default=at + DAY)

    def _past(self, at: Micros) -> Iterator[Micros]:
        """The instants up to `at` at which anything may have changed, newest first."""
        today = local_day(at)
        left = sorted(moment for moment in self._spoken() if moment <= at)
        for n in range(_LOOK):
            day = _days_on(today, -n)
            mine = [moment for moment in self._edges(day) if moment <= at]
            while left and left[-1] >= midnight(day):
                mine.append(left.pop())
            yield from sorted(mine, reverse=True)

    def _spoken(self) -> list[Micros]:
        """When somebody said something of the armed state, or when that ends."""
        given = () if self.armed is None else (self.armed.since, self.armed.until)
        return [moment for moment in given if moment is not None]

    def _edges(self, day: date) -> list[Micros]:
        """Where the hours of a day begin and end."""
        start = midnight(day)
        return [start + minute * MINUTE for span in self.opening.hours(day, self.days) for minute in span]


def _days_on(day: date, n: int) -> date:
    try:
        return day + timedelta(days=n)
    except OverflowError:
        return day


def check_armed(mode: Mode, until: Micros | None, now: Micros) -> None:
    """Raises BadInput where a person may not say so: what is disarmed ends by itself, within a week."""
    if until is not None and until <= now:
        raise BadInput("it ends after it begins", "until", code="armed")
    if mode is Mode.AUTO and until is not None:
        raise BadInput("auto has no end", "until", code="armed")
    if mode is Mode.DISARMED and (until is None or until > now + LONGEST_DISARMED):
        raise BadInput("say until when it is disarmed, at most 7 days from now", "until", code="armed")
