"""Fire-risk scores by day, made of the periods that are kept of them (hub.store.fire_risk)."""

from collections.abc import Sequence
from datetime import date

from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("fire_days")
MOST_DAYS = 400
"""as long as periods are kept (hub.runtime.fire_watch)"""


async def of_one(conn: Connection, scope: Scope, institution: str, first: date, last: date) -> Sequence[Row]:
    """The days of one institution within the scope, the oldest first; a day on which nobody looked is missing."""
    asked = {"scope": Jsonb(scope.as_json()), "institution": institution, "first": first, "last": last}
    return await all_rows(conn, _SQL["of_one"], asked)


async def of_many(conn: Connection, scope: Scope, division: str | None, first: date, last: date) -> Sequence[Row]:
    """Each day over the institutions of the scope and division that were looked at on it, the oldest first."""
    asked = {"scope": Jsonb(scope.as_json()), "division": division, "first": first, "last": last}
    return await all_rows(conn, _SQL["of_many"], asked)
