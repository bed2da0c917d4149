"""SNMP points read a second: the driver beside bare gufo-snmp and net-snmp's C tool, one after the other against one snmpd, in one run.

`python -m bench.snmp_reads [--points 40] [--seconds 2] [--rounds 5]`. The driver's figure is `SnmpLink.read` as the hub calls it: batches
planned, every digest checked, types checked, samples made. gufo-snmp's is `get_many` of the same batches with nothing done to what comes, so
without the digest check that it leaves out. net-snmp's is `snmpbulkget` asking for the same points as often as one process can be told to (its
start taken off by a second, shorter run). Goal: 0.7 of bare gufo-snmp.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from gufo.snmp import Aes128Key, Sha256Key, SnmpVersion, User
from gufo.snmp.aio import SnmpSession

from bench.machine import facts, median
from drivers.snmp import driver
from drivers.snmp.values import batches
from hub.driver import PollLink
from hub.engine import ensure_peers
from tests.drivers.snmp.agent import AUTH_KEY, HOST, PRIV_KEY, Snmpd, binding, free_port, v2c, v3

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
    if version == "2c":
        session = SnmpSession(HOST, port, community="public", version=SnmpVersion.v2c)
    else:
        user = User("sha256", auth_key=Sha256Key(AUTH_KEY.encode()), priv_key=Aes128Key(PRIV_KEY.encode()))
        session = SnmpSession(HOST, port, user=user, version=SnmpVersion.v3)
    asked = batches(oids, batch)
    async with session:

        async def ask() -> None:
            for one in asked:
                await session.get_many(one)

        return await _rate(ask, len(oids), seconds)


async def measure(points: int, batch: int, seconds: float, rounds: int) -> float:
    """The lower of both versions' ratios; prints the table."""
    lowest = 1.0
    with tempfile.TemporaryDirectory() as folder:
        agent = Snmpd(ensure_peers().program("snmpd"), Path(folder), free_port())
        await agent.start()
        try:
            known = list((await _answered(agent.port)).items())[:points]
            oids = {oid: "int" if isinstance(raw, int) else "str" for oid, raw in known}
            for version in ("2c", "3"):
                pairs = []
                for _ in range(rounds):  # in turns, so that other work on the machine meets both
                    bare = await _bare(version, agent.port, oids, batch, seconds)
                    ours = await _driver(version, agent.port, oids, batch, seconds)
                    pairs.append((bare, ours))
                for n, what in enumerate(("by the clock", "by processor time")):
                    bare_rate = median([bare[n] for bare, _ in pairs])
                    own_rate = median([ours[n] for _, ours in pairs])
                    ratio = median([ours[n] / bare[n] for bare, ours in pairs])
                    lowest = min(lowest, ratio)
                    print(
                        f"v{version} {what}: driver {own_rate:,.0f} points/s, bare gufo-snmp {bare_rate:,.0f}, ratio {ratio:.2f}"
                    )
        finally:
            await agent.stop()
    return lowest


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
