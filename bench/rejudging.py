"""How soon a change is judged again in a province: from its commit to the committed judgement of its institution. `scripts/bench rejudging`.

5,000 institutions with 280,000 devices stand in a database with `fsync`; `anxin serve --role coverage` runs as in production. It is measured how long
everything takes at first and again after a restart, then single changes, then storms of 500 changes a second, half of which take a device offline:
over a tenth of the institutions (each changes every second) and over all. A change is a device's state and its row of the feed in one transaction; it
is judged once its institution was judged at a later time than its commit, seen by looking every 20 ms. In the end every open verdict is compared with
one that is judged from the same database afresh.
"""

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from bench.installation import Installation, installation
from bench.machine import children_seconds, cpu_seconds, facts, percentile
from hub.config import data_folder
from hub.core.coverage.attestations import AttestationKind
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.snapshot import snapshot
from hub.core.coverage.statements import essence
from hub.demo.programs import Program, tool
from hub.profiles import load_profiles
from hub.rulepacks import load_rule_packs
from hub.store.coverage_facts import Facts
from hub.store.pool import connect
from hub.testing import eventually

SEED = Path(__file__).with_name("rejudging.sql")
LOOK = 0.02
LONGEST = 240.0
"""seconds for which the judgements of a phase are waited for"""
PROFILES = data_folder("device-profiles")


class Made(NamedTuple):
    """A change that was committed."""

    subject: str
    at: float
    online: bool


class Looker:
    """Sees judgements as they are committed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._judged: dict[str, float] = {}
        self.waiting: dict[str, list[Made]] = {}
        self.took: dict[bool, list[float]] = {True: [], False: []}
        self.doubted = 0

    def made(self, one: Made) -> None:
        self.waiting.setdefault(one.subject, []).append(one)

    async def look(self) -> None:
        """Until cancelled."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as conn:
            since = datetime.fromtimestamp(0).astimezone()
            while True:
                rows = await (
                    await conn.execute(
                        "select subject, checked_at, waits_since from coverage_check where checked_at > %s or waits_since is not null",
                        [since],
                    )
                ).fetchall()
                seen = time.time()
                self.doubted = max(self.doubted, sum(row[2] is not None for row in rows))
                for subject, checked_at, _ in rows:
                    since = max(since, checked_at)
                    self._judge(subject, checked_at.timestamp(), seen)
                await asyncio.sleep(LOOK)

    def _judge(self, subject: str, checked_at: float, seen: float) -> None:
        for one in self.waiting.pop(subject, []):
            if one.at <= checked_at:
                self.took[one.online].append(seen - one.at)
            else:
                self.waiting.setdefault(subject, []).append(one)


class Changes:
    """Changes devices of some institutions, one transaction each."""

    def __init__(self, url: str, looker: Looker, places: Sequence[int], seed: int) -> None:
        self._url, self._looker = url, looker
        self._places, self._dice = places, random.Random(seed)
        self._offline: list[tuple[int, int]] = []

    async def storm(self, rate: float, seconds: float) -> float:
        """`rate` a second; the rate that came of it."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as conn:
            began, count = time.monotonic(), 0
            while (passed := time.monotonic() - began) < seconds:
                while count < passed * rate:
                    await self._change(conn)
                    count += 1
                await asyncio.sleep(0.002)
            return count / (time.monotonic() - began)

    async def _change(self, conn: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        online = bool(self._offline) and self._dice.random() < 0.5
        place, n = self._offline.pop(0) if online else (self._dice.choice(self._places), self._dice.randrange(1, 57))
        if not online:
            self._offline.append((place, n))
        state = "online" if online else "offline"
        payload = {
            "device": f"place-{place}-{n}",
            "link_state": state,
            "link_cause": "",
            "function_state": "ok",
            "function_reason": "",
        }
        await conn.execute(
            "with moved as (update device_state s set link_state = %s, link_since = now() from device d where d.key = s.device and d.id = %s"
            " returning d.institution) insert into change (kind, institution, payload) select 'device_state', institution, %s from moved",
            [state, f"place-{place}-{n}", Jsonb(payload)],
        )
        self._looker.made(Made(f"place-{place}", time.time(), online))


class Cost:
    """Processor time of the coverage process and of the database."""

    def __init__(self, pid: int) -> None:
        self._pid, self._began = pid, time.monotonic()
        self._before = cpu_seconds(pid), children_seconds("postgres")

    def text(self) -> str:
        took = time.monotonic() - self._began
        own, database = cpu_seconds(self._pid) - self._before[0], children_seconds("postgres") - self._before[1]
        return f"coverage {own / took:.2f}, database {database / took:.2f} of a core over {took:.0f} s"


def seed(place: Installation, institutions: int) -> None:
    """The province, and somebody who listens to all of its partitions."""
    place.conn.execute(f"set bench.institutions = {institutions}".encode())
    kinds = "{" + ",".join(kind.value for kind in AttestationKind if kind is not AttestationKind.PATROL) + "}"
    place.conn.execute("select set_config('bench.kinds', %s, false)", [kinds])
    place.conn.execute(SEED.read_bytes())
    place.conn.execute(
        "insert into lane_watch (partition, lane, listened_at, heard_at)"
        " select n, lane, now(), now() + interval '50 min' from generate_series(0, 7) n, unnest(array['urgent', 'bulk']) lane"
    )


async def serve(place: Installation, institutions: int, within: float) -> tuple[Program, float]:
    """`anxin serve --role coverage`, once it has judged everything; and how many seconds after its first judgement that was."""
    since = datetime.now().astimezone()
    line = [tool("anxin"), "serve", "--no-migrate", "--role", "coverage"]
    made = await place.program("coverage", line, place.environment([PROFILES]))

    def judged() -> int:
        return place.key("select count(*) from coverage_check where checked_at > %s", since)

    await eventually(lambda: made.ended or judged() > 0, 60, 0.1)
    began = time.monotonic()
    await eventually(lambda: made.ended or judged() >= institutions, within, 0.25)
    if made.ended:
        raise RuntimeError(made.last_words())
    return made, time.monotonic() - began


def say(what: str, looker: Looker) -> None:
    """A line of the table for each kind of change."""
    for online, times in sorted(looker.took.items()):
        if times:
            kind = "online" if online else "offline"
            late = sum(one > 5 for one in times)
            figures = " | ".join(f"{percentile(times, share):.2f}" for share in (0.5, 0.99, 1.0))
            print(f"| {what}, {kind} | {len(times)} | {figures} | {late} |", flush=True)
    if looker.doubted:
        print(f"  at most {looker.doubted} institutions were not vouched for at a time")


async def phase(place: Installation, what: str, places: Sequence[int], rate: float, seconds: float, pid: int) -> None:
    """Changes for some time, and until all are judged."""
    looker, cost = Looker(place.engine.database_url), Cost(pid)
    looking = asyncio.create_task(looker.look())
    try:
        made = await Changes(place.engine.database_url, looker, places, len(places)).storm(rate, seconds)
        began = time.monotonic()
        used = cost.text()
        with contextlib.suppress(AssertionError):
            await eventually(lambda: looking.done() or not looker.waiting, LONGEST, 0.05)
        left = sum(map(len, looker.waiting.values()))
    finally:
        looking.cancel()
        await asyncio.wait([looking])
    say(f"{what}, {made:.0f} changes/s for {seconds:.0f} s", looker)
    judged = (
        f"NOT judged after {LONGEST:.0f} s: {left} changes"
        if left
        else f"all judged {time.monotonic() - began:.1f} s after the last"
    )
    print(f"  {used}; {judged}", flush=True)


async def compare(place: Installation) -> tuple[int, int]:
    """Institutions whose open findings are not what their facts say now, and how many were looked at."""
    rules, profiles = Rulebook(load_rule_packs([data_folder("rule-packs")])), load_profiles([PROFILES])
    wrong = many = 0
    async with await connect(place.engine.database_url, "bench", autocommit=True) as conn:
        reader = Facts(conn, profiles)
        rows = await (
            await conn.execute("select id::text from institution where id like 'place-%%' order by key", {})
        ).fetchall()
        for first in range(0, len(rows), 250):
            named = [row[0] for row in rows[first : first + 10]]
            at = time.time_ns() // 1000
            for one in await reader.of(named):
                said = {found.rule.id: essence(found) for found in rules.findings(rules.current, snapshot(one), at)}
                held = await (
                    await conn.execute(
                        "select rule, essence from finding where subject = %s and known_to is null and true_to is null",
                        [one.subject],
                    )
                ).fetchall()
                wrong += dict(held) != said
                many += 1
    return wrong, many


async def run(asked: argparse.Namespace) -> None:
    """Everything, against an engine of its own."""
    print(facts())
    async with installation() as place:
        began = time.monotonic()
        await asyncio.to_thread(seed, place, asked.institutions)
        print(
            f"{asked.institutions:,} institutions, {asked.institutions * 56:,} devices, seeded in {time.monotonic() - began:.0f} s"
        )
        many = asked.institutions
        whole = children_seconds("postgres")
        made, took = await serve(place, many, asked.within)
        own, database = cpu_seconds(made.pid), children_seconds("postgres") - whole
        print(
            f"first round: {took:.1f} s; coverage {1000 * own / many:.2f}, database {1000 * database / many:.2f} ms of processor an institution",
            flush=True,
        )
        await made.stop()
        made, took = await serve(place, many, asked.within)
        print(
            f"round after a restart, nothing changed: {took:.1f} s; coverage {1000 * cpu_seconds(made.pid) / many:.2f} ms an institution",
            flush=True,
        )
        await asyncio.sleep(5)
        everybody = range(1, many + 1)
        print(
            "| from the change's commit to the committed judgement | changes | p50 s | p99 s | max s | above 5 s |\n|---|---|---|---|---|---|"
        )
        await phase(place, "single", everybody, 2, asked.seconds, made.pid)
        await phase(place, "50 a second", everybody, 50, asked.seconds, made.pid)
        await phase(
            place,
            f"a storm over {many // 10} institutions",
            everybody[: many // 10],
            asked.rate,
            asked.seconds,
            made.pid,
        )
        await phase(place, "a storm over all", everybody, asked.rate, asked.seconds, made.pid)
        wrong, looked = await compare(place)
        print(f"{wrong} of {looked} institutions say something else than their facts do")


def main() -> None:
    """Seed, measure, print."""
    parser = argparse.ArgumentParser(prog="scripts/bench rejudging", description=__doc__)
    parser.add_argument("--institutions", type=int, default=5_000)
    parser.add_argument("--rate", type=int, default=500, help="changes a second in a storm")
    parser.add_argument("--seconds", type=float, default=30, help="how long each phase lasts")
    parser.add_argument("--within", type=float, default=300, help="seconds for a first round")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
