"""A small file of the edge that is replaced as a whole: after a kill or a power cut it holds the old bytes or the new ones."""

import contextlib
import os
from pathlib import Path

from hub import crash


def replace(path: Path, written: bytes, label: str = "") -> None:
    """On the disk (mode 0600) when it returns; raises OSError, and what was there stays. One caller at a time for a path; `label` names the
    crash point before the new bytes take the place of the old."""
    fresh = path.with_name(f".{path.name}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(written)
        file.flush()
        os.fsync(file.fileno())
    if label:
        crash.point(label)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
