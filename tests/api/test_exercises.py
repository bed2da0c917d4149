"""Drills, proofs and windows at the police centre over the API: rights, scope, audit, reports and refusals."""

import csv
import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.api import seed
from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]
NOW = 3600
"""the application's clock"""


def drill(**more: Any) -> dict[str, Any]:
    """A drill in the next hour with one press, an hour and a minute after the seed's time."""
    press = {"institution": "a-home", "position": "wall", "at": when(NOW + 60)}
    told = {"title": {"zh": "消防演练", "en": "Fire drill"}, "place": {"institution": "a-home"}}
    return {**told, "starts_at": when(NOW), "ends_at": when(NOW + 1800), "presses": [press], **more}


def when(seconds: float) -> str:
    return seed.at(seconds).isoformat()


async def declared(city: City, **more: Any) -> str:
    async with city.client("operator-a") as client:
        answer = await client.post("/drills", json=drill(**more))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def pressed(
    city: City, id: str, at: float, notice: float | None = None, acknowledged: float | None = None
) -> UUID:
    """What ingest, escalation and a person do: the declared press came `at`."""
    alarm, told = uuid4(), uuid4()
    await city.conn.execute(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at,"
        " received_at, exercise, exercise_id) select %s, key, institution, 'pressed', %s, 'panic', 'critical', 'latched_unack', true,"
        " %s, %s, 'drill', %s from device where id = 'a-button'",
        [alarm, str(alarm)[:8], seed.at(at), seed.at(at), id],
    )
    await city.conn.execute(
        "update drill_press set alarm = %s, pressed_at = %s where drill = %s", [alarm, seed.at(at), id]
    )
    if notice is not None:
        await city.conn.execute(
            "insert into escalation (alarm, institution, urgency, state, started_at, ended_at)"
            " values (%s, %s, 0, 'stopped', now(), now())",
            [alarm, city.a.key],
        )
        await city.conn.execute(
            "insert into notification (id, alarm, institution, round, step, repetition, responder, channel, urgency, due_at, state, ended_at)"
            " values (%s, %s, %s, 1, 1, 0, 'proof-sink', 'sink', 0, now(), 'sent', now())",
            [told, alarm, city.a.key],
        )
        await city.conn.execute(
            "insert into attempt (notification, n, at, outcome, duration) values (%s, 1, %s, 'delivered', '0.5 s')",
            [told, seed.at(notice - 0.5)],
        )
    if acknowledged is not None:
        await city.conn.execute(
            "insert into alarm_transition (alarm, n, event, from_state, to_state, at, actor)"
            " values (%s, 2, 'acknowledge', 'latched_unack', 'latched_ack', %s, 'Li')",
            [alarm, seed.at(acknowledged)],
        )
    return alarm


async def test_a_drill_is_declared_shown_and_written_down(city: City) -> None:
    id = await declared(city)
    async with city.client("regulator-a") as client:
        (row,) = (await client.get("/drills")).json()["items"]
        assert (row["id"], row["presses"], row["pressed"]) == (id, 1, 0)
        (run,) = (await client.get(f"/drills/{id}")).json()["institutions"]
        assert run["timings"] == dict.fromkeys(("first_notice", "acknowledged", "arrival", "all_clear"))
        assert run["presses"][0]["since"] == seed.at(NOW).strftime(
            "%Y-%m-%dT%H:%M:%S.%fZ"
        )  # not before it was declared
    async with city.client("admin") as client:
        (line,) = (await client.get(f"/audit?target=drill:{id}")).json()["items"]
        assert (line["action"], line["detail"]) == ("drill.declare", {"presses": 1})


@pytest.mark.parametrize("token", ["regulator-a", "platform-a"])
async def test_who_may_only_read_declares_nothing(city: City, problem: Problem, token: str) -> None:
    async with city.client(token) as client:
        for path, body in (("/drills", drill()), ("/proofs", {"device": "a-button"}), ("/police-windows", {})):
            assert problem(await client.post(path, json=body))["code"] == "forbidden"


async def test_another_tenants_drill_does_not_exist(city: City, problem: Problem) -> None:
    id = await declared(city)
    async with city.client("reader-b") as client:
        assert (await client.get("/drills")).json()["items"] == []
        for path in (f"/drills/{id}", f"/drills/{id}/report.html", f"/drills/{id}/report.csv"):
            assert problem(await client.get(path))["status"] == 404
    async with city.client("operator-a") as client:
        elsewhere = [{"institution": "b-home", "position": "wall", "at": when(NOW + 60)}]
        for more in ({"presses": elsewhere}, {"place": {"institution": "b-home"}}, {"place": {"division": "140403"}}):
            assert problem(await client.post("/drills", json=drill(**more)))["status"] in (404, 422)


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"ends_at": when(NOW - 1)}, "ends_at"),
        ({"presses": [{"institution": "a-home", "position": "wall", "at": when(NOW - 1)}]}, "presses.0.at"),
        ({"presses": [{"institution": "a-home", "position": "roof", "at": when(NOW + 60)}]}, "presses.0.position"),
        ({"place": {}}, "place"),
    ],
)
async def test_a_declaration_that_does_not_hold_is_refused_by_its_key(
    city: City, problem: Problem, more: dict[str, Any], pointer: str
) -> None:
    async with city.client("operator") as client:
        found = problem(await client.post("/drills", json=drill(**more)))
    assert found["status"] == 422
    assert pointer in str(found["errors"])


async def test_a_drill_is_cancelled_once_and_its_presses_are_real_from_then_on(city: City, problem: Problem) -> None:
    id = await declared(city)
    async with city.client("operator-a") as client:
        assert (await client.post(f"/drills/{id}/cancel")).json()["cancelled_by"] is not None
        assert problem(await client.post(f"/drills/{id}/cancel"))["status"] == 409


async def test_the_report_times_what_came_and_compares_it_with_the_drill_before(city: City, problem: Problem) -> None:
    earlier = await declared(city)
    await pressed(city, earlier, NOW + 60, notice=NOW + 70, acknowledged=NOW + 100)
    press = [{"institution": "a-home", "position": "wall", "at": when(NOW + 1000)}]
    id = await declared(city, starts_at=when(NOW + 900), presses=press, title={"zh": "<演练>", "en": "=cmd"})
    await pressed(city, id, NOW + 1000, notice=NOW + 1004, acknowledged=NOW + 1030)
    async with city.client("operator-a") as client:
        for kind, at in (("arrival", NOW - 5), ("arrival", NOW - 1), ("all_clear", NOW)):
            told = {"institution": "a-home", "kind": kind, "at": when(at), "note": "<b>门口</b>"}
            answer = await client.post(f"/drills/{id}/marks", json=told)
            assert answer.status_code == 200
        (run,) = answer.json()["institutions"]
        # what persons record counts from the press, and a later word corrects the one before
        assert run["timings"] == {"first_notice": 4.0, "acknowledged": 30.0, "arrival": -1001.0, "all_clear": -1000.0}
        assert run["presses"][0]["acknowledged_by"] == "Li"
        assert [one["timings"]["first_notice"] for one in run["earlier"]] == [10.0]
        ahead = {"institution": "a-home", "kind": "arrival", "at": when(NOW + 600)}
        assert problem(await client.post(f"/drills/{id}/marks", json=ahead))["status"] == 422
        stranger = {"institution": "b-home", "kind": "arrival"}
        assert problem(await client.post(f"/drills/{id}/marks", json=stranger))["status"] == 404
        page = await client.get(f"/drills/{id}/report.html")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        for words in (
            "演练 DRILL",
            "首条通知 First notice",
            "4.0 s",
            "-6.0 s",
            "&lt;b&gt;门口&lt;/b&gt;",
            "&lt;演练&gt;",
        ):
            assert words in page.text
        for foreign in ("<b>门口", "<script", "src=", "href=", "http://", "https://"):
            assert foreign not in page.text
        table = await client.get(f"/drills/{id}/report.csv")
        assert table.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(table.text.removeprefix("\ufeff"))))
        assert [row["row"] for row in rows] == ["summary", "press", "arrival", "arrival", "all_clear", "earlier"]
        assert (rows[0]["first_notice_s"], rows[0]["acknowledged_s"]) == ("4.0", "30.0")
        assert rows[-1]["first_notice_s"] == "10.0"
    # one that comes when the drill has run over is real, and the report still says so; one that comes long after is another story
    for minutes in (10, 20):
        await city.conn.execute(
            "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at, ended_at)"
            " select %s, d.key, d.institution, 'panic', 'panic', 'critical', 'normal', true, at, at, at from device d,"
            " (select r.ends_at + make_interval(mins => %s) as at from drill r where r.id = %s) t where d.key = %s",
            [uuid4(), minutes, id, city.a.button_key],
        )
    async with city.client() as client:
        (run,) = (await client.get(f"/drills/{id}")).json()["institutions"]
        assert len(run["real"]) == 1


async def test_a_proof_is_asked_for_once_at_a_time_and_shown_with_its_position(city: City, problem: Problem) -> None:
    async with city.client("installer-a") as client:
        asked = await client.post("/proofs", json={"institution": "a-home", "position": "wall"})
        assert asked.status_code == 202
        shown = (await client.get(f"/proofs/{asked.json()['id']}")).json()
        assert (shown["device"], shown["level"], shown["state"], shown["definition"]) == (
            "a-button",
            "driver",
            "requested",
            "pressed",
        )
        assert problem(await client.post("/proofs", json={"device": "a-button"}))["status"] == 409
        (unproven,) = (await client.get("/position-proofs?unproven_days=15")).json()["items"]
        assert (unproven["position"], unproven["last_proven_at"], unproven["newest_state"]) == (
            "wall",
            None,
            "requested",
        )
        await city.conn.execute("update proof set state = 'passed', finished_at = now()")
        assert (await client.get("/position-proofs?unproven_days=15")).json()["items"] == []
        one = (await client.get("/institutions/a-home/positions/wall/proof")).json()
        assert one["last_proof"] == shown["id"]
        assert problem(await client.get("/institutions/b-home/positions/wall/proof"))["status"] == 404
        assert problem(await client.post("/proofs", json={"device": "b-button"}))["status"] == 404
        for wrong in ({}, {"device": "a-button", "definition": "smoke"}, {"device": "a-button", "level": "moon"}):
            assert problem(await client.post("/proofs", json=wrong))["status"] == 422
        await city.conn.execute("update device_state set admin_state = 'out_of_service'")
        assert problem(await client.post("/proofs", json={"device": "a-button"}))["status"] == 409
        assert [row["state"] for row in (await client.get("/proofs?institution=a-home")).json()["items"]] == ["passed"]


async def test_a_button_that_dials_the_police_is_tested_in_a_booked_window_alone(city: City, problem: Problem) -> None:
    await city.conn.execute("update device set dials_police = true where id = 'a-button'")
    window = {"device": "a-button", "reference": "JZ-2026-117", "agreed_by": "值班长 Zhao"}
    async with city.client("installer-a") as client:
        refused = problem(await client.post("/devices/a-button/test", json={"within_seconds": 30}))
        assert refused["status"] == 409
        assert "police" in refused["detail"]
        assert problem(await client.post("/drills", json=drill()))["status"] == 409
        for span in ((NOW + 10, NOW + 1000), (NOW - 10, NOW + 20)):  # not yet; over before the test is
            told = {**window, "starts_at": when(span[0]), "ends_at": when(span[1])}
            assert (await client.post("/police-windows", json=told)).status_code == 201
        assert problem(await client.post("/devices/a-button/test", json={"within_seconds": 30}))["status"] == 409
        told = {**window, "starts_at": when(NOW - 10), "ends_at": when(NOW + 600)}
        booked = (await client.post("/police-windows", json=told)).json()
        assert (await client.post("/devices/a-button/test", json={"within_seconds": 30})).status_code == 202
        (row,) = await (
            await city.conn.execute("select not_after from device_test where finished_at is null")
        ).fetchall()
        assert row[0] == seed.at(NOW + 600)
        assert (await client.post("/drills", json=drill())).status_code == 201
        receipt = {"number": "110-8841", "text": "中心已收到，14:02 核对无误"}
        stored = (await client.post(f"/police-windows/{booked['id']}/receipt", json=receipt)).json()
        assert (stored["receipt_number"], stored["receipt_by"]) == ("110-8841", "holder of one000000001")
        assert problem(await client.post(f"/police-windows/{booked['id']}/receipt", json=receipt))["status"] == 409
        assert problem(await client.post(f"/police-windows/{booked['id']}/cancel"))["status"] == 409
        backwards = {**window, "starts_at": when(NOW + 600), "ends_at": when(NOW)}
        assert problem(await client.post("/police-windows", json=backwards))["status"] == 422
    async with city.client("reader-b") as client:
        assert (await client.get("/police-windows")).json()["items"] == []
        assert problem(await client.get(f"/police-windows/{booked['id']}"))["status"] == 404


async def test_a_cancelled_window_is_no_window(city: City, problem: Problem) -> None:
    await city.conn.execute("update device set dials_police = true where id = 'a-button'")
    window = {
        "device": "a-button",
        "reference": "1",
        "agreed_by": "Zhao",
        "starts_at": when(NOW - 10),
        "ends_at": when(NOW + 600),
    }
    async with city.client("operator-a") as client:
        id = (await client.post("/police-windows", json=window)).json()["id"]
        assert (await client.post(f"/police-windows/{id}/cancel")).json()["cancelled_at"] is not None
    async with city.client("installer-a") as client:
        assert problem(await client.post("/devices/a-button/test"))["status"] == 409


async def test_lists_mark_drills_leave_proofs_out_and_tell_another_platform_of_neither(
    city: City, problem: Problem
) -> None:
    id = await declared(city)
    alarm = await pressed(city, id, NOW + 60)
    proof = uuid4()
    await city.conn.execute(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at,"
        " received_at, exercise, exercise_id) select %s, key, institution, 'pressed', 'proof', 'panic', 'critical', 'latched_unack',"
        " true, %s, %s, 'proof', %s from device where id = 'a-button'",
        [proof, seed.at(NOW), seed.at(NOW), uuid4()],
    )

    async def seen(token: str, query: str = "") -> dict[str, str | None]:
        async with city.client(token) as client:
            rows = (await client.get(f"/alarms?active=true{query}")).json()["items"]
        return {row["id"]: row["exercise"] for row in rows}

    real = {str(city.a.alarm): None}
    assert await seen("operator-a") == real | {str(alarm): "drill"}
    assert await seen("operator-a", "&exercises=all") == real | {str(alarm): "drill", str(proof): "proof"}
    assert await seen("operator-a", "&exercises=none") == real
    assert await seen("platform-a", "&exercises=all") == real
    async with city.client("operator-a") as client:
        assert (await client.get(f"/alarms/{proof}")).json()["exercise"] == "proof"
    async with city.client("platform-a") as client:
        assert problem(await client.get(f"/alarms/{proof}"))["status"] == 404
        assert problem(await client.get(f"/alarms/{alarm}"))["status"] == 404
