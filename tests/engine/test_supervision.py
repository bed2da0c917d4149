"""Nothing dies for good, and nothing outlives its supervisor. Real programs, real kills, in folders of their own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from hub.engine import Engine, Prefix, Running, mosquitto_hash, read_passwords, running, write_passwords
from hub.engine.child import Child
from hub.engine.identity import Identity, check_reach, usable_identity
from hub.engine.mosquitto import Mosquitto
from hub.errors import EngineUnavailable
from hub.store.migrate import upgrade
from hub.testing import eventually, wait_until


def living(folder: Path) -> list[int]:
    """Processes that work in the folder or name it on their command line; zombies do not count."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if str(folder).encode() in command or str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
    return found


class Supervisor:
    """`python -m hub.engine run` on one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        ready = data.parent / "ready"
        ready.unlink(missing_ok=True)
        self.log = data.parent / "supervisor.log"
        environment = {
            key: value for key, value in os.environ.items() if not key.endswith(("DATABASE_URL", "MQTT_URL"))
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub.engine", "run", "--data", str(data), "--ready-file", str(ready)],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        wait_until(lambda: ready.exists() or self.process.poll() is not None, deadline=30)
        assert ready.exists(), self.log.read_text()
        assert ready.stat().st_mode & 0o777 == 0o600
        self.first = Running(**json.loads(ready.read_text()))

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def supervise(tmp_path: Path, engine_prefix: Prefix) -> Iterator[Callable[[], Supervisor]]:
    """Start a supervisor on this test's folder; whatever is left of it is ended with the test."""
    started: list[Supervisor] = []

    def start() -> Supervisor:
        started.append(Supervisor(tmp_path / "data"))
        return started[-1]

    yield start
    for supervisor in started:
        if supervisor.process.poll() is None:
            supervisor.end(signal.SIGTERM)


def count_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_supervisor_that_is_told_to_stop_leaves_no_process(
    supervise: Callable[[], Supervisor], number: signal.Signals
) -> None:
    supervisor = supervise()
    assert len(living(supervisor.data)) > 3
    assert supervisor.end(number) == 0
    assert living(supervisor.data) == []
    assert "database system is shut down" in (supervisor.data / "postgres.log").read_text()
    assert not (supervisor.data / "engine.json").exists()
    with pytest.raises(EngineUnavailable, match="no engine runs on"):
        running(supervisor.data)


def test_kill_9_of_the_supervisor_takes_everything_with_it_even_a_busy_backend_and_the_next_one_has_the_data(
    supervise: Callable[[], Supervisor],
) -> None:
    first = supervise()
    with psycopg.connect(first.first.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1), (2)")
    spin = "DO $$ BEGIN LOOP END LOOP; END $$"
    script = f"import psycopg; psycopg.connect({first.first.database_url!r}).execute({spin!r})"
    busy = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    seen = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'"

    def is_busy() -> bool:
        with psycopg.connect(first.first.database_url) as connection:
            return connection.execute(seen).fetchone() == (1,)

    wait_until(is_busy)
    first.end(signal.SIGKILL)
    with pytest.raises(EngineUnavailable, match="was killed"):
        running(first.data)
    wait_until(lambda: not living(first.data))
    busy.wait(10)
    second = supervise()
    assert second.first.database_url == first.first.database_url
    assert second.first.mqtt_url == first.first.mqtt_url
    assert count_rows(second.first.database_url) == 2


def test_a_supervisor_that_starts_while_the_dead_ones_children_still_die_waits_for_them(
    supervise: Callable[[], Supervisor],
) -> None:
    for _ in range(3):
        supervisor = supervise()
        supervisor.end(signal.SIGKILL)
    assert answers(supervise().first.database_url)


def test_a_frozen_postmaster_that_outlived_its_supervisor_is_ended_by_the_next(
    supervise: Callable[[], Supervisor],
) -> None:
    first = supervise()
    os.kill(first.first.pids["postgres"], signal.SIGSTOP)
    first.end(signal.SIGKILL)
    second = supervise()
    assert answers(second.first.database_url)
    assert first.first.pids["postgres"] not in living(second.data)


def test_a_killed_part_comes_back_on_the_same_address(supervise: Callable[[], Supervisor]) -> None:
    supervisor = supervise()
    for part in ("postgres", "mosquitto"):
        dead = running(supervisor.data).kill(part)
        now = wait_until(lambda dead=dead, part=part: is_back(supervisor.data, part, dead))  # type: ignore[misc]
        assert now.restarts[part] == 1
    assert running(supervisor.data).mqtt_url == supervisor.first.mqtt_url
    wait_until(lambda: answers(supervisor.first.database_url))


def is_back(data: Path, part: str, dead: int) -> Running | None:
    now = running(data)
    return now if now.pids.get(part, dead) != dead else None


def test_a_second_engine_on_the_same_folder_is_refused(supervise: Callable[[], Supervisor]) -> None:
    supervisor = supervise()
    command = [sys.executable, "-m", "hub.engine", "run", "--data", str(supervisor.data)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert "another engine runs on" in second.stderr
    assert answers(supervisor.first.database_url)


async def test_inside_a_process_the_engine_is_a_context(tmp_path: Path, engine_prefix: Prefix) -> None:
    async with Engine(tmp_path / "data", durable=False, environment={}) as engine:
        assert set(engine.pids()) == {"postgres", "mosquitto"}
        assert answers(engine.database_url)
        assert engine.mqtt_url.startswith("mqtt://hub:")
        assert engine.device_mqtt[0] == "127.0.0.1"
        before = engine.pids()["postgres"]
        engine.kill("postgres")
        await eventually(
            lambda: engine.now.restarts["postgres"] == 1 and engine.pids().get("postgres", before) != before
        )
        await eventually(lambda: answers(engine.database_url))
    assert living(tmp_path) == []
    assert not (tmp_path / "data/run").exists()


@pytest.mark.parametrize("name", ["数据 a,b %41", "x" * 120], ids=["odd", "long"])
async def test_any_data_folder_will_do_whatever_its_name(tmp_path: Path, engine_prefix: Prefix, name: str) -> None:
    async with Engine(tmp_path / name, durable=False, environment={}) as engine:
        assert answers(engine.database_url)
        await asyncio.to_thread(upgrade, engine.database_url)
        assert set(engine.pids()) == {"postgres", "mosquitto"}
        sockets = Path(parse_qs(urlsplit(engine.database_url).query)["host"][0])
        assert sockets.is_dir()
    assert not sockets.exists()


async def test_a_password_written_while_the_broker_is_down_counts_when_it_is_back(
    tmp_path: Path, engine_prefix: Prefix, peers: Prefix
) -> None:
    async with Engine(tmp_path / "data", postgres=False, environment={}) as engine:
        path = engine.password_file
        assert path is not None
        engine.kill("mosquitto")
        write_passwords(path, {**read_passwords(path), "edge-1": mosquitto_hash("pass")})
        host, port = engine.device_mqtt
        command = [peers.program("mosquitto_pub"), "-h", host, "-p", str(port), "-u", "edge-1", "-P", "pass"]
        command += ["-t", "anxin/v1/0/edge-1/up/bulk", "-m", "x"]

        async def is_let_in() -> bool:
            process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
            return await process.wait() == 0

        await eventually(is_let_in)
        assert engine.now.restarts == {"mosquitto": 1}


def test_what_runs_does_not_show_its_password() -> None:
    now = Running("postgresql://", "mqtt://hub:secret@127.0.0.1:1", "127.0.0.1", 2, "")
    assert "secret" not in repr(now)


async def test_an_error_inside_stops_the_engine_too(tmp_path: Path, engine_prefix: Prefix) -> None:
    with pytest.raises(RuntimeError, match="of the body"):
        async with Engine(tmp_path / "data", durable=False, environment={}):
            raise RuntimeError("of the body")
    assert living(tmp_path) == []


async def test_an_institutions_own_broker_has_its_own_rules_and_no_database(
    tmp_path: Path, engine_prefix: Prefix
) -> None:
    async with Engine(tmp_path / "data", postgres=False, acl="topic readwrite #\n", environment={}) as engine:
        assert set(engine.pids()) == {"mosquitto"}
        assert engine.database_url == ""
        assert (tmp_path / "data/mosquitto/acl").read_text() == "topic readwrite #\n"


async def test_addresses_from_the_environment_take_the_parts_place(tmp_path: Path) -> None:
    environment = {
        "ANXIN_DATABASE_URL": "postgresql://db.example/anxin",
        "ANXIN_MQTT_URL": "mqtt://hub:x@mq.example:1884",
    }
    async with Engine(tmp_path / "data", environment=environment) as engine:
        assert engine.database_url == environment["ANXIN_DATABASE_URL"]
        assert engine.mqtt_url == environment["ANXIN_MQTT_URL"]
        assert engine.device_mqtt == ("mq.example", 1884)
        assert engine.password_file is None
        assert engine.pids() == {}
    assert not (tmp_path / "data").exists()


async def test_one_address_from_the_environment_leaves_the_other_part_ours(
    tmp_path: Path, engine_prefix: Prefix
) -> None:
    environment = {"ANXIN_DATABASE_URL": "postgresql://db.example/anxin"}
    async with Engine(tmp_path / "data", environment=environment) as engine:
        assert set(engine.pids()) == {"mosquitto"}
        assert engine.database_url == environment["ANXIN_DATABASE_URL"]


async def test_a_part_that_never_gets_ready_is_reported_with_the_end_of_its_log(
    tmp_path: Path, engine_prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.engine.child.START_SECONDS", 1.0)
    broker = Mosquitto(engine_prefix, tmp_path, usable_identity(), "", 10)
    broker.create(None)
    (broker.folder / "mosquitto.conf").write_text("no_such_option true\n")
    with pytest.raises(EngineUnavailable, match=r"mosquitto is not ready after 1 s.*no_such_option"):
        await Child(broker, usable_identity(), lambda: None).start()
    assert living(tmp_path) == []


async def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path, engine_prefix: Prefix) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineUnavailable, match=r"data folder .*/file/data cannot be used"):
        async with Engine(tmp_path / "file/data", environment={}):
            pass


AS_NOBODY = """
import asyncio, sys
from pathlib import Path
from hub.engine import Engine
from hub.engine.identity import Identity

async def main():
    async with Engine(Path(sys.argv[1]), durable=False, identity=Identity.NOBODY, environment={}) as engine:
        print(*engine.pids().values(), engine.database_url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody; an ordinary user stays who he is")
def test_where_namespaces_are_forbidden_root_runs_it_as_nobody_even_in_a_private_folder(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    command = [sys.executable, "-c", AS_NOBODY, str(private / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        *pids, url = supervisor.stdout.readline().split()
        assert [Path(f"/proc/{pid}").stat().st_uid for pid in pids] == [65534, 65534]
        assert answers(url)
        supervisor.kill()
    wait_until(lambda: not living(private))


def test_who_may_not_enter_a_folder_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hub.engine.identity.launcher", lambda *_: ["/bin/false"])
    with pytest.raises(EngineUnavailable, match=f"nobody may not enter {tmp_path}"):
        check_reach(tmp_path, Identity.NOBODY)
    check_reach(tmp_path, Identity.SELF)
