"""What a duty post had to bear, read from the histories of alarms."""

from datetime import datetime

from psycopg.types.json import Jsonb

from hub.core.noise import Measure, Said, Source, activations, measure
from hub.core.rights import Scope
from hub.errors import BadInput
from hub.model import Priority, to_micros
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import all_rows

_SQL = queries("noise")
MOST = 200_000
"""rows of histories that one measure reads"""
MOST_POSTS = 200


async def measured(conn: Connection, scope: Scope, post: str | None, since: datetime, until: datetime) -> Measure:
    """The measure of one post (None: of all together) between two moments. Raises BadInput where that is too much at once."""
    if until <= since:
        raise BadInput("it ends before it begins", "query/until", code="interval")
    given = {"scope": Jsonb(scope.as_json()), "post": post, "since": since, "until": until, "limit": MOST + 1}
    rows = await all_rows(conn, _SQL["history"], given)
    if len(rows) > MOST:
        raise BadInput(
            "too many alarms for one measure: ask for a shorter time or one post", "query/since", code="interval"
        )
    said = (
        Said(
            Source(row["institution"], row["device"], row["definition"], row["instance"]),
            row["alarm"],
            Priority(row["priority"]),
            row["event"],
            row["was_active"],
            to_micros(row["at"]),
        )
        for row in rows
    )
    return measure(activations(said), to_micros(since), to_micros(until))


async def posts(conn: Connection, scope: Scope, since: datetime, until: datetime) -> list[tuple[str, int]]:
    """Who was told first of alarms raised between two moments, with how many, the most first; at most `MOST_POSTS`."""
    given = {"scope": Jsonb(scope.as_json()), "since": since, "until": until, "limit": MOST_POSTS}
    return [(row["post"], row["alarms"]) for row in await all_rows(conn, _SQL["posts"], given)]
