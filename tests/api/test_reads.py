"""What the lists and details show."""

from time import perf_counter
from typing import Any

import pytest

from tests.api.conftest import City
from tests.api.seed import NOW, at


async def items(city: City, path: str, token: str = "admin", **query: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    found: list[dict[str, Any]] = []
    async with city.client(token) as client:
        while True:
            answer = await client.get(path, params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["items"]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]


LISTS = {
    "/divisions": 4,
    "/register": 4,
    "/institutions": 2,
    "/zones": 4,
    "/positions": 2,
    "/devices": 4,
    "/device-status": 4,
    "/devices/a-button/points": 2,
    "/devices/a-button/readings?point=level": 5,
    "/devices/a-button/readings?point=level&order=asc": 5,
    "/devices/a-button/figures?point=level&by=hour": 2,
    "/streams": 2,
    "/gaps?institution=a-home&from=2026-11-20T00:00:00Z": 3,
    "/conservation?institution=a-home&from=2026-11-20T00:00:00Z": 2,
    "/devices/a-button/events": 3,
    "/alarms": 4,
    "/policies": 2,
    "/quarantine": 6,
    "/tokens": 11,
}


@pytest.mark.parametrize("path", LISTS)
async def test_pages_of_one_give_the_same_items_as_one_page(shared: City, path: str) -> None:
    path, _, query = path.partition("?")
    asked = dict(part.split("=") for part in query.split("&") if part)
    whole = await items(shared, path, **asked)
    assert len(whole) == LISTS[f"{path}?{query}" if query else path]
    assert await items(shared, path, limit=1, **asked) == whole
    assert await items(shared, path, limit=2, **asked) == whole


async def test_times_are_rfc3339_in_utc_with_microseconds_even_when_they_are_zero(city: City) -> None:
    await city.conn.execute("update institution set created_at = '2026-11-21T08:00:00+08' where id = 'a-home'")
    async with city.client() as client:
        assert (await client.get("/institutions/a-home")).json()["created_at"] == "2026-11-21T00:00:00.000000Z"


async def test_an_institution_is_shown_with_zones_positions_and_external_ids(shared: City) -> None:
    async with shared.client() as client:
        shown = (await client.get("/institutions/a-home")).json()
    assert [zone["id"] for zone in shown["zones"]] == ["door", "nap"]
    assert shown["positions"][0] | {"title": None} == {
        "institution": "a-home",
        "id": "wall",
        "zone": "nap",
        "title": None,
        "device": "a-button",
        "plan_x": None,
        "plan_y": None,
        "retired_at": None,
    }
    assert shown["external_ids"] == {"filing": "F-a"}
    assert shown["groups"] == ["a-group"]
    assert shown["title"] == {"zh": "园", "en": "Home"}


async def test_the_register_tells_who_is_not_connected(shared: City) -> None:
    missing = await items(shared, "/register", connected=False)
    assert [(row["filing_number"], row["institution"]) for row in missing] == [
        ("F-a-missing", None),
        ("F-b-missing", None),
    ]


async def test_a_division_filter_takes_everything_below(shared: City) -> None:
    assert len(await items(shared, "/device-status", division="1404")) == 4
    assert {row["id"] for row in await items(shared, "/device-status", division="140404")} == {"b-button", "b-edge"}


async def test_device_status_shows_three_axes_with_since_and_cause(city: City) -> None:
    await city.conn.execute(
        "update device_state set link_state = 'offline', link_cause = 'device' where device = %s", [city.a.button_key]
    )
    [row] = await items(city, "/device-status", link_state="offline")
    assert row["id"] == "a-button"
    assert (row["link_state"], row["link_cause"], row["link_since"]) == (
        "offline",
        "device",
        "2026-11-20T12:50:00.123456Z",
    )
    assert (row["admin_state"], row["function_state"]) == ("in_service", "ok")
    assert row["last_heard_at"] == "2026-11-21T07:59:59.123456Z"


async def test_a_reading_has_quality_reason_and_label(shared: City) -> None:
    newest, *_ = await items(shared, "/devices/a-button/readings", point="mode")
    assert newest == {
        "at": "2026-11-21T08:00:00.123456Z",
        "edge_at": None,
        "received_at": "2026-11-21T08:00:00.223456Z",
        "value": 1.0,
        "label": "armed",
        "quality": "uncertain",
        "quality_reason": "uncertain_clock",
    }


async def test_readings_are_cut_by_from_and_to(shared: City) -> None:
    span = {"from": at(-30).isoformat(), "to": NOW.isoformat()}
    values = [row["value"] for row in await items(shared, "/devices/a-button/readings", point="level", **span)]
    assert values == [98.5, 97.5, 96.5]


async def test_a_number_that_is_not_finite_leaves_as_null(city: City) -> None:
    await city.conn.execute("update reading set value = 'NaN'")
    await city.conn.execute("update point_state set value = 'Infinity'")
    await city.conn.execute("update event set value = '-Infinity'")
    for path in ("/devices/a-button/readings?point=level", "/devices/a-button/points", "/devices/a-button/events"):
        async with city.client() as client:
            answer = await client.get(path)
        assert answer.status_code == 200
        assert {item["value"] for item in answer.json()["items"]} == {None}


async def test_a_point_that_the_profile_does_not_have_is_named(shared: City) -> None:
    async with shared.client() as client:
        answer = await client.get("/devices/a-button/readings?point=nothing")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "query/point", "detail": "profile 'test-button' has no point 'nothing'"}
    ]


async def test_alarms_are_filtered(shared: City) -> None:
    assert [row["id"] for row in await items(shared, "/alarms", active=True, institution="a-home")] == [
        str(shared.a.alarm)
    ]
    assert [row["id"] for row in await items(shared, "/alarms", state="normal", device="b-button")] == [
        str(shared.b.ended_alarm)
    ]
    assert await items(shared, "/alarms", signal_class="fire") == []
    assert len(await items(shared, "/alarms", **{"from": at(-100).isoformat()})) == 2


async def test_an_alarm_is_shown_with_title_response_transitions_escalation_and_attempts(shared: City) -> None:
    async with shared.client() as client:
        shown = (await client.get(f"/alarms/{shared.a.alarm}")).json()
    assert shown["title"] == {"zh": "紧急按钮", "en": "Panic button"}
    assert shown["response"]["en"] == "Go and look"
    assert (shown["zone"], shown["position"]) == ("nap", "wall")
    assert [step["event"] for step in shown["transitions"]] == ["raise"]
    assert (shown["escalation"]["state"], shown["escalation"]["policy"]) == ("running", "a-policy")
    [notification] = shown["notifications"]
    assert notification["attempts"] == [
        {
            "n": 1,
            "at": "2026-11-21T07:59:10.623456Z",
            "outcome": "delivered",
            "code": 204,
            "receipt": None,
            "receipt_at": None,
            "receipt_detail": "",
        }
    ]


async def test_quarantine_gives_the_payload_in_base64(shared: City) -> None:
    first, *_ = await items(shared, "/quarantine", client="a-edge")
    assert (first["payload"], first["code"], first["source"]) == ("AP97", "payload", "topic of a")


async def test_no_secret_of_settings_leaves_by_any_list(shared: City) -> None:
    for path in [*LISTS, f"/alarms/{shared.a.alarm}", "/institutions/a-home", "/devices/a-button", "/audit"]:
        async with shared.client() as client:
            assert "secret-of" not in (await client.get(path)).text


async def test_unknown_things_are_404(shared: City) -> None:
    for path in ("/institutions/nobody", "/devices/nobody", "/devices/nobody/points", "/devices/nobody/events"):
        async with shared.client() as client:
            answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not-found"


async def test_no_answer_may_be_kept_by_anybody_in_between(shared: City) -> None:
    async with shared.client() as client:
        for path in ("/devices", "/devices/nobody", "/devices?limit=0", "/devices?kind=%00"):
            answer = await client.get(path)
            assert answer.headers.get_list("cache-control") == ["no-store"], path
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_page_out_of_twenty_thousand_devices_stays_quick_for_wide_and_narrow_scopes(city: City) -> None:
    for statement in (
        "insert into institution (id, division, type, title_zh, title_en, partition) "
        "select 'i-' || g, '140404', 'home', '园', 'Home', 0 from generate_series(1, 1000) g",
        "insert into device (id, institution, profile, kind, lane) select 'd-' || i.key || '-' || g, i.key, 'test-button', "
        "'camera', 'bulk' from institution i, generate_series(1, 20) g where i.id like 'i-%'",
        "insert into device_state (device) select key from device on conflict do nothing",
        "analyze",
    ):
        await city.conn.execute(statement.encode())
    for token, expected in (("admin", 100), ("reader-b", 100), ("admin-a", 2)):
        times = []
        async with city.client(token) as client:
            for _ in range(15):  # a prepared statement's generic plan would show from the eleventh on
                started = perf_counter()
                answer = await client.get("/device-status")
                times.append(perf_counter() - started)
                assert len(answer.json()["items"]) == expected
        # 3 to 10 ms on an idle machine, 250 ms with the plan that this test is against; a third of that leaves room for noise
        assert min(times[-5:]) < 0.08, (token, times)


async def test_a_devices_clock_and_its_silences_are_shown_with_what_was_said_at_the_time(city: City) -> None:
    await city.conn.execute(
        "insert into device_clock select key, 312.5, %s, %s, 'edge', true, %s from device where id = 'a-button'",
        [at(312.5), at(0), at(-60)],
    )
    evidence = '[{"what": "silent", "facts": {"device": "a-edge", "since": "2026-11-20T12:00:00Z"}}]'
    await city.conn.execute(
        "insert into blindness (subject, device, cause, evidence, since, until, said_cause, said_evidence, amended_at)"
        " select 'client', coalesce(n.edge, d.key), 'uplink', %s, %s, %s, 'undetermined', '[]', %s"
        " from device d left join endpoint n on n.key = d.endpoint where d.id = 'a-button'",
        [evidence, at(-600), at(-300), at(0)],
    )
    await city.conn.execute(
        "insert into blindness (subject, partition, lane, cause, evidence, since)"
        " select 'lane', i.partition, d.lane, 'database', '[]', %s from device d join institution i on i.key = d.institution where d.id = 'a-button'",
        [at(-30)],
    )
    async with city.client() as client:
        shown = (await client.get("/devices/a-button")).json()
        assert (shown["clock"]["ahead_s"], shown["clock"]["wrong"], shown["clock"]["reader"]) == (312.5, True, "edge")
        assert (await client.get("/devices/a-button/silences", params={"cursor": "x"})).status_code == 422
    found = await items(city, "/devices/a-button/silences")
    assert [(one["subject"], one["cause"], one["until"] is None) for one in found] == [
        ("lane", "database", True),
        ("client", "uplink", False),
    ]
    assert found[1]["said"] == {"cause": "undetermined", "evidence": []}
    assert found[1]["evidence"][0]["sentence"]["en"] == "no message from a-edge since 2026-11-20T12:00:00Z"
    assert await items(city, "/devices/a-button/silences", limit=1) == found
    async with city.client("reader-b") as client:
        assert (await client.get("/devices/a-button/silences")).status_code == 404
