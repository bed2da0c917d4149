"""What the API reads, one function a list. Every function takes the caller's scope: what lies outside it does not exist.

Rows are plain mappings, checked by the API's schemas on their way out. `limit` is what the caller wants at most; to learn whether
more follow it asks for one more.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import Conflict, NotFound
from hub.store.blindness import weigh
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("views")
_CAN_BE_SET = {
    "in_service": frozenset({"commissioned", "out_of_service"}),
    "out_of_service": frozenset({"in_service", "commissioned"}),
}


class DeviceKey(NamedTuple):
    """A device that the caller may see. `key` stays inside the store and its callers' calls."""

    key: int
    id: str
    profile: str
    institution: str
    institution_key: int
    retired: bool


async def _list(conn: Connection, name: str, scope: Scope, parameters: Mapping[str, Any]) -> list[Row]:
    return await all_rows(conn, _SQL[name], {"scope": Jsonb(scope.as_json()), **parameters})


async def divisions(
    conn: Connection, scope: Scope, *, limit: int, after: str | None = None, parent: str | None = None
) -> list[Row]:
    """Divisions below the scope and on the way up from it, by code."""
    return await _list(conn, "divisions", scope, {"limit": limit, "after": after, "parent": parent})


async def register(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None = None,
    division: str | None = None,
    connected: bool | None = None,
) -> list[Row]:
    """Entries of the register, by filing number."""
    asked = {"limit": limit, "after": after, "division": division, "connected": connected}
    return await _list(conn, "register", scope, asked)


async def institutions(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None = None,
    division: str | None = None,
    type: str | None = None,
    group: str | None = None,
    retired: bool = False,
) -> list[Row]:
    """Institutions by id."""
    asked = {"limit": limit, "after": after, "division": division, "type": type, "group": group, "retired": retired}
    return await _list(conn, "institutions", scope, {"id": None, **asked})


async def institution(conn: Connection, scope: Scope, id: str) -> Row:
    """One institution, retired or not; raises NotFound."""
    nothing = dict.fromkeys(("after", "division", "type", "group"))
    found = await _list(conn, "institutions", scope, {"id": id, "limit": 1, "retired": True, **nothing})
    if not found:
        raise NotFound(f"there is no institution {id!r}")
    return found[0]


async def zones(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[str, str] | None = None,
    institution: str | None = None,
    purpose: str | None = None,
    retired: bool = False,
) -> list[Row]:
    """Zones by institution and id; `after` is (institution, id)."""
    place = {"after_institution": None, "after": None} if after is None else _place(after)
    asked = {"limit": limit, "institution": institution, "purpose": purpose, "retired": retired}
    return await _list(conn, "zones", scope, {**asked, **place})


async def positions(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[str, str] | None = None,
    institution: str | None = None,
    zone: str | None = None,
    retired: bool = False,
) -> list[Row]:
    """Positions by institution and id, with the device that is there now; `after` is (institution, id)."""
    place = {"after_institution": None, "after": None} if after is None else _place(after)
    asked = {"limit": limit, "institution": institution, "zone": zone, "retired": retired}
    return await _list(conn, "positions", scope, {**asked, **place})


def _place(after: tuple[str, str]) -> dict[str, str]:
    return {"after_institution": after[0], "after": after[1]}


_DEVICE_FILTERS = (
    "division",
    "institution",
    "kind",
    "profile",
    "admin_state",
    "link_state",
    "function_state",
)


async def devices(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None = None,
    retired: bool = False,
    **filters: str | None,
) -> list[Row]:
    """Devices by id with their three axes; filters: division, institution, kind, profile and the three states."""
    asked: dict[str, Any] = dict.fromkeys(_DEVICE_FILTERS) | filters
    found = await _list(
        conn, "devices", scope, {"id": None, "limit": limit, "after": after, "retired": retired, **asked}
    )
    return await weigh(conn, found)


async def device(conn: Connection, scope: Scope, id: str) -> Row:
    """One device, retired or not; raises NotFound."""
    asked: dict[str, Any] = dict.fromkeys((*_DEVICE_FILTERS, "after"))
    found = await _list(conn, "devices", scope, {"id": id, "limit": 1, "retired": True, **asked})
    if not found:
        raise NotFound(f"there is no device {id!r}")
    return (await weigh(conn, found))[0]


async def device_key(conn: Connection, scope: Scope, id: str) -> DeviceKey:
    """The key of a device, for other calls of the store; raises NotFound."""
    row = await one_row(conn, _SQL["device_key"], {"scope": Jsonb(scope.as_json()), "id": id})
    if row is None:
        raise NotFound(f"there is no device {id!r}")
    retired = row["retired_at"] is not None
    return DeviceKey(row["key"], id, row["profile"], row["institution_id"], row["institution"], retired)


async def device_status(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None = None,
    division: str | None = None,
    institution: str | None = None,
    kind: str | None = None,
    link_state: str | None = None,
) -> list[Row]:
    """The compact list for platforms, by device id."""
    asked = {"division": division, "institution": institution, "kind": kind, "link_state": link_state}
    return await weigh(conn, await _list(conn, "device_status", scope, {"limit": limit, "after": after, **asked}))


async def points(conn: Connection, device: DeviceKey, *, limit: int, after: tuple[str, str] | None = None) -> list[Row]:
    """The latest value of every series of a device, by point and instance."""
    place = (None, None) if after is None else after
    asked = {"device": device.key, "limit": limit, "after_point": place[0], "after": place[1]}
    return await all_rows(conn, _SQL["points"], asked)


async def readings(
    conn: Connection,
    device: DeviceKey,
    *,
    point: str,
    instance: str,
    since: datetime,
    until: datetime,
    newest_first: bool,
    limit: int,
    after: datetime | None = None,
) -> list[Row]:
    """Stored readings of one series in [since, until); `after` is the time of the last one shown."""
    asked = {"point": point, "instance": instance, "since": since, "until": until, "limit": limit, "after": after}
    name = "readings_down" if newest_first else "readings_up"
    return await all_rows(conn, _SQL[name], {"device": device.key, **asked})


async def events(
    conn: Connection,
    device: DeviceKey,
    *,
    limit: int,
    point: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: tuple[datetime, str, int, int] | None = None,
) -> list[Row]:
    """Events of a device, newest first; `after` is (at, stream, seq, n) of the last one shown."""
    place = dict(zip(("at", "stream", "seq", "n"), after or (None, None, None, None), strict=True))
    asked = {"device": device.key, "limit": limit, "point": point, "since": since, "until": until}
    return await all_rows(conn, _SQL["events"], {**asked, **place})


_ALARM_FILTERS = (
    *(
        "active",
        "state",
        "signal_class",
        "priority",
        "institution",
        "division",
        "device",
        "suppressed_by",
        "maintenance",
        "since",
        "until",
    ),
)


async def alarms(
    conn: Connection, scope: Scope, *, limit: int, after: tuple[datetime, UUID] | None = None, **filters: Any
) -> list[Row]:
    """Alarms, newest first; filters: active, state, signal_class, priority, institution, division, device, suppressed_by, maintenance, since, until.

    `exercises`: `drills` (as a rule), `all`, or `none` beside the real ones.
    """
    at, last = (None, None) if after is None else after
    asked: dict[str, Any] = dict.fromkeys(_ALARM_FILTERS) | {"exercises": "drills"} | filters
    return await _list(conn, "alarms", scope, {"id": None, "limit": limit, "after_at": at, "after": last, **asked})


async def alarm(conn: Connection, scope: Scope, id: UUID, exercises: str = "all") -> Row:
    """One alarm; raises NotFound. `exercises` as in `alarms`."""
    asked: dict[str, Any] = dict.fromkeys((*_ALARM_FILTERS, "after_at", "after")) | {"exercises": exercises}
    found = await _list(conn, "alarms", scope, {"id": id, "limit": 1, **asked})
    if not found:
        raise NotFound(f"there is no alarm {id}")
    return found[0]


class History(NamedTuple):
    """What happened around one alarm."""

    transitions: list[Row]
    escalation: Row | None
    notifications: list[Row]


async def alarm_history(conn: Connection, id: UUID, limit: int = 1000) -> History:
    """Transitions, escalation and the first `limit` notifications of an alarm that the caller may see."""
    return History(
        await all_rows(conn, _SQL["alarm_transitions"], {"id": id}),
        await one_row(conn, _SQL["alarm_escalation"], {"id": id}),
        await all_rows(conn, _SQL["alarm_notifications"], {"id": id, "limit": limit}),
    )


async def policies(
    conn: Connection, scope: Scope, *, limit: int, after: str | None = None, institution: str | None = None
) -> list[Row]:
    """Escalation policies that concern the scope, by id, without the settings of their channels."""
    return await _list(conn, "policies", scope, {"limit": limit, "after": after, "institution": institution})


async def quarantine(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    before: datetime | None = None,
    skip: int = 0,
    client: str | None = None,
    code: str | None = None,
) -> list[Row]:
    """What the field sent and nobody could take, newest first; go on at `before`, of which `skip` were shown."""
    asked = {"limit": limit, "before": before, "skip": skip, "client": client, "code": code}
    return await _list(conn, "quarantine", scope, asked)


async def set_admin_state(conn: Connection, device: DeviceKey, state: str, reason: str, at: datetime) -> None:
    """Put a device in or out of service, in the caller's transaction. Raises Conflict where its state does not allow it."""
    row = await one_row(conn, _SQL["admin_state"], {"device": device.key})
    if row is None or device.retired:
        raise Conflict(f"device {device.id} is retired")
    before = row["admin_state"]
    if before not in _CAN_BE_SET[state]:
        hint = ": it has to pass a function test first" if before == "registered" else ""
        raise Conflict(f"device {device.id} is {before} and cannot be put {state}{hint}")
    await conn.execute(_SQL["set_admin_state"], {"device": device.key, "state": state, "at": at})
    payload = {"device": device.id, "admin_state": state, "reason": reason}
    for kind in ("device_state", "registry"):
        said = {"kind": kind, "institution": device.institution_key, "payload": Jsonb(payload)}
        await conn.execute(_SQL["say"], said)
