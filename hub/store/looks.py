"""What devices and recordings of each institution looked like, kept for the boards' past (table institution_look)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Literal

from psycopg.types.json import Jsonb

from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import all_rows, one_row
from hub.store.session import translated

_SQL = queries("looks")
_LOCK = 0x6C6F6F6B  # "look": one process keeps the book
What = Literal["devices", "recordings"]
GAP = timedelta(minutes=30)
"""What nobody looked at for so long is unknown for that time; boards show it so (dashboards/asof.py)."""
LONGEST = timedelta(days=1)
"""A row begins anew after so long: a board need not look back further (dashboards/asof.py)."""


class Looks:
    """One autocommit connection. Every method raises LinkDown when the connection is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def is_alone(self) -> bool:
        """True where no other process keeps the book; from then on until this connection ends no other one will."""
        with translated():
            row = await one_row(self._conn, _SQL["lock"], {"key": _LOCK})
        return row is not None and bool(row["held"])

    async def institutions(self) -> list[int]:
        """The keys of those that there are."""
        with translated():
            return [row["key"] for row in await all_rows(self._conn, _SQL["institutions"])]

    async def look(self, what: What, keys: Sequence[int], at: datetime) -> None:
        """Write down what these institutions look like at `at`, where it is new."""
        with translated():
            rows = await all_rows(self._conn, _SQL[what], {"keys": list(keys), "at": at})
            asked = {"rows": Jsonb(rows), "what": what, "at": at, "gap": GAP, "longest": LONGEST}
            await self._conn.execute(_SQL["keep"], asked)

    async def forget(self, what: What, before: datetime) -> None:
        """Remove a bounded number of rows that began before this."""
        with translated():
            await self._conn.execute(_SQL["forget"], {"what": what, "before": before, "limit": 20_000})


@asynccontextmanager
async def open_looks(database_url: str) -> AsyncIterator[Looks]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "look-watch", autocommit=True)
    try:
        yield Looks(conn)
    finally:
        await conn.close()
