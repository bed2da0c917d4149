"""The OpenAPI document is whole, and whatever it allows to be asked is answered as it says, never with a 500."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from hub.api.app import create_app
from hub.api.server import serve
from hub.config import Settings
from hub.core.rights import EVERYTHING, Role
from hub.store.pool import open_pool
from tests.api import seed

_SETTINGS = Settings.model_validate({"database_url": "postgresql://x", "mqtt_url": "mqtt://x"})
DOCUMENT = create_app(_SETTINGS, None, {}, ()).openapi()  # type: ignore[arg-type]
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT).exclude(path="/api/v1/events")


async def _fill(url: str) -> str:
    async with await seed.connect(url) as conn:
        await seed.divisions(conn, "14", "1404", "140403")
        await seed.add_tenant(conn, "a", "140403")
        return await seed.give_token(conn, "all000000000", Role.ADMIN, EVERYTHING)


class _Served:
    """The API in a thread of its own: schemathesis does not know asyncio."""

    def __init__(self, database: str) -> None:
        self.token = ""
        self._database = database
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="api")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self.token = await _fill(self._database)
            configured = Settings.model_validate({"database_url": self._database, "mqtt_url": "mqtt://127.0.0.1"})
            async with open_pool(self._database, 4) as pool:
                app = create_app(configured, pool, seed.PROFILES, ())
                self._task = asyncio.create_task(serve(app, "127.0.0.1", 0, self._ready.set_result))
                await asyncio.gather(self._task, return_exceptions=True)
        finally:
            if not self._ready.done():
                self._ready.set_exception(AssertionError("the API did not start"))

    def __enter__(self) -> "_Served":
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._ready.result(30)}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def served(database: str) -> Iterator[_Served]:
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    with _Served(database) as running:
        yield running


def problem_or_success(ctx: Any, response: Any, case: Any) -> None:
    """Every error is a problem document that says nothing of our insides."""
    if response.status_code >= 400:
        assert response.headers["content-type"][0] == "application/problem+json", response.text
        assert response.json()["status"] == response.status_code
        assert "Traceback" not in response.text


@SCHEMA.parametrize()
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_no_request_that_the_document_allows_fails(case: Any, served: _Served) -> None:
    headers = {**(case.headers or {}), "Authorization": f"Bearer {served.token}"}
    response = case.call(base_url=served.url, headers=headers, timeout=20)
    case.validate_response(
        response, checks=[checks.not_a_server_error, checks.response_schema_conformance, problem_or_success]
    )


def test_the_document_is_openapi_3_1_and_whole() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    text = json.dumps(DOCUMENT)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in DOCUMENT["components"]["schemas"], name


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/v1/")
    ]


def test_every_operation_has_a_description_a_tag_a_name_and_its_problems() -> None:
    names = [operation["operationId"] for _, _, operation in _operations()]
    assert len(names) == len(set(names)) > 25
    for method, path, operation in _operations():
        assert operation.get("description"), f"{method} {path}"
        assert operation.get("tags"), f"{method} {path}"
        assert operation["security"] == [{"token": []}], f"{method} {path}"
        for status in ("401", "403", "422", "503"):
            assert "application/problem+json" in operation["responses"][status]["content"], f"{method} {path} {status}"


def test_every_list_is_a_cursor_page_of_at_most_500() -> None:
    pages = 0
    for _, path, operation in _operations():
        parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
        if "cursor" in parameters:
            pages += 1
            limit = parameters["limit"]["schema"]
            assert (limit["minimum"], limit["maximum"]) == (1, 500), path
            name = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert {"items", "next"} <= set(DOCUMENT["components"]["schemas"][name]["properties"]), path
    assert pages >= 14
