"""A press at an edge until the webhook arrives, with a province's devices registered and its traffic beside it. `scripts/bench alarms`.

280,000 devices behind 5,000 edges are registered in the hub's eight partitions, which one process serves (a second one pages). Their configurations
are made, they are online, then the hub is restarted and they go on: each edge beats in both lanes every 10 s, the rest of the 2,000 messages a second
are readings. Then buttons behind a real edge are pressed one by one:
driver → spool (synced) → MQTT → judged, committed → escalation → webhook. The same presses before the others are registered stand beside it, and
those in the first seconds, while every edge comes back at once to a hub that was restarted. It is measured when all devices are online and what is
offered has been confirmed within half a second for ten seconds, or, saying so, when that has not come within `--within`. Where the goal is missed
the highest rate is searched, by halves in tenths of `--rate`, at which it holds with the same devices (edges beat less often below twice their beats).
Ingest, paging and coverage are processes of their own, as in docker-compose.yml; "sender" is this process.
The goal (issue 4): p99 below 500 ms, p50 below 100 ms. All clocks are this process's; sender, edge, broker and database share the machine.
"""

import argparse
import asyncio
import contextlib
import json
import struct
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from bench.flood import packet, packets_of, text
from bench.installation import PROFILES, Installation, installation
from bench.machine import children_seconds, cpu_seconds, facts, percentile
from bench.press import Panel, Receiver, button_devices, lamp_edge, press_all, seed
from hub.config import data_folder
from hub.core.alarms import AlarmEvent
from hub.demo.programs import Program, tool
from hub.registry import partition_of
from hub.store import alarms
from hub.store.pool import connect as connect_pool
from hub.testing import eventually
from tests import lampbus

DEVICES = 280_000
EACH = 56
"""an edge and what is behind it, in each institution"""
RATE = 2_000
"""messages a second"""
BEAT = 10.0
"""seconds"""
P50, P99 = 100.0, 500.0
"""the goal, milliseconds"""
SELDOM = 25
"""seconds; an edge that beats less often is offline"""
JUDGING = 600.0
"""seconds that coverage may take to judge a province anew beside everything else (hub.core.coverage.docket.FINISH)"""
PARTITIONS = 8
INGEST = 2
"""processes, as in docker-compose.yml"""
CATALOGUE = [PROFILES, lampbus.PROFILES, data_folder("device-profiles")]


def register(place: Installation, devices: int) -> None:
    """Institutions with an edge and its devices each, in service: one in ten a smoke detector, the others meters."""
    rows = [(f"place-{n}", partition_of(f"place-{n}", PARTITIONS)) for n in range(devices // EACH)]
    with place.conn.cursor() as cur:
        cur.execute("create temp table made (id text, partition int)")
        with cur.copy("copy made (id, partition) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        cur.execute(
            "insert into institution (id, division, type, title_zh, title_en, partition)"
            " select id, '14', 'community_point', id, id, partition from made"
        )
        cur.execute(
            "insert into device (id, institution, profile, kind, lane)"
            " select i.id || '-edge', i.key, 'anxin-edge', 'edge', 'bulk' from institution i join made using (id)"
        )
        cur.execute("insert into client (name, device) select id, key from device where id like 'place-%-edge'")
        cur.execute(
            "insert into endpoint (institution, id, driver, edge, settings)"
            " select d.institution, 'bus', 'mqtt', d.key, '{}' from device d where d.id like 'place-%-edge'"
        )
        cur.execute(
            "insert into device (id, institution, endpoint, profile, kind, lane)"
            " select i.id || '-' || n, i.key, e.key, case when mod(n, 10) = 0 then 'lamp-urgent' else 'bench-meter' end,"
            " 'other', case when mod(n, 10) = 0 then 'urgent' else 'bulk' end"
            " from institution i join made using (id) join endpoint e on e.institution = i.key and e.id = 'bus',"
            " generate_series(1, %s) n",
            [EACH - 1],
        )
        cur.execute(
            "insert into device_state (device, admin_state) select key, 'in_service' from device where id like 'place-%'"
        )
        cur.execute("analyze")


def connect(place: Installation) -> None:
    """They have been connected for a while: everything was heard before the hub is restarted."""
    with place.conn.cursor() as cur:
        cur.execute(
            "insert into series (device, point) select key, case profile when 'bench-meter' then 'a' else 'level' end from device"
            " where id like 'place-%' and kind = 'other'"
        )
        cur.execute(
            "insert into point_state (series, at, received_at, value, quality, changed_at, stored_at)"
            " select s.key, now(), now(), 1, 0, now(), now() from series s join device d on d.key = s.device where d.id like 'place-%'"
        )
        cur.execute(
            "update device_state s set link_state = 'online', link_cause = '', link_since = now(), last_heard_at = now()"
            " from device d where d.key = s.device and d.id like 'place-%'"
        )
        cur.execute("analyze")


class Province(asyncio.Protocol):
    """Every registered edge at once, over one connection of the hub's own user: who they are stands in the topics.

    Each edge beats in both lanes every `BEAT` seconds, with the levels of its lamps; what is left of the rate are bulk messages of three
    readings each, from edge to edge and from meter to meter. More than `WINDOW` unconfirmed messages make it wait.
    """

    WINDOW = 20_000

    def __init__(self, url: str, edges: int, rate: int) -> None:
        self.url = urlsplit(url)
        self.sent = self.confirmed = 0
        self.failed = ""
        self.ready = asyncio.Event()
        self._seqs = {lane: [0] * edges for lane in ("urgent", "bulk")}
        self._upto = {lane: [0] * edges for lane in ("urgent", "bulk")}
        self._streams = {lane: [f"{uuid.uuid4()}-{lane}" for _ in range(edges)] for lane in ("urgent", "bulk")}
        self._partitions = [partition_of(f"place-{n}", PARTITIONS) for n in range(edges)]
        self._edges, self.rate = edges, rate
        self._turn = dict.fromkeys(("urgent", "bulk", "data"), 0)
        self._number = self._at = 0
        self._buffer = b""
        self._began = time.time()
        self._transport: asyncio.Transport

    @contextlib.asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """Connected and talking; on the way out it waits until all is confirmed."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self.url.hostname or "", self.url.port or 1883)
        async with asyncio.timeout(10):
            await self.ready.wait()
        task = asyncio.create_task(self._talk())
        try:
            yield
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.wait([task])
        await eventually(lambda: bool(self.failed) or self.confirmed >= self.sent, 60, 0.05)
        self._transport.close()
        if self.confirmed < self.sent:
            raise RuntimeError(self.failed or "confirmations stayed out")

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        owed = dict.fromkeys(("urgent", "bulk", "data"), 0.0)
        while True:
            await asyncio.sleep(0.01)
            if self.failed:
                raise RuntimeError(self.failed)
            passed, before = loop.time() - before, loop.time()
            packets: list[bytes] = []
            beats = min(self._edges / BEAT, self.rate / 2)
            for kind, rate in (("urgent", beats), ("bulk", beats), ("data", max(0.0, self.rate - 2 * beats))):
                owed[kind] += passed * rate
                due = max(0, min(int(owed[kind]), self.WINDOW - (self.sent - self.confirmed) - len(packets)))
                packets += [self._message(kind) for _ in range(due)]
                owed[kind] -= due
            self.sent += len(packets)
            self._transport.write(b"".join(packets))

    def _message(self, kind: str) -> bytes:
        turn = self._turn[kind]
        self._turn[kind] += 1
        lane, n = "urgent" if kind == "urgent" else "bulk", turn % self._edges
        place, self._at = f"place-{n}", max(self._at + 1, time.time_ns() // 1000)
        if kind == "data":
            meters = [k for k in range(1, EACH) if k % 10]
            first = turn // self._edges * 3
            said = [(f"{place}-{meters[(first + k) % len(meters)]}", "a", float(turn % 1000)) for k in range(3)]
        else:
            said = [(f"{place}-edge", "beat", float(int(time.time() - self._began + 600)))]
            if kind == "urgent":
                said += [(f"{place}-{k}", "level", 1.0) for k in range(10, EACH, 10)]
        samples = ",".join(f'{{"d":"{d}","p":"{p}","t":{self._at},"r":{r:g}}}' for d, p, r in said)
        self._seqs[lane][n] += 1
        stream, seq = self._streams[lane][n], str(self._seqs[lane][n])
        properties = b"\x26" + text("stream") + text(stream) + b"\x26" + text("seq") + text(seq)
        self._number = self._number % 65_535 + 1
        topic = text(f"anxin/v1/{self._partitions[n]}/{place}-edge/up/{lane}")
        head = topic + struct.pack(">H", self._number) + bytes((len(properties),)) + properties
        return packet(0x32, head + f'{{"v":1,"samples":[{samples}]}}'.encode())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        head = text("MQTT") + bytes((5, 0xC2)) + struct.pack(">H", 60) + b"\0"
        user, password = self.url.username or "", self.url.password or ""
        transport.write(packet(0x10, head + text("bench-province") + text(user) + text(password)))

    def connection_lost(self, error: Exception | None) -> None:
        self.failed = self.failed or f"the connection ended: {error}"

    def data_received(self, data: bytes) -> None:
        packets, self._buffer = packets_of(self._buffer + data)
        for kind, body in packets:
            if kind == 0x20:
                if body[1]:
                    self.failed = f"refused: 0x{body[1]:02x}"
                self._transport.write(packet(0x82, b"\0\1\0" + text("anxin/v1/+/+/down/#") + b"\0"))
            elif kind == 0x90:
                self.ready.set()
            elif kind & 0xF0 == 0x40 and len(body) > 2 and body[2] >= 0x80:
                self.failed = f"publish refused: 0x{body[2]:02x}"
            elif kind & 0xF0 == 0x30:
                self._take(body)

    def _take(self, body: bytes) -> None:
        length = struct.unpack_from(">H", body)[0]
        client, lane = body[2 : 2 + length].decode().split("/")[3::2]
        if not client.startswith("place-") or lane not in self._upto:
            return
        n = int(client.split("-")[1])
        said = json.loads(body[3 + length + body[2 + length] :])  # behind the properties, which are short
        if said["stream"] == self._streams[lane][n]:
            self.confirmed += max(0, said["upto"] - self._upto[lane][n])
            self._upto[lane][n] = max(said["upto"], self._upto[lane][n])


async def beside(place: Installation) -> dict[str, int]:
    """The other processes of the centre, as production has them: who escalates and delivers waits neither for ingest nor for coverage."""
    pids = {}
    for role in ("paging", "coverage"):
        line = [tool("anxin"), "serve", "--no-migrate", "--role", role]
        pids[role] = (await place.program(role, line, place.environment(CATALOGUE))).pid
    return pids


async def ingests(place: Installation, processes: int) -> dict[str, Program]:
    """The processes that take in, each with its share of the partitions."""
    made = {}
    for number in range(processes):
        mine = range(number, PARTITIONS, processes)
        made[f"ingest {number}"] = await place.hub(CATALOGUE, "ingest", partitions=mine, within=180)
    return made


async def end(programs: Mapping[str, Program]) -> None:
    for program in programs.values():
        await program.stop()


class Cost:
    """Processor time of the installation's processes between two looks, as shares of a core."""

    def __init__(self, programs: Mapping[str, int]) -> None:
        self._programs = programs
        self._began = time.perf_counter()
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        own = {name: cpu_seconds(pid) for name, pid in self._programs.items()}
        return own | {
            "database": children_seconds("postgres"),
            "broker": children_seconds("mosquitto"),
            "sender": time.process_time(),
        }

    def text(self) -> str:
        took, now = time.perf_counter() - self._began, self._now()
        return ", ".join(f"{name} {(now[name] - self._before[name]) / took:.2f}" for name in now)


class Phase:
    """One round of presses beside the province, with what was offered, confirmed and used meanwhile."""

    def __init__(self, province: Province, programs: Mapping[str, int]) -> None:
        self._province, self._cost = province, Cost(programs)
        self._sent, self._confirmed, self._began = province.sent, province.confirmed, time.perf_counter()

    def offered(self) -> float:
        return (self._province.sent - self._sent) / (time.perf_counter() - self._began)

    def confirmed(self) -> float:
        return (self._province.confirmed - self._confirmed) / (time.perf_counter() - self._began)

    def text(self) -> str:
        return f"{self.confirmed():,.0f} of {self.offered():,.0f} messages/s confirmed; cores: {self._cost.text()}"


async def wait_until(found: Callable[[], bool], within: float, times: int = 1) -> bool:
    """Look every two seconds until it is so `times` in a row; False after `within`."""
    until, seen = time.monotonic() + within, 0
    while time.monotonic() < until:
        await asyncio.sleep(2.0)
        seen = seen + 1 if found() else 0
        if seen == times:
            return True
    return False


async def come_to_life(place: Installation, province: Province, devices: int, within: float) -> bool:
    """Until every device is online; False after `within`."""

    def lives() -> bool:
        return place.key("select count(*) from device_state where link_state = 'online'") >= devices

    return await wait_until(lives, within)


async def answer_all(place: Installation) -> None:
    """Everything is acknowledged and reset, as people do it, so that each button raises an alarm of its own again."""
    async with await connect_pool(place.engine.database_url, "bench", autocommit=True) as conn:
        rows = await (
            await conn.execute("select id from alarm where ended_at is null and signal_class = 'panic'", {})
        ).fetchall()
        for (alarm,) in rows:
            for event in (AlarmEvent.ACKNOWLEDGE, AlarmEvent.RESET):
                async with conn.transaction():
                    await alarms.act(conn, alarm, event, "bench", "", time.time_ns() // 1000)
    await asyncio.sleep(3)  # until every lane has seen it


async def is_steady(province: Province, within: float) -> bool:
    """Until what is offered is confirmed within half a second, for ten seconds; False after `within`."""
    return await wait_until(lambda: province.sent - province.confirmed < province.rate / 2, within, 5)


_UNJUDGED = """
select count(*) from coverage_check c join institution i on i.id = c.subject
where c.checked_at < (select max(s.link_since) from device d join device_state s on s.device = d.key where d.institution = i.key)
"""


async def is_judged(place: Installation, within: float) -> bool:
    """Until coverage has judged every institution after the last of its devices came online; False after `within`."""
    until = time.monotonic() + within
    while place.key(_UNJUDGED) > 0:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(10)
    return True


class Run:
    """What stands while the rounds go on, and how buttons are pressed."""

    def __init__(
        self,
        place: Installation,
        province: Province,
        programs: Mapping[str, int],
        press: Callable[[int], Awaitable[list[float]]],
    ) -> None:
        self.place, self.province, self._programs, self._press = place, province, programs, press

    async def presses(self, count: int, what: str) -> tuple[bool, float]:
        """`count` presses beside what is offered now: whether the goal holds, and the rate that was confirmed."""
        phase = Phase(self.province, self._programs)
        times = await self._press(count)
        say(f"{what}, {phase.offered():,.0f} messages/s", times)
        print(f"  {phase.text()}", flush=True)
        return percentile(times, 0.99) < P99 and percentile(times, 0.5) < P50, phase.confirmed()

    async def holds_at(self, rate: int, count: int, what: str, within: float) -> bool:
        """Whether this rate becomes steady, is confirmed, and presses beside it meet the goal."""
        self.province.rate = rate
        steady = await is_steady(self.province, within)
        if not steady:
            print(f"  {rate:,}/s: NOT steady after {within:g} s", flush=True)
        fast, taken = await self.presses(count, what if steady else f"{what}, NOT steady")
        return steady and fast and taken > 0.95 * rate


async def highest(run: Run, below: int, count: int, devices: int, within: float) -> int | None:
    """The highest rate, within a tenth of `below`, at which the goal holds; None where it does at no rate."""
    step, found = max(1, below // 10), 0
    # in steps: `low` is known or taken to hold (fewer beats would make edges offline), `high` is the highest that is not known to fail
    low, high = -(-2 * (devices // EACH) // (SELDOM * step)) - 1, 9
    while low < high:
        middle = (low + high + 1) // 2
        rate = step * middle
        if await run.holds_at(rate, count, f"{devices:,} devices", within):
            low = found = middle
        else:
            high = middle - 1
    return step * found if found else None


async def measure(count: int, devices: int, rate: int, within: float, processes: int) -> bool:
    """All rounds, printed; whether the goal is reached."""
    panel, receiver = Panel(), Receiver()
    device = await asyncio.start_server(panel.serve, "127.0.0.1", 0)
    sink = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, limit=1 << 20)
    buttons = [f"button-0-{n}" for n in range(max(20, count))]

    async def press(some: int) -> list[float]:
        await answer_all(place)
        receiver.seen.clear()
        return await press_all(panel, receiver, buttons[:some], 120)

    async with device, sink, installation() as place:
        password = seed(place, buttons, sink.sockets[0].getsockname()[1])
        hubs = await ingests(place, processes)
        programs = await beside(place)
        await lamp_edge(place, button_devices(buttons), device.sockets[0].getsockname()[1], password)
        await eventually(lambda: panel.edge is not None, 60, 0.05)
        await press(20)
        say("few devices, idle", await press(count))
        await end(hubs)
        register(place, devices)
        began = time.perf_counter()
        hubs = await ingests(place, processes)
        started = time.perf_counter() - began
        edges = devices // EACH
        await wait_until(
            lambda: place.key("select count(*) from edge_configuration where version > 0") >= edges, within
        )
        made = time.perf_counter() - began - started
        print(f"  all partitions after {started:.0f} s, {edges:,} configurations in {made:.0f} s", flush=True)
        await end(hubs)
        connect(place)
        hubs = await ingests(place, processes)
        programs = {name: hub.pid for name, hub in hubs.items()} | programs
        province = Province(place.engine.mqtt_url, devices // EACH, rate)
        run = Run(place, province, programs, press)
        async with province.talking():
            began = time.perf_counter()
            await run.presses(count // 4, f"{devices:,} devices, all come to life")
            alive = await come_to_life(place, province, devices, within)
            life = time.perf_counter() - began
            print(f"  {'all' if alive else 'NOT all'} online after {life:.0f} s", flush=True)
            await run.holds_at(rate, count, f"{devices:,} devices, coverage judges all anew", within)
            judged = await is_judged(place, max(within, JUDGING))
            print(f"  coverage {'has judged all' if judged else 'STILL judges'}", flush=True)
            reached = await run.holds_at(rate, count, f"{devices:,} devices", within)
            online = place.key("select count(*) from device_state where link_state = 'online'")
            print(f"  {online:,} online; goal at {rate:,} messages/s: {'reached' if reached else 'MISSED'}", flush=True)
            if not reached:
                most = await highest(run, rate, count // 2, devices, within)
                print(
                    f"  highest rate at which the goal holds: {'none' if most is None else f'{most:,} messages/s'}",
                    flush=True,
                )
        if panel.edge is not None:
            panel.edge.close()
    return alive and reached


def say(what: str, times: list[float]) -> None:
    p50, p90, p99 = (percentile(times, share) for share in (0.5, 0.9, 0.99))
    print(f"| {what} | {len(times)} | {p50:.0f} | {p90:.0f} | {p99:.0f} | {max(times):.0f} |", flush=True)


def main() -> int:
    """The command; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench alarms", description=__doc__.splitlines()[0])
    parser.add_argument("--presses", type=int, default=300)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument(
        "--ingest", type=int, default=INGEST, help="processes that take in, each with its share of the partitions"
    )
    parser.add_argument(
        "--within", type=float, default=120.0, help="seconds for each: configurations, coming to life, becoming steady"
    )
    asked = parser.parse_args()
    print(
        facts()
        + "\n\n| from the device to the webhook | presses | p50 ms | p90 ms | p99 ms | max ms |\n|---|---|---|---|---|---|"
    )
    return 0 if asyncio.run(measure(asked.presses, asked.devices, asked.rate, asked.within, asked.ingest)) else 1


if __name__ == "__main__":
    sys.exit(main())
