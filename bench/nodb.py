"""A press until its webhook arrives while the database is frozen, stopped or held by a lock: `scripts/bench nodb`.

Broker, ingest, escalator, deliverer and standby are the real ones, in one process, over a PostgreSQL of its own; each press is an alarm of its
own. The time runs from the message's publish at the broker to the request at the receiver. With a database it is there for comparison.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psycopg

from bench.machine import facts, percentile
from hub.engine import Engine
from hub.runtime.shared import wall_clock
from hub.testing import eventually
from tests.paging import Receiver, receiver
from tests.runtime.city import Client, client, sample
from tests.runtime.outage import Server, cover, hub, server

HEAD = "| from the broker to the receiver | presses | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|"


async def presses(sender: Client, sink: Receiver, name: str, count: int) -> list[float]:
    """Milliseconds of each press, ten a second at random distances."""
    said: dict[str, float] = {}
    came: dict[str, float] = {}
    before = len(sink.requests)

    def look() -> bool:
        now = time.perf_counter()
        for request in sink.requests[before:]:
            for part in request.body.split(b'"'):
                text = part.decode("utf-8", "replace")
                if text in said:
                    came.setdefault(text, now)
        return len(came) == count

    async def watch() -> None:
        while not look():
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    for n in range(count):
        instance = f"{name}-{n}"
        said[instance] = time.perf_counter()
        await sender.say("urgent", sample("button-1", "press", "1", wall_clock(), instance))
        await asyncio.sleep(random.uniform(0.05, 0.15))
    async with asyncio.timeout(60):
        await watching
    return [(came[one] - said[one]) * 1000 for one in said]


@asynccontextmanager
async def _well(_: Server) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def _frozen(db: Server) -> AsyncIterator[None]:
    with db.frozen():
        yield


@asynccontextmanager
async def _locked(db: Server) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(db.url) as holder:
        await holder.execute("select 1 from device_state for update")
        yield


@asynccontextmanager
async def _stopped(db: Server) -> AsyncIterator[None]:
    await db.stop()
    try:
        yield
    finally:
        await db.start()


FAULTS: dict[str, Callable[[Server], AbstractAsyncContextManager[None]]] = {
    "with the database": _well,
    "a lock that holds": _locked,
    "frozen (SIGSTOP)": _frozen,
    "stopped": _stopped,
}


def _sent(db: Server) -> int:
    with psycopg.connect(db.url) as conn:
        row = conn.execute("select count(*) from notification where state = 'sent'").fetchone()
    assert row is not None
    return int(row[0])


async def measure(count: int) -> None:
    """All rows, printed; after each outage the pages must stand in the database, each once."""
    with tempfile.TemporaryDirectory(prefix="anxin-bench-") as name:
        folder = Path(name)
        broker = Engine(folder / "broker", durable=False, environment={}, postgres=False, say=lambda _: None)
        async with broker, server(folder / "db") as db, receiver() as sink:
            cover(db.url, sink.port)
            for n, (what, fault) in enumerate(FAULTS.items()):
                async with hub(db.url, broker.mqtt_url, folder / "data") as running, client(broker.mqtt_url) as sender:
                    await sender.told("urgent", sample("button-1", "pressed", False))
                    async with fault(db):
                        times = await presses(sender, sink, f"r{n}", count)
                    await sender.confirmed("urgent", sender.seq["urgent"])
                    await eventually(lambda running=running: not running.standby.pursuits, 120, 0.2)  # type: ignore[misc]
                    await eventually(lambda total=(n + 1) * count: _sent(db) == total, 120, 0.2)  # type: ignore[misc]
                assert len(sink.ids) == len(set(sink.ids)) == (n + 1) * count
                p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
                print(f"| {what} | {count} | {p50:.0f} | {p99:.0f} | {max(times):.0f} |", flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Press to webhook without the database.")
    parser.add_argument("--presses", type=int, default=300)
    options = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}: {facts()}\n\n{HEAD}", flush=True)
    asyncio.run(measure(options.presses))
    return 0


if __name__ == "__main__":
    sys.exit(main())
