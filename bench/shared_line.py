"""What one silent slave costs its twenty-nine neighbours on an RTU line, for real: the hub's own link runner on a pseudo terminal.

`python -m bench.shared_line [--timeout 3] [--late 1] [--rounds 2]` prints the neighbours' readings per second on the healthy line, on
the line with the dead unit over whole cycles of its slower turn, and the share that they lost (goal: below 5 %).
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.modbus import driver
from hub.core.polling import SHARE
from hub.model import Lane, Reject, Sample
from hub.runtime.drivers import LinkPlan
from hub.runtime.links import LinkRunner
from tests.drivers.modbus.field_bus import FieldBus
from tests.drivers.modbus.peers import binding

UNITS = 30
DEAD = 17
EVERY = 500_000
"""microseconds between two readings of a unit"""


class Counting:
    """A sink that counts what the neighbours said, and notes when the dead unit was tried."""

    def __init__(self) -> None:
        self.good = 0
        self.tries: list[float] = []

    async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
        for sample in samples:
            if sample.series.device == f"unit-{DEAD}":
                if sample.error is not None:
                    self.tries.append(time.monotonic())
            elif sample.error is None:
                self.good += 1


async def measure(timeout_s: float, late_s: float, rounds: int) -> float:
    """The share of their readings that the neighbours lose; prints how it comes about."""
    with tempfile.TemporaryDirectory() as folder:
        bus = FieldBus("rtu", Path(folder), tuple(range(1, UNITS + 1)), timeout_s=timeout_s, late_s=late_s)
        bus.bindings = [binding("h1", device={"unit": unit}, table="holding", address=1) for unit in bus.units]
        bus.values = {one.series: 100 + number for number, one in enumerate(bus.bindings)}
        await bus.start()
        every = {one.series: EVERY for one in bus.bindings}
        lanes = {one.series.device: Lane.BULK for one in bus.bindings}
        plan = LinkPlan("line", driver, bus.endpoint, tuple(bus.bindings), every, lanes)
        sink = Counting()
        runner = asyncio.create_task(LinkRunner(plan, sink).run())
        try:
            healthy = await _rate(sink, timeout_s + late_s + 1, max(10.0, 5 * EVERY / 1e6))
            bus.mute.add(DEAD)
            cycle = (timeout_s + late_s) * (1 + 1 / SHARE)
            while len(sink.tries) < 2:  # found dead in company, then once more alone
                await asyncio.sleep(0.01)
            begun = len(sink.tries)
            dead = await _rate(sink, 0, rounds * cycle)
            tries = len(sink.tries) - begun
        finally:
            runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await runner
            await bus.refuse()
    lost = 1 - dead / healthy
    print(f"healthy line: {healthy:.1f} readings/s of {UNITS - 1} units")
    print(f"one of {UNITS} silent, time-out {timeout_s:g} s + {late_s:g} s: {dead:.1f} readings/s, {tries} tries")
    print(f"lost: {100 * lost:.2f} %")
    return lost


async def _rate(sink: Counting, wait: float, seconds: float) -> float:
    await asyncio.sleep(wait)
    begun, before = time.monotonic(), sink.good
    await asyncio.sleep(seconds)
    return (sink.good - before) / (time.monotonic() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float, default=3.0)
    parser.add_argument("--late", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    asyncio.run(measure(options.timeout, options.late, options.rounds))


if __name__ == "__main__":
    main()
