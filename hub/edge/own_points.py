"""What an edge says of itself as a device: its birth at each start, its beat in both lanes, and with the bulk one how it fares."""

import asyncio
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version

import structlog

from hub.bundle import Bundle
from hub.core.edge_estimates import RATE_LEAST, Rate, hold_seconds
from hub.driver import ENTRY_POINT_GROUP
from hub.edge.intake import Intake
from hub.edge.life import Birth
from hub.edge.site import Site
from hub.edge.spool import SpoolBroken, SpoolFailed
from hub.edge.uplink import Uplink
from hub.model import Lane, Micros, Sample, Scalar, Series
from hub.runtime.links import Held

log = structlog.get_logger()

LEAST = RATE_LEAST
"""seconds of measuring before the time that the spool can hold is told"""
ANSWER = 1.0
"""seconds that a disk has to say how much room it has"""


class OwnPoints:
    """The edge's own samples."""

    def __init__(self, site: Site, uplink: Uplink, intake: Intake, clock: Callable[[], Micros]) -> None:
        self._site = site
        self._uplink = uplink
        self._intake = intake
        self._clock = clock
        self._rate = Rate()

    async def announce(self, birth: Birth) -> None:
        """Once, at the start: what this edge is and how it ended before."""
        values: dict[str, Scalar] = {
            "version": _version(),
            "drivers": _drivers(self._site.bundle),
            "last_end": birth.last_end,
        }
        if birth.boots > 0:
            values["boots"] = birth.boots
        if birth.machine_boots > 0:
            values["machine_boots"] = birth.machine_boots
        log.info("edge.born", edge=self._site.bundle.edge, **values)
        await self._say(Lane.BULK, values)

    async def beat(self, lane: Lane) -> None:
        """Say it again and again, until cancelled.

        The beat's value is the edge's uptime in whole seconds: silence of a device from before is not judged after a restart.
        """
        loop = asyncio.get_running_loop()
        started = due = loop.time()
        while True:
            values: dict[str, Scalar] = {"beat": int(loop.time() - started)}
            if lane is Lane.BULK:
                values |= await self._how_it_fares(loop.time())
            await self._say(lane, values)
            due = max(due + self._site.bundle.beat / 1_000_000, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _how_it_fares(self, now: float) -> Mapping[str, Scalar]:
        intake = self._intake
        values: dict[str, Scalar] = {
            "spool_urgent": intake.depth(Lane.URGENT).messages,
            "spool_bulk": intake.depth(Lane.BULK).messages,
            "dropped": intake.depth(Lane.BULK).dropped + self._site.dropped,
            "disk": intake.failing,
            "held": intake.waiting_in_memory,
            "given_up": intake.given_up,
        }
        hold = await self._hold(now)
        if hold is not None:
            values["hold_seconds"] = hold
        skew = self._uplink.skew.best(now)
        if skew is not None:
            values["clock_skew"] = round(skew.ahead / 1e6, 3)
            values["clock_error"] = round(skew.error / 1e6, 3)
        return values

    async def _hold(self, now: float) -> int | None:
        """For how long the spool can hold; nothing while the disk takes nothing, which `disk` says."""
        shelf = self._intake.disk
        if shelf is None or self._intake.failing:
            self._rate = Rate()
            return None
        self._rate.note(now, shelf.spool.written[Lane.BULK])
        try:
            async with asyncio.timeout(ANSWER):
                budget, disk = await shelf.call(shelf.spool.left, Lane.BULK)
        except (SpoolFailed, SpoolBroken, TimeoutError):  # a disk that hangs must not keep the beat that says so
            return None
        return hold_seconds(budget, disk, self._rate.per_second(LEAST))

    async def _say(self, lane: Lane, values: Mapping[str, Scalar]) -> None:
        at, edge = self._clock(), self._site.bundle.edge
        try:
            await self._intake.put(
                lane, [Sample(Series(edge, point), at, value) for point, value in values.items()], hold=True
            )
        except Held:
            pass  # it goes up from memory
        except SpoolFailed as error:
            log.error("edge.beat_dropped", lane=lane, reason=str(error))


def _version() -> str:
    try:
        return version("anxin-hub")
    except PackageNotFoundError:
        return "unknown"


def _drivers(bundle: Bundle) -> str:
    """Names and versions of the drivers in use."""
    used = {endpoint.driver for endpoint in bundle.endpoints}
    found = [point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name in used]
    return ", ".join(sorted({f"{p.name} {p.dist.version if p.dist else ''}".strip() for p in found}))[:1000]
