"""Waiting for a condition with a deadline, instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(condition: Callable[[], Any | Awaitable[Any]], deadline: float = 20.0, every: float = 0.01) -> Any:
    """Wait until `condition()` is true (it may be a coroutine function); returns what it gave.

    Looks again `every` seconds; raises AssertionError that names the condition when it does not hold within `deadline` seconds.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline
    while True:
        seen = condition()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            return seen
        if loop.time() >= until:
            name = getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"{name} did not become true within {deadline} s; the last look gave {seen!r}")
        await asyncio.sleep(every)


def wait_until(condition: Callable[[], Any], deadline: float = 20.0, every: float = 0.01) -> Any:
    """`eventually` for code without a loop: block until `condition()` is true and return what it gave; AssertionError after `deadline` seconds."""
    until = time.monotonic() + deadline
    while not (seen := condition()):
        if time.monotonic() >= until:
            name = getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"{name} did not become true within {deadline} s; the last look gave {seen!r}")
        time.sleep(every)
    return seen
