"""What the serial driver takes in beside the bare library and a C program, in one run: lines of a thermometer over a serial server's port.

`python -m bench.serial_lines [--lines 50000] [--rounds 3]`. socat is the serial server and plays a file of lines; timed from the first line
to the last. The bare library reads the lines and does nothing with them; socat only moves the bytes. The three take turns.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import serial_asyncio_fast

from bench.machine import facts, median
from drivers.serial import Address, Device, Endpoint, driver
from hub.driver import Binding, PushLink
from hub.engine import ensure_peers
from hub.model import Series
from hub.testing.waiting import eventually

HOST, PORT = "127.0.0.1", 47_815
BINDING = Binding(Series("s", "temperature"), Device(), Address(pattern=r"T=(?P<value>-?[\d.]+)"), "float")


@asynccontextmanager
async def line(socat: str, lines: Path) -> AsyncIterator[None]:
    """A serial server that plays the file to whoever comes, once."""
    command = [socat, "-u", f"OPEN:{lines},rdonly,ignoreeof", f"TCP-LISTEN:{PORT},bind={HOST},reuseaddr"]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await eventually(lambda: _listens() or process.returncode is not None)
        assert process.returncode is None, "socat did not start"
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _listens() -> bool:
    wanted = f"{0x0100007F:08X}:{PORT:04X}"
    return any(row.split()[1] == wanted and row.split()[3] == "0A" for row in Path("/proc/net/tcp").read_text().splitlines()[1:])  # fmt: skip


async def ours(count: int) -> float:
    endpoint = Endpoint.model_validate({"port": f"socket://{HOST}:{PORT}", "protocol": "lines", "terminator": "\r\n"})
    async with driver.connect(endpoint, [BINDING]) as link:
        assert isinstance(link, PushLink)
        begun, taken = 0.0, 0
        async for delivery in link.deliveries():
            begun = begun or time.perf_counter()
            await delivery.settle()
            taken += len(delivery.samples)
            if taken == count:
                break
        return count / (time.perf_counter() - begun)


async def bare(count: int) -> float:
    reader, writer = await serial_asyncio_fast.open_serial_connection(url=f"socket://{HOST}:{PORT}")
    try:
        begun = 0.0
        for _ in range(count):
            assert (await reader.readuntil(b"\r\n")).startswith(b"T=")
            begun = begun or time.perf_counter()
        return count / (time.perf_counter() - begun)
    finally:
        writer.close()


async def in_c(socat: str, count: int, size: int) -> float:
    begun = time.perf_counter()
    command = [socat, "-u", f"TCP:{HOST}:{PORT},readbytes={size}", "OPEN:/dev/null,wronly"]
    process = await asyncio.create_subprocess_exec(*command)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    return count / (time.perf_counter() - begun)


async def measure(count: int, rounds: int) -> dict[str, list[float]]:
    socat = ensure_peers().program("socat1")
    found: dict[str, list[float]] = {"driver": [], "bare pyserial": [], "socat": []}
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        lines.write_bytes(b"".join(b"T=%d.%d\r\n" % (n % 40, n % 10) for n in range(count)))
        for _ in range(rounds):
            async with line(socat, lines):
                found["driver"].append(await ours(count))
            async with line(socat, lines):
                found["bare pyserial"].append(await bare(count))
            async with line(socat, lines):
                found["socat"].append(await in_c(socat, count, lines.stat().st_size))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"serial: {facts()}")
    found = asyncio.run(measure(options.lines, options.rounds))
    bare_rate = median(found["bare pyserial"])
    for name, rates in found.items():
        print(f"{name:14} {median(rates):9,.0f} lines/s   {median(rates) / bare_rate:5.2f} of bare pyserial")


if __name__ == "__main__":
    main()
