"""The alarms that the standby knows and the database does not show: for whoever draws a board meanwhile."""

from collections.abc import Iterator
from typing import NamedTuple

from hub.core.alarms import Alarm
from hub.core.answers import taken
from hub.runtime.standby import Standby


class Shown(NamedTuple):
    """One alarm, as it stands with what was answered beside the database."""

    alarm: Alarm
    stored: bool
    """the database has it; else it will, when it answers"""


def shown(standby: Standby) -> Iterator[Shown]:
    """What is paged from here and no look at the database has shown; while that does not answer also what was open at the last look, as far as it
    is of fire and panic devices."""
    stored = {alarm.id: alarm for of in standby.known.open.alarms.values() for alarm in of}
    for id_, pursuit in list(standby.pursuits.items()):
        if id_ not in stored:
            yield Shown(_with_answer(standby, pursuit.alarm), False)
    if standby.is_blind:
        for alarm in stored.values():
            if alarm.ended_at is None:
                yield Shown(_with_answer(standby, alarm), True)


def has_unstored(standby: Standby) -> bool:
    """Whether anything is paged from here that no look at the database has shown."""
    return bool(standby.pursuits) and any(not one.stored for one in shown(standby))


def _with_answer(standby: Standby, alarm: Alarm) -> Alarm:
    answer = standby.answers.standing(alarm.id)
    return alarm if answer is None else taken(alarm, answer)
