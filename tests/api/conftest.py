"""The API over a real TimescaleDB with two seeded tenants, asked through httpx without a socket."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from psycopg import AsyncConnection

from hub.api.app import create_app
from hub.config import Settings
from hub.core.rights import EVERYTHING, Role, Scope
from hub.runtime.fanout import Fanout
from hub.store.pool import open_pool
from tests.api import seed


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


@pytest.fixture
async def city(fresh_database: str) -> AsyncIterator[City]:
    """Two tenants and a token for every role: `admin` … over everything, `admin-a` … over tenant a only, `reader-b`."""
    conn = await seed.connect(fresh_database)
    await seed.divisions(conn, "14", "1404", "140403", "140404")
    # b first: its keys are lower, so whatever leaks or is cut by key shows
    b = await seed.add_tenant(conn, "b", "140404")
    a = await seed.add_tenant(conn, "a", "140403")
    settings = Settings.model_validate({"database_url": fresh_database, "mqtt_url": "mqtt://127.0.0.1"})
    async with open_pool(fresh_database, 4) as pool:
        app = create_app(settings, pool, seed.PROFILES, (), fanout=Fanout(fresh_database), clock=lambda: seed.at(3600))
        made = City(fresh_database, app, conn, a, b)
        for number, role in enumerate(Role):
            made.tokens[role.value] = await seed.give_token(conn, f"all{number:09}", role, EVERYTHING)
            made.tokens[f"{role.value}-a"] = await seed.give_token(conn, f"one{number:09}", role, SCOPES["a"])
        made.tokens["reader-b"] = await seed.give_token(conn, "two000000000", Role.REGULATOR, SCOPES["b"])
        yield made
    await conn.close()


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
