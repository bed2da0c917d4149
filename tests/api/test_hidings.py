"""What people do to keep an alarm from being paged, and to be done with it; maintenance windows; the armed state."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]


@pytest.fixture
def now(city: City) -> datetime:
    """The hub goes by the database's time here: hidings end by it."""
    city.app.state.services = replace(city.app.state.services, clock=lambda: datetime.now(UTC))
    return datetime.now(UTC)


async def fault(city: City) -> str:
    """The path of tenant a's alarm, as one that is no matter of life."""
    await city.conn.execute("update alarm set signal_class = 'fault', priority = 'high' where id = %s", [city.a.alarm])
    return f"/alarms/{city.a.alarm}"


async def audited(city: City) -> list[tuple[str, str]]:
    rows = await (await city.conn.execute("select action, actor from audit order by key")).fetchall()
    return [(row[0], row[1]) for row in rows]


async def escalation(city: City) -> tuple[str, str]:
    row = await (
        await city.conn.execute("select state, reason from escalation where alarm = %s", [city.a.alarm])
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def shelving(until: datetime) -> dict[str, str]:
    return {"until": until.isoformat(), "reason": "正在维修"}


async def test_a_shelved_alarm_is_not_paged_and_one_that_is_unshelved_is_paged_again(city: City, now: datetime) -> None:
    path = await fault(city)
    async with city.client("operator-a") as client:
        answer = await client.post(f"{path}/shelve", json=shelving(now + timedelta(hours=2)))
        shown = answer.json()
        assert (answer.status_code, shown["hidden"], shown["paged"]) == (200, ["shelved"], False), answer.text
        assert (shown["shelved_by"], shown["shelve_reason"]) == ("holder of one000000002", "正在维修")
        assert await escalation(city) == ("stopped", "shelved")
        assert [row["id"] for row in (await client.get("/alarms?active=true")).json()["items"]] == [str(city.a.alarm)]
        shown = (await client.post(f"{path}/unshelve", json={"note": "fertig"})).json()
        assert (shown["hidden"], shown["paged"], shown["shelved_until"]) == ([], True, None)
        assert [row["event"] for row in shown["transitions"]] == ["raise", "shelve", "unshelve"]
    assert (await escalation(city))[0] in ("running", "uncovered")
    assert [action for action, _ in await audited(city)] == ["alarm.shelve", "alarm.unshelve"]


async def test_a_shelving_that_is_too_long_or_of_an_alarm_that_has_ended_is_refused(
    city: City, problem: Problem, now: datetime
) -> None:
    path = await fault(city)
    async with city.client("operator-a") as client:
        refused = problem(await client.post(f"{path}/shelve", json=shelving(now + timedelta(hours=9))))
        assert (refused["status"], refused["code"]) == (422, "shelve")
        assert "at most 8 h" in refused["detail"]
        gone = await client.post(f"/alarms/{city.a.ended_alarm}/shelve", json=shelving(now + timedelta(minutes=1)))
        assert problem(gone)["status"] in (409, 422)
        assert problem(await client.post(f"{path}/unshelve"))["status"] == 409
    assert await audited(city) == []


async def test_a_panic_is_shelved_only_when_a_second_person_agrees(city: City, problem: Problem, now: datetime) -> None:
    path = f"/alarms/{city.a.alarm}"
    async with city.client("operator-a") as one, city.client("operator") as two:
        assert problem(await two.post(f"{path}/shelve/agree"))["status"] == 409
        answer = await one.post(f"{path}/shelve", json=shelving(now + timedelta(minutes=30)))
        assert (answer.status_code, answer.json()["hidden"], answer.json()["paged"]) == (202, [], True)
        assert answer.json()["shelving_asked"]["asked_by"] == answer.json()["shelving_asked"]["asked_by"]
        assert "another one" in problem(await one.post(f"{path}/shelve/agree"))["detail"]
        shown = (await two.post(f"{path}/shelve/agree")).json()
        assert (shown["hidden"], shown["paged"], shown["shelving_asked"]) == (["shelved"], False, None)
        assert shown["shelved_with"] not in (None, shown["shelved_by"])
        assert problem(await two.post(f"{path}/shelve/agree"))["status"] == 409
    assert [action for action, _ in await audited(city)] == ["alarm.shelve", "alarm.shelve_agreed"]


async def test_what_was_asked_for_too_long_ago_nobody_agrees_to(city: City, problem: Problem, now: datetime) -> None:
    path = f"/alarms/{city.a.alarm}"
    async with city.client("operator-a") as one, city.client("operator") as two:
        await one.post(f"{path}/shelve", json=shelving(now + timedelta(minutes=30)))
        await city.conn.execute("update shelving_asked set asked_at = asked_at - interval '11 minutes'")
        assert (await two.get(path)).json()["shelving_asked"] is None
        assert problem(await two.post(f"{path}/shelve/agree"))["status"] == 409


async def test_an_alarm_is_closed_after_its_disposition_and_notes_are_kept(city: City, problem: Problem) -> None:
    path = f"/alarms/{city.a.ended_alarm}"
    async with city.client("operator-a") as client:
        assert "disposition" in problem(await client.post(f"{path}/close"))["detail"]
        shown = (await client.post(f"{path}/disposition", json={"disposition": "nuisance", "note": "蒸汽"})).json()
        assert shown["disposition"] == "nuisance"
        await client.post(f"{path}/note", json={"note": "换了探头"})
        shown = (await client.post(f"{path}/close")).json()
        assert shown["closed_by"] == shown["disposition_by"] == "holder of one000000002"
        assert problem(await client.post(f"{path}/close"))["status"] == 409
        assert problem(await client.post(f"/alarms/{city.a.alarm}/close"))["status"] == 409
    rows = await (await city.conn.execute("select n, actor, text from alarm_note")).fetchall()
    assert [(row[1], row[2]) for row in rows] == [("holder of one000000002", "换了探头")]
    assert [action for action, _ in await audited(city)] == ["alarm.dispose", "alarm.note", "alarm.close"]


async def test_a_regulator_hides_nothing(city: City, now: datetime) -> None:
    async with city.client("regulator-a") as client:
        for path, body in (
            (f"/alarms/{city.a.alarm}/shelve", shelving(now + timedelta(minutes=1))),
            (f"/alarms/{city.a.alarm}/disposition", {"disposition": "true"}),
            (f"/alarms/{city.a.alarm}/close", {}),
            ("/maintenance-windows", {"institution": "a-home", "until": now.isoformat(), "reason": "x"}),
            ("/institutions/a-home/armed", {"mode": "armed"}),
        ):
            assert (await client.post(path, json=body)).status_code == 403, path


# maintenance windows --------------------------------------------------------------------------------------------------


async def test_a_window_is_booked_moved_and_ended_and_stays_on_record(
    city: City, problem: Problem, now: datetime
) -> None:
    asked = {"institution": "a-home", "until": (now + timedelta(hours=1)).isoformat(), "reason": "锅炉"}
    async with city.client("installer-a") as client:
        made = await client.post("/maintenance-windows", json=asked)
        assert made.status_code == 201, made.text
        path = f"/maintenance-windows/{made.json()['id']}"
        assert (made.json()["zone"], made.json()["holds"]) == (None, 0)
        moved = await client.patch(path, json={"until": (now + timedelta(hours=3)).isoformat()})
        assert moved.json()["until"] > made.json()["until"]
        assert [row["id"] for row in (await client.get("/maintenance-windows?open=true")).json()["items"]] == [
            made.json()["id"]
        ]
        assert (await client.delete(path)).json()["ended_by"] == "holder of one000000001"
        assert problem(await client.delete(path))["status"] == 409
        assert problem(await client.patch(path, json={"reason": "x"}))["status"] == 409
        assert (await client.get("/maintenance-windows?open=true")).json()["items"] == []
        assert len((await client.get("/maintenance-windows?institution=a-home")).json()["items"]) == 1
    assert [action for action, _ in await audited(city)] == [
        "maintenance.make",
        "maintenance.change",
        "maintenance.end",
    ]


async def test_a_window_that_does_not_hold_is_refused_and_another_tenants_does_not_exist(
    city: City, problem: Problem, now: datetime
) -> None:
    hour = (now + timedelta(hours=1)).isoformat()
    refused = [
        ({"institution": "a-home", "until": now.isoformat(), "since": hour, "reason": "x"}, 422),
        ({"institution": "a-home", "until": (now + timedelta(days=8)).isoformat(), "reason": "x"}, 422),
        ({"institution": "a-home", "until": hour, "reason": "x", "zone": "nowhere"}, 404),
        ({"institution": "a-home", "until": hour, "reason": "x", "device": "b-button"}, 404),
        ({"institution": "b-home", "until": hour, "reason": "x"}, 404),
        ({"institution": "c-home", "until": hour, "reason": "x"}, 404),
        ({"institution": "a-home", "until": hour, "reason": "x", "zone": "z", "device": "a-button"}, 422),
    ]
    async with city.client("operator") as all_of_them, city.client("installer-a") as client:
        for body, status in refused:
            assert problem(await client.post("/maintenance-windows", json=body))["status"] == status, body
        body = {"institution": "b-home", "until": hour, "reason": "x"}
        theirs = (await all_of_them.post("/maintenance-windows", json=body)).json()["id"]
        path = f"/maintenance-windows/{theirs}"
        for answer in (
            await client.get(path),
            await client.delete(path),
            await client.patch(path, json={"reason": "y"}),
        ):
            assert problem(answer)["status"] == 404
        assert (await client.get("/maintenance-windows")).json()["items"] == []


async def test_ending_a_window_pages_at_once_what_it_holds(city: City, now: datetime) -> None:
    path = await fault(city)
    asked = {"institution": "a-home", "until": (now + timedelta(hours=1)).isoformat(), "reason": "x"}
    async with city.client("operator-a") as client:
        window = (await client.post("/maintenance-windows", json=asked)).json()
        await city.conn.execute(
            "update alarm set maintenance = %s, held_until = %s where id = %s",
            [window["id"], window["until"], city.a.alarm],
        )
        await city.conn.execute(
            "update escalation set state = 'stopped', ended_at = now() where alarm = %s", [city.a.alarm]
        )
        assert (await client.get(path)).json()["hidden"] == ["maintenance"]
        assert (await client.get(f"/maintenance-windows/{window['id']}")).json()["holds"] == 1
        moved = (now + timedelta(hours=2)).isoformat()
        await client.patch(f"/maintenance-windows/{window['id']}", json={"until": moved})
        assert (await client.get(path)).json()["held_until"][:19] == datetime.fromisoformat(moved).isoformat()[:19]
        await client.delete(f"/maintenance-windows/{window['id']}")
        shown = (await client.get(path)).json()
    assert (shown["hidden"], shown["paged"]) == ([], True)
    assert [row["event"] for row in shown["transitions"]] == ["raise", "hold", "release"]
    assert (await escalation(city))[0] in ("running", "uncovered")


# armed ----------------------------------------------------------------------------------------------------------------


async def test_who_armed_and_disarmed_and_until_when_is_told(city: City, problem: Problem, now: datetime) -> None:
    path = "/institutions/a-home/armed"
    async with city.client("operator-a") as client:
        shown = (await client.get(path)).json()
        assert (shown["mode"], shown["history"], shown["assumed_hours"]) == ("auto", [], True)
        assert shown["armed"] is not shown["open"]
        assert (await client.post(path, json={"mode": "armed", "reason": "假期"})).json()["armed"] is True
        assert problem(await client.post(path, json={"mode": "disarmed"}))["code"] == "armed"
        until = (now + timedelta(hours=2)).isoformat()
        shown = (await client.post(path, json={"mode": "disarmed", "until": until})).json()
        assert (shown["armed"], shown["mode"]) == (False, "disarmed")
        assert [(row["mode"], row["actor"]) for row in shown["history"]] == [
            ("disarmed", "holder of one000000002"),
            ("armed", "holder of one000000002"),
        ]
        assert problem(await client.get("/institutions/b-home/armed"))["status"] == 404
        assert problem(await client.post("/institutions/b-home/armed", json={"mode": "auto"}))["status"] == 404
    assert [action for action, _ in await audited(city)] == ["institution.arm", "institution.arm"]
