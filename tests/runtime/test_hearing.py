"""What keeps a lane from listening is written down, and is the cause of the unknown that follows."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from hub.core.blindness import Cause
from hub.engine import Prefix
from hub.model import SECOND, Lane, to_datetime
from hub.runtime import ingest, pulse
from hub.runtime.hearing import Hearing
from hub.store.blindness import note_hearing, weigh
from hub.store.pool import connect
from hub.store.rows import all_rows
from tests.brokers import HOST, PASSWORD, own_broker
from tests.runtime.city import Client, centre, client, fetch, rows, sample, seed
from tests.runtime.outage import Server, server

NOW = 1_795_000_000 * SECOND
LANE = (
    "select cause, until is not null from blindness where subject = 'lane' and lane = 'bulk' order by key desc limit 1"
)
HEAT = "select s.link_state, s.link_cause from device_state s join device d on d.key = s.device where d.id = 'heat-1'"


def test_a_gap_has_the_cause_of_what_was_lost_first_and_ends_when_all_is_back() -> None:
    hearing = Hearing(None)
    hearing.lose(Cause.BROKER, NOW)
    hearing.lose(Cause.DATABASE, NOW + SECOND)
    assert (hearing.gap, hearing.deaf) == ((Cause.BROKER, NOW), Cause.BROKER)
    hearing.begin(NOW + 5 * SECOND)
    hearing.begin(NOW + 6 * SECOND)
    assert hearing.news == [(Cause.BROKER, NOW, None), (Cause.BROKER, NOW, NOW + 5 * SECOND)]
    assert hearing.gap is None
    assert hearing.deaf is Cause.BROKER  # what is unknown now is so because of that


def test_after_a_start_the_gap_reaches_back_to_when_somebody_listened_last() -> None:
    hearing = Hearing((Cause.HUB, NOW))
    hearing.remember(NOW - 3600 * SECOND)
    hearing.begin(NOW + SECOND)
    assert hearing.news == [(Cause.HUB, NOW - 3600 * SECOND, NOW + SECOND)]
    lost = Hearing(None)
    lost.lose(Cause.DATABASE, NOW)
    lost.remember(NOW - 3600 * SECOND)
    assert lost.gap == (Cause.DATABASE, NOW)


@pytest.fixture
def city(fresh_database: str) -> str:
    seed(fresh_database)
    return fresh_database


SAID = (
    "select exists (select from change where kind = 'device_state' and payload->>'device' = 'heat-1'"
    " and payload->>'link_state' = 'unknown' and payload->>'link_cause' = '{}')"
)


async def evidence(database: str, cause: str) -> str:
    """What the API says, while the thermometer is unknown because of `cause`: the first observation in English."""
    conn = await connect(database, "test")
    async with conn:
        async with conn.transaction(force_rollback=True):  # the moment may be over on a busy machine
            await conn.execute(
                "update device_state s set link_state = 'unknown', link_cause = %s from device d where d.key = s.device and d.id = 'heat-1'",
                [cause],
            )
            query = psycopg.sql.SQL(
                "select d.key, s.link_state, s.link_cause, s.last_heard_at from device_state s join device d on d.key = s.device"
                " where d.id = 'heat-1'"
            )
            [row] = await weigh(conn, await all_rows(conn, query))
    assert row["link_cause"] == cause
    return str(row["link_evidence"][0]["sentence"]["en"])


async def test_a_restarted_hub_says_how_long_it_did_not_listen_and_calls_nobody_offline(
    city: str, mqtt_url: str
) -> None:
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        await rows(city, HEAT, [("online", "")])
        await rows(city, "select count(*) from lane_watch", [(2,)])
    with psycopg.connect(city) as conn:
        conn.execute("update lane_watch set listened_at = listened_at - interval '1 hour'")
        conn.execute("update blindness set since = since - interval '2 hours', until = until - interval '2 hours'")
    async with centre(city, mqtt_url):
        await rows(city, SAID.format("hub"), [(True,)])
        await rows(city, LANE, [("hub", True)])
        assert (await evidence(city, "hub")).startswith("the hub did not listen from ")
        [(longer,)] = fetch(
            city, "select max(until - since) > interval '59 minutes' from blindness where subject = 'lane'"
        )
        assert longer
    feed = fetch(city, "select payload->>'link_state' from change where payload->>'device' in ('heat-1', 'button-1')")
    assert ("offline",) not in feed


def never_offline(database: str) -> bool:
    feed = fetch(
        database,
        "select payload->>'link_state' from change where payload->>'device' in ('edge-1', 'heat-1', 'button-1')",
    )
    return ("offline",) not in feed


@asynccontextmanager
async def beating(edge: Client) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await edge.beat()
            await asyncio.sleep(0.5)

    task = asyncio.create_task(beat())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_others_go_by_the_clock_of_the_database_when_they_ask_who_listens_and_the_lane_by_its_own(
    city: str,
) -> None:
    """A lane's clock that ran two hours ahead would else count as heard for two hours after the lane had died."""
    said = "select listened_at, round(extract(epoch from clock_timestamp() - heard_at)) from lane_watch where partition = 5"
    conn = await connect(city, "test")
    async with conn:
        ahead = time.time_ns() // 1000 + 7200 * SECOND
        await note_hearing(conn, 5, Lane.BULK, (ahead, 0.0), (), {})
        assert fetch(city, said) == [(to_datetime(ahead), 0)]
        await note_hearing(conn, 5, Lane.BULK, (ahead - 7200 * SECOND, 20.0), (), {})
        assert fetch(city, said) == [(to_datetime(ahead), 20)], "its broker has said nothing for twenty seconds"
        await note_hearing(conn, 5, Lane.BULK, None, (), {})
        assert fetch(city, said) == [(to_datetime(ahead), 20)], "deaf"


async def test_a_broker_that_is_frozen_and_one_that_was_killed_are_the_cause_while_they_are_away_and_after_it_and_make_nobody_offline(
    city: str, engine_prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pulse, "SILENT", 4.0
    )  # longer than the edge may be silent, as 10 s against 30 s is not: it alone decides here
    with own_broker(engine_prefix, tmp_path) as broker:
        url = f"mqtt://hub:{PASSWORD}@{HOST}:{broker.port}"
        async with centre(city, url):
            for away, back in ((broker.freeze, broker.thaw), (broker.kill, broker.start)):
                async with client(url) as edge:
                    await edge.beat()
                    await edge.told("bulk", sample("heat-1", "celsius", 20.0))
                    await rows(city, HEAT, [("online", "")])
                    with psycopg.connect(city) as conn:
                        conn.execute("delete from change where kind = 'device_state'")
                    away()
                    await rows(city, LANE, [("broker", False)])
                    await rows(city, SAID.format("broker"), [(True,)])
                    assert (await evidence(city, "broker")).endswith("(broker)")
                    assert never_offline(city)
                    back()
                await rows(city, LANE, [("broker", True)])
            async with client(url) as edge:
                await edge.beat()
                await edge.told("bulk", sample("heat-1", "celsius", 20.5))
                await rows(city, HEAT, [("online", "")])
            [(heard_until,)] = fetch(
                city,
                "select bool_and(w.listened_at >= b.until) from lane_watch w join blindness b using (partition, lane)",
            )
            assert heard_until


@pytest.mark.timeout(180)
async def test_a_database_that_is_stopped_or_stands_still_for_longer_than_devices_may_be_silent_is_the_cause_and_makes_nobody_offline(
    tmp_path: Path, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "STALL", 2.0)

    @asynccontextmanager
    async def stopped(db: Server) -> AsyncIterator[None]:
        await db.stop()
        yield
        await db.start()

    @asynccontextmanager
    async def standing_still(db: Server) -> AsyncIterator[None]:
        with db.frozen():
            yield

    async with server(tmp_path) as db, centre(db.url, mqtt_url), client(mqtt_url) as edge, beating(edge):
        for without in (stopped, standing_still):
            await edge.told("bulk", sample("heat-1", "celsius", 20.0))
            await rows(db.url, HEAT, [("online", "")])
            with psycopg.connect(db.url) as conn:
                conn.execute("delete from change where kind = 'device_state'")
                conn.execute("delete from blindness")
            async with without(db):
                await asyncio.sleep(4.2)  # beyond what the edge and its devices may be silent for
            await rows(db.url, LANE, [("database", True)])
            [(longer,)] = fetch(
                db.url, "select max(until - since) > interval '3 s' from blindness where cause = 'database'"
            )
            assert longer
            await rows(db.url, SAID.format("database"), [(True,)])
            assert (await evidence(db.url, "database")).endswith("(database)")
            assert never_offline(db.url)
        await edge.told("bulk", sample("heat-1", "celsius", 20.5))
        await rows(db.url, HEAT, [("online", "")])
        assert never_offline(db.url)
