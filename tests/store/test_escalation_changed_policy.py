"""A policy or a responder that changes while an alarm climbs: whoever is told now is told, and no round goes to nobody."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from hub.core.escalation import Policy, Step
from hub.model import SECOND
from hub.store.escalation import Fired, fire
from hub.store.policies import retire_policy, retire_responder
from tests.paging import POLICY, World, flat

TO_DEPUTY = replace(POLICY, steps=(Step(1, "deputy", "hook"),))


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(POLICY)
        yield world


async def fired(world: World, alarm: UUID) -> Fired:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        return await fire(cur, alarm)


async def changed(world: World, policy: Policy, *gone: str) -> None:
    """As one apply does it: the policy is another, and these responders go."""
    await world.policy(policy)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        for responder in gone:
            await retire_responder(cur, responder)


async def told(world: World, alarm: UUID) -> list[tuple[int, int, str, str]]:
    rows = await world.rows("select * from notification where alarm = %s order by round, step, repetition", alarm)
    return [(row["round"], row["step"], row["responder"], row["state"]) for row in rows]


async def test_where_everybody_of_the_old_policy_is_gone_the_new_one_is_told_at_once(world: World) -> None:
    alarm = await world.alarm()
    await fired(world, alarm)
    await changed(world, TO_DEPUTY, "guard", "head")
    await world.pass_time(60)
    gone = await fired(world, alarm)
    assert (gone.state, gone.unreachable) == ("running", (("head", "mail"),))
    assert await world.open_steps(alarm) == [(2, 1, 0)]
    await fired(world, alarm)
    assert await told(world, alarm) == [
        (1, 1, "guard", "pending"),
        (1, 2, "head", "failed"),
        (2, 1, "deputy", "pending"),
    ]
    row = await world.escalation(alarm)
    assert (row["state"], row["policy"], row["policy_version"], row["round"]) == ("running", "city", 2, 3)


async def test_a_round_that_was_written_and_has_not_begun_goes_by_the_policy_that_covers_the_alarm_then(
    world: World,
) -> None:
    alarm = await world.alarm()
    await world.pass_time(100)
    await fired(world, alarm)
    assert await world.open_steps(alarm) == [(2, 1, 0), (2, 2, 0), (2, 2, 1)]
    await changed(world, TO_DEPUTY)
    await world.pass_time(500)
    await fired(world, alarm)
    assert await world.open_steps(alarm) == [(3, 1, 0)]
    await fired(world, alarm)
    assert (await told(world, alarm))[3:] == [(3, 1, "deputy", "pending")]


async def test_the_next_round_goes_by_the_policy_that_covers_the_alarm_now(world: World) -> None:
    alarm = await world.alarm()
    await fired(world, alarm)
    await changed(world, TO_DEPUTY)
    await world.pass_time(100)
    await fired(world, alarm)
    assert [row[:3] for row in await told(world, alarm)] == [(1, 1, "guard"), (1, 2, "head"), (1, 2, "head")]
    assert await world.open_steps(alarm) == [(2, 1, 0)]
    await world.pass_time(500)
    await fired(world, alarm)
    assert (await told(world, alarm))[-1] == (2, 1, "deputy", "pending")


async def test_a_policy_of_the_institutions_own_takes_over_with_the_next_round(world: World) -> None:
    alarm = await world.alarm()
    await fired(world, alarm)
    await changed(world, replace(TO_DEPUTY, id="own", division=None, institution="star"))
    await world.pass_time(100)
    await fired(world, alarm)
    assert (await world.escalation(alarm))["policy"] == "own"


async def test_where_no_policy_covers_it_any_more_the_old_one_goes_on(world: World) -> None:
    alarm = await world.alarm()
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await retire_policy(cur, "city")
    await world.pass_time(100)
    assert (await fired(world, alarm)).state == "running"
    assert await world.open_steps(alarm) == [(2, 1, 0), (2, 2, 0), (2, 2, 1)]
    row = await world.escalation(alarm)
    assert (row["policy"], row["policy_version"]) == ("city", 1)


async def test_one_who_is_gone_does_not_keep_those_from_being_told_who_are_there(world: World) -> None:
    """Without another policy the round goes on as it was: nobody is told twice."""
    alarm = await world.alarm()
    await world.conn.execute("update responder set retired_at = now() where id = 'guard'")
    assert (await fired(world, alarm)).unreachable == (("guard", "hook"),)
    assert await world.open_steps(alarm) == [(1, 2, 0), (1, 2, 1)]


async def test_rounds_are_counted_anew_under_another_policy(world: World) -> None:
    await world.policy(replace(POLICY, max_rounds=1))
    alarm = await world.alarm()
    await fired(world, alarm)
    await changed(world, replace(TO_DEPUTY, max_rounds=2, round_every=60 * SECOND))
    states = []
    for _ in range(3):
        await world.pass_time(700)
        states.append((await fired(world, alarm)).state)
    assert states == ["running", "running", "last_resort"]
    rows = await world.rows("select round, responder from notification where alarm = %s order by round, due_at", alarm)
    assert flat(rows, "round", "responder")[3:] == [(2, "deputy"), (3, "deputy")]
