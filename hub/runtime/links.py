"""Running drivers' links: timing, back-off, logging once when a link goes and once when it is back, counting. One task an endpoint.

What a driver reads goes to a `Sink` and is safe when `put` returns; only then is a delivery settled with its source, in the order it came.
A driver's error ends the link and it is entered again after a pause; nothing a driver does stops its neighbours or the process. Knows
nothing of what is behind the sink: an edge has its spool there.
"""

import asyncio
import contextlib
import random
import sys
import time
import traceback
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol

import structlog

from hub.core.backoff import DENIED_URGENT, Backoff
from hub.core.polling import Schedule, Turn
from hub.driver import Link, PollLink, PushLink, WriteLink
from hub.errors import AccessDenied, AnxinError, BadInput, DriverError, LinkDown, ProtocolFault
from hub.model import Delivery, Lane, Micros, Reject, Sample, Scalar, Series
from hub.runtime.drivers import LinkPlan

log = structlog.get_logger()

ENTER_LIMIT = 60.0
"""seconds that a driver has to connect"""
READ_LIMIT = 120.0
"""seconds that one turn may take before the link is given up; a driver has its own, shorter time-outs"""
WRITE_LIMIT = 15.0
"""seconds that a driver has to write one value and read it back"""
OWN_TIME: Micros = 1_000_000
"""a sample whose time differs by more from our clock when it is handed over keeps both"""
HELD_LIMIT = 30.0
"""seconds that a push source waits for what the sink has in memory only; then its link ends, and it says it again"""
SETTLE_LIMIT = 30.0
"""seconds that a driver has to confirm one delivery to its source"""
LEAVE_LIMIT = 5.0
"""seconds that a driver has to end its reading, and again to disconnect; then it is cancelled and the link entered again"""
PROVE_LIMIT = 20.0
"""seconds that a device has to answer in a proof, and its delivery to find room"""
MOST_ASKED = 100
MOST_HEARD = 100
UNDER_WAY = 512
"""deliveries of a push link that may wait for the sink; bulk gathers there for a quarter of a second, and a press may stand behind it"""
LONGEST_URGENT = 10.0
"""seconds of the longest pause where a fire or panic device is behind the link"""

BELIEVED = 2
"""refusals in a row that credentials which have worked outlive: on a bad line a garbled question and a lost answer look like one"""

STEADY: Micros = 30_000_000
"""a link that stood this long was a good one: the back-off starts over"""
IDLE = 3600.0


class Held(AnxinError):
    """The sink has it in memory only and sends it from there: a kill would lose it, so nobody may be told that it is safe.

    `safe` ends when it is safe after all, or is cancelled when it was given up.
    """

    def __init__(self, reason: str, safe: "asyncio.Future[None]") -> None:
        super().__init__(reason)
        self.safe = safe


class _Handed(NamedTuple):
    """A delivery that is with the sink."""

    delivery: Delivery
    parts: Sequence[int]
    """samples of each call of `put`"""
    stored: "asyncio.Future[list[BaseException | None]]"
    polled: bool
    """nobody will say it again"""


_UnderWay = asyncio.Queue[_Handed]


class Sink(Protocol):
    """Where samples go."""

    async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
        """Returns when all of it is safe; raises Held when it is only on its way, another AnxinError when it was not taken.

        Keeps the order of the calls.
        """
        ...


@dataclass(slots=True)
class Counters:
    """What one link has seen since the process began."""

    up: bool = False
    connected: int = 0
    lost: int = 0
    faults: int = 0
    bugs: int = 0
    samples: int = 0
    unread: int = 0
    """samples that carry an error instead of a value"""
    rejects: int = 0
    dropped: int = 0
    """polled samples that the sink could not take"""
    held: int = 0
    """samples that the sink had in memory only"""


def wall_clock() -> Micros:
    """Now, for what has no time of its own."""
    return time.time_ns() // 1_000


class LinkRunner:
    """Keeps one endpoint's link; `run` never returns."""

    def __init__(self, plan: LinkPlan, sink: Sink, clock: Callable[[], Micros] = wall_clock) -> None:
        self.plan = plan
        self.counters = Counters()
        self._sink = sink
        self._clock = clock
        self._backoff = Backoff(longest=LONGEST_URGENT, denied_longest=DENIED_URGENT) if plan.urgent else Backoff()
        self._schedule = Schedule(plan.every, frozenset(d for d, lane in plan.lanes.items() if lane is Lane.URGENT))
        self._log = log.bind(endpoint=plan.endpoint_id, driver=plan.driver.name)
        self._said_down = False
        self._said_dropped = False
        self._undeclared = 0
        self._entered_at: Micros | None = None
        self._link: Link | None = None
        self._denials = 0
        """refusals in a row"""
        self._under_way: _UnderWay | None = None
        """of the link that stands"""
        self._asked: deque[tuple[Series, asyncio.Future[Micros]]] = deque()
        """who wants a device read once more"""
        self._asking = asyncio.Event()
        self._listeners: list[tuple[Series, deque[Sample]]] = []

    async def run(self) -> None:
        """Enter the link, keep it, leave it, pause, again; until cancelled.

        Each connection is a task of its own: in this one no driver's code runs, so that a cancellation here is always ours.
        """
        while True:
            self._entered_at = None
            connection = asyncio.create_task(_outcome(self._attend()))
            try:
                await asyncio.wait([connection])
            finally:
                await self._end([connection])
            await self._take_end(connection.result())

    async def write(self, series: Series, value: Scalar) -> Scalar | None:
        """Write a raw value over the link that stands now; returns what the device then says, None where it cannot be read.

        Raises LinkDown where there is no link or no answer, BadInput where the point cannot be written or the device refuses.
        """
        link = self._link
        if link is None:
            raise LinkDown("the link is down")
        if not isinstance(link, WriteLink):
            raise BadInput(f"the driver {self.plan.driver.name!r} writes nothing", "/".join(series))
        writing = asyncio.create_task(link.write(series, value))
        try:
            await asyncio.wait([writing], timeout=WRITE_LIMIT)
        finally:
            writing.cancel()
        if not writing.done() or writing.cancelled():
            raise LinkDown(f"the driver did not write within {WRITE_LIMIT:g} s")
        error = writing.exception()
        if error is None or isinstance(error, AnxinError):
            return writing.result()
        self.counters.bugs += 1
        self._log.error("driver.bug", error=repr(error), traceback="".join(traceback.format_exception(error)))
        raise LinkDown(f"a bug in the driver: {error!r}")

    async def prove(self, sample: Sample, settle: Callable[[], Awaitable[None]]) -> Micros | None:
        """Hand over a marked sample behind the link that stands, like the driver's own: `settle` is called when it is safe.

        Where the link polls, the device is read once more first, and what it says is handed over like any reading; returns when it had
        answered, None where it speaks by itself. Raises LinkDown where there is no link, or no answer.
        """
        assert sample.mark is not None, "what has no mark is the driver's"
        link, under_way = self._link, self._under_way
        if link is None or under_way is None:
            raise LinkDown("the link is down")
        answered = await self.ask(sample.series) if isinstance(link, PollLink) else None
        await asyncio.wait_for(self._store(Delivery([sample], settle=settle), under_way, polled=False), PROVE_LIMIT)
        return answered

    @property
    def polls(self) -> bool:
        """Whether the link that stands answers when asked."""
        return isinstance(self._link, PollLink)

    async def ask(self, series: Series) -> Micros:
        """Read it once more, between the turns; what it says is handed over like any reading. Returns when it had answered; raises LinkDown."""
        if not self.polls:
            raise LinkDown("the link is down" if self._link is None else "the link answers nobody who asks")
        if len(self._asked) >= MOST_ASKED:
            raise LinkDown("too many questions at once on this link")
        answer: asyncio.Future[Micros] = asyncio.get_running_loop().create_future()
        self._asked.append((series, answer))
        self._asking.set()
        try:
            await asyncio.wait([answer], timeout=PROVE_LIMIT)
            if not answer.done():
                raise LinkDown(f"the device did not answer within {PROVE_LIMIT:g} s")
            return answer.result()
        finally:
            answer.cancel()

    @contextlib.contextmanager
    def heard(self, series: Series) -> Iterator[deque[Sample]]:
        """What the driver hands over of a series, beside its way to the sink: the newest `MOST_HEARD`."""
        said: deque[Sample] = deque(maxlen=MOST_HEARD)
        self._listeners.append((series, said))
        try:
            yield said
        finally:
            self._listeners = [one for one in self._listeners if one[1] is not said]

    async def _read_asked(self, link: PollLink, under_way: _UnderWay) -> None:
        """Read for whoever asks, between the turns: nothing else is on the line meanwhile."""
        while self._asked:
            series, answer = self._asked.popleft()
            if answer.done():
                continue  # nobody waits any more
            try:
                async with _limit(READ_LIMIT, "gave no answer"):
                    samples = await link.read((series,))
            except ProtocolFault as error:
                await self._take_fault(error)
                _fail(answer, LinkDown(f"the device answered nonsense: {error}"))
                continue
            except DriverError as error:
                _fail(answer, error)
                raise
            bad = next((one.error for one in samples if one.error is not None), None if samples else "no sample")
            if not answer.done() and bad is None:
                answer.set_result(self._clock())
            elif bad is not None:
                _fail(answer, LinkDown(f"the device could not be read: {bad}"))
            await self._store(Delivery(samples), under_way, polled=True)

    async def _take_end(self, error: BaseException) -> None:
        """What ended a connection is said, and waited out."""
        if isinstance(error, AccessDenied):
            self._denials += 1
            believed = self.counters.samples > 0 and self._denials <= BELIEVED
            await self._pause(error, self._next_pause() if believed else self._backoff.denied(random.random()))
        elif isinstance(error, AnxinError):
            if isinstance(error, ProtocolFault):  # on entering or from a listening link; one from a poll keeps the link
                await self._take_fault(error)
            await self._pause(error, self._next_pause())
        else:  # a driver is third-party code: its bug must not stop the edge
            self.counters.bugs += 1
            told = "".join(traceback.format_exception(error))
            self._log.error("driver.bug", error=repr(error), traceback=told)
            await self._pause(LinkDown(f"a bug in the driver: {error!r}"), self._next_pause())

    async def _attend(self) -> NoReturn:
        """One connection's life; always ends by raising."""
        under_way: _UnderWay = asyncio.Queue(UNDER_WAY)
        async with self._entered() as link:
            self._say_up()
            self._link, self._under_way = link, under_way
            work = [self._settle(under_way)]
            if isinstance(link, PollLink):
                work.append(self._poll(link, under_way))
            if isinstance(link, PushLink):
                work.append(self._listen(link, under_way))
            parts = [asyncio.create_task(_outcome(part)) for part in work]
            first: set[asyncio.Task[BaseException]] = set()
            try:
                first, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.counters.up = False
                self._link = self._under_way = None
                while self._asked:
                    _fail(self._asked.popleft()[1], LinkDown("the link went down"))
                await self._end(parts)
                _abandon(under_way)
            raise _telling([part.result() for part in parts if part in first or _failed(part)])

    @contextlib.asynccontextmanager
    async def _entered(self) -> AsyncIterator[Link]:
        """The driver's connection. One that cannot be left is said and given up: a line must not stay dead for that."""
        stack = contextlib.AsyncExitStack()
        async with _limit(ENTER_LIMIT, "did not connect"):
            link = await stack.enter_async_context(self.plan.driver.connect(self.plan.endpoint, self.plan.bindings))
        try:
            yield link
        finally:
            try:
                async with asyncio.timeout(LEAVE_LIMIT) as limit:
                    await stack.__aexit__(*sys.exc_info())
            except TimeoutError:
                if not limit.expired():
                    raise
                self._log.error("link.leaving_hung", limit=LEAVE_LIMIT)

    async def _end(self, parts: "Sequence[asyncio.Task[BaseException]]") -> None:
        """Cancel what still runs; a driver that waits while it is being cancelled is cancelled once more, then left behind."""
        for again in (False, True):
            left = [part for part in parts if not part.done()]
            if not left:
                return
            if again:
                self._log.error("link.leaving_hung", limit=LEAVE_LIMIT)
            for part in left:
                part.cancel()
            await asyncio.wait(left, timeout=LEAVE_LIMIT)

    async def _poll(self, link: PollLink, under_way: _UnderWay) -> NoReturn:
        self._schedule.start(_ticks(), random.random())
        while True:
            wake = self._schedule.next()
            # with nothing to read there is nothing to find out either
            self._asking.clear()
            if not self._asked:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE if wake is None else max(0, wake - _ticks()) / 1_000_000):
                        await self._asking.wait()
            await self._read_asked(link, under_way)
            for turn in self._schedule.turns(_ticks()):
                await self._take_turn(link, turn, under_way)

    async def _take_turn(self, link: PollLink, turn: Turn, under_way: _UnderWay) -> None:
        started = _ticks()
        try:
            async with _limit(READ_LIMIT, "gave no answer"):
                samples = await link.read(turn.series)
        except ProtocolFault as error:
            await self._take_fault(error)
            if not error.samples:
                now = _ticks()
                self._schedule.failed(turn, now - started, now)
                return
            samples = error.samples  # the driver knows whose nonsense it was: the others lose nothing
        now = _ticks()
        self._schedule.answered(turn, samples, now - started, now)
        await self._store(Delivery(samples), under_way, polled=True)

    async def _listen(self, link: PushLink, under_way: _UnderWay) -> NoReturn:
        deliveries = link.deliveries()
        try:
            async for delivery in deliveries:
                await self._store(delivery, under_way, polled=False)
        finally:
            if isinstance(deliveries, AsyncGenerator):
                await deliveries.aclose()
        raise LinkDown("the stream of deliveries ended")

    async def _store(self, delivery: Delivery, under_way: _UnderWay, *, polled: bool) -> None:
        """Hand to the sink, each sample in its device's lane. Rejects go as bulk: garbage must never stand before an alarm."""
        lanes: dict[Lane, list[Sample]] = {lane: [] for lane in Lane}
        now = self._clock()
        for series, said in self._listeners:
            said.extend(sample for sample in delivery.samples if sample.series == series and sample.mark is None)
        for sample in delivery.samples:
            lanes[self.plan.lanes.get(sample.series.device, Lane.BULK)].append(_received(sample, now))
        puts = [self._sink.put(Lane.URGENT, lanes[Lane.URGENT])] if lanes[Lane.URGENT] else []
        parts = [len(lanes[Lane.URGENT])] if lanes[Lane.URGENT] else []
        if lanes[Lane.BULK] or delivery.rejects:
            rejects = [reject._replace(source=self._named(reject.source)) for reject in delivery.rejects]
            puts.append(self._sink.put(Lane.BULK, lanes[Lane.BULK], rejects))
            parts.append(len(lanes[Lane.BULK]))
        # the order of the calls is kept: each starts as a task of its own here
        stored = asyncio.gather(*puts, return_exceptions=True)
        await under_way.put(_Handed(delivery, parts, stored, polled))

    def _named(self, source: str) -> str:
        """Driver and endpoint first, so that whoever reads quarantine knows whose line it was."""
        own = self.plan.source
        return source if source.startswith(own) else f"{own} {source}".rstrip()

    async def _settle(self, under_way: _UnderWay) -> NoReturn:
        """In the order of arrival, whatever lane each took."""
        while True:
            handed = await under_way.get()
            delivery = handed.delivery
            taken = await self._outcome_of(handed)
            if taken is None:
                continue
            async with _limit(SETTLE_LIMIT, "did not settle"):
                await delivery.settle()
            self._backoff.reset()
            self._denials = 0
            self.counters.samples += len(delivery.samples)
            self.counters.unread += sum(sample.error is not None for sample in delivery.samples)
            self.counters.rejects += len(delivery.rejects)
            if taken:
                self._said_dropped = False
                await self._declare()

    async def _outcome_of(self, handed: _Handed) -> bool | None:
        """Wait until it is safe: True; False where memory had to do for something polled. None: something polled was not taken."""
        outcome: bool | None = True
        for samples, end in zip(handed.parts, await handed.stored, strict=True):
            if isinstance(end, Held):
                self.counters.held += samples
                if not handed.polled:
                    await _until_safe(end)
                outcome = False if outcome is True else outcome
            elif isinstance(end, AnxinError) and handed.polled:
                self.counters.dropped += samples
                self._undeclared += samples
                self._say_dropped(str(end), samples=samples)
                outcome = None
            elif end is not None:
                raise end
        return outcome

    async def _declare(self) -> None:
        """The sink takes again: how much of what was polled it did not take stands in the stream itself."""
        if self._undeclared == 0:
            return
        reason = f"{self._undeclared} samples were dropped while the spool took nothing"
        with contextlib.suppress(AnxinError):
            await self._sink.put(Lane.BULK, (), (Reject(self._clock(), self.plan.source, "dropped", reason),))
            self._undeclared = 0

    async def _take_fault(self, error: ProtocolFault) -> None:
        self.counters.faults += 1
        self._log.debug("link.fault", reason=str(error))
        reject = Reject(self._clock(), self._named(error.source), "protocol", str(error), error.payload)
        try:
            await self._sink.put(Lane.BULK, (), (reject,))
        except AnxinError as failed:
            self._say_dropped(str(failed), rejects=1)
        else:
            self.counters.rejects += 1

    def _next_pause(self) -> float:
        if self._entered_at is not None and _ticks() - self._entered_at > STEADY:
            self._backoff.reset()
        return self._backoff.next(random.random())

    async def _pause(self, error: AnxinError, seconds: float) -> None:
        self.counters.lost += 1
        say = self._log.debug if self._said_down else self._log.warning
        say("link.down", reason=str(error), error=type(error).__name__, pause=round(seconds, 2))
        self._said_down = True
        await asyncio.sleep(seconds)

    def _say_dropped(self, reason: str, **what: int) -> None:
        """Once, until the sink takes something again: a full disk must not be filled with this."""
        say = self._log.debug if self._said_dropped else self._log.error
        say("link.dropped", reason=reason, **what)
        self._said_dropped = True

    def _say_up(self) -> None:
        self._entered_at = _ticks()
        self.counters.connected += 1
        self.counters.up = True
        self._log.info("link.up")
        self._said_down = False


def _ticks() -> Micros:
    return time.monotonic_ns() // 1_000


@contextlib.asynccontextmanager
async def _limit(seconds: float, what: str) -> AsyncIterator[None]:
    """A driver has its own time-outs; this one ends what has none."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise  # the driver's own, which the contract does not allow: a bug
        raise LinkDown(f"the driver {what} within {seconds:g} s") from None


async def _outcome(work: Coroutine[Any, Any, NoReturn]) -> BaseException:
    """What `work` raised, whatever it is: drivers leak even cancellations of their own, and a task would end silently by one."""
    try:
        await work
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 -- who asked raises it again or says it
        return error


def _fail(answer: "asyncio.Future[Micros]", error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _failed(part: "asyncio.Task[BaseException]") -> bool:
    """Whether it ended by more than our cancelling it."""
    return part.done() and not part.cancelled() and not isinstance(part.result(), asyncio.CancelledError)


def _telling(errors: Sequence[BaseException]) -> BaseException:
    """The one that says most: a bug before a driver's error."""
    return next((error for error in errors if not isinstance(error, AnxinError)), errors[0])


def _received(sample: Sample, now: Micros) -> Sample:
    """With our own time beside the device's, where they differ: `at` is never changed."""
    differs = type(sample.at) is int and abs(now - sample.at) > OWN_TIME
    return sample._replace(edge_at=now) if differs else sample


async def _until_safe(held: Held) -> None:
    """What the sink has in memory only is safe once the hub has it; until then its source is not told so."""
    await asyncio.wait([held.safe], timeout=HELD_LIMIT)
    if not held.safe.done() or held.safe.cancelled():
        raise held


def _abandon(under_way: _UnderWay) -> None:
    """What is with the sink stays with it and may still be written; its source is not told, and sends it again."""
    while not under_way.empty():
        stored = under_way.get_nowait().stored
        stored.cancel()
        stored.add_done_callback(_look_at_end)  # a gathering that was cancelled ends by an exception


def _look_at_end(stored: "asyncio.Future[Any]") -> None:
    """What nobody waits for any more, because the link was left, is no error of ours."""
    if not stored.cancelled():
        stored.exception()
