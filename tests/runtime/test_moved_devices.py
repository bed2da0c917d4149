"""Ingest and devices that moved to the other lane: both lanes cross at once, commit once, and nobody waits for ever."""

import psycopg
import pytest

from hub.model import Sample
from hub.runtime.shared import wall_clock
from hub.testing import eventually
from tests.runtime.city import centre, client, fetch, sample, seed

ALARMS = "select definition, state, occurrences from alarm order by definition"


@pytest.fixture
def city(fresh_database: str) -> str:
    seed(fresh_database)
    return fresh_database


async def test_devices_that_speak_on_the_others_lane_cross_in_both_directions_and_every_item_has_one_fate(
    city: str, mqtt_url: str
) -> None:
    async with centre(city, mqtt_url) as owner, client(mqtt_url) as edge:
        last = {}
        for n in range(40):  # each lane takes what belongs to the other, all at once
            for lane in ("urgent", "bulk"):
                said = sample("heat-1", "celsius", float(n)), sample("button-1", "pressed", n == 39)
                last[lane] = await edge.say(lane, *said)
        for lane, seq in last.items():
            await edge.confirmed(lane, seq)
        assert fetch(city, "select code, reason from quarantine") == []
        found = fetch(city, "select sum(produced), sum(stored + suppressed + duplicates) from stream_tally")
        assert found == [(160, 160)]
        ((definition, state, occurrences),) = fetch(city, ALARMS)
        assert (definition, state) == ("panic", "unack_active")
        assert occurrences in (1, 2), "it was said twice, on two lanes"
        urgent, bulk = (lane.shared.lanes[lane.lane] for lane in owner.lanes)
        # a tick holds a lane's lock for a moment
        await eventually(lambda: not urgent._lock.locked())
        await eventually(lambda: not bulk._lock.locked())


async def test_an_alarm_that_stands_when_its_device_changes_the_lane_is_neither_raised_again_nor_lost(
    city: str, mqtt_url: str
) -> None:
    began = wall_clock() - 60_000_000

    def heat(celsius: float, second: int) -> Sample:
        return sample("heat-1", "celsius", celsius, began + second * 1_000_000)

    async with centre(city, mqtt_url) as owner, client(mqtt_url) as edge:
        await edge.told("bulk", heat(50.0, 0))
        await edge.told("bulk", heat(51.0, 5))
        assert fetch(city, ALARMS) == [("hot", "unack_active", 1)]
        with psycopg.connect(city) as conn:
            conn.execute("update device set lane = 'urgent', version = version + 1 where id = 'heat-1'")
        await owner.reload()
        await edge.told("bulk", heat(52.0, 10))
        await edge.told("urgent", heat(53.0, 15))
        await edge.told("bulk", heat(54.0, 20))
        assert fetch(city, ALARMS) == [("hot", "unack_active", 1)]
        await edge.told("urgent", heat(20.0, 25))
        assert fetch(city, ALARMS) == [("hot", "unack_cleared", 1)]
        assert fetch(city, "select code from quarantine") == []
        assert sum(lane.counters.conflicts for lane in owner.lanes) == 0
