"""The standby's files: the plan tells nobody anything without the database's address, the journal survives, and a bad disk delays no page."""

import asyncio
import sqlite3
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hub.core.alarms import open_alarm
from hub.core.answers import Answer
from hub.core.escalation import Due, Plan, Step, idempotency_key
from hub.core.standby import Pursuit
from hub.errors import Conflict
from hub.model import SECOND
from hub.notify import Message, Outcome, Receipt
from hub.runtime.answers import Answers
from hub.runtime.journal import Journal
from hub.runtime.known import Known
from hub.runtime.owned_folder import owned
from hub.runtime.pager import Pager
from hub.runtime.plan_cache import PlanCache
from hub.store.plan import People, Place
from hub.store.policies import Channel, Responder
from hub.store.reconcile import BESIDE, Page
from hub.testing import eventually
from tests.runtime.city import profiles

URL = "postgresql://anxin:correct-horse@db/anxin"
PEOPLE = People(
    responders=(Responder("duty", "值班", "Duty", (Channel("hook", "webhook", {"secret": "whsec_hidden"}),)),)
)
PLACE = Place(
    1, "b", "g", 1, "14", "centre", 0, "p", "in_service", "e", False, ("花", "G"), None, ("门", "Door"), ("x",)
)
ALARM = open_alarm("button-1", "click", "", profiles()["test-button"].alarms["click"], 5, 6)
PURSUIT = Pursuit(ALARM, "all", 3, Plan(60 * SECOND, None, (Step(1, "duty", "hook"),)), 1, 2, 7, frozenset({(2, 1, 0)}))


def page(n: int = 1) -> Page:
    return Page(uuid.UUID(int=n), 1, 1, 0, "duty", "hook", 7, "pending", ())


# the folder ---------------------------------------------------------------------------------------------------------


async def test_two_hubs_over_one_folder_are_refused_by_name_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    holding = "import asyncio, sys; from pathlib import Path; from hub.runtime.owned_folder import owned\n"
    holding += "async def hold():\n async with owned(Path(sys.argv[1])):\n  print('held', flush=True); await asyncio.sleep(600)\n"
    command = (sys.executable, "-c", holding + "asyncio.run(hold())", str(folder))
    other = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert await asyncio.wait_for(other.stdout.readline(), 30) == b"held\n"
        with pytest.raises(Conflict, match=f"ANXIN_DATA: {folder} is held by another 'anxin serve' with role paging"):
            async with owned(folder, patience=0.3):
                pytest.fail("two hubs over one journal")
    finally:
        other.kill()
        await other.wait()
    async with owned(folder, patience=5.0), owned(None):
        with pytest.raises(Conflict):
            async with owned(folder, patience=0.0):
                pytest.fail("two in one process")
    blocked = tmp_path / "file"
    blocked.touch()
    async with owned(blocked / "data"):  # a disk that takes nothing delays no page
        assert not (blocked / "data").exists()


# the plan -----------------------------------------------------------------------------------------------------------


def test_the_plan_comes_back_as_it_was_and_its_file_shows_nothing_to_anybody_else(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    cache = PlanCache(folder, URL)
    assert cache.save("people", PEOPLE)
    assert cache.save("places", [PLACE])
    assert PlanCache(folder, URL).load("people", People) == PEOPLE
    assert PlanCache(folder, URL).load("places", list[Place]) == [PLACE]
    assert folder.stat().st_mode & 0o777 == 0o700
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        assert not any(
            word in file.read_bytes() for word in (b"whsec", b"hidden", b"duty", b"webhook", b"correct-horse")
        )


@pytest.mark.parametrize("spoil", ["another address", "cut", "flipped", "renamed", "garbage"])
def test_a_plan_that_cannot_be_trusted_is_none(tmp_path: Path, spoil: str) -> None:
    cache = PlanCache(tmp_path, URL)
    assert cache.save("people", PEOPLE)
    file = tmp_path / "people.plan"
    whole = file.read_bytes()
    if spoil == "another address":
        assert PlanCache(tmp_path, URL + "2").load("people", People) is None
        return
    if spoil == "renamed":
        file.rename(tmp_path / "places.plan")
        assert cache.load("places", People) is None
        return
    bad = {"cut": whole[:40], "flipped": whole[:-1] + bytes([whole[-1] ^ 1]), "garbage": b"\0" * 99}[spoil]
    file.write_bytes(bad)
    assert PlanCache(tmp_path, URL).load("people", People) is None


def test_a_disk_that_takes_no_plan_is_said_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    assert not PlanCache(tmp_path / "data", URL).save("people", PEOPLE)


def test_a_page_that_others_have_sent_is_found_again_by_its_key_and_what_was_not_due_is_not() -> None:
    now = 1_800_000_000 * SECOND
    about: dict[str, Any] = {"folder": None, "public_url": "", "allow_loopback": True, "sound": None}
    known = Known(URL, profiles(), **about, clock=lambda: now)
    known.people = PEOPLE
    steps = (Step(1, "duty", "hook", 0, 5 * SECOND, 2), Step(2, "duty", "hook", 40 * SECOND))
    running = Pursuit(ALARM, "all", 3, Plan(60 * SECOND, None, steps), 1, 2, now - 7 * SECOND)

    def key_of(number: int, step: int, repetition: int) -> uuid.UUID:
        return idempotency_key(ALARM.id, Due(number, step, repetition, "duty", "hook", 0))

    for sent in ((1, 1, 0), (1, 2, 0), (2, 1, 0), (2, 1, 1)):
        assert known.named(key_of(*sent), [running]) == (ALARM, "duty")
    for never in ((2, 1, 2), (2, 2, 0), (3, 1, 0)):
        assert known.named(key_of(*never), [running]) is None
    endless = Pursuit(ALARM, "all", 3, Plan(SECOND, None, (Step(1, "duty", "hook"),)), 1, 10**7, now)
    assert known.named(key_of(1, 1, 0), [endless]) is None  # and quickly


# the journal --------------------------------------------------------------------------------------------------------


async def test_what_is_owed_and_what_was_sent_is_there_after_a_restart_and_gone_when_handed_over(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "data")
    assert await journal.open() == ([], [], [], [])
    await journal.owe([(PURSUIT, [page(1), page(2)])])
    await journal.note(ALARM.id, page(1)._replace(state="sent"))
    await journal.delivered(uuid.UUID(int=9))
    took = Answer(ALARM.id, "值班 [duty]", 11, page(1).key)
    await Answers(journal).give(took, 1.0)
    journal.close()
    again = Journal(tmp_path / "data")
    kept = await again.open()
    assert kept.pursuits == [PURSUIT]
    assert {one.key: one.state for _, one in kept.pages} == {page(1).key: "sent", page(2).key: "pending"}
    assert kept.delivered == [uuid.UUID(int=9)]
    answers = Answers(again)
    answers.restore(kept.answers)
    assert answers.standing(ALARM.id) == took
    with pytest.raises(Conflict, match="already acknowledged"):
        await answers.give(replace(took, at=12), 2.0)
    assert answers.is_after(took, 12, 0.0)
    assert not answers.is_after(took, 11, 99.0)  # after a restart the time of the press alone says it
    assert (tmp_path / "data" / "journal.db").stat().st_mode & 0o777 == 0o600
    await again.forget(ALARM.id, [page(1).key])
    await again.note(ALARM.id, page(2))  # too late: it is not written
    again.close()
    last = Journal(tmp_path / "data")
    assert await last.open() == ([], [], [uuid.UUID(int=9), page(1).key], [])
    last.close()


async def test_a_damaged_journal_is_moved_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 300)
    journal = Journal(tmp_path)
    assert await journal.open() == ([], [], [], [])
    await journal.owe([(PURSUIT, [])])
    journal.close()
    assert list(tmp_path.glob("journal.corrupt-*"))
    again = Journal(tmp_path)
    assert (await again.open()).pursuits == [PURSUIT]
    again.close()


async def test_a_row_that_another_release_wrote_costs_no_other_and_nobody_who_may_not_have_been_told(
    tmp_path: Path,
) -> None:
    other = replace(PURSUIT, alarm=ALARM._replace(id=uuid.UUID(int=77)))
    gone = replace(PURSUIT, alarm=ALARM._replace(id=uuid.UUID(int=78)))
    journal = Journal(tmp_path)
    await journal.open()
    await journal.owe([(PURSUIT, [page(1)]), (other, [page(2), page(3)])])
    await journal.owe([(gone, [page(4)._replace(state="sent"), page(5)])])
    await journal.answer(Answer(ALARM.id, "值班 [duty]", 11, page(1).key))
    await journal.answer(Answer(other.alarm.id, "值班 [duty]", 11, page(2).key))
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as file:
        for table, where, key in (
            ("page", "key", page(1).key),
            ("answer", "alarm", ALARM.id),
            ("pursuit", "alarm", gone.alarm.id),
        ):
            file.execute(f"update {table} set body = x'93c0' where {where} = ?", (str(key),))
    file.close()
    again = Journal(tmp_path)
    kept = await again.open()
    again.close()
    assert kept.pursuits == [replace(PURSUIT, done=frozenset()), other]  # the step of a page that is lost is due again
    assert kept.pages == [(other.alarm.id, page(2)), (other.alarm.id, page(3))]
    assert [answer.alarm for answer in kept.answers] == [other.alarm.id]
    assert kept.delivered == [page(4).key]


async def test_a_journal_that_hangs_or_is_full_delays_nobody_and_is_counted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.open()
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("begin immediate")  # somebody holds the file
        async with asyncio.timeout(10):
            await journal.owe([(PURSUIT, [page()])])
        assert journal.failures >= 1
        other.rollback()
    other.close()
    journal.close()


# who sends ----------------------------------------------------------------------------------------------------------


class Channels:
    """A channel that answers as told."""

    carries_marks: ClassVar[bool] = True

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[Message] = []
        self.go = asyncio.Event()

    async def send(self, message: Message) -> Receipt:
        await self.go.wait()
        self.sent.append(message)
        return Receipt(self.outcomes.pop(0) if self.outcomes else Outcome.DELIVERED, 204)


async def test_of_deliverer_and_standby_whoever_takes_a_key_first_sends_it(tmp_path: Path) -> None:
    channel, loop = Channels(), asyncio.get_running_loop()
    message = Message(**dict.fromkeys(Message._fields, None) | Message._field_defaults)  # type: ignore[arg-type]
    journal = Journal(None)
    await journal.open()
    pager = Pager(journal, lambda _, one: (channel, message._replace(id=one.key)), lambda: 1)
    async with asyncio.TaskGroup() as tasks:
        assert await pager.before(page(1).key, ALARM.id) is None  # the deliverer has it
        pager.owe(ALARM.id, [page(1), page(2)])
        pager.send(tasks, loop.time())
        assert pager.pages(ALARM.id) is None  # the second is under way
        waiting = tasks.create_task(pager.before(page(2).key, ALARM.id))
        channel.go.set()
        receipt = await waiting
        assert receipt == Receipt(Outcome.DELIVERED, 204, BESIDE)
        await pager.after(page(1).key, Receipt(Outcome.DELIVERED, 200))
        pager.send(tasks, loop.time())
        await eventually(lambda: pager.pages(ALARM.id) is not None)
    assert len(channel.sent) == 1
    assert {one.state for one in pager.pages(ALARM.id) or ()} == {"sent"}
    assert set(pager.release(ALARM.id)) == {page(1).key, page(2).key}
    assert await pager.before(page(1).key, ALARM.id) == Receipt(Outcome.DELIVERED, 200, BESIDE)
    journal.close()


async def test_a_page_that_fails_is_tried_again_and_a_refused_one_is_not() -> None:
    channel, loop = Channels(Outcome.FAILED, Outcome.REFUSED), asyncio.get_running_loop()
    channel.go.set()
    message = Message(**dict.fromkeys(Message._fields, None) | Message._field_defaults)  # type: ignore[arg-type]
    journal = Journal(None)
    await journal.open()
    pager = Pager(journal, lambda _, one: (channel, message._replace(id=one.key)), lambda: 1)
    pager.owe(ALARM.id, [page(1)])
    pager.held.add(ALARM.id)
    async with asyncio.TaskGroup() as tasks:
        pager.send(tasks, loop.time())  # it is being handed over
    assert channel.sent == []
    pager.held.clear()
    for expected in ("pending", "failed", "failed"):
        async with asyncio.TaskGroup() as tasks:
            pager.send(tasks, loop.time() + 100)  # as if its time had come
        assert [one.state for one in pager.pages(ALARM.id) or ()] == [expected]
    assert len(channel.sent) == 2
    journal.close()
