"""A step that would reach nobody is never silence: the manned room of the last step is told at once, and it is said aloud."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from psycopg.types.json import Jsonb

from hub.core.escalation import Policy, Step
from hub.core.rota import Rota, Shift
from hub.model import SECOND, Priority, SignalClass
from hub.store.duty import put_rota
from hub.store.escalation import Fired, fire, unattended
from hub.store.plan import open_source
from hub.store.policies import Channel, Responder, put_policy, put_responder
from tests.paging import World, webhook

MINUTE = 60 * SECOND
NIGHT = Shift("night", starts=20 * 60, ends=8 * 60, responders=("wang",), since=date(2020, 1, 1))
DAY = Shift("day", starts=8 * 60, ends=20 * 60, responders=("li",), since=date(2020, 1, 1))
CHAIN = Policy(
    id="chain",
    signal_classes=frozenset({SignalClass.PANIC}),
    priorities=frozenset(Priority) - {Priority.JOURNAL},
    round_every=600 * SECOND,
    steps=(Step(1, rota="post", kinds=2), Step(2, "head", delay=MINUTE), Step(3, "room", delay=2 * MINUTE)),
)


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.own_clock()
        async with world.conn.transaction(), world.conn.cursor() as cur:
            for name in ("wang", "li", "head", "room"):
                hook = Channel("hook", "webhook", webhook("http://127.0.0.1:9/")["settings"])
                mail = Channel("mail", "smtp", {"host": "h", "sender": "a@b.test", "recipients": ["c@d.test"]})
                await put_responder(cur, Responder(name, name, name, (hook, mail), manned=name == "room"))
            await put_rota(cur, Rota("post", (NIGHT, DAY)))
            await put_policy(cur, CHAIN)
        yield world


async def local_time(world: World, hour: int, minute: int = 0) -> None:
    """Set the database's clock to a time of day in China, on whatever day."""
    [row] = await world.rows("select extract(epoch from hub_clock() + interval '8 h')::bigint %% 86400 as now")
    await world.set_clock((hour * 3600 + minute * 60 - row["now"]) % 86_400)


async def fired(world: World) -> Fired:
    [row] = await world.rows("select alarm from escalation where state = 'running'")
    async with world.conn.transaction(), world.conn.cursor() as cur:
        return await fire(cur, row["alarm"])


async def told(world: World) -> list[tuple[int, str, str, str]]:
    rows = await world.rows(
        "select step, responder, channel, state from notification order by step, responder, channel"
    )
    return [(row["step"], row["responder"], row["channel"], row["state"]) for row in rows]


async def test_who_is_on_duty_is_told_by_two_channels_and_is_looked_up_when_the_step_is_due(world: World) -> None:
    await local_time(world, 7, 30)
    await world.alarm()
    assert (await fired(world)).faults == ()
    assert await told(world) == [(1, "wang", "hook", "pending"), (1, "wang", "mail", "pending")]
    await world.conn.execute("delete from notification")
    await world.conn.execute("update escalation_step set state = 'due' where step = 1")
    await local_time(world, 8, 30)
    await fired(world)
    assert [row for row in await told(world) if row[0] == 1] == [
        (1, "li", "hook", "pending"),
        (1, "li", "mail", "pending"),
    ]


async def test_a_gap_that_appeared_after_the_save_goes_to_the_manned_room_at_once(world: World) -> None:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await put_rota(cur, Rota("post", (DAY,)))
    await local_time(world, 3, 10)
    alarm = await world.alarm()
    found = await fired(world)
    assert await told(world) == [(1, "room", "hook", "pending"), (1, "room", "mail", "pending")]
    [fault] = found.faults
    assert (fault.step, fault.target, fault.reason) == (1, "post", "nobody is on duty")
    assert fault.instead == ("room/hook", "room/mail")
    assert (await world.changes("escalation"))[-1] == {
        "alarm": str(alarm),
        "state": "fault",
        "round": 1,
        "step": 1,
        "target": "post",
        "reason": "nobody is on duty",
        "instead": ["room/hook", "room/mail"],
    }
    [kept] = await world.rows("select fault from escalation_step where fault <> ''")
    assert kept == {"fault": "nobody is on duty: room/hook, room/mail"}
    async with world.conn.cursor() as cur:
        assert await unattended(cur) == []


async def test_where_the_room_is_gone_too_whoever_is_left_is_told(world: World) -> None:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await put_rota(cur, Rota("post", (DAY,)))
    await world.conn.execute("update responder_channel set retired_at = now() where responder = 'room'")
    await local_time(world, 3)
    await world.alarm()
    [fault] = (await fired(world)).faults
    assert fault.instead == ("head/hook", "head/mail")
    assert {row[1] for row in await told(world)} == {"head"}


async def test_where_nobody_at_all_is_left_it_is_said_and_the_escalation_goes_on_trying(world: World) -> None:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await put_rota(cur, Rota("post", (DAY,)))
    await world.conn.execute("update responder_channel set retired_at = now()")
    await local_time(world, 3)
    await world.alarm()
    [fault] = (await fired(world)).faults
    assert fault.instead == ()
    assert await told(world) == []
    await world.set_clock(700)
    assert len((await fired(world)).faults) == 2
    [row] = await world.rows("select state, round from escalation")
    assert row == {"state": "running", "round": 2}
    await world.conn.execute("update responder_channel set retired_at = null where responder = 'room'")
    await fired(world)
    assert {row[1] for row in await told(world)} == {"room"}


async def test_an_acknowledge_cancels_what_went_to_the_room_as_well(world: World) -> None:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await put_rota(cur, Rota("post", (DAY,)))
    await local_time(world, 3)
    alarm = await world.alarm()
    await fired(world)
    await world.acknowledge(alarm)
    assert {row[3] for row in await told(world)} == {"cancelled"}


async def test_rows_that_another_release_wrote_cost_nobody_their_page(world: World) -> None:
    """A kind of day, a shift and a running plan that this program does not know: everybody is told all the same, by the standby too."""
    days = Jsonb({"2199-01-01": "half", "2199-02-31": "holiday"})
    await world.conn.execute("insert into calendar_year values (2199, 'a', %s, 1, now(), 'x')", [days])
    await local_time(world, 7, 30)
    await world.alarm()
    assert (await fired(world)).faults == ()
    assert await told(world) == [(1, "wang", "hook", "pending"), (1, "wang", "mail", "pending")]

    await world.conn.execute("delete from notification")
    await world.conn.execute("update escalation_step set state = 'due' where step = 1")
    await world.conn.execute("alter table rota_shift drop constraint rota_shift_day_kinds_check, disable trigger user")
    await world.conn.execute("update rota_shift set day_kinds = '{moonday}'")
    [fault] = (await fired(world)).faults
    assert fault.instead == ("room/hook", "room/mail")

    await world.conn.execute("alter table policy drop constraint policy_signal_classes_check")
    async with open_source(world.url) as source:
        assert len((await source.open(0)).running) == 1
        people = await source.people(0)
        assert [policy.id for policy in people.policies] == ["chain"]
        assert people.rotas["post"].shifts == ()
        await world.conn.execute('update escalation set plan = plan || \'{"steps": [{"whom": "wang"}]}\'')
        await world.conn.execute("update policy set signal_classes = '{flood}'")
        seen = await source.open(0)
        assert (seen.running, sum(map(len, seen.alarms.values()))) == ((), 1)
        assert (await source.people(0)).policies == ()
