"""What the figures were measured on, and how they are put into words."""

import contextlib
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def facts() -> str:
    """Cores, processor, memory, kernel, Python and load, on one line."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")  # fmt: skip
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores {cpu}, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}, load before {load:.1f}"


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_seconds(name: str) -> float:
    """Processor time so far of all programs of that name below this process, with their children that have ended."""
    found: dict[int, tuple[int, str, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                head, _, rest = (entry / "stat").read_text().rpartition(")")
                fields = rest.split()
                found[int(entry.name)] = (int(fields[1]), head.partition("(")[2], sum(map(int, fields[11:15])))
    own = {os.getpid()}
    while more := {pid for pid, (parent, *_) in found.items() if parent in own} - own:
        own |= more
    return sum(used for pid, (_, called, used) in found.items() if pid in own and called == name) / os.sysconf(
        "SC_CLK_TCK"
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)
