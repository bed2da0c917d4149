"""Acknowledgements that are given while the database is away: what one is, until when it stands. Pure.

It stops the chain that goes on without the database. It is over when the button is pressed again after it, or when it lapses as any
acknowledgement of a fire or panic does (`hub.core.ownership`): then the chain goes on with a new round. In the database it becomes what it was: an
acknowledgement by that person at that time, and a lapse where it is over.
"""

from dataclasses import dataclass
from uuid import UUID

from hub.core.alarms import Alarm, AlarmEvent, step
from hub.core.ownership import DEFAULT_LAPSE, terms
from hub.errors import Conflict
from hub.model import Micros

PRESSED_AGAIN = "pressed again"
MOST = 20
"""of one alarm"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Who took the alarm, when, and by what: a page's signed link, or (`notification` None) a token or a login. `over_at`: since when it stands no
    more, and why."""

    alarm: UUID
    actor: str
    at: Micros
    notification: UUID | None
    over_at: Micros | None = None
    why: str = ""
    note: str = ""
    """what the person wrote beside it"""


def lapses_at(answer: Answer, alarm: Alarm, lapse_after: Micros | None) -> Micros:
    """When it is over if nothing follows; `lapse_after` as the alarm's policy has it, None: as is usual for its class."""
    found = terms(alarm.signal_class, None, lapse_after)
    return answer.at + (DEFAULT_LAPSE if found is None else found.lapse_after)


def taken(alarm: Alarm, answer: Answer) -> Alarm:
    """The alarm as it stands with the answer."""
    try:
        return step(alarm, AlarmEvent.ACKNOWLEDGE, answer.at, answer.actor)[0]
    except Conflict:
        return alarm
