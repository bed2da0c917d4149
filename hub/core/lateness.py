"""What is late: an alarm that reaches the hub long after it happened waits until the rest of what was late has come. Pure.

A spool that is being emptied brings a raise and, seconds later, the clear that ended it yesterday. So a late alarm is recorded at once and
its paging waits while the stream of its client catches up, at most `LONGEST_WAIT`. What is over by then was over before anybody could have
been told. Fire and panic do not wait and are paged even if they are over.

A stream catches up while its lag shrinks. One whose clock is merely behind has a lag that stays: it waits for nothing.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hub.model import SECOND, Micros

LATE_AFTER: Micros = 60 * SECOND
"""what is received more than this after it happened is late"""
LONGEST_WAIT: Micros = 300 * SECOND
SHORTEST_WAIT: Micros = 3 * SECOND
"""the clear may be in the next message"""
QUIET: Micros = 10 * SECOND
"""a stream whose lag has not shrunk for this long has nothing more to say of the past"""
_SHRINKS: Micros = 5 * SECOND


class Lag(NamedTuple):
    """How far the newest of a stream is behind the hub's clock, and when it last came closer."""

    lag: Micros
    shrank_at: Micros


def followed(before: Lag | None, newest_at: Micros, now: Micros) -> Lag:
    """The lag after a message whose stream has its newest sample at `newest_at`. A stream that is heard for the first time may be catching up."""
    lag = now - newest_at
    if before is None or lag < before.lag - _SHRINKS:
        return Lag(lag, now)
    return Lag(max(lag, before.lag), before.shrank_at)


def is_late(at: Micros, now: Micros) -> bool:
    """Whether what happened at `at` and is known only `now` is late."""
    return now - at > LATE_AFTER


def waits(held_until: Micros, lags: Iterable[Lag], listening_since: Micros, now: Micros) -> bool:
    """Whether a late alarm goes on waiting, whose hold ends by itself at `held_until`. `lags` of the streams of its client.

    A hub that has only begun to listen cannot know yet who has a backlog.
    """
    if not held_until - LONGEST_WAIT <= now < held_until:  # its time is over, or the clock was set back
        return False
    if now < held_until - LONGEST_WAIT + SHORTEST_WAIT or now < listening_since + QUIET:
        return True
    return any(lag.lag > LATE_AFTER and now - lag.shrank_at < QUIET for lag in lags)
