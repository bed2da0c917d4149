"""Attestations over the API: recorded, signed by another person, corrected, withdrawn, imported; never changed."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.api import seed
from tests.api.conftest import City
from tests.core.test_pictures import png

Problem = Callable[[httpx.Response], dict[str, Any]]
URL = "/attestations"
PICTURE = png(4, 4)
PATROL = {"institution": "a-home", "kind": "patrol", "done_by": "值班员", "zone": "nap", "note": "通道畅通"}


async def test_two_people_sign_a_patrol_and_neither_can_be_changed(city: City, problem: Problem) -> None:
    picture = base64.b64encode(PICTURE).decode()
    kept = {"name": "现场.jpg", "media_type": "image/jpeg", "content": picture}
    there = {"name": "原件", "link": "https://files.example/1", "sha256": "ab" * 32}
    async with city.client("operator") as client:
        answer = await client.post(URL, json={**PATROL, "attachments": [kept, there]})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["state"], made["takes_two"], made["kind_title"]["zh"]) == ("unsigned", True, "防火巡查")
        assert made["attachments"][0]["sha256"] == hashlib.sha256(PICTURE).hexdigest()
        assert made["attachments"][0]["media_type"] == "image/png", "what it is, not what it is called"
        one = f"{URL}/{made['id']}"
        assert (await client.get(f"{one}/attachments/1")).content == PICTURE
        assert problem(await client.get(f"{one}/attachments/2"))["status"] == 404
        assert "another one" in problem(await client.post(f"{one}/second"))["detail"]
        waiting = (await client.get(URL, params={"unsigned": True})).json()["items"]
        assert [row["id"] for row in waiting][:1] == [made["id"]]
    async with city.client("admin") as client:
        signed = (await client.post(f"{one}/second")).json()
        assert (signed["state"], signed["second"]) == ("stands", "holder of all000000000")
        assert problem(await client.post(f"{one}/second"))["status"] == 409
        corrected = (await client.post(f"{one}/correct", json={**PATROL, "note": "堵塞已清理"})).json()
        assert (corrected["supersedes"], corrected["state"], corrected["second"]) == (made["id"], "unsigned", None)
        assert (await client.get(one)).json()["state"] == "corrected"
        assert problem(await client.post(f"{one}/correct", json=PATROL))["status"] == 409
        two = f"{URL}/{corrected['id']}"
        assert problem(await client.post(f"{two}/correct", json={**PATROL, "kind": "sign"}))["status"] == 422
        assert (await client.post(f"{two}/withdraw", json={"note": "误录"})).status_code == 200
        standing = (await client.get(URL, params={"standing": True, "institution": "a-home"})).json()["items"]
        assert made["id"] not in {row["id"] for row in standing}
        assert corrected["id"] not in {row["id"] for row in standing}
    for table in ("attestation", "attestation_second", "attestation_attachment"):
        for verb in (
            "delete from {}",
            "update {} set " + ("id = id" if table == "attestation" else "attestation = attestation"),
        ):
            with pytest.raises(psycopg.errors.CheckViolation, match="never changed"):
                await city.conn.execute(verb.format(table).encode())
    with pytest.raises(psycopg.errors.CheckViolation):
        await city.conn.execute(
            "insert into attestation_second (attestation, signed_by) select id, recorded_by from attestation where supersedes is not null"
        )


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({**PATROL, "done_by": " "}, "done_by"),
        ({**PATROL, "at": seed.at(7200).isoformat()}, "at"),
        ({**PATROL, "expires_at": seed.at(-1).isoformat()}, "expires_at"),
        ({**PATROL, "zone": "nowhere"}, "zone"),
        ({**PATROL, "zone": None, "device": "b-button"}, "device"),
        ({**PATROL, "device": "a-button"}, "zone"),
        ({"institution": "a-home", "kind": "filing_receipt"}, "number"),
        ({"institution": "a-home", "kind": "extinguishers"}, "value"),
        ({"institution": "a-home", "kind": "sign", "value": 1}, "value"),
        ({"institution": "a-home", "kind": "gossip"}, "kind"),
        ({**PATROL, "attachments": [{"name": "x"}]}, "attachments"),
        ({**PATROL, "attachments": [{"name": "x", "content": "?"}]}, "content"),
        (
            {
                **PATROL,
                "attachments": [{"name": "x", "content": base64.b64encode(PICTURE).decode(), "sha256": "00" * 32}],
            },
            "sha256",
        ),
        ({**PATROL, "attachments": [{"name": "x.png", "content": "PHN2Zz4="}]}, "content"),
        ({**PATROL, "attachments": [{"name": "x", "link": "https://x.example/"}]}, "attachments"),
    ],
)
async def test_what_cannot_stand_as_evidence_is_refused_by_its_field(
    shared: City, problem: Problem, given: dict[str, Any], field: str
) -> None:
    async with shared.client("operator") as client:
        answer = await client.post(URL, json=given)
    assert answer.status_code == 422
    assert field in str(problem(answer)["errors"])


async def test_attestations_of_others_do_not_exist(shared: City, problem: Problem) -> None:
    async with shared.client("operator-a") as client:
        answer = await client.post(URL, json={"institution": "b-home", "kind": "sign"})
        assert problem(answer)["status"] == 404
    async with shared.client("platform") as client:
        assert problem(await client.post(URL, json=PATROL))["status"] == 403
    async with shared.client("operator") as client:  # nobody checks themselves on the spot
        check = {"institution": "a-home", "kind": "spot_check"}
        assert problem(await client.post(URL, json=check))["status"] == 403


async def test_a_drill_or_a_window_proves_only_what_it_was(city: City, problem: Problem) -> None:
    drill, window = "00000000-0000-0000-0000-00000000d111", "00000000-0000-0000-0000-00000000f111"
    await city.conn.execute(
        "insert into drill (id, title_zh, title_en, institution, starts_at, ends_at, declared_by, declared_at)"
        " values (%s, '演练', 'Drill', %s, %s, %s, 'x', %s)",
        [drill, city.a.key, seed.at(-7200), seed.at(-3600), seed.at(-9000)],
    )
    await city.conn.execute(
        "insert into police_window (id, device, institution, reference, agreed_by, starts_at, ends_at, booked_by)"
        " values (%s, %s, %s, '7', 'x', %s, %s, 'x')",
        [window, city.a.button_key, city.a.key, seed.at(-7200), seed.at(-3600)],
    )
    test = {"institution": "a-home", "kind": "police_test", "number": "7", "window": window}
    async with city.client("operator") as client:
        asked = {"institution": "a-home", "kind": "drill", "drill": drill}
        assert problem(await client.post(URL, json=asked))["status"] == 409  # no press of it was here
        await city.conn.execute(
            "insert into drill_press (drill, n, institution, position, signal_class, at, since, until)"
            " select %s, 0, institution, key, 'panic', %s, %s, %s from position where institution = %s",
            [drill, seed.at(-7000), seed.at(-7100), seed.at(-6900), city.a.key],
        )
        assert (await client.post(URL, json=asked)).status_code == 201
        assert problem(await client.post(URL, json={**PATROL, "drill": drill}))["status"] == 422
        assert problem(await client.post(URL, json=test))["status"] == 409  # the centre has confirmed nothing
        await city.conn.execute(
            "update police_window set receipt_number = '7', receipt_text = 'ok', receipt_by = 'x', receipt_at = now()"
        )
        assert (await client.post(URL, json=test)).status_code == 201


async def test_a_table_is_recorded_whole_or_not_at_all_and_once(city: City, problem: Problem) -> None:
    header = "机构,类别,时间,执行人,编号,问题\n"
    rows = "a-home,防火巡查,2026-11-20 08:30,值班员,,\na-home,filing_receipt,2026-09-01,,晋托备1号,\n"
    table = (header + rows).encode("gb18030")
    imports = f"{URL}/imports"
    async with city.client("operator") as client:
        dry = (await client.post(imports, content=table)).json()
        assert (dry["applied"], dry["recorded"], dry["problems"]) == (False, 2, [])
        done = (await client.post(imports, params={"apply": True}, content=table)).json()
        assert (done["recorded"], done["already"]) == (2, 0)
        again = (await client.post(imports, params={"apply": True}, content=table)).json()
        assert (again["recorded"], again["already"]) == (0, 2)
        wrong = (header + rows + "c-home,sign,2026-09-01,,,\na-home,patrol,gestern,,,\n").encode()
        answer = await client.post(
            imports, params={"apply": True}, content=wrong.replace(b"2026-09-01,,", b"2026-09-02,,")
        )
        said = problem(answer)
        assert answer.status_code == 422
        assert [one["pointer"] for one in said["errors"]] == ["row 5, column C", "row 4"]
        found = (await client.get(URL, params={"institution": "a-home"})).json()["items"]
        assert sorted(row["kind"] for row in found) == ["filing_receipt", "patrol", "patrol"]  # one of them seeded
