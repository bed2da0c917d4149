"""A city of many institutions behind carriers, over all partitions, whose lanes are judged by a clock of the test's own and committed for real."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hub.config import data_folder
from hub.core import wire
from hub.core.intake import take_in
from hub.core.lane import Message
from hub.core.supervision import tick
from hub.model import SECOND, Lane, Micros, Sample, Scalar, Series, to_datetime
from hub.profiles import Profile, load_profiles
from hub.registry import Registry, partition_of
from hub.runtime.blindness_watch import BlindnessWatch
from hub.runtime.shared import wall_clock
from hub.store import lane_commit, lanes, registry
from hub.store.blindness_watch import Watch, open_watch
from hub.store.escalation import claim, fire
from hub.store.pool import Connection, connect
from tests.runtime.city import profiles as small_profiles

PARTITIONS = 8


def profiles() -> dict[str, Profile]:
    """The small city's button and thermometer behind real edges, and the hub's own path."""
    shipped = load_profiles([data_folder("device-profiles")])
    return small_profiles() | {name: shipped[name] for name in ("anxin-edge", "anxin-path", "rfc1628-ups")}


class BlindCity:
    """Institutions `i0000` …, each with an edge `e0000`, a button `b0000` and, on demand, more."""

    def __init__(self, url: str, conn: psycopg.AsyncConnection[Any]) -> None:
        self.url = url
        self.conn = conn
        self.profiles = profiles()
        self.now: Micros = wall_clock()
        self.since: Micros = self.now - 3600 * SECOND
        self.clients: dict[str, Micros] = {}
        self.deaths: dict[str, Micros] = {}
        self.mute: set[str] = set()
        """devices that say nothing, though their edge does"""
        self.more: dict[int, list[str]] = {}
        """of an institution: further thermometers on its line"""
        self.streams: dict[tuple[str, Lane], tuple[str, int]] = {}
        self.states: dict[tuple[int, Lane], lanes.Loaded] = {}
        self.registries: dict[int, Registry] = {}
        self.lanes: Connection
        self.watch: Watch
        self.watcher = BlindnessWatch(url, self.profiles, clock=lambda: self.now)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, places: Sequence[tuple[str, str]], devices: bool = True) -> AsyncIterator[Self]:
        """`places`: division and carrier of each institution."""
        async with AsyncExitStack() as stack:
            conn = await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row)
            )
            city = cls(url, conn)
            await city._register(places, devices)
            city.lanes = await stack.enter_async_context(await connect(url, "lanes"))
            city.watch = await stack.enter_async_context(open_watch(url, city.profiles))
            assert await city.watch.lead()
            await city.load()
            yield city

    async def _register(self, places: Sequence[tuple[str, str]], devices: bool) -> None:
        codes = sorted({code[:n] for code, _ in places for n in (2, 4, 6, len(code))})
        for code in codes:
            parent = max((one for one in codes if code.startswith(one) and one != code), key=len, default=None)
            await self.conn.execute(
                "insert into division values (%s, %s, %s, %s)", [code, parent, f"区{code}", f"D{code}"]
            )
        async with self.conn.cursor() as cur:
            await cur.executemany(
                "insert into institution (id, division, type, title_zh, title_en, partition, uplink)"
                " values (%s, %s, 'centre', %s, %s, %s, %s)",
                [
                    (
                        f"i{n:04}",
                        code,
                        f"机构{n}",
                        f"Site {n}",
                        partition_of(f"i{n:04}", PARTITIONS),
                        Jsonb({"carrier": carrier}),
                    )
                    for n, (code, carrier) in enumerate(places)
                ],
            )
        made = "insert into device (id, institution, profile, kind, lane) select replace(id, 'i', {}), key, {}, {}, {} from institution where partition >= 0"
        await self.conn.execute(made.format("'e'", "'anxin-edge'", "'edge'", "'bulk'"))
        await self.conn.execute("insert into client (name, device) select id, key from device where kind = 'edge'")
        if devices:
            await self.conn.execute(
                "insert into endpoint (institution, id, driver, edge, settings)"
                " select institution, 'line', 'mqtt', key, '{}' from device where kind = 'edge'"
            )
            for letter, profile, kind, lane in (
                ("b", "test-button", "panic_button", "urgent"),
                ("t", "test-thermometer", "other", "bulk"),
            ):
                await self.conn.execute(
                    "insert into device (id, institution, endpoint, profile, kind, lane)"
                    " select replace(i.id, 'i', %s), i.key, n.key, %s, %s, %s from institution i join endpoint n on n.institution = i.key",
                    [letter, profile, kind, lane],
                )
        await self.conn.execute("insert into device_state (device, admin_state) select key, 'in_service' from device")

    async def policy(self, division: str | None = None) -> None:
        """Everything is told to one desk."""
        await self.conn.execute("insert into responder (id, title_zh, title_en) values ('desk', '值班', 'Desk')")
        await self.conn.execute(
            "insert into responder_channel (responder, id, kind, settings) values ('desk', 'hook', 'webhook', '{}')"
        )
        await self.conn.execute(
            "insert into policy (id, title_zh, title_en, division, signal_classes, priorities, round_every) values ('all', '全', 'All', %s,"
            " '{fire,panic,communication,supervisory}', '{critical,high,medium,low}', '10 minutes')",
            [division],
        )
        await self.conn.execute(
            "insert into policy_step (policy, n, responder, channel, delay) values ('all', 1, 'desk', 'hook', '0')"
        )

    async def add_thermometers(self, n: int, count: int) -> list[str]:
        """More devices on the line of this institution; returns all thermometers there."""
        names = [f"t{n:04}-{k:04}" for k in range(count)]
        await self.conn.execute(
            "insert into device (id, institution, endpoint, profile, kind, lane) select name, n.institution, n.key, 'test-thermometer', 'other', 'bulk'"
            " from unnest(%s::text[]) name, endpoint n join institution i on i.key = n.institution where i.id = %s and n.id = 'line'",
            [names, f"i{n:04}"],
        )
        await self.conn.execute(
            "insert into device_state (device, admin_state) select key, 'in_service' from device where id = any (%s)",
            [names],
        )
        self.more[n] = names
        await self.load()
        return [f"t{n:04}", *names]

    # the hub's lanes, by the test's clock ------------------------------------------------------------------------

    async def load(self) -> None:
        """As after a start: all that lanes know is what is stored."""
        for number in range(PARTITIONS):
            self.registries[number] = await registry.load(self.lanes, self.profiles, number)
            for lane in Lane:
                self.states[number, lane] = await lanes.load(self.lanes, number, lane)

    async def restart(self) -> None:
        """The hub starts anew: it has heard nobody and listens from now on."""
        self.clients.clear()
        self.deaths.clear()
        self.since = self.now
        await self.load()

    async def beat(self, sites: Iterable[int]) -> None:
        """The edges of these institutions beat, their devices speak: now, however long the machine takes to write it."""
        sites = list(sites)
        by_partition: dict[int, list[int]] = {}
        for n in sites:
            by_partition.setdefault(partition_of(f"i{n:04}", PARTITIONS), []).append(n)
        for number, names in by_partition.items():
            for lane in Lane:
                messages = []
                for n in names:
                    samples = [self._sample(f"e{n:04}", "beat", 100_000)]
                    if f"b{n:04}" in self.registries[number].devices:
                        own = [f"b{n:04}"] if lane is Lane.URGENT else [f"t{n:04}", *self.more.get(n, ())]
                        samples += [self._sample(name, "alive", 1) for name in own if name not in self.mute]
                    messages += [
                        self._message(number, f"e{n:04}", lane, samples[k : k + wire.MAX_SAMPLES])
                        for k in range(0, len(samples), wire.MAX_SAMPLES)
                    ]
                await self._take(number, lane, messages)
        await self.conn.execute(
            "update stream set updated_at = %s where client = any (%s)",
            [to_datetime(self.now), [f"e{n:04}" for n in sites]],
        )

    async def press(self, n: int) -> None:
        """Somebody presses the button of this institution."""
        number = partition_of(f"i{n:04}", PARTITIONS)
        message = self._message(number, f"e{n:04}", Lane.URGENT, [self._sample(f"b{n:04}", "pressed", True)])
        await self._take(number, Lane.URGENT, [message])

    def _sample(self, device: str, point: str, raw: Scalar) -> Sample:
        return Sample(Series(device, point, ""), self.now, raw)

    def _message(self, number: int, client: str, lane: Lane, samples: Sequence[Sample]) -> Message:
        stream, seq = self.streams.get((client, lane), (f"{uuid4()}-{lane}", 0))
        self.streams[client, lane] = stream, seq + 1
        return Message(f"anxin/v1/{number}/{client}/up/{lane}", client, lane, stream, seq + 1, wire.encode_up(samples))

    async def _take(self, number: int, lane: Lane, messages: Sequence[Message]) -> None:
        loaded = self.states[number, lane]
        loaded.state.alarms = await lanes.load_alarms(self.lanes, number, lane)
        draft = take_in(loaded.state, self.registries[number], messages, self.now, frozenset())
        await lane_commit.commit(self.lanes, draft.whole(), loaded.series, lambda: None)
        draft.settle()
        self.clients.update(draft.clients)

    async def tick(self, seconds: float = 0.0, deaf: str = "hub") -> int:
        """So much later every lane looks at the time; how many alarms moved."""
        self.now += round(seconds * SECOND)
        moved = 0
        for (number, lane), loaded in self.states.items():
            loaded.state.alarms = await lanes.load_alarms(self.lanes, number, lane)
            draft = tick(
                loaded.state, self.registries[number], lane, self.now, self.since, self.clients, (), self.deaths, deaf
            )
            await lane_commit.commit(self.lanes, draft, loaded.series, lambda: None)
            draft.settle()
            moved += len(draft.transitions)
        return moved

    async def look(self, seconds: float = 0.0) -> None:
        """So much later the watcher looks."""
        self.now += round(seconds * SECOND)
        await self.watcher.look(self.watch)

    # what became of it -------------------------------------------------------------------------------------------

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return await (await self.conn.execute(query, values)).fetchall()

    async def count(self, query: str, *values: Any) -> int:
        [row] = await self.rows(f"select count(*) as n from {query}", *values)
        return int(row["n"])

    async def page(self, ahead: int = 600) -> dict[str, int]:
        """Everything that is due within so many seconds is paged; alarms that were paged so far, by definition."""
        await self.conn.execute(
            "update escalation_step set due_at = due_at - %s * interval '1 second' where state = 'due'", [ahead]
        )
        conn = await connect(self.url, "pager", autocommit=True)
        async with conn, conn.cursor() as cur:
            while True:
                async with conn.transaction():
                    due = await claim(cur, 100, SECOND)
                for alarm in due:
                    async with conn.transaction():
                        await fire(cur, alarm)
                if not due:
                    break
        found = await self.rows(  # in a storm one message lists several alarms
            "select a.definition, count(*) as n from (select alarm from notification union select alarm from digest_alarm) m"
            " join alarm a on a.id = m.alarm group by 1"
        )
        return {row["definition"]: row["n"] for row in found}


__all__ = ["BlindCity", "profiles"]
