"""Health, readiness, metrics, and the server inside our own loop."""

import asyncio
import signal
from collections.abc import Mapping

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from hub.api.app import create_app
from hub.api.server import serve
from hub.config import Settings
from hub.store.pool import open_pool
from hub.testing import eventually
from tests.api import seed
from tests.api.conftest import City

_NOWHERE = "postgresql://anxin@127.0.0.1:1/none?connect_timeout=1"


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub")


async def test_a_living_process_is_healthy_and_says_nothing_of_institutions(city: City) -> None:
    async with client(city.app) as asked:
        answer = await asked.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True, "well": True, "policies": None})


@pytest.mark.parametrize(("broker", "status"), [(True, 200), (False, 503)])
async def test_ready_means_that_database_broker_and_leases_hold(city: City, broker: bool, status: int) -> None:
    async def ready() -> Mapping[str, bool]:
        return {"broker": broker, "leases": True}

    services = city.app.state.services
    app = create_app(services.settings, services.pool, seed.PROFILES, (), ready=ready)
    async with client(app) as asked:
        answer = await asked.get("/readyz")
    assert answer.status_code == status
    assert answer.json() == {"ready": broker, "parts": {"database": True, "broker": broker, "leases": True}}


async def test_without_a_database_it_lives_and_is_not_ready_and_requests_get_503() -> None:
    settings = Settings.model_validate({"database_url": _NOWHERE, "mqtt_url": "mqtt://127.0.0.1"})
    async with open_pool(_NOWHERE, 1) as pool:
        pool.timeout = 0.2
        app = create_app(settings, pool, {}, ())
        async with client(app) as asked:
            assert (await asked.get("/healthz")).status_code == 200
            assert (await asked.get("/readyz")).status_code == 503
            answer = await asked.get("/api/v1/devices", headers={"Authorization": f"Bearer hub_{'x' * 12}_{'k' * 43}"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == "unavailable"


async def test_a_part_that_never_answers_is_not_waited_for(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready() -> Mapping[str, bool]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr("hub.api.system.READY_SECONDS", 0.5)
    services = city.app.state.services
    app = create_app(services.settings, services.pool, seed.PROFILES, (), ready=ready)
    async with client(app) as asked:
        answer = await asked.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["in_time"]) == (503, False)


async def test_a_part_that_cannot_even_be_cancelled_is_not_waited_for(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = asyncio.Event()
    left = asyncio.Event()

    async def ready() -> Mapping[str, bool]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # as psycopg does with a frozen server
            await let_go.wait()
            left.set()
            raise
        return {}

    monkeypatch.setattr("hub.api.system.READY_SECONDS", 0.5)
    services = city.app.state.services
    app = create_app(services.settings, services.pool, seed.PROFILES, (), ready=ready)
    async with client(app) as asked, asyncio.timeout(20):
        answer = await asked.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (503, {"database": True, "in_time": False})
    let_go.set()
    await left.wait()


async def test_metrics_come_from_the_registry_that_was_given(city: City) -> None:
    registry = CollectorRegistry()
    Counter("anxin_things", "Things.", registry=registry).inc(3)
    services = city.app.state.services
    app = create_app(services.settings, services.pool, seed.PROFILES, (), metrics=registry)
    async with client(app) as asked:
        answer = await asked.get("/metrics")
    assert "anxin_things_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


async def test_requests_are_counted_by_route_and_status_never_by_what_was_asked_for(city: City) -> None:
    async with city.client() as asked:
        await asked.get("/devices/a-button")
        await asked.get("/devices/nobody")
    async with client(city.app) as scraper:
        text = (await scraper.get("/metrics")).text
    assert 'anxin_api_requests_total{method="GET",route="/devices/{device}",status="200"} 1.0' in text
    assert 'anxin_api_requests_total{method="GET",route="/devices/{device}",status="404"} 1.0' in text
    assert "a-button" not in text


async def test_the_server_takes_a_free_port_steals_no_signal_and_ends_when_cancelled(city: City) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(city.app, "127.0.0.1", 0, port.set_result))
    async with asyncio.timeout(10), httpx.AsyncClient() as asked:
        url = f"http://127.0.0.1:{await port}/healthz"
        assert (await asked.get(url)).json()["alive"] is True
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as asked:
            await asked.get(url)
    await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "uvicorn"])


async def test_a_port_that_is_taken_is_said_at_once(city: City) -> None:
    taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with taken:
        with pytest.raises(OSError, match="in use"):
            await serve(city.app, "127.0.0.1", taken.sockets[0].getsockname()[1])
