"""What the pager says of whom it has told."""

import asyncio
import uuid
from typing import ClassVar

import pytest

from hub.core.escalation import Due, idempotency_key
from hub.notify import Channel, Message, Outcome, Receipt
from hub.runtime.journal import Journal
from hub.runtime.pager import MOST_WAIT, PUT_OFF, Pager
from hub.store.reconcile import Page
from hub.testing import eventually
from tests.notify.letters import MESSAGE

ALARM, OTHER = uuid.uuid4(), uuid.uuid4()


class Slow:
    """A provider that takes its time."""

    carries_marks: ClassVar[bool] = True

    def __init__(self) -> None:
        self.answers = asyncio.Event()

    async def send(self, message: Message) -> Receipt:
        await self.answers.wait()
        return Receipt(Outcome.DELIVERED, 204)


async def test_a_press_while_a_page_is_under_way_or_just_after_it_began_is_not_told_by_it() -> None:
    now, slow, journal = [1_000], Slow(), Journal(None)
    await journal.open()
    channel: Channel = slow
    pager = Pager(journal, lambda alarm, page: (channel, MESSAGE), lambda: now[0])
    key = idempotency_key(ALARM, Due(1, 1, 0, "duty", "hook", 0))
    try:
        async with asyncio.TaskGroup() as tasks:
            pager.owe(ALARM, [Page(key, 1, 1, 0, "duty", "hook", 0, "pending", ())])
            assert not pager.told_since(ALARM, 0)
            pager.send(tasks, 10.0)
            now[0] = 2_000
            assert [pager.told_since(ALARM, at) for at in (1_000, 1_001)] == [True, False]
            slow.answers.set()
            await eventually(lambda: pager.outcomes["delivered"] == 1)
            assert [pager.told_since(ALARM, at) for at in (1_000, 1_001, 2_000)] == [True, False, False]
            assert not pager.told_since(OTHER, 0)
    finally:
        journal.close()


async def test_of_the_deliverers_attempts_only_a_few_wait_for_what_is_decided_here_and_the_others_free_their_places() -> (
    None
):
    journal = Journal(None)
    await journal.open()
    slow = Slow()
    channel: Channel = slow
    pager = Pager(journal, lambda alarm, page: (channel, MESSAGE), lambda: 0)
    answered = {ALARM}
    pager.is_answered = lambda alarm: alarm in answered
    pages = [Page(uuid.uuid4(), 1, n, 0, "duty", "hook", 0, "pending", ()) for n in range(8)]
    try:
        async with asyncio.TaskGroup() as tasks:
            pager.owe(OTHER, pages)
            pager.send(tasks, 0.0)
            asked = [tasks.create_task(pager.before(uuid.uuid4(), ALARM)) for _ in range(64)]
            asked += [tasks.create_task(pager.before(page.key, OTHER)) for page in pages]
            await eventually(lambda: sum(not one.done() for one in asked) == MOST_WAIT)
            put_off = [one.result() for one in asked if one.done()]
            assert all(
                one is not None and one.outcome is Outcome.FAILED and one.retry_after == PUT_OFF for one in put_off
            )
            answered.clear()
            await eventually(lambda: all(one.done() for one in asked))
            slow.answers.set()
            assert await pager.before(uuid.uuid4(), ALARM) is None, "nothing waits any more: there is room again"
    finally:
        journal.close()


async def test_what_the_deliverer_is_writing_down_just_now_is_not_handed_over_in_that_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hub.runtime.pager.NOTING", 0.05)
    journal, key = Journal(None), uuid.uuid4()
    await journal.open()
    channel: Channel = Slow()
    pager = Pager(journal, lambda alarm, page: (channel, MESSAGE), lambda: 0)
    try:
        pager.owe(ALARM, [Page(key, 1, 1, 0, "duty", "hook", 0, "sent", ())])
        assert not pager.is_noting(ALARM)
        found = await pager.before(key, ALARM)
        assert found is not None
        assert found.outcome is Outcome.DELIVERED
        assert pager.is_noting(ALARM)
        assert not pager.is_noting(OTHER)
        await eventually(lambda: not pager.is_noting(ALARM))
    finally:
        journal.close()


class Broken:
    """A channel that is cancelled from within, as Python 3.11.2 does it after a TaskGroup of its own has failed."""

    carries_marks: ClassVar[bool] = True

    async def send(self, message: Message) -> Receipt:
        raise asyncio.CancelledError


async def test_an_attempt_that_is_cancelled_from_within_is_a_failed_one_and_is_tried_again() -> None:
    journal, broken = Journal(None), Broken()
    await journal.open()
    channel: Channel = broken
    pager = Pager(journal, lambda alarm, page: (channel, MESSAGE), lambda: 0)
    try:
        async with asyncio.TaskGroup() as tasks:
            pager.owe(ALARM, [Page(uuid.uuid4(), 1, 1, 0, "duty", "hook", 0, "pending", ())])
            pager.send(tasks, 0.0)
            await eventually(lambda: pager.outcomes["failed"] == 1)
            assert [(page.state, len(page.tried)) for page in pager.pages(ALARM) or []] == [("pending", 1)]
            pager.send(tasks, asyncio.get_running_loop().time() + 100.0)
            await eventually(lambda: pager.outcomes["failed"] == 2)
    finally:
        journal.close()
