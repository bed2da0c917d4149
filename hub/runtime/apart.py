"""A connection's life in a task of its own, so that the loop that must begin the next one is never touched by how this one ended.

Up to Python 3.11.3 (Debian 12 has 3.11.2) a TaskGroup that failed leaves its task marked as being cancelled. A time limit that runs out
in that task afterwards raises CancelledError instead of TimeoutError and ends it, silently: nothing calls again.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from hub.errors import LinkDown

T = TypeVar("T")


async def apart(work: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
    """What `work` gives or raises. Cancelled with its caller; where it was cancelled from within instead, raises LinkDown."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
        await asyncio.wait([task])
    if task.cancelled():
        raise LinkDown("the connection was cancelled from within")
    return task.result()
