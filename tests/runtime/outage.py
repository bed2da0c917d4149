"""A hub of loops in this process over a database that can be stopped, frozen or filled: what the tests of the standby share."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from hub.engine import Engine
from hub.model import SECOND
from hub.mqtt import parse_broker
from hub.runtime import deliverer, escalator
from hub.runtime.partitions import Partitions
from hub.runtime.standby import Standby, Timing
from hub.store.migrate import upgrade
from hub.testing import eventually
from tests.paging import SECRET, Receiver
from tests.runtime.city import PARTITION, profiles, seed

QUICK = Timing(refresh=0.3, people=0.5, orphaned=30.0)


@dataclass
class Server:
    """A PostgreSQL of one's own."""

    folder: Path
    url: str = ""
    _engine: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        self._engine = AsyncExitStack()
        engine = Engine(self.folder / "engine", durable=False, environment={}, mosquitto=False, say=lambda _: None)
        await self._engine.enter_async_context(engine)
        self.url = engine.database_url

    async def stop(self) -> None:
        await self._engine.aclose()

    def signal(self, number: signal.Signals) -> None:
        """To every process of the server."""
        cluster = self.folder / "engine" / "cluster"
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if (entry / "cwd").readlink() == cluster:
                        os.kill(int(entry.name), number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Server]:
    """A server with a migrated database and the city in it."""
    one = Server(folder)
    await one.start()
    try:
        await asyncio.to_thread(upgrade, one.url)
        seed(one.url)
        yield one
    finally:
        one.signal(signal.SIGCONT)
        await one.stop()


def cover(database: str, port: int, *steps: tuple[str, str, str], round_every: str = "1 hour") -> None:
    """A policy for everything: steps of (delay, repeat_every, repeat_times) to the one webhook."""
    with psycopg.connect(database) as conn:
        settings = f'{{"url": "http://127.0.0.1:{port}/", "secret": "{SECRET}"}}'
        conn.execute("insert into responder (id, title_zh, title_en) values ('duty', '值班', 'Duty')")
        conn.execute("insert into responder_channel values ('duty', 'hook', 'webhook', %s)", [settings])
        conn.execute(
            "insert into policy (id, title_zh, title_en, division, signal_classes, priorities, round_every)"
            " values ('all', '全部', 'All', '14', '{fire,panic}', '{critical}', %s)",
            [round_every],
        )
        for n, (delay, every, times) in enumerate(steps or [("0s", "0s", "0")], 1):
            conn.execute(
                "insert into policy_step (policy, n, responder, channel, delay, repeat_every, repeat_times)"
                " values ('all', %s, 'duty', 'hook', %s, %s, %s)",
                [n, delay, every, times],
            )


@dataclass
class Hub:
    """The loops of one hub."""

    standby: Standby
    tasks: Sequence["asyncio.Task[Any]"]


@asynccontextmanager
async def hub(
    database: str, mqtt_url: str, folder: Path | None, *, alone: bool = False, apart: bool = False
) -> AsyncIterator[Hub]:
    """Ingest, escalator, deliverer and standby; `alone`: the standby without the others, as when the database is away at the start; `apart`: it
    knows nothing of what the lanes know, as when they are another process."""
    broker = parse_broker(mqtt_url)
    partitions = Partitions(database, broker, profiles(), [PARTITION])

    def live(number: int) -> Any:
        return partitions.urgent(number)

    loopback: dict[str, Any] = {"allow_loopback": True}
    standby = Standby(
        database,
        broker,
        profiles(),
        folder=folder,
        live=(lambda _: None) if alone or apart else live,
        timing=QUICK,
        **loopback,
    )
    standby.migrated.set()
    loops = [standby.run()]
    if not alone:
        loops += [partitions.run(), escalator.run(database)]
        loops.append(deliverer.run(database, profiles=profiles(), beside=standby.pager, **loopback))
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        await eventually(lambda: standby.listening and standby.ready.is_set() and (alone or partitions.ready), 30)
        yield Hub(standby, tasks)
    finally:
        died = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in died:
            task.result()


def facts(receiver: Receiver) -> list[str]:
    """The keys of what came, in order."""
    return receiver.ids


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of its own; False where only root may mount."""
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]).returncode:
        yield False
        return
    folder.chmod(0o755)
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def seconds(micros: int) -> float:
    return micros / SECOND
