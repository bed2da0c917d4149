"""The loop that finds out why things are not seen. One watcher in the whole hub leads, by an advisory lock: silences of all partitions are
compared in one place. It looks again when something fell silent or came back, each second while an area fails, and every half minute anyhow.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from hub.core.blindness import SETTLE, Heard
from hub.core.blindness_plan import plan
from hub.errors import ODD, Conflict, LinkDown, NotFound
from hub.model import SECOND
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.runtime.shared import Clock, wall_clock
from hub.store.blindness_watch import Watch, open_watch

LOOK = 1.0
"""seconds between two looks at whether anything moved"""
ANYHOW = 30.0
"""seconds after which everything is looked at anyhow"""
ANSWER = 60.0
"""seconds after which a database that does not answer is given up and asked anew; a storm's alarms are moved within some of them"""
STAND_BY = 2.0
"""seconds after which a watcher that does not lead asks again"""

T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass
class Counters:
    """What /metrics shows."""

    leading: bool = False
    silent: int = 0
    """clients that are silent now"""
    areas: int = 0
    """areas that fail now"""
    lines: int = 0
    parts: int = 0
    """switches and power feeds that failed"""
    suppressed: int = 0
    released: int = 0
    amended: int = 0


class BlindnessWatch:
    """Weighs silences for the whole hub. Its owner runs `run()` as a task; a second one stands by."""

    def __init__(self, database_url: str, profiles: Mapping[str, Profile], *, clock: Clock = wall_clock) -> None:
        self.counters = Counters()
        self._url = database_url
        self._profiles = profiles
        self._clock = clock

    async def run(self) -> NoReturn:
        """Until cancelled; a lost database is waited for."""
        await keep("blindness", self._session)

    async def _session(self, connected: Callable[[], None]) -> None:
        self.counters.leading = False
        async with open_watch(self._url, self._profiles) as watch:
            connected()
            while not await self._answered(watch, watch.lead()):
                await asyncio.sleep(STAND_BY)
            self.counters.leading = True
            try:
                await self._lead(watch)
            finally:
                self.counters.leading = False

    async def _lead(self, watch: Watch) -> NoReturn:
        loop = asyncio.get_running_loop()
        before: object = None
        next_look = next_forget = loop.time()
        failed = False
        while True:
            stirred = await self._answered(watch, watch.stirred())
            if stirred != before or loop.time() >= next_look:
                try:
                    busy = await self._answered(watch, self.look(watch))
                    failed = False
                except (Conflict, NotFound, *ODD) as error:
                    # somebody moved one of the alarms, or something is odd: it is looked at again, and paging goes on without it
                    (_log.debug if failed else _log.warning)("blindness.look_failed", reason=repr(error)[:300])
                    busy = failed = True
                before = None if busy else stirred
                next_look = loop.time() + ANYHOW
            if loop.time() >= next_forget:
                await self._answered(watch, watch.forget(self._clock()))
                next_forget = loop.time() + 3600
            await asyncio.sleep(LOOK)

    async def _answered(self, watch: Watch, asked: Coroutine[Any, Any, T]) -> T:
        """What was asked of the database, or LinkDown: while one that is frozen is waited for, nobody would release what is hidden."""
        task = asyncio.ensure_future(asked)
        try:
            done, _ = await asyncio.wait({task}, timeout=ANSWER)
            if not done:
                watch.cut()
                raise LinkDown(f"database: no answer within {ANSWER:g} s")
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=5.0)

    async def look(self, watch: Watch) -> bool:
        """One look at everything, and what follows from it; whether the next one cannot wait."""
        now = self._clock()
        self.counters.released += await watch.roots.release(now)  # first: what a killed or failed look left
        look = await watch.look(now)
        found = plan(look)
        written = await watch.keep(found, now)
        parts = await watch.parts.weigh(now)
        lines = await watch.lines.weigh(now, parts.devices)
        self.counters.released += await watch.roots.release(now)
        hidden = await watch.roots.suppress(now)
        self.counters.suppressed += hidden
        self.counters.amended += await watch.returns.weigh(now)
        silent = [one for one in look.clients.values() if one.state is Heard.SILENT]
        areas = len(look.areas) - len(found.ended) + len(found.begun)
        self.counters.silent, self.counters.areas = len(silent), areas
        self.counters.lines, self.counters.parts = lines.standing, parts.standing
        settling = any(now - one.seen < SETTLE + SECOND for one in silent)
        return bool(written or areas or lines.unsettled or parts.unsettled or hidden or settling)


class BlindnessMetrics:
    """What the watcher of this process sees."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client at each scrape."""
        of = self._counters
        for name, text in (
            ("leading", "1 while this process weighs silences for the whole hub"),
            ("silent", "edges, and devices that speak for themselves, that are silent"),
            ("areas", "carriers, districts and the like that fail"),
            ("lines", "lines all of whose devices fell silent together"),
            ("parts", "declared switches and power feeds all of whose devices behind an edge fell silent together"),
        ):
            gauge = GaugeMetricFamily(f"anxin_blindness_{name}", text)
            gauge.add_metric([], float(getattr(of, name)))
            yield gauge
        for name, text in (
            ("suppressed", "alarms that a root explains, since the start"),
            ("released", "alarms paged after all because their root was over, since the start"),
            ("amended", "causes that were known better once the silence was over, since the start"),
        ):
            counter = CounterMetricFamily(f"anxin_blindness_{name}", text)
            counter.add_metric([], float(getattr(of, name)))
            yield counter
