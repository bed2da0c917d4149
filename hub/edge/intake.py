"""The way into the spool: many drivers' deliveries become few messages and fewer synced commits, and nobody blocks the loop.

Each lane gathers for itself. Urgent goes at once: while one commit is being synced the next group gathers by itself. Bulk waits a moment
for company, so that one message carries what several links read. What waits in memory is bounded; who comes when it is full waits.
Also the one place from which the spool is called: in one thread, one call at a time.

A disk that takes nothing (full beyond its reserve, read-only, broken, silent) must not silence an alarm. Then urgent samples, and what the
edge says of itself, go into a second spool in memory with streams of its own, and are sent from there; `put` raises Held, so that no source
is told that they are safe. The disk is tried every `PROBE`; once it takes again, what memory still has is written to it, in order, and only
then is it used again: a release must never overtake its press. Why: docs/decisions/0101-a-disk-that-takes-nothing.md.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, NamedTuple, ParamSpec, TypeVar

import structlog

from hub.core.batching import TARGET_BYTES, pack
from hub.core.garbage import Sieve
from hub.core.wire import MAX_SAMPLES
from hub.crash import point
from hub.edge.spool import Depth, Message, Row, Spool, SpoolBroken, SpoolFailed, SpoolRefused, memory_spool
from hub.errors import AnxinError
from hub.model import Lane, Micros, Reject, Sample
from hub.runtime.links import Held, wall_clock

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")

GATHER: Mapping[Lane, float] = MappingProxyType({Lane.URGENT: 0.0, Lane.BULK: 0.25})
"""Seconds that the first of a group waits for others."""

WAITING = 20 * MAX_SAMPLES
"""Samples and rejects of a lane that may wait in memory."""


SLICE = 2 * MAX_SAMPLES
"""Samples and rejects that one call into the thread writes, so that no lane waits for more than this of the other"""
HANG = 10.0
"""seconds after which a disk that does not answer counts as one that takes nothing"""
PROBE = 2.0
"""seconds between two tries of a disk that takes nothing"""
RESERVE_EVERY = 30
"""probes between two looks after the disk's reserve"""
GRACE = 5.0
"""seconds that what was sent from memory has to be confirmed before it is written to the disk all the same, and so may be sent twice"""
MOST_IN_MEMORY = 100_000
"""messages of a lane in memory, whatever their size: those that gave up their content are small, not nothing"""
MOVE = 500
"""messages that are written from memory to the disk at a time"""


class _Waiting(NamedTuple):
    samples: Sequence[Sample]
    rejects: Sequence[Reject]
    hold: bool
    done: asyncio.Future[None]

    @property
    def size(self) -> int:
        return len(self.samples) + len(self.rejects)


class Shelf:
    """A spool as the loop sees it: the one on the disk, called in a thread, or the one in memory, called at once."""

    def __init__(self, spool: Spool, thread: ThreadPoolExecutor | None) -> None:
        self.spool = spool
        self.appended = {lane: asyncio.Event() for lane in Lane}
        """set whenever a message was written; who waits clears it"""
        self.sendable = dict.fromkeys(Lane, True)
        """False while messages are being moved away from here"""
        self.sent = dict.fromkeys(Lane, 0)
        """the highest number that went up since the stream began; the uplink writes it"""
        self._thread = thread
        self._safe: dict[Lane, deque[tuple[int, asyncio.Future[None]]]] = {lane: deque() for lane in Lane}

    async def unconfirmed(self, lane: Lane, after: int, limit: int) -> list[Message]:
        """See `Spool.unconfirmed`."""
        return await self.call(self.spool.unconfirmed, lane, after, limit)

    async def confirmed(self, lane: Lane) -> int:
        """See `Spool.confirmed`."""
        return await self.call(self.spool.confirmed, lane)

    async def confirm(self, lane: Lane, upto: int) -> int:
        """See `Spool.confirm`."""
        gone = await self.call(self.spool.confirm, lane, upto)
        waiting = self._safe[lane]
        while waiting and waiting[0][0] <= upto:
            _, safe = waiting.popleft()
            if not safe.done():
                safe.set_result(None)
        return gone

    async def split(self, lane: Lane, largest: int) -> int:
        """See `Spool.split`."""
        touched = await self.call(self.spool.split, lane, largest)
        waiting = self._safe[lane]
        for _, safe in [
            one for one in waiting if one[0] >= touched > 0
        ]:  # a part of it has another number now: they say it again
            safe.cancel()
        return touched

    async def restart(self, lane: Lane) -> str:
        """See `Spool.restart`."""
        stream = await self.call(self.spool.restart, lane)
        self.sent[lane] = 0
        for _, safe in self._safe[lane]:  # the numbers mean nothing any more: those sources say it again
            safe.cancel()
        self._safe[lane].clear()
        return stream

    def when_safe(self, lane: Lane, seq: int) -> "asyncio.Future[None]":
        """Ends when message `seq` is confirmed, or is cancelled."""
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._safe[lane].append((seq, safe))
        return safe

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """In the spool's thread; in memory at once, with nothing between."""
        if self._thread is None:
            return function(*args, **kwargs)
        call = asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))
        return await asyncio.shield(call)  # cancelled or not, the thread finishes it before the next one


class Intake:
    """The spool as the loop sees it. `run(lane)` must be running for `put` to return, `watch()` for a disk to be found again.

    Give it an open spool, or `reopen`, which opens one: then a spool that cannot be had now, or is damaged while it is used, is tried again.
    """

    def __init__(
        self,
        spool: Spool | None,
        gather: Mapping[Lane, float] = GATHER,
        waiting: int = WAITING,
        *,
        clock: Callable[[], Micros] = wall_clock,
        reopen: Callable[[], AbstractContextManager[Spool]] | None = None,
    ) -> None:
        self._clock = clock
        self._gather = gather
        self._limit = waiting
        self._reopen = reopen
        self._opened = contextlib.ExitStack()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._queues: dict[Lane, deque[_Waiting]] = {lane: deque() for lane in Lane}
        self._sizes = dict.fromkeys(Lane, 0)
        self._changed = {lane: asyncio.Condition() for lane in Lane}
        self._writing = {lane: asyncio.Lock() for lane in Lane}
        self._closing = False
        self._stuck: asyncio.Future[None] | None = None
        self._opening: asyncio.Future[Spool] | None = None
        self._holding: dict[Lane, str] = {}
        self._refused = 0
        self._sieve = Sieve()
        self.memory = Shelf(memory_spool(clock), None)
        self.disk: Shelf | None = None if spool is None else Shelf(spool, self._thread)
        self.disk_moved = asyncio.Event()
        """set whenever `disk` is another one than before; who waits clears it"""
        self.target = TARGET_BYTES
        """bytes of a message that is written from now on; the uplink lowers it to what the broker takes"""
        self.held = 0
        """samples that went into memory since the process began"""

    async def begin(self) -> None:
        """Open the spool. Raises SpoolRefused; with a disk that takes nothing, or is long in looking through it, the edge goes on in memory."""
        self._opening = asyncio.get_running_loop().run_in_executor(self._thread, self._enter)
        await asyncio.wait([self._opening], timeout=HANG)
        try:
            if not self._opening.done():
                raise SpoolFailed(f"the spool is not open after {HANG:g} s")
            self.disk = Shelf(self._opening.result(), self._thread)
        except SpoolRefused:
            raise
        except (SpoolFailed, SpoolBroken) as error:
            for lane in Lane:
                self._begin_to_hold(lane, error)
        if self._opening.done():
            self._opening = None

    async def put(
        self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = (), *, hold: bool | None = None
    ) -> None:
        """Returns when all of it is on the disk, synced; raises SpoolFailed when it is not. In the order of the calls.

        Raises Held instead for what memory took because the disk does not: urgent, unless `hold` says otherwise.
        """
        rejects = self._sieve.take(rejects, self._clock())
        if not samples and not rejects:
            return
        held = lane is Lane.URGENT if hold is None else hold
        waiting = _Waiting(samples, rejects, held, asyncio.get_running_loop().create_future())
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
            async with self._writing[lane]:
                await self._write_group(lane, group)

    async def close(self) -> None:
        """Take nothing more; `run` ends when all is written, the last count of rejects too."""
        self._closing = True
        if counts := self._sieve.end(self._clock()):
            counted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            counted.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._queues[Lane.BULK].append(_Waiting((), counts, False, counted))
        for changed in self._changed.values():
            async with changed:
                changed.notify_all()

    def shutdown(self) -> None:
        """After the last call: ends the thread."""
        self._thread.shutdown()
        self._opened.close()

    # ---- the spool, from the loop ----

    def depth(self, lane: Lane) -> Depth:
        """How much waits in this lane, on the disk and in memory."""
        memory = self.memory.spool.depth(lane)
        if self.disk is None:
            return memory
        disk = self.disk.spool.depth(lane)
        return Depth(*(one + other for one, other in zip(disk, memory, strict=True)))

    @property
    def waiting_in_memory(self) -> int:
        """Samples that a kill would lose now."""
        return sum(self.memory.spool.depth(lane).samples for lane in Lane)

    @property
    def given_up(self) -> int:
        """Samples that memory could not keep either, since the process began."""
        return sum(self.memory.spool.lost.values()) + self._refused

    @property
    def failing(self) -> bool:
        """Whether the disk takes nothing, in any lane."""
        return bool(self._holding)

    def lose_disk(self, shelf: Shelf, error: AnxinError) -> None:
        """Its file is damaged: it is left, and opened anew, which moves it aside."""
        if self.disk is not shelf:
            return
        log.critical("spool.broken", reason=str(error))
        for lane in Lane:
            self._begin_to_hold(lane, error)
        if self._reopen is not None:
            self.disk = None
            self.disk_moved.set()

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

    # ---- writing ----

    async def _write_group(self, lane: Lane, group: Sequence[_Waiting]) -> None:
        try:
            await self._write_all(lane, group)
        except (SpoolFailed, SpoolBroken) as error:
            self._begin_to_hold(lane, error)
            refused = SpoolFailed(str(error))
            kept = [waiting for waiting in group if waiting.hold]
            safe = self._hold(lane, kept)
            for waiting in group:
                if not waiting.done.done():
                    held = waiting.hold and safe is not None
                    waiting.done.set_exception(Held(f"only in memory: {error}", safe) if held and safe else refused)
        else:
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_result(None)

    async def _write_all(self, lane: Lane, group: Sequence[_Waiting]) -> None:
        samples = [sample for waiting in group for sample in waiting.samples]
        rejects = [reject for waiting in group for reject in waiting.rejects]
        while samples or rejects:
            now, samples = samples[:SLICE], samples[SLICE:]
            beside, rejects = rejects[: SLICE - len(now)], rejects[SLICE - len(now) :]
            await self._write(lane, now, beside)

    async def _write(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject]) -> None:
        if lane in self._holding:  # until `watch` has found that it takes again: nothing overtakes what memory holds
            raise SpoolFailed(self._holding[lane])
        shelf = self.disk
        if shelf is None:
            raise SpoolFailed("there is no spool on the disk")
        if self._stuck is not None:
            raise SpoolFailed("the disk does not answer")
        try:
            await self._answered(shelf.call(_append, shelf.spool, lane, samples, rejects, self.target))
        except SpoolBroken as error:
            self.lose_disk(shelf, error)
            raise
        shelf.appended[lane].set()

    async def _answered(self, asked: Coroutine[Any, Any, None]) -> None:
        """Wait for the thread, but not for ever: a disk that hangs must not hold an alarm. What it writes later is sent twice."""
        call = asyncio.ensure_future(asked)
        await asyncio.wait([call], timeout=HANG)
        if not call.done():
            self._stuck = call
            call.add_done_callback(self._unstick)
            raise SpoolFailed(f"the disk has not answered for {HANG:g} s")
        call.result()

    def _unstick(self, call: "asyncio.Future[None]") -> None:
        self._stuck = None
        if not call.cancelled():
            call.exception()

    def _begin_to_hold(self, lane: Lane, error: AnxinError) -> None:
        if lane not in self._holding:
            say = log.critical if lane is Lane.URGENT else log.error
            say(
                "spool.takes_nothing",
                lane=lane,
                reason=str(error),
                instead="memory" if lane is Lane.URGENT else "nothing",
            )
        self._holding[lane] = str(error)

    def _hold(self, lane: Lane, group: Sequence[_Waiting]) -> "asyncio.Future[None] | None":
        """Into memory, at once; what memory cannot keep gives up the oldest, declared and counted. None: memory takes no more."""
        samples = [sample for waiting in group for sample in waiting.samples]
        messages = pack(samples, [reject for waiting in group for reject in waiting.rejects], target=self.target)
        spool = self.memory.spool
        if not messages:
            return None
        if spool.depth(lane).messages >= MOST_IN_MEMORY:
            self._refused += len(samples)
            return None
        seq = spool.append(lane, messages)
        self.held += len(samples)
        self.memory.appended[lane].set()
        return self.memory.when_safe(lane, seq)

    # ---- a disk that takes nothing, and takes again ----

    async def watch(self) -> None:
        """Try a disk that takes nothing until it takes again; look after its reserve."""
        rounds = 0
        while True:
            await asyncio.sleep(PROBE)
            rounds += 1
            if self._stuck is not None:
                continue
            if self.disk is None:
                await self._open()
            shelf = self.disk
            if shelf is None:
                continue
            try:
                for lane in [lane for lane in Lane if lane in self._holding]:
                    await self._answered(shelf.call(shelf.spool.probe, lane))
                    await self._give_back(shelf, lane)
                if rounds % RESERVE_EVERY == 0 and not self._holding and shelf.spool.disk is not None:
                    await shelf.call(shelf.spool.disk.keep_reserve)
            except SpoolBroken as error:
                self.lose_disk(shelf, error)
            except SpoolFailed as error:
                log.debug("spool.still_takes_nothing", reason=str(error))

    async def _open(self) -> None:
        opening, self._opening = self._opening, None
        try:
            spool = await (opening or asyncio.get_running_loop().run_in_executor(self._thread, self._enter))
        except (SpoolFailed, SpoolBroken) as error:
            log.debug("spool.still_takes_nothing", reason=str(error))
        else:
            self.disk = Shelf(spool, self._thread)
            self.disk_moved.set()

    def _enter(self) -> Spool:
        """In the thread."""
        assert self._reopen is not None
        self._opened.close()
        return self._opened.enter_context(self._reopen())

    async def _give_back(self, shelf: Shelf, lane: Lane) -> None:
        """Write what memory has to the disk, then use the disk again. What was sent is waited for a little: it may be confirmed."""
        memory, spool = self.memory, self.memory.spool
        memory.sendable[lane] = False
        try:
            await self._await_confirmations(lane)
            again = memory.sent[lane] > spool.confirmed(lane)
            moved = 0
            while spool.depth(lane).messages > MOVE and moved < MOST_IN_MEMORY:
                moved += await self._move(shelf, lane)
            async with self._writing[lane]:  # now nobody adds to it
                while spool.depth(lane).messages:
                    moved += await self._move(shelf, lane)
                if again or moved:  # the hub has not seen these numbers: whatever comes next begins a new stream
                    await memory.restart(lane)
                del self._holding[lane]
            shelf.appended[lane].set()
            log.warning("spool.takes_again", lane=lane, moved=moved, held=self.held)
        finally:
            memory.sendable[lane] = True
            memory.appended[lane].set()

    async def _move(self, shelf: Shelf, lane: Lane) -> int:
        rows = self.memory.spool.rows(lane, MOVE)
        await self._answered(shelf.call(_take_over, shelf.spool, lane, [row for _, row in rows]))
        await self.memory.confirm(lane, rows[-1][0])
        return len(rows)

    async def _await_confirmations(self, lane: Lane) -> None:
        spool = self.memory.spool
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while self.memory.sent[lane] > spool.confirmed(lane):
                    await asyncio.sleep(GRACE / 50)


def _append(spool: Spool, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject], target: int) -> None:
    messages = pack(samples, rejects, target=target)
    point("edge-before-spool")
    spool.append(lane, messages)
    point("edge-after-spool")


def _take_over(spool: Spool, lane: Lane, rows: Sequence[Row]) -> None:
    spool.take_over(lane, rows)
