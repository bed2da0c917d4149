"""Ingest and single devices: health, function tests, what others change."""

from uuid import UUID

import psycopg
import pytest

from hub.model import Sample, Series
from hub.runtime.shared import wall_clock
from tests.runtime.city import ADMIN, TEST_STATE, ask_for_test, centre, client, fetch, rows, sample, seed

SECOND = 1_000_000
COPIED = "00000000-0000-4000-8000-000000000009-bulk"
ALARMS = "select definition, instance, state, occurrences from alarm order by raised_at"


@pytest.fixture
def city(fresh_database: str) -> str:
    seed(fresh_database)
    return fresh_database


async def test_health_points_decide_the_function_state(city: str, mqtt_url: str) -> None:
    query = "select function_state from device_state s join device d on d.key = s.device where d.id = 'heat-1'"
    with psycopg.connect(city) as conn:
        conn.execute("update device_state set function_state = 'ok', proven_at = now()")
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.told("bulk", sample("heat-1", "fault", True))
        assert fetch(city, query) == [("failed",)]
        await edge.told("bulk", sample("heat-1", "fault", False))
        assert fetch(city, query) == [("ok",)]
        await edge.told("bulk", Sample(Series("heat-1", "celsius"), wall_clock(), None, "no answer"))
        assert fetch(city, query) == [("degraded",)]


async def test_a_test_that_nothing_proves_expires_and_says_what_was_missing(fresh_database: str, mqtt_url: str) -> None:
    seed(fresh_database, "registered")
    async with centre(fresh_database, mqtt_url):
        await ask_for_test(fresh_database, "button-1", SECOND)
        await rows(fresh_database, "select state, detail from device_test", [("expired", "pressed has not come")])
        assert fetch(fresh_database, ADMIN) == [("registered", "unproven")]


async def test_a_press_of_a_button_that_is_not_commissioned_yet_pages_all_the_same(
    fresh_database: str, mqtt_url: str
) -> None:
    seed(fresh_database, "registered")
    async with centre(fresh_database, mqtt_url), client(mqtt_url) as edge:
        await edge.told("urgent", sample("button-1", "pressed", True))
        assert fetch(fresh_database, ALARMS) == [("panic", "", "unack_active", 1)]


async def test_a_beat_is_not_stored_and_proves_in_a_function_test_all_the_same(
    fresh_database: str, mqtt_url: str
) -> None:
    seed(fresh_database, "registered")
    async with centre(fresh_database, mqtt_url), client(mqtt_url) as edge:
        await edge.told("urgent", sample("button-1", "alive", 1))
        await ask_for_test(fresh_database, "heat-1")
        await rows(fresh_database, TEST_STATE, [("open",)])
        await edge.told("bulk", sample("heat-1", "alive", 1), sample("heat-1", "celsius", 20.0))
        assert fetch(fresh_database, TEST_STATE) == [("passed",)]
        assert fetch(fresh_database, "select count(*) from reading") == [(1,)]


async def test_what_a_manifest_made_unproven_is_not_ok_again_by_what_ingest_remembers(city: str, mqtt_url: str) -> None:
    query = "select s.function_state from device_state s join device d on d.key = s.device where d.id = 'heat-1'"
    with psycopg.connect(city) as conn:
        conn.execute("update device_state set function_state = 'ok', proven_at = now()")
    async with centre(city, mqtt_url), client(mqtt_url) as edge:
        await edge.told("bulk", sample("heat-1", "fault", False))
        with psycopg.connect(city) as conn:  # what `test_again` and `put_device` of provisioning do
            conn.execute("update device_state set function_state = 'unproven', proven_at = null")
            conn.execute("update device set version = version + 1")
        await edge.told("bulk", sample("heat-1", "fault", True))
        await edge.told("bulk", sample("heat-1", "fault", False))
        await rows(city, query, [("unproven",)])


# copied spools ---------------------------------------------------------------------------------------------------------


async def test_a_copied_spool_is_quarantined_and_disturbs_nobody(city: str, mqtt_url: str) -> None:
    with psycopg.connect(city) as conn:  # its first owner is at home in another partition
        conn.execute("insert into stream (stream, client, lane, upto) values (%s, 'edge-9', 'bulk', 700)", [COPIED])
        conn.execute(
            "insert into stream (stream, client, lane, upto) values (%s, 'edge-9', 'urgent', 7)",
            [COPIED[:-4] + "urgent"],
        )
    async with centre(city, mqtt_url) as owner, client(mqtt_url) as copy, client(mqtt_url) as edge:
        copy.uuid = UUID(COPIED[:-5])
        await edge.beat()
        await edge.told("bulk", sample("heat-1", "celsius", 20.0))
        for _ in range(3):
            copy.seq["bulk"] = 0
            await copy.say("bulk", sample("heat-1", "celsius", 30.0))
        await rows(city, "select distinct code, client from quarantine", [("client", "edge-1")])
        await edge.told("bulk", sample("heat-1", "celsius", 40.0))
        await rows(
            city,
            "select s.link_state from device_state s join device d on d.key = s.device where d.id = 'heat-1'",
            [("online",)],
        )
        assert sum(lane.counters.database_losses for lane in owner.lanes) == 0
    assert fetch(city, "select client, upto from stream where stream = %s", COPIED) == [("edge-9", 700)]
    assert fetch(city, "select value from reading order by at") == [(20.0,), (40.0,)]


# clocks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [3600 * SECOND, -3600 * SECOND])
async def test_a_hub_whose_clock_is_set_calls_nobody_offline_and_soon_everybody_online(
    city: str, mqtt_url: str, step: int
) -> None:
    query = "select s.link_state from device_state s join device d on d.key = s.device where d.id = 'edge-1'"
    shift = 0
    async with centre(city, mqtt_url, clock=lambda: wall_clock() + shift), client(mqtt_url) as edge:
        await edge.told("bulk", sample("edge-1", "beat", 900.0))
        await rows(city, query, [("online",)])
        shift = step
        await rows(city, query, [("unknown",)])
        await edge.told("bulk", sample("edge-1", "beat", 900.0, wall_clock() + step))
        await rows(city, query, [("online",)])
    feed = fetch(city, "select payload->>'link_state' from change where payload->>'device' = 'edge-1'")
    assert ("offline",) not in feed
