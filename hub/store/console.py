"""What the console shows, one function a view. Every function takes the caller's scope: what lies outside it does not exist."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import NotFound
from hub.model import Quality
from hub.store.blindness import weigh
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("console")


async def active_alarms(
    conn: Connection, scope: Scope, *, limit: int, institution: str | None = None, device: str | None = None
) -> list[Row]:
    """Alarms that have not ended: whom nobody owns first, fire and panic before the rest. Each row counts them all (`total`)."""
    asked = {"id": None, "active": True, "institution": institution, "device": device, "limit": limit}
    return await all_rows(conn, _SQL["alarms"], {"scope": Jsonb(scope.as_json()), **asked})


async def alarm(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One alarm with its place, contacts and template; raises NotFound."""
    asked = {"id": id, "active": True, "institution": None, "device": None, "limit": 1}
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
    """The devices of an institution with their three axes, where they are, and why one is not heard; by floor and zone."""
    asked = {"scope": Jsonb(scope.as_json()), "institution": institution, "limit": limit}
    return await weigh(conn, await all_rows(conn, _SQL["devices"], asked))


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


async def place_of(conn: Connection, scope: Scope, device: str) -> Row:
    """The titles of a device's institution, zone and position; raises NotFound."""
    row = await one_row(conn, _SQL["place_of"], {"scope": Jsonb(scope.as_json()), "device": device})
    if row is None:
        raise NotFound(f"there is no device {device!r}")
    return row


async def clock_of(conn: Connection, scope: Scope, device: str) -> Row:
    """What tells of a device's clock: open `alarms` of class clock at it or at its edge, when a reading's time was last corrected, and by
    how many seconds it was `ahead` when it was last compared."""
    asked = {"scope": Jsonb(scope.as_json()), "device": device, "corrected": Quality.UNCERTAIN_CLOCK}
    row = await one_row(conn, _SQL["clock_of"], asked)
    if row is None:
        raise NotFound(f"there is no device {device!r}")
    return row


async def institution_titles(conn: Connection, scope: Scope, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The titles of those of these institutions that lie within the scope."""
    rows = await all_rows(conn, _SQL["institution_titles"], {"scope": Jsonb(scope.as_json()), "ids": list(ids)})
    return {row["id"]: (row["title_zh"], row["title_en"]) for row in rows}


async def post_titles(conn: Connection, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The titles of duty posts: rotas, or responders."""
    rows = await all_rows(conn, _SQL["post_titles"], {"ids": list(ids)})
    return {row["id"]: (row["title_zh"], row["title_en"]) for row in rows}


async def function_tests(conn: Connection, scope: Scope, *, limit: int, device: str | None = None) -> list[Row]:
    """Function tests, the newest first, with the window at the police centre that they were made in."""
    asked = {"scope": Jsonb(scope.as_json()), "limit": limit, "device": device}
    return await all_rows(conn, _SQL["function_tests"], asked)


async def dialling(
    conn: Connection, scope: Scope, profiles: Collection[str], *, limit: int, device: str | None = None
) -> list[Row]:
    """Devices that dial the police centre themselves: by their own setting, or because their profile is one of `profiles`."""
    asked = {"scope": Jsonb(scope.as_json()), "profiles": list(profiles), "limit": limit, "device": device}
    return await all_rows(conn, _SQL["dialling"], asked)


async def drillable(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    institution: str | None = None,
    zone: str | None = None,
    division: str | None = None,
    group: str | None = None,
) -> list[Row]:
    """Positions of a place whose device can raise fire or panic, by institution, zone and position."""
    asked = {"institution": institution, "zone": zone, "division": division, "group": group, "limit": limit}
    return await all_rows(conn, _SQL["drillable"], {"scope": Jsonb(scope.as_json()), **asked})


async def waiting(conn: Connection, scope: Scope, *, limit: int) -> list[Row]:
    """Alarms that want somebody now, the urgent ones first; each row counts them all (`total`)."""
    return await all_rows(conn, _SQL["waiting"], {"scope": Jsonb(scope.as_json()), "limit": limit})


async def is_deaf(conn: Connection, silence: timedelta) -> bool:
    """True where nobody listened to some partition's urgent lane for `silence`, in this process or any other."""
    row = await one_row(conn, _SQL["deaf"], {"silence": silence})
    assert row is not None
    return bool(row["deaf"])
