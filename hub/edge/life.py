"""How often this edge has begun, and how it ended the last time: one small file beside the spool, replaced as a whole.

A disk that does not take it costs the knowledge and nothing else.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

RUNNING = "killed or without power"
"""what stands in the file while the edge runs, so that it is true when nobody could write anything else"""
STOPPED = "stopped"
FIRST = "first start"
UNKNOWN = "unknown"


class Birth(NamedTuple):
    """One start."""

    boots: int
    """how often it has begun, this time included; 0: nobody knows"""
    last_end: str


class Life:
    """The file in `folder`. Blocks, for a moment."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "life.json"
        self._boots = 0

    def begin(self) -> Birth:
        """Count this start."""
        try:
            told = json.loads(self._path.read_bytes()[:4096])
            boots, last_end = int(told["boots"]), str(told["end"])[:200]
        except FileNotFoundError:
            boots, last_end = 0, FIRST
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            boots, last_end = 0, UNKNOWN
        self._boots = max(0, min(boots, 10**9)) + 1
        self._write(RUNNING)
        return Birth(self._boots if last_end != UNKNOWN else 0, last_end)

    def end(self, how: str) -> None:
        """Say how it ends."""
        self._write(how)

    def _write(self, end: str) -> None:
        fresh = self._path.with_name(".life.json")
        with suppress(OSError):
            with fresh.open("w") as file:
                json.dump({"boots": self._boots, "end": end[:200]}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
