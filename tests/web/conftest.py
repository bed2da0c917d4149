"""The console over a real TimescaleDB: asked through httpx without a socket, or served on loopback for a real browser."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI

from hub.web.app import install
from tests.api.conftest import City, Filled, opened

HOST = "http://hub"


@dataclass
class Visitor:
    """Somebody's browser without a browser: a client with its cookie, and the token against forgery once logged in."""

    http: httpx.AsyncClient
    csrf: str = ""

    async def post(self, path: str, fields: dict[str, str] | None = None, /, **headers: str) -> httpx.Response:
        """A form sent from the console's own page."""
        body = urlencode({"csrf": self.csrf, **(fields or {})})
        kind = {"content-type": "application/x-www-form-urlencoded", "origin": HOST}
        return await self.http.post(
            path, content=body, headers={**kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        )

    async def log_in(self, token: str) -> httpx.Response:
        """Log in with a token; remembers the token against forgery."""
        answer = await self.post("/console/login", {"token": token})
        if answer.status_code == 303:
            page = (await self.http.get("/console/")).text
            self.csrf = page.split('name="csrf" value="')[1].split('"')[0]
        return answer


@dataclass
class Console:
    """A filled city with the console mounted."""

    city: City

    @property
    def app(self) -> FastAPI:
        return self.city.app

    @asynccontextmanager
    async def visitor(self, token: str | None = None, address: str = "10.0.0.1") -> AsyncIterator[Visitor]:
        """A visitor, logged in with one of the city's tokens where one is named."""
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
            visitor = Visitor(http)
            if token is not None:
                assert (await visitor.log_in(self.city.tokens[token])).status_code == 303
            yield visitor

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        return await (await self.city.conn.execute(statement.encode(), values)).fetchall()


@pytest.fixture
async def console(own_filled: Filled) -> AsyncIterator[Console]:
    async with opened(own_filled) as city:
        install(city.app)
        following = asyncio.create_task(city.app.state.services.fanout.follow())
        try:
            yield Console(city)
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
