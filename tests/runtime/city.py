"""A small city for the tests of ingest: one institution, one edge, a button, a thermometer, a camera."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import yaml

from hub.core import wire
from hub.model import Sample, Scalar, Series
from hub.mqtt import Session, parse_broker, session
from hub.profiles import Profile, parse_profile
from hub.registry import partition_of
from hub.runtime.partitions import Partitions
from hub.runtime.shared import Clock, wall_clock
from hub.store import commissioning
from hub.store.pool import connect
from hub.testing import eventually

INSTITUTION = "garden"
PARTITION = partition_of(INSTITUTION, 8)

_PROFILES = """
- &base
  profile: test-edge
  kind: edge
  vendor: anxin
  model: edge
  title: {zh: 网关, en: edge}
  source: our own
  driver: edge
  liveness: {beat: 1s, offline_after: 3s}
  points:
    beat: {title: {zh: 心跳, en: beat}, type: float, record: beat}
    spool_bulk: {title: {zh: 队列, en: spool}, type: int}
  test: {seen: [spool_bulk]}
- <<: *base
  profile: test-button
  kind: panic_button
  driver: mqtt
  capabilities: [alarm.manual]
  points:
    pressed: {title: {zh: 按下, en: pressed}, type: bool}
    alive: {title: {zh: 心跳, en: alive}, type: int, record: beat}
    press: {title: {zh: 按一下, en: press}, type: str, record: event}
  alarms:
    panic: {title: {zh: 报警, en: panic}, class: panic, priority: critical, point: pressed, condition: {equals: true},
            latching: true, response: {zh: 立即, en: at once}}
    click: {title: {zh: 报警, en: click}, class: panic, priority: critical, point: press, condition: {present: true},
            latching: true, response: {zh: 立即, en: at once}}
  test: {pressed: {pressed: {equals: true}}}
- <<: *base
  profile: test-thermometer
  kind: other
  driver: mqtt
  capabilities: [fire.heat, gas.detect]
  points:
    alive: {title: {zh: 心跳, en: alive}, type: int, record: beat}
    celsius: {title: {zh: 温度, en: temperature}, type: float, range: [-40, 80], report: {change: 0.5, reassert: 10m}}
    fault: {title: {zh: 故障, en: fault}, type: bool}
  health:
    - {point: fault, condition: {equals: true}, state: failed, title: {zh: 故障, en: broken}}
  alarms:
    hot: {title: {zh: 热, en: hot}, class: supervisory, priority: high, point: celsius, condition: {above: 40},
          deadband: 2, on_delay: 1s, response: {zh: 看, en: look}}
    silent: {title: {zh: 离线, en: silent}, class: communication, priority: low, point: link, condition: {equals: true},
             response: {zh: 看, en: look}}
  test: {seen: [celsius, alive], proves: {fire.heat: [celsius]}}
"""


def profiles() -> dict[str, Profile]:
    """The profiles of this city."""
    return {document["profile"]: parse_profile(document, "city") for document in documents()}


def documents() -> list[dict[str, Any]]:
    """The same as they are written."""
    return list(yaml.safe_load(_PROFILES))


def seed(database: str, admin_state: str = "in_service") -> None:
    """Register the city."""
    with psycopg.connect(database) as conn:
        conn.execute("insert into division values ('14', null, '山西', 'Shanxi')")
        row = conn.execute(
            "insert into institution (id, division, type, title_zh, title_en, partition)"
            " values (%s, '14', 'community', '花园', 'Garden', %s) returning key",
            [INSTITUTION, PARTITION],
        ).fetchone()
        assert row is not None
        _edge(conn, row[0], 1, admin_state)


def seed_another_edge(database: str) -> None:
    """A second one at the same institution, with a button and a thermometer of its own."""
    with psycopg.connect(database) as conn:
        row = conn.execute("select key from institution where id = %s", [INSTITUTION]).fetchone()
        assert row is not None
        _edge(conn, row[0], 2, "in_service")


def _edge(conn: psycopg.Connection[Any], place: int, n: int, admin_state: str) -> None:
    edge = _device(conn, place, f"edge-{n}", "test-edge", "edge", "bulk", None, "in_service")
    conn.execute("insert into client (name, device) values (%s, %s)", [f"edge-{n}", edge])
    line = conn.execute(
        "insert into endpoint (institution, id, driver, edge, settings) values (%s, %s, 'mqtt', %s, '{}') returning key",
        [place, "line" if n == 1 else f"line-{n}", edge],
    ).fetchone()
    assert line is not None
    _device(conn, place, f"button-{n}", "test-button", "panic_button", "urgent", line[0], admin_state)
    _device(conn, place, f"heat-{n}", "test-thermometer", "other", "bulk", line[0], admin_state)


def _device(
    conn: psycopg.Connection[Any],
    place: int,
    name: str,
    profile: str,
    kind: str,
    lane: str,
    line: int | None,
    state: str,
) -> int:
    row = conn.execute(
        "insert into device (id, institution, endpoint, profile, kind, lane) values (%s, %s, %s, %s, %s, %s) returning key",
        [name, place, line, profile, kind, lane],
    ).fetchone()
    assert row is not None
    conn.execute("insert into device_state (device, admin_state) values (%s, %s)", [row[0], state])
    return int(row[0])


def fetch(database: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What the database says."""
    with psycopg.connect(database) as conn:
        return conn.execute(query, values).fetchall()


TEST_STATE = "select state from device_test"
ADMIN = "select s.admin_state, s.function_state from device_state s join device d on d.key = s.device where d.id = 'button-1'"


async def ask_for_test(database: str, device: str, within: int = 20_000_000) -> UUID:
    conn = await connect(database, "test")
    async with conn:
        return await commissioning.request(conn, device, "installer", within)


@asynccontextmanager
async def centre(
    database: str, mqtt_url: str, take_over: float = 10.0, clock: Clock = wall_clock
) -> AsyncIterator[Partitions]:
    """A running owner of the city's partition, listening."""
    partitions = Partitions(database, parse_broker(mqtt_url), profiles(), [PARTITION], clock, take_over)
    running = asyncio.create_task(partitions.run())
    try:
        await eventually(lambda: partitions.ready or running.done())
        if running.done():
            running.result()
        yield partitions
    finally:
        running.cancel()
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()


class Client:
    """A client of docs/protocol.md: one stream a lane, numbered messages, and the confirmations that came."""

    def __init__(self, mqtt: Session, name: str = "edge-1") -> None:
        self.mqtt = mqtt
        self.name = name
        self.uuid = uuid.uuid4()
        self.seq = {"urgent": 0, "bulk": 0}
        self.upto: dict[str, int] = {}
        self.sent: dict[str, dict[int, bytes]] = {"urgent": {}, "bulk": {}}

    def stream(self, lane: str) -> str:
        return f"{self.uuid}-{lane}"

    async def say(self, lane: str, *samples: Sample) -> int:
        """Send the next message of the lane."""
        self.seq[lane] += 1
        await self.send_raw(lane, wire.encode_up(samples), self.seq[lane])
        return self.seq[lane]

    async def send_raw(self, lane: str, payload: bytes, seq: int) -> None:
        self.sent[lane][seq] = payload
        topic = f"anxin/v1/{PARTITION}/{self.name}/up/{lane}"
        await self.mqtt.publish(topic, payload, user_properties=wire.properties_of(self.stream(lane), seq))

    async def confirmed(self, lane: str, seq: int) -> None:
        """Wait until the hub has confirmed `seq` of the lane; after a second of silence send again what it lacks."""
        async with asyncio.timeout(20):
            while self.upto.get(self.stream(lane), 0) < seq:
                try:
                    async with asyncio.timeout(1):
                        messages = await self.mqtt.take(100)
                except TimeoutError:
                    for number in range(self.upto.get(self.stream(lane), 0) + 1, seq + 1):
                        if number in self.sent[lane]:
                            await self.send_raw(lane, self.sent[lane][number], number)
                    continue
                for message in messages:
                    stream, upto = wire.decode_confirm(message.payload)
                    self.upto[stream] = upto
                    self.mqtt.settle(message)

    async def told(self, lane: str, *samples: Sample) -> None:
        """Send and wait for the confirmation."""
        await self.confirmed(lane, await self.say(lane, *samples))

    async def beat(self, uptime: float = 900.0) -> None:
        for lane in ("urgent", "bulk"):
            await self.say(lane, sample("edge-1", "beat", uptime))


def sample(device: str, point: str, raw: Scalar, at: int | None = None, instance: str = "") -> Sample:
    return Sample(Series(device, point, instance), wall_clock() if at is None else at, raw)


@asynccontextmanager
async def client(mqtt_url: str, name: str = "edge-1") -> AsyncIterator[Client]:
    """A client that may publish everything: the broker's rights are tested elsewhere."""
    async with session(parse_broker(mqtt_url), client_id=f"edge-{uuid.uuid4()}", clean_start=True) as mqtt:
        await mqtt.subscribe(f"anxin/v1/{PARTITION}/{name}/down/+")
        yield Client(mqtt, name)


async def rows(database: str, query: str, expected: Sequence[Any], deadline: float = 20.0) -> None:
    """Wait until the query gives exactly these rows."""
    seen: list[Any] = []

    def look() -> bool:
        seen[:] = fetch(database, query)
        return seen == list(expected)

    try:
        await eventually(look, deadline, 0.05)
    except AssertionError:
        raise AssertionError(f"{query} gave {seen}, not {expected}") from None
