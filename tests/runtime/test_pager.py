"""What the pager says of whom it has told."""

import asyncio
import uuid
from typing import ClassVar

from hub.core.escalation import Due, idempotency_key
from hub.notify import Channel, Message, Outcome, Receipt
from hub.runtime.journal import Journal
from hub.runtime.pager import Pager
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
