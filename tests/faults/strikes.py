"""What befalls those who page: they and their database are killed, and the clock is set forward, back, or there and back, as a seed says."""

import asyncio
import random
import time
from typing import Protocol

import psycopg

from hub.testing import eventually
from tests.faults.family import Child
from tests.paging import Receiver, World

RECOVERY = 60.0
HOUR = 3600


class Struck(Protocol):
    """Whom it befalls."""

    url: str
    hook: Receiver
    pagers: list[Child]

    def kill_postgres(self) -> bool:
        """SIGKILL; False where it was down at that moment."""


class Strikes:
    """One run of them."""

    def __init__(self, struck: Struck, chance: random.Random, pace: float = 1.0) -> None:
        self._pace = pace
        self._struck = struck
        self._chance = chance
        self._ahead = 0
        self.kills = 0
        self.steps = 0
        self.odd: list[tuple[float, float]] = []
        """when the clock was set while nobody paged, until it was set back"""

    def was_odd(self, begin: float, end: float) -> bool:
        """Whether any of that time lies where the clock was set there and back."""
        return any(begin <= until and since <= end for since, until in self.odd)

    async def run(self, kills: int, clock_steps: int) -> None:
        """Kill and set the clock at least so often."""
        chance = self._chance
        while self.kills < kills or self.steps < clock_steps:
            before = len(self._struck.hook.requests)
            if chance.random() < 0.5:
                await eventually(lambda count=before: len(self._struck.hook.requests) > count, deadline=RECOVERY)  # type: ignore[misc]
            await asyncio.sleep(self._pace * chance.uniform(0.0, 1.0))
            what = chance.random()
            if self.kills < kills and what < 0.2:
                await eventually(self._struck.kill_postgres, deadline=RECOVERY)
                self.kills += 1
            elif self.kills < kills:
                await self._kill_pagers(2 if what < 0.5 and self.kills + 2 <= kills else 1)
            if self.kills + 2 <= kills and chance.random() < 0.1:
                await self._there_and_back()
            elif chance.random() < 0.15 or self._is_behind(kills, clock_steps):
                # the first is forward: who believes the clock is early then
                ways = [way for way in (-1, 1) if abs(self._ahead + way) <= 3] if self.steps else [1]
                await self._set(chance.choice(ways))
                self.steps += 1

    def _is_behind(self, kills: int, clock_steps: int) -> bool:
        return self.steps < clock_steps and self.kills >= kills * (self.steps + 1) / (clock_steps + 1)

    async def _kill_pagers(self, count: int) -> None:
        for pager in self._chance.sample(self._struck.pagers, count):
            await eventually(pager.kill, deadline=RECOVERY)
            self.kills += 1

    async def _there_and_back(self) -> None:
        """While they start again, which takes longer."""
        await self._kill_pagers(len(self._struck.pagers))
        since, way = time.monotonic(), self._chance.choice((-1, 1))
        await self._set(way)
        await asyncio.sleep(self._chance.uniform(0.1, 0.8))
        await self._set(-way)
        self.odd.append((since, time.monotonic()))

    async def _set(self, hours: int) -> None:
        await eventually(lambda: set_clock(self._struck.url, HOUR * hours), deadline=RECOVERY, every=0.05)
        self._ahead += hours


async def set_clock(url: str, seconds: int) -> bool:
    """False where the database is down at that moment."""
    try:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=2) as conn:
            await World(conn, url).set_clock(seconds)
    except psycopg.Error:
        return False
    return True
