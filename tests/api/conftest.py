"""The API over a real TimescaleDB with two seeded tenants, asked through httpx without a socket."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from psycopg import AsyncConnection

from hub.api.app import create_app
from hub.config import Settings
from hub.core.coverage.rules import Basis, Force
from hub.core.rights import EVERYTHING, Role, Scope
from hub.runtime.fanout import Fanout
from hub.store.pool import open_pool
from tests.api import seed
from tests.conftest import Databases
from tests.core.coverage_city import EACH_ZONE, pack, rule

PACKS = (pack(rule(EACH_ZONE, Force.POL, Basis.TARGET, id="waivable")),)


@dataclass
class City:
    """A database with tenants a (division 140403) and b (140404), an application over it, and tokens."""

    url: str
    app: FastAPI
    conn: AsyncConnection[Any]
    a: seed.Tenant
    b: seed.Tenant
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, token: str | None = "admin") -> httpx.AsyncClient:
        """A client with one of the tokens, or with none."""
        headers = {} if token is None else {"Authorization": f"Bearer {self.tokens[token]}"}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://hub/api/v1", headers=headers)


SCOPES = {"all": EVERYTHING, "a": Scope(institutions=("a-home",)), "b": Scope(divisions=("140404",))}


@dataclass(frozen=True)
class Filled:
    """What `fill` made."""

    url: str
    a: seed.Tenant
    b: seed.Tenant
    tokens: Mapping[str, str]


async def fill(url: str) -> Filled:
    """Two tenants and a token for every role: `admin` … over everything, `admin-a` … over tenant a only, `reader-b`."""
    async with await seed.connect(url) as conn:
        await seed.divisions(conn, "14", "1404", "140403", "140404")
        # b first: its keys are lower, so whatever leaks or is cut by key shows
        b = await seed.add_tenant(conn, "b", "140404")
        a = await seed.add_tenant(conn, "a", "140403")
        tokens = {"reader-b": await seed.give_token(conn, "two000000000", Role.REGULATOR, SCOPES["b"])}
        for number, role in enumerate(Role):
            tokens[role.value] = await seed.give_token(conn, f"all{number:09}", role, EVERYTHING)
            tokens[f"{role.value}-a"] = await seed.give_token(conn, f"one{number:09}", role, SCOPES["a"])
    return Filled(url, a, b, tokens)


@asynccontextmanager
async def opened(filled: Filled) -> AsyncIterator[City]:
    """An application over a filled database."""
    settings = Settings.model_validate({"database_url": filled.url, "mqtt_url": "mqtt://127.0.0.1"})
    async with await seed.connect(filled.url) as conn, open_pool(filled.url, 4) as pool:
        fanout = Fanout(filled.url)
        app = create_app(settings, pool, seed.PROFILES, PACKS, fanout=fanout, clock=lambda: seed.at(3600))
        yield City(filled.url, app, conn, filled.a, filled.b, dict(filled.tokens))


@pytest.fixture
async def city(own_filled: Filled) -> AsyncIterator[City]:
    """A city for one test alone."""
    async with opened(own_filled) as made:
        yield made


@pytest.fixture(scope="module")
def filled(databases: Databases, filled_template: Filled) -> Iterator[Filled]:
    """A filled database for the tests of one module that only ask."""
    url = databases.copy(filled_template.url)
    yield replace(filled_template, url=url)
    databases.drop(url)


@pytest.fixture
async def shared(filled: Filled) -> AsyncIterator[City]:
    """A city that nobody may change."""
    async with opened(filled) as made:
        yield made


@pytest.fixture
def problem() -> Callable[[httpx.Response], dict[str, Any]]:
    """Check that a response is a problem document, and give it."""

    def check(response: httpx.Response) -> dict[str, Any]:
        assert response.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = response.json()
        assert document["status"] == response.status_code
        assert document["type"] == f"urn:anxin:problem:{document['code']}"
        assert document["title"]
        assert document["detail"]
        return document

    return check
