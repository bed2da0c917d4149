"""Fire risk through the API: every point explained, the most dangerous first, within the scope, and exercises never count."""

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from hub.core.fire_facts import HARD
from hub.core.rights import Scope
from hub.model import SECOND, to_datetime
from hub.runtime.fire_watch import score
from hub.store.fire_risk import open_book
from tests.api.test_coverage import T0, asking, get
from tests.core.test_fire_risk import WEIGHTS
from tests.store.coverage_register import PROFILES, Register


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.zone("sun", "act", "activity_room")
    made.zone("sun", "door", "entrance")
    made.zone("sun", "cook", "kitchen")
    made.device("sun", "smoke-1", "heiman-hs1sa", "act")
    made.device("sun", "door-1", "moxa-e1214-door", "door")
    made.device("sun", "gas-1", "aqara-jt-bz-01aq", "cook")
    made.device("sun", "air-1", "aerasgard-rftm", None)
    made.institution("moon")
    made.do("insert into division values ('11', null, '北京市', 'Beijing')")
    made.do(
        "insert into institution (id, division, type, title_zh, title_en, partition) values ('far', '11', 'private', '远', 'Far', 3)"
    )
    made.listen()
    yield made
    made.close()


def alarm(register: Register, device: str, definition: str, signal_class: str, exercise: str | None = None) -> None:
    register.do(
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at, exercise)"
        " select gen_random_uuid(), key, institution, %s, %s, 'critical', 'unack_active', true, %s, %s, %s from device where id = %s",
        definition, signal_class, to_datetime(T0), to_datetime(T0), exercise, device,
    )  # fmt: skip


def value(register: Register, device: str, point: str, number: float) -> None:
    register.do("insert into series (device, point) select key, %s from device where id = %s", point, device)
    register.do(
        "insert into point_state (series, at, received_at, value, quality, changed_at, stored_at)"
        " select s.key, %s, %s, %s, 0, %s, %s from series s join device d on d.key = s.device where d.id = %s",
        *[to_datetime(T0)] * 2, number, *[to_datetime(T0)] * 2, device,
    )  # fmt: skip


def points(shown: Any) -> dict[str, int]:
    return {one["factor"]: one["points"] for one in shown["factors"]}


async def test_a_score_is_explained_point_by_point_and_the_most_dangerous_stands_first(
    fresh_database: str, register: Register
) -> None:
    value(register, "air-1", "temperature", 21.0)
    kinds = ("patrol", "inspection", "fire_equipment_check", "drill", "fire_facility_test")
    for n, kind in enumerate(kinds):
        register.do(
            "insert into attestation (id, institution, kind, at, recorded_by)"
            " select gen_random_uuid(), key, %s, %s::timestamptz, 'installer' from institution where id = 'sun'",
            kind, to_datetime(T0 - (n + 1) * 3600 * SECOND),
        )  # fmt: skip
    register.do("update device_state set proven_at = %s", to_datetime(T0 - 3600 * SECOND))
    register.do("update institution set calendar = '{\"weekly\": {}}' where id = 'sun'")
    async with asking(fresh_database) as client:
        calm = await get(client, "/institutions/sun/fire-risk")
        # closed all week, and nobody measures its circuits: the only thing that is not known
        assert {name: worth for name, worth in points(calm).items() if worth} == {"circuits": 8}
        assert (calm["score"], calm["certain"], calm["hard"]) == (8, 0, False)
        assert "内部参数" in calm["sentence"]["zh"]
        alarm(register, "smoke-1", "fire", "fire", exercise="function_test")
        assert (await get(client, "/institutions/sun/fire-risk"))["score"] == 8

        register.turn("smoke-1", "function_state", "failed")
        alarm(register, "door-1", "held_open", "access")
        shown = await get(client, "/institutions/sun/fire-risk")
        worth = points(shown)
        assert (worth["detectors"], worth["rooms"], worth["exits"]) == (8, 6, 8)
        assert shown["score"] == sum(worth.values()) == 30
        assert shown["certain"] == 22
        [exits] = [one for one in shown["factors"] if one["factor"] == "exits"]
        assert exits["evidence"][0]["thing"] == "device:door-1"
        assert "出口被顶开" in exits["sentence"]["zh"]
        assert exits["evidence"][0]["since"] == to_datetime(T0).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

        page = await get(client, "/fire-risk")
        assert [(row["subject"], row["score"]) for row in page["items"]][-1] == ("sun", 30)
        assert {row["subject"] for row in page["items"]} == {"register:CZ-2", "moon", "far", "sun"}
        unconnected = next(row for row in page["items"] if row["subject"] == "register:CZ-2")
        assert (unconnected["score"], unconnected["certain"], unconnected["institution"]) == (100, 0, None)

        value(register, "gas-1", "density", 22.0)
        alarm(register, "air-1", "fire", "fire")
        burning = await get(client, "/institutions/sun/fire-risk")
        assert (burning["score"], burning["hard"]) == (100, True)
        assert {one["factor"] for one in burning["factors"] if one["hard"]} == set(HARD)
        assert all(one["bad"] == 1 for one in burning["factors"] if one["hard"])
        assert (await get(client, "/fire-risk"))["items"][0]["subject"] == "sun"

        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await get(client, "/fire-risk?limit=1" + (f"&cursor={cursor}" if cursor else ""))
            seen += [row["subject"] for row in page["items"]]
            cursor = page["next"]
        assert seen[0] == "sun"
        assert len(seen) == len(set(seen)) == 4

        register.stop_listening()
        blind = await get(client, "/institutions/moon/fire-risk")
        assert blind["score"] >= 60
        assert [row["subject"] for row in (await get(client, "/fire-risk?division=1404"))["items"]].count("far") == 0
    county = Scope(divisions=("11",))
    async with asking(fresh_database, scope=county) as client:
        assert [row["subject"] for row in (await get(client, "/fire-risk"))["items"]] == ["far"]
        await get(client, "/institutions/sun/fire-risk", 404)
        await get(client, "/institutions/register:CZ-2/fire-risk", 404)
        await get(client, "/fire-risk?cursor=nonsense", 422)


async def test_the_list_reads_what_is_kept_says_of_when_it_is_and_what_has_changed_since_never_looks_calm(
    fresh_database: str, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed(client: httpx.AsyncClient) -> dict[str, Any]:
        return {row["subject"]: row for row in (await get(client, "/fire-risk"))["items"]}

    def say(device: str) -> None:
        register.do(
            "insert into change (kind, institution, payload) select 'alarm', institution, '{}' from device where id = %s",
            device,
        )

    minute = 60 * SECOND
    async with open_book(fresh_database) as book, asking(fresh_database, T0) as client:
        assert {row["standing"] for row in (await listed(client)).values()} == {"live"}, "nothing is kept yet"
        live = {one: (await get(client, f"/institutions/{one}/fire-risk")) for one in ("sun", "moon", "far")}
        assert await score(book, PROFILES, WEIGHTS, T0 - 5 * minute) == 4
        rows = await listed(client)
        assert {(row["standing"], row["age_seconds"]) for row in rows.values()} == {("kept", 300)}
        for one, row in rows.items():
            assert sum(share["points"] for share in row["shares"]) == row["score"]
            assert sum(share["certain"] for share in row["shares"]) == row["certain"]
            assert "5分钟前" in row["sentence"]["zh"]
            if one in live:
                assert {share["factor"]: share["points"] for share in row["shares"]} == {
                    factor["factor"]: factor["points"]
                    for factor in live[one]["factors"]
                    if factor["bad"] or factor["unknown"]
                }

        alarm(register, "smoke-1", "fire", "fire")
        say("smoke-1")
        rows = await listed(client)
        assert (rows["sun"]["standing"], rows["sun"]["score"], rows["sun"]["hard"]) == ("live", 100, True)
        assert rows["moon"]["standing"] == "kept"
        assert next(iter(rows)) == "sun"
        monkeypatch.setattr("hub.store.fire_risk.MOST_LIVE", 0)
        row = (await listed(client))["sun"]
        assert (row["standing"], row["score"], row["certain"], row["shares"]) == ("changed", 100, 0, [])
        assert await score(book, PROFILES, WEIGHTS, T0 - 4 * minute, 10) == 1, "only of whom something has changed"
        row = (await listed(client))["sun"]
        assert (row["standing"], row["age_seconds"], row["hard"]) == ("kept", 240, True)
        register.do("update alarm set ended_at = now(), state = 'normal'")
        say("smoke-1")
        row = (await listed(client))["sun"]
        assert (row["standing"], row["hard"]) == ("changed", True), "a fire stays first until somebody saw it end"
        assert await score(book, PROFILES, WEIGHTS, T0 - 4 * minute + SECOND, 10) == 1

        with psycopg.connect(fresh_database) as under_way:
            under_way.execute(
                "insert into change (kind, institution, payload) select 'alarm', key, '{}' from institution where id = 'sun'"
            )
            say("gas-1")
            assert await score(book, PROFILES, WEIGHTS, T0 - 3 * minute) == 4
            assert (await listed(client))["sun"]["standing"] == "kept"
        row = (await listed(client))["sun"]
        assert (row["standing"], row["age_seconds"]) == ("changed", 180), "it began before the score and ended after it"
        assert await score(book, PROFILES, WEIGHTS, T0 - 3 * minute + SECOND, 10) == 1

        value(register, "gas-1", "density", 22.0)
        assert (await listed(client))["sun"]["standing"] == "changed", "no row of the feed tells of gas above its limit"
        register.do("update point_state set value = 0")
        assert (await listed(client))["sun"]["standing"] == "kept"
        register.stop_listening()
        assert {row["standing"] for row in (await listed(client)).values() if row["institution"]} == {"changed"}
        register.listen()
        register.do("update fire_risk set snapshot = '90000000:90000000:' where subject = 'sun'")
        assert (await listed(client))["sun"]["standing"] == "changed", "of another database: nobody knows"
        register.do("update fire_risk set seen_at = seen_at - interval '28 minutes', since = since - interval '1 hour'")
        assert {row["standing"] for row in (await listed(client)).values()} == {"stale"}
        assert {(row["score"], row["certain"]) for row in (await listed(client)).values()} == {(100, 0)}
    async with asking(fresh_database, scope=Scope(divisions=("11",))) as client:
        assert list(await listed(client)) == ["far"]


async def test_the_days_of_what_was_kept_say_the_last_and_the_highest_score_and_none_where_nobody_looked(
    fresh_database: str, register: Register
) -> None:
    day = 86_400 * SECOND
    async with open_book(fresh_database) as book:
        await score(book, PROFILES, WEIGHTS, T0 - 4 * day)
        alarm(register, "smoke-1", "fire", "fire")
        await score(book, PROFILES, WEIGHTS, T0 - day)
        register.do("update alarm set ended_at = now(), state = 'normal'")
        await score(book, PROFILES, WEIGHTS, T0 - day + 60 * SECOND)
    async with asking(fresh_database) as client:
        now = await get(client, "/institutions/sun/fire-risk")
        first, last = (await get(client, "/institutions/sun/fire-risk/trend?days=30"))["days"]
        assert (first["score"], first["highest"], first["hard"]) == (now["score"], now["score"], False)
        assert (last["score"], last["highest"], last["hard"], last["weights"]) == (
            now["score"],
            100,
            True,
            now["weights"],
        )
        assert last["taken_at"] == f"{to_datetime(T0 - day + 60 * SECOND):%Y-%m-%dT%H:%M:%S.%fZ}"
        assert last["day"] == f"{to_datetime(T0 - day + 8 * 3600 * SECOND):%Y-%m-%d}"
        assert (await get(client, "/institutions/sun/fire-risk/trend?days=1"))["days"] == []
        every = (await get(client, "/fire-risk/trend"))["days"]
        assert [(one["institutions"], one["hard"], sum(one["levels"].values())) for one in every] == [
            (3, 0, 3),
            (3, 1, 3),
        ]
        here = (await get(client, "/fire-risk/trend?division=1404"))["days"]
        assert [one["institutions"] for one in here] == [2, 2]
        assert here[1]["worst"] == 100
    async with asking(fresh_database, scope=Scope(divisions=("11",))) as client:
        assert [one["institutions"] for one in (await get(client, "/fire-risk/trend"))["days"]] == [1, 1]
        await get(client, "/institutions/sun/fire-risk/trend", 404)
