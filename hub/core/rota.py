"""Who is on duty: shifts that rotate, swaps that replace, China's adjusted working days. Pure: times are given, nothing is stored.

A change counts from when it is saved: a `Book` holds what was known from when on, so that the past is answered as it was known then.

- Local time is that of Asia/Shanghai, eight hours before UTC the whole year. A shift is half open: who begins at 08:00 has 08:00:00, who
  ends then has it no more; so two shifts that meet leave neither gap nor overlap.
- A shift that ends at or before its beginning ends on the next day. Day of the week and kind of day are those of the day on which it begins.
- The people of a shift take turns of `turn_days` calendar days, counted from `since`, `crew` of them at once.
- Overrides are applied in the order in which they were made, each to what those before it left.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from hub.errors import BadInput
from hub.model import SECOND, DayKind, Micros

MINUTE: Micros = 60 * SECOND
DAY: Micros = 86_400 * SECOND
EAST: Micros = 8 * 3600 * SECOND
"""Local time is ahead of UTC by this; China has had no summer time since 1991."""
MINUTES_A_DAY = 1440
MOST_SHIFTS = 30
MOST_PEOPLE = 200
LONGEST_TURN = 366
LONGEST_OVERRIDE: Micros = 366 * DAY
STILL_HANDED: Micros = 60 * MINUTE
"""after its end a watch is still handed over for so long"""
_EPOCH = date(1970, 1, 1).toordinal()
_LAST_ORDINAL = date(9999, 12, 31).toordinal()


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days that differ from plain weekdays. In a year that is not in `years` nobody has said which do."""

    days: Mapping[date, DayKind] = field(default_factory=dict)
    years: frozenset[int] = frozenset()

    def kind(self, day: date) -> DayKind:
        """What `day` is; by plain weekdays where nothing is known."""
        found = self.days.get(day)
        if found is not None:
            return found
        return DayKind.WORKDAY if day.weekday() < 5 else DayKind.WEEKEND


@dataclass(frozen=True, slots=True)
class Shift:
    """One watch a day, from `starts` to `ends` in minutes after local midnight; equal means 24 hours."""

    id: str
    starts: int
    ends: int
    responders: tuple[str, ...]
    since: date
    """the first day on which it begins, and on which the turn of the first responder begins"""
    until: date | None = None
    """the last day on which it begins"""
    turn_days: int = 1
    crew: int = 1
    weekdays: frozenset[int] = frozenset(range(7))
    """0 is Monday"""
    day_kinds: frozenset[DayKind] = frozenset(DayKind)

    @property
    def length(self) -> Micros:
        """How long one watch is; at most 24 hours."""
        return ((self.ends - self.starts - 1) % MINUTES_A_DAY + 1) * MINUTE

    def begins_on(self, day: date, calendar: Calendar) -> bool:
        """Whether a watch begins on that day."""
        if day < self.since or (self.until is not None and day > self.until):
            return False
        return day.weekday() in self.weekdays and calendar.kind(day) in self.day_kinds

    def crew_of(self, day: date) -> tuple[str, ...]:
        """Who has the watch that begins on that day."""
        turn = (day.toordinal() - self.since.toordinal()) // self.turn_days
        people = self.responders
        return tuple(people[(turn * self.crew + n) % len(people)] for n in range(self.crew))


@dataclass(frozen=True, slots=True)
class Override:
    """From `starts` until before `ends` (Micros): wherever `absent` is on duty `present` is instead; without `present` nobody is, and without
    `absent` `present` is on duty besides."""

    id: str
    starts: Micros
    ends: Micros
    absent: str | None = None
    present: str | None = None


@dataclass(frozen=True, slots=True)
class Rota:
    """The duty post 值班岗 with all that says who fills it."""

    id: str
    shifts: tuple[Shift, ...]
    overrides: tuple[Override, ...] = ()
    title_zh: str = ""
    title_en: str = ""
    division: str | None = None
    institution: str | None = None
    version: int = 1

    @property
    def responders(self) -> frozenset[str]:
        """Everybody who may ever be on duty."""
        people = {name for shift in self.shifts for name in shift.responders}
        return frozenset(people | {o.present for o in self.overrides if o.present is not None})


class Watch(NamedTuple):
    """From `start` until before `end` exactly these are on duty, in order; empty where nobody is."""

    start: Micros
    end: Micros
    responders: tuple[str, ...]


def local_day(at: Micros) -> date:
    """The local calendar day of an instant; the first or the last day there is beyond those."""
    return date.fromordinal(min(max((at + EAST) // DAY + _EPOCH, 1), _LAST_ORDINAL))


def midnight(day: date) -> Micros:
    """The instant at which a local day begins."""
    return (day.toordinal() - _EPOCH) * DAY - EAST


def on_duty(rota: Rota, at: Micros, calendar: Calendar) -> tuple[str, ...]:
    """The responders on duty at that instant, in the order of shifts and turns, each once; empty where nobody is."""
    return _overridden(_scheduled(rota, at, calendar), (o for o in rota.overrides if o.starts <= at < o.ends))


def _scheduled(rota: Rota, at: Micros, calendar: Calendar) -> Iterator[str]:
    today = local_day(at)
    days = (today,) if today == date.min else (today, date.fromordinal(today.toordinal() - 1))
    for shift in rota.shifts:
        for day in days:
            start = midnight(day) + shift.starts * MINUTE
            if start <= at < start + shift.length and shift.begins_on(day, calendar):
                yield from shift.crew_of(day)


def _overridden(people: Iterable[str], overrides: Iterable[Override]) -> tuple[str, ...]:
    there = list(dict.fromkeys(people))
    for override in overrides:
        if override.absent is None:
            place = len(there)
        elif override.absent in there:
            place = there.index(override.absent)
            there.remove(override.absent)
        else:
            continue
        if override.present is not None and override.present not in there:
            there.insert(place, override.present)
    return tuple(there)


def timeline(rota: Rota, calendar: Calendar, start: Micros, end: Micros) -> tuple[Watch, ...]:
    """Who is on duty from `start` until `end`, without gap or overlap: neighbours differ, and what nobody fills stands there as empty."""
    if end <= start:
        return ()
    overrides = [o for o in rota.overrides if o.starts < end and o.ends > start]
    edges = {start, end} | {edge for o in overrides for edge in (o.starts, o.ends)}
    first, last = local_day(start - DAY).toordinal(), local_day(end).toordinal()
    for shift in rota.shifts:
        for number in range(max(first, shift.since.toordinal()), last + 1):
            begin = (number - _EPOCH) * DAY - EAST + shift.starts * MINUTE
            edges |= {begin, begin + shift.length}
    inside = sorted(edge for edge in edges if start <= edge <= end)
    watches: list[Watch] = []
    for since, until in itertools.pairwise(inside):
        active = (o for o in overrides if o.starts <= since < o.ends)
        people = _overridden(_scheduled(rota, since, calendar), active)
        if watches and watches[-1].responders == people:
            watches[-1] = watches[-1]._replace(end=until)
        else:
            watches.append(Watch(since, until, people))
    return tuple(watches)


class Known(NamedTuple):
    """What was known of a duty post from `since` on, until the next one."""

    since: Micros
    rota: Rota
    calendar: Calendar


Book = Sequence[Known]
"""What was known one after the other, the oldest first; before the first nothing was."""


def was_on_duty(book: Book, at: Micros) -> tuple[str, ...]:
    """Who was on duty at `at` by what was known then; empty where nobody was."""
    known = _known_at(book, at)
    return () if known is None else on_duty(known.rota, at, known.calendar)


def timeline_of(book: Book, start: Micros, end: Micros) -> tuple[Watch, ...]:
    """`timeline` by what was known at each instant, the newest for what is to come."""
    edges = [start, *(known.since for known in book if start < known.since < end), end]
    watches: list[Watch] = []
    for since, until in itertools.pairwise(edges):
        known = _known_at(book, since)
        found = (Watch(since, until, ()),) if known is None else timeline(known.rota, known.calendar, since, until)
        for watch in found if since < until else ():
            if watches and watches[-1].responders == watch.responders:
                watches[-1] = watches[-1]._replace(end=watch.end)
            else:
                watches.append(watch)
    return tuple(watches)


def _known_at(book: Book, at: Micros) -> Known | None:
    return next((known for known in reversed(book) if known.since <= at), None)


class Turn(NamedTuple):
    """One watch of one shift; `edition` is the rota's."""

    shift: str
    start: Micros
    end: Micros
    edition: int


def watch_handed_over(book: Book, giver: str, at: Micros) -> Turn | None:
    """The watch that `giver` hands over at `at`: the one they have, or had until `STILL_HANDED` ago; the one whose end is nearest.

    Whoever stands in has the watches of those they stand in for. None where the rota did not have them on duty.
    """
    found: list[Turn] = []
    for n, known in enumerate(book):
        before = book[n + 1].since if n + 1 < len(book) else at + 1
        if known.since > at or before <= at - STILL_HANDED:
            continue
        rota, today = known.rota, local_day(at)
        for shift in rota.shifts:
            for back in (0, 1, 2):
                if today.toordinal() - back < 1:
                    continue
                day = date.fromordinal(today.toordinal() - back)
                start = midnight(day) + shift.starts * MINUTE
                end = start + shift.length
                over = min(end, before)
                if not (max(start, known.since) <= at < over + STILL_HANDED and start < over):
                    continue
                if shift.begins_on(day, known.calendar) and _had(
                    rota, shift.crew_of(day), giver, start, min(over, at + 1)
                ):
                    found.append(Turn(shift.id, start, end, rota.version))
    return min(found, key=lambda turn: (abs(turn.end - at), -turn.edition), default=None)


def _had(rota: Rota, crew: tuple[str, ...], giver: str, start: Micros, end: Micros) -> bool:
    """Whether `giver` had the watch of this crew at some instant of it."""
    overrides = [o for o in rota.overrides if o.starts < end and o.ends > start]
    edges = sorted({start, *(edge for o in overrides for edge in (o.starts, o.ends) if start < edge < end)})
    return any(giver in _overridden(crew, (o for o in overrides if o.starts <= edge < o.ends)) for edge in edges)


def check_rota(rota: Rota) -> None:
    """Raises BadInput that names rota and key where a rota contradicts itself."""
    where = f"rota {rota.id}"
    if rota.division is not None and rota.institution is not None:
        raise BadInput("a rota belongs to a division or to an institution, not to both", f"{where}: division", "rota")
    if not 0 < len(rota.shifts) <= MOST_SHIFTS:
        raise BadInput(f"a rota has 1 to {MOST_SHIFTS} shifts", f"{where}: shifts", "rota")
    names = [shift.id for shift in rota.shifts]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise BadInput(f"{double[0]!r} stands here twice", f"{where}: shifts", "rota")
    for n, shift in enumerate(rota.shifts):
        _check_shift(shift, f"{where}: shifts.{n}")
    for override in rota.overrides:
        check_override(override, where)


def _check_shift(shift: Shift, where: str) -> None:
    def refuse(key: str, reason: str) -> BadInput:
        return BadInput(reason, f"{where}.{key}", code="rota")

    for key, minutes in (("starts", shift.starts), ("ends", shift.ends)):
        if not 0 <= minutes < MINUTES_A_DAY:
            raise refuse(key, "from 00:00 to 23:59")
    if not 0 < len(shift.responders) <= MOST_PEOPLE:
        raise refuse("responders", f"1 to {MOST_PEOPLE} responders take turns")
    if len(set(shift.responders)) < len(shift.responders):
        raise refuse("responders", "a responder stands here twice: one turn each")
    if not 1 <= shift.crew <= len(shift.responders):
        raise refuse("crew", "at least one, at most as many as take turns")
    if not 1 <= shift.turn_days <= LONGEST_TURN:
        raise refuse("turn_days", f"from 1 to {LONGEST_TURN} days")
    if not shift.weekdays or not shift.weekdays <= frozenset(range(7)):
        raise refuse("weekdays", "name at least one day of the week")
    if not shift.day_kinds:
        raise refuse("day_kinds", "name at least one of workday, weekend, holiday")
    if shift.until is not None and shift.until < shift.since:
        raise refuse("until", "not before since")


def check_override(override: Override, where: str) -> None:
    """Raises BadInput that names the key where an override contradicts itself."""
    if not 0 < override.ends - override.starts <= LONGEST_OVERRIDE:
        raise BadInput("after starts, by at most 366 days", f"{where}: ends", code="rota")
    if override.absent is None and override.present is None:
        raise BadInput("name who is absent, who is present, or both", f"{where}: absent", code="rota")
    if override.absent == override.present:
        raise BadInput("somebody else than who is absent", f"{where}: present", code="rota")
