"""A hub of loops in this process over a database that can be stopped, frozen or filled: what the tests of the standby share."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql
from pydantic import SecretStr

from hub.cli.centre import api_of
from hub.config import Settings
from hub.engine import Engine
from hub.model import SECOND
from hub.mqtt import parse_broker
from hub.runtime import deliverer, escalator
from hub.runtime.partitions import Partitions
from hub.runtime.service import Role, Service
from hub.runtime.standby import Standby, Timing
from hub.testing import eventually
from tests.clusters import put_cluster
from tests.paging import SECRET, Receiver
from tests.runtime.city import PARTITION, documents, profiles, seed

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
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def pids(self) -> list[int]:
        """Every process of the server."""
        cluster = self.folder / "engine" / "cluster"
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if (entry / "cwd").readlink() == cluster:
                        found.append(int(entry.name))
        return found

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """As after a failover to a replica: it answers, and takes nothing, from whoever is connected or will be."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            _set_read_only(conn, "on")
            try:
                yield
            finally:
                conn.execute("set default_transaction_read_only = off")
                _set_read_only(conn, "off")

    @contextmanager
    def full(self) -> Iterator[None]:
        """As on a disk that is full: no file of the database grows any more. Needs no rights: a limit of the processes' own, beyond which the
        kernel refuses to write; one segment of the log (16 MiB) stays below it, and so do small tables: what a press writes is filled up first."""
        fill(self.url)
        for _ in range(2):  # the first process bequeaths its limit to all that come after
            self._limit(SEGMENT)
        fill_up(self.url)
        try:
            yield
        finally:
            for _ in range(2):
                self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


SEGMENT = 16 * 1024 * 1024


def fill(database: str) -> None:
    """Let the table in which every alarm leaves a line reach the limit, with rows of the size of its own."""
    with psycopg.connect(database, autocommit=True) as conn:
        size = "select pg_relation_size('change')"
        while (conn.execute(size).fetchone() or (0,))[0] < SEGMENT:
            conn.execute(
                "insert into change (kind, institution, payload) select 'filler', (select min(key) from institution where key > 0),"
                " jsonb_build_object('id', repeat('x', 200)) from generate_series(1, 5000)"
            )


def fill_up(database: str) -> None:
    """The last pages of it, row by row: not even a small one fits any more, and no row that was taken back leaves room."""
    with psycopg.connect(database, autocommit=True) as conn, suppress(psycopg.Error):
        (institution,) = conn.execute("select min(key) from institution where key > 0").fetchone() or (0,)
        while True:
            conn.execute("insert into change (kind, institution, payload) values ('filler', %s, '{}')", [institution])


def _set_read_only(conn: psycopg.Connection[Any], value: str) -> None:
    name = conn.info.dbname
    conn.execute(
        sql.SQL("alter database {} set default_transaction_read_only = {}").format(
            sql.Identifier(name), sql.Literal(value)
        )
    )
    conn.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Server]:
    """A server with a migrated database and the city in it."""
    one = Server(folder)
    await asyncio.to_thread(put_cluster, folder / "engine")
    await one.start()
    try:
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


@dataclass
class Centre:
    """A whole `anxin serve` in this process, with its address."""

    service: Service
    task: "asyncio.Task[None]"
    url: str = ""

    @asynccontextmanager
    async def without_its_standby(self) -> AsyncIterator[None]:
        """The standby's loop stands still."""
        beside = self.service.standby
        assert beside is not None
        hold, own = asyncio.Event(), beside._let_lapse
        beside._let_lapse = hold.wait  # type: ignore[method-assign,assignment]
        yield
        beside._let_lapse = own  # type: ignore[method-assign]
        hold.set()

    @asynccontextmanager
    async def without_its_api(self) -> AsyncIterator[None]:
        """Nobody answers where it takes requests."""
        port, self.service.api_port = self.service.api_port, 1
        yield
        self.service.api_port = port


@asynccontextmanager
async def centre(
    database: str, mqtt_url: str, folder: Path, roles: Iterable[Role] = tuple(Role), *, away: bool = False, **more: Any
) -> AsyncIterator[Centre]:
    """The composition root as it is, over the city; it must not end by itself. `away`: its database is, and it is ready as far as it can be."""
    given = {"data": folder / "data", "api_port": 0, "allow_loopback": True, "public_url": "http://hub.example", **more}
    settings = Settings(database_url=SecretStr(database), mqtt_url=SecretStr(mqtt_url), **given)
    service = Service(settings, frozenset(roles), None)
    service.profiles = {**service.profiles, **profiles()}
    folder.mkdir(exist_ok=True)
    port = folder / "port"
    port.unlink(missing_ok=True)
    one = Centre(service, asyncio.create_task(service.run(api_of(str(port)))))

    async def ready() -> bool:
        if one.task.done():
            one.task.result()
        takes = port.exists() and port.read_text() != ""
        if away:
            return takes and (service.standby is None or (service.standby.listening and service.standby.ready.is_set()))
        return takes and all((await service.ready()).values())

    try:
        await eventually(ready, 40)
        one.url = f"http://127.0.0.1:{port.read_text()}"
        yield one
        assert not one.task.done(), one.task
    finally:
        one.task.cancel()
        await asyncio.wait({one.task})


@asynccontextmanager
async def ingest_process(database: str, mqtt_url: str, folder: Path) -> AsyncIterator["asyncio.subprocess.Process"]:
    """Ingest as a process of its own, over the city's partition; it may be stopped, and is killed at the end."""
    shelf = folder / "profiles"
    shelf.mkdir()
    for document in documents():
        (shelf / f"{document['profile']}.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
    known = {"ANXIN_DATABASE_URL": database, "ANXIN_MQTT_URL": mqtt_url, "ANXIN_PROFILES": json.dumps([str(shelf)])}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("anxin")),
        *("serve", "--role", "ingest", "--partitions", str(PARTITION), "--no-migrate"),
        env={**os.environ, **known},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def facts(receiver: Receiver) -> list[str]:
    """The keys of what came, in order."""
    return receiver.ids


def seconds(micros: int) -> float:
    return micros / SECOND
