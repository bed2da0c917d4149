"""A chain that crosses 08:00 while whoever drives it is killed again and again: every step in its time, once, to the shift that is on duty then.

`python -m tests.faults.shift_change --minutes 10` restarts every 60 s; the test of the suite is the same in seconds.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple

from hub.core.escalation import Policy, Step
from hub.core.rota import Calendar, Rota, Shift, on_duty
from hub.engine import Running, ensure
from hub.model import SECOND, Priority, SignalClass, to_micros
from hub.store.duty import put_rota
from hub.store.migrate import upgrade
from hub.store.policies import Channel, Responder, put_policy, put_responder
from hub.testing import eventually
from tests.faults.climb import Down
from tests.faults.family import Family
from tests.paging import World, receiver, webhook

POST = Rota(
    "post",
    (
        Shift("night", starts=20 * 60, ends=8 * 60, responders=("night",), since=date(2020, 1, 1)),
        Shift("day", starts=8 * 60, ends=20 * 60, responders=("day",), since=date(2020, 1, 1)),
    ),
)
EIGHT = 8 * 3600


class Page(NamedTuple):
    """One step as it went out: seconds after it was due (beyond those during which nobody could page), whom it told, who should be told."""

    step: int
    beyond: float
    told: str
    on_duty: str


class Crossing(NamedTuple):
    """What became of a chain."""

    pages: tuple[Page, ...]
    early: int
    doubled: int
    restarts: int

    @property
    def wrong(self) -> list[Page]:
        """Late by more than 5 s, or told to somebody else."""
        return [page for page in self.pages if page.beyond > 5 or page.told != page.on_duty]


class Processes(Family):
    """One pager that is kept alive."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self._url = url

    async def _start(self) -> None:
        self.pager = await self._child("pager", sys.executable, "-m", "tests.faults.pager", self._url, again=True)


async def seed(world: World, url: str, steps: int, every: float) -> None:
    """The post with its two shifts, and a policy of `steps` steps, one `every` seconds."""
    await world.own_clock()
    told = tuple(Step(n, rota="post", delay=int((n - 1) * every * SECOND)) for n in range(1, steps + 1))
    classes, priorities = frozenset({SignalClass.PANIC}), frozenset({Priority.CRITICAL})
    async with world.conn.transaction(), world.conn.cursor() as cur:
        for name in ("night", "day"):
            hook = Channel("hook", "webhook", webhook(url)["settings"])
            await put_responder(cur, Responder(name, name, name, (hook,)))
        await put_rota(cur, POST)
        await put_policy(cur, Policy("chain", classes, priorities, int((steps * every + 600) * SECOND), told))


async def cross(url: str, folder: Path, steps: int, every: float, restart_every: float) -> Crossing:
    """Set the database's clock so that 08:00 is in the middle of the chain, and let it climb."""
    async with World.open(url) as world, receiver() as hook:
        await seed(world, hook.url, steps, every)
        async with Processes(folder, url) as processes, asyncio.TaskGroup() as tasks:
            down = Down(url)
            watch = tasks.create_task(down.watch(), name="down")
            await eventually(lambda: down.spans, deadline=60)
            # nothing waits yet that a step of the clock would move
            [row] = await world.rows("select extract(epoch from hub_clock() + interval '8 h')::float8 as now")
            await world.set_clock((EIGHT - steps * every / 2 - row["now"]) % 86_400)
            begun = time.monotonic()
            alarm = await world.alarm()
            committed = time.monotonic()
            restarts = 0
            for moment in itertools.takewhile(
                lambda at: at < steps * every, itertools.count(restart_every / 2, restart_every)
            ):
                await asyncio.sleep(max(0.0, begun + moment - time.monotonic()))
                restarts += processes.pager.kill()
            await eventually(lambda: len({_step(request.body) for request in hook.requests}) == steps, deadline=60)
            watch.cancel()
        rows = await world.rows(
            "select step, responder, created_at from notification where alarm = %s order by step", alarm
        )
    pages = []
    for row in rows:
        due = committed + (row["step"] - 1) * every
        at = min(request.at for request in hook.requests if _step(request.body) == row["step"])
        [should] = on_duty(POST, to_micros(row["created_at"]), Calendar())
        pages.append(Page(row["step"], at - due - down.during(due, at), row["responder"], should))
    firsts = {_step(request.body): request.at for request in reversed(hook.requests)}
    early = sum(at < begun + (step - 1) * every - 0.1 for step, at in firsts.items())
    keys = {(_step(request.body), request.headers["webhook-id"]) for request in hook.requests}
    return Crossing(tuple(pages), early, len(keys) - steps, restarts)


def _step(body: bytes) -> int:
    return int(json.loads(body)["data"]["step"])


class Engine(Family):
    """PostgreSQL of its own, for the command line."""

    url: str

    async def _start(self) -> None:
        data, ready = self.folder / "engine", self.folder / "engine.ready"
        command = (sys.executable, "-m", "hub.engine", "run", "--throw-away", "--with-parent")
        child = await self._child("engine", *command, "--data", str(data), "--ready-file", str(ready))
        await eventually(lambda: ready.exists() or child.ends, deadline=120)
        self.url = Running(**json.loads(ready.read_text())).database_url
        await asyncio.to_thread(upgrade, self.url)


async def run(folder: Path, minutes: float) -> Crossing:
    """A chain of `minutes` with a step every 20 s and a restart every 60 s."""
    async with Engine(folder / "engine") as engine:
        return await cross(engine.url, folder / "pager", int(minutes * 3), 20.0, 60.0)


def main(minutes: float) -> int:
    """Prints one line, and what went wrong; 0 only if nothing did."""
    ensure()
    with tempfile.TemporaryDirectory(prefix="anxin-shift-", ignore_cleanup_errors=True) as folder:
        found = asyncio.run(run(Path(folder), minutes))
    told = {name: sum(page.told == name for page in found.pages) for name in ("night", "day")}
    worst = max(page.beyond for page in found.pages)
    print(
        f"{len(found.pages)} steps across 08:00 with {found.restarts} restarts: {told['night']} to the night, {told['day']} to the day, "
        f"early {found.early}, doubled {found.doubled}, wrong {len(found.wrong)}, worst {worst:.2f} s beyond the restart"
    )
    for page in found.wrong:
        print(f"  {page}")
    return 0 if not found.wrong and found.early == 0 and found.doubled == 0 else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    sys.exit(main(parser.parse_args().minutes))
