"""How much quarantine one client may fill: an edge that is out of date sends the same nonsense for ever. Pure.

Of each client and code the first `KEPT` rows of a minute are kept; the rest is counted, and the count is one row when the minute is over.
(The counts of an hour per stream are exact in any case: `stream_tally`.)
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub.core.rows import Quarantined
from hub.model import Micros

KEPT = 60
MINUTE: Micros = 60_000_000
ALWAYS = frozenset({"dropped"})
"""what a spool declares as dropped: each row stands for content that is nowhere else"""
_Who = tuple[str | None, str]


class Quota(NamedTuple):
    """What was let through and what was only counted in the running minute, by client and code."""

    minute: int = 0
    kept: Mapping[_Who, int] = {}
    counted: Mapping[_Who, int] = {}


def let_through(quota: Quota, rows: Sequence[Quarantined], now: Micros) -> tuple[Quota, list[Quarantined]]:
    """The rows to write now, and the quota after them; it counts only once the rows are committed."""
    minute = now // MINUTE
    written: list[Quarantined] = []
    if minute != quota.minute:
        written += [_summary(who, count) for who, count in quota.counted.items()]
        quota = Quota(minute)
    if not rows:
        return quota, written
    kept, counted = dict(quota.kept), dict(quota.counted)
    for row in rows:
        who = row.client, row.code
        if row.code in ALWAYS:
            written.append(row)
        elif kept.get(who, 0) < KEPT:
            kept[who] = kept.get(who, 0) + 1
            written.append(row)
        else:
            counted[who] = counted.get(who, 0) + 1
    return Quota(minute, kept, counted), written


def _summary(who: _Who, count: int) -> Quarantined:
    client, code = who
    reason = f"{count} more of this code within a minute: counted, not kept"
    return Quarantined(None, client, "quarantine", None, None, None, code, reason, b"")
