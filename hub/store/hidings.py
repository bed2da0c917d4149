"""Hidings in the database: their ends, which come by time, and the shelving that takes two people."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from hub.core import hidings
from hub.core.alarms import Alarm, Transition
from hub.core.maintenance import Window, covering
from hub.errors import Conflict
from hub.model import LIFE_SAFETY, SECOND, Micros, to_datetime, to_micros
from hub.store import alarms
from hub.store.alarms import Step
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import readable

_SQL = queries("hidings")
ASKED_FOR: Micros = 600 * SECOND
"""how long a second person has to agree"""


class Asked(NamedTuple):
    """A shelving that one person has asked for."""

    asked_by: str
    asked_at: datetime
    until: datetime
    reason: str


async def end_due(conn: Connection, limit: int = 500) -> int:
    """End what is over, in a transaction of its own: shelvings, maintenance, the waiting of what came late. Returns how many alarms moved;
    what is still unacknowledged and hidden by nothing else is escalated in the same transaction."""
    async with conn.transaction():
        async with conn.cursor(row_factory=dict_row) as cur:
            await cur.execute(_SQL["due"], {"limit": limit})
            rows = await cur.fetchall()
        return await _end(conn, rows)


async def end_window(conn: Connection, window: str, actor: str) -> int:
    """In the caller's transaction, after the window's row was changed: what it holds follows its end. Returns how many alarms moved."""
    async with conn.cursor(row_factory=dict_row) as cur:
        await cur.execute(_SQL["held_by"], [window])
        rows = await cur.fetchall()
    return await _end(conn, rows, actor, all_held=True)


async def _end(conn: Connection, rows: Sequence[dict[str, Any]], actor: str = "", *, all_held: bool = False) -> int:
    if not rows:
        return 0
    now = to_micros(rows[0]["now"])
    windows = await _windows(conn, {row["institution"] for row in rows})

    def ended(row: dict[str, Any]) -> Step | None:
        return _ended(row, windows.get(row["institution"], ()), now, actor, all_held=all_held)

    steps = [step for step in readable("hiding", rows, ended, lambda row: row["id"]) if step is not None]
    await alarms.write(conn, steps, now)
    return len(steps)


def _ended(row: dict[str, Any], windows: Sequence[Window], now: Micros, actor: str, *, all_held: bool) -> Step | None:
    before = alarm = alarms.alarm_from(row)
    moves: list[Transition] = []
    if alarm.shelved_until is not None and alarm.shelved_until <= now:
        alarm, moved = hidings.unshelve(alarm, now, note="its time is over")
        moves.append(moved)
    if alarm.held_until is not None and (all_held or alarm.held_until <= now):
        window = covering(() if alarm.signal_class in LIFE_SAFETY else windows, alarm.device, row["zone_id"], now)
        if window is None:
            alarm, moved = hidings.release(alarm, now, actor)
            moves.append(moved)
        elif (window.id, window.until) != (alarm.maintenance, alarm.held_until):
            alarm, moved = hidings.hold(alarm, now, window.until, window.id, "maintenance goes on")
            moves.append(moved)
    return Step(before.version, row["institution"], alarm, tuple(moves)) if moves else None


async def _windows(conn: Connection, institutions: set[int]) -> dict[int, list[Window]]:
    found: dict[int, list[Window]] = {}
    async with conn.cursor() as cur:
        await cur.execute(_SQL["windows_of"], [sorted(institutions)])
        for name, institution, since, until, zone, device, key in await cur.fetchall():
            window = Window(name, institution, to_micros(since), to_micros(until), zone, device)
            found.setdefault(key, []).append(window)
    return found


# shelving -------------------------------------------------------------------------------------------------------------


async def shelve(conn: Connection, alarm_id: UUID, until: Micros, actor: str, reason: str, at: Micros) -> Alarm | None:
    """Shelve, in the caller's transaction; None where it was only asked for, since a fire or panic takes a second person.

    Raises BadInput for an end that the priority does not allow, Conflict where the alarm has ended.
    """
    alarm = await alarms.lock(conn, alarm_id)
    if not hidings.needs_second(alarm):
        return await alarms.move(
            conn, alarm_id, partial(hidings.shelve, at=at, until=until, actor=actor, reason=reason), at
        )
    hidings.shelve(alarm, at, until, actor, reason, f"{actor}?")  # whether it could be
    await conn.execute(_SQL["ask"], [alarm_id, actor, to_datetime(at), to_datetime(until), reason])
    return None


async def agree(conn: Connection, alarm_id: UUID, actor: str, at: Micros) -> Alarm:
    """The second person agrees to what the first one asked for. Raises Conflict where nobody asked, too long ago, or the same person did."""
    await alarms.lock(conn, alarm_id)
    row = await (await conn.execute(_SQL["answered"], [alarm_id])).fetchone()
    if row is None or to_micros(row[1]) + ASKED_FOR < at:
        raise Conflict("nobody has asked to shelve this alarm within the last 10 minutes")
    asked = Asked(*row)
    if asked.asked_by == actor:
        raise Conflict("the second person is another one than the first")
    until = to_micros(asked.until)
    by = partial(hidings.shelve, at=at, until=until, actor=asked.asked_by, reason=asked.reason, second=actor)
    return await alarms.move(conn, alarm_id, by, at)


async def asked(conn: Connection, alarm_id: UUID, at: Micros) -> Asked | None:
    """What somebody has asked for and a second person may still agree to."""
    row = await (await conn.execute(_SQL["asked"], [alarm_id])).fetchone()
    return None if row is None or to_micros(row[1]) + ASKED_FOR < at else Asked(*row)
