"""The change feed by polling: a place first, then what came after it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from hub.runtime.fanout import KINDS
from hub.store.changes import open_feed
from tests.api import seed
from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]


async def poll(city: City, token: str = "admin", **query: Any) -> dict[str, Any]:
    async with city.client(token) as client:
        answer = await client.get("/changes", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_who_takes_the_place_first_misses_nothing_and_sees_nothing_twice(city: City) -> None:
    await seed.say(city.conn, city.a.key, n=0)
    start = await poll(city)
    assert (start["items"], start["more"]) == ([], False)
    seen: list[int] = []
    place = start["next"]
    for n in range(1, 6):
        await seed.say(city.conn, city.a.key, "device_state", n=n)
    more = True
    while more:
        page = await poll(city, cursor=place, limit=2)
        seen += [item["data"]["n"] for item in page["items"]]
        place, more = page["next"], page["more"]
    assert seen == [1, 2, 3, 4, 5]
    assert (await poll(city, cursor=place)) == {"items": [], "next": place, "more": False}


async def test_a_change_under_way_is_not_skipped_by_a_later_one(city: City) -> None:
    start = await poll(city)
    async with await seed.connect(city.url) as slow:
        async with slow.transaction():
            await seed.say(slow, city.a.key, n=1)
            await seed.say(city.conn, city.a.key, n=2)
            assert (await poll(city, cursor=start["next"]))["items"] == []
    page = await poll(city, cursor=start["next"])
    assert [item["data"]["n"] for item in page["items"]] == [1, 2]


async def test_only_what_is_within_the_scope_is_shown(city: City) -> None:
    start = await poll(city)
    await seed.say(city.conn, city.b.key, n=1)
    await seed.say(city.conn, None, n=2)
    await seed.say(city.conn, city.a.key, n=3)
    await seed.say(city.conn, city.a.key, "of-no-kind-we-show", n=4)
    page = await poll(city, "platform-a", cursor=start["next"])
    assert [(item["institution"], item["data"]["n"]) for item in page["items"]] == [("a-home", 3)]


async def test_a_place_that_is_no_longer_kept_is_gone(city: City, problem: Problem) -> None:
    start = await poll(city)
    await seed.say(city.conn, city.a.key, n=1)
    async with open_feed(city.url) as feed:
        await feed.trim(datetime.now(UTC) + timedelta(days=1))
    async with city.client() as client:
        answer = await client.get("/changes", params={"cursor": start["next"]})
        assert problem(answer)["code"] == "gone"
        assert answer.status_code == 410
        assert problem(await client.get("/changes?cursor=nonsense"))["errors"][0]["pointer"] == "query/cursor"


async def test_a_change_of_every_kind_that_the_feed_knows_is_shown(city: City) -> None:
    start = await poll(city)
    for kind in KINDS:
        await seed.say(city.conn, city.a.key, kind)
    page = await poll(city, cursor=start["next"])
    assert [item["kind"] for item in page["items"]] == list(KINDS)
