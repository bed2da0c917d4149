"""The OpenAPI document is whole, and whatever it allows to be asked is answered as it says, never with a 500."""

import asyncio
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.pytest.lazy import get_all_tests

from hub.api.app import create_app
from hub.api.server import serve
from hub.config import Settings
from hub.core.rights import EVERYTHING, Role
from hub.store.pool import open_pool
from tests.api import seed

_SETTINGS = Settings.model_validate({"database_url": "postgresql://x", "mqtt_url": "mqtt://x"})
EVENTS = "/api/v1/events"
"""a stream, which has no end: tests/api/test_stream.py"""
PARTS = 25
"""of the operations: how many there are, and with which cases, is made out in the tests and not in each worker that collects them"""
EXAMPLES = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@cache
def document() -> dict[str, Any]:
    """As the application gives it."""
    made: dict[str, Any] = create_app(_SETTINGS, None, {}, ()).openapi()  # type: ignore[arg-type]
    return made


@pytest.fixture(scope="module")
def described() -> Any:
    """What schemathesis makes its cases from."""
    return schemathesis.openapi.from_dict(document()).exclude(path=EVENTS)


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


def asked(case: Any, served: _Served) -> None:
    headers = {**(case.headers or {}), "Authorization": f"Bearer {served.token}"}
    response = case.call(base_url=served.url, headers=headers, timeout=20)
    case.validate_response(
        response, checks=[checks.not_a_server_error, checks.response_schema_conformance, problem_or_success]
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_request_that_the_document_allows_fails(part: int, described: Any, served: _Served) -> None:
    paths = sorted(document()["paths"].keys() - {EVENTS})[part::PARTS]
    mine = described.include(path=paths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how the cases are made; what the requests do is not in here
        made = [one.ok() for one in get_all_tests(schema=mine, test_func=asked, settings=EXAMPLES, given_kwargs=None)]  # type: ignore[union-attr]
    for operation, test in made:
        print(operation.label)  # shown with what fails
        test(served=served)
    assert len(made) == sum(len(document()["paths"][path]) for path in paths) > 0


def test_the_document_is_openapi_3_1_and_whole() -> None:
    assert document()["openapi"].startswith("3.1")
    text = json.dumps(document())
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document()["components"]["schemas"], name


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document()["paths"].items()
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
            assert {"items", "next"} <= set(document()["components"]["schemas"][name]["properties"]), path
    assert pages >= 14
