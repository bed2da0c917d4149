"""One transaction of the pool, with the database's errors turned into ours. For the API and whoever else may simply fail."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from hub.errors import BadInput, Conflict, LinkDown
from hub.store.pool import LOST, Connection

Pool = AsyncConnectionPool[Connection]


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into BadInput, Conflict or LinkDown; what would be our own mistake in SQL stays as it is.

    No text of the database is passed on where it could quote a row.
    """
    try:
        yield
    except psycopg.DataError as error:
        raise BadInput(_primary(error), "database", code="refused") from error
    except (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable) as error:
        raise Conflict("another change was under way: try again") from error
    except psycopg.IntegrityError as error:
        constraint = error.diag.constraint_name or "a constraint"
        raise Conflict(f"this contradicts what is stored ({constraint})") from error
    except PoolTimeout as error:
        raise LinkDown("database: no connection became free in time") from error
    except LOST as error:
        raise LinkDown(f"database: {type(error).__name__}") from error


def _primary(error: psycopg.Error) -> str:
    # psycopg raises DataError itself for NUL in text, without a diagnosis
    return error.diag.message_primary or "the database refuses this value"


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection in one transaction: committed at the end, rolled back on any error."""
    with translated():
        async with pool.connection() as conn:
            yield conn


async def is_reachable(pool: Pool) -> bool:
    """True where the database answers."""
    try:
        async with transaction(pool) as conn:
            await conn.execute("select 1")
    except LinkDown:
        return False
    return True
