"""Proofs at an edge: the hub orders, the edge injects a marked sample where it was told and says how it went. Nothing here is ever unmarked.

At the level `device` the device's own test is tripped first, and has answered and is over when the sample is injected (hub.edge.trials). At the
level `driver` the sample goes the way of the driver's own: through the link that stands, after the device has answered once more where it is
polled. At the level `edge` it goes into the spool. Both go through the local rules, which look past it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn
from uuid import UUID

import structlog

from hub.core.exercises import mark
from hub.core.proof_order import Order, read_order
from hub.edge.site import Site
from hub.edge.trials import Trials
from hub.edge.uplink import Uplink
from hub.errors import AnxinError, BadInput
from hub.model import Exercise, Lane, Micros, Sample, Scalar
from hub.runtime.links import Held, Sink

log = structlog.get_logger()

REMEMBERED = 1_000
"""orders whose ids are known: one that is said twice is done once"""
AT_ONCE = 8
MAX_REASON = 300


class Prover:
    """Takes the hub's orders; `run` never returns."""

    def __init__(
        self,
        edge: str,
        key: bytes,
        site: Site,
        trials: Trials,
        sink: Sink,
        uplink: Uplink,
        clock: Callable[[], Micros],
    ) -> None:
        self._edge = edge
        self._key = key
        self._site = site
        self._trials = trials
        self._sink = sink
        self._uplink = uplink
        self._clock = clock
        self._known: deque[UUID] = deque(maxlen=REMEMBERED)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> NoReturn:
        """Until cancelled. What an order does wrong is said, and ends nothing."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._uplink.ordered.wait()
                self._uplink.ordered.clear()
                while self._uplink.orders:
                    payload = self._uplink.orders.popleft()
                    try:
                        order = read_order(payload, self._edge, self._key)
                    except BadInput as error:
                        log.error("prover.order_refused", reason=str(error))
                        continue
                    if order.proof not in self._known:
                        self._known.append(order.proof)
                        await self._room.acquire()
                        tasks.create_task(self._take(order), name=f"proof-{order.proof}")

    async def _take(self, order: Order) -> None:
        try:
            await (self._read(order) if order.level == "read" else self._inject(order))
        except AnxinError as error:
            log.warning("prover.refused", proof=str(order.proof), device=order.series.device, reason=str(error))
            await self._say(order, "refused", None, str(error)[:MAX_REASON])
        except TimeoutError:
            await self._say(order, "refused", None, "the edge is too busy")
        finally:
            self._room.release()

    async def _read(self, order: Order) -> None:
        """A function test has begun: a device that is polled is read at once. One that speaks by itself says what it says."""
        try:
            self._check_age(order)
            runner = self._site.runner(order.series.device)
            if runner is not None and runner.polls:
                await runner.ask(order.series)
        except AnxinError as error:
            log.info("prover.not_read", device=order.series.device, point=order.series.point, reason=str(error))

    def _check_age(self, order: Order) -> None:
        skew = self._uplink.skew.best(asyncio.get_running_loop().time())
        if self._clock() - (0 if skew is None else skew.ahead) > order.until:
            raise BadInput("the order is too old")

    async def _inject(self, order: Order) -> None:
        self._check_age(order)
        runner = self._site.runner(order.series.device)
        device = order.series.device
        known = [one for endpoint in self._site.bundle.endpoints for one in endpoint.devices if one.id == device]
        if runner is None or not any(point.point == order.series.point for one in known for point in one.points):
            raise BadInput("this edge does not read that point")
        tested = None if order.trial is None else await self._trials.conduct(device, order.trial)
        sample = Sample(order.series, self._clock(), order.value, mark=mark(Exercise.PROOF, order.proof))
        log.info("prover.injected", proof=str(order.proof), device=device, level=order.level)
        if order.level in ("device", "driver"):

            async def settled() -> None:
                await self._say(order, "spooled")

            answered = await runner.prove(sample, settled)
            answered = answered if tested is None else tested
            if answered is not None:
                await self._say(order, "device", answered)
            return
        with suppress(Held):  # a disk that takes nothing: it goes up from memory, and is never spooled
            await self._sink.put(Lane.URGENT, [sample])
            await self._say(order, "spooled")

    async def _say(self, order: Order, hop: str, at: Micros | None = None, error: str | None = None) -> None:
        """A hop of the proof, by this edge's clock; through the spool like everything."""
        value: Scalar | None = None if error is not None else order.value
        said = mark(Exercise.PROOF, order.proof, hop)
        sample = Sample(order.series, self._clock() if at is None else at, value, error, mark=said)
        try:
            await self._sink.put(Lane.URGENT, [sample])
        except Held:
            pass
        except AnxinError as failed:
            log.warning("prover.not_told", proof=str(order.proof), hop=hop, reason=str(failed))
