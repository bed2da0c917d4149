"""Ingest against the real broker and database: order, idempotence, quarantine, alarms, liveness, function tests."""

import asyncio
import base64
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from hub.core import intake, liveness, wire
from hub.core.alarms import AlarmEvent
from hub.core.draft import Draft
from hub.core.lane import Message
from hub.errors import Conflict
from hub.model import Lane, Reading, Sample
from hub.mqtt import Will, parse_broker, session
from hub.runtime.ingest import TICK
from hub.runtime.shared import wall_clock
from hub.store import alarms
from hub.store.pool import connect
from hub.testing import eventually
from tests.runtime.city import (
    ADMIN,
    PARTITION,
    TEST_STATE,
    Client,
    ask_for_test,
    centre,
    client,
    fetch,
    rows,
    sample,
    seed,
)

SECOND = 1_000_000


@pytest.fixture
def city(fresh_database: str) -> str:
    seed(fresh_database)
    return fresh_database


READINGS = (
    "select d.id, s.point, r.value from reading r join series s on s.key = r.series_id join device d on d.key = s.device"
    " order by r.at, 1, 2"
)


async def test_a_confirmed_message_is_in_the_database_once(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock()
        await edge.told("bulk", sample("heat-1", "celsius", 20.0, at), sample("heat-1", "celsius", 25.0, at + SECOND))
        assert fetch(city, READINGS) == [("heat-1", "celsius", 20.0), ("heat-1", "celsius", 25.0)]
        await edge.say("bulk", sample("heat-1", "celsius", 30.0, at + 2 * SECOND))
        await edge.send_raw("bulk", b"sent again, with other bytes", 1)
        await edge.confirmed("bulk", 2)
        assert len(fetch(city, READINGS)) == 3
        assert fetch(city, "select count(*) from quarantine") == [(0,)]


async def test_an_empty_message_that_a_full_spool_left_behind_is_confirmed_and_the_next_is_stored(
    city: str, mqtt_url: str
) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        for _ in range(3):
            await edge.say("bulk")
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        assert edge.upto[edge.stream("bulk")] == 4
        assert len(fetch(city, READINGS)) == 1
        assert fetch(city, "select count(*) from quarantine") == [(0,)]


async def test_a_gap_is_answered_with_what_is_stored_and_the_client_goes_back(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        edge.seq["bulk"] = 5
        await edge.say("bulk", sample("heat-1", "celsius", 30.0))
        edge.upto.clear()
        await edge.confirmed("bulk", 1)
        assert edge.upto == {edge.stream("bulk"): 1}
        assert len(fetch(city, READINGS)) == 1


async def test_everything_produced_is_in_exactly_one_place(city: str, mqtt_url: str) -> None:
    at = wall_clock()
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.told(
            "bulk",
            sample("heat-1", "celsius", 20.0, at),
            sample("heat-1", "celsius", 20.1, at + 1),  # by exception
            sample("heat-1", "celsius", 20.1, at + 1),  # the same again
            sample("heat-1", "celsius", 33.0, at + 1),  # another value at an occupied instant
            sample("heat-1", "celsius", 99.0, at + 9),  # out of bounds: stored, bad
            sample("edge-1", "beat", 5.0, at),
            sample("nobody", "celsius", 1.0, at),
            sample("heat-1", "nonsense", 1.0, at),
            sample("heat-1", "celsius", 1.0, at + 3600 * SECOND),
        )
        names = "produced, stored, suppressed, events, beats, duplicates, quarantined"
        assert fetch(city, f"select {names} from stream_tally") == [(9, 3, 1, 0, 1, 1, 3)]
        assert fetch(city, "select value, quality from reading order by at") == [(20.0, 0), (33.0, 0), (99.0, 201)]
        codes = fetch(city, "select code from quarantine order by n")
        assert codes == [("device",), ("point",), ("time",)]


GARBAGE = [
    (b'{"v":1,"samples":[' + b" " * 140_000 + b"]}", "payload"),  # oversized
    (b"\xff\xfe", "payload"),
    (b"{", "payload"),
    (b'{"v":1,"samples":[],"extra":1}', "payload"),
    (b'{"v":1,"samples":[{"d":"heat-1","p":"celsius","t":1,"r":NaN}]}', "payload"),
    (b'{"v":1,"samples":[{"d":"heat-1","p":"celsius","t":1795000000000000,"r":"\\u0000"}]}', "text"),
    (b'{"v":1,"samples":[{"d":"heat-1","p":"celsius","t":1795000000000000,"r":"\\ud800"}]}', "text"),
    (b'{"v":1,"samples":[{"d":"HEAT","p":"celsius","t":1795000000000000,"r":1}]}', "payload"),
]


async def test_every_kind_of_garbage_is_quarantined_confirmed_and_disturbs_nothing(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        for seq, (payload, _) in enumerate(GARBAGE, 1):
            await edge.send_raw("bulk", payload, seq)
        edge.seq["bulk"] = len(GARBAGE)
        await edge.told("bulk", sample("heat-1", "celsius", 21.0))
        assert fetch(city, "select code from quarantine order by seq") == [(code,) for _, code in GARBAGE]
        assert fetch(city, READINGS) == [("heat-1", "celsius", 21.0)]


async def test_strange_topics_and_missing_properties_are_quarantined(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url) as owner, client(mqtt_url) as edge:
        number = owner.lanes[0].shared.number
        await edge.mqtt.publish(f"anxin/v1/{number}/edge-1/up/strange", b"x")
        await edge.mqtt.publish(f"anxin/v1/{number}/edge-1/up/bulk", b"no properties")
        await edge.mqtt.publish(f"anxin/v1/{number}/edge-1/up/urgent", b"none either")
        await edge.mqtt.publish(
            f"anxin/v1/{number}/stranger/up/bulk",
            b'{"v":1}',
            user_properties=(("stream", edge.stream("bulk")), ("seq", "1")),
        )
        query = "select code, client from quarantine order by code, source"
        expected = [("client", "stranger"), ("properties", "edge-1"), ("properties", "edge-1"), ("topic", "edge-1")]
        await rows(city, query, expected)


async def test_what_an_edge_could_not_take_is_quarantined_with_its_bytes(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        body = {
            "v": 1,
            "rejects": [
                {
                    "t": 1,
                    "s": "serial:/line",
                    "c": "checksum",
                    "m": "is 1, not 2",
                    "b": base64.b64encode(b"@@\0").decode(),
                }
            ],
        }
        await edge.send_raw("bulk", json.dumps(body).encode(), 1)
        await edge.confirmed("bulk", 1)
        seen = fetch(city, "select source, code, reason, payload from quarantine")
        assert seen == [("serial:/line", "checksum", "is 1, not 2", b"@@\0")]


async def test_a_row_that_the_database_refuses_is_found_and_its_neighbours_go_in(city: str, mqtt_url: str) -> None:
    with psycopg.connect(city) as conn:
        conn.execute("alter table reading add constraint no_66 check (value is distinct from 66)")
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock()
        values = [60.0, 66.0, 62.0, 66.0, 64.0]
        await edge.told("bulk", *(sample("heat-1", "celsius", v, at + n * SECOND) for n, v in enumerate(values)))
        assert [value for *_, value in fetch(city, READINGS)] == [60.0, 62.0, 64.0]
        assert fetch(city, "select n, code from quarantine order by n") == [(1, "refused"), (3, "refused")]


async def test_a_sample_over_which_judging_falls_costs_itself_and_no_press_in_the_same_message(
    city: str, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours, which would end the hub at each start: the edge says it again and again."""
    judged = intake.take_sample

    def falls(draft: Draft, message: Message, n: int, taken: Sample) -> Reading | None:
        if taken.raw == 66.0:
            raise ZeroDivisionError("a mistake")
        return judged(draft, message, n, taken)

    monkeypatch.setattr(intake, "take_sample", falls)
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock()
        values = [60.0, 66.0, 62.0]
        await edge.told("bulk", *(sample("heat-1", "celsius", v, at + n * SECOND) for n, v in enumerate(values)))
        await edge.told("bulk", sample("heat-1", "celsius", 63.0, at + 3 * SECOND))
        assert [value for *_, value in fetch(city, READINGS)] == [60.0, 62.0, 63.0]
        assert fetch(city, "select n, code from quarantine") == [(1, "refused")]


async def test_a_message_that_cannot_even_be_read_without_a_mistake_of_ours_is_left_out_as_a_whole(
    city: str, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = wire.decode_up

    def falls(payload: bytes) -> wire.Up:
        if b"66" in payload:
            raise ZeroDivisionError("a mistake")
        return reads(payload)

    monkeypatch.setattr(wire, "decode_up", falls)
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock() // 1_000_000 * 1_000_000
        edge.seq["bulk"] += 1
        await edge.send_raw("bulk", b'{"samples": 66}', edge.seq["bulk"])
        await edge.told("bulk", sample("heat-1", "celsius", 61.5, at))
        assert [value for *_, value in fetch(city, READINGS)] == [61.5]
        assert fetch(city, "select n, code from quarantine") == [(-1, "judging")]


async def test_an_old_reading_at_an_occupied_instant_is_stored_beside_it(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock() - 60 * SECOND
        await edge.told("bulk", sample("heat-1", "celsius", 20.0, at), sample("heat-1", "celsius", 30.0, at + SECOND))
        await edge.told("bulk", sample("heat-1", "celsius", 25.0, at), sample("heat-1", "celsius", 20.0, at))
        assert [value for *_, value in fetch(city, READINGS)] == [20.0, 25.0, 30.0]
        assert fetch(city, "select value from point_state") == [(30.0,)]


async def test_a_reading_keeps_the_devices_the_edges_and_the_hubs_time(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock() - 90 * SECOND
        told = sample("heat-1", "celsius", 20.0, at)._replace(edge_at=at + 60 * SECOND)
        nonsense = sample("heat-1", "celsius", 21.0, at + SECOND)._replace(edge_at=-(2**63))
        await edge.told("bulk", told, nonsense, sample("heat-1", "celsius", 30.0, at + 2 * SECOND))
        pressed = sample("button-1", "press", "short", at)._replace(edge_at=at + 60 * SECOND)
        await edge.told("urgent", pressed)
        own = "select extract(epoch from edge_at - at)::int, received_at > edge_at from "
        assert fetch(city, own + "reading order by at") == [(60, True), (None, None), (None, None)]
        assert fetch(city, own + "event") == [(60, True)]


async def test_a_backlog_of_full_messages_goes_in_and_holds_up_no_press(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge, client(mqtt_url) as panic:
        at = wall_clock() - 3600 * SECOND
        for first in range(0, 40_000, 1000):
            values = (sample("heat-1", "celsius", 20.0 + n % 2, at + (first + n) * 1000) for n in range(1000))
            await edge.say("bulk", *values)
        begun = asyncio.get_running_loop().time()
        await panic.told("urgent", sample("button-1", "pressed", True))
        assert asyncio.get_running_loop().time() - begun < 5
        await edge.confirmed("bulk", 40)
        assert fetch(city, "select produced, stored from stream_tally where produced > 1") == [(40_000, 40_000)]


async def test_an_edge_that_repeats_its_nonsense_is_confirmed_and_fills_no_quarantine(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        for _ in range(5):
            await edge.told("bulk", *(sample("nobody", "celsius", 1.0) for _ in range(200)))
        kept = fetch(city, "select count(*) from quarantine where source <> 'quarantine'")[0][0]
        assert 60 <= kept <= 120  # the minute may turn
        assert fetch(city, "select sum(quarantined) from stream_tally") == [(1000,)]


# alarms -------------------------------------------------------------------------------------------------------------

ALARMS = "select definition, instance, state, occurrences from alarm order by raised_at"


async def test_a_press_is_an_alarm_with_its_escalation_in_the_same_transaction(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.told("urgent", sample("button-1", "pressed", True))
        assert fetch(city, ALARMS) == [("panic", "", "unack_active", 1)]
        assert fetch(city, "select state from escalation") == [("uncovered",)]
        await edge.told("urgent", sample("button-1", "pressed", False))
        assert fetch(city, ALARMS) == [("panic", "", "latched_unack", 1)]
        assert fetch(city, "select event from alarm_transition order by n") == [("raise",), ("clear",)]


async def test_what_a_person_did_in_between_is_not_overwritten(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.told("urgent", sample("button-1", "pressed", True))
        alarm = fetch(city, "select id from alarm")[0][0]
        await person(city, alarm, AlarmEvent.ACKNOWLEDGE)
        await edge.told("urgent", sample("button-1", "pressed", False))
        assert fetch(city, "select state, acknowledged_by from alarm") == [("latched_ack", "duty")]
        await person(city, alarm, AlarmEvent.RESET)
        await edge.told("urgent", sample("button-1", "pressed", True))
        assert fetch(city, ALARMS) == [("panic", "", "normal", 1), ("panic", "", "unack_active", 1)]


async def person(database: str, alarm: UUID, event: AlarmEvent) -> None:
    conn = await connect(database, "test")
    async with conn:
        await alarms.act(conn, alarm, event, "duty", "", wall_clock())


async def test_every_event_is_kept_and_a_repeated_press_is_counted_on_one_alarm(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock()
        await edge.told("urgent", *(sample("button-1", "press", "single", at) for _ in range(3)))
        assert fetch(city, ALARMS) == [("click", "", "latched_unack", 3)]
        assert fetch(city, "select seq, n, text from event order by n") == [(1, n, "single") for n in range(3)]


async def test_a_press_from_a_spool_raises_its_alarm_with_its_own_time_marked_late(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.told("urgent", sample("button-1", "pressed", True, wall_clock() - 7200 * SECOND))
        assert fetch(city, "select late, now() - raised_at > interval '1h' from alarm") == [(True, True)]


async def test_an_on_delay_ends_by_time_alone_and_survives_a_restart(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "celsius", 45.0))
        assert fetch(city, ALARMS) == []
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "fault", False))
        await rows(city, ALARMS, [("hot", "", "unack_active", 1)])
        assert fetch(city, "select a.raised_at - c.since from alarm a, alarm_condition c where c.definition = 'hot'")[
            0
        ][0].total_seconds() == pytest.approx(1.0)


async def test_200_presses_at_once_are_one_alarm(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        for n in range(200):
            await edge.say("urgent", sample("button-1", "press", "single", wall_clock() + n))
        await edge.confirmed("urgent", 200)
        assert fetch(city, ALARMS) == [("click", "", "latched_unack", 200)]


# liveness and health ------------------------------------------------------------------------------------------------

LINKS = "select d.id, s.link_state, s.link_cause from device_state s join device d on d.key = s.device order by 1"


@asynccontextmanager
async def beating(edge: Client) -> AsyncIterator[None]:
    """The edge beats, and its button speaks, until the block is left."""
    stop = asyncio.Event()

    async def beat() -> None:
        while not stop.is_set():
            await edge.beat()
            await edge.say("urgent", sample("button-1", "pressed", False))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await stop.wait()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        stop.set()
        await task


async def test_a_silent_device_goes_offline_raises_its_alarm_and_comes_back(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge, beating(edge):
        await edge.say("bulk", sample("heat-1", "celsius", 20.0))
        online = [("button-1", "online", ""), ("edge-1", "online", ""), ("heat-1", "online", "")]
        await rows(city, LINKS, online)
        await rows(city, LINKS, [*online[:2], ("heat-1", "offline", "device")])
        await rows(city, ALARMS, [("silent", "", "unack_active", 1)])
        await edge.say("bulk", sample("heat-1", "celsius", 20.0))
        await rows(city, LINKS, online)
        await rows(city, ALARMS, [("silent", "", "unack_cleared", 1)])


async def test_a_lane_whose_time_the_database_refuses_is_not_said_to_listen(
    city: str, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would call nobody offline and end no delay, and its canary would come back all the same."""
    monkeypatch.setitem(TICK, Lane.BULK, 0.1)
    monkeypatch.setattr("hub.runtime.ingest.LOOK", 0.1)
    noted = "select clock_timestamp() - heard_at < interval '10 s' from lane_watch where lane = 'bulk'"
    with psycopg.connect(city, autocommit=True) as conn, capture_logs() as logs:
        conn.execute(
            "create function poison() returns trigger language plpgsql as $$ begin raise check_violation; end $$;"
            "create trigger poison before insert or update on device_state for each row execute function poison()"
        )

        def refused() -> int:
            return sum(one["event"] == "ingest.tick_refused" for one in logs)

        async with centre(city, mqtt_url):
            await eventually(lambda: refused() > 2)
            assert fetch(city, noted) == []
            conn.execute("drop trigger poison on device_state")
            await eventually(lambda: fetch(city, noted) == [(True,)])


async def test_while_the_broker_is_away_nobody_is_called_online(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url) as owner, client(mqtt_url) as edge:
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        await rows(city, LINKS + " desc limit 1", [("heat-1", "online", "")])
        for lane in owner.lanes:
            lane.listening = False  # what losing the broker's connection does
        await rows(city, LINKS, [(name, "unknown", "hub") for name in ("button-1", "edge-1", "heat-1")])


async def test_a_restart_of_the_hub_makes_nobody_offline(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        await rows(city, LINKS + " desc limit 1", [("heat-1", "online", "")])
    with psycopg.connect(city) as conn:  # as if the hub had been away for an hour
        conn.execute("update device_state set last_heard_at = last_heard_at - interval '1h'")
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await rows(city, LINKS + " desc limit 1", [("heat-1", "unknown", "hub")])
        await edge.beat(uptime=0.5)
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        await rows(city, LINKS + " desc limit 1", [("heat-1", "online", "")])
    feed = fetch(city, "select payload->>'link_state' from change where payload->>'device' in ('heat-1', 'button-1')")
    assert ("offline",) not in feed


async def test_an_edge_that_died_while_the_hub_was_away_is_missed_after_its_time(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        await rows(city, LINKS + " desc limit 1", [("heat-1", "online", "")])
    async with centre(city, mqtt_url):
        gone = [("button-1", "unknown", "edge"), ("edge-1", "offline", "edge"), ("heat-1", "unknown", "edge")]
        await rows(city, LINKS, gone)


async def test_behind_an_edge_that_went_away_devices_are_unknown(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        expected = [("button-1", "unknown", "edge"), ("edge-1", "offline", "edge"), ("heat-1", "unknown", "edge")]
        await rows(city, LINKS, expected)
        assert fetch(city, ALARMS) == []


async def test_the_brokers_word_that_an_edge_died_counts_until_the_edge_is_back(
    city: str, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "DEATH_GRACE", 300_000)
    topic = wire.state_topic(PARTITION, "edge-1")
    one, other = (wire.SessionState(digit * 32, born=True) for digit in "ab")
    will = Will(topic, wire.encode_state(one._replace(born=False)))
    first = "select link_state from (" + LINKS + ") links limit 1"
    async with centre(city, mqtt_url) as owner:
        deaths = owner.shared[PARTITION].deaths
        async with client(mqtt_url) as edge, beating(edge):
            await rows(city, first, [("online",)])
            async with session(parse_broker(mqtt_url), client_id="dies", clean_start=True, will=will) as dying:
                await dying.publish(topic, wire.encode_state(one))
                dying.abort()
            await eventually(lambda: "edge-1" in deaths)
            async with session(parse_broker(mqtt_url), client_id="dies", clean_start=True, will=will) as dying:
                await dying.publish(topic, wire.encode_state(other))
                await eventually(lambda: "edge-1" not in deaths)
                dying.abort()  # the broker says that the first one ended: an old story
            async with session(parse_broker(mqtt_url), client_id="dies", clean_start=True) as dying:
                await dying.publish(topic, b"no state at all")
            await rows(city, "select code from quarantine", [("payload",)])
            assert deaths == {}
            await rows(city, first, [("online",)])
        async with session(parse_broker(mqtt_url), client_id="dies", clean_start=True) as dying:
            await dying.publish(topic, wire.encode_state(other._replace(born=False)))
        await eventually(lambda: "edge-1" in deaths)
        await rows(city, first, [("unknown",)])


# function tests -----------------------------------------------------------------------------------------------------


async def test_a_press_in_a_function_test_commissions_the_button_and_pages_nobody(
    fresh_database: str, mqtt_url: str
) -> None:
    seed(fresh_database, "registered")
    async with centre(fresh_database, mqtt_url), client(mqtt_url) as edge:
        await edge.told("urgent", sample("button-1", "pressed", False))
        await ask_for_test(fresh_database, "button-1")
        await rows(fresh_database, TEST_STATE, [("open",)])
        await edge.told("urgent", sample("button-1", "pressed", True))
        assert fetch(fresh_database, TEST_STATE) == [("open",)]  # a stuck button is no button
        await edge.told("urgent", sample("button-1", "pressed", False))
        assert fetch(fresh_database, TEST_STATE) == [("passed",)]
        assert fetch(fresh_database, ADMIN) == [("in_service", "ok")]
        assert fetch(fresh_database, ALARMS) == []
        await edge.told("urgent", sample("button-1", "pressed", True))
        assert fetch(fresh_database, ALARMS) == [("panic", "", "unack_active", 1)]


# ownership and outages ----------------------------------------------------------------------------------------------


async def test_a_second_owner_of_the_same_partition_is_refused(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url):
        with pytest.raises(Conflict, match="owned by another"):
            async with centre(city, mqtt_url, take_over=0.1):
                pass


async def test_a_lost_database_connection_loses_and_doubles_nothing(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock()
        for n in range(60):
            await edge.say("bulk", sample("heat-1", "celsius", float(n % 30), at + n * SECOND // 10))
            if n % 20 == 10:
                fetch(
                    city,
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'anxin-%%'"
                    " and datname = current_database()",
                )
        await edge.confirmed("bulk", 60)
        assert len(fetch(city, READINGS)) == 60


async def test_a_device_registered_a_moment_ago_is_known(
    city: str, mqtt_url: str, make_database: Callable[[], str]
) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        with psycopg.connect(city) as conn:  # nobody says so to the hub
            conn.execute(
                "with d as (insert into device (id, institution, endpoint, profile, kind, lane) select 'heat-2', institution,"
                " endpoint, profile, kind, lane from device where id = 'heat-1' returning key)"
                " insert into device_state (device) select key from d"
            )
        await edge.told("bulk", sample("heat-2", "celsius", 20.0))
        assert fetch(city, READINGS) == [("heat-2", "celsius", 20.0)]


async def test_a_press_after_an_ended_one_with_the_same_time_is_an_alarm_of_its_own(city: str, mqtt_url: str) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        at = wall_clock()
        await edge.told("urgent", sample("button-1", "press", "single", at))
        alarm = fetch(city, "select id from alarm")[0][0]
        await person(city, alarm, AlarmEvent.ACKNOWLEDGE)
        await person(city, alarm, AlarmEvent.RESET)
        await edge.told("urgent", sample("button-1", "press", "single", at))
        assert sorted(fetch(city, ALARMS)) == [("click", "", "latched_unack", 1), ("click", "", "normal", 1)]
        assert fetch(city, "select count(*) from quarantine") == [(0,)]


async def test_a_frozen_database_session_is_given_up_and_what_waited_is_stored_once(
    city: str, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.runtime.ingest.ANSWER", 0.5)
    async with centre(city, mqtt_url) as owner, client(mqtt_url) as edge:
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        lane = next(lane for lane in owner.lanes if lane.lane == "bulk")
        pids = fetch(
            city,
            "select pid from pg_stat_activity where application_name = %s and datname = current_database()",
            f"anxin-{lane.name}",
        )
        os.kill(pids[0][0], signal.SIGSTOP)
        try:
            await edge.told("bulk", sample("heat-1", "celsius", 30.0))
        finally:
            os.kill(pids[0][0], signal.SIGCONT)
        assert lane.counters.database_losses >= 1
        assert [value for *_, value in fetch(city, READINGS)] == [20.0, 30.0]
