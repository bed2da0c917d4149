"""How often this edge and its machine have begun, and how it ended the last time: one small file beside the spool, replaced as a whole.

A disk that does not take it costs the knowledge and nothing else.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

RUNNING = "killed or without power"
"""what stands in the file while the edge runs, so that it is true when nobody could write anything else"""
STOPPED = "stopped"
FIRST = "first start"
UNKNOWN = "unknown"
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""the kernel's name for this run of the machine"""


class Birth(NamedTuple):
    """One start."""

    boots: int
    """how often it has begun, this time included; 0: nobody knows"""
    last_end: str
    machine_boots: int = 0
    """in how many runs of its machine it has begun, this one included; 0: nobody knows"""


class Life:
    """The file in `folder`; `boot` names the run of the machine. Blocks, for a moment."""

    def __init__(self, folder: Path, boot: Path = BOOT) -> None:
        self._path = folder / "life.json"
        self._boot = boot
        self._boots = 0
        self._machine: dict[str, int | str] = {}

    def begin(self) -> Birth:
        """Count this start."""
        told: Any = {}
        try:
            told = json.loads(self._path.read_bytes()[:4096])
            boots, last_end = int(told["boots"]), str(told["end"])[:200]
        except FileNotFoundError:
            boots, last_end = 0, FIRST
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            boots, last_end = 0, UNKNOWN
        self._boots = max(0, min(boots, 10**9)) + 1
        machine = self._count_machine(told if isinstance(told, dict) else {})
        self._write(RUNNING)
        return Birth(self._boots if last_end != UNKNOWN else 0, last_end, machine if last_end != UNKNOWN else 0)

    def _count_machine(self, told: Mapping[str, Any]) -> int:
        """Starts of the machine that this edge has seen: one more where the kernel names another run than the last time."""
        try:
            run = self._boot.read_text("ascii").strip()[:64]
        except (OSError, ValueError):
            return 0
        try:
            before, count = str(told["machine"]["run"]), max(0, min(int(told["machine"]["boots"]), 10**9))
        except (KeyError, TypeError, ValueError):
            before, count = "", 0
        count += run != before
        self._machine = {"run": run, "boots": count}
        return count

    def end(self, how: str) -> None:
        """Say how it ends."""
        self._write(how)

    def _write(self, end: str) -> None:
        fresh = self._path.with_name(".life.json")
        with suppress(OSError):
            with fresh.open("w") as file:
                json.dump({"boots": self._boots, "end": end[:200], "machine": self._machine}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
