"""A hub of its own to measure: the durable engine, a seeded database, the programs as processes. Nothing outlives it."""

import json
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from hub.demo.programs import Program, tool
from hub.engine import Running, ensure, mosquitto_hash, read_passwords, write_passwords
from hub.registry import partition_of
from hub.store.migrate import upgrade
from hub.testing import eventually

INSTITUTION = "bench"
PARTITION = partition_of(INSTITUTION, 8)
PROFILES = Path(__file__).parent / "profiles"


@dataclass
class Installation:
    """What runs, and where."""

    folder: Path
    engine: Running
    conn: psycopg.Connection[Any]
    programs: list[Program] = field(default_factory=list)

    def environment(self, profiles: list[Path]) -> dict[str, str]:
        return {
            "ANXIN_DATABASE_URL": self.engine.database_url,
            "ANXIN_MQTT_URL": self.engine.mqtt_url,
            "ANXIN_ALLOW_LOOPBACK": "true",
            "ANXIN_PROFILES": json.dumps([str(path) for path in profiles]),
        }

    async def program(self, name: str, command: list[str], environment: dict[str, str]) -> Program:
        made = Program(name, command, environment, self.folder / f"{name}.log")
        self.programs.append(made)
        await made.start()
        return made

    async def hub(
        self, profiles: list[Path], *roles: str, partitions: Sequence[int] = (PARTITION,), within: float = 20
    ) -> Program:
        """`anxin serve` for these partitions, once it holds them."""
        line = [tool("anxin"), "serve", "--no-migrate", "--partitions", ",".join(map(str, partitions))]
        before = self._sessions()
        made = await self.program(
            "hub", line + [word for role in roles for word in ("--role", role)], self.environment(profiles)
        )
        await eventually(lambda: made.ended or self._sessions() > before + 2 * len(partitions), within, 0.05)
        if made.ended:
            raise RuntimeError(made.last_words())
        return made

    def _sessions(self) -> int:
        """Of hubs: one for the lease of each, one a lane."""
        return self.key("select count(*) from pg_stat_activity where application_name ~ '^anxin-(hub|lane|lease)'")

    def users(self, *names: str) -> dict[str, str]:
        """A password at the broker for each."""
        made = {name: secrets.token_hex(12) for name in names}
        path = Path(self.engine.password_file)
        write_passwords(path, {**read_passwords(path), **{name: mosquitto_hash(text) for name, text in made.items()}})
        return made

    def key(self, query: str, *values: object) -> int:
        row = self.conn.execute(query.encode(), values).fetchone()
        assert row is not None
        return int(row[0])

    def seed_institution(self) -> int:
        self.conn.execute("insert into division values ('14', null, '山西', 'Shanxi')")
        return self.key(
            "insert into institution (id, division, type, title_zh, title_en, partition)"
            " values (%s, '14', 'community_point', '量', 'Bench', %s) returning key",
            INSTITUTION, PARTITION,
        )  # fmt: skip

    def seed_client(self, institution: int, name: str, profile: str, lane: str, devices: list[str]) -> None:
        """An edge with its endpoint and devices, all in service."""
        edge = self._device(institution, name, "anxin-edge", "edge", "bulk", None)
        self.conn.execute("insert into client (name, device) values (%s, %s)", [name, edge])
        endpoint = self.key(
            "insert into endpoint (institution, id, driver, edge, settings) values (%s, %s, 'mqtt', %s, '{}') returning key",
            institution, f"e-{name}", edge,
        )  # fmt: skip
        for device in devices:
            self._device(institution, device, profile, "other", lane, endpoint)

    def _device(self, institution: int, name: str, profile: str, kind: str, lane: str, endpoint: int | None) -> int:
        key = self.key(
            "insert into device (id, institution, endpoint, profile, kind, lane) values (%s, %s, %s, %s, %s, %s) returning key",
            name, institution, endpoint, profile, kind, lane,
        )  # fmt: skip
        self.conn.execute("insert into device_state (device, admin_state) values (%s, 'in_service')", [key])
        return key


@asynccontextmanager
async def installation() -> AsyncIterator[Installation]:
    """Start the engine, migrate, hand over; stop everything that was started."""
    ensure()
    with tempfile.TemporaryDirectory(prefix="anxin-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data, ready = folder / "engine", folder / "ready"
        line = [
            sys.executable,
            "-m",
            "hub.engine",
            "run",
            "--with-parent",
            "--data",
            str(data),
            "--ready-file",
            str(ready),
        ]
        engine = Program("engine", line, {}, folder / "engine.log")
        await engine.start()
        made: Installation | None = None
        try:
            await eventually(lambda: ready.exists() or engine.ended, 60)
            running = Running(**json.loads(ready.read_text()))
            upgrade(running.database_url)
            with psycopg.connect(running.database_url, autocommit=True) as conn:
                made = Installation(folder, running, conn)
                yield made
        finally:
            for program in [] if made is None else made.programs:
                await program.stop()
            await engine.stop()
