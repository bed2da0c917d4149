"""A connection's life in a task of its own, so that the loop that must begin the next one is never touched by how this one ended.

Up to Python 3.11.3 (Debian 12 has 3.11.2) a TaskGroup that failed leaves its task marked as being cancelled. A time limit that runs out
in that task afterwards raises CancelledError instead of TimeoutError and ends it, silently: nothing calls again.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
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


async def in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives or raises, in a thread with a loop of its own: a blocked loop here does not stop it. Cancelled with its caller."""
    ours = asyncio.get_running_loop()
    ended: asyncio.Future[T] = ours.create_future()
    held: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def hold() -> T:
        task = asyncio.ensure_future(work())
        held.append((asyncio.get_running_loop(), task))
        return await task

    def tell(result: T | None, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # our loop is closed: nobody waits any more
            ours.call_soon_threadsafe(settle, result, error)

    def settle(result: T | None, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(result)  # type: ignore[arg-type]
        else:
            ended.set_exception(error)

    def run() -> None:
        try:
            result = asyncio.run(hold())
        except asyncio.CancelledError:
            tell(None, LinkDown("the thread's work was cancelled from within"))
        except BaseException as error:  # noqa: BLE001 -- it is raised where it is awaited
            tell(None, error)
        else:
            tell(result, None)

    threading.Thread(target=run, name="apart", daemon=True).start()
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        for loop, task in held:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait({ended}, timeout=5.0)
        if ended.done() and not ended.cancelled():
            ended.exception()
        raise
