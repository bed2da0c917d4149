"""How much a duty post is made to bear: chattering, fleeting and standing alarms, floods, the mix of priorities. Pure.

What is counted is an activation: one time at which a condition became true and somebody was to be told, with the time at which it became
false. Hidden activations (shelved, suppressed, held) are not given to these functions: a post is measured by what reaches it.

Source of the limits: ISA-18.2-2016 clause 16 and EEMUA 191 (a post bears about one alarm in ten minutes; more than ten in ten minutes are a
flood until there are fewer than five; three activations of one alarm in a minute are chatter; what stands for a day is stale; of all alarms
about 80 % are low, 15 % medium and 5 % high).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from hub.core.hidings import HIDES, SHOWS
from hub.model import SECOND, Micros, Priority

MINUTE: Micros = 60 * SECOND
WINDOW: Micros = 10 * MINUTE
FLOOD_BEGINS = 10
"""more than this many in a window"""
FLOOD_ENDS = 5
"""fewer than this many in a window"""
CHATTER = 3
"""this many activations of one alarm within a minute"""
FLEETING: Micros = MINUTE
"""over within this, and not back within it either"""
STANDING: Micros = 24 * 60 * MINUTE
BEARABLE = 1.0
"""activations in a window, on average"""


class Source(NamedTuple):
    """What makes the noise: a definition at a device, for one instance."""

    institution: str
    device: str
    definition: str
    instance: str


class Activation(NamedTuple):
    """One time that a post was told of; `until` None while the condition holds."""

    source: Source
    alarm: UUID
    priority: Priority
    at: Micros
    until: Micros | None


class Interval(NamedTuple):
    """From, until (exclusive), and how many activations there were in it."""

    since: Micros
    until: Micros
    activations: int


class Chatter(NamedTuple):
    """A source that repeats itself: `worst` activations in its worst minute, `activations` in all its chatter."""

    source: Source
    worst: int
    activations: int
    since: Micros
    until: Micros


class Measure(NamedTuple):
    """What one post bore between `since` and `until`. Shares are of 0 to 1; None where there is nothing to divide by."""

    since: Micros
    until: Micros
    activations: int
    per_window: float
    """activations in ten minutes, on average"""
    peak: int
    """the most in any ten minutes"""
    floods: tuple[Interval, ...]
    flood_share: float
    """of the time"""
    mix: dict[Priority, float]
    chattering: tuple[Chatter, ...]
    fleeting: tuple[tuple[Source, int], ...]
    standing: tuple[Activation, ...]
    worst: tuple[tuple[Source, int], ...]
    """the ten sources with the most activations: to mend these first mends the most"""


class Said(NamedTuple):
    """One row of an alarm's history, with what the alarm is."""

    source: Source
    alarm: UUID
    priority: Priority
    event: str
    was_active: bool
    """whether its condition stood before this"""
    at: Micros


def activations(history: Iterable[Said]) -> list[Activation]:
    """The times that somebody was to be told, from the histories of alarms, each alarm's rows together and in their order.

    One that came while its alarm was hidden is none.
    """
    found: list[Activation] = []
    alarm: UUID | None = None
    hidden: set[str] = set()
    begun: Said | None = None
    for row in history:
        if row.alarm != alarm:
            if begun is not None:
                found.append(_activation(begun, None))
            alarm, hidden, begun = row.alarm, set(), None
        if row.event in HIDES:
            hidden.add(HIDES[row.event])
        elif row.event in SHOWS:
            hidden.discard(SHOWS[row.event])
        elif row.event == "raise" and not row.was_active and not hidden:
            begun = row
        elif row.event == "clear" and begun is not None:
            found.append(_activation(begun, row.at))
            begun = None
    if begun is not None:
        found.append(_activation(begun, None))
    return found


def _activation(begun: Said, until: Micros | None) -> Activation:
    return Activation(begun.source, begun.alarm, begun.priority, begun.at, until)


def measure(activations: Iterable[Activation], since: Micros, until: Micros, worst: int = 10) -> Measure:
    """What these activations of one post were between `since` and `until` (exclusive).

    One that began earlier counts as standing only. Raises ValueError when the interval is empty or longer than the clock.
    """
    if until <= since:
        raise ValueError("a measure needs an interval that is not empty")
    everything = list(activations)
    here = sorted((one for one in everything if since <= one.at < until), key=lambda one: (one.at, one.source))
    times = [one.at for one in here]
    flooded = floods(times, until)
    by_source = Counter(one.source for one in here)
    mix = Counter(one.priority for one in here)
    return Measure(
        since=since,
        until=until,
        activations=len(here),
        per_window=len(here) * WINDOW / (until - since),
        peak=peak(times),
        floods=flooded,
        flood_share=sum(one.until - one.since for one in flooded) / (until - since),
        mix={priority: mix[priority] / len(here) for priority in Priority if mix[priority]},
        chattering=chattering(here),
        fleeting=fleeting(here),
        standing=standing(everything, until),
        worst=tuple(sorted(by_source.items(), key=lambda item: (-item[1], item[0]))[:worst]),
    )


def peak(times: Sequence[Micros]) -> int:
    """The most activations in any ten minutes; `times` ascending."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= WINDOW:
            first += 1
        most = max(most, last - first + 1)
    return most


def floods(times: Sequence[Micros], until: Micros) -> tuple[Interval, ...]:
    """When more than `FLOOD_BEGINS` came in ten minutes, each until fewer than `FLOOD_ENDS` did or until `until`; `times` ascending.

    A flood begins with the activation that is one too many; it ends at the instant at which the window behind it holds few enough.
    """
    found: list[Interval] = []
    began: Micros | None = None
    first = count = 0
    for last, at in enumerate(times):
        if began is not None:
            ended = _calm_at(times, first, last)
            if ended <= at:
                found.append(Interval(began, ended, count))
                began = None
        while at - times[first] >= WINDOW:
            first += 1
        if began is not None:
            count += 1
        elif last - first + 1 > FLOOD_BEGINS:
            began, count = at, 1
    if began is not None:
        found.append(Interval(began, max(began, min(until, _calm_at(times, first, len(times)))), count))
    return tuple(found)


def _calm_at(times: Sequence[Micros], first: int, end: int) -> Micros:
    """When fewer than `FLOOD_ENDS` of `times[:end]` lie in the window behind, if nothing more comes."""
    held = end - first
    return times[first] if held < FLOOD_ENDS else times[end - FLOOD_ENDS] + WINDOW


def chattering(activations: Sequence[Activation]) -> tuple[Chatter, ...]:
    """The sources with `CHATTER` or more activations in some minute, worst first; ascending by time."""
    found = []
    for source, times in _by_source(activations).items():
        worst = first = 0
        noisy: list[int] = []
        for last, at in enumerate(times):
            while at - times[first] >= MINUTE:
                first += 1
            count = last - first + 1
            if count >= CHATTER:
                noisy += range(first if not noisy else max(first, noisy[-1] + 1), last + 1)
                worst = max(worst, count)
        if noisy:
            found.append(Chatter(source, worst, len(noisy), times[noisy[0]], times[noisy[-1]]))
    return tuple(sorted(found, key=lambda one: (-one.worst, -one.activations, one.source)))


def fleeting(activations: Sequence[Activation]) -> tuple[tuple[Source, int], ...]:
    """The sources whose alarms were over before anybody could act (within `FLEETING`) and did not come back at once, most often first."""
    counts: Counter[Source] = Counter()
    last: dict[Source, Activation] = {}
    for one in activations:
        before = last.get(one.source)
        if before is not None and _short(before) and one.at - before.at >= FLEETING:
            counts[one.source] += 1
        last[one.source] = one
    counts.update(one.source for one in last.values() if _short(one))
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _short(one: Activation) -> bool:
    return one.until is not None and one.until - one.at < FLEETING


def standing(activations: Iterable[Activation], now: Micros) -> tuple[Activation, ...]:
    """What has held for `STANDING` or longer at `now`, longest first."""
    found = [one for one in activations if one.at <= now - STANDING and (one.until is None or one.until > now)]
    return tuple(sorted(found, key=lambda one: (one.at, one.source)))


def _by_source(activations: Sequence[Activation]) -> dict[Source, list[Micros]]:
    times: defaultdict[Source, list[Micros]] = defaultdict(list)
    for one in activations:
        times[one.source].append(one.at)
    return times
