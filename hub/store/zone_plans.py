"""Zone plans, the regulator's signature under them, and institutions whose type or division was changed (decision 0351)."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from hub.core.coverage.zone_plan import PlanZone, digest, document
from hub.core.rights import Principal, Scope
from hub.errors import Conflict, NotFound
from hub.store import audit
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("zone_plans")


class ZonePlan(NamedTuple):
    """A plan as it is now: its row (state, version, newest signature), the document, its digest."""

    row: Row
    document: dict[str, Any]
    digest: str


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None = None,
    institution: str | None = None,
    division: str | None = None,
    state: str | None = None,
) -> list[Row]:
    """How the plans of the scope stand, by institution."""
    asked = {"limit": limit, "after": after, "institution": institution, "division": division, "state": state}
    return await all_rows(conn, _SQL["plans"], {"scope": Jsonb(scope.as_json()), **asked})


async def plan(conn: Connection, scope: Scope, institution: str) -> ZonePlan:
    """The plan of one institution as it is now; raises NotFound."""
    rows = await listed(conn, scope, limit=1, institution=institution)
    if not rows:
        raise NotFound(f"there is no institution {institution!r}")
    made = await _document(conn, rows[0]["key"])
    return ZonePlan(rows[0], made, digest(made))


async def _document(conn: Connection, key: int) -> dict[str, Any]:
    zones = [
        PlanZone(**{**row, "entrances": tuple(row["entrances"]), "ages": tuple(row["ages"])})
        for row in await all_rows(conn, _SQL["zones"], {"key": key})
    ]
    floors = {row["floor"]: row["sha256"] for row in await all_rows(conn, _SQL["floors"], {"key": key})}
    return document(zones, floors)


async def sign(conn: Connection, who: Principal, institution: str, seen: str, note: str, *, by: str = "api") -> UUID:
    """Sign the plan whose digest the caller has seen, in the caller's transaction.

    Raises NotFound, or Conflict where there is no plan, where it is another one by now, or where this one is signed already.
    """
    row = (await plan(conn, who.scope, institution)).row
    key = row["key"]
    locked = await one_row(conn, _SQL["lock"], {"key": key})
    made = await _document(conn, key)
    if locked is None or not made["zones"]:
        raise Conflict(f"{institution} has no zones: there is nothing to sign")
    if digest(made) != seen:
        raise Conflict("the zone plan has changed since it was looked at: look again")
    again = await listed(conn, who.scope, limit=1, institution=institution)
    if again and again[0]["state"] == "signed":
        raise Conflict("this zone plan is signed as it is")
    id = uuid4()
    signed = {"id": id, "key": key, "digest": seen, "plan": Jsonb(made), "version": locked["version"]}
    await conn.execute(_SQL["sign"], {**signed, "note": note, "actor": who.name})
    detail = {"digest": seen, "version": locked["version"], "by": by}
    await audit.record(conn, who.name, "zone-plan.sign", f"institution:{institution}", detail)
    await conn.execute(_SQL["say"], {"key": key, "payload": Jsonb({"institution": institution, "zone_plan": "signed"})})
    return id


async def signatures(conn: Connection, scope: Scope, institution: str, limit: int) -> list[Row]:
    """What was signed, the newest first, with the plan as it was."""
    asked = {"scope": Jsonb(scope.as_json()), "institution": institution, "limit": limit}
    return await all_rows(conn, _SQL["signatures"], asked)


async def retypings(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    institution: str | None = None,
    division: str | None = None,
) -> list[Row]:
    """Institutions whose type or division was changed, the newest first: also those that have left the scope by it."""
    at, name = (None, None) if before is None else before
    asked = {"limit": limit, "before_at": at, "before": name, "institution": institution, "division": division}
    return await all_rows(conn, _SQL["retypings"], {"scope": Jsonb(scope.as_json()), **asked})
