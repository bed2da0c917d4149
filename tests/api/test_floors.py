"""Floor plans over the API: stored, shown, deleted, and only within one's scope."""

import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from hub.core.pictures import MAX_BYTES
from hub.store import premises
from tests.api.conftest import City
from tests.core.test_pictures import jpeg, png

Problem = Callable[[httpx.Response], dict[str, Any]]
PLAN = "/institutions/a-home/floors/1/plan"


async def test_a_plan_comes_back_as_it_was_given_with_the_type_of_its_bytes(city: City) -> None:
    async with city.client("installer-a") as client:
        answer = await client.put(PLAN, content=png(40, 30), headers={"Content-Type": "text/html"})
        assert answer.status_code == 204
        assert [row for row in (await client.get("/institutions/a-home/floors")).json() if row.pop("updated_at")] == [
            {
                "floor": 1,
                "media_type": "image/png",
                "width": 40,
                "height": 30,
                "bytes": len(png(40, 30)),
                "sha256": hashlib.sha256(png(40, 30)).hexdigest(),
                "updated_by": "holder of one000000001",
            }
        ]
        shown = await client.get(PLAN)
        assert shown.content == png(40, 30)
        assert shown.headers["content-type"] == "image/png"
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in shown.headers["content-security-policy"]
        assert (await client.put(PLAN, content=jpeg(8, 9))).status_code == 204
        assert (await client.get(PLAN)).headers["content-type"] == "image/jpeg"
        assert (await client.delete(PLAN)).status_code == 204
        assert (await client.get(PLAN)).status_code == 404
        assert (await client.delete(PLAN)).status_code == 404
    row = await (await city.conn.execute("select count(*) from audit where action like 'floor-plan.%'")).fetchone()
    assert row == (3,)


async def test_a_plan_outside_ones_scope_does_not_exist(city: City) -> None:
    async with city.client("installer") as client:
        assert (await client.put("/institutions/b-home/floors/1/plan", content=png(4, 3))).status_code == 204
    async with city.client("installer-a") as client:
        for method in ("GET", "PUT", "DELETE"):
            answer = await client.request(method, "/institutions/b-home/floors/1/plan", content=png(4, 3))
            assert answer.status_code == 404, method
        assert (await client.get("/institutions/b-home/floors")).status_code == 404


@pytest.mark.parametrize("image", [b"<svg onload='alert(1)'/>", b"", png(3, 3) + bytes(MAX_BYTES)])
async def test_what_is_no_picture_is_refused_and_nothing_is_stored(city: City, problem: Problem, image: bytes) -> None:
    async with city.client("installer") as client:
        answer = await client.put(PLAN, content=image, headers={"Content-Type": "image/png"})
        assert problem(answer)["code"] == "picture"
        assert (await client.get("/institutions/a-home/floors")).json() == []


async def test_an_institution_has_only_so_many_plans(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(premises, "MAX_PLANS", 1)
    async with city.client("installer") as client:
        assert (await client.put(PLAN, content=png(4, 3))).status_code == 204
        assert (await client.put(PLAN, content=png(4, 4))).status_code == 204
        assert (await client.put("/institutions/a-home/floors/2/plan", content=png(4, 3))).status_code == 409


async def test_an_institution_shows_its_contacts_and_places_on_the_plan(city: City) -> None:
    await city.conn.execute(
        """update institution set contacts = '[{"title_zh": "园长", "title_en": "Head", "phone": "110"}]' where id = 'a-home'"""
    )
    await city.conn.execute("update position set plan_x = 0.25, plan_y = 0.5 where institution = %s", [city.a.key])
    async with city.client("regulator-a") as client:
        found = (await client.get("/institutions/a-home")).json()
        assert found["contacts"] == [{"title_zh": "园长", "title_en": "Head", "phone": "110"}]
        assert [(place["plan_x"], place["plan_y"]) for place in found["positions"]] == [(0.25, 0.5)]
