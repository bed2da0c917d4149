"""A whole installation of its own, made to be killed: engine, hub, edge with its lamps, and a bare client, each a process.

`async with Stand(folder) as stand` has all of it running and produces; hub and edge are started again whenever they end, the engine brings
its own parts back. Who dies is the nemesis's business. Nothing here outlives the process that made it.
"""

import asyncio
import base64
import contextlib
import json
import secrets
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import psycopg

from hub.engine import Running, mosquitto_hash, read_passwords, running, write_passwords
from hub.errors import EngineUnavailable
from hub.registry import partition_of
from hub.testing import eventually
from tests import lampbus
from tests.clusters import put_cluster
from tests.faults.family import TREE, Family
from tests.faults.ledger import Ledger, merge, read_ledgers

INSTITUTION = "stand"
PARTITION = partition_of(INSTITUTION, 8)
LAMPS = {"lamp-1": "bulk", "lamp-2": "urgent"}
BARE = {"bare-u": "urgent", "bare-b": "bulk"}
ANXIN = (sys.executable, "-c", "from hub.cli.main import main; main()")
HERE = Path(__file__).resolve().parent

Part = Literal["hub", "edge", "postgres", "mosquitto"]
PARTS: tuple[Part, ...] = ("hub", "edge", "postgres", "mosquitto")


class Stand(Family):
    """Everything, in `folder`. `hub` is the command that runs the centre: the real one unless a test proves that the checker sees a false one."""

    def __init__(self, folder: Path, hub: tuple[str, ...] = ANXIN, rate: float = 25.0, edge: bool = True) -> None:
        super().__init__(folder)
        self._rate = str(rate)
        self._hub_command = hub
        self._with_edge = edge
        self.database_url = ""

    # ---- what the nemesis sees ----

    def kill(self, part: Part) -> bool:
        """SIGKILL a part; False when it was down at that moment."""
        if part == "hub":
            return self.hub.kill()
        if part == "edge":
            return self.edge.kill()
        with contextlib.suppress(KeyError, ProcessLookupError, EngineUnavailable):
            running(self.folder / "engine").kill(part)
            return True
        return False

    def ledger(self) -> Ledger:
        """What all simulators wrote so far."""
        return merge(
            read_ledgers([self.folder / "lamps.ledger"]),
            read_ledgers([self.folder / "bare.ledger"], ("level", "press")),
        )

    def received(self) -> set[str]:
        """The keys of all pages that the sink was sent so far."""
        path = self.folder / "pages.received"
        return set(path.read_text().split("\n")[:-1]) if path.exists() else set()

    def promises(self) -> int:
        """How many promises were made so far, counted cheaply."""
        return sum(path.read_bytes().count(b"ok ") for path in self.folder.glob("*.ledger"))

    def hush(self) -> None:
        """Nothing new is produced; what is owed is still carried."""
        for child in self._children:
            if child.name in ("lamps", "bare"):
                child.send(signal.SIGUSR1)

    # ---- putting it together ----

    async def _start(self) -> None:
        engine = await self._start_engine()
        self.database_url = engine.database_url
        sink = await self._start_sink()
        seed(engine.database_url, sink)
        passwords = {name: secrets.token_urlsafe(16) for name in ("edge-1", "bare-1")}
        path = Path(engine.password_file)
        hashes = {name: mosquitto_hash(password) for name, password in passwords.items()}
        write_passwords(path, {**read_passwords(path), **hashes})
        environment = {
            "ANXIN_DATABASE_URL": engine.database_url,
            "ANXIN_MQTT_URL": engine.mqtt_url,
            "ANXIN_ALLOW_LOOPBACK": "true",
            "ANXIN_PROFILES": json.dumps([str(lampbus.PROFILES), str(TREE / "device-profiles")]),
        }
        serve = ("serve", "--role", "ingest", "--role", "paging", "--partitions", str(PARTITION), "--no-migrate")
        self.hub = await self._child("hub", *self._hub_command, *serve, environment=environment, again=True)
        bare = [sys.executable, str(HERE / "bare_client.py"), "--ledger", str(self.folder / "bare.ledger")]
        bare += ["--port", str(engine.device_port), "--partition", str(PARTITION), "--client", "bare-1"]
        self.bare = await self._child("bare", *bare, f"--password={passwords['bare-1']}", "--rate", self._rate)
        if self._with_edge:
            await self._start_edge(engine, passwords["edge-1"])
        await eventually(lambda: self.promises() >= 10, deadline=45)

    async def _start_engine(self) -> Running:
        data, ready = self.folder / "engine", self.folder / "engine.ready"
        command = (sys.executable, "-m", "hub.engine", "run", "--throw-away", "--with-parent")
        await asyncio.to_thread(put_cluster, data)
        child = await self._child("engine", *command, "--data", str(data), "--ready-file", str(ready))
        await eventually(lambda: ready.exists() or child.ends, deadline=120)
        return Running(**json.loads(ready.read_text()))

    async def _start_sink(self) -> int:
        port = self.folder / "sink.port"
        command = (sys.executable, str(HERE / "sink.py"), "--ledger", str(self.folder / "pages.received"))
        await self._child("sink", *command, "--port-file", str(port))
        await eventually(port.exists)
        return int(port.read_text())

    async def _start_edge(self, engine: Running, password: str) -> None:
        port, site = self.folder / "lamps.port", lampbus.install(self.folder / "site")
        lamps = (sys.executable, str(lampbus.DEVICE), "--ledger", str(self.folder / "lamps.ledger"))
        self.lamps = await self._child("lamps", *lamps, "--port-file", str(port), "--rate", self._rate, *LAMPS)
        await eventually(port.exists)
        config = self.folder / "edge.json"
        config.write_text(json.dumps(bundle(int(port.read_text()), engine, password)))
        self.edge = await self._child(
            "edge", *ANXIN, "edge", "--config", str(config), environment={"PYTHONPATH": str(site)}, again=True
        )


def bundle(lamps: int, engine: Running, password: str) -> dict[str, Any]:
    """The edge's one file."""
    points = [{"point": "level", "type": "int", "record": "reading", "every": 1_000_000, "address": {}}]
    devices = [{"id": name, "lane": lane, "settings": {}, "points": points} for name, lane in LAMPS.items()]
    endpoint = {
        "id": "bus-1",
        "driver": "lampbus",
        "settings": {"host": "127.0.0.1", "port": lamps},
        "devices": devices,
    }
    broker = {"host": engine.device_host, "port": engine.device_port, "username": "edge-1", "password": password}
    return {
        "version": 1,
        "edge": "edge-1",
        "institution": INSTITUTION,
        "partition": PARTITION,
        "broker": broker,
        "beat": 10_000_000,
        "endpoints": [endpoint],
    }


def seed(database_url: str, sink: int) -> None:
    """Register the institution, its two clients, what stands behind them, and who is paged: the sink, every half second."""
    with psycopg.connect(database_url) as connection:

        def one(query: str, *values: object) -> int:
            row = connection.execute(query, values).fetchone()
            assert row is not None
            return int(row[0])

        def device(name: str, profile: str, kind: str, lane: str, endpoint: int | None) -> int:
            columns = "(id, institution, endpoint, profile, kind, lane)"
            key = one(
                f"insert into device {columns} values (%s, %s, %s, %s, %s, %s) returning key",
                name, institution, endpoint, profile, kind, lane,
            )  # fmt: skip
            connection.execute("insert into device_state (device, admin_state) values (%s, 'in_service')", [key])
            return key

        connection.execute("insert into division values ('14', null, '山西', 'Shanxi')")
        columns = "(id, division, type, title_zh, title_en, partition)"
        institution = one(
            f"insert into institution {columns} values (%s, '14', 'community', '试', 'Stand', %s) returning key",
            INSTITUTION,
            PARTITION,
        )
        for client, devices in (("edge-1", LAMPS), ("bare-1", BARE)):
            edge = device(client, "anxin-edge", "edge", "bulk", None)
            connection.execute("insert into client (name, device) values (%s, %s)", [client, edge])
            columns = "(institution, id, driver, edge, settings)"
            endpoint = one(
                f"insert into endpoint {columns} values (%s, %s, 'lampbus', %s, '{{}}') returning key",
                institution,
                f"bus-{client}",
                edge,
            )
            for name, lane in devices.items():
                device(name, f"lamp-{lane}", "other", lane, endpoint)
        _seed_policy(connection, f"http://127.0.0.1:{sink}/")


def _seed_policy(connection: psycopg.Connection[Any], url: str) -> None:
    settings = json.dumps({"url": url, "secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()})
    connection.execute("insert into responder values ('duty', '值班', 'Duty')")
    connection.execute("insert into responder_channel values ('duty', 'hook', 'webhook', %s)", [settings])
    columns = "(id, title_zh, title_en, division, signal_classes, priorities, round_every)"
    values = "('all', '全部', 'All', '14', '{fire,panic}', '{critical}', interval '10 minutes')"
    connection.execute(f"insert into policy {columns} values {values}")
    connection.execute("insert into policy_step values ('all', 1, 'duty', 'hook', '0s', '0.5s', 1000)")
