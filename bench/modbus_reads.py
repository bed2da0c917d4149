"""Reads a second of the driver `modbus` beside bare pymodbus and libmodbus in C, in turns, against one server (libmodbus', in a process of its own).

`python -m bench.modbus_reads [--reads 2000] [--rounds 5]`. A read is one request over TCP on loopback. The driver's figure is `ModbusLink.read` as
the hub calls it (planned, every byte judged, decoded, samples made); "to readings" is with the hub's own scaling, bounds and clock check of every
point on top. pymodbus' is bare: the words of its answer and nothing done to them; "decoded" is with its own conversion and a scale for every point.
libmodbus' is in C, called from a loop of Python. Prints medians of the rates by the clock, and shares of bare
pymodbus' rate by this process' own processor time, which other work on the machine disturbs least (goal: 0.8).
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from pymodbus.client import AsyncModbusTcpClient

from bench.machine import facts
from drivers.modbus import driver
from hub.core.normalise import normalise
from hub.driver import Binding, PollLink
from hub.engine import ensure_peers
from hub.model import Lane, Quality
from hub.profiles import Point
from tests.drivers.modbus.libmodbus import Process, asking, served
from tests.drivers.modbus.peers import HOST, binding, endpoint

SHAPES = {
    "one register, one point": (1, [("u16", "int", 0)]),
    "10 registers, 10 points": (10, [("u16", "int", at) for at in range(10)]),
    "20 registers, 10 floats": (20, [("f32", "float", at) for at in range(0, 20, 2)]),
    "100 registers, 100 points": (100, [("u16", "int", at) for at in range(100)]),
}
CONTENDERS = ("driver", "to readings", "pymodbus", "decoded", "libmodbus")
POINT = Point.model_validate({"title": {"zh": "测", "en": "x"}, "type": "float", "scale": 0.1, "range": [0, 1e9]})


class Rate(NamedTuple):
    """Reads a second."""

    clock: float
    processor: float
    """of this process' own time; the server's is not in it"""


async def _rate(reads: int, read: Callable[[], Awaitable[None]]) -> Rate:
    begun, spent = time.perf_counter(), time.process_time()
    for _ in range(reads):
        await read()
    return Rate(reads / (time.perf_counter() - begun), reads / (time.process_time() - spent))


async def measure(shape: str, server: Process, client: Process, reads: int, rounds: int) -> dict[str, Rate]:
    """Medians of `rounds` turns of all contenders, each of `reads` reads."""
    count, points = SHAPES[shape]
    bindings: list[Binding] = [
        binding(f"p{at}", kind, table="holding", address=at, type=name) for name, kind, at in points
    ]
    asked = tuple(one.series for one in bindings)
    bare: Any = AsyncModbusTcpClient(HOST, port=server.port, timeout=10)
    rates: dict[str, list[Rate]] = {name: [] for name in CONTENDERS}
    async with driver.connect(endpoint(server.port), bindings) as link:
        assert isinstance(link, PollLink)
        assert await bare.connect()

        async def ours() -> None:
            samples = await link.read(asked)
            assert samples[-1].error is None

        async def readings() -> None:
            samples = await link.read(asked)
            now = time.time_ns() // 1000
            found = [normalise(sample, POINT, now, Lane.BULK) for sample in samples]
            assert found[-1].quality is Quality.GOOD

        async def theirs() -> None:
            answer = await bare.read_holding_registers(0, count=count)
            assert len(answer.registers) == count

        kind, width = (bare.DATATYPE.FLOAT32, 2) if points[0][0] == "f32" else (bare.DATATYPE.UINT16, 1)

        async def decoded() -> None:
            answer = await bare.read_holding_registers(0, count=count)
            for _, _, at in points:
                value = bare.convert_from_registers(answer.registers[at : at + width], kind) * POINT.scale
                assert value >= 0

        for _ in range(rounds):
            for name, read in (("driver", ours), ("to readings", readings), ("pymodbus", theirs), ("decoded", decoded)):
                rates[name].append(await _rate(reads, read))
            rates["libmodbus"].append(Rate(client.rate("holding", 0, count, reads), 0.0))
        bare.close()
    return {
        name: Rate(*(statistics.median(one[part] for one in found) for part in range(2)))
        for name, found in rates.items()
    }


async def run(reads: int, rounds: int) -> None:
    """All shapes, one line each."""
    peers = ensure_peers()
    print(facts())
    print(
        "| reads/s over TCP | driver | to readings | bare pymodbus | decoded | libmodbus (C) | driver of bare | to readings of bare |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with served(peers, {"holding": {}}) as server, asking(peers, port=server.port) as client:
        for shape in SHAPES:
            found = await measure(shape, server, client, reads, rounds)
            shares = " | ".join(
                f"{found[name].processor / found['pymodbus'].processor:.2f}" for name in ("driver", "to readings")
            )
            figures = " | ".join(f"{found[name].clock:,.0f}" for name in CONTENDERS)
            print(f"| {shape} | {figures} | {shares} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(run(options.reads, options.rounds))


if __name__ == "__main__":
    main()
