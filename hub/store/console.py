"""What the console shows, one function a view. Every function takes the caller's scope: what lies outside it does not exist."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import NotFound
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("console")


async def active_alarms(conn: Connection, scope: Scope, *, limit: int, institution: str | None = None) -> list[Row]:
    """Alarms that have not ended: whom nobody owns first, fire and panic before the rest. Each row counts them all (`total`)."""
    asked = {"id": None, "active": True, "institution": institution, "limit": limit}
    return await all_rows(conn, _SQL["alarms"], {"scope": Jsonb(scope.as_json()), **asked})


async def alarm(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One alarm with its place, contacts and template; raises NotFound."""
    asked = {"id": id, "active": True, "institution": None, "limit": 1}
    found = await all_rows(conn, _SQL["alarms"], {"scope": Jsonb(scope.as_json()), **asked})
    if not found:
        raise NotFound(f"there is no alarm {id}")
    return found[0]


async def history(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    institution: str | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> list[Row]:
    """All alarms, newest first; `after` is (raised_at, id) of the last one shown."""
    at, last = (None, None) if after is None else after
    asked = {"institution": institution, "at": at, "id": last, "limit": limit}
    return await all_rows(conn, _SQL["history"], {"scope": Jsonb(scope.as_json()), **asked})


async def institutions(
    conn: Connection, scope: Scope, *, limit: int, search: str = "", after: str | None = None
) -> list[Row]:
    """Institutions by id with how many alarms and devices they have."""
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    asked = {"search": escaped, "after": after, "limit": limit}
    return await all_rows(conn, _SQL["institutions"], {"scope": Jsonb(scope.as_json()), **asked})


async def devices(conn: Connection, scope: Scope, institution: str, *, limit: int) -> list[Row]:
    """The devices of an institution with their three axes and where they are, by floor and zone."""
    asked = {"scope": Jsonb(scope.as_json()), "institution": institution, "limit": limit}
    return await all_rows(conn, _SQL["devices"], asked)


async def curves(
    conn: Connection,
    scope: Scope,
    institution: str,
    *,
    since: datetime,
    until: datetime,
    limit: int,
    points: int,
) -> list[Row]:
    """The latest value of every series of an institution, and as `curve` its newest readings of the span: [[seconds, value] …] or None."""
    asked = {"institution": institution, "since": since, "until": until, "limit": limit, "points": points}
    return await all_rows(conn, _SQL["curves"], {"scope": Jsonb(scope.as_json()), **asked})


async def rotas(conn: Connection, scope: Scope) -> list[Row]:
    """The duty posts that concern the scope, by id: those of the hub, of its divisions and institutions."""
    return await all_rows(conn, _SQL["rotas"], {"scope": Jsonb(scope.as_json())})


async def responder_titles(conn: Connection, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The titles of these responders."""
    rows = await all_rows(conn, _SQL["responder_titles"], {"ids": list(ids)})
    return {row["id"]: (row["title_zh"], row["title_en"]) for row in rows}


async def handovers(conn: Connection, rotas: Collection[str]) -> list[Row]:
    """The last words of shifts that handed over at these posts, newest first; for a caller who may see the posts."""
    return await all_rows(conn, _SQL["handovers"], {"rotas": list(rotas)})


async def children(conn: Connection, scope: Scope, root: UUID, *, limit: int) -> list[Row]:
    """The alarms that this one explains and that are therefore suppressed, by institution; each row counts them all (`total`)."""
    return await all_rows(conn, _SQL["children"], {"scope": Jsonb(scope.as_json()), "root": root, "limit": limit})
