"""One look for alarms that nobody drives and lanes that stand still, on a connection of its own that is opened for it: what shares nothing cannot
hang with it."""

from datetime import timedelta
from typing import NamedTuple

from hub.model import Lane
from hub.store.escalation import Unattended, unattended
from hub.store.pool import connect
from hub.store.queries import queries
from hub.store.session import translated

_SQL = queries("audit_look")


class Looked(NamedTuple):
    """Critical alarms that nobody owns and that have no next step, and (partition, lane) that have not listened for too long."""

    unattended: list[Unattended]
    deaf: list[tuple[int, Lane]]


async def look(database_url: str, deaf_after: float) -> Looked:
    """`deaf_after`: seconds. Raises LinkDown; the caller limits the time."""
    conn = await connect(database_url, "auditor", autocommit=True)
    try:
        with translated():
            async with conn.cursor() as cur:
                found = await unattended(cur)
                await cur.execute(_SQL["deaf"], {"after": timedelta(seconds=deaf_after)})
                return Looked(found, [(partition, Lane(lane)) for partition, lane in await cur.fetchall()])
    finally:
        conn.pgconn.finish()
