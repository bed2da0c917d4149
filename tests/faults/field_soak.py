"""`scripts/soak --field`: the field for as long as wanted, its report for people and, with --out, for bench/."""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hub.engine import ensure
from tests.faults.balance import Balance
from tests.faults.field import LONG, Field, Pace


async def run_field(
    folder: Path, sites: int, seconds: float, seed: int, pace: Pace = LONG
) -> tuple[Balance, dict[str, Any]]:
    """One run; the balance, and what was done to it."""
    async with Field(folder, sites, seed, pace) as field:
        await field.storm(seconds)
        found = await field.settle()
        return found, {"kills": dict(field.kills), "faults": dict(field.faults())}


def report(sites: int, seconds: float, seed: int, found: Balance, done: dict[str, Any], took: float) -> str:
    """What is printed."""
    counts = {name: ", ".join(f"{n} {what}" for what, n in sorted(done[name].items())) for name in ("kills", "faults")}
    return "\n".join(
        [
            f"field: {sites} sites, {seconds:g} s, seed {seed}, {took:.0f} s in all: {'exact' if found.ok else 'WRONG'}",
            f"kills: {sum(done['kills'].values())} ({counts['kills']})",
            f"faults of lines: {sum(done['faults'].values())} ({counts['faults']})",
            *found.lines(),
        ]
    )


def main(sites: int, seconds: float, seed: int, keep: Path | None, out: Path | None) -> int:
    """Run, print, write; 0 only when everything adds up."""
    ensure()
    started = time.monotonic()
    print(f"soak: {sites} sites for {seconds:g} s, seed {seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="anxin-field-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) if keep is None else keep
        found, done = asyncio.run(run_field(folder, sites, seconds, seed))
    text = report(sites, seconds, seed, found, done, time.monotonic() - started)
    print(text)
    if out is not None:
        what = {"date": time.strftime("%Y-%m-%d"), "sites": sites, "seconds": seconds, "seed": seed, **done}
        out.write_text(json.dumps(what | found.document(), indent=1) + "\n")
    return 0 if found.ok else 1
