"""One look for alarms that nobody drives, on a connection of its own that is opened for it: what shares nothing cannot hang with it."""

from hub.store.escalation import Unattended, unattended
from hub.store.pool import connect
from hub.store.session import translated


async def look(database_url: str) -> list[Unattended]:
    """Critical alarms that nobody owns and that have no next step; raises LinkDown. The caller limits the time."""
    conn = await connect(database_url, "auditor", autocommit=True)
    try:
        with translated():
            async with conn.cursor() as cur:
                return await unattended(cur)
    finally:
        conn.pgconn.finish()
