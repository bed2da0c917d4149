"""Escalations in the database: begun with the alarm, fired step by step, stopped by an acknowledge."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from hub.core.escalation import Step
from hub.model import SECOND, Priority, SignalClass
from hub.store.escalation import Fired, begin, claim, fire, stop, sweep
from tests.paging import POLICY, World

STEP_ROWS = [(1, 1, 0), (1, 2, 0), (1, 2, 1)]


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


async def fired(world: World, alarm: UUID) -> Fired:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        return await fire(cur, alarm)


async def claimed(world: World, limit: int = 10) -> list[UUID]:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        return await claim(cur, limit, 10 * SECOND)


async def swept(world: World) -> tuple[list[UUID], list[UUID]]:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        return await sweep(cur)


async def begun(world: World, *alarms: UUID) -> None:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await begin(cur, alarms)


async def test_round_one_stands_with_the_alarm_and_counts_its_delays_from_there(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    assert await world.open_steps(alarm) == STEP_ROWS
    row = await world.escalation(alarm)
    assert (row["state"], row["policy"], row["round"], row["urgency"]) == ("running", "city", 1, 0)
    delays = await world.rows(
        "select extract(epoch from due_at - round_started_at)::float8 as delay from escalation_step"
        " join escalation using (alarm) order by due_at"
    )
    assert [row["delay"] for row in delays] == [0.0, 60.0, 90.0]
    assert await world.changes("escalation") == [
        {"alarm": str(alarm), "state": "running", "policy": "city", "round": 1}
    ]


async def test_nothing_is_left_of_an_escalation_whose_transaction_fails(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm(begun=False)
    with pytest.raises(RuntimeError):
        async with world.conn.transaction(), world.conn.cursor() as cur:
            await begin(cur, [alarm])
            raise RuntimeError
    assert await world.rows("select * from escalation") == []
    assert await world.rows("select * from escalation_step") == []


async def test_beginning_a_running_escalation_again_changes_nothing(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    before = await world.rows("select * from escalation_step order by due_at")
    await begun(world, alarm, alarm)
    assert await world.rows("select * from escalation_step order by due_at") == before
    assert (await world.escalation(alarm))["round"] == 1


async def test_many_alarms_are_begun_at_once_each_by_its_own_policy(world: World) -> None:
    await world.institution("moon")
    await world.device("button-2", "moon")
    await world.policy(POLICY)
    own = replace(POLICY, id="moon", division=None, institution="moon", steps=(Step(1, "keeper", "hook"),))
    await world.policy(own)
    alarms = [await world.alarm(begun=False), await world.alarm("button-2", begun=False)]
    await begun(world, *alarms)
    assert [(await world.escalation(alarm))["policy"] for alarm in alarms] == ["city", "moon"]
    assert await world.open_steps(alarms[1]) == [(1, 1, 0)]


async def test_an_alarm_that_no_policy_covers_is_kept_in_sight_and_begun_when_one_comes(world: World) -> None:
    alarm = await world.alarm()
    assert (await world.escalation(alarm))["state"] == "uncovered"
    assert await world.changes("escalation") == [{"alarm": str(alarm), "state": "uncovered"}]
    assert await swept(world) == ([], [])
    await world.policy(POLICY)
    assert await swept(world) == ([alarm], [])
    assert (await world.escalation(alarm))["state"] == "running"
    assert await world.open_steps(alarm) == STEP_ROWS


@pytest.mark.parametrize("state", ["ack_active", "latched_ack", "normal"])
async def test_an_alarm_that_somebody_has_taken_is_not_begun(world: World, state: str) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm(begun=False)
    await world.set_state(alarm, state)
    await begun(world, alarm)
    assert await world.rows("select * from escalation") == []
    assert await swept(world) == ([], [])


async def test_a_journal_alarm_is_never_begun(world: World) -> None:
    await world.policy(replace(POLICY, signal_classes=frozenset(SignalClass), priorities=frozenset({Priority.LOW})))
    await world.alarm(signal_class=SignalClass.ACCESS, priority=Priority.JOURNAL)
    assert await swept(world) == ([], [])
    assert await world.rows("select * from escalation") == []


async def test_only_what_is_due_becomes_a_page_and_only_once(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    assert await claimed(world) == [alarm]
    assert await fired(world, alarm) == Fired(alarm, 1, (), "running")
    assert await fired(world, alarm) == Fired(alarm, 0, (), "running")
    assert await world.pages(alarm) == [(1, 1, 0, "pending")]
    await world.pass_time(59)
    assert await claimed(world) == []
    await world.pass_time(1)
    assert await claimed(world) == [alarm]
    assert (await fired(world, alarm)).pages == 1
    assert await world.open_steps(alarm) == [(1, 2, 1)]


async def test_the_last_step_of_a_round_writes_the_next_round(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await world.pass_time(90)
    assert (await fired(world, alarm)).pages == 3
    assert await world.open_steps(alarm) == [(2, 1, 0), (2, 2, 0), (2, 2, 1)]
    due = await world.rows(
        "select extract(epoch from min(due_at) - now())::float8 as left from escalation_step where round = 2"
    )
    assert 505 < due[0]["left"] <= 510
    await world.pass_time(510)
    assert (await fired(world, alarm)).pages == 1
    assert await world.pages(alarm) == [
        (1, 1, 0, "pending"),
        (1, 2, 0, "pending"),
        (1, 2, 1, "pending"),
        (2, 1, 0, "pending"),
    ]


ORDINARY = replace(
    POLICY, signal_classes=frozenset({SignalClass.FAULT}), priorities=frozenset({Priority.HIGH}), max_rounds=1
)


async def test_after_the_last_round_of_an_ordinary_alarm_the_escalation_is_visibly_exhausted_and_a_return_starts_it_again(
    world: World,
) -> None:
    await world.policy(ORDINARY)
    alarm = await world.alarm(signal_class=SignalClass.FAULT, priority=Priority.HIGH)
    await world.pass_time(90)
    assert (await fired(world, alarm)).state == "exhausted"
    assert (await world.escalation(alarm))["state"] == "exhausted"
    assert (await world.changes("escalation"))[-1] == {"alarm": str(alarm), "state": "exhausted"}
    assert await swept(world) == ([], [])
    await begun(world, alarm)
    assert await world.open_steps(alarm) == [(2, 1, 0), (2, 2, 0), (2, 2, 1)]
    await world.pass_time(90)
    assert (await fired(world, alarm)).state == "exhausted"


async def test_a_critical_alarm_whose_rounds_are_through_is_told_to_the_last_step_until_somebody_acts(
    world: World,
) -> None:
    await world.policy(replace(POLICY, max_rounds=1))
    alarm = await world.alarm()
    await world.pass_time(90)
    assert (await fired(world, alarm)).state == "last_resort"
    assert (await world.changes("escalation"))[-1] == {"alarm": str(alarm), "state": "last_resort", "round": 2}
    told = []
    for _ in range(4):
        assert len(await world.open_steps(alarm)) == 1
        await world.pass_time(300)
        found = await fired(world, alarm)
        told.append((found.pages, found.state))
    assert told == [(1, "running")] * 4
    rooms = await world.rows("select distinct responder, step from notification where round > 1")
    assert rooms == [{"responder": "head", "step": 2}]
    assert (await world.escalation(alarm))["state"] == "running"
    await world.acknowledge(alarm)
    assert await world.open_steps(alarm) == []


async def test_a_critical_alarm_that_an_older_hub_left_exhausted_is_taken_up_again(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await world.conn.execute("update escalation_step set state = 'done'")
    await world.conn.execute("update escalation set state = 'exhausted', ended_at = now()")
    assert await swept(world) == ([alarm], [])
    assert (await world.escalation(alarm))["state"] == "running"


async def test_acknowledging_between_steps_cancels_everything_that_was_not_sent(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await fired(world, alarm)
    assert await world.acknowledge(alarm, "li-na") == 3
    assert await world.open_steps(alarm) == []
    assert await world.pages(alarm) == [(1, 1, 0, "cancelled")]
    row = await world.escalation(alarm)
    assert (row["state"], row["reason"], row["actor"]) == ("stopped", "acknowledged", "li-na")
    await world.pass_time(3600)
    assert await claimed(world) == []
    assert (await fired(world, alarm)).state == "gone"
    assert await world.acknowledge(alarm) == 0


async def test_stopping_what_was_never_begun_is_no_error(world: World) -> None:
    alarm = await world.alarm(begun=False)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        assert await stop(cur, alarm, "acknowledged", "li-na") == 0


async def test_a_sent_page_stays_sent_when_the_alarm_is_acknowledged(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await fired(world, alarm)
    await world.conn.execute("update notification set state = 'sent', ended_at = now()")
    assert await world.acknowledge(alarm) == 2
    assert await world.pages(alarm) == [(1, 1, 0, "sent")]


async def test_an_alarm_that_comes_back_after_it_was_stopped_goes_on_with_the_next_round_number(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await fired(world, alarm)
    await world.acknowledge(alarm)
    await world.set_state(alarm, "unack_active")
    await begun(world, alarm)
    assert await world.open_steps(alarm) == [(2, 1, 0), (2, 2, 0), (2, 2, 1)]
    assert (await fired(world, alarm)).pages == 1
    assert await world.pages(alarm) == [(1, 1, 0, "cancelled"), (2, 1, 0, "pending")]
    keys = await world.rows("select count(distinct id) as keys, count(*) as pages from notification")
    assert keys == [{"keys": 2, "pages": 2}]


async def test_an_alarm_that_came_back_without_a_begin_is_found_by_the_sweep(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await world.acknowledge(alarm)
    await world.set_state(alarm, "unack_active")
    assert await swept(world) == ([alarm], [])
    assert (await world.escalation(alarm))["round"] == 2


async def test_a_step_that_finds_its_alarm_acknowledged_sends_nothing_and_stops(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await world.set_state(alarm, "ack_active")
    assert await fired(world, alarm) == Fired(alarm, 0, (), "stopped")
    assert await world.pages(alarm) == []
    assert await world.open_steps(alarm) == []


@pytest.mark.parametrize(
    ("signal_class", "state", "paged"),
    [
        (SignalClass.PANIC, "unack_cleared", True),
        (SignalClass.FIRE, "latched_unack", True),
        (SignalClass.FAULT, "unack_cleared", False),
        (SignalClass.FAULT, "latched_unack", True),
    ],
)
async def test_a_fire_or_panic_that_cleared_by_itself_is_paged_on_and_another_alarm_is_not(
    world: World, signal_class: SignalClass, state: str, paged: bool
) -> None:
    await world.policy(replace(POLICY, signal_classes=frozenset(SignalClass)))
    alarm = await world.alarm(signal_class=signal_class)
    await world.set_state(alarm, state)
    assert await fired(world, alarm) == Fired(alarm, 1 if paged else 0, (), "running" if paged else "stopped")


async def test_a_responder_that_is_gone_when_its_step_is_due_leaves_a_failed_page_and_the_chain_goes_on(
    world: World,
) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await world.conn.execute("update responder set retired_at = now() where id = 'guard'")
    found = await fired(world, alarm)
    assert (found.pages, found.unreachable, found.state) == (1, (("guard", "hook"),), "running")
    assert sorted(await world.pages(alarm)) == [(1, 1, 0, "failed"), (1, 1, 0, "pending")]
    (said,) = await world.changes("notification")
    assert (said["state"], said["responder"], said["channel"]) == ("failed", "guard", "hook")
    await world.pass_time(60)
    await fired(world, alarm)
    assert sorted(await world.pages(alarm))[2:] == [(1, 2, 0, "pending")]


async def test_a_round_keeps_the_plan_that_it_started_with(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await fired(world, alarm)
    await world.policy(replace(POLICY, steps=(Step(1, "nobody", "hook"),)))
    await world.pass_time(60)
    await fired(world, alarm)
    await world.pass_time(20)
    await fired(world, alarm)
    told = await world.rows("select distinct responder from notification order by 1")
    assert [row["responder"] for row in told] == ["guard", "head"]
    assert (await world.escalation(alarm))["policy_version"] == 1


async def test_an_alarm_that_was_forgotten_is_taken_up_by_the_sweep(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm(begun=False)
    assert await swept(world) == ([alarm], [])
    assert await world.open_steps(alarm) == STEP_ROWS
    assert await swept(world) == ([], [])


async def test_an_escalation_without_any_step_left_is_found_and_goes_on(world: World) -> None:
    await world.policy(POLICY)
    alarm = await world.alarm()
    await world.conn.execute("update escalation_step set state = 'done', ended_at = now()")
    assert await swept(world) == ([], [alarm])
    assert (await fired(world, alarm)).state == "running"
    assert await world.open_steps(alarm) == [(2, 1, 0), (2, 2, 0), (2, 2, 1)]


async def test_fire_and_panic_are_claimed_first_and_no_more_than_asked_for(world: World) -> None:
    await world.policy(replace(POLICY, signal_classes=frozenset(SignalClass)))
    faults = [await world.alarm(signal_class=SignalClass.FAULT) for _ in range(3)]
    panics = [await world.alarm() for _ in range(2)]
    assert await claimed(world, limit=3) == [*panics, faults[0]]
    assert await claimed(world) == faults[1:]


async def test_an_unknown_alarm_is_gone(world: World) -> None:
    alarm = uuid4()
    await begun(world, alarm)
    assert await fired(world, alarm) == Fired(alarm, 0, (), "gone")
