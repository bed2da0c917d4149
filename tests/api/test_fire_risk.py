"""Fire risk through the API: every point explained, the most dangerous first, within the scope, and exercises never count."""

from collections.abc import Iterator
from typing import Any

import pytest

from hub.core.fire_facts import HARD
from hub.core.rights import Scope
from hub.model import SECOND, to_datetime
from hub.runtime.fire_watch import score_all
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


async def test_the_days_of_what_was_kept_say_the_last_and_the_highest_score_and_none_where_nobody_looked(
    fresh_database: str, register: Register
) -> None:
    day = 86_400 * SECOND
    async with open_book(fresh_database) as book:
        await score_all(book, PROFILES, WEIGHTS, T0 - 4 * day)
        alarm(register, "smoke-1", "fire", "fire")
        await score_all(book, PROFILES, WEIGHTS, T0 - day)
        register.do("update alarm set ended_at = now(), state = 'normal'")
        await score_all(book, PROFILES, WEIGHTS, T0 - day + 60 * SECOND)
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
