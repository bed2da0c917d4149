"""The disk under the spool: how much of it bulk may have, and a file that is given up when it is full.

Two things keep room for alarms. Bulk never takes the last `kept` bytes of the file system, so that the spool itself fills no disk. And what
others fill is met by a reserve: a file of allocated blocks that is deleted when an urgent message finds no room, and made again when there is
room for it twice over.
"""

import contextlib
import os
from pathlib import Path

import structlog

log = structlog.get_logger()

KEPT = 64 * 1024 * 1024
"""bytes of the file system that bulk leaves free, or a twentieth of it if that is less"""
RESERVE = 16 * 1024 * 1024
"""bytes of the reserve, or a twentieth of the file system: some hundred thousand urgent samples"""
PART = 20


class Disk:
    """The file system that holds `folder`. Blocks; knows nothing of SQLite."""

    def __init__(self, folder: Path) -> None:
        self._reserve = folder / "reserve"
        self._folder = folder
        try:
            total = self._statvfs()[0]
        except OSError:  # the spool itself will say what is wrong
            total = 0
        self.kept = min(KEPT, total // PART)
        self._size = min(RESERVE, total // PART)

    def _statvfs(self) -> tuple[int, int]:
        found = os.statvfs(self._folder)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    @property
    def room(self) -> int:
        """Bytes that bulk may still take; below 0 when others have taken what is kept for alarms."""
        try:
            return self._statvfs()[1] - self.kept
        except OSError:
            return 0

    @property
    def reserve(self) -> int:
        """Bytes that the reserve holds; 0 when it was given up."""
        try:
            return self._reserve.stat().st_size
        except OSError:
            return 0

    def keep_reserve(self) -> None:
        """Make the reserve where there is none and room for it twice over; a disk that refuses is no error here."""
        if self.reserve >= self._size or self.room < 2 * self._size:
            return
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
        except OSError as error:
            log.warning("spool.no_reserve", path=str(self._reserve), reason=error.strerror)
            self._delete()

    def give_up_reserve(self) -> bool:
        """Whether there was one: its room is free now."""
        there = self.reserve > 0
        if there:
            log.critical("spool.reserve_given_up", path=str(self._reserve), bytes=self.reserve)
        return self._delete() and there

    def _delete(self) -> bool:
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)
            return True
        return False
