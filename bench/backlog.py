"""A press at an edge whose spool is full of readings: how long until the alarm stands at the centre? `scripts/bench backlog`.

A real spool is filled with half a million readings, as an edge leaves them after days without its uplink; then the real edge process runs it
against the real broker, hub and database while buttons behind it are pressed one by one until the backlog is gone. The time runs from the
first byte that the device sends to the first look (every `LOOK` seconds) that finds the alarm committed. All clocks are this process's.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.installation import PROFILES, Installation, installation
from bench.machine import facts, percentile
from bench.press import Panel, button_devices, lamp_edge
from hub.config import data_folder
from hub.core.batching import pack
from hub.edge.spool import open_spool
from hub.model import Lane, Sample, Series
from hub.runtime.links import wall_clock
from hub.testing import eventually
from tests import lampbus

LOOK = 0.01
"""seconds"""
METERS = 20


@dataclass
class Centre:
    """What stands at the centre, looked at again and again."""

    url: str
    seen: dict[str, float] = field(default_factory=dict)
    stored: int = 0

    async def watch(self) -> None:
        conn = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        query = "select d.id from alarm a join device d on d.key = a.device"
        async with conn:
            while True:
                found = await (await conn.execute(query)).fetchall()
                now = time.perf_counter()
                for (device,) in found:
                    self.seen.setdefault(device, now)
                await asyncio.sleep(LOOK)

    async def count(self) -> None:
        conn = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        async with conn:
            while True:
                row = await (await conn.execute("select coalesce(sum(stored), 0) from stream_tally")).fetchone()
                assert row is not None
                self.stored = int(row[0])
                await asyncio.sleep(0.25)


def fill(folder: Path, readings: int, each: int) -> float:
    """A spool with `readings` of the meters, `each` a message; returns bytes of file for each byte of payload."""
    begin = wall_clock() - readings * 1000
    with open_spool(folder, wall_clock) as spool:
        for start in range(0, readings, 100 * each):
            messages = []
            for first in range(start, min(readings, start + 100 * each), each):
                samples = [
                    Sample(Series(f"meter-{n % METERS}", "abc"[n % 3]), begin + n * 1000, n + 0.5)
                    for n in range(first, min(readings, first + each))
                ]
                messages += pack(samples)
            spool.append(Lane.BULK, messages)
        payload = spool.depth(Lane.BULK).bytes
    return sum(path.stat().st_size for path in folder.glob("spool.db*")) / payload


def _seed(place: Installation, buttons: list[str]) -> str:
    institution = place.seed_institution()
    place.seed_client(institution, "edge-1", "lamp-urgent", "urgent", buttons)
    endpoint = place.key("select key from endpoint where id = 'e-edge-1'")
    for n in range(METERS):
        place._device(institution, f"meter-{n}", "bench-meter", "other", "bulk", endpoint)
    return place.users("edge-1")["edge-1"]


async def _press(panel: Panel, buttons: list[str], centre: Centre, enough: int | None) -> list[str]:
    """One by one, two to five a second, until `enough` readings are stored (None: all buttons); those that were pressed."""
    pressed = []
    for button in buttons:
        if enough is not None and centre.stored >= enough:
            break
        panel.press(button)
        pressed.append(button)
        await asyncio.sleep(random.uniform(0.2, 0.5))
    await eventually(lambda: all(button in centre.seen for button in pressed), 60)
    return pressed


async def measure(readings: int, each: int, idle: int) -> bool:
    """Both runs, printed; whether the promise was kept."""
    panel = Panel()
    device = await asyncio.start_server(panel.serve, "127.0.0.1", 0)
    busy_buttons = [f"button-{n}" for n in range(600)]
    idle_buttons = [f"idle-{n}" for n in range(idle)]
    async with device, installation() as place:
        password = _seed(place, busy_buttons + idle_buttons)
        spool = place.folder / "spool"
        overhead = fill(spool, readings, each)
        await place.hub([PROFILES, lampbus.PROFILES, data_folder("device-profiles")], "ingest")
        centre = Centre(place.engine.database_url)
        looks = [asyncio.create_task(centre.watch()), asyncio.create_task(centre.count())]
        devices = button_devices(busy_buttons + idle_buttons)
        await lamp_edge(place, devices, device.sockets[0].getsockname()[1], password, "--spool", str(spool))
        await eventually(lambda: panel.edge is not None and centre.stored > 0, 60)
        began, before = time.perf_counter(), centre.stored
        drained = asyncio.create_task(eventually(lambda: centre.stored >= readings, 600, 0.05))
        pressed = await _press(panel, busy_buttons, centre, readings)
        await drained
        rate = (centre.stored - before) / (time.perf_counter() - began)
        ended = time.perf_counter()
        during = [b for b in pressed if panel.pressed[b] < ended]
        await asyncio.sleep(1.0)
        quiet = await _press(panel, idle_buttons, centre, None)
        for look in looks:
            look.cancel()
        await asyncio.wait(looks)
        for look in looks:
            with contextlib.suppress(asyncio.CancelledError):
                look.result()
        kept = True
        for what, some in ((f"while {readings:,} readings drain", during), ("idle", quiet)):
            times = [(centre.seen[b] - panel.pressed[b]) * 1000 for b in some]
            p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
            print(f"| {what} | {len(times)} | {p50:.0f} | {p99:.0f} | {max(times):.0f} |", flush=True)
            kept = kept and p99 < 10_000
        print(f"\ndrained {rate:,.0f} readings/s, {each} a message; {overhead:.2f} bytes of file a byte of payload")
        if panel.edge is not None:
            panel.edge.close()
    return kept


HEAD = "| from the device to the committed alarm | presses | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|"


def main() -> int:
    """The command; 1 when p99 is 10 s or more."""
    parser = argparse.ArgumentParser(description="Press to alarm behind a backlog.")
    parser.add_argument("--readings", type=int, default=500_000)
    parser.add_argument("--each", type=int, default=50, help="readings a message")
    parser.add_argument("--idle", type=int, default=50, help="presses after the backlog is gone")
    options = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}: {facts()}\n\n{HEAD}", flush=True)
    return 0 if asyncio.run(measure(options.readings, options.each, options.idle)) else 1


if __name__ == "__main__":
    sys.exit(main())
