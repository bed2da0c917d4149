"""What providers say later of messages that they took: which attempts are to be asked for, and what was answered."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from hub.model import Micros
from hub.store.intervals import to_interval
from hub.store.paging import say_notification
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.session import translated

_SQL = queries("receipts")


class Open(NamedTuple):
    """An attempt that a provider took and of which it has not said yet what became of it."""

    notification: UUID
    n: int
    at: datetime
    provider_id: str
    alarm: UUID
    institution: int
    responder: str
    channel: str
    kind: str
    settings: Mapping[str, Any]
    is_last: bool
    """so old that it is not asked for again"""

    def __repr__(self) -> str:
        return f"Open(notification={self.notification}, n={self.n}, responder={self.responder!r}, channel={self.channel!r})"


class Desk:
    """The loop's own connection. Every method raises LinkDown when it is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def claim(self, limit: int, give_up: Micros) -> list[Open]:
        """Attempts to ask for now; their next question is put off, committed."""
        with translated():
            async with self._conn.cursor(row_factory=dict_row) as cur:
                await cur.execute(_SQL["claim"], {"limit": limit, "give_up": to_interval(give_up)})
                return [Open(**row) for row in await cur.fetchall()]

    async def note(self, asked: Open, receipt: str, detail: str) -> bool:
        """Write the answer down and tell the feed; False where one stands already. `receipt`: arrived, not_arrived or unknown."""
        given = {"notification": asked.notification, "n": asked.n, "receipt": receipt, "detail": detail}
        with translated():
            async with self._conn.transaction(), self._conn.cursor() as cur:
                await cur.execute(_SQL["note"], given)
                if await cur.fetchone() is None:
                    return False
                await say_notification(
                    cur, asked.institution, asked.notification, asked.alarm, receipt, asked.responder, asked.channel
                )
                return True


@asynccontextmanager
async def open_desk(database_url: str) -> AsyncIterator[Desk]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "receipts", autocommit=True)
    try:
        yield Desk(conn)
    finally:
        await conn.close()
