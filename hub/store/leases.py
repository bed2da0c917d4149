"""Who owns a partition: a session-level advisory lock on a connection of its own. It ends with the connection, so a dead owner holds nothing."""

from hub.store.pool import Connection

CLASS = 0x414E58  # "ANX"


async def try_lease(conn: Connection, partition: int) -> bool:
    """Take the partition's lease for this connection's life; False when another process holds it."""
    row = await (await conn.execute("select pg_try_advisory_lock(%s, %s)", [CLASS, partition])).fetchone()
    return row is not None and bool(row[0])
