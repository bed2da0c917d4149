"""A fire or panic is paged while the database is stopped, frozen, held by a lock or full; afterwards nothing is lost and nothing sent twice."""

import uuid
from pathlib import Path

import psycopg
import pytest

from hub.core.alarms import alarm_id
from hub.core.escalation import Due, idempotency_key
from hub.runtime.shared import wall_clock
from hub.testing import eventually
from tests.paging import receiver
from tests.runtime.city import Client, client, fetch, rows, sample, seed
from tests.runtime.outage import cover, hub, server

SENT = "select count(*), count(distinct id) from notification where state = 'sent'"
ATTEMPTS = "select n, outcome from attempt order by at, n"


async def press(sender: Client) -> tuple[int, uuid.UUID]:
    """Press the button; the number of the message and the alarm that it must become."""
    at = wall_clock()
    seq = await sender.say("urgent", sample("button-1", "press", "1", at))
    return seq, alarm_id("button-1", "click", "", at)


def key(alarm: uuid.UUID, step: int = 1, repetition: int = 0, round_: int = 1) -> str:
    return str(idempotency_key(alarm, Due(round_, step, repetition, "duty", "hook", 0)))


async def alarms_are(database: str, *alarms: uuid.UUID) -> None:
    await rows(database, "select id from alarm order by raised_at", [(alarm,) for alarm in alarms], 40)


@pytest.mark.timeout(180)
async def test_a_press_is_paged_while_the_database_is_frozen_or_stopped_and_once_and_stands_in_it_afterwards(
    tmp_path: Path, mqtt_url: str
) -> None:
    async with server(tmp_path) as db, receiver() as sink, client(mqtt_url) as sender:
        cover(db.url, sink.port)
        async with hub(db.url, mqtt_url, tmp_path / "data") as running:
            await sender.told("urgent", sample("button-1", "pressed", False))
            with db.frozen():
                seq, first = await press(sender)
                await eventually(lambda: sink.ids == [key(first)], 20)
            await sender.confirmed("urgent", seq)
            await alarms_are(db.url, first)
            await rows(db.url, SENT, [(1, 1)], 30)
            await eventually(lambda: not running.standby.pursuits, 20)
            await acknowledge(db.url)
            await eventually(lambda: not running.standby.known.open.alarms, 20)

            await db.stop()
            seq, second = await press(sender)
            await eventually(lambda: sink.ids == [key(first), key(second)], 20)
            await eventually(lambda: running.standby.pager.outcomes["delivered"] == 2, 20)  # noted, not only sent
        # the hub is restarted in the middle of it, from what lies on its disk: the edge sends again, and nothing goes out twice
        async with hub(db.url, mqtt_url, tmp_path / "data", alone=True) as alone:
            await sender.send_raw("urgent", sender.sent["urgent"][seq], seq)
            again, _ = await press(sender)  # the same alarm still: it is pursued already
            at = wall_clock()
            last = await sender.say("urgent", sample("button-1", "pressed", True, at))
            third = alarm_id("button-1", "panic", "", at)
            await eventually(lambda: sink.ids[2:] == [key(third)], 20)
            assert alone.standby.window.count == 3, again
            await eventually(lambda: alone.standby.pager.outcomes["delivered"] == 1, 20)  # noted, not only sent
        assert sink.ids[:2] == [key(first), key(second)]
        await db.start()
        async with hub(db.url, mqtt_url, tmp_path / "data") as back:
            await sender.confirmed("urgent", last)
            await eventually(lambda: not back.standby.pursuits, 40)
            await rows(db.url, "select state from notification where state <> 'sent'", [], 30)
        assert len(sink.ids) == len(set(sink.ids)) == 3
        found = fetch(db.url, "select id::text from notification order by due_at")  # when they were due in the outage
        assert [row[0] for row in found] == sink.ids
        assert fetch(db.url, "select count(*) from alarm where ended_at is null") == [(2,)]


async def acknowledge(database: str) -> None:
    """As persons do it, to the end."""
    from hub.core.alarms import AlarmEvent
    from hub.store import alarms
    from hub.store.pool import connect

    async with await connect(database, "test") as conn:
        for (id_,) in fetch(database, "select id from alarm where ended_at is null"):
            for event in (AlarmEvent.ACKNOWLEDGE, AlarmEvent.RESET):
                async with conn.transaction():
                    await alarms.act(conn, id_, event, "somebody", "", wall_clock())


@pytest.mark.timeout(120)
async def test_a_lock_that_holds_delays_no_page_and_afterwards_the_next_step_comes_at_its_time(
    fresh_database: str, mqtt_url: str, tmp_path: Path
) -> None:
    seed(fresh_database)
    async with receiver() as sink, client(mqtt_url) as sender:
        cover(fresh_database, sink.port, ("0s", "3s", "1"), ("6s", "0s", "0"))
        async with hub(fresh_database, mqtt_url, tmp_path / "data"):
            await sender.told("urgent", sample("button-1", "pressed", False))
            async with await psycopg.AsyncConnection.connect(fresh_database) as holder:
                await holder.execute("select 1 from device_state for update")
                seq, alarm = await press(sender)
                await eventually(lambda: sink.ids == [key(alarm)], 20)
                seq, _ = await press(sender)  # while the first one is being committed
                await eventually(lambda: sink.ids == [key(alarm), key(alarm, 1, 1)], 20)  # the repetition, too
            await sender.confirmed("urgent", seq)
            await eventually(lambda: sink.ids == [key(alarm), key(alarm, 1, 1), key(alarm, 2)], 20)
            await rows(fresh_database, SENT, [(3, 3)], 20)
        spread = "select extract(epoch from max(due_at) - min(due_at))::float8, count(distinct alarm) from notification"
        assert fetch(fresh_database, spread) == [(6.0, 1)]
        assert fetch(fresh_database, "select id, occurrences from alarm") == [(alarm, 2)]
        # one sending may stand there twice: claimed by the deliverer in the very moment in which the standby handed it over
        assert set(fetch(fresh_database, "select outcome, code from attempt")) == {("delivered", 204)}


@pytest.mark.timeout(120)
async def test_a_chain_that_ran_before_goes_on_while_the_database_is_frozen_and_an_acknowledged_one_does_not(
    tmp_path: Path, mqtt_url: str
) -> None:
    async with server(tmp_path) as db, receiver() as sink, client(mqtt_url) as sender:
        cover(db.url, sink.port, ("0s", "0s", "0"), ("4s", "0s", "0"), ("1 hour", "0s", "0"), round_every="3 hours")
        async with hub(db.url, mqtt_url, None) as running:
            at = wall_clock()
            await sender.told("urgent", sample("button-1", "press", "1", at), sample("button-1", "pressed", True, at))
            click, held = alarm_id("button-1", "click", "", at), alarm_id("button-1", "panic", "", at)
            await eventually(lambda: set(sink.ids) == {key(click), key(held)}, 20)
            async with await psycopg.AsyncConnection.connect(db.url) as conn:
                from hub.core.alarms import AlarmEvent
                from hub.store import alarms

                await alarms.act(conn, held, AlarmEvent.ACKNOWLEDGE, "somebody", "", wall_clock())
            seen = running.standby
            await eventually(lambda: [one.alarm.id for one in seen.known.open.running] == [click], 20)
            with db.frozen():
                await eventually(lambda: len(sink.ids) == 3, 30)
                assert sink.ids[2] == key(click, 2)
                # pressed again, while that page may not have ended: had somebody taken it in the last moment? The next step is not waited for, once in an outage
                seq, _ = await press(sender)
                await eventually(lambda: len(sink.ids) == 4, 20)
                assert sink.ids[3] == key(click, 3)
                seq, _ = await press(sender)
                await eventually(lambda: seen.window.count == 2 and not seen.window._fresh, 20)
            await sender.confirmed("urgent", seq)
            await rows(db.url, SENT, [(4, 4)], 30)
            await eventually(lambda: not seen.pursuits, 20)
        assert len(sink.ids) == 4


@pytest.mark.timeout(120)
@pytest.mark.parametrize("apart", [False, True], ids=["one process", "ingest in another"])
async def test_what_was_committed_as_the_database_fell_silent_is_paged_once_and_a_further_press_is_no_second_alarm(
    tmp_path: Path, mqtt_url: str, apart: bool
) -> None:
    async with server(tmp_path) as db, receiver() as sink, client(mqtt_url) as sender:
        cover(db.url, sink.port)
        async with hub(db.url, mqtt_url, tmp_path / "data", apart=apart) as running:
            await sender.told("urgent", sample("button-1", "pressed", False))
            first_seq, first = await press(sender)
            await sender.confirmed("urgent", first_seq)
            with db.frozen():  # the deliverer may have been quicker, and the look at what is open, or not
                seq, _ = await press(sender)
                standby = running.standby
                await eventually(lambda: key(first) in sink.ids, 20)
                await eventually(lambda: not standby.window._fresh, 20)  # all that was heard was judged
            await sender.confirmed("urgent", seq)
            await alarms_are(db.url, first)
            await eventually(lambda: fetch(db.url, SENT) == [(len(sink.ids), len(sink.ids))], 30)
            await eventually(lambda: not standby.pursuits, 30)
        # a machine so slow that the database was silent for 3 s after the second press hastens what is next of the same alarm: the next round
        assert sink.ids in ([key(first)], [key(first), key(first, round_=2)])
        assert fetch(db.url, "select occurrences from alarm") == [(2,)]
