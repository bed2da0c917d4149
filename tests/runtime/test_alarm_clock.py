"""Hidings over a real database: they end by time and page at once, nothing leaks at a restart, and many who raise the same raise one alarm."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from hub.core import hidings, wire
from hub.core.alarms import Alarm, Transition
from hub.core.draft import Draft
from hub.core.intake import take_in
from hub.core.lane import Message, State
from hub.core.supervision import tick
from hub.errors import Conflict
from hub.model import Lane, Micros, Sample, to_micros
from hub.registry import Registry
from hub.runtime import alarm_clock, escalator
from hub.store import alarms, escalation, hours, lane_commit, lanes, registry
from hub.store.hidings import end_due
from hub.store.pool import Connection, connect
from hub.store.readings import SeriesKeys
from hub.testing import eventually
from tests.runtime.city import INSTITUTION, PARTITION, fetch, profiles, sample, seed

SECOND = 1_000_000
HOUR = 3600 * SECOND
PAGES = "select n.alarm, n.responder from notification n"
HISTORY = "select event from alarm_transition order by alarm, n"


def now() -> Micros:
    return to_micros(datetime.now(UTC))


@pytest.fixture
def city(fresh_database: str) -> str:
    """The city, with somebody who is told of everything."""
    seed(fresh_database)
    with psycopg.connect(fresh_database) as conn:
        conn.execute("insert into responder (id, title_zh, title_en) values ('duty', '值班', 'Duty')")
        conn.execute(
            "insert into responder_channel (responder, id, kind, settings)"
            " values ('duty', 'hook', 'webhook', '{\"url\": \"http://127.0.0.1:9/\"}')"
        )
        conn.execute(
            "insert into policy (id, title_zh, title_en, signal_classes, priorities, round_every) values"
            " ('all', '全部', 'All', '{fire,panic,supervisory,communication}', '{critical,high,low}', '10 minutes')"
        )
        conn.execute(
            "insert into policy_step (policy, n, responder, channel, delay) values ('all', 1, 'duty', 'hook', '0')"
        )
    return fresh_database


class Owner:
    """A lane without a broker: judges, commits and settles like ingest, and catches up with what others wrote."""

    def __init__(self, conn: Connection, known: Registry, lane: Lane, stream: int) -> None:
        self.conn, self.registry, self.lane = conn, known, lane
        self.stream = f"00000000-0000-0000-0000-{stream:012x}-{lane}"
        self.state, self.series = State(), SeriesKeys()

    async def load(self) -> None:
        """What a restart does."""
        loaded = await lanes.load(self.conn, PARTITION, self.lane)
        self.state, self.series = loaded.state, loaded.series
        self.state.premises = await hours.load(self.conn, [PARTITION])

    async def say(self, *samples: Sample) -> Draft:
        """One message, judged again as often as somebody else was first."""
        known = self.state.streams.get(self.stream)
        seq = 1 if known is None else known.upto + 1
        topic = f"anxin/v1/{PARTITION}/edge-1/up/{self.lane}"
        message = Message(topic, "edge-1", self.lane, self.stream, seq, wire.encode_up(samples))
        while True:
            draft = take_in(self.state, self.registry, [message], now(), frozenset())
            try:
                return await self.write(draft)
            except Conflict as conflict:
                if isinstance(conflict, lane_commit.Taken):
                    self.state.taken |= conflict.ids
                self.state.alarms = await lanes.load_alarms(self.conn, PARTITION, self.lane)

    async def tick(self) -> Draft:
        at = now()
        draft = tick(self.state, self.registry, self.lane, at, at - HOUR, {"edge-1": at})
        return await self.write(draft)

    async def write(self, draft: Draft) -> Draft:
        await lane_commit.commit(self.conn, draft, self.series, lambda: None)
        draft.settle()
        return draft

    async def heat(self) -> Alarm:
        """Too hot for longer than the delay."""
        at = now()
        await self.say(sample("heat-1", "celsius", 50.0, at - 3 * SECOND), sample("heat-1", "celsius", 51.0, at))
        [alarm] = [alarm for alarm in self.state.alarms.values() if alarm.definition == "hot"]
        return alarm


@asynccontextmanager
async def owner(database: str, lane: Lane, stream: int = 1) -> AsyncIterator[Owner]:
    conn = await connect(database, "test")
    async with conn:
        made = Owner(conn, await registry.load(conn, profiles(), PARTITION), lane, stream)
        await made.load()
        yield made


@asynccontextmanager
async def running(*loops: Any) -> AsyncIterator[None]:
    """These loops, until the end of the block."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def swept(database: str) -> list[Any]:
    """What the escalator finds that nobody drives."""
    async with await connect(database, "test") as conn, conn.transaction(), conn.cursor() as cur:
        orphans, _ = await escalation.sweep(cur)
        return list(orphans)


def window(database: str, until: str) -> None:
    with psycopg.connect(database) as conn:
        conn.execute(
            "insert into maintenance_window (institution, since, until, reason, made_by)"
            " select key, now() - interval '1 minute', now() + %s::interval, 'x', 'duty' from institution where id = %s",
            [until, INSTITUTION],
        )


async def test_what_was_raised_in_a_window_and_still_stands_at_its_end_is_paged_with_the_next_look(city: str) -> None:
    """T8."""
    window(city, "1 hour")
    async with owner(city, Lane.BULK) as lane, running(escalator.run(city), alarm_clock.run(city)):
        alarm = await lane.heat()
        assert alarm.maintenance is not None
        assert await swept(city) == []
        assert fetch(city, PAGES) == []
        with psycopg.connect(city) as conn:
            conn.execute("update maintenance_window set until = now()")
            conn.execute("update alarm set held_until = now() where id = %s", [alarm.id])
        await eventually(lambda: fetch(city, PAGES) == [(alarm.id, "duty")])
        # the escalator's sweep may be quicker to page it than the clock to write down that the window is over
        moves = "select event from alarm_transition where alarm = %s order by n"
        await eventually(lambda: fetch(city, moves, alarm.id) == [("raise",), ("hold",), ("release",)])


async def test_a_window_that_goes_on_in_another_one_holds_on(city: str) -> None:
    window(city, "1 hour")
    async with owner(city, Lane.BULK) as lane:
        alarm = await lane.heat()
        window(city, "2 hours")
        with psycopg.connect(city) as conn:
            conn.execute("update maintenance_window set until = now() where id::text = %s", [alarm.maintenance])
            conn.execute("update alarm set held_until = now() where id = %s", [alarm.id])
        assert await end_due(lane.conn) == 1
        assert await end_due(lane.conn) == 0
    assert fetch(city, "select is_paged(a), maintenance = %s from alarm a", alarm.maintenance) == [(False, False)]


async def test_a_shelving_ends_by_itself_and_pages_at_once_even_where_the_clock_is_dead(city: str) -> None:
    async with owner(city, Lane.BULK) as lane:
        alarm = await lane.heat()
        shelve = partial(hidings.shelve, at=now(), until=now() + HOUR, actor="duty", reason="x")
        async with lane.conn.transaction():
            await alarms.move(lane.conn, alarm.id, shelve, now())
        assert fetch(city, "select state, reason from escalation") == [("stopped", "shelved")]
        assert await swept(city) == []
        with psycopg.connect(city) as conn:
            conn.execute("update alarm set shelved_until = now()")
        assert await swept(city) == [alarm.id]  # nobody has written down that it is over
        assert await end_due(lane.conn) == 1
    assert fetch(city, "select state, round from escalation") == [("running", 2)]
    assert fetch(city, HISTORY)[-1] == ("unshelve",)


HIDE: dict[str, Callable[[Alarm], tuple[Alarm, Transition]]] = {
    "shelved": lambda one: hidings.shelve(one, now(), now() + HOUR, "duty", "x"),
    "suppressed": lambda one: hidings.suppress(one, now(), uuid4(), "uplink"),
    "held": lambda one: hidings.hold(one, now(), now() + HOUR, "m-1"),
}


@pytest.mark.parametrize("hiding", HIDE)
async def test_nothing_that_is_hidden_leaks_at_a_restart(city: str, hiding: str) -> None:
    """T11: with the state loaded anew, neither ticks nor sweeps page anybody."""
    async with owner(city, Lane.BULK) as lane:
        alarm = await lane.heat()
        async with lane.conn.transaction():
            await alarms.move(lane.conn, alarm.id, HIDE[hiding], now())
    async with owner(city, Lane.BULK, 2) as again, running(escalator.run(city, sweep_every=0.05)):
        assert alarm.id in [one.id for one in again.state.alarms.values()]
        for _ in range(3):
            assert alarm.id not in (await again.tick()).begin
            assert alarm.id not in await swept(city)
            assert await end_due(again.conn) == 0
    assert fetch(city, "select state from escalation where alarm = %s", alarm.id) == [("stopped",)]
    assert fetch(city, "select count(*) from notification where alarm = %s", alarm.id) == [(0,)]


async def test_an_alarm_that_was_raised_while_its_device_was_out_of_service_pages_after_its_return(city: str) -> None:
    with psycopg.connect(city) as conn:
        conn.execute("update device_state set admin_state = 'out_of_service'")
    async with owner(city, Lane.URGENT) as lane:
        await lane.say(sample("button-1", "press", "single", now()))
        [alarm] = lane.state.alarms.values()
        assert await swept(city) == []
        assert fetch(city, "select is_paged(a), state from alarm a") == [(False, "latched_unack")]
    with psycopg.connect(city) as conn:
        conn.execute("update device_state set admin_state = 'in_service'")
    async with owner(city, Lane.URGENT) as lane:
        assert alarm.id in (await lane.tick()).begin
    assert fetch(city, "select state from escalation where alarm = %s", alarm.id) == [("running",)]


async def test_two_hundred_who_raise_the_same_at_once_raise_one_alarm_with_two_hundred_occurrences(city: str) -> None:
    """T1: ten connections with a state of their own each, as processes and lanes that do not know of each other; all with the same time."""
    pressed = now()

    async def press(stream: int) -> None:
        async with owner(city, Lane.URGENT, stream) as lane:
            for _ in range(20):
                await lane.say(sample("button-1", "press", "single", pressed))

    async with asyncio.TaskGroup() as presses:
        for stream in range(1, 11):
            presses.create_task(press(stream))
    assert fetch(city, "select count(*), sum(occurrences) from alarm") == [(1, 200)]
    assert fetch(city, "select count(*) from alarm_transition where event = 'raise'") == [(200,)]
    assert fetch(city, "select count(*), max(round) from escalation") == [(1, 1)]
