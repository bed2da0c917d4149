"""Maintenance windows: made, changed, ended early; they are never deleted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core.maintenance import MOST_WINDOWS, check_window
from hub.core.rights import Scope
from hub.errors import BadInput, Conflict, NotFound
from hub.model import to_micros
from hub.store import hidings
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("maintenance")


async def windows(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    institution: str | None = None,
    open: bool | None = None,
) -> list[Row]:
    """Windows within the scope, the latest first, with how many alarms each holds."""
    at, last = (None, None) if after is None else after
    asked = {"id": None, "limit": limit, "after_at": at, "after": last, "institution": institution, "open": open}
    return await all_rows(conn, _SQL["list"], {"scope": Jsonb(scope.as_json()), **asked})


async def window(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One window; raises NotFound."""
    asked: dict[str, Any] = dict.fromkeys(("after_at", "after", "institution", "open"))
    rows = await all_rows(conn, _SQL["list"], {"scope": Jsonb(scope.as_json()), "id": id, "limit": 1, **asked})
    if not rows:
        raise NotFound(f"no maintenance window {id}")
    return rows[0]


async def make(
    conn: Connection,
    scope: Scope,
    *,
    institution: str,
    zone: str | None,
    device: str | None,
    since: datetime,
    until: datetime,
    reason: str,
    actor: str,
    now: datetime,
) -> UUID:
    """Book a window. Raises NotFound for a place outside the scope, BadInput for a time that does not hold, Conflict for too many."""
    check_window(to_micros(since), to_micros(until), reason, to_micros(now))
    if zone is not None and device is not None:
        raise BadInput("a window is over a zone or a device, not both", "zone", code="maintenance")
    asked = {"scope": Jsonb(scope.as_json()), "institution": institution, "zone": zone, "device": device}
    place = await one_row(conn, _SQL["place"], asked)
    if place is None:
        raise NotFound(f"no institution {institution}")
    for name, given in (("zone", zone), ("device", device)):
        if given is not None and place[name] is None:
            raise NotFound(f"no {name} {given} at {institution}")
    await conn.execute(_SQL["lock_place"], [place["institution"]])
    again = await one_row(conn, _SQL["place"], asked)
    if again is None or again["open"] >= MOST_WINDOWS:
        raise Conflict(f"an institution has at most {MOST_WINDOWS} windows that have not ended")
    values = {**again, "since": since, "until": until, "reason": reason, "actor": actor}
    row = await one_row(conn, _SQL["make"], values)
    assert row is not None
    await conn.execute(_SQL["say"], [row["id"]])
    return UUID(str(row["id"]))


async def change(
    conn: Connection, scope: Scope, id: UUID, *, until: datetime | None, reason: str | None, actor: str, now: datetime
) -> None:
    """Move a window's end or reword it. What it holds follows: an earlier end that has passed releases it at once."""
    await window(conn, scope, id)
    row = await one_row(conn, _SQL["lock"], {"id": id})
    assert row is not None
    _require_open(row)
    wanted, said = row["until"] if until is None else until, row["reason"] if reason is None else reason
    check_window(to_micros(row["since"]), to_micros(wanted), said, to_micros(now))
    await conn.execute(_SQL["change"], {"id": id, "until": wanted, "reason": said, "ended_by": None})
    await conn.execute(_SQL["say"], [id])
    await hidings.end_window(conn, str(id), actor)


async def end(conn: Connection, scope: Scope, id: UUID, *, actor: str) -> None:
    """End a window now, or call off one that has not begun. What it holds is paged at once."""
    await window(conn, scope, id)
    row = await one_row(conn, _SQL["lock"], {"id": id})
    assert row is not None
    _require_open(row)
    values = {"id": id, "until": max(row["since"], row["now"]), "reason": row["reason"], "ended_by": actor}
    await conn.execute(_SQL["change"], values)
    await conn.execute(_SQL["say"], [id])
    await hidings.end_window(conn, str(id), actor)


def _require_open(row: Row) -> None:
    if row["until"] <= row["now"] or row["ended_by"] is not None:
        raise Conflict("the window has ended")
