"""Configurations of edges as they are kept: the signing key, each edge's seal, the version that is wanted, and what the edge says of it.

The signing key lies here and not in a file, so that every process of the centre signs alike and a restored hub goes on with it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import NotFound
from hub.model import Lane
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_SQL = queries("configurations")


class Edge(NamedTuple):
    """An edge, of what its configuration was last made (`basis`), and a fingerprint of what it would be made from now."""

    id: str
    basis: str
    fingerprint: str


class Current(NamedTuple):
    """What is wanted of an edge now; version 0: nothing yet. `told`: the highest version that the edge ever spoke of."""

    version: int
    digest: str
    envelope: bytes | None
    seal: bytes | None
    device: int
    told: int


class Published(NamedTuple):
    """What the broker has to hold for an edge; None: nothing any more."""

    id: str
    partition: int
    envelope: bytes | None


async def signing_key(conn: Connection, fresh: bytes) -> bytes:
    """The hub's private key; `fresh` (32 random bytes) becomes it where there is none yet."""
    await conn.execute(_SQL["put_key"], {"private": fresh})
    row = await one_row(conn, _SQL["key"])
    assert row is not None
    return bytes(row["private"])


class WayToEdge(NamedTuple):
    """Where an edge is reached, and the database's clock."""

    institution: str
    partition: int
    client: str
    now: datetime


async def way_to_edge(conn: Connection, edge: str) -> WayToEdge | None:
    """The topic parts of an edge that is there, None where there is none of that name."""
    row = await one_row(conn, _SQL["way_to_edge"], {"edge": edge})
    return None if row is None else WayToEdge(**row)


async def edges(conn: Connection, partitions: Sequence[int]) -> list[Edge]:
    """The edges of these partitions that are not retired."""
    return [Edge(**row) for row in await all_rows(conn, _SQL["edges"], {"partitions": list(partitions)})]


async def current(conn: Connection, edge: str) -> Current:
    """What is wanted of an edge; raises NotFound. The caller holds the client's row."""
    row = await one_row(conn, _SQL["current"], {"name": edge})
    if row is None:
        raise NotFound(f"there is no edge {edge!r}")
    envelope, seal = row["envelope"], row["seal"]
    return Current(
        row["version"] or 0,
        row["digest"] or "",
        None if envelope is None else bytes(envelope),
        None if seal is None else bytes(seal),
        row["device"],
        row["told"],
    )


async def put(conn: Connection, device: int, version: int, digest: str, envelope: bytes | None, basis: str) -> None:
    """This is wanted now; another version begins to be wanted with it."""
    told = {"device": device, "version": version, "digest": digest, "envelope": envelope, "basis": basis}
    await conn.execute(_SQL["put"], told)


async def put_problem(conn: Connection, device: int, problem: str, basis: str) -> None:
    """It could not be made; what was wanted stays."""
    await conn.execute(_SQL["put_problem"], {"device": device, "problem": problem[:1000], "basis": basis})


async def set_seal(conn: Connection, edge: str, seal: bytes) -> None:
    """The key that opens an edge's configuration from now on."""
    await conn.execute(_SQL["set_seal"], {"name": edge, "seal": seal})


async def announce(conn: Connection) -> None:
    """Whoever publishes configurations looks, and whoever reads the registry."""
    await conn.execute(_SQL["announce"])


async def published(conn: Connection, partitions: Sequence[int]) -> list[Published]:
    """What the broker has to hold."""
    rows = await all_rows(conn, _SQL["published"], {"partitions": list(partitions)})
    return [Published(r["id"], r["partition"], None if r["envelope"] is None else bytes(r["envelope"])) for r in rows]


async def align_lanes(conn: Connection, lanes: Mapping[str, Lane], partitions: Sequence[int]) -> int:
    """Bring devices to the lane of their profile as it is installed; returns how many moved."""
    rows = [{"profile": profile, "lane": lane.value} for profile, lane in lanes.items()]
    moved = await conn.execute(_SQL["align"], {"profiles": Jsonb(rows), "partitions": list(partitions)})
    if moved.rowcount:
        await announce(conn)
    return moved.rowcount


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None = None,
    edge: str | None = None,
    institution: str | None = None,
) -> list[Row]:
    """Edges of the scope, by id, with the version that is wanted, the one that runs, and the one that was refused."""
    asked = {"scope": Jsonb(scope.as_json()), "limit": limit, "after": after, "id": edge, "institution": institution}
    return await all_rows(conn, _SQL["list"], asked)


class ConfigurationWatch:
    """One connection of its own that hears when the registry moved. Methods raise LinkDown when it is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction."""
        with translated():
            async with self._conn.transaction():
                yield self._conn

    async def wait(self, seconds: float) -> None:
        """Until the registry moved, at most `seconds`."""
        with translated():
            async for _ in self._conn.notifies(timeout=seconds, stop_after=1):
                pass


@asynccontextmanager
async def open_watch(database_url: str) -> AsyncIterator[ConfigurationWatch]:
    """Connect and listen; raises LinkDown."""
    conn = await connect(database_url, "configurations", autocommit=True)
    try:
        with translated():
            await conn.execute("listen anxin_registry")
        yield ConfigurationWatch(conn)
    finally:
        await conn.close()
