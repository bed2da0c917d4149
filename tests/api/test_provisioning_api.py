"""Plan, apply and bundles over the API: what it answers, and to whom."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from hub.bundle import parse_bundle
from tests.api.conftest import City
from tests.api.seed import PROFILE

BUTTON = PROFILE.profile
TITLE = {"zh": "名", "en": "name"}
Problem = Callable[[httpx.Response], dict[str, Any]]


def document(**changed: Any) -> dict[str, Any]:
    """A new institution in the division of tenant a, with a button behind a Modbus endpoint and a policy that covers it."""
    institution = {
        "id": "new-home",
        "division": "140403",
        "type": "home_point",
        "title": TITLE,
        "zones": [{"id": "hall", "purpose": "lobby", "title": TITLE}],
        "positions": [{"id": "desk", "zone": "hall", "title": TITLE}],
        "edges": [],
        "endpoints": [],
        "devices": [],
        **changed,
    }
    return {"institutions": [institution]}


async def test_a_plan_says_what_would_be_and_writes_nothing(city: City) -> None:
    async with city.client("installer") as client:
        answer = await client.post("/plan", json=document())
        found = answer.json()
        assert answer.status_code == 200
        assert [(row["action"], row["kind"], row["id"]) for row in found["changes"]] == [
            ("create", "institution", "new-home"),
            ("create", "zone", "hall"),
            ("create", "position", "desk"),
        ]
        assert {"name": "zone", "before": None, "after": "hall"} in found["changes"][2]["fields"]
        assert [row["code"] for row in found["warnings"]] == ["not-registered"]
        assert (found["applied"], found["errors"]) == (False, [])
        assert (await client.get("/institutions/new-home")).status_code == 404


async def test_what_was_applied_is_there_and_applying_again_changes_nothing(city: City) -> None:
    async with city.client("installer") as client:
        planned = (await client.post("/plan", json=document())).json()
        applied = await client.post("/apply", params={"digest": planned["digest"]}, json=document())
        assert (applied.status_code, applied.json()["applied"]) == (200, True)
        shown = (await client.get("/institutions/new-home")).json()
        assert [zone["id"] for zone in shown["zones"]] == ["hall"]
        assert (await client.post("/apply", json=document())).json()["changes"] == []


async def test_a_contradiction_is_refused_with_all_its_places(city: City, problem: Problem) -> None:
    wrong = document(
        positions=[{"id": "desk", "zone": "attic", "title": TITLE}],
        devices=[{"id": "new-button", "profile": "nothing", "position": "roof"}],
    )
    async with city.client("installer") as client:
        planned = (await client.post("/plan", json=wrong)).json()
        answer = await client.post("/apply", json=wrong)
        found = problem(answer)
        assert (found["status"], found["code"]) == (422, "manifest")
        places = [row["pointer"] for row in found["errors"]]
        assert places == [row["pointer"] for row in planned["errors"]]
        assert set(places) == {
            "#/institutions/0/positions/0/zone",
            "#/institutions/0/devices/0/position",
            "#/institutions/0/devices/0/profile",
        }
        assert (await client.get("/institutions/new-home")).status_code == 404


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"colour": "red"}, "#/institutions/0/colour"),
        ({"zones": [{"id": "hall", "purpose": "lobby"}]}, "#/institutions/0/zones/0/title"),
        ({"capacity": "many"}, "#/institutions/0/capacity"),
        ({"title": {"zh": "\u0000", "en": "x"}}, "#/institutions/0/title/zh"),
    ],
)
async def test_what_is_no_manifest_is_refused_where_it_stands(
    city: City, problem: Problem, changed: dict[str, Any], pointer: str
) -> None:
    async with city.client("installer") as client:
        for path in ("/plan", "/apply"):
            found = problem(await client.post(path, json=document(**changed)))
            assert found["status"] == 422
            assert pointer in [row["pointer"] for row in found["errors"]]


async def test_another_plan_than_was_looked_at_is_a_conflict(city: City, problem: Problem) -> None:
    async with city.client("installer") as client:
        answer = await client.post("/apply", params={"digest": "0" * 32}, json=document())
        assert problem(answer)["status"] == 409
        assert problem(await client.post("/apply", params={"digest": "x"}, json=document()))["status"] == 422


async def test_the_roles_and_scopes_that_may_provision(city: City) -> None:
    for path in ("/plan", "/apply", "/edges/a-edge/bundle", "/edges/a-edge/configuration"):
        for role in ("regulator", "operator", "platform"):
            async with city.client(role) as client:
                assert (await client.post(path, json=document())).status_code == 403
    async with city.client("installer-a") as client:
        assert (await client.post("/plan", json=document())).status_code == 403


async def test_a_bundle_is_complete_never_cached_and_only_for_its_scope(city: City) -> None:
    edge = {"id": "new-edge", "profile": BUTTON}
    async with city.client("installer") as client:
        refused = (await client.post("/plan", json=document(edges=[edge]))).json()
        assert "is not the profile of an edge" in refused["errors"][0]["message"]
        assert (await client.post("/edges/nobody/bundle")).status_code == 404
    await city.conn.execute(
        "with d as (insert into device (id, institution, profile, kind, lane)"
        " select 'z-edge', key, %s, 'edge', 'bulk' from institution where id = 'a-home' returning key),"
        " s as (insert into device_state (device) select key from d)"
        " insert into client (name, device) select 'z-edge', key from d",
        [BUTTON],
    )
    await city.conn.commit()
    async with city.client("installer-a") as client:
        answer = await client.post("/edges/z-edge/bundle")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        bundle = parse_bundle(answer.content, "answer")
        assert (bundle.edge, bundle.institution, bundle.broker.username) == ("z-edge", "a-home", "z-edge")
        assert len(bundle.broker.password.get_secret_value()) >= 40
        assert bundle.configuration == 1
        assert bundle.trust is not None
        (edge,) = [row for row in (await client.get("/edges")).json()["items"] if row["id"] == "z-edge"]
        assert (edge["wanted"], edge["running"], edge["state"]) == (1, None, "unknown")
        again = (await client.post("/edges/z-edge/configuration")).json()
        assert (again["wanted"], again["problem"], again["refused"]) == (2, "", 0)
        another = parse_bundle((await client.post("/edges/z-edge/bundle")).content, "answer")
        assert another.configuration == 2, "the same content is the same version"
        assert another.trust is not None
        assert another.trust.key == bundle.trust.key
        assert another.trust.seal != bundle.trust.seal
