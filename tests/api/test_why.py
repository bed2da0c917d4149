"""`/alarms/{id}/why` and `/alarm-noise`: for every alarm that is stored there is a reason, and it stays what it was."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]

DAY = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}


async def raised(city: City, minute: int, *, clear: bool = True, hidden: bool = False, priority: str = "low") -> str:
    """An alarm of tenant a's button at that minute of November 1st, over after ten seconds, as the engine writes it."""
    id = uuid4()
    await city.conn.execute(
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at, ended_at)"
        " select %s, key, institution, 'stuck', 'fault', %s, %s, false, at, at, case when %s then at + interval '10 s' end"
        " from device, (values ('2026-11-01T08:00:00Z'::timestamptz + make_interval(mins => %s))) t(at) where key = %s",
        [id, priority, "normal" if clear else "unack_active", clear, minute, city.a.button_key],
    )
    rows = [("raise", "normal", "unack_active", 0)]
    rows += (
        [("clear", "unack_active", "unack_cleared", 10), ("acknowledge", "unack_cleared", "normal", 10)]
        if clear
        else []
    )
    rows = [("shelve", "normal", "normal", -1), *rows] if hidden else rows
    for n, (event, before, after, seconds) in enumerate(rows, 1):
        await city.conn.execute(
            "insert into alarm_transition (alarm, n, event, from_state, to_state, at, actor, note)"
            " select id, %s, %s, %s, %s, raised_at + make_interval(secs => %s), 'li', 'works' from alarm where id = %s",
            [n, event, before, after, seconds, id],
        )
    return str(id)


async def test_every_alarm_that_is_stored_has_a_reason_and_the_past_keeps_its_own(city: City) -> None:
    whole = {await raised(city, 0), await raised(city, 1, hidden=True), await raised(city, 2, clear=False)}
    async with city.client() as client:
        alarms = (await client.get("/alarms")).json()["items"]
        assert len(alarms) >= 3
        for alarm in alarms:
            now = (await client.get(f"/alarms/{alarm['id']}/why")).json()
            assert alarm["id"] not in whole or now["state"] == alarm["state"]
            assert now["conclusion"]["text"]["zh"]
            assert now["conclusion"]["text"]["en"]
            then = {"at": alarm["raised_at"]}
            assert (await client.get(f"/alarms/{alarm['id']}/why", params=then)).json() == (
                await client.get(f"/alarms/{alarm['id']}/why", params=then)
            ).json()


async def test_who_shelved_it_and_why_is_the_reason(city: City) -> None:
    alarm = await raised(city, 0, clear=False, hidden=True)
    async with city.client() as client:
        found = (await client.get(f"/alarms/{alarm}/why")).json()
    assert found["conclusion"]["kind"] == "shelved"
    assert "li" in found["conclusion"]["text"]["en"]
    assert "works" in found["conclusion"]["text"]["zh"]


async def test_what_lies_outside_the_scope_has_no_reason_either(city: City, problem: Problem) -> None:
    alarm = await raised(city, 0)
    async with city.client("reader-b") as client:
        assert problem(await client.get(f"/alarms/{alarm}/why"))["status"] == 404
        assert (await client.get("/alarm-noise", params=DAY)).json()["alarms"] == 0
    async with city.client() as client:
        assert problem(await client.get(f"/alarms/{uuid4()}/why"))["status"] == 404


async def test_noise_counts_what_was_to_be_told_and_nothing_hidden(city: City) -> None:
    for minute in range(12):
        await raised(city, minute // 6)
    await raised(city, 3, hidden=True)
    standing = await raised(city, -1, clear=False, priority="high")
    async with city.client() as client:
        found = (await client.get("/alarm-noise", params=DAY)).json()
        assert (found["alarms"], found["peak"], len(found["floods"])) == (13, 13, 1)
        assert found["chattering"][0]["worst_minute"] == 6
        assert found["fleeting"] != []
        assert found["worst"][0]["count"] == 13
        later = {"from": "2026-11-02T12:00:00Z", "to": "2026-11-02T13:00:00Z"}
        found = (await client.get("/alarm-noise", params=later)).json()
        assert ([one["alarm"] for one in found["standing"]], found["alarms"]) == ([standing], 0)
        assert (await client.get("/alarm-noise/posts", params=DAY)).json() == {"items": []}


async def test_an_interval_that_is_none_or_too_long_is_refused(city: City, problem: Problem) -> None:
    async with city.client() as client:
        assert problem(await client.get("/alarm-noise", params={"from": DAY["to"], "to": DAY["from"]}))["status"] == 422
        year = {"from": "2025-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
        assert problem(await client.get("/alarm-noise", params=year))["status"] == 422
