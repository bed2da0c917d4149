"""What all tests share: the real engine, once a session, and a fresh migrated database for whoever asks.

`engine` runs TimescaleDB and Mosquitto in a process of its own (throw-away, no fsync) or takes what ANXIN_DATABASE_URL and
ANXIN_MQTT_URL name; nothing is fetched inside a test's time. `database` is one fresh database a module, `make_database()`
gives more. `make_mqtt_user(name)` gives a client's password at the broker. `peers.program(name)` is a program that we did not write.
"""

import asyncio
import gc
import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
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

if TYPE_CHECKING:
    from tests.api.conftest import Filled

START_SECONDS = 45.0
_THRESHOLDS = gc.get_threshold()
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


ROOMS = "store/ runtime/ test_demo.py faults/ web/ edge/ cli/ engine/ drivers/ api/".split()
"""In this order. A worker keeps a file to its end: what takes minutes begins early, what waits for nothing fills up the end. The store comes first:
the checks run beside it, and no test there minds how long a second is."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The order in which the workers of a full run take the files."""
    if not hasattr(config, "workerinput"):
        return
    rooms = {f"tests/{room}": n for n, room in enumerate(ROOMS)}
    last = {"tests/core/": len(rooms) + 1}

    def place(item: pytest.Item) -> int:
        return next((n for room, n in (rooms | last).items() if item.nodeid.startswith(room)), len(rooms))

    items.sort(key=place)


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


@pytest.fixture(autouse=True)
def _collector() -> None:
    """A service that ran in this process keeps Python's collector from the old generation (hub.runtime.memory): each test has it back."""
    gc.set_threshold(*_THRESHOLDS)


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


class Databases:
    """Databases that were made once, and copies of them. Nothing is made or dropped while a test runs: a transaction of another database, too,
    holds back what followers of the feed are told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self._templates: list[str] = []

    def template(self, fill: Callable[[str], object], like: str = "template0") -> str:
        """The name of a database that `fill`, given its URL, made of another one; nobody connects to it any more."""
        name = f"template_{secrets.token_hex(4)}"
        self._copy(name, like)
        self._templates.append(name)
        fill(with_database(self._url, name))
        # nobody may be connected to what is copied, TimescaleDB's scheduler included
        _administer(
            self._url,
            sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name)),
            sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(
                sql.Literal(name)
            ),
        )
        return name

    def copy(self, template: str) -> str:
        """The URL of one more copy."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._copy(name, template)
        return with_database(self._url, name)

    def drop(self, url: str) -> None:
        """This copy is done with."""
        self._drop(urlsplit(url).path[1:])

    def close(self) -> None:
        """The templates are done with."""
        for name in self._templates:
            self._drop(name)

    def _copy(self, name: str, template: str) -> None:
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        _administer(self._url, command)

    def _drop(self, name: str) -> None:
        _administer(self._url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def databases(database_url: str) -> Iterator[Databases]:
    """Makes templates and copies of them; all end with the session's engine."""
    made = Databases(database_url)
    yield made
    made.close()


@pytest.fixture(scope="session")
def database_template(databases: Databases) -> str:
    """The name of a database that was migrated once and is copied from then on."""
    return databases.template(upgrade)


@pytest.fixture
def make_database(databases: Databases, database_template: str) -> Iterator[Callable[[], str]]:
    """Call it for the URL of one more fresh migrated database; all are dropped after the test."""
    urls: list[str] = []

    def make() -> str:
        urls.append(databases.copy(database_template))
        return urls[-1]

    yield make
    for url in urls:
        databases.drop(url)


@pytest.fixture(scope="module")
def database(databases: Databases, database_template: str) -> Iterator[str]:
    """The URL of a fresh migrated database, shared by the tests of one module."""
    url = databases.copy(database_template)
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def filled_template(databases: Databases, database_template: str) -> "Filled":
    """A database with the two tenants of tests/api/conftest.py in it; its `url` is the name of a template."""
    from tests.api.conftest import fill

    made: list[Filled] = []
    name = databases.template(lambda url: made.append(asyncio.run(fill(url))), database_template)
    return replace(made[0], url=name)


@pytest.fixture
def own_filled(databases: Databases, filled_template: "Filled") -> Iterator["Filled"]:
    """A filled database for one test alone."""
    url = databases.copy(filled_template.url)
    yield replace(filled_template, url=url)
    databases.drop(url)


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
