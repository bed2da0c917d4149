"""Floor plans of institutions, and the cameras that see an alarm's place."""

from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core.pictures import Picture
from hub.core.rights import Principal, Scope
from hub.errors import Conflict, NotFound
from hub.store import audit
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("premises")
MAX_PLANS = 40
"""Pictures of one institution; with their size they bound what an institution may store."""


async def plans(conn: Connection, scope: Scope, institution: str) -> list[Row]:
    """The floor plans of an institution by floor, without their pictures."""
    return await all_rows(conn, _SQL["plans"], {"scope": Jsonb(scope.as_json()), "institution": institution})


async def plan(conn: Connection, scope: Scope, institution: str, floor: int) -> Row:
    """One floor plan with its picture; raises NotFound."""
    asked = {"scope": Jsonb(scope.as_json()), "institution": institution, "floor": floor}
    row = await one_row(conn, _SQL["plan"], asked)
    if row is None:
        raise NotFound(f"there is no plan of floor {floor} of institution {institution!r}")
    return row


async def put_plan(
    conn: Connection, who: Principal, institution: str, floor: int, found: Picture, image: bytes
) -> None:
    """Store a floor's picture, in place of the one before. Raises NotFound outside the scope, Conflict above MAX_PLANS."""
    key = await _key(conn, who.scope, institution)
    given = {"key": key, "floor": floor, "image": image, "actor": who.name, **found._asdict()}
    await conn.execute(_SQL["put_plan"], given)
    counted = await one_row(conn, _SQL["count_plans"], {"key": key})
    if counted is not None and counted["n"] > MAX_PLANS:
        raise Conflict(f"an institution has at most {MAX_PLANS} floor plans: delete one first")
    await _note(conn, who, key, institution, "floor-plan.put", floor)


async def forget_plan(conn: Connection, who: Principal, institution: str, floor: int) -> None:
    """Delete a floor's picture; raises NotFound where there is none."""
    key = await _key(conn, who.scope, institution)
    if await one_row(conn, _SQL["forget_plan"], {"key": key, "floor": floor}) is None:
        raise NotFound(f"there is no plan of floor {floor} of institution {institution!r}")
    await _note(conn, who, key, institution, "floor-plan.delete", floor)


async def cameras_of_alarm(conn: Connection, alarm: UUID) -> list[Row]:
    """The cameras of the alarm's zone first, then of its floor, where the institution has a template for its video system.

    For a caller who may see the alarm.
    """
    return await all_rows(conn, _SQL["cameras"], {"alarm": alarm})


async def _key(conn: Connection, scope: Scope, institution: str) -> int:
    row = await one_row(conn, _SQL["institution_key"], {"scope": Jsonb(scope.as_json()), "institution": institution})
    if row is None:
        raise NotFound(f"there is no institution {institution!r}")
    return int(row["key"])


async def _note(conn: Connection, who: Principal, key: int, institution: str, action: str, floor: int) -> None:
    await audit.record(conn, who.name, action, f"institution:{institution}", {"floor": floor})
    await conn.execute(_SQL["say"], {"key": key, "payload": Jsonb({"institution": institution, "floor_plan": floor})})
