"""Any number of kills: `python -m tests.faults.soak --kills N --seed S`; `scripts/soak` calls it. Prints one line and exits 0 only if it is clean."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from hub.engine import ensure
from tests.faults import climb, field_soak, matrix, shift_change
from tests.faults.checker import Report
from tests.faults.nemesis import EDGE_LABELS, HUB_LABELS, PAGING_LABELS, kill_at_labels, kill_at_random, settle
from tests.faults.stand import Stand


async def soak(folder: Path, kills: int, seed: int, labels: bool) -> Report:
    """One run; `labels` adds every crash point before the random kills."""
    async with Stand(folder) as stand:
        every = HUB_LABELS + PAGING_LABELS + EDGE_LABELS if labels else ()
        await kill_at_labels(stand, every)
        await kill_at_random(stand, kills, seed)
        return await settle(stand, kills + len(every), seed)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Kill hub, edge, broker and database at random and count what is lost."
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--no-labels", action="store_true", help="random kills only, no labelled crash points")
    parser.add_argument("--keep", type=Path, help="an empty folder for ledgers and logs, kept afterwards")
    field = parser.add_argument_group("the field", "many sites with bad lines, instead of one stand")
    field.add_argument(
        "--field", action="store_true", help="simulated sites; conservation must be exact on every stream"
    )
    field.add_argument("--sites", type=int, default=20)
    field.add_argument("--minutes", type=float, default=30.0)
    field.add_argument("--out", type=Path, help="a file for the report as JSON")
    climbing = parser.add_argument_group("escalation", "alarms that climb, instead of one stand")
    climbing.add_argument("--climb", action="store_true", help="kill pagers and database, set the clock by an hour")
    climbing.add_argument("--pace", type=float, default=1.0, help="so many times slower: for a machine that others use")
    climbing.add_argument(
        "--shift-change", action="store_true", help="a chain across 08:00, a restart every 60 s, for --minutes"
    )
    watching = parser.add_argument_group("the kill matrix", "with the real periods, instead of one stand")
    watching.add_argument("--matrix", action="store_true", help="let each part die once: when is it noticed outside?")
    watching.add_argument("--stands", type=int, default=4, help="so many at once, each a process with a hub of its own")
    options = parser.parse_args()
    if options.matrix:
        return matrix.main(options.stands, options.seed)
    if options.climb:
        return climb.main(options.kills, options.seed, options.keep, options.pace)
    if options.shift_change:
        return shift_change.main(options.minutes)
    if options.field:
        return field_soak.main(options.sites, 60 * options.minutes, options.seed, options.keep, options.out)
    ensure()
    started = time.monotonic()
    print(f"soak: {options.kills} kills, seed {options.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="anxin-soak-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) if options.keep is None else options.keep
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(soak(folder, options.kills, options.seed, not options.no_labels))
    print(f"{report}, {time.monotonic() - started:.0f} s")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
