"""Alarms in the database: read and written as they are in core, and what a person does to one, under the row's lock by the same pure steps."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from hub.core import hidings
from hub.core.alarms import (
    Alarm,
    AlarmEvent,
    AlarmState,
    Disposition,
    Transition,
    announcement,
    starts_escalation,
    step,
    stops_escalation,
    why_quiet,
)
from hub.errors import Conflict, NotFound
from hub.model import Exercise, Lane, Micros, Priority, SignalClass, to_datetime, to_micros
from hub.store import escalation
from hub.store.pool import Connection
from hub.store.queries import queries

_SQL = queries("alarms")
MAX_NOTE = 2000

Cursor = AsyncCursor[TupleRow]
Move = Callable[[Alarm], tuple[Alarm, Transition]]
"""a pure step: `hub.core.alarms.step` or one of `hub.core.hidings`, with all but the alarm given"""


# rows ------------------------------------------------------------------------------------------------------------


def alarm_from(row: Mapping[str, Any]) -> Alarm:
    """An alarm from a row of `alarm` with the device's identifier as `device_id`; columns of others are left out."""
    values = {name: row["device_id" if name == "device" else name] for name in Alarm._fields}
    values |= {name: to_micros(value) for name, value in values.items() if isinstance(value, datetime)}
    for name, words in _WORDS.items():
        values[name] = None if values[name] is None else words(values[name])
    return Alarm(**values)


_WORDS: Mapping[str, type[StrEnum]] = {
    "signal_class": SignalClass,
    "priority": Priority,
    "state": AlarmState,
    "disposition": Disposition,
    "exercise": Exercise,
}
_TIMES = frozenset(name for name in Alarm._fields if name.endswith(("_at", "_until")))


def _columns(alarms: Sequence[Alarm]) -> dict[str, list[Any]]:
    """Alarms by column, as the database takes them."""
    columns: dict[str, list[Any]] = {
        name: list(column) for name, column in zip(Alarm._fields, zip(*alarms, strict=True), strict=True)
    }
    for name in _TIMES:
        columns[name] = [None if at is None else to_datetime(at) for at in columns[name]]
    return columns


async def standing(conn: Connection, partition: int, lane: Lane) -> list[Alarm]:
    """A lane's alarms that have not ended."""
    async with conn.transaction(), conn.cursor(row_factory=dict_row) as cur:
        await cur.execute(_SQL["standing"], {"partition": partition, "lane": lane})
        return [alarm_from(row) for row in await cur.fetchall()]


async def standing_urgent(conn: Connection) -> dict[int, list[Alarm]]:
    """The alarms of all urgent lanes that have not ended, by partition."""
    found: dict[int, list[Alarm]] = {}
    async with conn.transaction(), conn.cursor(row_factory=dict_row) as cur:
        await cur.execute(_SQL["standing_urgent"])
        for row in await cur.fetchall():
            found.setdefault(row["partition"], []).append(alarm_from(row))
    return found


async def lock_all(cur: Cursor, ids: Sequence[UUID]) -> None:
    """Lock these alarms in the order in which everybody locks several."""
    await cur.execute(_SQL["lock_all"], [list(ids)])


async def put_moved(cur: Cursor, moved: Sequence[tuple[int, Alarm]]) -> int:
    """Write alarms over the versions that they had; returns how many still had them."""
    columns = _columns([alarm for _, alarm in moved])
    await cur.execute(_SQL["put_moved"], columns | {"base": [base for base, _ in moved]})
    return cur.rowcount


async def put_new(cur: Cursor, raised: Sequence[Alarm], places: Sequence[tuple[int, int]]) -> set[UUID]:
    """Write new alarms, with the keys of their devices and institutions; returns the ids that were free."""
    devices, institutions = [list(column) for column in zip(*places, strict=True)]
    await cur.execute(_SQL["put_new"], _columns(raised) | {"device": devices, "institution": institutions})
    return {row[0] for row in await cur.fetchall()}


async def put_transitions(cur: Cursor, transitions: Sequence[Transition]) -> None:
    """Write rows of the history."""
    columns = [list(column) for column in zip(*transitions, strict=True)]
    columns[5] = [to_datetime(at) for at in columns[5]]
    await cur.execute(_SQL["transitions"], columns)


# one alarm, by a person or a timer --------------------------------------------------------------------------------


async def move(conn: Connection, alarm_id: UUID, by: Move, now: Micros) -> Alarm:
    """Move one alarm under its lock, in the caller's transaction; its escalation begins or stops as the step says.

    Raises NotFound, or Conflict saying why the state does not allow it (the second of two people reads who was first).
    """
    row = await _locked(conn, alarm_id)
    alarm = alarm_from(row)
    moved, transition = by(alarm)
    await write(conn, [Step(alarm.version, row["institution"], moved, (transition,))], now)
    return moved


async def move_all(conn: Connection, ids: Sequence[UUID], by: Move, now: Micros) -> int:
    """Move many alarms under their locks, in the caller's transaction, in as many statements as one takes; returns how many moved.

    One whose state does not allow it (somebody was quicker) stays as it is.
    """
    async with conn.cursor(row_factory=dict_row) as rows:
        await rows.execute(_SQL["lock_many"], [list(ids)])
        locked = await rows.fetchall()
    steps = []
    for row in locked:
        alarm = alarm_from(row)
        with suppress(Conflict):
            moved, transition = by(alarm)
            steps.append(Step(alarm.version, row["institution"], moved, (transition,)))
    await write(conn, steps, now)
    return len(steps)


class Step(NamedTuple):
    """One alarm that was moved: the version that it had, its institution's key, what it is now, and by which transitions."""

    base: int
    institution: int
    alarm: Alarm
    transitions: tuple[Transition, ...]


async def write(conn: Connection, steps: Sequence[Step], now: Micros) -> None:
    """Write alarms that the caller has locked and moved; their escalations begin or stop. A few statements, however many there are."""
    if not steps:
        return
    said = [
        (step.institution, Jsonb(announcement(step.alarm, transition, now)))
        for step in steps
        for transition in step.transitions
    ]
    async with conn.cursor() as cur:
        await put_moved(cur, [(step.base, step.alarm) for step in steps])
        await put_transitions(cur, [transition for step in steps for transition in step.transitions])
        await cur.execute(_SQL["changes"], [[place for place, _ in said], [payload for _, payload in said]])
        begun = [s.alarm.id for s in steps if any(starts_escalation(t, s.alarm, now) for t in s.transitions)]
        await escalation.begin(cur, begun)
        quiet = [(one.alarm, one.transitions[-1]) for one in steps if stops_escalation(one.alarm, now)]
        stops = [escalation.Stop(alarm.id, why_quiet(alarm, last, now), last.actor) for alarm, last in quiet]
        await escalation.stop_all(cur, stops)


async def lock(conn: Connection, alarm_id: UUID) -> Alarm:
    """The alarm as it stands, locked until the caller's transaction ends; raises NotFound."""
    return alarm_from(await _locked(conn, alarm_id))


async def _locked(conn: Connection, alarm_id: UUID) -> dict[str, Any]:
    async with conn.cursor(row_factory=dict_row) as rows:
        await rows.execute(_SQL["lock"], [alarm_id])
        row = await rows.fetchone()
    if row is None:
        raise NotFound(f"no alarm {alarm_id}")
    return row


async def still_shelved(conn: Connection, partition: int, lane: Lane) -> list[Alarm]:
    """A lane's ended alarms whose shelving still runs: the next one of the same definition inherits it."""
    async with conn.transaction(), conn.cursor(row_factory=dict_row) as cur:
        await cur.execute(_SQL["still_shelved"], {"partition": partition, "lane": lane})
        return [alarm_from(row) for row in await cur.fetchall()]


async def act(conn: Connection, alarm_id: UUID, event: AlarmEvent, actor: str, note: str, at: Micros) -> Alarm:
    """Acknowledge, reset or clear, in the caller's transaction."""
    return await move(conn, alarm_id, partial(step, event=event, at=at, actor=actor, note=note), at)


async def clear_retired(conn: Connection, partition: int, lane: Lane, at: Micros) -> int:
    """The condition of what is retired holds no longer; returns how many alarms still said so. A person acknowledges and resets as ever."""
    async with conn.transaction():
        rows = await (await conn.execute(_SQL["sounding_retired"], {"partition": partition, "lane": lane})).fetchall()
        for (alarm,) in rows:
            await act(conn, alarm, AlarmEvent.CLEAR, "", "the device was retired", at)
    return len(rows)


async def add_note(conn: Connection, alarm_id: UUID, actor: str, note: str, at: Micros) -> Alarm:
    """Write a note into an alarm's history; it changes no state."""
    return await move(conn, alarm_id, partial(hidings.note, at=at, actor=actor, text=note), at)
