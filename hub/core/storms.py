"""Many alarms at once are few messages: what is paged now, what waits for the next digest. Pure: times are given.

- Fire and panic never come here: each is paged by itself, at once.
- Of one institution and root cause, one way to a person (responder and channel) gets a page at once, then a digest of all that has come since,
  one a window. The window doubles while the storm goes on, from one minute up to `LONGEST`; critical and high stay at one minute.
  What has no known root cause is a group of its own in each institution.
- What is graver than all that a group has told of does not wait for it: it is paged at once, and what is less grave waits for the graver's digest.
- Over all institutions a way gets at most `MOST` such messages in `RATE_WINDOW`; what comes beyond goes into one digest over all of them,
  every `WIDE_WINDOW`.
- Nothing is dropped: a digest lists every alarm that waits in it, and each alarm keeps its own escalation.

Rate: more than ten alarms in ten minutes are a flood that nobody can follow (ISA-18.2 / IEC 62682, EEMUA 191).
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from hub.model import SECOND, Micros, Priority

WINDOW: Micros = 60 * SECOND
LONGEST: Micros = 15 * 60 * SECOND
RATE_WINDOW: Micros = 600 * SECOND
MOST = 10
WIDE_WINDOW: Micros = 120 * SECOND
LOOK_BACK: Micros = 2 * LONGEST
"""how far back earlier messages matter"""


class Sent(NamedTuple):
    """An earlier message by the same way about something else than fire or panic; `at` may be ahead where it waits."""

    at: Micros
    same_group: bool
    """of the same institution and root cause, and at least as grave"""


class Fold(NamedTuple):
    """Not now: into the digest that is due at `due_at`; `wide`: over all institutions."""

    due_at: Micros
    wide: bool


def fold(sent: Sequence[Sent], priority: Priority, now: Micros) -> Fold | None:
    """What to do with one more alarm: None pages it now. `sent` are the messages of the last LOOK_BACK, in any order."""
    group = sorted((one.at for one in sent if one.same_group), reverse=True)
    if group and group[0] > now:
        return Fold(group[0], wide=False)
    recent = [one.at for one in sent if one.at > now - RATE_WINDOW]
    if len(recent) >= MOST:
        return Fold(now + WIDE_WINDOW, wide=True)
    longest = WINDOW if priority in (Priority.CRITICAL, Priority.HIGH) else LONGEST
    if group and group[0] + _window(group, longest) > now:
        return Fold(group[0] + _window(group, longest), wide=False)
    return None


def _window(group: Sequence[Micros], longest: Micros) -> Micros:
    """The pause after the newest of the group's messages: doubled for each that followed the one before without more than two pauses between."""
    window = WINDOW
    times = sorted(group)
    for earlier, later in itertools.pairwise(times):
        window = min(2 * window, longest) if later - earlier <= 2 * window else WINDOW
    return window
