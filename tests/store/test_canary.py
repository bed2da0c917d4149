"""What the canary's rows cause is a canary by construction: marked, to its sink alone, in no list and no feed, and gone after a day."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest

from hub.core.canary import PROFILE
from hub.registry import canaries_of, partition_of
from hub.store.canary import Aviary, Nest, open_aviary
from hub.store.escalation import fire
from tests.delivering import ONE
from tests.paging import World

SINK = {"url": "http://127.0.0.1:9/", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"}


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(replace(ONE, division=None))  # it covers everything there is
        yield world


@pytest.fixture
async def aviary(world: World) -> AsyncIterator[Aviary]:
    async with open_aviary(world.url) as aviary:
        yield aviary


async def press(world: World, nest: Nest) -> object:
    """A canary's alarm with its page in the outbox."""
    alarm = await world.alarm(nest.id)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await fire(cur, alarm)
    return alarm


def test_every_partition_has_a_canary_of_its_own_that_falls_into_it() -> None:
    for count in (1, 8, 64):
        names = canaries_of(count)
        assert [partition_of(name, count) for name in names] == list(range(count))


async def test_a_canary_goes_to_its_sink_and_nowhere_else_whatever_policies_cover(world: World, aviary: Aviary) -> None:
    nests = await aviary.settle(PROFILE.profile, SINK)
    assert len(nests) == 8
    assert await aviary.settle(PROFILE.profile, SINK) == nests
    alarm = await press(world, nests[3])
    (row,) = await world.rows("select responder, channel, exercise from notification where alarm = %s", alarm)
    assert tuple(row.values()) == ("canary", "sink", "canary")
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await fire(cur, alarm)  # type: ignore[arg-type]
    assert (await world.rows("select state from escalation where alarm = %s", alarm))[0]["state"] in (
        "running",
        "exhausted",
    )


async def test_the_database_itself_refuses_a_canary_for_people_and_people_in_its_sink(
    world: World, aviary: Aviary
) -> None:
    nests = await aviary.settle(PROFILE.profile, SINK)
    canary, real = await press(world, nests[0]), await world.alarm()
    with pytest.raises(psycopg.errors.CheckViolation):
        await world.conn.execute("update notification set responder = 'guard' where alarm = %s", (canary,))
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await fire(cur, real)
    with pytest.raises(psycopg.errors.CheckViolation):
        await world.conn.execute("update notification set responder = 'canary' where alarm = %s", (real,))
    with pytest.raises(psycopg.Error):
        await world.conn.execute("update alarm set exercise = null, exercise_id = null where id = %s", (canary,))


async def test_nobody_sees_a_canary(world: World, aviary: Aviary) -> None:
    nests = await aviary.settle(PROFILE.profile, SINK)
    await press(world, nests[0])
    everything = '{"everything": true, "divisions": [], "institutions": [], "groups": []}'
    assert [r["id"] for r in await world.rows("select id from institutions_in_scope(%s::jsonb)", everything)] == [
        "star"
    ]
    assert "00" not in [
        r["code"] for r in await world.rows("select code from divisions_in_scope(%s::jsonb)", everything)
    ]
    assert await world.rows("select kind from change") == []


async def test_it_is_answered_and_after_a_day_nothing_is_left_of_it(world: World, aviary: Aviary) -> None:
    nests = await aviary.settle(PROFILE.profile, SINK)
    alarm, real = await press(world, nests[0]), await world.alarm()
    await world.conn.execute("update alarm set state = 'unack_cleared', latching = false where id = %s", (alarm,))
    now = time.time_ns() // 1000
    assert await aviary.answer(nests[0], now) == [alarm]
    assert await aviary.answer(nests[0], now) == []
    assert await aviary.sweep() == 0
    await world.conn.execute("update alarm set ended_at = now() - interval '25 hours' where id = %s", (alarm,))
    assert await aviary.sweep() == 1
    for table in ("alarm", "escalation", "escalation_step", "notification"):
        assert not await world.rows(f"select 1 from {table} where {'id' if table == 'alarm' else 'alarm'} = %s", alarm)
    assert await world.rows("select id from alarm where id = %s", real)
