"""What an edge can say of itself only by reckoning: how long its spool can hold, and how far its clock is from the hub's. Pure.

Time comes in as seconds of a monotonic clock, except where a clock itself is judged.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.model import Micros

RATE_WINDOW = 600.0
"""seconds over which the rate into the spool is measured"""
RATE_LEAST = 60.0
"""seconds of measuring before anything is said"""
LONGEST_HOLD = 366 * 86_400
"""seconds; whatever would be longer is this"""
OVERHEAD = 1.5
"""bytes of file for each byte of payload: pages that are not full, indexes, the log; 1.4 to 1.5 measured by bench/backlog.py"""


@dataclass(slots=True)
class Rate:
    """Bytes a second into a spool, from its running total."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, total: int) -> None:
        """The running total at `now`."""
        self._seen.append((now, total))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_WINDOW:
            self._seen.popleft()

    def per_second(self, least: float = RATE_LEAST) -> float | None:
        """Over at most the window; None before there is anything to say."""
        if len(self._seen) < 2:
            return None
        (begun, before), (now, total) = self._seen[0], self._seen[-1]
        return None if now - begun < least else (total - before) / (now - begun)


def hold_seconds(budget_left: int, disk_left: int | None, rate: float | None) -> int | None:
    """For how long bulk can come in at `rate` (payload bytes a second) before the first is dropped; None while the rate is unknown.

    `budget_left` is in payload bytes, `disk_left` in bytes of the file system (None: no disk bounds it).
    """
    if rate is None:
        return None
    left = budget_left if disk_left is None else min(float(budget_left), disk_left / OVERHEAD)
    return LONGEST_HOLD if rate <= 0 else int(min(LONGEST_HOLD, max(0.0, left) / rate))


CLOCK_WINDOW = 60.0
"""seconds for which an estimate stands: a clock that is set is seen within them"""
CLOCK_ERROR: Micros = 2_500_000
"""an estimate that may be further off says nothing about 5 s"""


class Skew(NamedTuple):
    """How far a clock is ahead of the hub's (behind: negative), and by how much that may be wrong at most."""

    ahead: Micros
    error: Micros


@dataclass(slots=True)
class SkewEstimate:
    """The edge's clock against the hub's, from confirmations that carry the hub's time.

    A confirmation of a message was written between our sending it and its coming in; so was the hub's time in it. Half of that round trip
    is the largest error of taking its middle, whatever the two ways and the commit between them took. Of what the last minute brought
    the one with the shortest round trip is taken (the idea of NTP's clock filter, RFC 5905, section 10).
    """

    _seen: deque[tuple[float, Skew]] = field(default_factory=deque)

    def note(self, hub_time: Micros, own_time: Micros, round_trip: float, now: float) -> None:
        """A confirmation with `hub_time` came at `own_time`, `round_trip` seconds after its message was first sent."""
        half = max(0, int(round_trip * 500_000))
        self._seen.append((now, Skew(own_time - half - hub_time, half)))
        if len(self._seen) > 1000:
            self._seen.popleft()

    def best(self, now: float) -> Skew | None:
        """None while nothing that is good enough was heard within the window."""
        while self._seen and now - self._seen[0][0] > CLOCK_WINDOW:
            self._seen.popleft()
        found = min((skew for _, skew in self._seen), key=lambda skew: skew.error, default=None)
        return None if found is None or found.error > CLOCK_ERROR else found
