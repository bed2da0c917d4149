"""What may go from the database: single readings, the change feed, quarantine, tallies. It must not know how often anybody asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import LiteralString

from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import one_row
from hub.store.session import translated

_SQL = queries("housekeeping")
_TRIM = queries("changes")["trim"]
_LOCK = 0x6B656570  # "keep": one keeper at a time


class Keeper:
    """One autocommit connection that deletes. Every method takes one small batch and gives how much went, 0 where nothing is left to do.

    All raise LinkDown when the connection is gone, Conflict where a lock could not be had at once: what is in use goes later.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def is_alone(self) -> bool:
        """True where no other process keeps house; from then on until this connection ends no other one will."""
        with translated():
            row = await one_row(self._conn, _SQL["lock"], {"key": _LOCK})
        return row is not None and bool(row["held"])

    async def drop_readings(self, keep: timedelta) -> int:
        """Drop the oldest chunk of which every reading is older than `keep`; the number of chunks."""
        with translated():
            row = await one_row(self._conn, _SQL["oldest_chunk"], {"keep": keep})
        return 0 if row is None else await self._delete("drop_chunk", until=row["range_end"])

    async def trim_changes(self, before: datetime, limit: int) -> int:
        """Forget the oldest changes; who asks for what lies before them is told to read the lists again."""
        with translated():
            row = await one_row(self._conn, _TRIM, {"before": before, "limit": limit})
        return 0 if row is None else int(row["gone"])

    async def thin_quarantine(self, keep: timedelta, rows: int, limit: int) -> int:
        """Delete what is older than `keep`, and then what lies behind the newest `rows`."""
        gone = await self._delete("quarantine_old", keep=keep, limit=limit)
        return gone or await self._delete("quarantine_beyond", rows=rows, limit=limit)

    async def drop_tallies(self, keep: timedelta, limit: int) -> int:
        """Delete the counts of hours and the gaps older than `keep`."""
        gone = await self._delete("tallies", keep=keep, limit=limit)
        return gone or await self._delete("gaps", keep=keep, limit=limit)

    async def _delete(self, name: LiteralString, **values: object) -> int:
        with translated():
            row = await one_row(self._conn, _SQL[name], values)
        return 0 if row is None else int(row["gone"])


@asynccontextmanager
async def open_keeper(database_url: str) -> AsyncIterator[Keeper]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "housekeeping", autocommit=True)
    try:
        with translated():
            # who drops a chunk waits for its readers, and everybody else would wait behind it
            await conn.execute("set lock_timeout = '1s'")
        yield Keeper(conn)
    finally:
        await conn.close()
