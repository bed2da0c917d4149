"""The canary's own rows: made by the auditor, answered by it, deleted after a day. Negative keys tell them from everything real.

Migration 0012 holds the rest: what such a row raises is marked, reaches the canary's sink and nobody else, and is in no list and no feed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from hub.core.alarms import AlarmEvent
from hub.model import Micros
from hub.registry import canaries_of
from hub.store import alarms, registry
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.sealing import Place, sealed
from hub.store.session import translated

_SQL = queries("canary")
_SINK = Place("responder", "canary", "sink", "webhook")
KEEP = timedelta(days=1)


class Nest(NamedTuple):
    """The canary of one partition."""

    partition: int
    key: int
    id: str
    """its institution, its device and its client bear the same name"""


class Aviary:
    """The auditor's connection, for the canary's part of it. Every method raises LinkDown when it is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def settle(self, profile: str, sink: dict[str, Any]) -> list[Nest]:
        """Make what is missing, and send canaries to `sink` (settings of a webhook) from now on."""
        with translated():
            count = await registry.partitions(self._conn)
            nests = [Nest(n, -1 - n, name) for n, name in enumerate(canaries_of(count))]
            async with self._conn.transaction():
                await self._conn.execute(_SQL["divide"])
                await self._conn.execute(_SQL["responder"])
                await self._conn.execute(_SQL["sink"], {"settings": sealed(sink, _SINK)})
                for nest in nests:
                    given = nest._asdict() | {"profile": profile}
                    for name in ("institution", "device", "state", "client"):
                        await self._conn.execute(_SQL[name], given)
        return nests

    async def upto(self, stream: str) -> int:
        """The last committed number of a stream, 0 where there is none."""
        with translated():
            row = await (await self._conn.execute(_SQL["upto"], {"stream": stream})).fetchone()
        return 0 if row is None else int(row[0])

    async def answer(self, nest: Nest, at: Micros) -> list[UUID]:
        """Acknowledge what is open of this canary, as a person would; returns which alarms that were."""
        with translated():
            rows = await (await self._conn.execute(_SQL["open"], {"key": nest.key})).fetchall()
            for alarm, state in rows:
                async with self._conn.transaction():
                    if state == "ack_active":
                        continue
                    await alarms.act(self._conn, alarm, AlarmEvent.ACKNOWLEDGE, "canary", "", at)
        return [row[0] for row in rows]

    async def sweep(self, limit: int = 500) -> int:
        """Delete what is older than `KEEP`, at most `limit` alarms; returns how many rows went."""
        with translated():
            async with self._conn.transaction():
                given = {"keep": KEEP, "limit": limit}
                rows = await (await self._conn.execute(_SQL["gone"], given)).fetchall()
                ids = {"ids": [row[0] for row in rows]}
                for name in ("notifications", "steps", "escalations", "transitions", "alarms"):
                    await self._conn.execute(_SQL[f"gone_{name}"], ids)
                events = await self._conn.execute(_SQL["gone_events"], given)
        return len(rows) + events.rowcount


@asynccontextmanager
async def open_aviary(database_url: str) -> AsyncIterator[Aviary]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "canary", autocommit=True)
    try:
        with translated():
            await conn.execute("set lock_timeout = '2s'")
            await conn.execute("set statement_timeout = '5s'")
        yield Aviary(conn)
    finally:
        conn.pgconn.finish()
