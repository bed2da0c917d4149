"""How many rejects one source may put into the spool: noise on a line must not fill it. Pure.

Of each source and code the first `KEPT` of a minute are kept, as the hub keeps them in quarantine (`hub.core.quota`); the rest is counted, and
the count becomes one reject with code `dropped` when the minute is over. Sources are chosen by whoever talks to us, so at most `SOURCES` are
told apart; the others share one place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hub.model import Micros, Reject

KEPT = 60
MINUTE: Micros = 60_000_000
SOURCES = 200
OTHERS = "edge: other sources"


@dataclass(slots=True)
class Sieve:
    """The running minute; `total` counts what was not kept since the process began."""

    total: int = 0
    _minute: int = 0
    _kept: dict[tuple[str, str], int] = field(default_factory=dict)
    _counted: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, rejects: Sequence[Reject], now: Micros) -> list[Reject]:
        """What of `rejects` is kept, behind the counts of a minute that is over."""
        passed = self._turn(now)
        for reject in rejects:
            key = (str(reject.source), str(reject.code))
            if key not in self._kept and len(self._kept) >= SOURCES:
                key = (OTHERS, "")
            if self._kept.get(key, 0) < KEPT:
                self._kept[key] = self._kept.get(key, 0) + 1
                passed.append(reject)
            else:
                self._counted[key] = self._counted.get(key, 0) + 1
                self.total += 1
        return passed

    def _turn(self, now: Micros) -> list[Reject]:
        return [] if now // MINUTE == self._minute else self.end(now)

    def end(self, now: Micros) -> list[Reject]:
        """The minute is over: what was counted in it."""
        counts = [_summary(source, code, count, now) for (source, code), count in self._counted.items()]
        self._minute = now // MINUTE
        self._kept.clear()
        self._counted.clear()
        return counts


def _summary(source: str, code: str, count: int, now: Micros) -> Reject:
    what = f"rejects {code!r}" if code else "rejects"
    return Reject(now, source, "dropped", f"{count} more {what} within a minute: counted, not kept")
