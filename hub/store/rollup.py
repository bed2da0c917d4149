"""The roll-up by division and group: now within anybody's scope, and the snapshots of days, which only who sees all of a place may read."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("rollup")
FRESH = timedelta(minutes=3)
"""as hub.core.coverage.ledger.STALE_AFTER"""
_TAKING = "set local statement_timeout = '60s'"


def sees_all(scope: Scope, division: str) -> bool:
    """Whether everything of a division lies within the scope, so that its snapshots may be read."""
    return scope.oversees(division)


async def places(conn: Connection, scope: Scope, division: str | None) -> list[Row]:
    """A division (None: what has none above it) and those directly below, as far as the scope shows them, by code."""
    return await all_rows(conn, _SQL["below"], {"scope": Jsonb(scope.as_json()), "division": division})


async def groups(conn: Connection, scope: Scope, id: str | None = None) -> list[Row]:
    """Groups with a member within the scope."""
    return await all_rows(conn, _SQL["groups"], {"scope": Jsonb(scope.as_json()), "id": id})


async def live(
    conn: Connection,
    scope: Scope,
    kind: str,
    codes: Sequence[str],
    *,
    now: datetime,
    within: str | None = None,
    at: datetime | None = None,
    known_at: datetime | None = None,
) -> list[Row]:
    """The roll-up of these places over what lies within the scope: now, or at a past time as it was known at `known_at`."""
    asked = {
        "at": at,
        "known_at": known_at,
        "within": within,
        "scope": None if scope.everything else Jsonb(scope.as_json()),
        "fresh_since": now - FRESH if at is None else at,
        "deepest": max((len(code) for code in codes), default=2) if kind == "division" else 2,
        "kind": kind,
        "places": list(codes),
    }
    return await all_rows(conn, _SQL["rollup"], asked)


async def take(conn: Connection, day: date, now: datetime) -> None:
    """The snapshot of a day, in the caller's transaction: the last one taken on it stays."""
    await conn.execute(_TAKING)
    await conn.execute(_SQL["take"], {"day": day, "now": now, "fresh_since": now - FRESH})
    await conn.execute(_SQL["gone"], {"day": day, "now": now})


async def snapshots(conn: Connection, kind: str, codes: Sequence[str], first: date, last: date) -> list[Row]:
    """Snapshots of these places by day; a day on which none was taken is missing. The caller has looked at the scope."""
    return await all_rows(conn, _SQL["snapshots"], {"kind": kind, "places": list(codes), "first": first, "last": last})
