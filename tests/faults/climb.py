"""Escalations that climb while whoever drives them is killed and the database's clock is set by an hour, against an oracle that knows neither.

`python -m tests.faults.climb --kills N --seed S`; `scripts/soak --climb` calls it. Alarms are raised one after another, each with five steps in
fourteen seconds; some are acknowledged on the way. Two processes page; they and PostgreSQL are killed at random, and `hub_clock()` is set forward and back.
The oracle reckons by the clock of this process, which nobody sets: when each step was due, and when its page reached the receiver.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from hub.core.escalation import Policy, Step
from hub.engine import Running, ensure, running
from hub.errors import EngineUnavailable
from hub.model import SECOND, Priority, SignalClass
from hub.store.escalation import begin
from hub.store.migrate import upgrade
from hub.testing import eventually
from tests.faults.family import Family
from tests.faults.strikes import Strikes
from tests.paging import Receiver, World, receiver, webhook

OFFSETS = (0.0, 2.0, 5.0, 9.0, 14.0)
EARLY = 0.5
"""how much sooner than due counts as early: a round trip during which the clock was set cannot be told more exactly"""
LATE = 5.0
UNDER_WAY = 1.0
"""how long after an acknowledge a page that was under way may still arrive"""
RECOVERY = 60.0
SHOWN = 100
"""failures that are printed one by one"""


def policy(offsets: Sequence[float]) -> Policy:
    """A step at each of these, in seconds."""
    return Policy(
        id="climb",
        signal_classes=frozenset({SignalClass.PANIC}),
        priorities=frozenset({Priority.CRITICAL}),
        round_every=int((offsets[-1] + 120) * SECOND),
        steps=tuple(Step(n, "duty", "hook", int(offset * SECOND)) for n, offset in enumerate(offsets, 1)),
    )


@dataclass
class Climber:
    """One alarm: when it was raised (begin and end of the attempt, which may have failed after its commit), and acknowledged."""

    id: UUID
    tried: float
    raised: float = 0.0
    acknowledging: float | None = None
    acknowledged: float | None = None
    in_vain: bool = False
    complete: bool = False
    """nobody acknowledged before its last step should have come"""


@dataclass
class Outcome:
    """What a run came to."""

    kills: int
    seed: int
    patience: float = 1.0
    """by how much what depends on the machine's speed may be longer than it says above"""
    begun: float = field(default_factory=time.monotonic)
    clock_steps: int = 0
    there_and_back: int = 0
    """how often the clock was set and set back while nobody paged"""
    noticed: int = 0
    alarms: int = 0
    pages: int = 0
    repeated: int = 0
    """under the key that they had before"""
    early: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    after_acknowledge: list[str] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    """beyond the time during which nobody could page"""

    @property
    def ok(self) -> bool:
        """Nothing that must not be."""
        return not self.failures()

    def failures(self) -> list[str]:
        """What must not be, in words."""
        kinds = {name: getattr(self, name) for name in ("early", "late", "skipped", "doubled", "after_acknowledge")}
        return [f"{name}: {line}" for name, lines in kinds.items() for line in lines]

    def __str__(self) -> str:
        late = sorted(self.lateness) or [0.0]
        return (
            f"{self.kills} kills, {self.clock_steps} clock steps of an hour and {self.there_and_back} there and back ({self.noticed} noticed), {self.alarms} alarms, {self.pages} pages, "
            f"{self.repeated} repeated under the same key, early {len(self.early)}, skipped {len(self.skipped)}, doubled {len(self.doubled)}, "
            f"late {len(self.late)}, after an acknowledge {len(self.after_acknowledge)}, lateness beyond downtime "
            f"p50 {late[len(late) // 2]:.2f} s p99 {late[len(late) * 99 // 100]:.2f} s max {late[-1]:.2f} s, seed {self.seed}"
        )


class Climb(Family):
    """PostgreSQL of its own, two pagers, a receiver."""

    hook: Receiver
    url: str

    def __init__(self, folder: Path, pager: str, offsets: Sequence[float]) -> None:
        super().__init__(folder)
        self._pager = pager
        self._offsets = offsets

    async def _start(self) -> None:
        self.hook = await self._open.enter_async_context(receiver())
        data, ready = self.folder / "engine", self.folder / "engine.ready"
        command = (sys.executable, "-m", "hub.engine", "run", "--throw-away", "--with-parent")
        child = await self._child("engine", *command, "--data", str(data), "--ready-file", str(ready))
        await eventually(lambda: ready.exists() or child.ends, deadline=120)
        self.url = Running(**json.loads(ready.read_text())).database_url
        await asyncio.to_thread(upgrade, self.url)
        async with World.open(self.url) as world:
            await world.own_clock()
            await world.policy(policy(self._offsets), {"duty/hook": webhook(self.hook.url)})
        self.pagers = [
            await self._child(name, sys.executable, "-m", self._pager, self.url, again=True)
            for name in ("pager-1", "pager-2")
        ]

    def kill_postgres(self) -> bool:
        """SIGKILL; False where it was down at that moment."""
        with contextlib.suppress(KeyError, ProcessLookupError, EngineUnavailable):
            running(self.folder / "engine").kill("postgres")
            return True
        return False


class Down:
    """When nobody could page: looked at ten times a second."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.spans: list[tuple[float, float]] = []
        self._since: float | None = time.monotonic()

    async def watch(self) -> None:
        while True:
            with contextlib.suppress(psycopg.Error):
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=2) as conn:
                    while True:
                        self._note(await _is_served(conn))
                        await asyncio.sleep(0.1)
            self._note(up=False)
            await asyncio.sleep(0.1)

    def _note(self, up: bool) -> None:
        now = time.monotonic()
        if up and self._since is not None:
            self.spans.append((self._since, now))
            self._since = None
        elif not up and self._since is None:
            self._since = now - 0.1

    def during(self, begin: float, end: float) -> float:
        """Seconds of that time during which nobody could page."""
        spans = [*self.spans, *([] if self._since is None else [(self._since, end)])]
        return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in spans)


async def _is_served(conn: psycopg.AsyncConnection[tuple[int]]) -> bool:
    found = await conn.execute(
        "select count(distinct application_name) from pg_stat_activity"
        " where datname = current_database() and application_name in ('anxin-escalator', 'anxin-deliverer')"
    )
    row = await found.fetchone()
    return row is not None and row[0] == 2


class Arrived:
    """Which steps of which alarms have reached the receiver; each request is read once."""

    def __init__(self, hook: Receiver) -> None:
        self._hook = hook
        self._read = 0
        self._steps: dict[str, set[int]] = {}

    def steps(self, alarm: UUID) -> int:
        """How many of its steps have come."""
        for request in self._hook.requests[self._read :]:
            data = json.loads(request.body)["data"]
            self._steps.setdefault(data["alarm"], set()).add(data["step"])
            self._read += 1
        return len(self._steps.get(str(alarm), ()))


class People:
    """Who presses and who acknowledges; the database may be down at any moment."""

    def __init__(
        self,
        url: str,
        chance: random.Random,
        arrived: Arrived,
        steps: int,
        middle: float,
        end: float,
        limit: float,
        pace: float,
        down: Down,
    ) -> None:
        self._down = down
        self._url = url
        self._arrived = arrived
        self._steps = steps
        self._limit = limit
        self._chance = chance
        self._middle = middle
        self._end = end
        self._pace = pace
        self.climbers: list[Climber] = []
        self.quiet = asyncio.Event()

    async def press(self) -> None:
        """One alarm after another, until `quiet`."""
        async with asyncio.TaskGroup() as answers:
            while not self.quiet.is_set():
                climber = Climber(uuid4(), time.monotonic())
                climber.in_vain = not await self._once(_raise, climber)
                climber.raised = time.monotonic()
                self.climbers.append(climber)
                # some in the middle of the climb, the others after its end
                early = self._chance.random() < 0.3
                wait = self._chance.uniform(0.5, min(self._middle, self._end)) if early else self._end
                limit = 0.0 if early else self._limit
                answers.create_task(self._answer(climber, wait, limit), name=f"answer-{climber.id}")
                await asyncio.sleep(self._pace * self._chance.uniform(0.1, 0.6))

    async def _answer(self, climber: Climber, wait: float, limit: float) -> None:
        """After `wait`, and then only when the whole climb has arrived, or after `limit` seconds during which somebody could page."""
        await asyncio.sleep(wait)
        since = time.monotonic()
        while not climber.in_vain and self._arrived.steps(climber.id) < self._steps:
            now = time.monotonic()
            if now - since - self._down.during(since, now) >= limit:
                break
            await asyncio.sleep(0.2)
        climber.complete = limit > 0
        climber.acknowledging = time.monotonic()
        while not await self._once(_acknowledge, climber):
            await asyncio.sleep(0.1)
        climber.acknowledged = time.monotonic()

    async def _once(self, act: object, climber: Climber) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=2) as conn:
                await act(World(conn, self._url), climber.id)  # type: ignore[operator]
        except psycopg.Error:
            return False
        return True


async def _raise(world: World, alarm: UUID) -> None:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await cur.execute(
            "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, received_at)"
            " select %s, key, institution, 'pressed', %s, 'panic', 'critical', 'unack_active', true, now(), now() from device",
            (alarm, str(alarm)),
        )
        await begin(cur, [alarm])


async def _acknowledge(world: World, alarm: UUID) -> None:
    """And reset it: nobody is to be asked about it for the rest of the run."""
    await world.acknowledge(alarm)
    await world.set_state(alarm, "normal")


def judge(
    outcome: Outcome,
    climbers: list[Climber],
    hook: Receiver,
    down: Down,
    stored: set[UUID],
    offsets: Sequence[float],
    strikes: Strikes,
) -> None:
    """Compare what reached the receiver with what was due, by the clock that nobody set."""
    first: dict[tuple[UUID, int], float] = {}
    keys: dict[tuple[UUID, int, int], str] = {}
    for request in hook.requests:
        data = json.loads(request.body)["data"]
        page = UUID(data["alarm"]), data["round"], data["step"]
        key = request.headers["webhook-id"]
        if page in keys and keys[page] != key:
            outcome.doubled.append(f"{page}: {keys[page]} and {key}")
        outcome.repeated += page in keys
        keys.setdefault(page, key)
        if page[1] == 1:
            first.setdefault((page[0], page[2]), request.at)
    outcome.pages = len(keys)
    for climber in climbers:
        if climber.id not in stored:
            if any(alarm == climber.id for alarm, _ in first):
                outcome.doubled.append(f"{climber.id}: paged and not stored")
            continue
        outcome.alarms += 1
        for step, offset in enumerate(offsets, 1):
            later = any((climber.id, other) in first for other in range(step + 1, len(offsets) + 1))
            # what was raised by a clock that nobody knows counts from when somebody pages again
            odd = strikes.was_odd(climber.tried, climber.raised)
            _judge_step(outcome, climber, step, offset, first.get((climber.id, step)), later, down, odd)


def _judge_step(
    outcome: Outcome, climber: Climber, step: int, offset: float, at: float | None, later: bool, down: Down, odd: bool
) -> None:
    name, due = (
        f"{climber.id} (raised {climber.tried - outcome.begun:.0f} s after the start) step {step}",
        climber.raised + offset,
    )
    if at is None:
        if climber.complete or later:
            outcome.skipped.append(name)
        return
    if at < climber.tried + offset - EARLY:
        outcome.early.append(f"{name}: {climber.tried + offset - at:.2f} s early")
    beyond = at - due - down.during(climber.tried if odd else due, at)
    outcome.lateness.append(max(0.0, beyond))
    if beyond > LATE * outcome.patience:
        outcome.late.append(f"{name}: {beyond:.1f} s late")
    if climber.acknowledged is not None and at > climber.acknowledged + UNDER_WAY * outcome.patience:
        outcome.after_acknowledge.append(f"{name}: {at - climber.acknowledged:.2f} s after the acknowledge")


async def run(
    folder: Path,
    kills: int,
    seed: int,
    clock_steps: int = 0,
    pager: str = "tests.faults.pager",
    offsets: Sequence[float] = OFFSETS,
    end: float = OFFSETS[-1] + 1,
    limit: float = 180.0,
    patience: float = 1.0,
    pace: float = 1.0,
) -> Outcome:
    """One run, `pace` times slower than a machine of one's own bears it: kill, then let what was raised come to its end, which is an acknowledge after `end` seconds."""
    outcome, chance = Outcome(kills, seed, patience), random.Random(seed)
    async with Climb(folder, pager, offsets) as climb:
        down = Down(climb.url)
        people = People(
            climb.url, random.Random(seed + 1), Arrived(climb.hook), len(offsets), offsets[-1], end, limit, pace, down
        )
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(down.watch(), name="down")
            press = tasks.create_task(people.press(), name="press")
            await eventually(lambda: len(climb.hook.requests) > 2, deadline=RECOVERY)
            strikes = Strikes(climb, chance, pace)
            await strikes.run(kills, clock_steps)
            outcome.clock_steps, outcome.there_and_back = strikes.steps, len(strikes.odd)
            people.quiet.set()
            await press
            await asyncio.sleep(1.5)
            watch.cancel()
        async with World.connect(climb.url) as world:
            stored = {row["id"] for row in await world.rows("select id from alarm")}
            outcome.noticed = (await world.rows("select count(*) as n from clock_step"))[0]["n"]
        judge(outcome, people.climbers, climb.hook, down, stored, offsets, strikes)
    return outcome


def main(kills: int, seed: int, keep: Path | None = None, pace: float = 1.0) -> int:
    """Prints one line with the load, and every failure; 0 only if there is none."""
    ensure()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="anxin-climb-", ignore_cleanup_errors=True) as temporary:
        outcome = asyncio.run(run(Path(temporary) if keep is None else keep, kills, seed, pace=pace))
    load = os.getloadavg()[2]
    print(f"{outcome}, pace {pace:g}, load of 15 min {load:.1f}, {time.monotonic() - started:.0f} s")
    for line in outcome.failures()[:SHOWN]:
        print(f"  {line}")
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--pace", type=float, default=1.0)
    options = parser.parse_args()
    sys.exit(main(options.kills, options.seed, options.keep, options.pace))
