"""What a person does to an alarm: acknowledge, reset, comment. The same pure `step` as ingest's, under the row's lock."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core.alarms import Alarm, AlarmEvent, Transition, step, stops_escalation
from hub.errors import NotFound
from hub.model import Lane, Micros, to_datetime
from hub.store import escalation
from hub.store.lanes import alarm_from
from hub.store.pool import Connection
from hub.store.queries import queries

_SQL = queries("alarms")
MAX_NOTE = 2000


async def act(conn: Connection, alarm_id: UUID, event: AlarmEvent, actor: str, note: str, at: Micros) -> Alarm:
    """Acknowledge or reset, in the caller's transaction; stops the escalation where nobody needs to be told any more.

    Raises NotFound, or Conflict saying why the state does not allow it (the second of two people reads who was first).
    """
    alarm, institution = await _lock(conn, alarm_id)
    moved, transition = step(alarm, event, at, actor, note)
    row = moved._asdict()
    for name in ("cleared_at", "acknowledged_at", "ended_at"):
        row[name] = None if row[name] is None else to_datetime(row[name])
    await conn.execute(_SQL["move"], row)
    await _record(conn, institution, moved, transition)
    if stops_escalation(moved):
        async with conn.cursor() as cur:
            await escalation.stop(cur, alarm_id, event, actor)
    return moved


async def clear_retired(conn: Connection, partition: int, lane: Lane, at: Micros) -> int:
    """The condition of what is retired holds no longer; returns how many alarms still said so. A person acknowledges and resets as ever."""
    async with conn.transaction():
        rows = await (await conn.execute(_SQL["sounding_retired"], {"partition": partition, "lane": lane})).fetchall()
        for (alarm,) in rows:
            await act(conn, alarm, AlarmEvent.CLEAR, "", "the device was retired", at)
    return len(rows)


async def comment(conn: Connection, alarm_id: UUID, actor: str, note: str, at: Micros) -> Alarm:
    """Add a note to an alarm's history; it changes no state."""
    alarm, institution = await _lock(conn, alarm_id)
    moved = alarm._replace(version=alarm.version + 1)
    row = moved._asdict()
    for name in ("cleared_at", "acknowledged_at", "ended_at"):
        row[name] = None if row[name] is None else to_datetime(row[name])
    await conn.execute(_SQL["move"], row)
    transition = Transition(alarm.id, moved.version, "comment", alarm.state, alarm.state, at, actor, note)
    await _record(conn, institution, moved, transition)
    return moved


async def _lock(conn: Connection, alarm_id: UUID) -> tuple[Alarm, int]:
    row = await (await conn.execute(_SQL["lock"], [alarm_id])).fetchone()
    if row is None:
        raise NotFound(f"no alarm {alarm_id}")
    return alarm_from(row[:-1]), row[-1]


async def _record(conn: Connection, institution: int, alarm: Alarm, transition: Transition) -> None:
    await conn.execute(_SQL["transition"], [*transition[:5], to_datetime(transition.at), *transition[6:]])
    payload: dict[str, Any] = {
        "id": str(alarm.id),
        "device": alarm.device,
        "definition": alarm.definition,
        "instance": alarm.instance,
        "class": alarm.signal_class,
        "priority": alarm.priority,
        "state": alarm.state,
        "event": transition.event,
        "actor": transition.actor,
        "version": alarm.version,
    }
    await conn.execute(_SQL["change"], [institution, Jsonb(payload)])
