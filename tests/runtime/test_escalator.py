"""The escalator as a loop: it wakes at once, survives its database and its own death, and never does a step twice."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from hub.core.escalation import Step
from hub.model import SECOND, Priority, SignalClass
from hub.runtime import escalator
from hub.testing import eventually
from tests.paging import POLICY, World

TREE = Path(__file__).resolve().parents[2]
RUN = "import asyncio, sys; from hub.runtime import escalator; asyncio.run(escalator.run(sys.argv[1]))"


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(POLICY)
        yield world


@asynccontextmanager
async def running(world: World, name: str = "escalator", *, poll: float = 0.25) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(escalator.run(world.url, poll=poll, sweep_every=0.1), name=name)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def has_pages(world: World, alarm: UUID, count: int) -> Callable[[], object]:
    async def look() -> bool:
        return len(await world.pages(alarm)) == count

    return look


def session_is_up(world: World) -> Callable[[], object]:
    async def look() -> bool:
        return bool(
            await world.rows(
                "select pid from pg_stat_activity where application_name = 'anxin-escalator' and datname = current_database()"
            )
        )

    return look


async def kill_sessions(world: World) -> int:
    found = await world.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'anxin-escalator' and datname = current_database()"
    )
    return len(found)


async def test_the_first_step_becomes_a_page_at_once_without_waiting_for_the_poll(world: World) -> None:
    async with running(world, poll=30):
        await eventually(session_is_up(world))
        alarm = await world.alarm()
        await eventually(has_pages(world, alarm, 1), deadline=20)


async def test_steps_follow_in_time_and_rounds_after_rounds_until_somebody_acknowledges(world: World) -> None:
    async with running(world):
        alarm = await world.alarm()
        await eventually(has_pages(world, alarm, 1))
        await world.pass_time(60)
        await eventually(has_pages(world, alarm, 2))
        await world.pass_time(30)
        await eventually(has_pages(world, alarm, 3))
        await world.pass_time(510)
        await eventually(has_pages(world, alarm, 4))
        await world.acknowledge(alarm)
        await world.pass_time(10_000)
        other = await world.alarm()
        await eventually(has_pages(world, other, 1))
    assert len(await world.pages(alarm)) == 4
    assert await world.open_steps(alarm) == []


async def test_what_came_due_while_it_was_down_is_sent_and_nothing_is_left_out(world: World) -> None:
    alarm = await world.alarm()
    await world.pass_time(3600)
    async with running(world):
        await eventually(has_pages(world, alarm, 4))
    assert [page[:3] for page in await world.pages(alarm)] == [(1, 1, 0), (1, 2, 0), (1, 2, 1), (2, 1, 0)]


async def test_two_escalators_do_nothing_twice(world: World) -> None:
    async with running(world, "one"), running(world, "two"):
        alarms = [await world.alarm() for _ in range(20)]
        await world.pass_time(60)
        for alarm in alarms:
            await eventually(has_pages(world, alarm, 2))
    keys = await world.rows("select count(*) as pages, count(distinct id) as keys from notification")
    assert keys == [{"pages": 40, "keys": 40}]


async def test_it_comes_back_by_itself_when_its_database_session_is_killed_again_and_again(world: World) -> None:
    alarms = []
    with capture_logs() as logs:
        async with running(world) as task:
            for _ in range(5):
                alarms.append(await world.alarm())
                await eventually(lambda: kill_sessions(world))
            for alarm in alarms:
                await eventually(has_pages(world, alarm, 1), deadline=20)
            await eventually(lambda: {"database_gone", "database_back"} <= {entry["event"] for entry in logs})
            assert not task.done()


async def test_an_alarm_that_nobody_began_is_taken_up_and_said_aloud(world: World) -> None:
    with capture_logs() as logs:
        async with running(world):
            alarm = await world.alarm(begun=False)
            await eventually(has_pages(world, alarm, 1))
    assert "escalation_orphans" in {entry["event"] for entry in logs}


async def test_one_alarm_that_cannot_be_begun_keeps_no_other_from_being_taken_up(world: World) -> None:
    step = replace(POLICY.steps[0], delay=SECOND)
    await world.policy(replace(POLICY, id="own", division=None, institution="star", steps=(step,)))
    await world.conn.execute("update policy_step set delay = '10000 years' where policy = 'own'")
    await world.institution("moon")
    await world.device("button-2", "moon")
    bad = await world.alarm(begun=False)
    with capture_logs() as logs:
        async with running(world):
            good = await world.alarm("button-2", begun=False)
            await eventually(has_pages(world, good, 1))

            def refused() -> bool:
                return any(one["event"] == "escalation_begin_refused" and one["alarm"] == str(bad) for one in logs)

            await eventually(refused)
    assert await world.pages(bad) == []


async def test_rounds_that_are_through_are_said_aloud_and_a_critical_alarm_goes_on(world: World) -> None:
    once = replace(POLICY, max_rounds=1, steps=(Step(1, "guard", "hook"),), round_every=SECOND)
    await world.policy(once)
    faults, high = frozenset({SignalClass.FAULT}), frozenset({Priority.HIGH})
    await world.policy(replace(once, id="faults", signal_classes=faults, priorities=high))
    with capture_logs() as logs:
        async with running(world):
            panic = await world.alarm()
            fault = await world.alarm(signal_class=SignalClass.FAULT, priority=Priority.HIGH)

            async def exhausted() -> bool:
                return str((await world.escalation(fault))["state"]) == "exhausted"

            await eventually(exhausted)
            await eventually(has_pages(world, panic, 3))
    errors = {(entry["event"], entry["alarm"]) for entry in logs if entry["log_level"] == "error"}
    assert {("escalation_exhausted", str(fault)), ("escalation_last_resort", str(panic))} <= errors


async def test_an_acknowledgement_without_a_sign_after_it_is_asked_about_and_then_paged_again(world: World) -> None:
    alarm = await world.alarm()

    async def owned() -> bool:
        return await world.rows("select state from ownership") == [{"state": "open"}]

    with capture_logs() as logs:
        async with running(world):
            await eventually(has_pages(world, alarm, 1))
            await world.acknowledge(alarm, "guard")
            await eventually(owned)
            await world.pass_time(181)
            await eventually(lambda: "owner_reminded" in {entry["event"] for entry in logs})
            await world.pass_time(181)
            await eventually(has_pages(world, alarm, 3))
    assert "acknowledgement_lapsed" in {entry["event"] for entry in logs if entry["log_level"] == "error"}
    kinds = await world.rows("select kind, round, step from notification order by created_at")
    assert [tuple(row.values()) for row in kinds] == [("page", 1, 1), ("reminder", 1, 0), ("page", 2, 1)]


async def test_an_alarm_that_the_database_refuses_does_not_hold_up_the_others(world: World) -> None:
    await world.conn.execute(
        "create function poison() returns trigger language plpgsql as $$"
        " begin if new.responder = 'guard' then raise data_exception; end if; return new; end $$;"
        "create trigger poison before insert on notification for each row execute function poison()"
    )
    await world.policy(replace(POLICY, id="own", division=None, institution="star", steps=(Step(1, "head", "mail"),)))
    bad = await world.alarm()
    await world.conn.execute("update escalation_step set responder = 'guard', channel = 'hook'")
    with capture_logs() as logs:
        async with running(world):
            good = await world.alarm()
            await eventually(has_pages(world, good, 1))

            def refused() -> bool:
                return any(entry["event"] == "escalation_refused" and entry["alarm"] == str(bad) for entry in logs)

            await eventually(refused)
    assert await world.pages(bad) == []
    await world.conn.execute("drop trigger poison on notification")
    async with running(world):
        await eventually(has_pages(world, bad, 1))


async def test_an_alarm_whose_plan_another_release_wrote_does_not_hold_up_the_others(world: World) -> None:
    bad = await world.alarm()
    await world.conn.execute("""update escalation set plan = jsonb_set(plan, '{steps,0,drone}', '"now"')""")
    with capture_logs() as logs:
        async with running(world):

            def refused() -> bool:
                return any(entry["event"] == "escalation_refused" and entry["alarm"] == str(bad) for entry in logs)

            await eventually(refused)
            good = await world.alarm()
            await eventually(has_pages(world, good, 1))


async def test_an_alarm_that_somebody_holds_does_not_hold_up_the_others_and_is_paged_when_it_is_free(
    world: World,
) -> None:
    held = await world.alarm()
    async with await psycopg.AsyncConnection.connect(world.url) as person:
        await person.execute("update alarm set version = version + 1 where id = %s", (held,))
        async with running(world):
            await world.conn.execute("update escalation_step set due_at = due_at - interval '1 s'")
            free = await world.alarm()
            await eventually(has_pages(world, free, 1))
            assert await world.pages(held) == []
            await person.commit()
            await eventually(has_pages(world, held, 1), deadline=20)


@pytest.mark.parametrize("label", ["escalator-claimed", "escalator-before-commit", "escalator-after-commit"])
async def test_a_kill_at_any_point_neither_loses_nor_repeats_a_step(world: World, label: str) -> None:
    alarms = [await world.alarm() for _ in range(6)]
    await world.pass_time(60)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, world.url, cwd=TREE, env={**os.environ, "ANXIN_CRASH_AT": f"{label}:1"}
    )
    assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGKILL
    before = await world.rows("select count(*) as pages from notification")
    assert before == [{"pages": 2 if label == "escalator-after-commit" else 0}]
    async with running(world):
        for alarm in alarms:
            await eventually(has_pages(world, alarm, 2))
    keys = await world.rows("select count(*) as pages, count(distinct id) as keys from notification")
    assert keys == [{"pages": 12, "keys": 12}]
