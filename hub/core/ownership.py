"""An acknowledgement is owned: its owner is reminded, and it lapses where nothing follows. Pure: times and what happened are given.

After an acknowledgement the owner has `remind_after` until somebody asks whether they are still on it, and `lapse_after` until the alarm is
unacknowledged again and paged from its first step. Whatever a person does to the alarm in between starts both times anew; a disposition,
a reset, or the end of the condition settles it. Fire and panic always have both times; other classes only where the policy says so.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from hub.model import LIFE_SAFETY, SECOND, Micros, SignalClass

_MINUTE: Micros = 60 * SECOND
DEFAULT_REMIND: Micros = 3 * _MINUTE
DEFAULT_LAPSE: Micros = 6 * _MINUTE
LONGEST: Micros = 24 * 60 * _MINUTE

SETTLING = frozenset({"clear", "reset", "dispose", "close"})
"""events of an alarm after which nobody is reminded any more"""


class Terms(NamedTuple):
    """How long after the last sign of the owner: until the reminder, until the acknowledgement lapses."""

    remind_after: Micros
    lapse_after: Micros


def terms(signal_class: SignalClass, remind_after: Micros | None, lapse_after: Micros | None) -> Terms | None:
    """What holds for an alarm whose policy says these times (None: nothing); None where an acknowledgement stands without limit."""
    if lapse_after is None and signal_class not in LIFE_SAFETY:
        return None
    lapse = DEFAULT_LAPSE if lapse_after is None else lapse_after
    remind = min(DEFAULT_REMIND, lapse // 2) if remind_after is None else remind_after
    return Terms(min(remind, lapse), lapse)


class Sign(StrEnum):
    """What followed an acknowledgement."""

    NOTHING = "nothing"
    RENEWED = "renewed"
    SETTLED = "settled"


def followed(events: Iterable[tuple[str, str]]) -> Sign:
    """What (event, actor) in an alarm's history after its acknowledgement amount to. What the machine does by itself is no sign of a
    person, except that the condition has ended."""
    sign = Sign.NOTHING
    for event, actor in events:
        if event in SETTLING:
            return Sign.SETTLED
        if actor != "":
            sign = Sign.RENEWED
    return sign
