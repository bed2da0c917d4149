"""A watch over the edge's loop from a thread of its own: a driver that blocks it silences every other line, and nobody would hear of it.

A loop that does not answer for `SAID` seconds is said with what it is doing; after `LIMIT` the process ends, and whoever supervises it starts
it again: what the spool has is safe, what a push source was not confirmed it says again. Seconds are counted by this thread's own naps, so
that a process that was stopped or a machine that slept is not taken for a blocked one.
"""

import asyncio
import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

import structlog

log = structlog.get_logger()

SAID = 5
LIMIT = 60
"""seconds"""
NAP = 1.0


class Watchdog:
    """Counts the naps in which the loop did not answer; `end` is called with the limit's excess."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limit: int = LIMIT, end: Callable[[int], object] = os._exit
    ) -> None:
        self._loop = loop
        self._watched = threading.get_ident()
        self._limit = limit
        self._end = end
        self._silent = 0
        self._over = threading.Event()

    def run(self, nap: float = NAP) -> None:
        """In a thread, until `stop`."""
        while not self._over.wait(nap):
            self._silent += 1
            if self._silent == SAID:
                log.error("edge.loop_blocked", seconds=SAID, limit=self._limit, where=self._where())
            if self._silent >= self._limit:
                log.critical("edge.loop_blocked_for_good", seconds=self._limit, where=self._where())
                self._end(1)
                return
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._answer)

    def stop(self) -> None:
        """The loop ends in order."""
        self._over.set()

    def _answer(self) -> None:
        self._silent = 0

    def _where(self) -> str:
        frame = sys._current_frames().get(self._watched)
        return "" if frame is None else "".join(traceback.format_stack(frame)[-6:])


@contextlib.contextmanager
def watching(limit: int = LIMIT) -> Iterator[None]:
    """The running loop is watched while inside."""
    dog = Watchdog(asyncio.get_running_loop(), limit)
    thread = threading.Thread(target=dog.run, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        dog.stop()
