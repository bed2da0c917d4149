"""Links of drivers that break the contract: none of it may end a link for good, wedge it, or flood the log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import structlog

from hub.driver import Binding, Link
from hub.errors import LinkDown
from hub.model import Delivery, Lane, Reject, Sample, Series
from hub.runtime import links
from hub.testing import eventually
from tests.runtime.test_links import DOOR, NOW, SMOKE, Asked, FakeDriver, Sink, Speaking, good, plan, running

pytestmark = pytest.mark.usefixtures("no_long_pauses")


class PanicError(BaseException):
    """As extension modules raise (pyo3's PanicException is no Exception)."""


@pytest.mark.parametrize("error", [asyncio.CancelledError(), PanicError("rust"), SystemExit(3)])
async def test_a_driver_that_raises_what_is_no_exception_is_entered_again(error: BaseException) -> None:
    class Leaking(Asked):
        async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
            raise error

    driver = FakeDriver(lambda number: Leaking(good) if number == 1 else Asked(good))
    async with running(plan(driver), Sink()) as runner:
        await eventually(lambda: runner.counters.samples > 0)
    assert runner.counters.bugs == 1


async def test_a_settle_that_is_cancelled_by_itself_does_not_wedge_the_link() -> None:
    async def settle() -> None:
        raise asyncio.CancelledError

    def enter(number: int) -> Link:
        return Speaking(Delivery([Sample(SMOKE, NOW, 1)], settle=settle)) if number == 1 else Asked(good)

    async with running(plan(FakeDriver(enter)), Sink()) as runner:
        await eventually(lambda: runner.counters.samples > 0)


async def test_a_settle_that_hangs_ends_the_link_and_it_is_entered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "SETTLE_LIMIT", 0.05)

    async def settle() -> None:
        await asyncio.Event().wait()

    def enter(number: int) -> Link:
        return Speaking(Delivery([Sample(SMOKE, NOW, 1)], settle=settle)) if number == 1 else Asked(good)

    async with running(plan(FakeDriver(enter)), Sink()) as runner:
        await eventually(lambda: runner.counters.samples > 0)


class Staying(FakeDriver):
    """Its first connection is left only when somebody insists."""

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[Link]:
        self.entered += 1
        try:
            yield self.enter(self.entered)
        finally:
            if self.entered == 1:
                await asyncio.Event().wait()


class Clinging(Speaking):
    """Its stream ends by raising and never lets itself be closed."""

    async def deliveries(self) -> AsyncIterator[Delivery]:
        try:
            yield Delivery([Sample(SMOKE, NOW, 1)], settle=self.refuse)
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()

    async def refuse(self) -> None:
        raise LinkDown("the line is gone")


@pytest.mark.parametrize("kind", [Staying, FakeDriver])
async def test_a_link_whose_leaving_hangs_is_entered_again(
    monkeypatch: pytest.MonkeyPatch, kind: type[FakeDriver]
) -> None:
    monkeypatch.setattr(links, "LEAVE_LIMIT", 0.05)
    first = Speaking(end=LinkDown("gone")) if kind is Staying else Clinging()
    driver = kind(lambda number: first if number == 1 else Asked(good))
    with structlog.testing.capture_logs() as said:
        async with running(plan(driver), Sink()) as runner:
            await eventually(lambda: runner.counters.samples > 3)
    assert [line["event"] for line in said].count("link.leaving_hung") == 1


async def test_a_disk_that_takes_nothing_is_said_once_until_it_takes_something_again() -> None:
    sink = Sink(refuse=True)
    with structlog.testing.capture_logs() as said:
        async with running(plan(FakeDriver(lambda _: Asked(good))), sink) as runner:
            await eventually(lambda: runner.counters.dropped >= 10)
            sink.refuse = False
            await eventually(lambda: runner.counters.samples > 0)
            sink.refuse = True
            dropped = runner.counters.dropped
            await eventually(lambda: runner.counters.dropped >= dropped + 10)
    loud = [line for line in said if line["event"] == "link.dropped" and line["log_level"] == "error"]
    assert len(loud) == 2


async def test_a_press_does_not_wait_behind_hundreds_of_bulk_messages_of_the_same_broker() -> None:
    """After a reconnection a site's broker hands over what it kept; the bulk of it takes a moment to gather in the spool."""

    class Gathering(Sink):
        async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
            self.taken.append((lane, list(samples), list(rejects)))
            if lane is Lane.BULK:
                await self.open.wait()

    sink = Gathering()
    sink.open.clear()
    chatter = [Delivery([Sample(DOOR, NOW, n)]) for n in range(400)]
    link = Speaking(*chatter, Delivery([Sample(SMOKE, NOW, 1)]))
    async with running(plan(FakeDriver(lambda _: link)), sink):
        await eventually(lambda: len(sink.samples(Lane.URGENT)) == 1)
        sink.open.set()


async def test_a_driver_whose_task_group_fails_while_it_is_left_is_entered_again() -> None:
    """Python 3.11 leaves such a task marked as being cancelled for ever."""

    class Grouped(FakeDriver):
        @contextlib.asynccontextmanager
        async def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[Link]:
            self.entered += 1
            try:
                yield self.enter(self.entered)
            finally:
                with contextlib.suppress(ExceptionGroup):
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self.fail())

        async def fail(self) -> None:
            await asyncio.sleep(0)
            raise LinkDown("gone")

    driver = Grouped(lambda number: Speaking(end=LinkDown("gone")) if number < 4 else Asked(good))
    async with running(plan(driver), Sink()) as runner:
        await eventually(lambda: runner.counters.samples > 0)
