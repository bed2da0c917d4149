"""Alarms handed to authorities: who may, what is recorded, and that no exercise ever is."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from hub.model import Exercise
from hub.notify.authority import handover_id
from hub.store.handovers import begin
from hub.store.pool import connect
from tests.api.conftest import City
from tests.paging import SECRET

Problem = Callable[[httpx.Response], dict[str, Any]]
POLICE = {
    "kind": "police",
    "title": {"zh": "城区公安分局", "en": "City police"},
    "division": "140403",
    "phone": "110",
    "channels": [
        {"id": "desk", "kind": "webhook", "settings": {"url": "https://police.example/hidden-token", "secret": SECRET}}
    ],
}


@pytest.fixture
async def police(city: City) -> City:
    """The city with an authority for tenant a's division."""
    async with city.client() as client:
        answer = await client.put("/authorities/police-a", json=POLICE)
        assert answer.status_code == 200, answer.text
    return city


async def fetch(city: City, statement: str, *given: Any) -> list[Any]:
    return await (await city.conn.execute(statement.encode(), given)).fetchall()


async def test_an_alarm_is_handed_over_received_and_arrived_each_with_who_and_when(police: City) -> None:
    path = f"/alarms/{police.a.alarm}/handovers"
    async with police.client("operator-a") as client:
        answer = await client.post(path, json={"authority": "police-a", "note": "有人闯入"})
        assert answer.status_code == 200, answer.text
        (begun,) = answer.json()
        assert (begun["begun_by"], begun["automatic"], begun["phone"]) == ("holder of one000000002", False, "110")
        assert begun["received_at"] is None
        assert [(row["channel"], row["state"]) for row in begun["messages"]] == [("desk", "pending")]
        (received,) = (
            await client.post(
                f"{path}/police-a/received", json={"received_by": "接警台 3 号", "reference": "JJ-2026-118"}
            )
        ).json()
        assert (received["received_by"], received["reference"]) == ("接警台 3 号", "JJ-2026-118")
        assert received["received_recorded_by"] == "holder of one000000002"
        assert received["received_at"] >= received["begun_at"]
        (arrived,) = (await client.post(f"{path}/police-a/arrived", json={"note": "两人到场"})).json()
        assert arrived["arrived_at"] >= received["received_at"]
        shown = (await client.get(f"/alarms/{police.a.alarm}")).json()
    assert [(row["event"], row["note"]) for row in shown["transitions"]][1:] == [
        ("hand_over", "police-a: 有人闯入"),
        ("handover_received", "police-a: 接警台 3 号, JJ-2026-118"),
        ("handover_arrived", "police-a: 两人到场"),
    ]
    assert {row["from_state"] for row in shown["transitions"][1:]} == {shown["state"]}
    actions = [row[0] for row in await fetch(police, "select action from audit order by key")]
    assert actions == ["authority.put", "alarm.hand-over", "alarm.handover-received", "alarm.handover-arrived"]
    said = await fetch(police, "select payload ->> 'state' from change where kind = 'handover' order by seq")
    assert [row[0] for row in said] == ["begun", "received", "arrived"]


async def test_handing_over_twice_at_once_is_done_once(police: City) -> None:
    path = f"/alarms/{police.a.alarm}/handovers"
    async with police.client("operator") as one, police.client("operator-a") as two:
        answers = await asyncio.gather(*(who.post(path, json={"authority": "police-a"}) for who in (one, two, one)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert await fetch(police, "select count(*) from handover") == [(1,)]
    assert await fetch(police, "select count(*) from handover_message") == [(1,)]
    assert await fetch(police, "select count(*) from alarm_transition where event = 'hand_over'") == [(1,)]


@pytest.mark.parametrize("kind", Exercise)
async def test_an_exercise_is_never_handed_over_by_api_store_or_table(
    police: City, problem: Problem, kind: str
) -> None:
    alarm = uuid4()
    await police.conn.execute(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at,"
        " received_at, exercise) select %s, device, institution, definition, 'x', signal_class, priority, state, latching, now(), now(), %s"
        " from alarm where id = %s",
        (alarm, kind, police.a.alarm),
    )
    async with police.client("operator-a") as client:
        answer = await client.post(f"/alarms/{alarm}/handovers", json={"authority": "police-a"})
    assert (answer.status_code, problem(answer)["code"]) == (409, "conflict")
    assert kind in answer.json()["detail"]
    assert await fetch(police, "select count(*) from handover") == [(0,)]
    for is_real in (True, False):
        with pytest.raises(psycopg.errors.IntegrityError):
            await police.conn.execute(
                "insert into handover (id, alarm, is_real, authority, institution, automatic, begun_by)"
                " select %s, id, %s, 'police-a', institution, false, 'somebody' from alarm where id = %s",
                (handover_id(alarm, "police-a"), is_real, alarm),
            )


async def test_an_alarm_that_was_handed_over_cannot_be_made_an_exercise_even_without_triggers(police: City) -> None:
    async with police.client("operator-a") as client:
        await client.post(f"/alarms/{police.a.alarm}/handovers", json={"authority": "police-a"})
    await police.conn.execute("alter table alarm disable trigger alarm_exercise_lost")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await police.conn.execute("update alarm set exercise = 'drill' where id = %s", (police.a.alarm,))


async def test_reception_stands_once_and_not_before_it_was_handed_over(police: City, problem: Problem) -> None:
    path = f"/alarms/{police.a.alarm}/handovers"
    async with police.client("operator-a") as client:
        early = await client.post(f"{path}/police-a/received", json={"received_by": "somebody"})
        assert early.status_code == 404
        await client.post(path, json={"authority": "police-a"})
        before = await client.post(f"{path}/police-a/received", json={"received_by": "x", "at": "2020-01-01T00:00:00Z"})
        assert problem(before)["status"] == 409
        ahead = await client.post(f"{path}/police-a/received", json={"received_by": "x", "at": "2199-01-01T00:00:00Z"})
        assert problem(ahead)["status"] == 422
        assert (await client.post(f"{path}/police-a/received", json={"received_by": ""})).status_code == 422
        assert (await client.post(f"{path}/police-a/received", json={"received_by": "one"})).status_code == 200
        again = await client.post(f"{path}/police-a/received", json={"received_by": "two"})
        assert problem(again)["status"] == 409
    assert await fetch(police, "select received_by from handover") == [("one",)]


async def test_an_authority_is_asked_only_for_its_own_division_and_by_who_may_act(
    police: City, problem: Problem
) -> None:
    async with police.client("operator") as client:
        beyond = await client.post(f"/alarms/{police.b.alarm}/handovers", json={"authority": "police-a"})
        assert (beyond.status_code, problem(beyond)["code"]) == (409, "conflict")
        nobody = await client.post(f"/alarms/{police.a.alarm}/handovers", json={"authority": "nobody"})
        assert nobody.status_code == 404
    async with police.client("regulator") as client:
        refused = await client.post(f"/alarms/{police.a.alarm}/handovers", json={"authority": "police-a"})
        assert refused.status_code == 403
    async with police.client("reader-b") as client:
        assert (await client.get(f"/alarms/{police.a.alarm}/handovers")).status_code == 404
        assert (await client.get("/authorities")).json() == []


async def test_authorities_are_shown_without_addresses_and_secrets_and_set_up_within_the_scope_alone(
    police: City, problem: Problem
) -> None:
    async with police.client("operator-a") as client:
        answer = await client.get("/authorities", params={"institution": "a-home"})
        (shown,) = answer.json()
        assert (shown["id"], shown["channels"]) == ("police-a", [{"id": "desk", "kind": "webhook"}])
        for secret in ("hidden-token", SECRET):
            assert secret not in answer.text
        assert (await client.put("/authorities/other", json=POLICE)).status_code == 403
    async with police.client("admin-a") as client:
        assert problem(await client.put("/authorities/other", json=POLICE))["status"] == 403
        assert problem(await client.delete("/authorities/police-a"))["status"] == 403
    async with police.client() as client:
        wrong = {
            **POLICE,
            "channels": [{"id": "desk", "kind": "webhook", "settings": {"url": "hidden-token", "secret": "s"}}],
        }
        refused = await client.put("/authorities/other", json=wrong)
        assert refused.status_code == 422
        assert "hidden-token" not in refused.text
        lonely = await client.put("/authorities/other", json={**POLICE, "automatic_classes": ["fire"]})
        assert lonely.status_code == 422
        intrusion = {**POLICE, "automatic_classes": ["intrusion"], "automatic_after": 0}
        assert (await client.put("/authorities/other", json=intrusion)).status_code == 422
        assert (await client.delete("/authorities/police-a")).status_code == 204
        gone = await client.post(f"/alarms/{police.a.alarm}/handovers", json={"authority": "police-a"})
        assert gone.status_code == 404
    log = await fetch(police, "select detail::text from audit")
    assert all("hidden-token" not in row[0] and SECRET not in row[0] for row in log)


async def test_an_address_or_number_of_an_authority_is_no_responders_whichever_comes_first(
    police: City, problem: Problem
) -> None:
    put = (
        "insert into responder_channel (responder, id, kind, settings) values ('a-duty', %s, 'x', %s)"
        " on conflict (responder, id) do update set settings = excluded.settings"
    )
    (row,) = await fetch(police, "select settings ->> 'url' from authority_channel where authority = 'police-a'")
    await police.conn.execute("update authority set phone = '0355-1234567' where id = 'police-a'")
    for settings in ({"url": row[0]}, {"url": row[0].upper() + "?x=1"}, {"number": "+8603551234567"}):
        with pytest.raises(psycopg.errors.CheckViolation, match="an authority is told there"):
            await police.conn.execute(put, ("theirs", json.dumps(settings)))
    await police.conn.execute(put, ("ours", json.dumps({"url": "https://ours.invalid/desk", "number": "1"})))
    await police.conn.execute(put, ("phone", json.dumps({"number": "13900000000"})))
    desk = {"id": "desk", "kind": "webhook", "settings": {"url": "https://ours.invalid/desk", "secret": SECRET}}
    async with police.client() as client:
        for wrong in ({"channels": [desk]}, {"phone": "139 0000 0000"}):
            said = problem(await client.put("/authorities/other", json={**POLICE, **wrong}))
            assert (said["status"], "authority_is_no_responder" in said["detail"]) == (409, True)
        assert (await client.delete("/authorities/police-a")).status_code == 204
    await police.conn.execute(put, ("theirs", json.dumps({"url": row[0]})))  # nobody is told there any more


async def test_a_standing_order_is_for_fire_and_panic_alone_by_the_table_itself(police: City) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await police.conn.execute(
            "update authority set automatic_classes = '{intrusion}', automatic_after = '0' where id = 'police-a'"
        )


async def test_the_store_says_whether_it_was_the_first(police: City) -> None:
    conn = await connect(police.url, "test")
    async with conn:
        alarm = UUID(str(police.a.alarm))
        given = (handover_id(alarm, "police-a"), alarm, "police-a", "me", "")
        assert await begin(conn, *given) is True
        assert await begin(conn, *given) is False
