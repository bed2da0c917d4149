"""Who kills whom and when: a schedule from a seed, and one label after another; between two kills something must have moved."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psycopg

from hub.testing import eventually
from tests.faults.checker import Report, check
from tests.faults.family import Child
from tests.faults.stand import PARTS, Part, Stand

HUB_LABELS = ("received", "before-commit", "after-commit", "after-confirm", "after-settle")
PAGING_LABELS = (
    "escalator-claimed",
    "escalator-before-commit",
    "escalator-after-commit",
    "deliverer-claimed",
    "deliverer-sent",
    "deliverer-marked",
)
EDGE_LABELS = ("edge-before-spool", "edge-after-spool", "edge-after-publish", "edge-before-confirm-delete")

RECOVERY = 60.0
"""seconds in which something must move again after a kill"""
STARTS = 3


async def kill_at_random(stand: Stand, kills: int, seed: int) -> None:
    """SIGKILL parts at random instants, now and then two within 50 ms. The schedule comes from the seed; the instants hit what they hit."""
    chance = random.Random(seed)
    journal = stand.folder / "nemesis.log"
    done = 0
    while done < kills:
        before = stand.promises()
        if chance.random() < 0.6:
            await eventually(lambda count=before: stand.promises() > count, deadline=RECOVERY)  # type: ignore[misc]
        victims: list[Part] = chance.sample(PARTS, 2 if chance.random() < 0.2 and done + 2 <= kills else 1)
        await asyncio.sleep(chance.uniform(0.0, 1.0))  # when it strikes is what the seed decides
        for part in victims:
            await eventually(lambda victim=part: stand.kill(victim), deadline=RECOVERY)  # type: ignore[misc]
            done += 1
            _journal(journal, f"{time.time():.3f} {done} {part}")
            await asyncio.sleep(chance.uniform(0.0, 0.05))


async def kill_at_labels(stand: Stand, labels: Sequence[str], count: int = 3) -> dict[str, int]:
    """Start hub or edge so that it kills itself at the label's `count`-th pass, one after another; how each ended."""
    ends: dict[str, int] = {}
    for label in labels:
        ends[label] = await crash(stand.edge if label in EDGE_LABELS else stand.hub, f"{label}:{count}")
        before = stand.promises()
        await eventually(lambda count=before: stand.promises() > count + 5, deadline=RECOVERY)  # type: ignore[misc]
        _journal(stand.folder / "nemesis.log", f"{time.time():.3f} {label} {ends[label]}")
    return ends


async def crash(child: Child, at: str) -> int:
    """Start it again so that it kills itself `at` label:n; how it ended. A start that fails by itself, since the machine is busy and the database
    does not answer in time, has met no label: it is tried again."""

    ended = 0

    def strike() -> bool:
        nonlocal ended
        ended, child.crash_at = len(child.ends), at  # in one go with the kill: no other start takes it
        if child.kill():
            return True
        child.crash_at = ""
        return False

    for _ in range(STARTS):
        await eventually(strike, deadline=RECOVERY)
        await eventually(lambda: len(child.ends) >= ended + 2, deadline=RECOVERY)
        if child.ends[ended + 1] < 0:
            break
    return child.ends[ended + 1]


async def settle(stand: Stand, kills: int, seed: int, patience: float = RECOVERY) -> Report:
    """Hush, wait until everything owed is stored or nothing has moved for `patience` seconds, and judge."""
    stand.hush()
    loop = asyncio.get_running_loop()
    last: Report | None = None
    moved_at = loop.time()
    while True:
        try:
            received = stand.received()
            report = await asyncio.to_thread(check, stand.database_url, stand.ledger(), received, kills, seed)
        except psycopg.OperationalError:  # killed a moment ago
            pass
        else:
            # pages go on for as long as nobody acknowledges: they are no sign that something is still to come
            if last is None or replace(report, paged=0) != replace(last, paged=0):
                moved_at = loop.time()
            last = report
            # a page that went out between the two looks is in one of them only: it is looked at again
            if report.owed == 0 and not report.mispaged and loop.time() - moved_at > 1.0:
                return report
        if loop.time() - moved_at > patience:
            if last is None:
                raise AssertionError(f"the database did not come back within {patience} s")
            return last
        await asyncio.sleep(0.25)


def _journal(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")
