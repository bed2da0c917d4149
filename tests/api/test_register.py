"""The register over the API: lists that are taken in, what it said on past days, who may; zone plans, re-typing, views."""

import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from hub.core.coverage.zone_plan import digest
from hub.core.rights import Role, Scope
from tests.api import seed
from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]
HEADER = "备案号,机构名称,机构类型,托位数,行政区划\n"
KEPT = "F-a,园,private,60,140403\n"
LIST = HEADER + KEPT + "N-1,新园,社会办托育机构,30,区划140403\n"
IMPORTS = "/register/imports"


async def regulator(city: City, *divisions: str) -> None:
    """A token `regulator-d` of a regulator over these divisions."""
    secret = await seed.give_token(city.conn, "div000000000", Role.REGULATOR, Scope(divisions=divisions))
    city.tokens["regulator-d"] = secret


async def entries(client: httpx.AsyncClient, **asked: str) -> dict[str, Any]:
    answer = await client.get("/register", params={"division": "140403", **asked})
    return {row["filing_number"]: row for row in answer.json()["items"]}


async def test_a_list_is_a_plan_first_then_one_transaction_and_the_past_stays(city: City, problem: Problem) -> None:
    await regulator(city, "140403")
    asked: dict[str, Any] = {"division": "140403", "file_name": "名册.csv"}
    async with city.client("regulator-d") as client:
        plan = (await client.post(IMPORTS, params=asked, content=LIST.encode("gb18030"))).json()
        assert (plan["applied"], plan["added"], plan["changed"], plan["withdrawn"]) == (False, 1, 1, 1)
        assert [row["filing_number"] for row in plan["withdrawals"]] == ["F-a-missing"]
        assert plan["sha256"] == hashlib.sha256(LIST.encode("gb18030")).hexdigest()
        assert set(await entries(client)) == {"F-a", "F-a-missing"}  # nothing was written
        row = await (await city.conn.execute("select clock_timestamp()")).fetchone()
        assert row is not None
        moment = row[0]

        moved = {**asked, "apply": True, "digest": "0" * 32}
        assert problem(await client.post(IMPORTS, params=moved, content=LIST.encode()))["status"] == 409
        done = (
            await client.post(IMPORTS, params={**asked, "apply": True, "digest": plan["digest"]}, content=LIST.encode())
        ).json()
        assert done["applied"]
        now = await entries(client)
        assert {number: row["institution"] for number, row in now.items()} == {"F-a": "a-home", "N-1": None}
        assert set(await entries(client, at=moment.isoformat())) == {"F-a", "F-a-missing"}
        [version] = (await client.get("/register/versions", params={"filing_number": "F-a-missing"})).json()
        assert version["until"] is not None
        [newest, first] = (await client.get("/register/versions", params={"filing_number": "F-a"})).json()
        assert (newest["import"], newest["type"], first["type"]) == (done["id"], "private", "comprehensive")
        assert newest["actor"] == "holder of div000000000"

        again = (await client.post(IMPORTS, params={**asked, "apply": True}, content=LIST.encode())).json()
        assert (again["added"], again["changed"], again["withdrawn"], again["same"]) == (0, 0, 0, 2)
        kept = (await client.get(IMPORTS)).json()["items"]
        assert [(row["file_name"], row["added"]) for row in kept] == [("名册.csv", 0), ("名册.csv", 1)]

        # an entry that comes back is that of the institution that was connected under it
        only_new = HEADER + "N-1,新园,private,30,140403\n"
        await client.post(IMPORTS, params={**asked, "apply": True}, content=only_new.encode())
        shown = (await client.get("/institutions/a-home")).json()
        assert (shown["registered"], shown["filing_number"]) == (False, None)
        await client.post(IMPORTS, params={**asked, "apply": True}, content=LIST.encode())
        assert (await client.get("/institutions/a-home")).json()["registered"]


async def test_a_list_with_a_bad_row_changes_nothing_or_with_skip_bad_withdraws_nothing(
    city: City, problem: Problem
) -> None:
    bad = LIST + "F-b,园,private,1,140403\nX,,学校,-1,1\n"
    asked: dict[str, Any] = {"division": "140403", "apply": True}
    async with city.client("regulator") as client:
        answer = await client.post(IMPORTS, params=asked, content=bad.encode())
        said = problem(answer)
        assert answer.status_code == 422
        assert [one["pointer"] for one in said["errors"]] == [
            *(f"row 5, column {letter}" for letter in "BECD"),
            "备案号 F-b",
        ]
        assert set(await entries(client)) == {"F-a", "F-a-missing"}
        done = (await client.post(IMPORTS, params={**asked, "skip_bad": True}, content=bad.encode())).json()
        assert (done["added"], done["withdrawn"], done["bad_rows"]) == (1, 0, 2)
        assert set(await entries(client)) == {"F-a", "F-a-missing", "N-1"}


async def test_the_register_is_the_regulators_within_its_divisions(shared: City, problem: Problem) -> None:
    asked = {"division": "140403"}
    for token, status in (("installer", 403), ("operator", 403), ("platform", 403), ("reader-b", 403)):
        async with shared.client(token) as client:
            assert problem(await client.post(IMPORTS, params=asked, content=LIST.encode()))["status"] == status, token
    async with shared.client("regulator") as client:
        for division, content, code in (
            ("99", LIST, 422),
            ("1404", "a,b\n1,2", 422),
            ("1404", HEADER, 422),
            ("1404", "", 422),
        ):
            answer = await client.post(IMPORTS, params={"division": division}, content=content.encode())
            assert answer.status_code == code, answer.text


async def test_a_zone_plan_is_signed_as_it_is_and_every_change_that_counts_ends_that(
    city: City, problem: Problem
) -> None:
    plan, signatures = "/institutions/a-home/zone-plan", "/institutions/a-home/zone-plan/signatures"

    async def state() -> str:
        async with city.client("regulator") as client:
            return str((await client.get(plan)).json()["state"])

    async with city.client("regulator") as client:
        shown = (await client.get(plan)).json()
        assert shown["state"] == "unsigned"
        assert shown["digest"] == digest(shown["plan"])
        assert problem(await client.post(signatures, json={"digest": "0" * 64}))["status"] == 409
        signed = await client.post(signatures, json={"digest": shown["digest"], "note": "现场核对"})
        assert (signed.status_code, signed.json()["state"]) == (201, "signed")
        assert problem(await client.post(signatures, json={"digest": shown["digest"]}))["status"] == 409
        waiting = (await client.get("/zone-plans", params={"state": "unsigned"})).json()["items"]
        assert [row["institution"] for row in waiting] == ["b-home"]
    async with city.client("installer") as client:
        assert problem(await client.post(signatures, json={"digest": shown["digest"]}))["status"] == 403
    await city.conn.execute("update zone set title_zh = '午睡室' where id = 'nap'")
    assert await state() == "signed"  # a name is no part of it
    for change in (
        "update zone set area_m2 = 31 where id = 'nap'",
        "update zone set purpose = 'toilet' where id = 'nap'",
        "update zone set entrances = '{door}' where id = 'nap'",
        "update zone set retired_at = now() where id = 'door'",
        "insert into floor_plan (institution, floor, media_type, width, height, sha256, image, updated_by)"
        " select key, 1, 'image/png', 1, 1, sha256('x'), 'x', 'x' from institution where id = 'a-home'",
    ):
        await city.conn.execute(change.encode())
        assert await state() == "changed", change
        async with city.client("regulator") as client:
            now = (await client.get(plan)).json()["digest"]
            assert (await client.post(signatures, json={"digest": now})).status_code == 201
    async with city.client("regulator") as client:
        kept = (await client.get(signatures)).json()
    assert len(kept) == 6
    assert all(digest(one["plan"]) == one["digest"] for one in kept)
    with pytest.raises(Exception, match="never changed"):
        await city.conn.execute("delete from zone_plan_signature")


async def test_a_retyped_or_moved_institution_is_seen_above_also_by_the_division_that_it_left(city: City) -> None:
    await regulator(city, "140403")
    await city.conn.execute("select set_config('anxin.actor', 'somebody', false)")
    await city.conn.execute("update institution set type = 'home_point' where id = 'a-home'")
    await city.conn.execute("update institution set division = '140404' where id = 'a-home'")
    async with city.client("regulator-d") as client:
        rows = (await client.get("/retypings")).json()["items"]
        assert [
            (row["type_after"], row["division_before"], row["division_after"], row["actor"]) for row in rows[:2]
        ] == [
            ("home_point", "140403", "140404", "somebody"),
            ("home_point", "140403", "140403", "somebody"),
        ]
        assert [row["institution"] for row in rows] == ["a-home"] * 3
        page = (await client.get("/retypings", params={"limit": 1})).json()
        rest = (await client.get("/retypings", params={"limit": 10, "cursor": page["next"]})).json()
        assert [*page["items"], *rest["items"]] == rows
    found = await (
        await city.conn.execute("select payload ->> 'type_after' from change where kind = 'retyping'")
    ).fetchall()
    assert found == [("home_point",), ("home_point",)]


async def test_a_view_is_attested_for_the_camera_that_stands_there(city: City, problem: Problem) -> None:
    attest = "/devices/a-button/views/attest"
    async with city.client("installer") as client:
        [view] = (await client.get("/views", params={"institution": "a-home"})).json()["items"]
        assert (view["zone"], view["share"], view["attested_at"], view["swapped"]) == ("nap", 0.5, None, False)
        for wrong in ([{"zone": "nap", "share": 0.9}], [{"zone": "door", "share": 0.5}]):
            assert problem(await client.post(attest, json={"views": wrong}))["status"] == 409
        for refused in ([{"zone": "nap", "share": 0}], [{"zone": "nap", "share": 1.01}], []):
            assert problem(await client.post(attest, json={"views": refused}))["status"] == 422
        [done] = (await client.post(attest, json={"views": [{"zone": "nap", "share": 0.5}]})).json()
        assert done["attested_by"] == "holder of all000000001"
        await city.conn.execute("update device set position = null where id = 'a-button'")
        await city.conn.execute(
            "update device set position = (select key from position where institution = %s) where id = 'a-edge'",
            [city.a.key],
        )
        [swapped] = (await client.get("/views", params={"institution": "a-home"})).json()["items"]
        assert (swapped["device"], swapped["attested_at"], swapped["swapped"]) == ("a-edge", None, True)
    async with city.client("platform") as client:
        assert problem(await client.post(attest, json={"views": [{"zone": "nap", "share": 0.5}]}))["status"] == 403
