"""SNMP values read a second: the driver beside bare gufo-snmp and net-snmp's C tool, in turns against one snmpd, in one run.

`python -m bench.snmp_reads [--points 40] [--batch 20] [--seconds 1] [--rounds 5]`. Two tables of figures:

- points asked for by GET. The driver's is `SnmpLink.read` as the hub calls it: batches planned, every digest checked, types checked, samples
  made. gufo-snmp's is `get_many` of the same batches with nothing done to what comes, so without the digest check that it leaves out.
- rows of a table walked by GETBULK, twenty in a request: the driver's instances, gufo-snmp's bare iterator, and `snmpbulkwalk`, which is C
  and prints what it gets. One process walks once, so its start is taken off: the time of as many processes that walk one value.

By the clock snmpd has the larger part of the time and shares it between the three; by processor time it is each one's own. Goal: 0.7 of
bare gufo-snmp. `measure` returns the lowest ratio of the points.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from gufo.snmp import Aes128Key, Sha256Key, SnmpVersion, User
from gufo.snmp.aio import SnmpSession

from bench.machine import facts, median
from drivers.snmp import driver
from drivers.snmp.values import batches
from hub.driver import Binding, PollLink
from hub.engine import ensure_peers
from hub.model import Series
from tests.drivers.snmp.agent import AUTH_KEY, HOST, PRIV_KEY, Snmpd, binding, v2c, v3
from tests.ports import free_port

SCALARS = [
    *(f"1.3.6.1.2.1.1.{n}.0" for n in (1, 2, 3, 4, 5, 6, 7, 8)),
    *(
        f"1.3.6.1.2.1.11.{n}.0"
        for n in (
            1,
            2,
            3,
            4,
            5,
            6,
            8,
            9,
            10,
            11,
            12,
            13,
            14,
            15,
            16,
            17,
            18,
            19,
            20,
            21,
            22,
            24,
            25,
            26,
            27,
            28,
            29,
            30,
            31,
            32,
        )
    ),
    *(f"1.3.6.1.6.3.15.1.1.{n}.0" for n in (1, 2, 3, 4, 5, 6)),
]
"""Groups system and snmp (RFC 3418) and usmStats (RFC 3414): what every snmpd answers from memory."""


def _endpoint(version: str, port: int, batch: int) -> object:
    return (v2c if version == "2c" else v3)(port, max_varbinds=batch, timeout_s=5)


async def _rate(ask: Callable[[], Awaitable[object]], points: int, seconds: float) -> tuple[float, float]:
    """Points a second by the clock and by this process' own processor time."""
    await ask()
    begun, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begun < seconds:
        await ask()
        count += points
    return count / (time.perf_counter() - begun), count / (time.process_time() - cpu)


async def _answered(port: int) -> dict[str, object]:
    """Those of SCALARS that this snmpd has, with what it says."""
    session = SnmpSession(HOST, port, community="public", version=SnmpVersion.v2c)
    return {oid: raw for batch in batches(SCALARS, 10) for oid, raw in (await session.get_many(batch)).items()}


async def _driver(version: str, port: int, oids: dict[str, str], batch: int, seconds: float) -> tuple[float, float]:
    bound = [binding(oid, kind) for oid, kind in oids.items()]
    async with driver.connect(_endpoint(version, port, batch), bound) as link:
        assert isinstance(link, PollLink)
        series = [one.series for one in bound]
        samples = await link.read(series)
        assert not [one.error for one in samples if one.error is not None]
        return await _rate(lambda: link.read(series), len(oids), seconds)


async def _bare(version: str, port: int, oids: dict[str, str], batch: int, seconds: float) -> tuple[float, float]:
    session = _session(version, port)
    asked = batches(oids, batch)
    async with session:

        async def ask() -> None:
            for one in asked:
                await session.get_many(one)

        return await _rate(ask, len(oids), seconds)


COLUMNS = [f"1.3.6.1.4.1.8072.1.2.1.1.{n}" for n in (4, 5, 6)]
"""nsModuleTable (NET-SNMP-AGENT-MIB): some four hundred rows that snmpd has in memory."""


async def _driver_walk(version: str, port: int, seconds: float) -> tuple[float, float]:
    bound = [
        Binding(Series("agent", f"p{n}"), driver.Device(), driver.Address(table=column, rows=2048), kind)
        for n, (column, kind) in enumerate(zip(COLUMNS, ("str", "str", "int"), strict=True))
    ]
    async with driver.connect(_endpoint(version, port, 20), bound) as link:
        assert isinstance(link, PollLink)
        series = [one.series for one in bound]
        rows = len(await link.read(series))
        return await _rate(lambda: link.read(series), rows, seconds)


async def _bare_walk(version: str, port: int, seconds: float) -> tuple[float, float]:
    session = _session(version, port)
    rows = 0

    async def walk() -> None:
        nonlocal rows
        rows = sum([len([one async for one in session.getbulk(column, 20)]) for column in COLUMNS])

    async with session:
        await walk()
        return await _rate(walk, rows, seconds)


async def _tool_walk(version: str, port: int, seconds: float) -> tuple[float, float]:
    """net-snmp's snmpbulkwalk of the same columns."""
    program = ensure_peers().program("snmpbulkwalk")
    keys = ["-v3", "-usha256", "-lauthPriv", "-aSHA-256", f"-A{AUTH_KEY}", "-xAES", f"-X{PRIV_KEY}"]
    access = ["-v2c", "-cpublic"] if version == "2c" else keys

    async def rows_of(*roots: str) -> int:
        rows = 0
        for root in roots:
            process = await asyncio.create_subprocess_exec(
                program, *access, "-Cr20", "-On", f"{HOST}:{port}", root,
                env={"MIBS": "", "PATH": "/usr/bin"}, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            told, _ = await process.communicate()
            rows += told.count(b"\n.") + 1
        return rows

    async def timed(*roots: str) -> tuple[float, float, int]:
        begun, used = time.perf_counter(), _children()
        rows = await rows_of(*roots)
        return time.perf_counter() - begun, _children() - used, rows

    clock = cpu = 0.0
    rows = 0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        walked, idle = await timed(*COLUMNS), await timed(*["1.3.6.1.2.1.1.3"] * len(COLUMNS))
        clock, cpu, rows = clock + walked[0] - idle[0], cpu + walked[1] - idle[1], rows + walked[2] - idle[2]
    return rows / max(clock, 1e-3), rows / max(cpu, 1e-3)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _session(version: str, port: int) -> SnmpSession:
    if version == "2c":
        return SnmpSession(HOST, port, community="public", version=SnmpVersion.v2c)
    user = User("sha256", auth_key=Sha256Key(AUTH_KEY.encode()), priv_key=Aes128Key(PRIV_KEY.encode()))
    return SnmpSession(HOST, port, user=user, version=SnmpVersion.v3)


async def measure(points: int, batch: int, seconds: float, rounds: int) -> float:
    """Prints both tables; returns the lowest ratio of the driver to bare gufo-snmp in the first."""
    lowest = 1.0
    with tempfile.TemporaryDirectory() as folder:
        agent = Snmpd(ensure_peers().program("snmpd"), Path(folder), free_port())
        await agent.start()
        try:
            known = list((await _answered(agent.port)).items())[:points]
            oids = {oid: "int" if isinstance(raw, int) else "str" for oid, raw in known}
            port = agent.port
            for version in ("2c", "3"):
                found = [
                    {
                        "bare gufo-snmp": await _bare(version, port, oids, batch, seconds),
                        "driver": await _driver(version, port, oids, batch, seconds),
                    }
                    for _ in range(rounds)  # in turns, so that other work on the machine meets both
                ]
                lowest = min(lowest, *_print(f"v{version} points/s", found))
                found = [
                    {
                        "bare gufo-snmp": await _bare_walk(version, port, seconds),
                        "driver": await _driver_walk(version, port, seconds),
                        "snmpbulkwalk": await _tool_walk(version, port, seconds),
                    }
                    for _ in range(rounds)
                ]
                _print(f"v{version} rows/s", found)
        finally:
            await agent.stop()
    return lowest


def _print(what: str, found: Sequence[Mapping[str, tuple[float, float]]]) -> list[float]:
    """A line for each way of counting; returns the driver's ratios to bare gufo-snmp."""
    ratios = []
    for n, how in enumerate(("by the clock", "by own processor time")):
        rates = {name: median([one[name][n] for one in found]) for name in found[0]}
        ratios.append(median([one["driver"][n] / one["bare gufo-snmp"][n] for one in found]))
        told = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
        print(f"{what} {how}: {told}; driver / bare {ratios[-1]:.2f}", flush=True)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(facts())
    asyncio.run(measure(options.points, options.batch, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
