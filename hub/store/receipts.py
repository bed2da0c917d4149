"""What providers say later of messages that they took: which attempts are to be asked for, and what was answered."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from hub.model import Micros
from hub.store.intervals import to_interval
from hub.store.paging import say, say_notification
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, one_row
from hub.store.sealing import Place, opened
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


def _open(row: Row) -> Open:
    place = Place("responder", row["responder"], row["channel"], row["kind"])
    return Open(**{**row, "settings": opened(row["settings"], place)})


class Noted(NamedTuple):
    """What a receipt changed: whether it is news, and whether the step is now known to have reached nobody."""

    is_news: bool
    unreached: bool = False


class Desk:
    """The loop's own connection. Every method raises LinkDown when it is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def claim(self, limit: int, give_up: Micros) -> list[Open]:
        """Attempts to ask for now; their next question is put off, committed."""
        with translated():
            async with self._conn.cursor(row_factory=dict_row) as cur:
                await cur.execute(_SQL["claim"], {"limit": limit, "give_up": to_interval(give_up)})
                return [_open(row) for row in await cur.fetchall()]

    async def note(self, asked: Open, receipt: str, detail: str) -> Noted:
        """`note`."""
        with translated():
            return await note(self._conn, asked, receipt, detail)


async def note(conn: Connection, asked: Open, receipt: str, detail: str, *, is_more: bool = False) -> Noted:
    """Write the provider's word down (`receipt`: arrived, not_arrived or unknown) and tell the feed. What stands already stays, but for more of
    the same (`is_more`).
    """
    given = {"notification": asked.notification, "n": asked.n, "receipt": receipt, "detail": detail, "is_more": is_more}
    async with conn.transaction(), conn.cursor() as cur:
        if receipt == "not_arrived":
            await cur.execute(_SQL["lock_step"], given)
        await cur.execute(_SQL["note"], given)
        if await cur.fetchone() is None:
            return Noted(False)
        await say_notification(
            cur, asked.institution, asked.notification, asked.alarm, receipt, asked.responder, asked.channel
        )
        if receipt != "not_arrived":
            return Noted(True)
        await cur.execute(_SQL["unreached"], given)
        step = await cur.fetchone()
        if step is not None:
            said = {"state": "unreached", "alarm": str(asked.alarm), "round": step[0], "step": step[1]}
            await say(cur, "escalation", [asked.institution], [said])
        return Noted(True, step is not None)


async def named(conn: Connection, provider_id: str, kind: str) -> Open | None:
    """The attempt that a provider calls so, by channels of this kind; None where there is none of the last two days."""
    row = await one_row(conn, _SQL["named"], {"provider_id": provider_id, "kind": kind})
    return None if row is None else _open(row)


@asynccontextmanager
async def open_desk(database_url: str) -> AsyncIterator[Desk]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "receipts", autocommit=True)
    try:
        yield Desk(conn)
    finally:
        await conn.close()
