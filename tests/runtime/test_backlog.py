"""A press behind a long backlog, at an edge and at the hub: by order, not by time (bench/backlog.py measures the time)."""

import asyncio
import itertools
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import psycopg
import pytest

from hub.core import wire
from hub.core.batching import pack
from hub.edge.intake import Intake
from hub.edge.spool import open_spool
from hub.edge.uplink import Uplink
from hub.errors import LinkDown
from hub.model import Lane, Sample, Scalar, Series
from hub.mqtt import Incoming, Session, parse_broker
from hub.runtime.shared import wall_clock
from hub.store import lanes
from hub.testing import eventually
from tests.runtime.city import PARTITION, centre, fetch, sample, seed

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


BEATING = 300
"""edges beside the city's own"""


class Flood:
    """A session that hands over everything at once, and has gone when that is taken."""

    def __init__(self, incoming: Sequence[Incoming]) -> None:
        self.waiting = [*incoming]
        self.settled: list[Incoming] = []

    async def take(self, limit: int, within: float | None = None, least: int = 1) -> list[Incoming]:
        if not self.waiting and within is None:
            raise LinkDown("gone")
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def post(self, topic: str, payload: bytes, user_properties: object = ()) -> None:
        pass

    def settle(self, *messages: Incoming) -> bool:
        self.settled += messages
        return True


async def test_at_the_hub_a_press_is_committed_before_the_beats_that_came_before_it_and_all_of_them_are(
    fresh_database: str, mqtt_url: str
) -> None:
    seed(fresh_database)
    with psycopg.connect(fresh_database) as conn:
        conn.execute(
            "insert into device (id, institution, profile, kind, lane)"
            " select 'far-' || n, (select key from institution), 'test-edge', 'edge', 'bulk' from generate_series(1, %s) n",
            [BEATING],
        )
        conn.execute("insert into client (name, device) select id, key from device where id like 'far-%'")
        conn.execute(
            "insert into device_state (device, admin_state) select key, 'in_service' from device where id like 'far-%'"
        )
    streams: dict[str, str] = {}
    seqs: dict[str, int] = {}
    numbers = itertools.count(1)

    def say(*said: tuple[str, str, Scalar]) -> Flood:
        """From each client one message, in this order: a device, its point, a value."""
        incoming = []
        for device, point, value in said:
            client = "edge-1" if device == "button-1" else device
            stream = streams.setdefault(client, f"{uuid.uuid4()}-urgent")
            seqs[client] = seqs.get(client, 0) + 1
            about = wire.encode_up([sample(device, point, value)]), wire.properties_of(stream, seqs[client])
            topic = f"anxin/v1/{PARTITION}/{client}/up/urgent"
            incoming.append(Incoming(topic, *about, False, 1, next(numbers), 1))
        return Flood(incoming)

    calm = ("edge-1", "beat", 900.0), ("button-1", "pressed", False)
    beats = [(f"far-{n}", "beat", 900.0) for n in range(1, BEATING + 1)]
    async with centre(fresh_database, mqtt_url) as partitions:
        lane = next(one for one in partitions.lanes if one.lane is Lane.URGENT)
        own = await lanes.open_lane(fresh_database, "test")
        async with own:
            for flood in say(*calm), say(*calm), say(*beats, ("edge-1", "beat", 910.0), ("button-1", "pressed", True)):
                came = [*flood.waiting]
                with pytest.raises(LinkDown):
                    await lane._serve(cast(Session, flood))
                assert flood.settled == came  # with the broker everything in the order in which it came
                async with lane._lock:  # what is stored is what is known, also where little of a row was written
                    stored, known = (await lanes.load(own, PARTITION, Lane.URGENT)).state, lane.judged
                    assert known is not None
                    for name in ("latest", "watches", "streams", "live", "alarms"):
                        assert getattr(stored, name) == getattr(known[0], name), name
    assert fetch(fresh_database, "select definition from alarm") == [("panic",)]
    newest = "select updated_at from stream where stream = %s"
    before = f"select count(*) from stream where updated_at < ({newest})"
    assert fetch(fresh_database, before, streams["edge-1"]) == [(0,)]
    assert fetch(fresh_database, "select count(*), sum(upto)::int from stream") == [(BEATING + 1, BEATING + 6)]
