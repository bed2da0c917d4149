"""`anxinctl` against the real API: uvicorn in a thread of its own, TimescaleDB behind it, the shipped profiles and rule packs."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hub.api.app import create_app
from hub.api.server import serve
from hub.config import Settings
from hub.core.rights import EVERYTHING, Role, Scope
from hub.profiles import load_profiles
from hub.rulepacks import load_rule_packs
from hub.store.access import create_token
from hub.store.pool import connect, open_pool
from provisioning.main import run
from tests.conftest import Databases

DEMO = Path(__file__).resolve().parents[2] / "provisioning" / "manifests"
ENVIRONMENT = {
    "ANXIN_DEMO_WEBHOOK_URL": "http://127.0.0.1:9/hook",
    "ANXIN_DEMO_WEBHOOK_SECRET": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "ANXIN_DEMO_SMTP_PORT": "2525",
    "ANXIN_DEMO_MQTT_PORT": "1884",
    "ANXIN_DEMO_MQTT_USER": "field",
    "ANXIN_DEMO_MQTT_PASSWORD": "mqtt-is-hush-hush",
    "ANXIN_DEMO_SNMP_USER": "hub",
    "ANXIN_DEMO_SNMP_AUTH_KEY": "auth-is-hush-hush",
    "ANXIN_DEMO_SNMP_PRIV_KEY": "priv-is-hush-hush",
    "ANXIN_DEMO_SNMP_COMMUNITY": "community-is-hush-hush",
    "ANXIN_DEMO_CENTER_CAM_ACTIVITY_PORT": "16101",
    "ANXIN_DEMO_CENTER_CAM_RECEPTION_PORT": "16102",
    "ANXIN_DEMO_CENTER_CAM_ENTRANCE_PORT": "18080",
    "ANXIN_DEMO_ONVIF_USER": "hub-demo",
    "ANXIN_DEMO_ONVIF_PASSWORD": "demo-onvif-password",
    "ANXIN_DEMO_CENTER_CAM_TOILET_PORT": "16103",
    "ANXIN_DEMO_CENTER_RECORDER_PORT": "16104",
    "ANXIN_DEMO_CENTER_UPS_PORT": "16105",
    "ANXIN_DEMO_CENTER_MODBUS_PORT": "1502",
    "ANXIN_DEMO_CENTER_PANEL": "listen://127.0.0.1:6000",
    "ANXIN_DEMO_CENTER_DOOR_LINE": "/dev/pts/7",
    "ANXIN_DEMO_POINT_CAM_PORT": "16106",
    "ANXIN_DEMO_POINT_MODBUS_PORT": "1503",
    "ANXIN_DEMO_POINT_DOOR_LINE": "/dev/pts/8",
    "ANXIN_DEMO_HOME_CAM_PORT": "16107",
}


@dataclass(frozen=True)
class Server:
    """A hub that answers at `url`."""

    url: str
    database: str
    tokens: dict[str, str]

    def rows(self, statement: str, parameters: Any = None) -> list[Any]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            found = connection.execute(statement.encode(), parameters)
            return found.fetchall() if found.description else []


@dataclass(frozen=True)
class Ground:
    """A database that a hub begins on, and the tokens that are in it."""

    url: str
    tokens: dict[str, str]


class _Thread(threading.Thread):
    """The hub's loop; ended by `stop`."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(name="hub", daemon=True)
        self.database = ground.url
        self.ready = threading.Event()
        self.url = ""
        self.tokens = ground.tokens
        self.stop: Callable[[], object] = lambda: None

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        settings = Settings.model_validate({"database_url": self.database, "mqtt_url": "mqtt://127.0.0.1:1"})
        profiles = load_profiles(settings.profile_folders())
        packs = load_rule_packs(settings.rule_pack_folders())
        async with open_pool(self.database, 4) as pool:
            app = create_app(settings, pool, profiles, packs)
            loop = asyncio.get_running_loop()
            server = asyncio.create_task(serve(app, "127.0.0.1", 0, self._bound))
            self.stop = lambda: loop.call_soon_threadsafe(server.cancel)
            try:
                await server
            except asyncio.CancelledError:
                pass

    def _bound(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.ready.set()


async def _tokens(database: str) -> dict[str, str]:
    who = {
        "installer": (Role.INSTALLER, EVERYTHING),
        "operator": (Role.OPERATOR, EVERYTHING),
        "admin": (Role.ADMIN, EVERYTHING),
        "stranger": (Role.INSTALLER, Scope(divisions=("15",))),
    }
    async with await connect(database, "test") as conn:
        given: dict[str, Any] = {"kind": "person", "actor": "test", "within": EVERYTHING}
        return {
            name: (await create_token(conn, name=f"测试 {role.value}", role=role, scope=scope, **given)).secret
            for name, (role, scope) in who.items()
        }


@contextmanager
def _serving(ground: Ground) -> Iterator[Server]:
    thread = _Thread(ground)
    thread.start()
    assert thread.ready.wait(20), "the hub did not start"
    yield Server(thread.url, ground.url, ground.tokens)
    thread.stop()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def bare_template(databases: Databases, database_template: str) -> Ground:
    """Tokens and nothing else; its `url` is the name of a template."""
    tokens: dict[str, str] = {}
    name = databases.template(lambda url: tokens.update(asyncio.run(_tokens(url))), database_template)
    return Ground(name, tokens)


@pytest.fixture(scope="session")
def demo_template(databases: Databases, bare_template: Ground) -> Ground:
    """The demo's city, applied; its `url` is the name of a template."""

    def apply(url: str) -> None:
        with _serving(Ground(url, bare_template.tokens)) as hub, pytest.MonkeyPatch.context() as patch:
            for name, value in {**ENVIRONMENT, "ANXIN_API": hub.url, "ANXIN_TOKEN": hub.tokens["installer"]}.items():
                patch.setenv(name, value)
            assert run(["apply", "-f", str(DEMO / "demo"), "--yes"]) == 0

    return Ground(databases.template(apply, bare_template.url), bare_template.tokens)


@pytest.fixture
def ground(databases: Databases, bare_template: Ground) -> Iterator[Ground]:
    """What the hub begins on: nothing, unless a file says that its tests begin with `demo_ground`."""
    url = databases.copy(bare_template.url)
    yield replace(bare_template, url=url)
    databases.drop(url)


@pytest.fixture
def demo_ground(databases: Databases, demo_template: Ground) -> Iterator[Ground]:
    """The demo's city, applied."""
    url = databases.copy(demo_template.url)
    yield replace(demo_template, url=url)
    databases.drop(url)


@pytest.fixture
def server(ground: Ground) -> Iterator[Server]:
    """A hub."""
    with _serving(ground) as running:
        yield running


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that the demo's manifests ask for."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return ENVIRONMENT


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def ctl(server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Call it with a command's arguments; `who` names the token."""

    def command(*arguments: str | Path, who: str = "installer") -> Outcome:
        monkeypatch.setenv("ANXIN_API", server.url)
        monkeypatch.setenv("ANXIN_TOKEN", server.tokens[who])
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command
