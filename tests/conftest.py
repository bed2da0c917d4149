"""What all tests share: the real engine, once a session, and a fresh migrated database for whoever asks.

`engine` runs TimescaleDB and Mosquitto in a process of its own (throw-away, no fsync) or takes what ANXIN_DATABASE_URL and
ANXIN_MQTT_URL name; nothing is fetched inside a test's time. `database` is one fresh database a module, `make_database()`
gives more. `make_mqtt_user(name)` gives a client's password at the broker. `peers.program(name)` is a program that we did not write.
"""

import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from psycopg import sql

from hub.engine import Prefix, Running, ensure, ensure_peers, mosquitto_hash, read_passwords, running, write_passwords
from hub.engine.browser import Browser, ensure_browser
from hub.errors import EngineUnavailable
from hub.store.migrate import upgrade
from hub.testing import wait_until

START_SECONDS = 45.0
# How long an example takes is the machine's affair. A run that must be green tries the same examples each time; new ones are
# looked for on purpose, not by chance on the day of a release: ANXIN_EXPLORE=2000 scripts/test tests/core (decision 0280).
settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=int(os.environ.get("ANXIN_EXPLORE") or 100))
if os.environ.get("ANXIN_EXPLORE"):
    settings.load_profile("explore")
else:
    settings.load_profile("house")
    # Hypothesis mixes in the numbers and words that it reads in whatever modules of ours are imported by then. With those the examples
    # change with the choice of tests, with their order and with a commit elsewhere: one of them refused a split of files.
    providers._get_local_constants = Constants


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch the engine before the first test's clock runs."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    external = "ANXIN_DATABASE_URL" in os.environ and "ANXIN_MQTT_URL" in os.environ
    if "engine_prefix" in wanted or ("engine" in wanted and not external):
        ensure()
    if "peers" in wanted:
        ensure_peers()
    if "browser_program" in wanted:
        ensure_browser()


@dataclass(frozen=True)
class EngineProcess:
    """The engine that this session runs, seen from outside its process."""

    data: Path
    first: Running

    @property
    def now(self) -> Running:
        """What runs at this moment: process ids change when a part was killed."""
        try:
            return running(self.data)
        except EngineUnavailable:  # all of it is external
            return self.first


@pytest.fixture(scope="session")
def engine_prefix() -> Prefix:
    """The unpacked engine."""
    return ensure()


@pytest.fixture(scope="session")
def peers() -> Prefix:
    """The unpacked peers: `peers.program("snmpd")`, snmpget …, mbpoll, socat1, mosquitto_pub, mosquitto_sub."""
    return ensure_peers()


@pytest.fixture(scope="session")
def browser_program() -> Browser:
    """Chromium without a screen, unpacked."""
    return ensure_browser()


@pytest.fixture(scope="session")
def engine() -> Iterator[EngineProcess]:
    """TimescaleDB and Mosquitto for this session; ended with it, also when it is killed."""
    with tempfile.TemporaryDirectory(prefix="anxin-test-", ignore_cleanup_errors=True) as folder:
        data, ready = Path(folder) / "engine", Path(folder) / "ready"
        command = [sys.executable, "-m", "hub.engine", "run", "--throw-away", "--with-parent"]
        with (Path(folder) / "output").open("wb") as output:
            process = subprocess.Popen(
                [*command, "--data", str(data), "--ready-file", str(ready)],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_until(lambda: ready.exists() or process.poll() is not None, START_SECONDS)
            if not ready.exists():
                raise AssertionError((Path(folder) / "output").read_text())
            yield EngineProcess(data, Running(**json.loads(ready.read_text())))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def mqtt_url(engine: EngineProcess) -> str:
    """The hub's listener with the hub's credentials."""
    return engine.first.mqtt_url


@pytest.fixture(scope="session")
def database_url(engine: EngineProcess) -> str:
    """The engine's own database, for administration; take `database` for anything with tables."""
    return engine.first.database_url


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _administer(url: str, *statements: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture(scope="session")
def database_template(database_url: str) -> Iterator[str]:
    """The name of a database that was migrated once and is copied from then on."""
    name = f"template_{secrets.token_hex(4)}"
    _administer(database_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    upgrade(with_database(database_url, name))
    # nobody may be connected to what is copied, TimescaleDB's scheduler included
    _administer(
        database_url,
        sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name)),
        sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(sql.Literal(name)),
    )
    yield name
    _drop(database_url, name)


def _drop(url: str, name: str) -> None:
    _administer(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def _create_database(database_url: str, database_template: str) -> Callable[[], str]:
    numbers = itertools.count(1)

    def create() -> str:
        name = f"test_{os.getpid()}_{next(numbers)}"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(database_template)
        )
        _administer(database_url, command)
        return name

    return create


@pytest.fixture
def make_database(database_url: str, _create_database: Callable[[], str]) -> Iterator[Callable[[], str]]:
    """Call it for the URL of one more fresh migrated database; all are dropped after the test."""
    names: list[str] = []

    def make() -> str:
        names.append(_create_database())
        return with_database(database_url, names[-1])

    yield make
    for name in names:
        _drop(database_url, name)


@pytest.fixture(scope="module")
def database(database_url: str, _create_database: Callable[[], str]) -> Iterator[str]:
    """The URL of a fresh migrated database, shared by the tests of one module."""
    name = _create_database()
    yield with_database(database_url, name)
    _drop(database_url, name)


@pytest.fixture
def fresh_database(make_database: Callable[[], str]) -> str:
    """The URL of a fresh migrated database, for one test."""
    return make_database()


@pytest.fixture(scope="session")
def make_mqtt_user(engine: EngineProcess) -> Callable[[str], str]:
    """Call it with a client's name for its password; the broker knows it within 250 ms (try again until then)."""
    if not engine.first.password_file:
        pytest.skip("the broker of ANXIN_MQTT_URL has users of its own")
    path = Path(engine.first.password_file)

    def make(name: str) -> str:
        password = secrets.token_urlsafe(24)
        write_passwords(path, {**read_passwords(path), name: mosquitto_hash(password)})
        return password

    return make
