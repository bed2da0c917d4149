"""One folder, one owner: two processes that page over one journal would each send what the other one has sent."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from hub.errors import Conflict

TAKE_OVER = 10.0
"""seconds to wait for a predecessor that is being stopped; the lock of one that was killed goes with it"""
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def owned(folder: Path | None, patience: float = TAKE_OVER) -> AsyncIterator[None]:
    """Hold the folder until the end; None: nothing is to be held. Raises Conflict where another process holds it for longer than `patience`.

    A disk that takes no file is no reason to page nobody: it is said, and gone on without.
    """
    if folder is None:
        yield
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _log.error("standby.folder_not_locked", folder=str(folder), reason=error.strerror)
        yield
        return
    try:
        await _lock(handle, folder, patience)
        yield
    finally:
        os.close(handle)


async def _lock(handle: int, folder: Path, patience: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() >= until:
                raise Conflict(
                    f"ANXIN_DATA: {folder} is held by another 'anxin serve' with role paging; give each hub a folder of its own"
                ) from None
            await asyncio.sleep(0.2)
        except OSError as error:  # a file system without locks
            _log.error("standby.folder_not_locked", folder=str(folder), reason=error.strerror)
            return
        else:
            return
