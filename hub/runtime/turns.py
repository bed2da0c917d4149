"""Whose turn it is where one process judges urgent and bulk lanes: urgent ones go first.

All lanes of a process share one event loop, and what is being judged is not interrupted. So a bulk lane begins a batch only while no urgent lane has one
under way, or when it has waited for `PATIENCE`: a backlog of readings may take what the urgent lanes leave over, and never stands still.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 0.25
"""seconds that a bulk batch waits for urgent ones at most"""


class Turns:
    """One a process."""

    def __init__(self) -> None:
        self._urgent = 0
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """An urgent lane judges and commits."""
        self._urgent += 1
        self._free.clear()
        try:
            yield
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._free.set()

    async def bulk(self) -> None:
        """Until a bulk lane may begin."""
        if self._free.is_set():
            return
        waiting = asyncio.ensure_future(self._free.wait())
        try:
            await asyncio.wait({waiting}, timeout=PATIENCE)
        finally:
            waiting.cancel()
