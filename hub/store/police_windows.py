"""Windows booked at the police centre for buttons that dial it by a line of their own, and what the centre confirmed afterwards.

The hub cannot stop such a line: outside a window neither a function test nor a drill of the device is begun here.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import Conflict, NotFound
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.views import DeviceKey

_SQL = queries("police_windows")


class Booking(NamedTuple):
    """What was agreed with the police centre: their reference number, by whom, from when to when."""

    reference: str
    agreed_by: str
    starts_at: datetime
    ends_at: datetime


async def book(conn: Connection, device: DeviceKey, booking: Booking, actor: str) -> UUID:
    """Note a window, in the caller's transaction. Raises Conflict for a retired device."""
    if device.retired:
        raise Conflict(f"device {device.id} is retired")
    id = uuid4()
    given = {"id": id, "device": device.key, "institution": device.institution_key, "actor": actor}
    await conn.execute(_SQL["book"], given | booking._asdict())
    return id


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    id: UUID | None = None,
    device: str | None = None,
    institution: str | None = None,
) -> list[Row]:
    """Windows, the newest first."""
    at, last = (None, None) if after is None else after
    asked = {"id": id, "device": device, "institution": institution, "limit": limit, "after_at": at, "after": last}
    return await all_rows(conn, _SQL["list"], {"scope": Jsonb(scope.as_json()), **asked})


async def get(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One window; raises NotFound."""
    found = await listed(conn, scope, limit=1, id=id)
    if not found:
        raise NotFound(f"there is no window {id}")
    return found[0]


async def receive(conn: Connection, scope: Scope, id: UUID, number: str, text: str, actor: str, now: datetime) -> None:
    """What the police centre confirmed after the test; once. Raises NotFound, or Conflict where it stands already or was cancelled."""
    row = await _lock(conn, scope, id)
    if row["receipt_at"] is not None:
        raise Conflict("the receipt of this window is stored already: it is never changed")
    if row["cancelled_at"] is not None:
        raise Conflict("this window was cancelled")
    await conn.execute(_SQL["receive"], {"id": id, "number": number, "text": text, "actor": actor, "now": now})
    await conn.execute(_SQL["say"], {"id": id})


async def cancel(conn: Connection, scope: Scope, id: UUID, actor: str, now: datetime) -> None:
    """The window is no more. Raises NotFound, or Conflict where it is over, used or cancelled."""
    row = await _lock(conn, scope, id)
    if row["cancelled_at"] is not None or row["receipt_at"] is not None or row["ends_at"] <= now:
        raise Conflict("this window is over, used or cancelled already")
    await conn.execute(_SQL["cancel"], {"id": id, "actor": actor, "now": now})


async def check(
    conn: Connection, device: str, dials_by_profile: bool, since: datetime, until: datetime
) -> datetime | None:
    """The end of the window in which a device that dials the police centre may be pressed; None: it does not dial.

    Raises Conflict where it does and no window covers [since, until].
    """
    asked = {"device": device, "by_profile": dials_by_profile, "since": since, "until": until}
    row = await one_row(conn, _SQL["dials"], asked)
    if row is None or not row["dials"]:
        return None
    end: datetime | None = row["booked_until"]
    if end is None:
        raise Conflict(
            f"{device} dials the police centre itself, and the hub cannot stop that: agree a window with the centre "
            "and book it here first (anxinctl window book)"
        )
    return end


async def _lock(conn: Connection, scope: Scope, id: UUID) -> Row:
    await get(conn, scope, id)
    row = await one_row(conn, _SQL["lock"], {"id": id})
    assert row is not None
    return row
