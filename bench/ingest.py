"""Ingest end to end: MQTT QoS 1 → hub → commit → confirmation, beside the bare loop (bench/bare.py) in the same run. `scripts/bench ingest`.

Twenty clients flood one partition's bulk lane within the protocol's window. Rounds alternate; figures are medians.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass

from bench.flood import Client, confirmed_all, open_clients
from bench.installation import PARTITION, PROFILES, Installation, installation
from bench.machine import cpu_seconds, facts, median
from hub.config import data_folder
from hub.demo.programs import Program
from hub.testing import eventually

CLIENTS = 20
DEVICES = 10
"""of each client; a message holds the three points of one of them, or of all"""
WARM_UP = 2.0


@dataclass(frozen=True)
class Figure:
    """One round of one side."""

    messages: float
    rows: float
    cpu_per_message: float
    """microseconds of the process's own time"""


async def flood(
    place: Installation, process: Program, devices: dict[str, list[str]], passwords: dict[str, str], seconds: float
) -> Figure:
    """One round: all clients send as much as is confirmed; what was confirmed must stand in the table."""
    place.conn.execute("truncate reading")
    clients = await open_clients(place.engine.device_port, PARTITION, passwords, devices)
    for client in clients:
        client.budget = -1
        client.pump()
    await asyncio.sleep(WARM_UP)
    first, cpu, began = _confirmed(clients), cpu_seconds(process.pid), time.monotonic()
    await asyncio.sleep(seconds)
    messages, took, cpu = _confirmed(clients) - first, time.monotonic() - began, cpu_seconds(process.pid) - cpu
    for client in clients:
        client.budget = 0
    await confirmed_all(clients)
    for client in clients:
        client.close()
    each = 3 * len(next(iter(devices.values())))
    stored = place.key("select count(*) from reading")
    if stored != each * sum(client.sent for client in clients):
        raise RuntimeError(f"{stored} rows stored, {each} × {sum(client.sent for client in clients)} confirmed")
    return Figure(messages / took, each * messages / took, cpu / messages * 1e6)


def _confirmed(clients: list[Client]) -> int:
    failed = next((client.failed for client in clients if client.failed), "")
    if failed:
        raise RuntimeError(failed)
    return sum(client.confirmed for client in clients)


async def _bare(place: Installation) -> Program:
    series = place.folder / "series.json"
    rows = place.conn.execute(
        "select d.id || '/' || s.point, s.key from series s join device d on d.key = s.device"
    ).fetchall()
    series.write_text(json.dumps(dict(rows)))
    line = [sys.executable, "-m", "bench.bare", str(series), str(PARTITION)]
    made = await place.program("bare", line, place.environment([]))
    query = "select count(*) from pg_stat_activity where application_name = 'anxin-hub-bare'"
    await eventually(lambda: made.ended or place.key(query) == 1, 20, 0.05)
    await asyncio.sleep(0.5)  # its subscription; a flood that came before would only be held by the broker
    return made


async def measure(rounds: int, seconds: float) -> list[str]:
    """Lines of a table."""
    lines = []
    async with installation() as place:
        institution = place.seed_institution()
        all_devices = {f"c-{n}": [f"m-{n}-{k}" for k in range(DEVICES)] for n in range(CLIENTS)}
        for name, own in all_devices.items():
            place.seed_client(institution, name, "bench-meter", "bulk", own)
        place.conn.execute(
            "insert into series (device, point) select key, p from device, unnest(array['a', 'b', 'c']) p where kind = 'other'"
        )
        passwords = place.users(*all_devices)
        for per_message in (1, DEVICES):
            devices = {name: own[:per_message] for name, own in all_devices.items()}
            bare: list[Figure] = []
            hub: list[Figure] = []
            for _ in range(rounds):
                process = await _bare(place)
                bare.append(await flood(place, process, devices, passwords, seconds))
                await process.stop()
                process = await place.hub([PROFILES, data_folder("device-profiles")], "ingest")
                await asyncio.sleep(1.0)  # until every lane has subscribed
                hub.append(await flood(place, process, devices, passwords, seconds))
                await process.stop()
            lines += [_line(f"bare loop, {3 * per_message} rows a message", bare, None)]
            lines += [_line(f"hub, {3 * per_message} rows a message", hub, bare)]
            print("\n".join(lines[-2:]), flush=True)
    return lines


def _line(name: str, figures: list[Figure], limit: list[Figure] | None) -> str:
    rows = median([figure.rows for figure in figures])
    messages, cpu = (
        median([figure.messages for figure in figures]),
        median([figure.cpu_per_message for figure in figures]),
    )
    ratio = "" if limit is None else f"{rows / median([figure.rows for figure in limit]):.2f}"
    return f"| {name} | {messages:,.0f} | {rows:,.0f} | {cpu:.0f} | {ratio} |"


HEAD = "| ingest, QoS 1 | messages/s | rows/s | process µs/message | of the bare loop |\n|---|---|---|---|---|"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Ingest beside the bare loop.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}: {facts()}; {options.rounds} rounds of {options.seconds:g} s, medians\n\n{HEAD}",
        flush=True,
    )
    asyncio.run(measure(options.rounds, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
