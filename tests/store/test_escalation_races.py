"""Whoever comes at the same moment: an acknowledge and a step, two escalators, a session that dies."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from hub.errors import LinkDown
from hub.model import SECOND
from hub.store.escalation import Fired, fire, stop
from hub.store.timers import Timers, open_timers
from hub.testing import eventually
from tests.paging import POLICY, World

LEASE = 10 * SECOND
TRIALS = 120


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(POLICY)
        yield world


@pytest.fixture
async def timers(world: World) -> AsyncIterator[Timers]:
    async with open_timers(world.url) as timers:
        yield timers


@pytest.fixture
async def others(world: World) -> AsyncIterator[Timers]:
    async with open_timers(world.url) as timers:
        yield timers


async def fired(timers: Timers, alarm: UUID) -> Fired:
    async with timers.transaction() as cur:
        return await fire(cur, alarm)


async def session_of(timers: Timers) -> int:
    async with timers.transaction() as cur:
        await cur.execute("select pg_backend_pid()")
        row = await cur.fetchone()
    assert row is not None
    return int(row[0])


async def kill(world: World, pid: int) -> None:
    await world.conn.execute("select pg_terminate_backend(%s)", (pid,))

    async def gone() -> bool:
        return not await world.rows("select 1 as one from pg_stat_activity where pid = %s", pid)

    await eventually(gone)


async def test_an_acknowledge_that_races_a_step_wins_or_cancels_it(world: World, timers: Timers) -> None:
    outcomes: Counter[str] = Counter()
    async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as person:
        for trial in range(TRIALS):
            alarm = await world.alarm()

            async def acknowledge(alarm: UUID = alarm) -> int:
                return await world.acknowledge(alarm, conn=person)

            async def escalate(alarm: UUID = alarm) -> Fired:
                return await fired(timers, alarm)

            both: list[Any] = [acknowledge(), escalate()] if trial % 2 else [escalate(), acknowledge()]
            await asyncio.gather(*both)
            assert await world.open_steps(alarm) == []
            pages = await world.pages(alarm)
            assert pages in ([], [(1, 1, 0, "cancelled")])
            assert (await world.escalation(alarm))["state"] == "stopped"
            outcomes["step first" if pages else "acknowledge first"] += 1
    assert outcomes.total() == TRIALS


async def test_a_step_waits_for_an_acknowledge_that_is_under_way_and_then_sends_nothing(
    world: World, timers: Timers
) -> None:
    alarm = await world.alarm()
    async with await psycopg.AsyncConnection.connect(world.url) as person, person.cursor() as cur:
        await cur.execute("update alarm set state = 'ack_active' where id = %s", (alarm,))
        step = asyncio.create_task(fired(timers, alarm), name="step")
        pid = (await world.rows("select pid from pg_stat_activity where application_name = 'anxin-escalator'"))[0][
            "pid"
        ]

        async def waits() -> bool:
            return bool(await world.rows("select 1 as one where cardinality(pg_blocking_pids(%s)) > 0", pid))

        await eventually(waits)
        await stop(cur, alarm, "acknowledged", "li-na")
        await person.commit()
    assert (await step).state == "gone"
    assert await world.pages(alarm) == []


async def test_two_escalators_at_once_do_nothing_twice(world: World, timers: Timers, others: Timers) -> None:
    alarms = [await world.alarm() for _ in range(40)]

    async def work(mine: Timers) -> list[UUID]:
        had: list[UUID] = []
        while found := await mine.claim(3, LEASE):
            for alarm in found:
                had += [alarm] * (await fired(mine, alarm)).pages
        return had

    one, two = await asyncio.gather(work(timers), work(others))
    assert sorted([*one, *two]) == sorted(alarms)
    assert one, "the first took part"
    assert two, "the second took part"
    assert await world.rows("select count(*) as n from notification") == [{"n": 40}]


async def test_two_that_fire_the_same_alarm_at_once_write_one_page_and_one_next_round(
    world: World, timers: Timers, others: Timers
) -> None:
    alarm = await world.alarm()
    await world.pass_time(90)
    pages = await asyncio.gather(fired(timers, alarm), fired(others, alarm))
    assert sorted(done.pages for done in pages) == [0, 3]
    assert await world.open_steps(alarm) == [(2, 1, 0), (2, 2, 0), (2, 2, 1)]


async def test_what_is_leased_is_left_alone_until_the_lease_has_run_out(
    world: World, timers: Timers, others: Timers
) -> None:
    alarm = await world.alarm()
    assert await timers.claim(10, LEASE) == [alarm]
    assert await others.claim(10, LEASE) == []
    await world.conn.execute("update escalation_step set lease_until = now() - interval '1 ms' where state = 'due'")
    assert await others.claim(10, LEASE) == [alarm]


async def test_the_lease_of_a_session_that_died_between_claim_and_commit_ends_with_it_and_nothing_is_lost(
    world: World, timers: Timers, others: Timers
) -> None:
    alarm = await world.alarm()
    assert await timers.claim(10, LEASE) == [alarm]
    with pytest.raises(LinkDown):
        async with timers.transaction() as cur:
            assert (await fire(cur, alarm)).pages == 1
            await kill(
                world,
                (
                    await world.rows(
                        "select pid from pg_stat_activity where application_name = 'anxin-escalator' and state like 'idle in%%'"
                    )
                )[0]["pid"],
            )
    assert await world.pages(alarm) == []
    assert await others.claim(10, LEASE) == [alarm]
    assert (await fired(others, alarm)).pages == 1
    assert await world.pages(alarm) == [(1, 1, 0, "pending")]


async def test_the_wait_ends_when_a_step_is_written_and_when_the_database_goes(world: World, timers: Timers) -> None:
    pid = await session_of(timers)
    waiting = asyncio.create_task(timers.wait(30), name="waiting")
    alarm = await world.alarm()
    await asyncio.wait_for(waiting, 20)
    assert await timers.claim(10, LEASE) == [alarm]
    await timers.wait(0.01)
    waiting = asyncio.create_task(timers.wait(30), name="waiting")
    await kill(world, pid)
    await asyncio.wait_for(waiting, 20)
    with pytest.raises(LinkDown):
        await timers.claim(10, LEASE)
