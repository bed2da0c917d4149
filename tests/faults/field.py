"""The field: many sites with bad lines, whose edges, broker, database and hub are killed at random. Conservation must hold to the item.

Each site is a real `anxin edge` with three links, each through a bad line of its own: a lamp bus (a third party's push driver), a Modbus
meter (polled) and a fire panel (GB/T 26875.3, confirmed). Its way up to the broker is a bad line, too. Bits are flipped only where the
protocol can tell: elsewhere a flipped bit is a value like any other (tests/faults/test_bad_lines.py).
"""

import asyncio
import json
import random
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from hub.engine import Running, mosquitto_hash, read_passwords, running, write_passwords
from hub.errors import EngineUnavailable
from hub.registry import partition_of
from hub.testing import eventually
from hub.testing.fault_proxy import TCP_FAULTS, Fault, TcpFaultProxy, episodes
from tests import lampbus
from tests.clusters import put_cluster
from tests.faults import balance
from tests.faults.balance import Balance
from tests.faults.family import TREE, Child, Family
from tests.faults.ledger import Ledger, merge, read_ledgers
from tests.faults.stand import ANXIN, HERE

HOST = "127.0.0.1"
PARTITIONS = 8
HONEST = tuple(fault for fault in TCP_FAULTS if fault not in (Fault.GARBLE, Fault.TRUNCATE))
"""for what has no checksum of its own"""
LINES = {"lamps": HONEST, "meter": HONEST, "panel": TCP_FAULTS, "uplink": HONEST}
BEAT = 2_000_000
VICTIMS = {"edge": 12, "hub": 4, "mosquitto": 3, "postgres": 1}
"""who is killed how often, in proportion"""
_HUSH = signal.SIGUSR1
SETTLE = 180.0
"""seconds without any progress after which what is owed is lost"""


@dataclass(frozen=True)
class Pace:
    """How hard it is, in seconds: between faults of a line, how long they hold, between kills."""

    fair: tuple[float, float]
    foul: tuple[float, float]
    kills: tuple[float, float]


LONG = Pace((5.0, 40.0), (0.5, 15.0), (2.0, 12.0))
SHORT = Pace((0.5, 3.0), (0.2, 1.5), (1.0, 4.0))


class Site:
    """One institution's part of it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.client = f"edge-{name}"
        self.proxies: dict[str, TcpFaultProxy] = {}
        self.edge: Child
        folder.mkdir()

    @property
    def spool(self) -> Path:
        """Where the edge keeps it."""
        return self.folder / "edge.spool"

    @property
    def devices(self) -> dict[str, tuple[str, str, str]]:
        """Device → endpoint, profile, lane."""
        return {
            f"lamp-{self.name}-b": ("lamps", "lamp-bulk", "bulk"),
            f"lamp-{self.name}-u": ("lamps", "lamp-urgent", "urgent"),
            f"meter-{self.name}": ("meter", "field-meter", "bulk"),
            f"panel-{self.name}": ("panel", "gb26875-transmitter", "urgent"),
        }

    def bundle(self, password: str) -> dict[str, Any]:
        """The edge's one file."""

        def point(name: str, kind: str = "int", record: str = "reading", **address: Any) -> dict[str, Any]:
            return {"point": name, "type": kind, "record": record, "every": 1_000_000, "address": address}

        def device(name: str, lane: str, settings: dict[str, Any], *points: dict[str, Any]) -> dict[str, Any]:
            return {"id": f"{name}-{self.name}", "lane": lane, "settings": settings, "points": points}

        ports = {name: proxy.port for name, proxy in self.proxies.items()}
        lamps = [device("lamp", lane, {}, point("level")) for lane in ("bulk", "urgent")]
        for lamp in lamps:
            lamp["id"] += f"-{lamp['lane'][0]}"
        meter = device(
            "meter",
            "bulk",
            {"unit": 1},
            *(point(name, table="holding", address=n) for n, name in enumerate(("count", "steady"))),
        )
        panel = device(
            "panel",
            "urgent",
            {},
            *(point(bit, "bool", item="part", bit=bit) for bit in ("fire", "fault")),
            point("alive", record="beat", item="transmitter", field="status"),
        )
        serial = {"port": f"socket://{HOST}:{ports['panel']}", "protocol": "gb26875", "idle_timeout": 15.0}
        return {
            "version": 1,
            "edge": self.client,
            "institution": self.name,
            "partition": partition_of(self.name, PARTITIONS),
            "broker": {"host": HOST, "port": ports["uplink"], "username": self.client, "password": password},
            "beat": BEAT,
            "endpoints": [
                {
                    "id": "lamps",
                    "driver": "lampbus",
                    "settings": {"host": HOST, "port": ports["lamps"], "idle_timeout": 15.0},
                    "devices": lamps,
                },
                {
                    "id": "meter",
                    "driver": "modbus",
                    "settings": {"host": HOST, "port": ports["meter"], "timeout_s": 1.0},
                    "devices": [meter],
                },
                {"id": "panel", "driver": "serial", "settings": serial, "devices": [panel]},
            ],
        }


class Field(Family):
    """All of it, in `folder`; `async with` has it running."""

    def __init__(self, folder: Path, sites: int, seed: int, pace: Pace, rate: float = 4.0) -> None:
        super().__init__(folder)
        self.sites = [Site(f"s{n:02}", folder / f"s{n:02}") for n in range(1, sites + 1)]
        self.seed, self.pace = seed, pace
        self.database_url = ""
        self.kills: Counter[str] = Counter()
        self._rate = rate
        self.hub: Child

    # ---- the storm ----

    async def storm(self, seconds: float) -> None:
        """Bad lines everywhere and kills, for so long; fair weather at the end."""
        until = time.monotonic() + seconds
        proxies = [(site, name, proxy) for site in self.sites for name, proxy in site.proxies.items()]
        playing = [
            asyncio.create_task(
                proxy.play(episodes(self.seed + place, seconds, LINES[name], fair=self.pace.fair, foul=self.pace.foul))
            )
            for place, (_, name, proxy) in enumerate(proxies)
        ]
        try:
            await self._kill(until)
        finally:
            for task in playing:
                task.cancel()
            ended = await asyncio.gather(*playing, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _kill(self, until: float) -> None:
        chance = random.Random(self.seed)
        while True:
            pause = chance.uniform(*self.pace.kills)
            left = until - time.monotonic()
            await asyncio.sleep(max(0.0, min(pause, left)))
            if left <= pause:
                return
            (part,) = chance.choices(list(VICTIMS), list(VICTIMS.values()))
            victim = chance.choice(self.sites)
            if self._strike(part, victim):
                self.kills[part] += 1
                with (self.folder / "nemesis.log").open("a") as log:
                    log.write(f"{time.time():.3f} {part} {victim.name if part == 'edge' else ''}\n")

    def _strike(self, part: str, victim: Site) -> bool:
        if part == "edge":
            return victim.edge.kill()
        if part == "hub":
            return self.hub.kill()
        try:
            running(self.folder / "engine").kill("mosquitto" if part == "mosquitto" else "postgres")
        except (KeyError, ProcessLookupError, EngineUnavailable):
            return False
        return True

    def faults(self) -> Counter[str]:
        """How often the lines did what."""
        done: Counter[str] = Counter()
        for site in self.sites:
            for proxy in site.proxies.values():
                done.update({fault.value: proxy.done[fault.value] for fault in TCP_FAULTS if proxy.done[fault.value]})
        return done

    # ---- the end ----

    def ledger(self) -> Ledger:
        """What all devices that push wrote so far."""
        lamps = read_ledgers([site.folder / "lamps.ledger" for site in self.sites])
        return merge(lamps, read_ledgers([self.folder / "panels.ledger"], ("part",)))

    async def settle(self) -> Balance:
        """Nothing new is produced; what is owed comes in; edges stop; then everything is weighed."""
        for child in self._children:
            if child.name.startswith(("lamps", "devices")):
                child.send(_HUSH)
        for site in self.sites:
            for proxy in site.proxies.values():
                proxy.resume()
                await proxy.accept()
                proxy.cut(reset=True)  # a device says again what nobody confirmed when it is called again
        await self._until_nothing_moves(self._owed)
        for site in self.sites:
            await site.edge.stop()
        await self._until_nothing_moves(self._on_the_way)
        spools = [site.spool for site in self.sites]
        return await asyncio.to_thread(balance.check, self.database_url, spools, self.ledger())

    async def _until_nothing_moves(self, owed: Any) -> None:
        """Until nothing is owed, or for `SETTLE` seconds without progress."""
        last, moved_at = -1, time.monotonic()
        while time.monotonic() - moved_at < SETTLE:
            try:
                left = await asyncio.to_thread(owed)
            except psycopg.OperationalError:  # killed a moment ago
                left = -2
            if left == 0:
                return
            if left != last:
                last, moved_at = left, time.monotonic()
            await asyncio.sleep(0.5)

    def _owed(self) -> int:
        """Values sent and not stored."""
        sent = self.ledger().sent
        with psycopg.connect(self.database_url, connect_timeout=5) as connection:
            return len(sent - balance.stored_values(connection).keys())

    def _on_the_way(self) -> int:
        """Messages at the broker that the hub has not taken; the edges are down, so nothing is sent again."""
        before = self._places()
        time.sleep(1.5)
        return int(self._places() != before)

    def _places(self) -> list[Any]:
        with psycopg.connect(self.database_url, connect_timeout=5) as connection:
            return connection.execute("select stream, upto from stream order by 1").fetchall()

    # ---- putting it together ----

    async def _start(self) -> None:
        engine = await self._start_engine()
        self.database_url = engine.database_url
        seed_sites(engine.database_url, self.sites)
        passwords = {site.client: secrets.token_urlsafe(16) for site in self.sites}
        path = Path(engine.password_file)
        hashes = {name: mosquitto_hash(password) for name, password in passwords.items()}
        write_passwords(path, {**read_passwords(path), **hashes})
        profiles = [lampbus.PROFILES, HERE / "profiles", TREE / "device-profiles"]
        environment = {
            "ANXIN_DATABASE_URL": engine.database_url,
            "ANXIN_MQTT_URL": engine.mqtt_url,
            "ANXIN_PROFILES": json.dumps([str(folder) for folder in profiles]),
        }
        self.hub = await self._child(
            "hub", *ANXIN, "serve", "--role", "ingest", "--no-migrate", environment=environment, again=True
        )
        ports = await self._start_devices()
        driver = lampbus.install(self.folder / "site-packages")
        for place, site in enumerate(self.sites):
            targets = {**ports[site.name], "uplink": engine.device_port}
            for name, port in targets.items():
                proxy = TcpFaultProxy(HOST, port, seed=self.seed + place)
                site.proxies[name] = await self._open.enter_async_context(proxy)
            config = site.folder / "edge.json"
            config.write_text(json.dumps(site.bundle(passwords[site.client])))
            config.chmod(0o600)
            command = (*ANXIN, "edge", "--config", str(config), "--spool", str(site.spool))
            site.edge = await self._child(
                f"edge-{site.name}", *command, environment={"PYTHONPATH": str(driver)}, again=True
            )
        await eventually(lambda: len(self.ledger().promised) >= 5 * len(self.sites), deadline=180, every=0.5)

    async def _start_devices(self) -> dict[str, dict[str, int]]:
        """The simulated devices of all sites; their ports."""
        ports = self.folder / "devices.ports"
        line = [sys.executable, "-m", "tests.faults.field_devices", "--ledger", str(self.folder / "panels.ledger")]
        await self._child("devices", *line, "--ports", str(ports), *(site.name for site in self.sites))
        for site in self.sites:
            lamps = [sys.executable, str(lampbus.DEVICE), "--ledger", str(site.folder / "lamps.ledger")]
            lamps += ["--port-file", str(site.folder / "lamps.port"), "--rate", str(self._rate)]
            await self._child(f"lamps-{site.name}", *lamps, *(f"lamp-{site.name}-{lane}" for lane in "bu"))
        files = [ports, *(site.folder / "lamps.port" for site in self.sites)]
        await eventually(lambda: all(file.exists() for file in files), deadline=120)
        found: dict[str, dict[str, int]] = json.loads(ports.read_text())
        for site in self.sites:
            found[site.name]["lamps"] = int((site.folder / "lamps.port").read_text())
        return found

    async def _start_engine(self) -> Running:
        data, ready = self.folder / "engine", self.folder / "engine.ready"
        command = (sys.executable, "-m", "hub.engine", "run", "--throw-away", "--with-parent")
        await asyncio.to_thread(put_cluster, data)
        child = await self._child("engine", *command, "--data", str(data), "--ready-file", str(ready))
        await eventually(lambda: ready.exists() or child.ends, deadline=120)
        return Running(**json.loads(ready.read_text()))


def seed_sites(database_url: str, sites: Sequence[Site]) -> None:
    """Register every site with its edge and devices."""
    with psycopg.connect(database_url) as connection:

        def one(query: str, *values: object) -> int:
            row = connection.execute(query, values).fetchone()
            assert row is not None
            return int(row[0])

        def device(name: str, institution: int, profile: str, kind: str, lane: str, endpoint: int | None = None) -> int:
            key = one(
                "insert into device (id, institution, endpoint, profile, kind, lane) values (%s, %s, %s, %s, %s, %s) returning key",
                name,
                institution,
                endpoint,
                profile,
                kind,
                lane,
            )
            connection.execute("insert into device_state (device, admin_state) values (%s, 'in_service')", [key])
            return key

        connection.execute("insert into division values ('14', null, '山西', 'Shanxi')")
        for site in sites:
            institution = one(
                "insert into institution (id, division, type, title_zh, title_en, partition)"
                " values (%s, '14', 'community', '试', 'Field', %s) returning key",
                site.name,
                partition_of(site.name, PARTITIONS),
            )
            edge = device(site.client, institution, "demo-edge", "edge", "bulk")
            connection.execute("insert into client (name, device) values (%s, %s)", [site.client, edge])
            lines = {
                name: one(
                    "insert into endpoint (institution, id, driver, edge, settings) values (%s, %s, %s, %s, '{}') returning key",
                    institution,
                    name,
                    name,
                    edge,
                )
                for name in LINES
                if name != "uplink"
            }
            for name, (line, profile, lane) in site.devices.items():
                device(name, institution, profile, "other", lane, lines[line])
