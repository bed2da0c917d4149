"""How long to wait before the next try: exponential with full jitter, so that a thousand clients do not come back at once.

Source of the rule: Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Chance comes in as a number from 0 to 1.
"""

from dataclasses import dataclass

FIRST = 1.0
LONGEST = 30.0
DENIED = 300.0
"""seconds between tries where a person must act first"""
DENIED_URGENT = 60.0
"""the same where a fire or a press may be behind it: it must be found again soon after somebody corrected the password"""
SHORTEST = 0.05


def full_jitter(attempt: int, first: float, most: float, chance: float) -> float:
    """Seconds before try number `attempt` (1, 2, …): `chance` (0 to 1) of min(`most`, `first` · 2^(attempt - 1))."""
    return float(min(most, first * 2 ** min(attempt - 1, 30)) * chance)


@dataclass(slots=True)
class Backoff:
    """Counts the failures in a row of one connection."""

    first: float = FIRST
    longest: float = LONGEST
    denied_longest: float = DENIED
    failures: int = 0

    def next(self, chance: float) -> float:
        """Seconds to wait after one more failure."""
        self.failures += 1
        return max(SHORTEST, full_jitter(self.failures, self.first, self.longest, chance))

    def denied(self, chance: float) -> float:
        """Seconds to wait after credentials were refused: long, whatever the history."""
        self.failures += 1
        return self.denied_longest * (0.5 + 0.5 * chance)

    def reset(self) -> None:
        """It works again."""
        self.failures = 0
