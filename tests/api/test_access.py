"""Who gets in, who may what, and that what lies outside a scope does not exist."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from hub.api.access import Requires
from hub.api.app import PREFIX, create_app
from hub.config import Settings
from hub.core.rights import EVERYTHING, RIGHTS, Permission, Role
from tests.api import seed
from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]
PUBLIC = {"/healthz", "/readyz", "/metrics", f"{PREFIX}/openapi.json", f"{PREFIX}/receipts/tencent/{{secret}}"}
"""without a token; the last one holds a secret instead (tests/api/test_receipts.py)"""


def _permissions(dependant: Dependant) -> Iterator[Permission]:
    if isinstance(dependant.call, Requires):
        yield dependant.call.permission
    for below in dependant.dependencies:
        yield from _permissions(below)


def _routes() -> list[tuple[str, str, list[Permission]]]:
    settings = Settings.model_validate({"database_url": "postgresql://x", "mqtt_url": "mqtt://x"})
    app = create_app(settings, None, {}, ())  # type: ignore[arg-type]
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        declared = list(_permissions(route.dependant)) if isinstance(route, APIRoute) else []
        methods = sorted((context.methods or set()) - {"HEAD"})
        found += [(method, str(context.path), declared) for method in methods]
    return found


ROUTES = _routes()
GUARDED = [(method, path, declared) for method, path, declared in ROUTES if path not in PUBLIC]


def test_there_are_routes_to_test() -> None:
    assert len(GUARDED) > 20
    assert {path for _, path, _ in ROUTES} >= PUBLIC


@pytest.mark.parametrize(("method", "path", "declared"), GUARDED, ids=lambda value: str(value))
def test_every_route_declares_exactly_one_permission(method: str, path: str, declared: list[Permission]) -> None:
    assert len(declared) == 1, (
        f"{method} {path} must take one of Reader, Acknowledger, Tester, Provisioner, Administrator"
    )
    if method == "GET":
        assert declared[0] in (Permission.READ, Permission.ADMINISTER, Permission.PROVISION)
    else:
        assert declared[0] is not Permission.READ or path.endswith(("/plan", "/what-if/rules"))  # these only ask


def _concrete(city: City, path: str) -> str:
    """A path of tenant a's things."""
    values = {
        "institution": city.a.institution,
        "device": city.a.button,
        "alarm": str(city.a.alarm),
        "test": str(city.a.test),
        "token": "one000000000",
        "edge": f"{city.a.name}-edge",
        "device_id": city.a.button,
    }
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


# one request each with all roles: a role that may not gets 403, before anything else is looked at
@pytest.mark.parametrize("role", Role)
async def test_the_matrix_of_rights_holds_on_every_route(shared: City, problem: Problem, role: Role) -> None:
    async with shared.client(role.value) as client:
        for method, path, declared in GUARDED:
            allowed = declared[0] in RIGHTS[role]
            if path == f"{PREFIX}/events" and allowed:
                continue  # it would stream; test_stream.py has it
            if allowed and method != "GET":
                continue  # what an allowed change does is each router's own test
            url = "http://hub" + _concrete(shared, path)
            answer = await client.request(method, url, content=b"{}", headers={"Content-Type": "application/json"})
            if allowed:
                assert answer.status_code not in (401, 403), (method, path)
            else:
                assert answer.status_code == 403, (method, path, answer.text)
                assert problem(answer)["code"] == "forbidden"


async def test_without_a_valid_token_every_route_answers_401_in_the_same_words(city: City, problem: Problem) -> None:
    expired = await seed.give_token(city.conn, "exp000000000", Role.ADMIN, EVERYTHING, expires_at=seed.at(0))
    revoked = await seed.give_token(city.conn, "rev000000000", Role.ADMIN, EVERYTHING, revoked_at=seed.at(0))
    good = city.tokens["admin"]
    shown = [
        None,
        "Bearer",
        f"Basic {good}",
        f"Bearer {good}x",
        f"Bearer {expired}",
        f"Bearer {revoked}",
        "Bearer \xff",
    ]
    bodies = set()
    async with city.client(None) as client:
        for authorization in shown:
            headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
            answer = await client.get("/devices", headers=headers)  # type: ignore[arg-type]
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            problem(answer)
            bodies.add(answer.content)
        for method, path, _ in GUARDED:
            answer = await client.request(method, "http://hub" + _concrete(city, path), json={})
            assert answer.status_code == 401, (method, path)
    assert len(bodies) == 1


FOREIGN = [
    ("GET", "/institutions/{institution}"),
    ("GET", "/devices/{device}"),
    ("GET", "/devices/{device}/points"),
    ("GET", "/devices/{device}/readings?point=level"),
    ("GET", "/devices/{device}/figures?point=level"),
    ("GET", "/devices/{device}/events"),
    ("GET", "/alarms/{alarm}"),
    ("GET", "/device-tests/{test}"),
    ("GET", "/coverage/{institution}"),
    ("GET", "/edges/{edge}"),
    ("POST", "/edges/{edge}/bundle"),
    ("POST", "/edges/{edge}/configuration"),
    ("POST", "/alarms/{alarm}/acknowledge"),
    ("POST", "/alarms/{alarm}/confirm"),
    ("POST", "/alarms/{alarm}/reset"),
    ("POST", "/alarms/{alarm}/note"),
    ("POST", "/devices/{device}/test"),
    ("POST", "/devices/{device}/admin-state"),
    ("DELETE", "/tokens/two000000000"),
]


@pytest.mark.parametrize(("method", "path"), FOREIGN)
async def test_what_belongs_to_another_is_404_in_the_words_of_what_does_not_exist(
    shared: City, problem: Problem, method: str, path: str
) -> None:
    bodies = {"note": {"note": "x"}, "admin-state": {"state": "out_of_service", "reason": "x"}}
    body = bodies.get(path.rpartition("/")[2])
    theirs = {
        "institution": "b-home",
        "edge": "b-edge",
        "device": "b-button",
        "alarm": str(shared.b.alarm),
        "test": str(shared.b.test),
    }
    nowhere = {
        "institution": "c-home",
        "edge": "c-edge",
        "device": "c-button",
        "alarm": "00000000-0000-0000-0000-000000000001",
        "test": "00000000-0000-0000-0000-000000000002",
    }
    async with shared.client("admin-a") as client:
        foreign = await client.request(method, path.format(**theirs), json=body)
        absent = await client.request(method, path.format(**nowhere).replace("two0", "thr0"), json=body)
    assert foreign.status_code == absent.status_code == 404
    text = foreign.text.replace("two0", "thr0")
    for name, value in theirs.items():
        text = text.replace(value, nowhere[name])
    assert text == absent.text
    problem(foreign)


async def test_a_foreign_alarm_is_not_touched_and_nothing_is_written_down(city: City) -> None:
    async with city.client("operator-a") as client:
        await client.post(f"/alarms/{city.b.alarm}/acknowledge", json={})
    row = await (await city.conn.execute("select state from alarm where id = %s", [city.b.alarm])).fetchone()
    assert row == ("unack_active",)
    assert await (await city.conn.execute("select count(*) from audit")).fetchone() == (0,)


async def test_lists_show_only_what_is_within_the_scope(shared: City) -> None:
    for token, mine, other in (("regulator-a", "a-", "b-"), ("reader-b", "b-", "a-")):
        async with shared.client(token) as client:
            for path in (
                "institutions",
                "zones",
                "positions",
                "devices",
                "device-status",
                "alarms",
                "policies",
                "quarantine",
            ):
                text = (await client.get(f"/{path}")).text
                assert mine in text, path
                assert f'"{other}' not in text, path


async def test_filters_cannot_reach_out_of_the_scope(shared: City) -> None:
    async with shared.client("admin-a") as client:
        for path in (
            "/devices?institution=b-home",
            "/alarms?institution=b-home",
            "/alarms?device=b-button",
            "/device-status?division=140404",
            "/zones?institution=b-home",
            "/institutions?group=b-group",
            "/quarantine?client=b-edge",
            "/policies?institution=b-home",
            "/register?division=140404",
        ):
            assert (await client.get(path)).json() == {"items": [], "next": None}, path


async def test_a_token_is_made_used_listed_and_revoked(city: City, problem: Problem) -> None:
    asked = {
        "name": "省平台 platform",
        "kind": "service",
        "role": "platform",
        "scope": {"divisions": ["140403"]},
        "expires_at": "2027-01-01T00:00:00+08:00",
    }
    async with city.client() as admin:
        made = await admin.post("/tokens", json=asked)
        assert made.status_code == 201
        city.tokens["new"] = made.json()["secret"]
        async with city.client("new") as holder:
            assert {row["institution"] for row in (await holder.get("/devices")).json()["items"]} == {"a-home"}
            [row] = [row for row in (await admin.get("/tokens")).json()["items"] if row["id"] == made.json()["id"]]
            assert row["expires_at"] == "2026-12-31T16:00:00.000000Z"
            assert row["last_used_at"] is not None
            assert made.json()["secret"] not in json.dumps(row)
            assert (await admin.delete(f"/tokens/{row['id']}")).status_code == 204
            problem(await holder.get("/devices"))
        log = (await admin.get("/audit", params={"target": f"token:{row['id']}"})).json()["items"]
    assert [line["action"] for line in log] == ["token.revoke", "token.create"]
    assert log[1]["actor"] == "holder of all000000000"
    assert city.tokens["new"][17:] not in json.dumps(log)


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"scope": {}}, 422, "#/scope"),
        ({"scope": {"institutions": ["nobody"]}}, 422, "#/scope/institutions"),
        ({"scope": {"everything": True, "x": 1}}, 422, "#/scope/x"),
        ({"role": "king"}, 422, "#/role"),
        ({"name": " "}, 422, "#/name"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "#/expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, 422, "#/expires_at"),
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(
    shared: City, problem: Problem, change: dict[str, Any], status: int, pointer: str
) -> None:
    asked = {"name": "x", "kind": "person", "role": "admin", "scope": {"everything": True}} | change
    async with shared.client() as client:
        answer = await client.post("/tokens", json=asked)
    assert answer.status_code == status
    assert problem(answer)["errors"][0]["pointer"] == pointer


async def test_an_admin_of_a_part_makes_no_token_for_the_whole(city: City, problem: Problem) -> None:
    asked = {"name": "x", "kind": "person", "role": "admin", "scope": {"everything": True}}
    async with city.client("admin-a") as client:
        answer = await client.post("/tokens", json=asked)
        assert problem(answer)["status"] == 403
        assert problem(await client.get("/audit"))["status"] == 403
        shown = {row["id"] for row in (await client.get("/tokens")).json()["items"]}
    assert shown == {f"one{number:09}" for number in range(5)}
