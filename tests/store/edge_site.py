"""An institution behind edges in a real database: what they send is judged and committed as ingest does it, and the ledger is kept. No broker; every
clock is the test's.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from hub.core import wire
from hub.core.coverage.rulebook import Rulebook
from hub.core.intake import take_in
from hub.core.lane import Message, State
from hub.core.supervision import tick
from hub.model import SECOND, Lane, Micros, Sample, Scalar, Series, to_datetime
from hub.registry import Registry
from hub.store import lane_commit, lanes, registry
from hub.store.coverage import Ledger, open_ledger
from hub.store.pool import Connection, connect
from hub.store.readings import SeriesKeys
from tests.store.coverage_register import PROFILES, Register

T0: Micros = 1_795_000_000 * SECOND
BEFORE = T0 - 3600 * SECOND
"""since when the hub listens and the watch follows"""
PARTITION = 3
CAMERA, DOOR, BUTTON = "axis-camera", "ascii-line-door", "adam-6050-button"


def said(device: str, point: str, at: Micros, raw: Scalar) -> Sample:
    """A sample of a moment."""
    return Sample(Series(device, point, ""), at, raw)


def furnish(register: Register, edges: Mapping[str, Mapping[str, tuple[str, str | None]]]) -> None:
    """Institution sun: by edge, the devices behind it with profile and zone; all proven, in service, online."""
    for edge, devices in edges.items():
        register.device("sun", edge, "anxin-edge", None)
        register.do("insert into client (name, device) select %s, key from device where id = %s", edge, edge)
        register.do(
            "insert into endpoint (institution, id, driver, edge, settings)"
            " select institution, %s, 'mqtt', key, '{}' from device where id = %s",
            f"line-{edge}",
            edge,
        )
        for device, (profile, zone) in devices.items():
            register.device("sun", device, profile, zone)
            register.do(
                "update device set endpoint = (select key from endpoint where id = %s), lane = %s where id = %s",
                f"line-{edge}",
                lane_of(profile),
                device,
            )
    before = to_datetime(T0 - 86_400 * SECOND)
    register.do(
        "update device_state set admin_since = %s, link_since = %s, function_since = %s, proven_at = %s", *[before] * 4
    )


def lane_of(profile: str) -> Lane:
    """A button's samples are urgent."""
    return Lane.URGENT if profile == BUTTON else Lane.BULK


class Site:
    """Ingest of both lanes, and the judge."""

    def __init__(self, conn: Connection, known: Registry, ledger: Ledger) -> None:
        self.conn, self.registry, self.ledger = conn, known, ledger
        self.states = {lane: State() for lane in Lane}
        self.series = {lane: SeriesKeys() for lane in Lane}
        self.clients: dict[str, Micros] = {}
        self.seq: dict[str, int] = {}

    def message(self, edge: str, lane: Lane, samples: Sequence[Sample]) -> Message:
        """The next message of an edge's stream."""
        stream = f"00000000-0000-0000-0000-{sum(edge.encode()):012d}-{lane}"
        seq = self.seq[stream] = self.seq.get(stream, 0) + 1
        topic = f"anxin/v1/{PARTITION}/{edge}/up/{lane}"
        return Message(topic, edge, lane, stream, seq, wire.encode_up(samples))

    async def take(self, messages: Sequence[Message], now: Micros) -> None:
        """What arrives at `now`, in this order, in one transaction a lane."""
        for lane in Lane:
            mine = [one for one in messages if one.lane is lane]
            if mine:
                draft = take_in(self.states[lane], self.registry, mine, now, frozenset())
                await lane_commit.commit(self.conn, draft, self.series[lane], lambda: None)
                draft.settle()
                self.clients.update(draft.clients)

    async def tick(self, now: Micros) -> None:
        """Look at what time alone changes."""
        for lane in Lane:
            draft = tick(self.states[lane], self.registry, lane, now, BEFORE, self.clients)
            await lane_commit.commit(self.conn, draft, self.series[lane], lambda: None)
            draft.settle()

    async def judge(self, at: Micros) -> None:
        """A watch that followed everything until now judges."""
        await self.ledger.renew("watch", BEFORE, at - 1)
        async with self.ledger.judging(["sun"], at) as judging:
            await judging.record()


@asynccontextmanager
async def site(url: str, rules: Rulebook) -> AsyncIterator[Site]:
    """What is furnished, opened."""
    conn = await connect(url, "test")
    async with conn, open_ledger(url, PROFILES, rules) as ledger:
        made = Site(conn, await registry.load(conn, PROFILES, PARTITION), ledger)
        for lane in Lane:
            loaded = await lanes.load(conn, PARTITION, lane)
            loaded.state.remember_faults(made.registry)
            made.states[lane], made.series[lane] = loaded.state, loaded.series
        yield made
