"""Bad input gets a problem document that names what and where; nothing of it is a 500."""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.api import guard, pages
from hub.errors import BadInput
from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]
COMMENT = "/alarms/{alarm}/note"


@pytest.mark.parametrize(
    ("body", "pointer", "reason"),
    [
        (b'{"note": "a\\u0000b"}', "#/note", "NUL"),
        (b'{"no\\u0000te": "x"}', "#", "NUL"),
        (b'{"note": ["x", {"y": "\\u0000"}]}', "#/note/1/y", "NUL"),
        (b'{"note": "\\ud800"}', "#", "not JSON"),
        (b'{"note": "\xed\xa0\x80"}', "#", "not JSON"),
        (b'{"note": NaN}', "#", "not JSON"),
        (b'{"note": 1e999}', "#", "not JSON"),
        (b"[" * 100_000, "#", "nested"),
        (b'{"note": ' + b"9" * 5000 + b"}", "#", "not JSON"),
        (b"{", "#", "not JSON"),
        (b"\xff\xfe", "#", "not JSON"),
        (b"", "#", "required"),
        (b"[]", "#", "valid"),
        (b"null", "#", "valid"),
        (b'{"note": 5}', "#/note", "string"),
        (b'{"note": ""}', "#/note", "1 character"),
        (b'{"note": "x", "more": 1}', "#/more", "not permitted"),
        (b'{"note": "' + b"x" * 2001 + b'"}', "#/note", "2000"),
    ],
)
async def test_a_bad_body_is_refused_with_a_pointer(
    shared: City, problem: Problem, body: bytes, pointer: str, reason: str
) -> None:
    async with shared.client() as client:
        path = COMMENT.format(alarm=shared.a.alarm)
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    first = problem(answer)["errors"][0]
    assert first["pointer"] == pointer
    assert reason in first["detail"]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/devices?limit=0", "query/limit"),
        ("/devices?limit=501", "query/limit"),
        ("/devices?limit=x", "query/limit"),
        ("/devices?cursor=", "query/cursor"),
        ("/devices?cursor=%21%21", "query/cursor"),
        ("/devices?cursor=WzFd", "query/cursor"),
        ("/devices?kind=toaster", "query/kind"),
        ("/devices?institution=UPPER", "query/institution"),
        ("/devices?division=14%27", "query/division"),
        ("/devices?institution=a%00b", "query"),
        ("/devices?institution=%ED%A0%80", "query"),
        ("/devices/%00", "path"),
        ("/devices/%FF", "path"),
        ("/devices/A", "path/device"),
        ("/alarms/nonsense", "path/alarm"),
        ("/alarms?from=yesterday", "query/from"),
        ("/alarms?from=2026-11-21T00:00:00", "query/from"),
        ("/alarms?to=9999-12-31T23:59:59-23:59", "query/to"),
        ("/alarms?from=0001-01-01T00:00:00%2B23:59", "query/from"),
        ("/devices/a-button/readings", "query/point"),
        ("/devices/a-button/readings?point=level&order=up", "query/order"),
        ("/devices/a-button/readings?point=level&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "query/from"),
        ("/events?kind=gossip", "query/kind"),
        # nobody takes today's answer for that of March, or everybody's for one institution's
        ("/coverage?at=2026-03-01T00:00:00Z", "query/at"),
        ("/alarms?instituton=a-home", "query/instituton"),
        ("/authorities?limit=1", "query/limit"),
    ],
)
async def test_a_bad_parameter_and_one_that_there_is_not_is_named(
    shared: City, problem: Problem, path: str, pointer: str
) -> None:
    async with shared.client() as client:
        answer = await client.get(path)
    assert answer.status_code == 422, answer.text
    assert problem(answer)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("keys", [["x"], [1], ["x", "y"], [-1], [2**63], ["2026-11-21T00:00:00"], [True], [None], "x"])
@pytest.mark.parametrize(
    "path",
    [
        "/alarms",
        "/zones",
        "/quarantine",
        "/audit",
        "/tokens",
        "/devices/a-button/events",
        "/devices/a-button/points",
        "/devices/a-button/readings?point=level",
    ],
)
async def test_a_forged_cursor_never_fails(shared: City, path: str, keys: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")
    async with shared.client() as client:
        answer = await client.get(path, params={**dict(httpx.URL(path).params), "cursor": cursor})
    assert answer.status_code in (200, 422), answer.text


async def test_a_resumption_from_nonsense_is_refused(shared: City, problem: Problem) -> None:
    async with shared.client() as client:
        for place in ("x", "1", "1-", "-1-1", "1-1-1", "9" * 19 + "-1"):
            answer = await client.get("/events", headers={"Last-Event-ID": place})
            assert problem(answer)["errors"][0]["pointer"] == "header/last-event-id"


async def test_a_body_above_two_megabytes_is_refused(shared: City, problem: Problem) -> None:
    async with shared.client() as client:
        answer = await client.post(COMMENT.format(alarm=shared.a.alarm), content=b"x" * (guard.MAX_BODY + 1))
        assert answer.status_code == 413
        problem(answer)

        async def unannounced() -> Any:
            for _ in range(3):
                yield b"x" * (guard.MAX_BODY // 2)

        assert (await client.post(COMMENT.format(alarm=shared.a.alarm), content=unannounced())).status_code == 413


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"1000")]])
async def test_who_sends_too_much_is_answered_when_all_was_sent(headers: list[tuple[bytes, bytes]]) -> None:
    """An answer in the middle would end the connection under the sender, who would never read why."""
    left = 10
    sent: list[tuple[int, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the request went through")

    async def receive() -> Any:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": left > 0}

    async def send(message: Any) -> None:
        sent.append((left, message))

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
    await guard.Guard(app, max_body=250)(scope, receive, send)
    assert (sent[0][0], sent[0][1]["status"]) == (0, 413)


async def test_who_never_ends_sending_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_FORGOTTEN", 1000)
    statuses: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the request went through")

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    await guard.Guard(app, max_body=250)(scope, receive, send)
    assert statuses[0] == 413


async def test_a_body_that_never_comes_is_not_waited_for() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the request went through")

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    await guard.Guard(app, body_seconds=0.01)(scope, receive, send)
    assert sent[0]["status"] == 408


async def test_bodies_held_at_one_time_are_bounded_and_given_back() -> None:
    statuses: list[int] = []
    inside = asyncio.Event()
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inside.set()
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * 60, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    guarded = guard.Guard(app, max_held=100)
    first = asyncio.create_task(guarded(scope, receive, send))
    await asyncio.wait_for(inside.wait(), 20)
    await guarded(scope, receive, send)
    assert statuses == [503]
    release.set()
    await first
    await guarded(scope, receive, send)
    assert statuses == [503, 200, 200]


async def test_what_is_not_json_is_no_body(shared: City, problem: Problem) -> None:
    async with shared.client() as client:
        path = COMMENT.format(alarm=shared.a.alarm)
        answer = await client.post(path, content=b'{"note": "\xff"}', headers={"Content-Type": "text/plain"})
    assert problem(answer)["status"] == 422


async def test_unknown_paths_and_methods_are_problems_too(shared: City, problem: Problem) -> None:
    async with shared.client() as client:
        assert problem(await client.get("/nothing"))["status"] == 404
        assert problem(await client.put("/devices", json={}))["status"] == 405
        assert problem(await client.get("/devices/"))["status"] in (404, 422)


async def test_the_input_is_not_repeated_in_the_answer(shared: City) -> None:
    async with shared.client() as client:
        answer = await client.post("/tokens", json={"name": "x", "kind": "hub_secret", "role": {"p": "hub_secret"}})
    assert answer.status_code == 422
    assert "hub_secret" not in answer.text


async def test_an_error_of_our_own_shows_no_trace_and_no_text(city: City, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    await city.conn.execute("alter table device_state rename column link_cause to moved")
    headers = {"Authorization": f"Bearer {city.tokens['admin']}"}
    transport = httpx.ASGITransport(city.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1", headers=headers) as client:
        answer = await client.get("/devices")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "link_cause" not in answer.text
    assert "Traceback" not in answer.text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_as_a_cursor_is_a_key_or_bad_input(text: str) -> None:
    found: Any = None
    with contextlib.suppress(BadInput):
        found = pages.decode(text, str, int)
    assert found is None or [type(key) for key in found] == [str, int]


@given(st.lists(st.one_of(st.text().filter(lambda t: "\x00" not in t), st.integers(0, 2**63 - 1)), max_size=4))
def test_a_cursor_gives_back_the_key_that_it_was_made_of(keys: list[str | int]) -> None:
    assert pages.decode(pages.encode(*keys), *[type(key) for key in keys]) == tuple(keys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_what_the_guard_lets_through_can_be_stored_and_sent(document: Any) -> None:
    body = json.dumps(document).encode()
    with contextlib.suppress(guard.Refused):
        guard.check_json(body, b"application/json")
        text = json.dumps(json.loads(body), ensure_ascii=False, allow_nan=False)
        assert b"\\u0000" not in text.encode("utf-8")
