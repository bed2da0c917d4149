"""Whether a lane listens: since when, what kept it from listening before, and what of that is still to be written down."""

from dataclasses import dataclass, field

from hub.core.blindness import Cause
from hub.model import Micros


@dataclass
class Hearing:
    """One lane's ears. A gap begins with what was lost first and ends when everything is back."""

    gap: tuple[Cause, Micros] | None
    """what keeps it from listening, and since when; None while it listens"""
    deaf: Cause = Cause.HUB
    """what kept it from listening last"""
    news: list[tuple[Cause, Micros, Micros | None]] = field(default_factory=list)
    """gaps to write: what, since, until (None: it has only begun)"""

    def lose(self, part: Cause, now: Micros) -> None:
        """From `now` on it does not listen, because of `part`."""
        if self.gap is None:
            self.gap = part, now
            self.deaf = part
            self.news.append((part, now, None))

    def begin(self, now: Micros) -> None:
        """From `now` on it listens."""
        if self.gap is not None:
            part, since = self.gap
            self.gap = None
            self.news.append((part, min(since, now), now))

    def remember(self, listened: Micros | None) -> None:
        """The database knows when somebody listened last, before this process did."""
        if self.gap is not None and self.gap[0] is Cause.HUB and listened is not None:
            self.gap = Cause.HUB, min(self.gap[1], listened)
