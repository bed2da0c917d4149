"""The kill matrix with the real periods: how long after a part died, hung or lied the outside alarms. `scripts/soak --matrix`, some ten minutes.

The suite kills with short periods and holds the real ones by arithmetic (tests/runtime/test_auditor.py); here the same faults meet the same
loops with the periods of production: a canary every 30 s, an outside that alarms after 65 s without a beat. Several stands run side by side, each
a process with a database and a broker of its own, and share the faults; each fault comes at a random moment of the period.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hub.engine import Engine, ensure
from hub.runtime.auditor import EVERY, OUTSIDE, Timing
from hub.store.migrate import upgrade
from tests.runtime.city import seed
from tests.runtime.outage import centre
from tests.runtime.test_auditor import Outside, faults_of, one_partition, stand

LIMIT = 90.0
PATIENCE = 240.0
"""seconds for a hub to come to itself"""
BESIDE = ("the standby's loop", "the API")
Fault = Callable[[], AbstractAsyncContextManager[None]]


async def _beat(outside: Outside) -> None:
    seen = outside.beats
    async with asyncio.timeout(PATIENCE):
        while outside.beats == seen:
            await asyncio.sleep(0.1)


async def noticed(outside: Outside, fault: Fault, chance: random.Random) -> float:
    """Seconds from the fault until whoever watches outside alarms; the part is well again afterwards."""
    await _beat(outside)
    await asyncio.sleep(chance.uniform(0.0, EVERY))
    async with fault():
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while time.monotonic() - outside.last < OUTSIDE:
                await asyncio.sleep(0.05)
        return time.monotonic() - began


async def on_loops(names: list[str], folder: Path, chance: random.Random) -> dict[str, float]:
    """Faults of the loops that the canary goes through."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        async with stand(folder, timing=Timing()) as parts:
            faults = faults_of(parts, patch)
            for name in names:
                found[name] = await noticed(parts.outside, faults[name], chance)
    return found


async def on_a_whole_hub(names: list[str], folder: Path, chance: random.Random) -> dict[str, float]:
    """Faults of what is beside the canary's way: the auditor asks the process itself."""
    outside, found = Outside(), {}
    async with Engine(folder / "engine", durable=False, environment={}, say=lambda _: None) as engine:
        await asyncio.to_thread(upgrade, engine.database_url)
        seed(engine.database_url)
        one_partition(engine.database_url)
        more: dict[str, Any] = {"heartbeat_url": SecretStr(f"{outside.url}/beat")}
        async with centre(engine.database_url, engine.mqtt_url, folder, **more) as hub:
            faults: dict[str, Fault] = {"the standby's loop": hub.without_its_standby, "the API": hub.without_its_api}
            for name in names:
                found[name] = await noticed(outside, faults[name], chance)
    outside.close()
    return found


def work(names: list[str], number: int) -> None:
    """One stand, in this process: its faults one after the other; prints what was measured as JSON."""
    found: dict[str, float] = {}
    chance = random.Random(number)
    for group, run in ((set(names) - set(BESIDE), on_loops), (set(names) & set(BESIDE), on_a_whole_hub)):
        if group:
            with tempfile.TemporaryDirectory(prefix="anxin-matrix-", ignore_cleanup_errors=True) as folder:
                found |= asyncio.run(run(sorted(group), Path(folder), chance))
    print(json.dumps(found))


def main(stands: int, number: int) -> int:
    """Share the faults among `stands` processes; prints the table, 0 where all were noticed within 90 s."""
    ensure()
    print(f"matrix: seed {number}", file=sys.stderr)
    with pytest.MonkeyPatch.context() as patch:
        names = [*faults_of(None, patch), *BESIDE]  # type: ignore[arg-type]
    shares = [[*names[n:-2:stands]] for n in range(stands)]
    shares[-1] += BESIDE
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.faults.matrix", json.dumps([share, number + n])],
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for n, share in enumerate(shares)
        ]
        found: dict[str, float] = {}
        for one in running:
            out, _ = one.communicate()
            if one.returncode == 0:
                found |= json.loads(out.splitlines()[-1])  # after what its hub said
    for name in names:
        print(f"| {name} | {f'{found[name]:.0f} s' if name in found else 'not measured'} |")
    return 0 if found.keys() == set(names) and max(found.values()) <= LIMIT else 1


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    work(*given)
