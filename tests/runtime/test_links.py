"""Running links with drivers that do what drivers do: answer, go silent, talk nonsense, refuse, hang, and have bugs."""

import asyncio
import contextlib
import gc
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, ConfigDict

from hub.driver import Binding, Link
from hub.errors import AccessDenied, AnxinError, LinkDown, ProtocolFault
from hub.model import Delivery, Lane, Micros, Reject, Sample, Series
from hub.runtime import links
from hub.runtime.drivers import LinkPlan
from hub.runtime.links import Held, LinkRunner
from hub.testing import eventually

pytestmark = pytest.mark.usefixtures("no_long_pauses")

NOW = 1_795_296_000_000_000
SMOKE, DOOR, UPS = Series("smoke-1", "smoke"), Series("door-1", "open"), Series("ups-1", "charge")
EVERY: Micros = 20_000


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")


@dataclass
class Sink:
    """Takes everything, or refuses it, or holds it until let go."""

    taken: list[tuple[Lane, list[Sample], list[Reject]]] = field(default_factory=list)
    refuse: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
        if self.refuse:
            raise AnxinError("the disk is full")
        self.taken.append((lane, list(samples), list(rejects)))
        await self.open.wait()

    def samples(self, lane: Lane | None = None) -> list[Sample]:
        return [sample for where, samples, _ in self.taken for sample in samples if lane in (None, where)]

    @property
    def rejects(self) -> list[Reject]:
        return [reject for _, _, rejects in self.taken for reject in rejects]


Entering = Callable[[Any, Sequence[Binding]], Any]


@dataclass
class FakeDriver:
    """`enter` is called for each connection and gives the link, or raises."""

    enter: Callable[[int], Link]
    name: str = "fake"
    Endpoint: type[BaseModel] = Settings
    Device: type[BaseModel] = Settings
    Address: type[BaseModel] = Settings
    entered: int = 0
    left: int = 0

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[Link]:
        self.entered += 1
        link = self.enter(self.entered)
        if isinstance(link, Hanging):
            await asyncio.Event().wait()
        try:
            yield link
        finally:
            self.left += 1


class Asked:
    """A poll link that answers by a function of the series and of how often it was asked."""

    def __init__(self, answer: Callable[[Series, int], Sample | Exception]) -> None:
        self.answer, self.asked = answer, 0
        self.calls: list[list[Series]] = []

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        self.asked += 1
        self.calls.append(list(series))
        answers = [self.answer(one, self.asked) for one in series]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, Sample)]


class Speaking:
    """A push link that says what it is given, then waits or raises."""

    def __init__(self, *deliveries: Delivery, end: Exception | None = None) -> None:
        self.queue, self.end, self.closed = list(deliveries), end, False

    async def deliveries(self) -> AsyncIterator[Delivery]:
        try:
            for delivery in self.queue:
                yield delivery
            if self.end is not None:
                raise self.end
            await asyncio.Event().wait()
        finally:
            self.closed = True


class Hanging(Speaking):
    """A link that never comes to be."""


def good(series: Series, _: int) -> Sample:
    return Sample(series, NOW, 1)


def plan(driver: FakeDriver, *series: Series) -> LinkPlan:
    series = series or (SMOKE, DOOR)
    lanes = {one.device: Lane.URGENT if one == SMOKE else Lane.BULK for one in series}
    bindings = tuple(Binding(one, Settings(), Settings(), "int") for one in series)
    return LinkPlan("line-1", driver, Settings(), bindings, dict.fromkeys(series, EVERY), lanes)


@contextlib.asynccontextmanager
async def running(the_plan: LinkPlan, sink: Sink) -> AsyncIterator[LinkRunner]:
    runner = LinkRunner(the_plan, sink, lambda: NOW)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_points_are_polled_and_each_sample_takes_its_devices_lane() -> None:
    sink, link = Sink(), Asked(good)
    async with running(plan(FakeDriver(lambda _: link)), sink) as runner:
        await eventually(lambda: link.asked >= 3)
        assert runner.counters.up
    assert {sample.series for sample in sink.samples(Lane.URGENT)} == {SMOKE}
    assert {sample.series for sample in sink.samples(Lane.BULK)} == {DOOR}
    assert link.calls[0] == [SMOKE, DOOR]
    assert not runner.counters.up


async def test_a_link_that_goes_is_left_and_entered_again() -> None:
    def answer(series: Series, asked: int) -> Sample | Exception:
        return LinkDown("gone") if asked % 2 == 0 else good(series, asked)

    sink = Sink()
    driver = FakeDriver(lambda _: Asked(answer))
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: driver.entered >= 4)
    assert driver.left == driver.entered
    assert runner.counters.lost >= 3
    assert len(sink.samples()) >= 6


async def test_it_is_said_once_that_a_link_went_and_once_that_it_is_back() -> None:
    def enter(number: int) -> Link:
        if number <= 5:
            raise LinkDown("no route")
        return Asked(good)

    with structlog.testing.capture_logs() as said:
        driver = FakeDriver(enter)
        async with running(plan(driver), Sink()) as runner:
            await eventually(lambda: runner.counters.samples > 0)
    lines = [(line["event"], line["log_level"]) for line in said if line["log_level"] != "debug"]
    assert lines == [("link.down", "warning"), ("link.up", "info")]
    assert said[0]["endpoint"] == "line-1"
    assert said[0]["reason"] == "no route"
    assert runner.counters.lost == 5


async def test_pauses_grow_and_start_over_once_samples_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.001)

    def enter(number: int) -> Link:
        if number in (1, 2, 3, 5):
            raise LinkDown("no route")
        return Asked(lambda series, asked: LinkDown("gone") if asked > 3 else good(series, asked))

    with structlog.testing.capture_logs() as said:
        driver = FakeDriver(enter)
        async with running(plan(driver), Sink()) as runner:
            await eventually(lambda: driver.entered >= 6)
    assert runner.counters.lost == 5
    # the fourth connection brought samples, so its end counts as a first failure again
    assert [line["pause"] for line in said if line["event"] == "link.down"] == [0.0, 0.0, 0.0, 0.0, 0.0]
    assert runner._backoff.failures <= 2


@pytest.mark.parametrize(("series", "least", "most"), [(DOOR, 150, 300), (SMOKE, 30, 60)])
async def test_refused_credentials_wait_longest_but_a_fire_lines_password_is_tried_again_within_a_minute(
    series: Series, least: float, most: float
) -> None:
    def enter(number: int) -> Link:
        raise AccessDenied("wrong community")

    with structlog.testing.capture_logs() as said:
        driver = FakeDriver(enter)
        async with running(plan(driver, series), Sink()) as runner:
            await eventually(lambda: runner.counters.lost == 1)
    assert driver.entered == 1
    assert max(least, links.LONGEST_URGENT) <= said[0]["pause"] <= most


async def test_credentials_that_have_worked_are_believed_for_two_refusals_a_bad_line_looks_like_one() -> None:
    def enter(number: int) -> Link:
        if number in (1, 4):
            return Asked(lambda series, asked: good(series, asked) if asked < 3 else LinkDown("cut"))
        raise AccessDenied("a digest is wrong")

    with structlog.testing.capture_logs() as said:
        async with running(plan(FakeDriver(enter), DOOR), Sink()) as runner:
            await eventually(lambda: runner.counters.lost == 7)
    pauses = [line["pause"] for line in said if line["event"] == "link.down"]
    assert max(pauses[:6]) < 1 < 150 <= pauses[6], "the third refusal in a row is one"


async def test_what_is_with_the_sink_when_a_link_is_left_is_no_error_in_the_log() -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    sink = Sink()
    sink.open.clear()
    two = Delivery([good(SMOKE, 1)]), Delivery([good(DOOR, 1)])
    async with running(plan(FakeDriver(lambda _: Speaking(*two, end=LinkDown("cut")))), sink) as runner:
        await eventually(lambda: runner.counters.lost >= 3)
    await asyncio.sleep(0.05)
    gc.collect()
    assert said == []


async def test_nonsense_goes_to_quarantine_with_its_bytes_and_the_link_stays() -> None:
    def answer(series: Series, asked: int) -> Sample | Exception:
        return ProtocolFault("checksum is wrong", b"@@\x01") if asked == 1 else good(series, asked)

    sink = Sink()
    driver = FakeDriver(lambda _: Asked(answer))
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: len(sink.samples()) >= 4)
    assert sink.rejects == [Reject(NOW, "fake:/line-1", "protocol", "checksum is wrong", b"@@\x01")]
    assert (driver.entered, runner.counters.faults, runner.counters.lost) == (1, 1, 0)


async def test_nonsense_of_one_device_does_not_silence_the_others() -> None:
    def answer(series: Series, asked: int) -> Sample | Exception:
        return ProtocolFault("nonsense") if series == DOOR else good(series, asked)

    sink = Sink()
    async with running(plan(FakeDriver(lambda _: Asked(answer)), SMOKE, DOOR, UPS), sink):
        await eventually(lambda: {SMOKE, UPS} <= {sample.series for sample in sink.samples()})
    assert DOOR not in {sample.series for sample in sink.samples()}


async def test_what_a_read_has_in_spite_of_nonsense_is_delivered_in_the_same_turn() -> None:
    class Line(Asked):
        async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
            self.calls.append(list(series))
            samples = [Sample(one, NOW, None, "nonsense") if one == DOOR else good(one, 0) for one in series]
            raise ProtocolFault("nonsense", b"\xff", "line", samples)

    line, sink = Line(good), Sink()
    async with running(plan(FakeDriver(lambda _: line), SMOKE, DOOR), sink) as runner:
        await eventually(lambda: {SMOKE, DOOR} <= {sample.series for sample in sink.samples()})
    assert line.calls[0] == [SMOKE, DOOR]
    assert sink.rejects[0] == Reject(NOW, "fake:/line-1 line", "protocol", "nonsense", b"\xff")
    assert runner.counters.lost == 0


async def test_a_bug_in_a_driver_is_said_with_its_traceback_and_stops_nothing() -> None:
    def answer(series: Series, asked: int) -> Sample | Exception:
        return ZeroDivisionError("oops") if asked == 2 else good(series, asked)

    with structlog.testing.capture_logs() as said:
        driver = FakeDriver(lambda _: Asked(answer))
        async with running(plan(driver), Sink()) as runner:
            await eventually(lambda: driver.entered >= 2)
    bug = next(line for line in said if line["event"] == "driver.bug")
    assert "ZeroDivisionError" in bug["traceback"]
    assert runner.counters.bugs >= 1


async def test_a_driver_that_hangs_while_connecting_or_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "ENTER_LIMIT", 0.05)
    monkeypatch.setattr(links, "READ_LIMIT", 0.05)

    class Stuck(Asked):
        async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
            await asyncio.Event().wait()
            return []

    hanging: list[Link] = [Hanging(), Stuck(good)]
    driver = FakeDriver(lambda number: hanging[number - 1] if number <= 2 else Asked(good))
    with structlog.testing.capture_logs() as said:
        async with running(plan(driver), Sink()) as runner:
            await eventually(lambda: runner.counters.samples > 0)
    reasons = [line["reason"] for line in said if line["event"] == "link.down"]
    assert reasons == ["the driver did not connect within 0.05 s", "the driver gave no answer within 0.05 s"]


async def test_a_delivery_is_settled_only_after_the_sink_has_it_and_in_order() -> None:
    sink, order = Sink(), list[int]()

    def delivery(n: int) -> Delivery:
        async def settle() -> None:
            order.append(n)

        return Delivery([Sample(SMOKE if n % 2 else DOOR, NOW, n)], settle=settle)

    sink.open.clear()
    link = Speaking(*(delivery(n) for n in range(10)))
    async with running(plan(FakeDriver(lambda _: link)), sink):
        await eventually(lambda: len(sink.taken) == 10)
        assert order == []
        sink.open.set()
        await eventually(lambda: len(order) == 10)
    assert order == list(range(10))
    assert link.closed
    assert [sample.raw for sample in sink.samples(Lane.URGENT)] == [1, 3, 5, 7, 9]


async def test_what_waits_for_the_sink_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "UNDER_WAY", 4)
    sink = Sink()
    sink.open.clear()
    link = Speaking(*(Delivery([Sample(SMOKE, NOW, n)]) for n in range(50)))
    async with running(plan(FakeDriver(lambda _: link)), sink):
        await eventually(lambda: len(sink.taken) >= 4)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(sink.taken) <= 6
        sink.open.set()
        await eventually(lambda: len(sink.taken) == 50)


async def test_a_push_source_is_not_told_that_what_the_sink_refused_is_safe() -> None:
    settled = list[int]()

    async def settle() -> None:
        settled.append(1)

    sink = Sink(refuse=True)
    driver = FakeDriver(lambda _: Speaking(Delivery([Sample(SMOKE, NOW, 1)], settle=settle)))
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: driver.entered >= 3)
        assert settled == []
        sink.refuse = False
        await eventually(lambda: settled == [1])
    assert runner.counters.samples == 1


async def test_a_sample_with_the_devices_own_time_keeps_ours_beside_it() -> None:
    theirs, ours = Sample(SMOKE, NOW - 60_000_000, 1), Sample(DOOR, NOW - 500_000, 1)
    broken = Sample(DOOR, None, 1)  # type: ignore[arg-type]
    sink = Sink()
    async with running(plan(FakeDriver(lambda _: Speaking(Delivery([theirs, ours, broken])))), sink):
        await eventually(lambda: len(sink.samples()) == 3)
    assert sink.samples(Lane.URGENT) == [theirs._replace(edge_at=NOW)]
    assert sink.samples(Lane.BULK) == [ours, broken]


class HoldingSink(Sink):
    """Has everything urgent in memory only."""

    def __init__(self) -> None:
        super().__init__()
        self.safe: list[asyncio.Future[None]] = []

    async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
        await super().put(lane, samples, rejects)
        if lane is Lane.URGENT:
            self.safe.append(asyncio.get_running_loop().create_future())
            raise Held("the disk takes nothing", self.safe[-1])


async def test_a_push_source_is_told_only_when_what_was_in_memory_is_safe() -> None:
    settled = list[int]()

    async def settle() -> None:
        settled.append(1)

    sink = HoldingSink()
    driver = FakeDriver(lambda _: Speaking(Delivery([Sample(SMOKE, NOW, 1)], settle=settle)))
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: len(sink.safe) == 1)
        assert settled == []
        sink.safe[0].set_result(None)
        await eventually(lambda: settled == [1])
    assert (runner.counters.held, runner.counters.samples, driver.entered) == (1, 1, 1)


async def test_a_push_source_whose_message_nobody_makes_safe_says_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "HELD_LIMIT", 0.05)
    sink = HoldingSink()
    driver = FakeDriver(lambda _: Speaking(Delivery([Sample(SMOKE, NOW, 1)])))
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: driver.entered >= 3)
    assert runner.counters.samples == 0


async def test_polling_goes_on_while_memory_has_to_do_and_what_bulk_lost_is_declared_afterwards() -> None:
    sink = HoldingSink()
    async with running(plan(FakeDriver(lambda _: Asked(good))), sink) as runner:
        await eventually(lambda: runner.counters.held >= 5)
        assert runner.counters.dropped == 0
    refusing = Sink(refuse=True)
    async with running(plan(FakeDriver(lambda _: Asked(good)), DOOR), refusing) as runner:
        await eventually(lambda: runner.counters.dropped >= 5)
        refusing.refuse = False
        await eventually(lambda: len(refusing.rejects) == 1)
        assert refusing.rejects[0].code == "dropped"
        assert refusing.rejects[0].reason.startswith(f"{runner.counters.dropped} samples")


async def test_what_a_poll_brought_and_the_sink_refused_is_counted_and_the_link_stays() -> None:
    sink = Sink(refuse=True)
    driver = FakeDriver(lambda _: Asked(good))
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: runner.counters.dropped >= 4)
        sink.refuse = False
        await eventually(lambda: runner.counters.samples >= 2)
    assert driver.entered == 1


async def test_a_delivery_of_nothing_but_garbage_is_stored_as_bulk_and_settled() -> None:
    settled = asyncio.Event()

    async def settle() -> None:
        settled.set()

    sink, reject = Sink(), Reject(NOW, "fake:/line-1", "frame", "no end", b"@@")
    driver = FakeDriver(lambda _: Speaking(Delivery([], [reject], settle)))
    async with running(plan(driver), sink) as runner:
        await asyncio.wait_for(settled.wait(), 20)
        await eventually(lambda: runner.counters.rejects == 1)
    assert sink.taken == [(Lane.BULK, [], [reject])]


async def test_a_push_link_that_ends_is_entered_again() -> None:
    ends: list[Exception | None] = [LinkDown("gone"), ProtocolFault("nonsense", b"\xff"), None]
    driver = FakeDriver(lambda number: Speaking(end=ends[min(number, 3) - 1]))
    sink = Sink()
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: driver.entered == 3)
        await eventually(lambda: runner.counters.up)
    assert [reject.payload for reject in sink.rejects] == [b"\xff"]


async def test_a_dead_device_on_a_shared_line_gets_a_slower_turn() -> None:
    class Line(Asked):
        async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
            self.calls.append(list(series))
            if any(one == DOOR for one in series):
                await asyncio.sleep(0.05)  # its time-out: part of what is tested, not a wait of the test
            return [Sample(one, NOW, None, "time-out") if one == DOOR else good(one, 0) for one in series]

    line = Line(good)
    async with running(plan(FakeDriver(lambda _: line)), Sink()) as runner:
        await eventually(lambda: len(line.calls) >= 30)
    turns_of_dead = [call for call in line.calls if DOOR in call]
    assert [DOOR] in turns_of_dead
    assert len(turns_of_dead) <= 4
    assert runner._schedule.dead == ["door-1"]


class Both(Asked, Speaking):
    """An agent that is polled and sends traps."""

    def __init__(self, answer: Callable[[Series, int], Sample | Exception], *deliveries: Delivery) -> None:
        Asked.__init__(self, answer)
        Speaking.__init__(self, *deliveries)


async def test_a_link_that_is_asked_and_speaks_by_itself_is_heard_both_ways() -> None:
    sink = Sink()
    settled = asyncio.Event()

    async def settle() -> None:
        settled.set()

    link = Both(good, Delivery([Sample(UPS, NOW, 7)], settle=settle))
    async with running(plan(FakeDriver(lambda _: link), SMOKE, UPS), sink):
        await eventually(lambda: link.asked >= 2 and settled.is_set())
    assert {7, 1} <= {sample.raw for sample in sink.samples()}
    assert link.closed


async def test_of_such_a_link_what_was_polled_is_given_up_and_what_was_pushed_is_sent_again() -> None:
    sink = Sink(refuse=True)
    link = Both(good, Delivery([Sample(UPS, NOW, 7)]))
    driver = FakeDriver(lambda number: link if number == 1 else Asked(good))
    async with running(plan(driver), sink) as runner:
        await eventually(lambda: driver.entered >= 2)
        await eventually(lambda: runner.counters.dropped > 0)
