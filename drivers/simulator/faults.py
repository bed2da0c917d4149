"""Faults on demand, seeded: which of them befalls a frame, and what becomes of its octets. Pure but for the dice that it is given."""

import random
from collections import Counter
from collections.abc import Callable, Mapping

from hub.errors import BadInput
from hub.simulation import FAULTS

SILENCE, HALF, WRONG_ID, BIT, DUPLICATE, RESET, CLOCK = FAULTS
DAY = 86_400.0


class Faults:
    """The dice of one device. `rates` are probabilities of `FAULTS`; what the device's protocol cannot suffer is never drawn."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        wrong = [f"{name}={rate}" for name, rate in rates.items() if name not in FAULTS or not 0 <= rate <= 1]
        if wrong:
            raise BadInput(
                f"{wrong[0]}: a fault is one of {', '.join(FAULTS)} with a probability from 0 to 1", "faults"
            )
        self._rates = dict(rates)
        self._dice = random.Random(seed)
        self.played: Counter[str] = Counter()

    def draw(self, *possible: str) -> str | None:
        """One of the possible faults, or none; counted. The order of `possible` is the order of the dice."""
        for name in possible:
            rate = self._rates.get(name, 0.0)
            if rate and self._dice.random() < rate:
                self.played[name] += 1
                return name
        return None

    def jump(self) -> float:
        """Seconds by which a clock jumps: up to a day either way, never less than ten minutes."""
        return self._dice.choice((-1, 1)) * self._dice.uniform(600.0, DAY)

    def half(self, frame: bytes) -> bytes:
        """A beginning of the frame, at least one octet short."""
        return frame[: self._dice.randrange(1, len(frame))] if len(frame) > 1 else b""

    def flip(self, frame: bytes, first: int = 0) -> bytes:
        """The frame with one bit turned over, from octet `first` on."""
        at = self._dice.randrange(first, len(frame))
        return frame[:at] + bytes((frame[at] ^ 1 << self._dice.randrange(8),)) + frame[at + 1 :]

    def other(self, number: int, most: int) -> int:
        """Another number from 0 to `most`."""
        found = self._dice.randrange(most)
        return found + (found >= number)

    def spoil(self, frame: bytes, fault: str | None, rename: Callable[[bytes], bytes]) -> bytes:
        """What is sent instead of the frame; `rename` gives it a wrong id."""
        if fault == SILENCE:
            return b""
        if fault in (HALF, RESET):
            return self.half(frame)
        if fault == BIT:
            return self.flip(frame)
        return rename(frame) if fault == WRONG_ID else frame
