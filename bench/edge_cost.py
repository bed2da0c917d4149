"""What `anxin edge` takes of a machine with 60 devices: memory and share of a core. `scripts/bench edge_cost`.

Four Modbus gateways (pyModbusTCP's server, which we did not write) with fifteen devices of five registers each, read every two seconds; a quarter
of the devices is urgent. The edge is the real process with its spool on disk and a real broker; the hub's side only confirms.
Figures are the edge process's own: resident memory (VmRSS), and processor time over the measured span.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import cpu_seconds, facts
from hub.demo.programs import Program, tool
from hub.engine import ensure
from hub.model import Lane
from hub.testing import eventually
from tests.brokers import HOST, PASSWORD, own_broker
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.sites import device

GATEWAYS, BEHIND, POINTS = 4, 15, 5
EVERY = 2_000_000


def _endpoint(number: int, port: int) -> dict[str, object]:
    points = [
        {
            "point": f"p{n}",
            "type": "int",
            "record": "reading",
            "every": EVERY,
            "address": {"table": "holding", "address": n},
        }
        for n in range(POINTS)
    ]
    devices = [
        {
            "id": f"device-{number}-{n}",
            "lane": "urgent" if n % 4 == 0 else "bulk",
            "settings": {"unit": n + 1},
            "points": points,
        }
        for n in range(BEHIND)
    ]
    settings = {"host": HOST, "port": port}
    return {"id": f"gateway-{number}", "driver": "modbus", "settings": settings, "devices": devices}


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def measure(seconds: float) -> None:
    """One run, printed."""
    hub = FakeHub()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "broker").mkdir()
        broker = stack.enter_context(own_broker(ensure(), folder / "broker"))
        gateways = [stack.enter_context(device()) for _ in range(GATEWAYS)]
        bundle = {
            "version": 1,
            "edge": "edge-1",
            "institution": "bench",
            "partition": 3,
            "broker": {"host": HOST, "port": broker.port, "username": "hub", "password": PASSWORD},
            "beat": 10_000_000,
            "endpoints": [_endpoint(n, gateway.port) for n, gateway in enumerate(gateways)],
        }
        config = folder / "edge.json"
        config.write_text(json.dumps(bundle))
        config.chmod(0o600)
        edge = Program("edge", [tool("anxin"), "edge", "--config", str(config)], {}, folder / "edge.log")
        async with serving(hub, broker.as_user()):
            await edge.start()
            try:
                of_all = GATEWAYS * BEHIND * POINTS
                await eventually(lambda: _count(hub) > of_all or edge.ended, 60)
                await asyncio.sleep(10)
                began, cpu, count = time.monotonic(), cpu_seconds(edge.pid), _count(hub)
                await asyncio.sleep(seconds)
                span = time.monotonic() - began
                share = (cpu_seconds(edge.pid) - cpu) / span
                rate = (_count(hub) - count) / span
                resident = _resident_mb(edge.pid)
            finally:
                await edge.stop()
    devices = GATEWAYS * BEHIND
    print(
        f"| `anxin edge`, {devices} devices, {rate:.0f} samples/s | {resident:.0f} MB | {100 * share:.1f} % of a core |"
    )


def _count(hub: FakeHub) -> int:
    return sum(len(hub.samples[lane]) for lane in Lane)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Memory and processor time of an edge with 60 devices.")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}: {facts()}\n\n| what | RSS | processor |\n|---|---|---|", flush=True)
    asyncio.run(measure(options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
