"""Which devices need no look at a tick: time alone can change nothing of them yet.

A province has hundreds of thousands of devices and a tick comes twice a second; looking at each would take the hub's whole time. Behind a
client whose own verdict stands and which beats, a device's verdict changes only when the beat has gone on beyond what the device was last
heard at (`Rest.limit`), or when something happened to the device; what happened is noted as a stir (`hub.core.draft.Draft.settle`). Every
rest ends after `LONGEST` in any case.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hub.core.liveness import Beat, Verdict, is_fresh
from hub.model import LinkState, Micros

LONGEST: Micros = 60_000_000
"""well within the 95 s after which silence must be found"""
_NEVER: Micros = 1 << 62


class Behind(NamedTuple):
    """What decides about the devices behind a client."""

    verdict: Verdict
    offline_after: Micros
    beat: Beat | None
    deaf: str = "hub"
    """what kept the hub from listening before it heard the client"""


class Rest(NamedTuple):
    """The devices of a client in one lane, as they were looked at last without anything to change."""

    verdict: Verdict
    fresh: bool
    """whether the client's beat was one to measure them by"""
    beat: Beat | None
    deaf: str
    limit: Micros
    """up to this beat (exclusive), by the edge's clock"""
    until: Micros
    """by the hub's clock, exclusive"""

    def holds(self, now: Micros, behind: Behind) -> bool:
        """Whether a look at `now` would still find what the last one found."""
        if now >= self.until or behind.verdict != self.verdict or self.fresh != fresh(now, behind):
            return False
        if not self.fresh:
            return (self.beat is None) == (behind.beat is None) and self.deaf == behind.deaf
        old, new = self.beat, behind.beat
        assert old is not None
        assert new is not None
        return old.at <= new.at < self.limit and old.uptime <= new.uptime


def fresh(now: Micros, behind: Behind) -> bool:
    """Whether the devices are measured by the client's beat, and not all by the client's own verdict."""
    online = behind.verdict.state is LinkState.ONLINE
    return online and behind.beat is not None and is_fresh(now, behind.beat, behind.offline_after)


def rest(
    now: Micros, behind: Behind, found: Iterable[tuple[Micros | None, Micros, Verdict]], spread: int
) -> Rest | None:
    """The rest after a look that changed nothing: `found` are the devices' last times heard, their `offline_after` and their verdicts.

    None where a device is in between (its edge began a moment ago, or its clock went back): such are looked at each time. `spread` is any
    number of the client's: the longest rests of all clients do not end at once.
    """
    looked = fresh(now, behind)
    limit = _NEVER
    if looked:
        for heard, offline_after, verdict in found:
            if verdict.state is LinkState.ONLINE and heard is not None:
                limit = min(limit, heard + offline_after)
            elif verdict.state is LinkState.UNKNOWN and heard is not None:
                return None
    return Rest(behind.verdict, looked, behind.beat, behind.deaf, limit, now + LONGEST // 2 + spread % (LONGEST // 2))
