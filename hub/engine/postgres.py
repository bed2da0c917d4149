"""A private PostgreSQL cluster with TimescaleDB: made, configured, cleared up after a kill. It speaks no SQL but CREATE DATABASE."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from hub.engine.child import StopSignals
from hub.engine.fetch import Prefix
from hub.engine.identity import Identity, hand_over, launcher
from hub.errors import EngineUnavailable

MAJOR = "17"
DATABASE = "anxin"
PORT = 5432
"""Names the socket file only: nothing listens on TCP."""

_SOCKET_BYTES = 100
"""sockaddr_un has room for 108; libpq's and the server's own limits are a little lower."""

_VANISH_SECONDS = 5.0


class Postgres:
    """The part `postgres` of the engine (see child.Part). `data` becomes the cluster's folder."""

    name = "postgres"
    death_signal = signal.SIGQUIT
    """Immediate shutdown: the postmaster takes all its processes with it, busy ones too; recovery as after a crash."""
    stop_signals: StopSignals = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 8.0))

    def __init__(self, prefix: Prefix, data: Path, identity: Identity, durable: bool) -> None:
        self.cluster = data / "cluster"
        self.log = data / "postgres.log"
        self.sockets = _socket_folder(data)
        self._program = prefix.program("postgres")
        self._initdb = prefix.program("initdb")
        self._identity = identity
        self._durable = durable

    @property
    def url(self) -> str:
        """The address of the database, for libpq."""
        return f"postgresql://{DATABASE}@/{DATABASE}?host={quote(str(self.sockets), safe='/')}&port={PORT}"

    def create(self) -> None:
        """Make the cluster if there is none; refuse one of another major version. Blocking, about a second."""
        version = self.cluster / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != MAJOR:
                raise EngineUnavailable(
                    f"{self.cluster} was made by PostgreSQL {found} and this engine is {MAJOR}: dump it with {found} and "
                    "load it here, or name another data folder"
                )
            return
        with tempfile.TemporaryDirectory(prefix=".cluster-", dir=self.cluster.parent) as scratch:
            fresh = Path(scratch) / "cluster"
            hand_over(Path(scratch), self._identity)
            self._run(
                [
                    *(self._initdb, "-D", str(fresh), "-U", DATABASE, "--auth=trust", "--encoding=UTF8"),
                    *("--locale=C.UTF-8", "--set=timezone=UTC", *(() if self._durable else ("--no-sync",))),
                ]
            )
            single = [self._program, "--single", "-D", str(fresh), *self._settings(fsync=self._durable), "postgres"]
            self._run(single, f"CREATE DATABASE {DATABASE};\n")
            fresh.rename(self.cluster)

    def command(self) -> list[str]:
        """The postmaster in the foreground; all that we decide stands on its command line, so no file can disagree."""
        return [self._program, "-D", str(self.cluster), *self._settings(self._durable)]

    def prepare(self) -> None:
        """Wait for the processes of a dead postmaster, end them if they stay, and remove the lock files it left."""
        if not self.sockets.is_dir():
            self.sockets.mkdir(mode=0o700, parents=True)
        if self.sockets.stat().st_uid not in (os.geteuid(), 65534):
            raise EngineUnavailable(f"{self.sockets} belongs to somebody else: remove it or name another data folder")
        hand_over(self.sockets, self._identity)
        until = time.monotonic() + _VANISH_SECONDS
        while alive := list(self._processes()):
            if time.monotonic() > until:
                for pid in alive:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        for leftover in (self.cluster / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """As pg_ctl sees it: line 8 of postmaster.pid."""
        with contextlib.suppress(OSError):
            lines = (self.cluster / "postmaster.pid").read_text("utf-8", "replace").splitlines()
            return len(lines) > 7 and lines[7].strip() == "ready"
        return False

    def clean(self) -> None:
        """Remove the socket folder, which may lie outside the data folder."""
        with contextlib.suppress(OSError):
            self.sockets.rmdir()

    def _processes(self) -> Iterator[int]:
        """Living processes whose working directory is the cluster: PostgreSQL's all are. A zombie has none."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if (entry / "cwd").readlink() == self.cluster:
                        yield int(entry.name)

    def _settings(self, fsync: bool) -> list[str]:
        values = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "max_connections": "100",
            "max_worker_processes": "32",  # TimescaleDB takes one for each database
            "shared_buffers": "512MB",  # the states of 280,000 devices and their indexes; taken as it is used
            "shared_preload_libraries": "timescaledb",
            "timescaledb.telemetry_level": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
            "jit": "off",
            "fsync": "on" if fsync else "off",
            "full_page_writes": "on" if fsync else "off",
            # a checkpoint has every page written whole once more: with 1 GB a province's traffic made one follow the other (bench/alarms)
            "checkpoint_timeout": "10min",
            "max_wal_size": "4GB",
            "wal_compression": "lz4",
        }
        return [word for key, value in values.items() for word in ("-c", f"{key}={value}")]

    def _run(self, command: list[str], text: str = "") -> None:
        done = subprocess.run(
            launcher(self._identity, None, command),
            input=text,
            capture_output=True,
            text=True,
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            cwd="/",
            check=False,
        )
        if done.returncode != 0 or "ERROR" in done.stderr:
            free = shutil.disk_usage(self.cluster.parent).free // 1_000_000
            raise EngineUnavailable(
                f"the cluster cannot be made in {self.cluster.parent} ({free} MB free): {done.stderr.strip()[-500:]}"
            )


def _socket_folder(data: Path) -> Path:
    """Inside the data folder where its path is short and plain, else a temporary one, always the same for the same data."""
    folder = data / "run"
    plain = (
        re.fullmatch(r"[A-Za-z0-9_./-]+", str(folder)) is not None
    )  # libpq reads a comma as the start of another host
    if plain and len(os.fsencode(folder / f".s.PGSQL.{PORT}")) < _SOCKET_BYTES:
        return folder
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"anxin-{os.geteuid()}-{name}"
