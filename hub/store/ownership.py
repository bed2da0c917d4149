"""Acknowledgements that are owned, in the database: begun, renewed, reminded of and lapsed by what stands in an alarm's history.

Nobody has to tell it anything: whatever a person does to an alarm leaves a line in `alarm_transition`, and that is read. What is due is done under
the alarm's lock, after its history was read once more: a sign of the owner and the lapse come one after the other.
"""

from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from hub.core.alarms import AlarmEvent
from hub.core.escalation import Plan
from hub.core.ownership import Sign, followed, terms
from hub.errors import Conflict
from hub.model import Priority, SignalClass, to_datetime
from hub.store import alarms, escalation, paging
from hub.store.intervals import to_interval
from hub.store.paging import Subject
from hub.store.queries import queries
from hub.store.steady import Moment, moment

_SQL = queries("ownership")

_AT_ONCE = 20
"""of what is due at once: steps that are due are not to wait for it"""

Cursor = AsyncCursor[TupleRow]


class Done(NamedTuple):
    """What became of one ownership whose time had come: `reminded`, `lapsed`, or `nothing` since somebody was quicker."""

    alarm: UUID
    what: str
    owner: str = ""
    reminded: tuple[str, ...] = ()
    """responder/channel"""


async def attend(cur: Cursor, now: Moment, limit: int = 200) -> list[UUID]:
    """Write down new owners, take in what followed, and return the alarms whose reminder or lapse is due, the oldest first.

    Raises Conflict where the clock was found to have been set since `now`.
    """
    await _go_by(cur, now)
    await cur.execute(_SQL["unowned"], {"limit": limit})
    for alarm, institution, owner, at, signal_class, remind_after, lapse_after, seen in await cur.fetchall():
        found = terms(SignalClass(signal_class), remind_after, lapse_after)
        if found is None:
            continue
        given = {"alarm": alarm, "institution": institution, "owner": owner, "acknowledged_at": at, "seen": seen}
        spans = {"remind_after": to_interval(found.remind_after), "lapse_after": to_interval(found.lapse_after)}
        await cur.execute(_SQL["own"], given | spans | {"now": to_datetime(now.at)})
    await _take_in(cur, None, now)
    await cur.execute(_SQL["due"], {"now": to_datetime(now.at), "limit": _AT_ONCE})
    return [row[0] for row in await cur.fetchall()]


async def settle_due(cur: Cursor, alarm: UUID, now: Moment) -> Done:
    """Remind the owner, or let the acknowledgement lapse: the alarm is unacknowledged again and its escalation begins with a new round.

    In the caller's transaction. Raises Conflict where the clock was found to have been set since `now`.
    """
    await cur.execute(_SQL["lock_alarm"], {"alarm": alarm})
    await _go_by(cur, now)
    await _take_in(cur, alarm, now)
    await cur.execute(_SQL["lock"], {"alarm": alarm, "now": to_datetime(now.at)})
    row = await cur.fetchone()
    if row is None:
        return Done(alarm, "nothing")
    institution, owner, lapses, reminders, number, plan, urgency, priority, exercise, owned = row
    if not owned:
        await cur.execute(_SQL["settle"], {"alarm": alarm, "seen": 0})
        return Done(alarm, "nothing")
    if lapses:
        await alarms.act(cur.connection, alarm, AlarmEvent.LAPSE, "", f"no sign of {owner}", now.at)
        await cur.execute(_SQL["lapsed"], {"alarm": alarm})
        await _say(cur, institution, alarm, "lapsed", owner)
        return Done(alarm, "lapsed", owner)
    steps = Plan(0, None, ()) if plan is None else escalation.plan_from(plan)
    subject = Subject(alarm, institution, urgency or 0, Priority(priority), exercise is None, steps, now.at)
    told = await paging.remind(cur, subject, owner, number or 0, reminders + 1)
    await cur.execute(_SQL["reminded"], {"alarm": alarm})
    await _say(cur, institution, alarm, "reminded", owner)
    return Done(alarm, "reminded", owner, tuple(f"{name}/{way}" for name, way in told))


async def _go_by(cur: Cursor, now: Moment) -> None:
    """What is reckoned by `now` in this transaction is moved with everything else when the clock is found to be set, or not written at all."""
    await cur.execute(_SQL["write"])
    if (await moment(cur)).moved != now.moved:
        raise Conflict("the clock was set meanwhile")


async def _take_in(cur: Cursor, alarm: UUID | None, now: Moment) -> None:
    await cur.execute(_SQL["followed"], {"alarm": alarm})
    for name, owned, owner, seen, events, actors in await cur.fetchall():
        sign = followed(zip(events, actors, strict=True)) if owned else Sign.SETTLED
        given = {"alarm": name, "seen": seen, "owner": owner, "now": to_datetime(now.at)}
        query = {Sign.SETTLED: "settle", Sign.RENEWED: "renew", Sign.NOTHING: "look"}[sign]
        await cur.execute(_SQL[query], given)


async def _say(cur: Cursor, institution: int, alarm: UUID, state: str, owner: str) -> None:
    await paging.say(cur, "escalation", [institution], [{"alarm": str(alarm), "state": state, "owner": owner}])
