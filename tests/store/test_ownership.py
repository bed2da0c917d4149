"""An acknowledgement is owned: asked about, renewed by any sign, and gone where nothing follows; then everybody is paged again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from uuid import UUID

import psycopg
import pytest

from hub.core import hidings
from hub.core.alarms import AlarmEvent, Disposition, step
from hub.core.escalation import Step
from hub.errors import Conflict
from hub.model import SECOND, Priority, SignalClass
from hub.store import alarms
from hub.store.escalation import fire, unattended
from hub.store.ownership import Done, attend, settle_due
from hub.store.steady import Moment, SteadyClock, moment
from tests.paging import POLICY, World

OWNER = "guard"
LAST = replace(
    POLICY,
    signal_classes=frozenset(SignalClass),
    steps=(Step(1, "guard", "hook"), Step(2, "room", "hook", delay=60 * SECOND)),
)


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.own_clock()
        await world.policy(LAST)
        yield world


async def act(world: World, alarm: UUID, event: AlarmEvent, actor: str = OWNER, note: str = "") -> None:
    async with world.conn.transaction():
        await alarms.act(world.conn, alarm, event, actor, note, 1_700_000_000 * SECOND)


async def turn(world: World) -> list[Done]:
    """What one turn of the escalator does for owners."""
    async with world.conn.transaction(), world.conn.cursor() as cur:
        now = await moment(cur)
        due = await attend(cur, now)
    return [await settled(world, alarm, now) for alarm in due]


async def settled(world: World, alarm: UUID, now: Moment, conn: psycopg.AsyncConnection[object] | None = None) -> Done:
    used = world.conn if conn is None else conn
    async with used.transaction(), used.cursor() as cur:
        return await settle_due(cur, alarm, now)  # type: ignore[arg-type]


async def taken(world: World, **more: object) -> UUID:
    """An alarm that its owner has acknowledged, and the first turn after it."""
    alarm = await world.alarm(**more)  # type: ignore[arg-type]
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await fire(cur, alarm)
    await act(world, alarm, AlarmEvent.ACKNOWLEDGE)
    assert await turn(world) == []
    return alarm


async def state(world: World, alarm: UUID) -> str:
    return str((await world.rows("select state from alarm where id = %s", alarm))[0]["state"])


async def reminders(world: World) -> list[tuple[str, str, int]]:
    rows = await world.rows(
        "select responder, channel, repetition from notification where kind = 'reminder' order by repetition"
    )
    return [(row["responder"], row["channel"], row["repetition"]) for row in rows]


async def test_the_owner_is_asked_after_three_minutes_and_without_a_sign_everybody_is_paged_again_after_six(
    world: World,
) -> None:
    alarm = await taken(world)
    await world.set_clock(170)
    assert await turn(world) == []
    await world.set_clock(11)
    assert await turn(world) == [Done(alarm, "reminded", OWNER, ("guard/hook",))]
    assert await reminders(world) == [("guard", "hook", 1)]
    assert await turn(world) == []
    await world.set_clock(170)
    assert await turn(world) == []
    await world.set_clock(11)
    assert await turn(world) == [Done(alarm, "lapsed", OWNER)]
    assert await state(world, alarm) == "unack_active"
    row = await world.escalation(alarm)
    assert (row["state"], row["round"]) == ("running", 2)
    assert [step for step in await world.open_steps(alarm) if step[1] == 1] == [(2, 1, 0)]
    [last] = await world.rows(
        "select event, actor, note from alarm_transition where alarm = %s order by n desc limit 1", alarm
    )
    assert last == {"event": "lapse", "actor": "", "note": "no sign of guard"}
    said = [about["state"] for about in await world.changes("escalation")]
    assert said[-3:] == ["reminded", "running", "lapsed"]
    assert await turn(world) == []


async def test_whoever_takes_a_lapsed_alarm_again_owns_it_anew(world: World) -> None:
    alarm = await taken(world)
    await world.set_clock(361)
    await turn(world)
    await act(world, alarm, AlarmEvent.ACKNOWLEDGE, "head")
    assert await turn(world) == []
    [row] = await world.rows("select owner, state, reminders from ownership")
    assert row == {"owner": "head", "state": "open", "reminders": 0}
    await world.set_clock(361)
    assert [done.what for done in await turn(world)] == ["lapsed"]


@pytest.mark.parametrize("sign", ["confirm", "note"])
async def test_any_sign_of_a_person_starts_the_time_anew(world: World, sign: str) -> None:
    alarm = await taken(world)
    for _ in range(3):
        await world.set_clock(350)
        if sign == "confirm":
            await act(world, alarm, AlarmEvent.CONFIRM)
        else:
            async with world.conn.transaction():
                await alarms.move(world.conn, alarm, partial(hidings.note, at=1, actor=OWNER, text="到现场"), 1)
        assert await turn(world) == []
    await world.set_clock(181)
    assert [done.what for done in await turn(world)] == ["reminded"]
    assert await state(world, alarm) == "ack_active"


async def test_whoever_confirms_in_place_of_the_owner_is_asked_from_then_on(world: World) -> None:
    alarm = await taken(world)
    await act(world, alarm, AlarmEvent.CONFIRM, "room")
    await turn(world)
    await world.set_clock(181)
    assert await turn(world) == [Done(alarm, "reminded", "room", ("room/hook",))]


async def test_a_person_who_is_no_responder_is_asked_through_the_manned_room(world: World) -> None:
    alarm = await world.alarm()
    await act(world, alarm, AlarmEvent.ACKNOWLEDGE, "token-7")
    await turn(world)
    await world.set_clock(181)
    assert await turn(world) == [Done(alarm, "reminded", "token-7", ("room/hook",))]


@pytest.mark.parametrize("end", ["clear", "dispose", "reset"])
async def test_what_ends_the_matter_ends_the_questions(world: World, end: str) -> None:
    alarm = await taken(world)
    if end == "dispose":
        by = partial(hidings.dispose, disposition=Disposition.TRUE, at=1, actor=OWNER, note="")
        async with world.conn.transaction():
            await alarms.move(world.conn, alarm, by, 1)
    else:
        await act(world, alarm, AlarmEvent.CLEAR, "")
    if end == "reset":
        await act(world, alarm, AlarmEvent.RESET)
    await world.set_clock(10_000)
    assert await turn(world) == []
    assert await world.rows("select state from ownership") == [{"state": "settled"}]
    assert await reminders(world) == []


async def test_a_press_that_was_over_before_somebody_took_it_lapses_too(world: World) -> None:
    alarm = await world.alarm()
    await act(world, alarm, AlarmEvent.CLEAR, "")
    await act(world, alarm, AlarmEvent.ACKNOWLEDGE)
    assert await state(world, alarm) == "latched_ack"
    await turn(world)
    await world.set_clock(361)
    assert [done.what for done in await turn(world)] == ["lapsed"]
    assert await state(world, alarm) == "latched_unack"
    assert (await world.escalation(alarm))["state"] == "running"
    async with world.conn.cursor() as cur:
        assert await unattended(cur) == []


async def test_an_ordinary_alarm_stays_acknowledged(world: World) -> None:
    await taken(world, signal_class=SignalClass.FAULT, priority=Priority.CRITICAL)
    await world.set_clock(100_000)
    assert await turn(world) == []
    assert await world.rows("select * from ownership") == []


async def test_a_policy_may_say_other_times_and_have_ordinary_alarms_lapse(world: World) -> None:
    await world.conn.execute("update policy set remind_after = '10 s', lapse_after = '20 s'")
    alarm = await taken(world, signal_class=SignalClass.FAULT, priority=Priority.CRITICAL)
    await world.set_clock(11)
    assert [done.what for done in await turn(world)] == ["reminded"]
    await world.set_clock(10)
    assert await turn(world) == [Done(alarm, "lapsed", OWNER)]


async def test_a_clock_that_is_set_neither_hurries_nor_stops_a_lapse(world: World) -> None:
    uptime = [0]
    clock = SteadyClock("boot", lambda: uptime[0])

    async def read() -> None:
        async with world.conn.transaction(), world.conn.cursor() as cur:
            await clock.read(cur)
        clock.committed()

    await read()
    alarm = await taken(world)
    for ahead in (3600, -7200):
        await world.set_clock(ahead)
        await read()
        assert await turn(world) == []
    uptime[0] += 361 * SECOND
    await world.set_clock(361)
    await read()
    assert await turn(world) == [Done(alarm, "lapsed", OWNER)]


async def test_a_lapse_that_was_found_by_a_clock_that_was_set_since_is_given_up(world: World) -> None:
    alarm = await taken(world)
    await world.set_clock(361)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        now = await moment(cur)
        assert await attend(cur, now) == [alarm]
    await world.conn.execute("insert into clock_step (amount, total, moved, host) values ('-1 h', '-1 h', 0, 'other')")
    with pytest.raises(Conflict, match="clock"):
        await settled(world, alarm, now)
    assert await state(world, alarm) == "ack_active"


async def test_a_sign_that_races_the_lapse_wins_or_comes_after_it(world: World) -> None:
    """Whoever is first: the alarm is owned and its time begins anew, or it has lapsed, is paged again, and the sign is refused."""
    outcomes: Counter[str] = Counter()
    async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as person:
        for trial in range(40):
            alarm = await taken(world)
            await world.set_clock(361)
            async with world.conn.transaction(), world.conn.cursor() as cur:
                now = await moment(cur)
                assert await attend(cur, now) == [alarm]

            async def confirm(alarm: UUID = alarm) -> str:
                try:
                    async with person.transaction():
                        await alarms.move(person, alarm, partial(step, event=AlarmEvent.CONFIRM, at=1, actor=OWNER), 1)
                except Conflict:
                    return "refused"
                return "confirmed"

            async def lapse(alarm: UUID = alarm, now: Moment = now) -> str:
                return (await settled(world, alarm, now)).what

            if trial % 2:
                said, done = await asyncio.gather(confirm(), lapse())
            else:
                done, said = await asyncio.gather(lapse(), confirm())
            outcomes[f"{said} {done}"] += 1
            running = (await world.escalation(alarm))["state"] == "running"
            assert (await state(world, alarm) == "unack_active") is running is (said == "refused")
            await act(world, alarm, AlarmEvent.CONFIRM if said == "confirmed" else AlarmEvent.ACKNOWLEDGE)
            await act(world, alarm, AlarmEvent.CLEAR, "")
            await turn(world)
    assert set(outcomes) == {"confirmed nothing", "refused lapsed"}, outcomes


async def test_two_processes_that_find_the_same_lapse_let_it_lapse_once(world: World) -> None:
    async with World.connect(world.url) as other:
        for trial in range(10):
            alarm = await taken(world)
            await world.set_clock(361)
            async with world.conn.transaction(), world.conn.cursor() as cur:
                now = await moment(cur)
                assert await attend(cur, now) == [alarm]
            pair = (world, other) if trial % 2 else (other, world)
            done = await asyncio.gather(*(settled(one, alarm, now) for one in pair))
            assert sorted(one.what for one in done) == ["lapsed", "nothing"]
            rounds = await world.rows(
                "select distinct round from escalation_step where alarm = %s and state = 'due'", alarm
            )
            assert len(rounds) == 1
            lapses = await world.rows(
                "select 1 as one from alarm_transition where alarm = %s and event = 'lapse'", alarm
            )
            assert len(lapses) == 1
            await act(world, alarm, AlarmEvent.ACKNOWLEDGE)
            await act(world, alarm, AlarmEvent.CLEAR, "")
            await turn(world)
