"""How often a caller may fail: so many times at once, then again by and by. Success costs nothing, and nobody pays for another."""

from collections import OrderedDict
from typing import NamedTuple


class _Bucket(NamedTuple):
    tries: float
    at: float


class Throttle:
    """`burst` failures at once, then one more every `every` seconds; of at most `most` callers (the one longest unseen is forgotten)."""

    def __init__(self, burst: int, every: float, *, most: int = 10_000) -> None:
        self._burst = burst
        self._every = every
        self._most = most
        self._callers: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, caller: str, now: float) -> float:
        """How many seconds this caller has to wait before the next try; 0 when it may try at once. `now` in seconds, never backwards."""
        return max(1 - self._filled(caller, now), 0.0) * self._every

    def failed(self, caller: str, now: float) -> None:
        """A try that did not succeed costs one."""
        self._callers[caller] = _Bucket(self._filled(caller, now) - 1, now)
        self._callers.move_to_end(caller)
        while len(self._callers) > self._most:
            self._callers.popitem(last=False)

    def _filled(self, caller: str, now: float) -> float:
        bucket = self._callers.get(caller)
        if bucket is None:
            return float(self._burst)
        return min(float(self._burst), bucket.tries + (now - bucket.at) / self._every)
