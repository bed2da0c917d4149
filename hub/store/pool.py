"""Connections: dedicated ones for whoever must not wait for others, a small pool for the API."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from psycopg import AsyncConnection, InterfaceError, InternalError, OperationalError
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from hub.errors import LinkDown

Connection = AsyncConnection[TupleRow]

LOST = (OperationalError, InterfaceError, InternalError)
"""what psycopg raises when the connection has gone, under way or before, and when the database takes nothing for reasons of its own: it is read only
(a replica, a failover), its files cannot grow, its transaction was ended"""

# one processor of the database for each of us: a scan that takes them all makes the commit of an alarm wait
_ALONE = "-c max_parallel_workers_per_gather=0"
# psycopg's own default waits up to two minutes for a lost server; measured here: 8 to 10 s too long after its return
_OPTIONS = f"-c statement_timeout=15s -c idle_in_transaction_session_timeout=30s -c timezone=UTC {_ALONE}"
_TIMEOUTS: dict[str, Any] = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5000,
    "keepalives_idle": 5,
    "options": _OPTIONS,
}


async def connect(
    database_url: str, name: str, *, autocommit: bool = False, lock_timeout: str | None = None
) -> Connection:
    """A dedicated connection; `name` is shown in pg_stat_activity. `lock_timeout`: how long it waits for what somebody else holds, as PostgreSQL
    writes it; else as long as a statement may take. Raises LinkDown.
    """
    how = _TIMEOUTS if lock_timeout is None else {**_TIMEOUTS, "options": f"{_OPTIONS} -c lock_timeout={lock_timeout}"}
    try:
        return await AsyncConnection.connect(
            database_url, autocommit=autocommit, application_name=f"anxin-{name}"[:63], **how
        )
    except OperationalError as error:
        raise LinkDown(f"database: {error}") from None


def cut(conn: Connection) -> None:
    """Cut a connection off its server without a goodbye, also while another task uses it: that task gets an error of `LOST` and ends.

    Only the socket is shut down. To free the connection (`close`, `finish`) under a running query ends the process: seen as a segmentation fault.
    """
    try:
        handle = os.dup(conn.pgconn.socket)
    except (OperationalError, OSError):
        return  # closed already
    with socket.socket(fileno=handle) as line, suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def is_asking(conn: Connection | None) -> bool:
    """Whether somebody waits for an answer on this connection now."""
    return conn is not None and conn.pgconn.transaction_status == TransactionStatus.ACTIVE


def make_pool(database_url: str, size: int = 8) -> AsyncConnectionPool[Connection]:
    """The API's pool: at most `size` connections, a caller waits at most 5 s for one. Not open yet: `async with` opens it, and who asks before
    that is told that the database is away."""
    kwargs: dict[str, Any] = {"application_name": "anxin-api", **_TIMEOUTS}
    return AsyncConnectionPool(
        database_url,
        kwargs=kwargs,
        min_size=1,
        max_size=size,
        open=False,
        timeout=5,
        reconnect_timeout=1,
        check=AsyncConnectionPool.check_connection,
    )


@asynccontextmanager
async def open_pool(database_url: str, size: int = 8) -> AsyncIterator[AsyncConnectionPool[Connection]]:
    """`make_pool`, open."""
    async with make_pool(database_url, size) as pool:
        yield pool
