"""One transaction of the pool, with the database's errors turned into ours. For the API and whoever else may simply fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from hub.errors import BadInput, Conflict, LinkDown
from hub.store.pool import LOST, Connection

Pool = AsyncConnectionPool[Connection]
T = TypeVar("T")


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


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What `work` gives within the time; else raises LinkDown, and the work ends by itself: a frozen server hears no cancelling."""
    asking = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({asking}, timeout=seconds)
    finally:
        asking.add_done_callback(lambda late: late.cancelled() or late.exception())
        asking.cancel()
    if not done:
        raise LinkDown(f"database: no answer within {seconds:g} s")
    return asking.result()


async def is_reachable(pool: Pool) -> bool:
    """True where the database answers."""
    try:
        async with transaction(pool) as conn:
            await conn.execute("select 1")
    except LinkDown:
        return False
    return True
