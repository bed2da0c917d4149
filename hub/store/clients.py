"""The clients' accounts at the broker, followed over one connection of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hub.store import registry
from hub.store.pool import Connection, connect
from hub.store.session import translated

_CHANNEL = "anxin_clients"


class ClientWatch:
    """Every method raises LinkDown when the connection is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def accounts(self) -> dict[str, str]:
        """Name and password hash of every client that may log in."""
        with translated():
            return await registry.accounts(self._conn)

    async def wait(self, seconds: float) -> None:
        """Until a client changed, at most `seconds`."""
        with translated():
            async for _ in self._conn.notifies(timeout=seconds, stop_after=1):
                pass


@asynccontextmanager
async def open_watch(database_url: str) -> AsyncIterator[ClientWatch]:
    """Connect and listen; raises LinkDown."""
    conn = await connect(database_url, "clients", autocommit=True)
    try:
        with translated():
            await conn.execute(f"listen {_CHANNEL}")
        yield ClientWatch(conn)
    finally:
        await conn.close()
