"""What the standby paged is brought into the database in parts: after a long outage one alarm has thousands of pages."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid5

import pytest
from structlog.testing import capture_logs

from hub.core.alarms import open_alarm
from hub.core.answers import Answer
from hub.core.escalation import Plan
from hub.core.standby import Pursuit, Window
from hub.errors import Conflict
from hub.model import SECOND
from hub.runtime import looking
from hub.runtime.answers import Answers
from hub.runtime.journal import Journal
from hub.runtime.known import Known
from hub.runtime.looking import Looker, Timing
from hub.runtime.pager import Pager
from hub.runtime.shared import wall_clock
from hub.store import reconcile
from hub.store.reconcile import Page, Tried
from hub.testing import eventually
from tests.delivering import ONE, PROFILE, PROFILES
from tests.paging import World

PAGES = 250


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(ONE)
        yield world


def sent(alarm: UUID, n: int) -> Page:
    tried = Tried(wall_clock(), "delivered", 204, "", 1_000)
    return Page(uuid5(alarm, str(n)), 1, 1, n, "guard", "hook", wall_clock(), "sent", (tried,))


async def test_a_chain_of_a_long_outage_is_handed_over_in_parts_and_answered_once_though_one_part_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def hand_over(*given: Any, **more: Any) -> UUID | None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Conflict("somebody holds a row")
        return await reconcile.hand_over(*given, **more)

    monkeypatch.setattr(looking, "hand_over", hand_over)
    alarm = await world.alarm()
    (named,) = await world.rows("select instance from alarm")
    now = wall_clock()
    of = open_alarm("button-1", "pressed", named["instance"], PROFILE.alarms["pressed"], now, now)._replace(id=alarm)
    journal = Journal(None)
    await journal.open()
    chains: Any = SimpleNamespace(
        pursuits={alarm: Pursuit(of, "city", 1, Plan(600 * SECOND, None, ()), 1, 1, now)},
        window=Window(),
        pager=Pager(journal, lambda *_: pytest.fail("nothing is sent here"), wall_clock),
        journal=journal,
        answers=Answers(journal),
        standing=lambda: iter(()),
        looked=lambda began: None,
    )
    took = Answer(alarm, "guard", now, None, over_at=now + 1, why="no sign of guard")
    await chains.answers.give(replace(took, over_at=None), 0.0)
    await chains.answers.end(chains.answers.standing(alarm), took.over_at, took.why)
    chains.pager.owe(alarm, [sent(alarm, n) for n in range(PAGES)])
    known = Known(world.url, PROFILES, folder=None, public_url="", allow_loopback=True, sound=None, clock=wall_clock)
    looker = Looker(world.url, known, chains, Timing())
    looker.migrated.set()
    running = asyncio.create_task(looker.run(), name="looker")
    try:
        await eventually(lambda: not chains.pursuits)
    finally:
        running.cancel()
        await asyncio.wait({running})
        journal.close()
    (found,) = await world.rows(
        "select count(*) as pages, count(*) filter (where state = 'sent') as sent from notification"
    )
    assert (found["pages"], found["sent"]) == (PAGES, PAGES)
    parts = await world.rows("select count(*) as n from notification group by xmin::text order by 1")
    assert [row["n"] for row in parts] == [PAGES % looking.PART, looking.PART, looking.PART]
    history = await world.rows("select event, count(*) as n from alarm_transition group by event order by event")
    assert [(row["event"], row["n"]) for row in history] == [("acknowledge", 1), ("lapse", 1)]


async def test_a_disk_that_hangs_holds_up_no_look_at_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not look believes that nobody has taken anything, and pages on."""
    monkeypatch.setattr("hub.runtime.known.DISK", 0.05)
    known = Known("", PROFILES, folder=None, public_url="", allow_loopback=True, sound=None, clock=wall_clock)
    written, works = list[str](), threading.Event()

    def save(name: str, part: object) -> bool:
        works.wait()
        written.append(name)
        if part == "what cannot be written":
            raise TypeError
        return True

    monkeypatch.setattr(known.cache, "save", save)
    try:
        assert await known.keep("open", "first")
        assert not await known.keep("open", "second"), "it waits for its turn in the next look"
        assert await known.keep("people", "first"), "and no other part does"
    finally:
        works.set()
    await eventually(lambda: sorted(written) == ["open", "people"])
    await eventually(lambda: all(one.done() for one in known._writing.values()))
    assert await known.keep("open", "second")
    with capture_logs() as logs:
        assert await known.keep("open", "what cannot be written")
        await eventually(lambda: [line["event"] for line in logs] == ["standby.plan_not_written"])
    assert await known.keep("open", "third"), "a mistake of ours is said, and looks go on"
