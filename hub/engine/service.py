"""`Engine`: PostgreSQL and Mosquitto as an `async with`, watched while inside, stopped in order on leaving.

What `ANXIN_DATABASE_URL` and `ANXIN_MQTT_URL` name takes their place. The state (`running`) stands in a file of the
data folder, so that another process can find, and a test can kill, what runs now.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self
from urllib.parse import urlsplit

from hub.engine.child import Child
from hub.engine.fetch import Say, ensure, to_stderr
from hub.engine.identity import Identity, check_reach, hand_over, usable_identity
from hub.engine.mosquitto import ACL, Mosquitto, Ports
from hub.engine.packages import CORE
from hub.engine.postgres import Postgres
from hub.engine.secretfile import write_secret
from hub.errors import EngineUnavailable

PartName = Literal["postgres", "mosquitto"]

_STATE = "engine.json"
_PASSWORD_LOOK = 0.1
"""Seconds between two looks at the password file: a new edge's password counts within 250 ms."""


@dataclass(frozen=True)
class Running:
    """What runs now. `database_url` is libpq's, `mqtt_url` has the hub's credentials: keep it out of logs."""

    database_url: str
    mqtt_url: str = field(repr=False)
    device_host: str
    device_port: int
    """the listener for edges and devices"""
    password_file: str
    """rewrite it with `write_passwords`; empty when the broker is not ours"""
    pids: dict[str, int] = field(default_factory=dict)
    """part → process id, without those that are down"""
    restarts: dict[str, int] = field(default_factory=dict)
    """part → how often it died and was started again"""
    supervisor: int = field(default_factory=os.getpid)
    """the process that watches them"""

    def kill(self, part: PartName) -> int:
        """SIGKILL the part; its process id. For tests: the engine brings it back."""
        pid = self.pids[part]
        os.kill(pid, signal.SIGKILL)
        return pid


def running(data: Path) -> Running:
    """What runs on this data folder now, as the engine's process last wrote it; raises EngineUnavailable."""
    try:
        now = Running(**json.loads((data / _STATE).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise EngineUnavailable(f"no engine runs on {data}") from error
    if not Path(f"/proc/{now.supervisor}").exists():
        raise EngineUnavailable(f"the engine that ran on {data} was killed")
    return now


class Engine:
    """The private engine on one data folder.

    ``async with Engine(data) as engine`` fetches what is missing, starts both parts and gives `engine.now` and its
    short cuts. It must be entered on a thread that lives as long as the engine: the kernel ends the parts with it.
    `durable=False` is for throw-away clusters. With `postgres=False` it is a broker alone, with `acl` one of other
    rules: an institution's own. Raises EngineUnavailable with what to do.
    """

    def __init__(
        self,
        data: Path,
        *,
        home: Path | None = None,
        durable: bool = True,
        ports: Ports | None = None,
        postgres: bool = True,
        mosquitto: bool = True,
        acl: str = ACL,
        max_queued: int = 200_000,
        identity: Identity | None = None,
        environment: Mapping[str, str] = os.environ,
        say: Say = to_stderr,
    ) -> None:
        self._data = data.absolute()
        self._home = home
        self._durable = durable
        self._ports = ports
        self._external_database = environment.get("ANXIN_DATABASE_URL", "") if postgres else ""
        self._external_mqtt = environment.get("ANXIN_MQTT_URL", "") if mosquitto else ""
        self._with_postgres = postgres and not self._external_database
        self._with_mosquitto = mosquitto and not self._external_mqtt
        self._acl = acl
        self._max_queued = max_queued
        self._identity = identity
        self._say = say
        self._postgres: Postgres | None = None
        self._mosquitto: Mosquitto | None = None
        self._children: dict[str, Child] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: IO[str] | None = None

    @property
    def database_url(self) -> str:
        """The database, as libpq reads it; empty without PostgreSQL."""
        return self._external_database if self._postgres is None else self._postgres.url

    @property
    def mqtt_url(self) -> str:
        """The hub's listener with the hub's user and password, `mqtt://user:password@host:port`; empty without broker."""
        return self._external_mqtt if self._mosquitto is None else self._mosquitto.url

    @property
    def device_mqtt(self) -> tuple[str, int]:
        """Host and port for edges and devices; those of ANXIN_MQTT_URL where the broker is not ours."""
        if self._mosquitto is not None:
            return "127.0.0.1", self._mosquitto.ports.devices
        parts = urlsplit(self._external_mqtt)
        return parts.hostname or "", parts.port or 1883

    @property
    def password_file(self) -> Path | None:
        """The broker's password file (see `write_passwords`); None when the broker is not ours."""
        return None if self._mosquitto is None else self._mosquitto.password_file

    @property
    def now(self) -> Running:
        """What runs at this moment."""
        host, port = self.device_mqtt
        return Running(
            database_url=self.database_url,
            mqtt_url=self.mqtt_url,
            device_host=host,
            device_port=port,
            password_file=str(self.password_file or ""),
            pids=self.pids(),
            restarts={name: child.restarts for name, child in self._children.items()},
        )

    def pids(self) -> dict[str, int]:
        """Part → process id, without those that are down at this moment."""
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    def kill(self, part: PartName) -> None:
        """SIGKILL a part, as a fault test does; it comes back by itself, on the same socket or port."""
        self._children[part].send(signal.SIGKILL)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        if not (self._with_postgres or self._with_mosquitto):
            return
        prefix = await asyncio.to_thread(ensure, CORE, self._home, self._say)
        identity = usable_identity() if self._identity is None else self._identity
        self._take_data_folder(identity)
        check_reach(prefix.path, identity)
        check_reach(self._data, identity)
        if self._with_postgres:
            self._postgres = Postgres(prefix, self._data, identity, self._durable)
            await asyncio.to_thread(self._postgres.create)
            self._children["postgres"] = Child(self._postgres, identity, self._write_state)
        if self._with_mosquitto:
            self._mosquitto = Mosquitto(prefix, self._data, identity, self._acl, self._max_queued)
            self._mosquitto.create(self._ports)
            self._children["mosquitto"] = Child(self._mosquitto, identity, self._write_state)
            watch = self._watch_passwords(self._mosquitto.password_file, self._children["mosquitto"])
            self._tasks.append(asyncio.create_task(watch, name="engine-passwords"))
        try:
            async with asyncio.TaskGroup() as group:
                for name, child in self._children.items():
                    group.create_task(child.start(), name=f"engine-start-{name}")
        except* EngineUnavailable as errors:
            reason = str(errors.exceptions[0])
        else:
            reason = ""
        if reason:
            raise EngineUnavailable(reason)
        self._write_state()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for name in ("mosquitto", "postgres"):  # first who speaks to the outside
            if (child := self._children.pop(name, None)) is not None:
                await child.stop()
        if self._postgres is not None:
            self._postgres.clean()
        if self._lock is not None:
            (self._data / _STATE).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _take_data_folder(self, identity: Identity) -> None:
        try:
            self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._data / ".lock").open("a")
        except OSError as error:
            raise EngineUnavailable(f"the data folder {self._data} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EngineUnavailable(
                f"another engine runs on {self._data}: stop it, or name another data folder"
            ) from None
        self._lock = lock
        if identity is Identity.NOBODY:
            hand_over(self._data, identity)

    def _write_state(self) -> None:
        write_secret(self._data / _STATE, json.dumps(asdict(self.now)))

    async def _watch_passwords(self, path: Path, broker: Child) -> None:
        """Tell the broker to read the password file again whenever it is another than at its start."""
        seen = _version(path)
        while True:
            await asyncio.sleep(_PASSWORD_LOOK)
            now = _version(path)
            if now != seen and now is not None and broker.is_up:
                seen = now
                broker.send(signal.SIGHUP)


def _version(path: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        stat = path.stat()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
    return None
