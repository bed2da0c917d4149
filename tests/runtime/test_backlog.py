"""A press at an edge with a long backlog: by order, not by time (bench/backlog.py measures the time)."""

import asyncio
from pathlib import Path

from hub.core.batching import pack
from hub.edge.intake import Intake
from hub.edge.spool import open_spool
from hub.edge.uplink import Uplink
from hub.model import Lane, Sample, Series
from hub.mqtt import parse_broker
from hub.runtime.shared import wall_clock
from hub.testing import eventually
from tests.runtime.city import PARTITION, centre, fetch, seed

MESSAGES, EACH = 2_000, 20
HEAT, BUTTON = Series("heat-1", "celsius"), Series("button-1", "pressed")
STORED = "select coalesce(sum(stored), 0)::int from stream_tally"


async def test_an_alarm_is_committed_while_most_of_a_long_backlog_still_waits_and_the_backlog_arrives_whole(
    fresh_database: str, mqtt_url: str, tmp_path: Path
) -> None:
    seed(fresh_database)
    begun = wall_clock() - 3_600_000_000
    with open_spool(tmp_path, wall_clock) as spool:
        for first in range(0, MESSAGES * EACH, EACH):
            readings = [Sample(HEAT, begun + n * 10_000, 20.0 + n % 2) for n in range(first, first + EACH)]
            spool._db.execute("pragma synchronous = off")  # only while it is filled
            spool.append(Lane.BULK, pack(readings))
        spool._db.execute("pragma synchronous = full")
        intake = Intake(spool)
        uplink = Uplink(parse_broker(mqtt_url), PARTITION, "edge-1", intake, wall_clock)
        async with centre(fresh_database, mqtt_url):
            tasks = [asyncio.create_task(intake.run(lane)) for lane in Lane]
            tasks.append(asyncio.create_task(uplink.run()))
            try:
                await eventually(lambda: intake.depth(Lane.BULK).messages < MESSAGES)
                await intake.put(Lane.URGENT, [Sample(BUTTON, wall_clock(), True)])
                await eventually(lambda: fetch(fresh_database, "select definition from alarm") == [("panic",)])
                waiting = intake.depth(Lane.BULK).messages
                assert waiting > MESSAGES / 40
                await eventually(lambda: intake.depth(Lane.BULK).messages == 0, deadline=120)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                intake.shutdown()
        assert fetch(fresh_database, STORED) == [(MESSAGES * EACH + 1,)]
