"""One follower, many subscribers: in commit order, within the scope, bounded, and nothing left behind."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from psycopg import AsyncConnection

from hub.core.backoff import full_jitter
from hub.core.rights import EVERYTHING, Scope
from hub.errors import LinkDown
from hub.runtime.fanout import KINDS, Fanout, Resync, Subscription, visible
from hub.store.changes import Change, Cursor, open_feed
from hub.testing import eventually
from tests.api import seed

LONG = 20.0


@dataclass
class Place:
    url: str
    conn: AsyncConnection[Any]
    a: seed.Tenant
    b: seed.Tenant

    async def say(self, n: int, tenant: seed.Tenant | None = None, kind: str = "alarm") -> None:
        await seed.say(self.conn, (tenant or self.a).key, kind, n=n)


@pytest.fixture
async def place(fresh_database: str) -> AsyncIterator[Place]:
    async with await seed.connect(fresh_database) as conn:
        await seed.divisions(conn, "14", "140403", "140404")
        a = await seed.add_tenant(conn, "a", "140403")
        b = await seed.add_tenant(conn, "b", "140404")
        yield Place(fresh_database, conn, a, b)


@asynccontextmanager
async def following(fanout: Fanout) -> AsyncIterator[Fanout]:
    task = asyncio.create_task(fanout.follow(), name="follow")
    try:
        async with asyncio.timeout(LONG):
            await fanout.following.wait()
        yield fanout
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def numbers(subscription: Subscription, count: int) -> list[int]:
    found = []
    for _ in range(count):
        item = await subscription.next(LONG)
        assert isinstance(item, Change), item
        found.append(item.payload["n"])
    return found


async def test_changes_arrive_in_order_by_notify_long_before_the_poll(place: Place) -> None:
    loop = asyncio.get_running_loop()
    async with following(Fanout(place.url, poll_seconds=90)) as fanout:
        with fanout.subscribe(EVERYTHING) as subscription:
            started = loop.time()
            for n in range(5):
                await place.say(n)
            assert await numbers(subscription, 5) == [0, 1, 2, 3, 4]
    assert loop.time() - started < LONG


async def test_a_change_whose_notify_was_lost_is_found_by_the_poll(place: Place) -> None:
    await place.conn.execute("alter table change disable trigger change_announced")
    async with following(Fanout(place.url, poll_seconds=0.05)) as fanout:
        with fanout.subscribe(EVERYTHING) as subscription:
            await place.say(1)
            assert await numbers(subscription, 1) == [1]


async def test_what_commits_late_is_not_overtaken_and_not_lost(place: Place) -> None:
    async with following(Fanout(place.url, poll_seconds=0.05)) as fanout:
        with fanout.subscribe(EVERYTHING) as subscription:
            async with await seed.connect(place.url) as slow:
                async with slow.transaction():
                    await seed.say(slow, place.a.key, n=1)
                    await place.say(2)  # commits first, has the later transaction id
                    with pytest.raises(TimeoutError):
                        await subscription.next(0.3)
            assert await numbers(subscription, 2) == [1, 2]


async def test_a_scope_sees_only_its_own(place: Place) -> None:
    async with following(Fanout(place.url)) as fanout:
        with (
            fanout.subscribe(Scope(institutions=("a-home",))) as of_a,
            fanout.subscribe(Scope(groups=("b-group",))) as of_b,
            fanout.subscribe(EVERYTHING) as of_all,
        ):
            await place.say(1, place.a)
            await place.say(2, place.b)
            await seed.say(place.conn, None, "registry", n=3)
            await place.say(4, place.a)
            await place.say(5, place.b)
            assert await numbers(of_all, 5) == [1, 2, 3, 4, 5]
            assert await numbers(of_a, 2) == [1, 4]
            assert await numbers(of_b, 2) == [2, 5]


async def test_who_is_too_slow_gets_one_resync_and_then_what_is_new(place: Place) -> None:
    async with following(Fanout(place.url, queue=3)) as fanout:
        with fanout.subscribe(EVERYTHING) as slow, fanout.subscribe(EVERYTHING) as quick:
            for n in range(4):
                await place.say(n)
                assert await numbers(quick, 1) == [n]
            item = await slow.next(LONG)
            assert isinstance(item, Resync)
            await place.say(9)
            assert await numbers(slow, 1) == [9]
            assert item.cursor.seq > 0


async def test_after_the_database_was_away_nothing_is_missing(place: Place) -> None:
    async with following(Fanout(place.url, poll_seconds=0.05)) as fanout:
        with fanout.subscribe(EVERYTHING) as subscription:
            for n in range(3):
                await place.say(n)
                await place.conn.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'anxin-fanout' and datname = current_database()"
                )
            assert await numbers(subscription, 3) == [0, 1, 2]


async def test_catching_up_gives_what_lies_after_a_place_within_the_scope(place: Place) -> None:
    fanout = Fanout(place.url)
    for n in range(4):
        await place.say(n, (place.a, place.b)[n % 2])
    async with open_feed(place.url) as feed:
        first = (await feed.after(Cursor(0, 0), 1))[0].cursor
    async with fanout.catch_up(Scope(institutions=("b-home",)), first) as missed:
        seen = [item.payload["n"] async for item in missed if isinstance(item, Change)]
    assert seen == [1, 3]


async def _first(url: str) -> Change:
    async with open_feed(url) as feed:
        return (await feed.after(Cursor(0, 0), 1))[0]


async def _caught_up(url: str, since: Cursor) -> list[Any]:
    async with Fanout(url).catch_up(EVERYTHING, since) as missed:
        return [item.payload["n"] if isinstance(item, Change) else Resync async for item in missed]


async def test_a_place_whose_followers_were_forgotten_gives_a_resync(place: Place) -> None:
    for n in range(3):
        await place.say(n)
    first = await _first(place.url)
    async with open_feed(place.url) as feed:
        before = await feed.horizon()
        await feed.trim(first.at + timedelta(days=1))
    await place.say(3)
    assert await _caught_up(place.url, first.cursor) == [Resync]
    assert await _caught_up(place.url, before) == [3]


async def test_the_place_before_the_first_change_ever_is_not_forgotten(place: Place) -> None:
    async with open_feed(place.url) as feed:
        empty = await feed.horizon()
    for n in range(2):
        await place.say(n)
    assert await _caught_up(place.url, empty) == [0, 1]


async def test_a_place_of_another_database_gives_a_resync(place: Place) -> None:
    async with open_feed(place.url) as feed:
        here = await feed.horizon()
    assert await _caught_up(place.url, Cursor(here.txid + 1000, 1)) == [Resync]


async def test_trimming_less_does_not_forget_that_more_was_trimmed(place: Place) -> None:
    for n in range(2):
        await place.say(n)
    first = await _first(place.url)
    async with open_feed(place.url) as feed:
        await feed.trim(first.at + timedelta(days=1))
        await feed.trim(first.at - timedelta(days=1))
        assert await feed.is_forgotten(first.cursor)


async def test_fifty_subscribers_come_and_go_and_nothing_is_left(place: Place) -> None:
    async with following(Fanout(place.url)) as fanout:
        before = len(asyncio.all_tasks())

        async def visit(n: int) -> None:
            with fanout.subscribe(EVERYTHING) as subscription:
                assert await numbers(subscription, 1) == [1]

        async with asyncio.TaskGroup() as group:
            for n in range(50):
                group.create_task(visit(n))
            await eventually(lambda: fanout.subscribers == 50)
            await place.say(1)
        assert fanout.subscribers == 0
        assert len(asyncio.all_tasks()) == before


async def test_closing_ends_every_subscription_now_and_to_come(place: Place) -> None:
    async with following(Fanout(place.url)) as fanout:
        with fanout.subscribe(EVERYTHING) as waiting:
            asyncio.get_running_loop().call_soon(fanout.close)
            assert await waiting.next(LONG) is None
            with fanout.subscribe(EVERYTHING) as late:
                assert await late.next(LONG) is None
            await place.say(1)
            assert await waiting.next(LONG) is None


async def test_the_end_of_the_follower_ends_the_subscriptions(place: Place) -> None:
    fanout = Fanout(place.url)
    with fanout.subscribe(EVERYTHING) as subscription:
        async with following(fanout):
            pass
        assert await subscription.next(LONG) is None
    assert not fanout.following.is_set()


async def test_a_database_that_is_not_there_is_waited_for_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 1,024 tries the pause was too large for a number, and the hub ended: three quarters of an hour into an outage."""
    pauses: list[float] = []

    def at_once(attempt: int, first: float, most: float, chance: float) -> float:
        pauses.append(full_jitter(attempt, first, most, 1.0))
        return 0.0

    def away(url: str) -> Any:
        raise LinkDown(f"{url} is away")

    monkeypatch.setattr("hub.runtime.fanout.full_jitter", at_once)
    monkeypatch.setattr("hub.runtime.fanout.open_feed", away)
    task = asyncio.create_task(Fanout("the database").follow())
    await eventually(lambda: len(pauses) > 1_100)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert pauses[:7] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert set(pauses[7:]) == {5.0}


def test_what_concerns_the_whole_hub_is_seen_only_by_those_who_see_everything() -> None:
    change = Change(Cursor(1, 1), seed.NOW, "registry", None, None, (), {})
    assert visible(change, EVERYTHING)
    assert not visible(change, Scope(divisions=("14",)))


def test_every_kind_of_change_that_is_written_is_one_that_is_told() -> None:
    text = "".join(
        one.read_text("utf-8") for one in files("hub.store").joinpath("sql").iterdir() if one.name.endswith(".sql")
    )
    written = re.findall(r"insert into change \(kind[^)]*\)\s*(?:values \(|select )'([a-z_]+)'", text)
    assert len(written) > 8
    assert set(written) <= set(KINDS)
