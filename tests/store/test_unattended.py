"""The invariant of escalation as a query: whatever breaks it is named, and what holds is silent."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hub.core.escalation import Step
from hub.model import Priority, SignalClass
from hub.store.escalation import Unattended, begin, unattended
from tests.paging import POLICY, World


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


async def found(world: World, limit: int = 100) -> list[Unattended]:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        return await unattended(cur, limit=limit)


async def reasons(world: World) -> list[str]:
    return [row.reason for row in await found(world)]


async def test_an_alarm_whose_escalation_runs_or_that_somebody_owns_is_attended(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    assert await found(world) == []
    await world.acknowledge(alarm)
    assert await found(world) == []
    await world.set_state(alarm, "normal")
    assert await found(world) == []


async def test_whatever_leaves_a_panic_without_a_next_step_is_named(world: World) -> None:
    alarm = await world.alarm(begun=False)
    [row] = await found(world)
    assert (row.alarm, row.signal_class, row.priority) == (alarm, SignalClass.PANIC, Priority.CRITICAL)
    assert row.reason == "it has no escalation"
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await begin(cur, [alarm])
    assert await reasons(world) == ["its escalation is uncovered"]
    await world.policy(replace(POLICY, steps=(Step(1, "guard", "hook"),)))
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await begin(cur, [alarm])
    assert await reasons(world) == []
    await world.pass_time(9)
    assert await reasons(world) == []
    await world.pass_time(2)
    [row] = await found(world)
    assert row.reason == "its next step is overdue"
    assert row.due_at is not None
    await world.conn.execute("update escalation_step set state = 'cancelled'")
    assert await reasons(world) == ["its escalation has no next step"]


async def test_a_fire_of_low_priority_counts_and_an_ordinary_fault_does_not(world: World) -> None:
    await world.alarm(signal_class=SignalClass.FAULT, priority=Priority.HIGH, begun=False)
    assert await found(world) == []
    fire = await world.alarm(signal_class=SignalClass.FIRE, priority=Priority.LOW, begun=False)
    critical = await world.alarm(signal_class=SignalClass.INTRUSION, begun=False)
    assert {row.alarm for row in await found(world)} == {fire, critical}
    assert len(await found(world, limit=1)) == 1


async def test_an_exercise_is_nobodys_danger(world: World) -> None:
    alarm = await world.alarm(begun=False)
    await world.conn.execute("alter table alarm disable trigger alarm_exercise_lost")
    await world.conn.execute("update alarm set exercise = 'drill' where id = %s", (alarm,))
    assert await found(world) == []
