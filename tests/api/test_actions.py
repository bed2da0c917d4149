"""What people do: acknowledge, reset, note, test, in and out of service. Every deed stands in the audit log."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]


async def log(city: City) -> list[tuple[str, str, str]]:
    rows = await (await city.conn.execute("select action, target, actor from audit order by key")).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


async def changes(city: City) -> list[tuple[str, dict[str, Any]]]:
    rows = await (await city.conn.execute("select kind, payload from change order by txid, seq")).fetchall()
    return [(row[0], row[1]) for row in rows]


async def test_acknowledging_stops_the_escalation_and_names_the_person(city: City) -> None:
    async with city.client("operator-a") as client:
        answer = await client.post(f"/alarms/{city.a.alarm}/acknowledge", json={"note": "我去看"})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["state"], shown["acknowledged_by"]) == ("ack_active", "holder of one000000002")
    assert shown["acknowledged_at"] == "2026-11-21T09:00:00.123456Z"
    assert [(step["event"], step["note"]) for step in shown["transitions"]] == [
        ("raise", ""),
        ("acknowledge", "我去看"),
    ]
    assert shown["escalation"]["state"] == "stopped"
    assert await log(city) == [("alarm.acknowledge", f"alarm:{city.a.alarm}", "holder of one000000002")]
    assert any(kind == "alarm" and payload["state"] == "ack_active" for kind, payload in await changes(city))


async def test_of_two_people_who_acknowledge_at_once_one_is_told_of_the_other(city: City, problem: Problem) -> None:
    path = f"/alarms/{city.a.alarm}/acknowledge"
    async with city.client("operator") as one, city.client("operator-a") as two:
        answers = await asyncio.gather(one.post(path), two.post(path))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [late] = [answer for answer in answers if answer.status_code == 409]
    assert problem(late)["code"] == "conflict"
    assert len(await log(city)) == 1


async def test_whoever_confirms_that_they_are_on_it_owns_the_alarm(city: City, problem: Problem) -> None:
    path = f"/alarms/{city.a.alarm}"
    async with city.client("operator") as one, city.client("operator-a") as two:
        early = await one.post(f"{path}/confirm")
        assert (early.status_code, problem(early)["code"]) == (409, "conflict")
        first = (await one.post(f"{path}/acknowledge")).json()["acknowledged_by"]
        assert (await one.post(f"{path}/confirm")).json()["acknowledged_by"] == first
        answer = await two.post(f"{path}/confirm", json={"note": "我接手"})
    shown = answer.json()
    assert shown["state"] == "ack_active"
    assert shown["acknowledged_by"] not in (None, first)
    assert [step["event"] for step in shown["transitions"]] == ["raise", "acknowledge", "confirm", "confirm"]
    assert [action for action, _, _ in await log(city)][1:] == ["alarm.confirm", "alarm.confirm"]


async def test_an_alarm_is_reset_only_after_it_was_acknowledged_and_cleared(city: City, problem: Problem) -> None:
    path = f"/alarms/{city.a.alarm}"
    async with city.client("operator-a") as client:
        assert problem(await client.post(f"{path}/reset"))["status"] == 409
        await city.conn.execute("update alarm set state = 'latched_ack' where id = %s", [city.a.alarm])
        answer = await client.post(f"{path}/reset", json={"note": "quiet"})
        assert answer.json()["state"] == "normal"
        assert answer.json()["ended_at"] == "2026-11-21T09:00:00.123456Z"
        assert problem(await client.post(f"{path}/acknowledge"))["status"] == 409
    assert [action for action, _, _ in await log(city)] == ["alarm.reset"]


async def test_a_note_is_added_and_the_state_stays(city: City) -> None:
    async with city.client("operator-a") as client:
        for note in ("一", "two"):
            answer = await client.post(f"/alarms/{city.a.alarm}/note", json={"note": note})
            assert answer.status_code == 200
    shown = answer.json()
    assert shown["state"] == "unack_active"
    assert [(step["n"], step["event"], step["note"]) for step in shown["transitions"]][1:] == [
        (2, "note", "一"),
        (3, "note", "two"),
    ]


async def test_a_device_test_is_started_once_and_can_be_followed(city: City, problem: Problem) -> None:
    async with city.client("installer-a") as client:
        answer = await client.post("/devices/a-button/test")
        assert answer.status_code == 202, answer.text
        test = (await client.get(f"/device-tests/{answer.json()['id']}")).json()
        assert (test["device"], test["state"], test["within_seconds"]) == ("a-button", "requested", 30.0)
        assert test["requested_by"] == "holder of one000000001"
        assert problem(await client.post("/devices/a-button/test"))["status"] == 409
        wide = await client.post("/devices/a-edge/test", json={"within_seconds": 90})
        assert (await client.get(f"/device-tests/{wide.json()['id']}")).json()["within_seconds"] == 90.0
        assert problem(await client.post("/devices/a-edge/test", json={"within_seconds": 0}))["status"] == 422
    assert [action for action, _, _ in await log(city)] == ["device.test", "device.test"]


async def test_a_device_goes_out_of_service_and_back_with_a_reason(city: City, problem: Problem) -> None:
    path = "/devices/a-button/admin-state"
    async with city.client("installer-a") as client:
        out = await client.post(path, json={"state": "out_of_service", "reason": "装修"})
        assert (out.json()["admin_state"], out.json()["admin_since"]) == (
            "out_of_service",
            "2026-11-21T09:00:00.123456Z",
        )
        assert problem(await client.post(path, json={"state": "out_of_service", "reason": "again"}))["status"] == 409
        assert (await client.post(path, json={"state": "in_service", "reason": "done"})).status_code == 200
        assert problem(await client.post(path, json={"state": "in_service", "reason": " "}))["status"] == 422
    assert [action for action, _, _ in await log(city)] == ["device.admin-state"] * 2
    said = [payload for kind, payload in await changes(city) if kind == "device_state"]
    assert [(change["device"], change["admin_state"]) for change in said] == [
        ("a-button", "out_of_service"),
        ("a-button", "in_service"),
    ]
    assert [kind for kind, _ in await changes(city)].count("registry") == 2


async def test_ingest_is_told_at_once_that_a_device_went_out_of_service(city: City) -> None:
    await city.conn.execute("listen anxin_registry")
    async with city.client("installer-a") as client:
        await client.post("/devices/a-button/admin-state", json={"state": "out_of_service", "reason": "装修"})
    told = [notify.channel async for notify in city.conn.notifies(timeout=30, stop_after=1)]
    assert told == ["anxin_registry"]


@pytest.mark.parametrize("state", ["registered", "quarantined", "retired"])
async def test_what_was_never_commissioned_is_not_put_into_service_by_hand(
    city: City, problem: Problem, state: str
) -> None:
    await city.conn.execute("update device_state set admin_state = %s where device = %s", [state, city.a.button_key])
    async with city.client("installer-a") as client:
        answer = await client.post("/devices/a-button/admin-state", json={"state": "in_service", "reason": "x"})
    assert problem(answer)["status"] == 409
    assert await log(city) == []


async def test_what_cannot_be_committed_is_not_answered_with_success(city: City, problem: Problem) -> None:
    await city.conn.execute(
        "create function refuse_late() returns trigger language plpgsql as "
        "$$ begin raise serialization_failure using message = 'too late'; end $$"
    )
    await city.conn.execute(
        "create constraint trigger late after insert on audit deferrable initially deferred "
        "for each row execute function refuse_late()"
    )
    async with city.client("operator-a") as client:
        answer = await client.post(f"/alarms/{city.a.alarm}/acknowledge")
        assert problem(answer)["status"] == 409
        assert (await client.get(f"/alarms/{city.a.alarm}")).json()["state"] == "unack_active"


async def test_when_every_connection_is_taken_the_answer_is_try_again(city: City, problem: Problem) -> None:
    pool = city.app.state.services.pool
    pool.timeout = 0.2
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(4):
            await taken.enter_async_context(pool.connection())
        async with city.client() as client:
            answer = await client.get("/devices")
    assert problem(answer)["status"] == 503
    async with city.client() as client:
        assert (await client.get("/devices")).status_code == 200
