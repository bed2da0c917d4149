"""The way into the spool: many drivers' deliveries become few messages and fewer synced commits, and nobody blocks the loop.

Each lane gathers for itself. Urgent goes at once: while one commit is being synced the next group gathers by itself. Bulk waits a moment
for company, so that one message carries what several links read. What waits in memory is bounded; who comes when it is full waits.
Also the one place from which the spool is called: in one thread, one call at a time.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import NamedTuple, ParamSpec, TypeVar

from hub.core.batching import pack
from hub.core.wire import MAX_SAMPLES
from hub.crash import point
from hub.edge.spool import Depth, Message, Spool, SpoolFailed
from hub.model import Lane, Reject, Sample

P = ParamSpec("P")
T = TypeVar("T")

GATHER: Mapping[Lane, float] = MappingProxyType({Lane.URGENT: 0.0, Lane.BULK: 0.25})
"""Seconds that the first of a group waits for others."""

WAITING = 20 * MAX_SAMPLES
"""Samples and rejects of a lane that may wait in memory."""


SLICE = 2 * MAX_SAMPLES
"""Samples and rejects that one call into the thread writes, so that no lane waits for more than this of the other"""


class _Waiting(NamedTuple):
    samples: Sequence[Sample]
    rejects: Sequence[Reject]
    done: asyncio.Future[None]

    @property
    def size(self) -> int:
        return len(self.samples) + len(self.rejects)


class Intake:
    """The spool as the loop sees it. `run(lane)` must be running for `put` to return."""

    def __init__(self, spool: Spool, gather: Mapping[Lane, float] = GATHER, waiting: int = WAITING) -> None:
        self._spool = spool
        self._gather = gather
        self._limit = waiting
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._queues: dict[Lane, deque[_Waiting]] = {lane: deque() for lane in Lane}
        self._sizes = dict.fromkeys(Lane, 0)
        self._changed = {lane: asyncio.Condition() for lane in Lane}
        self._closing = False
        self.appended = {lane: asyncio.Event() for lane in Lane}
        """set whenever a message was written; who waits clears it"""

    async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
        """Returns when all of it is on the disk, synced; raises SpoolFailed when it is not. In the order of the calls."""
        if not samples and not rejects:
            return
        waiting = _Waiting(samples, rejects, asyncio.get_running_loop().create_future())
        async with self._changed[lane]:
            await self._changed[lane].wait_for(lambda: self._sizes[lane] < self._limit or self._closing)
            if self._closing:
                raise SpoolFailed("the edge stops")
            self._queues[lane].append(waiting)
            self._sizes[lane] += waiting.size
            self._changed[lane].notify_all()
        await waiting.done

    async def run(self, lane: Lane) -> None:
        """Write what is put, group by group, until `close`; what was put before is still written."""
        while await self._something(lane):
            group = await self._take(lane)
            try:
                await self._write(lane, group)
            except SpoolFailed as error:
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_exception(error)
            else:
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_result(None)
                self.appended[lane].set()

    async def close(self) -> None:
        """Take nothing more; `run` ends when all is written."""
        self._closing = True
        for changed in self._changed.values():
            async with changed:
                changed.notify_all()

    def shutdown(self) -> None:
        """After the last call: ends the thread."""
        self._thread.shutdown()

    # ---- the spool, from the loop ----

    async def unconfirmed(self, lane: Lane, after: int, limit: int) -> list[Message]:
        """See `Spool.unconfirmed`."""
        return await self._call(self._spool.unconfirmed, lane, after, limit)

    async def confirmed(self, lane: Lane) -> int:
        """See `Spool.confirmed`."""
        return await self._call(self._spool.confirmed, lane)

    async def confirm(self, lane: Lane, upto: int) -> int:
        """See `Spool.confirm`."""
        return await self._call(self._spool.confirm, lane, upto)

    async def replace(self, lane: Lane, seq: int, reject: Reject) -> None:
        """See `Spool.replace`."""
        await self._call(self._spool.replace, lane, seq, reject)

    async def restart(self, lane: Lane) -> str:
        """See `Spool.restart`."""
        return await self._call(self._spool.restart, lane)

    def inherited(self, lane: Lane) -> int | None:
        """See `Spool.inherited`."""
        return self._spool.inherited(lane)

    def items(self, lane: Lane) -> int:
        """See `Spool.items`."""
        return self._spool.items(lane)

    def stream(self, lane: Lane) -> str:
        """The name of the lane's stream."""
        return self._spool.stream(lane)

    def depth(self, lane: Lane) -> Depth:
        """How much waits in this lane."""
        return self._spool.depth(lane)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))
        return await asyncio.shield(call)  # cancelled or not, the thread finishes it before the next one

    # ---- gathering ----

    async def _something(self, lane: Lane) -> bool:
        async with self._changed[lane]:
            await self._changed[lane].wait_for(lambda: self._queues[lane] or self._closing)
        return bool(self._queues[lane])

    async def _take(self, lane: Lane) -> list[_Waiting]:
        changed = self._changed[lane]
        async with changed:
            if self._gather[lane] > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._gather[lane]):
                        await changed.wait_for(lambda: self._sizes[lane] >= MAX_SAMPLES or self._closing)
            group = list(self._queues[lane])
            self._queues[lane].clear()
            self._sizes[lane] = 0
            changed.notify_all()
        return group

    async def _write(self, lane: Lane, group: Sequence[_Waiting]) -> None:
        samples = [sample for waiting in group for sample in waiting.samples]
        rejects = [reject for waiting in group for reject in waiting.rejects]
        while samples or rejects:
            now, samples = samples[:SLICE], samples[SLICE:]
            beside, rejects = rejects[: SLICE - len(now)], rejects[SLICE - len(now) :]
            await self._call(self._append, lane, now, beside)

    def _append(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject]) -> None:
        messages = pack(samples, rejects)
        point("edge-before-spool")
        self._spool.append(lane, messages)
        point("edge-after-spool")
