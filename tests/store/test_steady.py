"""The database's clock is set by an hour: what waits goes on by the time that has really passed, once, whoever notices."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from hub.errors import Conflict
from hub.model import SECOND, Micros
from hub.store.escalation import claim, fire
from hub.store.outbox import Ended, Result, open_outbox
from hub.store.ownership import attend, settle_due
from hub.store.steady import Moment, SteadyClock
from tests.paging import POLICY, World

HOUR = 3600 * SECOND
STEPS = pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.own_clock()
        await world.policy(POLICY)
        yield world


class Host:
    """Processes of one machine, whose clock since boot stands still until it is told to go on."""

    def __init__(self, world: World, boot: str = "boot-1", uptime: Micros = 1_000_000 * SECOND) -> None:
        self.world = world
        self.boot = boot
        self.uptime = uptime

    def process(self) -> SteadyClock:
        return SteadyClock(self.boot, lambda: self.uptime)

    async def passes(self, seconds: float) -> None:
        """Real time: both clocks go on."""
        self.uptime += int(seconds * SECOND)
        await self.world.set_clock(seconds)

    async def read(self, clock: SteadyClock) -> Moment:
        async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
            now = await clock.read(cur)
        clock.committed()
        return now

    async def due(self, clock: SteadyClock) -> list[tuple[int, int, int]]:
        """What one turn of an escalator does: the pages that it writes."""
        before = Counter(await self.pages())
        now = await self.read(clock)
        async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
            alarms = await claim(cur, 10, 10 * SECOND, now)
        for alarm in alarms:
            async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
                await fire(cur, alarm, now)
        return sorted((Counter(await self.pages()) - before).elements())

    async def pages(self) -> list[tuple[int, int, int]]:
        rows = await self.world.rows("select round, step, repetition from notification")
        return [(row["round"], row["step"], row["repetition"]) for row in rows]


@STEPS
async def test_a_step_of_the_clock_makes_no_step_of_the_escalation_early_or_late(world: World, step: Micros) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.alarm()
    assert await host.due(clock) == [(1, 1, 0)]
    await host.passes(10)
    await world.set_clock(step / SECOND)
    assert await host.due(clock) == []
    await host.passes(40)
    assert await host.due(clock) == []
    await host.passes(11)
    assert await host.due(clock) == [(1, 2, 0)]
    await host.passes(30)
    assert await host.due(clock) == [(1, 2, 1)]
    await host.passes(490)
    assert await host.due(clock) == []
    await host.passes(21)
    assert await host.due(clock) == [(2, 1, 0)]
    [noted] = await world.rows("select extract(epoch from amount)::float8 as amount, moved from clock_step")
    assert abs(noted["amount"] - step / SECOND) < 1
    assert noted["moved"] == 2


@STEPS
async def test_a_process_that_begins_anew_notices_what_was_set_while_none_ran(world: World, step: Micros) -> None:
    host = Host(world)
    first = host.process()
    await host.read(first)
    await world.alarm()
    assert await host.due(first) == [(1, 1, 0)]
    await host.passes(20)
    await world.set_clock(step / SECOND)
    await host.passes(20)
    second = host.process()
    assert await host.due(second) == []
    await host.passes(21)
    assert await host.due(second) == [(1, 2, 0)]


@STEPS
async def test_of_several_processes_one_takes_the_step_in(world: World, step: Micros) -> None:
    host = Host(world)
    clocks = [host.process() for _ in range(3)]
    for clock in clocks:
        await host.read(clock)
    await world.alarm()
    await world.set_clock(step / SECOND)
    moments = [await host.read(clock) for clock in clocks]
    assert len({moment.moved for moment in moments}) == 1
    assert await world.rows("select count(*) as steps from clock_step") == [{"steps": 1}]
    assert [clock.steps for clock in clocks] == [1, 1, 1]


@STEPS
async def test_an_alarm_that_is_raised_between_the_step_and_its_notice_is_paged_at_once_and_in_its_own_time(
    world: World, step: Micros
) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    old = await world.alarm()
    await host.passes(0.2)
    await world.set_clock(step / SECOND)
    new = await world.alarm()
    now = await host.read(clock)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        assert set(await claim(cur, 10, 10 * SECOND, now)) == {old, new}
    for alarm in (old, new):
        waits = await world.rows(
            "select extract(epoch from due_at - hub_clock())::float8 as s from escalation_step where alarm = %s order by due_at",
            alarm,
        )
        for found, wanted in zip((row["s"] for row in waits), (0.0, 60.0, 90.0), strict=True):
            assert abs(found - wanted) < 20, waits


async def test_whoever_claimed_by_the_clock_before_a_step_does_nothing_by_it(world: World) -> None:
    host = Host(world)
    one, other = host.process(), host.process()
    await host.read(other)
    alarm = await world.alarm()
    stale = await host.read(one)
    await world.set_clock(-3600)
    await host.read(other)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        with pytest.raises(Conflict, match="clock"):
            await fire(cur, alarm, stale)
    assert await world.pages(alarm) == []


async def test_a_step_whose_transaction_fails_is_taken_in_by_the_next_reading_once(world: World) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    alarm = await world.alarm()
    assert await host.due(clock) == [(1, 1, 0)]
    await world.set_clock(3600)
    with pytest.raises(RuntimeError):
        async with world.conn.transaction(), world.conn.cursor() as cur:
            await clock.read(cur)
            raise RuntimeError
    assert await world.rows("select * from clock_step") == []
    assert await host.due(clock) == []
    assert await host.due(clock) == []
    assert await left(world, alarm) == [60, 90]


async def test_a_page_that_waits_for_its_next_try_does_not_wait_an_hour(world: World) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.alarm()
    await host.due(clock)
    await world.conn.execute("update notification set next_attempt_at = hub_clock() + interval '30 s'")
    await world.set_clock(-3600)
    await host.read(clock)
    assert await world.rows("select next_attempt_at <= hub_clock() as now from notification") == [{"now": True}]


async def test_nothing_is_moved_while_somebody_writes_due_times_and_all_of_it_afterwards(world: World) -> None:
    """A raise that is under way during the step commits what it reckoned by the old clock: it is waited for."""
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.conn.execute("set lock_timeout = '200ms'")
    async with World.connect(world.url) as ingest:
        async with ingest.conn.transaction():
            alarm = await ingest.alarm()
            await world.set_clock(-3600)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await host.read(clock)
        assert [round(wait) for wait in await left(world, alarm)] == [3600, 3660, 3690]
        await host.read(clock)
        assert await left(world, alarm) == [0, 60, 90]


@STEPS
@pytest.mark.parametrize("anew", [False, True], ids=["running", "begun-anew"])
async def test_an_alarm_that_is_raised_while_the_clock_is_set_and_set_back_unseen_climbs_in_its_own_time(
    world: World, step: Micros, anew: bool
) -> None:
    """What the campaign of 500 kills found: two readings that agree say nothing of what was written between them."""
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await host.passes(1)
    await world.set_clock(step / SECOND)
    alarm = await world.alarm()
    await world.set_clock(-step / SECOND)
    await host.passes(1)
    clock = host.process() if anew else clock
    assert await host.due(clock) == [(1, 1, 0)]
    assert await left(world, alarm) == [60, 90]
    await host.passes(45)
    assert await host.due(clock) == []
    await host.passes(16)
    assert await host.due(clock) == [(1, 2, 0)]
    assert [row["moved"] for row in await world.rows("select moved from clock_step")] == [3]


async def test_what_was_written_since_the_reading_waits_for_the_next_one(world: World) -> None:
    """Between the reading and the claim the clock is set back and an alarm raised: by that reading all its steps would be due."""
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    now = await host.read(clock)
    await world.set_clock(-3600)
    alarm = await world.alarm()
    async with world.conn.transaction(), world.conn.cursor() as cur:
        assert await claim(cur, 10, 10 * SECOND, now) == []
    async with world.conn.transaction(), world.conn.cursor() as cur:
        assert (await fire(cur, alarm, now)).pages == 0
    assert await host.due(clock) == [(1, 1, 0)]
    assert await left(world, alarm) == [60, 90]


async def test_an_alarm_that_is_held_back_is_not_taken_for_one_of_another_clock(world: World) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.conn.execute(
        "create or replace function holds_back(asked uuid[]) returns table (alarm uuid, held interval) stable language sql as"
        " $$ select id, interval '29 s' from unnest(asked) a(id) $$"
    )
    alarm = await world.alarm()
    assert await host.due(clock) == []
    assert await left(world, alarm) == [30, 90, 120]
    assert await world.rows("select * from clock_step") == []
    await host.passes(30)
    assert await host.due(clock) == [(1, 1, 0)]


async def test_a_raise_that_takes_long_to_commit_is_not_taken_for_one_of_another_clock(world: World) -> None:
    host = Host(world)
    clock = host.process()
    async with World.connect(world.url) as ingest:
        async with ingest.conn.transaction():
            alarm = await ingest.alarm()
            await host.passes(20)
            await host.read(clock)
            await host.passes(5)
            await host.read(clock)
        assert await host.due(clock) == [(1, 1, 0)]
        assert await world.rows("select * from clock_step") == []
        await host.passes(36)
        assert await host.due(clock) == [(1, 2, 0)]
        assert await left(world, alarm) == [30]


@STEPS
async def test_an_alarm_that_came_from_a_dump_of_another_database_is_paged_and_moved_like_any_other(
    world: World, step: Micros
) -> None:
    """Its transactions are numbered ahead of all of this database's."""
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.alarm()
    await world.conn.execute("update escalation_step set written = '1000000000'::xid8")
    await world.conn.execute("update clock_watch set snapshot = '999999999:999999999:'")
    assert await host.due(clock) == [(1, 1, 0)]
    await host.passes(10)
    await world.set_clock(step / SECOND)
    for _ in range(3):
        assert await host.due(clock) == []
    await host.passes(51)
    assert await host.due(clock) == [(1, 2, 0)]
    assert await host.due(host.process()) == []


async def test_a_machine_that_starts_with_a_clock_behind_its_last_reading_goes_on_from_that(world: World) -> None:
    """A clock without a battery: it begins in the past, and a time server sets it right some time later."""
    host = Host(world)
    await host.read(host.process())
    alarm = await world.alarm()
    assert await host.due(host.process()) == [(1, 1, 0)]
    await world.set_clock(-86_400)
    booted = Host(world, "boot-2", uptime=20 * SECOND)
    clock = booted.process()
    new = await world.alarm()
    assert await booted.due(clock) == [(1, 1, 0)]
    assert await left(world, alarm) == [60, 90]
    assert await left(world, new) == [60, 90]
    await booted.passes(30)
    await world.set_clock(86_400 + 40)
    assert await booted.due(clock) == []
    await booted.passes(31)
    assert await booted.due(clock) == [(1, 2, 0), (1, 2, 0)]


async def test_a_machine_that_was_off_for_a_while_sends_what_came_due_meanwhile(world: World) -> None:
    host = Host(world)
    await host.read(host.process())
    await world.alarm()
    assert await host.due(host.process()) == [(1, 1, 0)]
    await world.set_clock(70)
    booted = Host(world, "boot-2", uptime=20 * SECOND)
    assert await booted.due(booted.process()) == [(1, 2, 0)]
    assert await world.rows("select * from clock_step") == []


async def test_a_page_whose_next_try_was_reckoned_by_a_clock_that_was_set_back_since_is_tried_at_once(
    world: World,
) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.alarm()
    await host.due(clock)
    await world.conn.execute("update notification set next_attempt_at = hub_clock() + interval '1 h'")
    await host.passes(2)
    await host.read(clock)
    assert await world.rows("select next_attempt_at <= hub_clock() as now from notification") == [{"now": True}]


async def test_a_page_that_is_tried_again_is_not_given_up_sooner_for_a_clock_that_is_set_forward(world: World) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.alarm()
    await host.due(clock)
    await world.set_clock(86_400)
    await host.read(clock)
    async with open_outbox(world.url) as outbox:
        [claimed] = await outbox.claim(10, 10, {}, 10 * SECOND, urgent_only=False)
        tried = Result(claimed.id, claimed.n, Ended.FAILED, 503, "busy", SECOND, SECOND)
        assert await outbox.note(tried, 6 * 3600 * SECOND) == "pending"


@pytest.mark.parametrize("table", ["escalation_step", "notification"])
async def test_a_lease_that_a_clock_gave_that_was_set_back_since_holds_nobody_up(world: World, table: str) -> None:
    host = Host(world)
    clock = host.process()
    await host.read(clock)
    await world.alarm()
    if table == "notification":
        await host.due(clock)
    await world.conn.execute(
        f"update {table} set lease_until = hub_clock() + interval '1 h', lease_holder = own_session()"
    )
    if table == "escalation_step":
        assert await host.due(clock) == [(1, 1, 0)]
    else:
        async with open_outbox(world.url) as outbox:
            assert len(await outbox.claim(10, 10, {}, 10 * SECOND, urgent_only=False)) == 1


async def test_who_reckons_by_a_reading_from_before_a_step_writes_nothing_about_owners(world: World) -> None:
    host = Host(world)
    one, other = host.process(), host.process()
    await host.read(other)
    alarm = await world.alarm()
    stale = await host.read(one)
    await world.acknowledge(alarm)
    await world.set_clock(3600)
    await host.read(other)
    with pytest.raises(Conflict, match="clock"):
        async with world.conn.transaction(), world.conn.cursor() as cur:
            await attend(cur, stale)
    assert await world.rows("select * from ownership") == []
    with pytest.raises(Conflict, match="clock"):
        async with world.conn.transaction(), world.conn.cursor() as cur:
            await settle_due(cur, alarm, stale)


async def left(world: World, alarm: UUID) -> list[int]:
    """Seconds until each step that waits, to the nearest ten."""
    rows = await world.rows(
        "select due_at - hub_clock() as left from escalation_step where alarm = %s and state = 'due' order by due_at",
        alarm,
    )
    return [round((row["left"] + timedelta(seconds=1)).total_seconds() / 10) * 10 for row in rows]
