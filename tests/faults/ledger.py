"""What the simulators wrote down: a line before they sent, a line when somebody made them a promise.

`sent <number> <device> <at>` comes before the first sending of a value, which is the number; `ok <number>` says that whoever took it promised
to keep it: the edge for a lamp (its spool is synced), the hub for a bare client (its confirmation). A torn last line is a line not written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Value(NamedTuple):
    """One value that a device said once; numbers are never repeated within a device."""

    device: str
    point: str
    number: int


@dataclass
class Ledger:
    """The lines of one simulator."""

    sent: set[Value] = field(default_factory=set)
    promised: set[Value] = field(default_factory=set)


def read_ledgers(paths: Iterable[Path], points: tuple[str, ...] = ("level",)) -> Ledger:
    """All ledgers as one. Each number stands for one value of every point in `points`."""
    whole = Ledger()
    for path in paths:
        devices: dict[int, str] = {}
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        for line in lines:
            words = line.split()
            number = int(words[1])
            if words[0] == "sent":
                devices[number] = words[2]
                whole.sent |= {Value(words[2], point, number) for point in points}
            elif words[0] == "ok":
                whole.promised |= {Value(devices[number], point, number) for point in points}
            else:
                raise ValueError(f"{path}: {line!r}")
    return whole


def merge(*ledgers: Ledger) -> Ledger:
    """Several as one."""
    return Ledger(
        set().union(*(ledger.sent for ledger in ledgers)), set().union(*(ledger.promised for ledger in ledgers))
    )
