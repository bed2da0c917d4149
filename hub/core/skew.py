"""How far a device's own clock is off, from the times that it puts on what it says and those of the process that received it. Pure.

Nothing comes from the future: one sample ahead of its receipt proves that the clock is. What is behind may only have waited; a clock is called
slow where the least delayed samples of a minute or more all lie as far behind. In between nothing is said.
"""

from typing import NamedTuple

from hub.model import SECOND, Micros

AHEAD: Micros = 5 * SECOND
"""as `hub.core.normalise` tolerates"""
BEHIND: Micros = 60 * SECOND
SPREAD: Micros = 30 * SECOND
"""what waits in a queue that empties does not stay as far behind"""
SLOT: Micros = 20 * SECOND
KEPT = 4
"""slots; so a slow clock is one of at least a minute"""


class Told(NamedTuple):
    """One comparison: when it was received, and how far the device's time was ahead of that then."""

    read_at: Micros
    ahead: Micros


class Skew(NamedTuple):
    """What is known of one device's clock."""

    told: tuple[Told, ...] = ()
    """oldest first, the least delayed of each slot"""
    newest: Micros = 0
    """the newest offset"""
    series: tuple[str, str] = ("", "")
    """point and instance that it was told by last: what others say may bear the time of the edge"""

    @property
    def estimate(self) -> Micros | None:
        """How far it is ahead (below 0: behind) where that is known; 0 where it is right as far as can be told."""
        if self.newest > AHEAD:
            return self.newest
        if self.newest >= -BEHIND:
            return 0
        return max(one.ahead for one in self.told) if self.is_slow else None

    @property
    def is_slow(self) -> bool:
        """Whether it goes behind: its times are not those at which things happened."""
        offsets = [one.ahead for one in self.told]
        return len(offsets) == KEPT and max(offsets) < -BEHIND and max(offsets) - min(offsets) <= SPREAD

    def with_told(self, read_at: Micros, said_at: Micros, series: tuple[str, str] = ("", "")) -> "Skew":
        """After another sample that was received at `read_at` and says `said_at` of itself."""
        ahead = said_at - read_at
        last = self.told[-1] if self.told else None
        if last is None or read_at - last.read_at >= SLOT or read_at < last.read_at:
            return Skew((*self.told, Told(read_at, ahead))[-KEPT:], ahead, series)
        if ahead > last.ahead:
            return Skew((*self.told[:-1], Told(last.read_at, ahead)), ahead, series)
        return Skew(self.told, ahead, series)


class Clock(NamedTuple):
    """What is stored of it: the newest comparison that was worth a row."""

    ahead: Micros
    said_at: Micros
    read_at: Micros
    reader: str
    """by whose clock: edge or hub"""
    wrong: bool
    since: Micros
    """of `wrong`, by the hub's clock"""

    def is_news(self, before: "Clock | None") -> bool:
        """Whether it says something that `before` does not."""
        if before is None or before.wrong != self.wrong:
            return True
        return self.wrong and abs(self.ahead - before.ahead) > SECOND and self.read_at - before.read_at >= 60 * SECOND
