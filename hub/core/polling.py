"""When which points of a link are read, and how one dead device is kept from slowing its neighbours on the same line.

Every point keeps its own interval without drift; what is due together is read together. A device that gave nothing but errors, or that was
part of an answer that was nonsense as a whole, is read by itself from then on, until it is well again. While it stays dead it gets a
slower turn: its reading takes `cost` seconds (mostly its time-out), and with n dead devices it comes again after n · cost / `SHARE`, so
that all the dead together cost the line at most `SHARE` of its time. Three things bend that rule:

- dead devices of the urgent lane have most of the share (`URGENT_PART`): a smoke detector must be found again before a thermometer;
- one of those comes again after `LONGEST_URGENT` at the latest, for which the dead may cost up to `MOST` of the line, no more;
- on a line where nobody is well nobody can be slowed down: there the dead wait for cost / `ALONE`.

Time comes in as whole microseconds of a monotonic clock, chance as a number from 0 to 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.model import Micros, Sample, Series

SHARE = 0.05
"""of a line's time that dead devices may cost (DESIGN.md, Drivers)"""
URGENT_PART = 0.8
"""of `SHARE`, for dead devices of the urgent lane, where there are others too"""
MOST = 0.2
"""of a line's time that dead devices of the urgent lane may cost, so that none is forgotten for longer than `LONGEST_URGENT`"""
ALONE = 0.5
"""the same as `SHARE` for a line on which no device is well"""
LONGEST: Micros = 600_000_000
"""between two tries of a dead device, whatever it costs"""
LONGEST_URGENT: Micros = 120_000_000
"""the same for one of the urgent lane, as long as `MOST` allows it"""
SHORTEST: Micros = 10_000
"""Poll intervals below this are read as this."""


class Turn(NamedTuple):
    """One call of `PollLink.read`."""

    series: list[Series]
    alone: str | None
    """the device that is read by itself, or None for all the healthy ones"""


@dataclass(slots=True)
class Schedule:
    """What is due on one link. `every` gives each point's interval, `urgent` the devices of the urgent lane."""

    every: Mapping[Series, Micros]
    urgent: frozenset[str] = frozenset()
    _due: dict[Series, Micros] = field(default_factory=dict)
    _apart: dict[str, Micros] = field(default_factory=dict)
    """devices that are read by themselves, and when they may be again"""
    _dead: set[str] = field(default_factory=set)

    def start(self, now: Micros, chance: float) -> None:
        """Everything becomes due within its own interval and a second: by chance, but one moment for the link, so that it is read together."""
        for series, every in self.every.items():
            self._due[series] = now + int(chance * min(every, 1_000_000))

    def turns(self, now: Micros) -> list[Turn]:
        """What to read now, healthy devices first; each point's next time is set."""
        due: dict[str | None, list[Series]] = {}
        for series, at in self._due.items():
            apart = self._apart.get(series.device)
            if at > now or (apart is not None and apart > now):
                continue
            every = max(self.every[series], SHORTEST)
            self._due[series] = at + every * ((now - at) // every + 1)
            due.setdefault(None if apart is None else series.device, []).append(series)
        together = [Turn(due.pop(None), None)] if None in due else []
        return together + [Turn(series, device) for device, series in due.items()]

    def next(self) -> Micros | None:
        """When something is due next; None when there is nothing to read at all."""
        return min(
            (max(at, self._apart.get(series.device, at)) for series, at in self._due.items()),
            default=None,
        )

    def answered(self, turn: Turn, samples: Iterable[Sample], cost: Micros, now: Micros) -> None:
        """What a turn brought and how long it took. A device of which nothing came has only points that speak by themselves."""
        heard: dict[str, bool] = {}
        for sample in samples:
            heard[sample.series.device] = heard.get(sample.series.device, False) or sample.error is None
        for device in {series.device for series in turn.series} & heard.keys():
            if heard[device]:
                self._apart.pop(device, None)
                self._dead.discard(device)
            elif turn.alone is None:
                self._apart[device] = now  # suspected: next time by itself, at its usual time
            else:
                self._slow(device, cost, now)

    def failed(self, turn: Turn, cost: Micros, now: Micros) -> None:
        """A turn brought nonsense as a whole: whose it was is found by reading each by itself."""
        if turn.alone is not None:
            self._slow(turn.alone, cost, now)
            return
        for series in turn.series:
            self._apart[series.device] = now

    @property
    def dead(self) -> Sequence[str]:
        """Devices that have a slower turn."""
        return sorted(self._dead)

    def _slow(self, device: str, cost: Micros, now: Micros) -> None:
        self._dead.add(device)
        self._apart[device] = now + slower_turn(
            cost,
            urgent=len(self._dead & self.urgent),
            bulk=len(self._dead - self.urgent),
            is_urgent=device in self.urgent,
            alone=len(self._dead) == len({series.device for series in self.every}),
        )


def slower_turn(cost: Micros, *, urgent: int, bulk: int, is_urgent: bool, alone: bool) -> Micros:
    """After how long one of `urgent` + `bulk` dead devices is tried again when a try costs `cost`; `alone`: nobody on the line is well."""
    if alone:
        return min(LONGEST, int((urgent + bulk) * cost / ALONE))
    if urgent == 0 or bulk == 0:
        part, rivals = 1.0, urgent + bulk
    else:
        part, rivals = (URGENT_PART, urgent) if is_urgent else (1 - URGENT_PART, bulk)
    fair = int(rivals * cost / (part * SHARE))
    if is_urgent:
        fair = min(fair, max(LONGEST_URGENT, int(urgent * cost / MOST)))
    return min(LONGEST, fair)
