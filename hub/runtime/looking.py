"""The standby's side towards the database: it looks at what is open again and again, keeps the plan fresh, and hands over what was paged.

Two connections: policies and the register of devices take seconds to read, and no look at what is open waits for them. A database that does not
answer in time is cut off and asked anew.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog

from hub.core.answers import Answer
from hub.core.backoff import full_jitter
from hub.core.standby import Pursuit, Window
from hub.errors import ODD, Conflict, LinkDown
from hub.runtime.answers import Answers
from hub.runtime.apart import apart
from hub.runtime.journal import Journal
from hub.runtime.known import PEOPLE, PLACES, Known
from hub.runtime.pager import Pager
from hub.store.plan import Open, Source, open_source
from hub.store.pool import Connection, cut
from hub.store.reconcile import hand_over

REFRESH = 0.5
"""seconds between two looks at what is open where nothing happens (and `CALM`; at once when something is announced)"""
CALM = 0.5
"""seconds between two looks at what is open at least: a person's act is seen within them"""
ANSWER = 3.0
"""seconds after which a database that does not answer is cut off and asked anew"""
WHOLE = 5.0
"""seconds after which a connection has served: one that ends earlier is the same failure again (a database that answers and takes nothing)"""
COMING = 5.0
"""seconds after its return that the database is given for the messages of an outage before it is told who took what they raised"""
PART = 100
"""pages that are handed over in one transaction: after a day of an outage an alarm has thousands, and whoever takes it waits for no more than these"""
ORPHANED = 300.0
"""seconds with an answering database after which a page without an alarm is let go, loudly"""
_log = structlog.get_logger(__name__)
T = TypeVar("T")


class Timing(NamedTuple):
    """What tests shorten."""

    grace: float = 0.75
    """seconds that a commit may take before its presses are paged from here; a commit takes some milliseconds"""
    settled: float = 1.25
    """the same for what was committed and no look has shown: its pages are in a database that fell silent just then"""
    refresh: float = REFRESH
    people: float = PEOPLE
    orphaned: float = ORPHANED


class Chains(Protocol):
    """Whose chains are handed over (hub.runtime.standby)."""

    pursuits: dict[UUID, Pursuit]
    window: Window
    pager: Pager
    journal: Journal
    answers: Answers

    def standing(self) -> Iterator[UUID]:
        """Alarms that lanes of this process take for standing."""
        ...

    def looked(self, began: float) -> None:
        """What is open was read anew, from `began` (monotonic seconds) on."""
        ...


class Looker:
    """One a standby. `migrated` is set by whoever runs it: the database has the tables that this program knows."""

    def __init__(self, database_url: str, known: Known, chains: Chains, timing: Timing) -> None:
        self._database_url = database_url
        self._known = known
        self._chains = chains
        self._timing = timing
        self._absent: dict[UUID, float] = {}
        self._written: dict[UUID, tuple[Answer, ...]] = {}
        """answers that stand in the database, of chains that are not handed over whole yet"""
        self._learnt = asyncio.Event()
        self._moved = asyncio.Event()
        """the register of devices did"""
        self.migrated = asyncio.Event()
        self.ready = asyncio.Event()
        """a plan is there, from the disk or from the database"""

    async def run(self) -> None:
        """Until cancelled."""
        await self.migrated.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again(self._learn), name="standby-learn")
            tasks.create_task(self._again(self._look), name="standby-look")

    async def _again(self, session: Callable[[], Coroutine[Any, Any, None]]) -> None:
        attempt, loop = 0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await apart(session())
            except (LinkDown, Conflict, *ODD) as error:
                self._chains.pager.held.clear()
                attempt = 1 if loop.time() - began > WHOLE else attempt + 1
                say = _log.warning if attempt == 1 else _log.debug
                say("standby.database_lost", error=" ".join(str(error).split())[:200])
                await asyncio.sleep(full_jitter(attempt, 0.25, 1.0, random.random()))

    # what changes seldom and takes long -------------------------------------------------------------------------------

    async def _learn(self) -> None:
        """Read places and people again and again."""
        loop, known = asyncio.get_running_loop(), self._known
        async with open_source(self._database_url) as source:
            ask = partial(_within, source.conn)
            people_at = places_at = -PLACES
            while True:
                now = loop.time()
                if now - people_at >= self._timing.people:
                    known.people = await ask(source.people(known.steady()), ANSWER)
                    people_at, known.people_at = now, loop.time()
                    await known.keep("people", known.people)
                if now - places_at >= PLACES or self._moved.is_set():
                    self._moved.clear()
                    known.partitions = await ask(source.partitions(), ANSWER)
                    places = await ask(source.places(), 10 * ANSWER)
                    known.places = {place.id: place for place in places}
                    places_at, known.places_at = now, loop.time()
                    await known.keep("places", places)
                self._learnt.set()
                waiting = asyncio.ensure_future(self._moved.wait())
                await asyncio.wait({waiting}, timeout=min(self._timing.people, PLACES))
                waiting.cancel()
                await asyncio.sleep(CALM)

    # what is open -------------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Read what is open again and again, and hand over what was paged."""
        loop, known, chains = asyncio.get_running_loop(), self._known, self._chains
        await self._learnt.wait()
        async with open_source(self._database_url) as source:
            ask = partial(_within, source.conn)
            saved: Open | None = None
            saved_at = -PLACES
            back = loop.time()
            while True:
                began = loop.time()
                found = await ask(source.open(known.steady()), ANSWER)
                known.see(found, tuple(chains.standing()))
                known.answered = loop.time()
                chains.looked(began)
                facts = replace(found, at=0, ahead=0)
                if facts != saved or known.answered - saved_at > PLACES / 2:
                    now = known.answered
                    if await known.keep("open", found):
                        saved, saved_at = facts, now
                self.ready.set()
                for pursuit in [*chains.pursuits.values()]:
                    # a press that comes after its own acknowledgement would be a new cry for help
                    if loop.time() - back > COMING or not self._comes(pursuit):
                        await self._hand_over(source, pursuit, ask)
                await asyncio.sleep(CALM)  # who changes something all the time is looked at twice a second
                busy = chains.pursuits or chains.window.count
                if "anxin_registry" in await source.wait(0.0 if busy else self._timing.refresh):
                    self._moved.set()

    def _comes(self, pursuit: Pursuit) -> bool:
        """Whether somebody has taken the alarm here, and messages of its place are still on their way into the database."""
        partition = self._known.partition_of(pursuit.alarm)
        waits = partition is not None and self._chains.window.waits(partition)
        return waits and bool(self._chains.answers.of(pursuit.alarm.id))

    async def _hand_over(
        self,
        source: Source,
        pursuit: Pursuit,
        ask: Callable[[Coroutine[Any, Any, UUID | None], float], Awaitable[UUID | None]],
    ) -> None:
        known, chains = self._known, self._chains
        id_ = pursuit.alarm.id
        pages = chains.pager.pages(id_)
        if known.is_shown(id_):
            chains.pager.held.add(id_)  # the database has it: nothing new begins here, so that this comes to an end
        if pages is None or chains.pursuits.get(id_) != pursuit or chains.pager.is_noting(id_):
            return  # something is under way: next time

        ahead = known.open.ahead  # by its clock from here on
        theirs = [page._replace(due_at=page.due_at + ahead) for page in pages]
        answers = chains.answers.of(id_)
        taken = [
            replace(one, at=one.at + ahead, over_at=None if one.over_at is None else one.over_at + ahead)
            for one in answers
        ]

        begun = replace(pursuit, started_at=pursuit.started_at + ahead)
        known_there = [one for one, given in zip(taken, answers, strict=True) if given in self._written.get(id_, ())]

        async def write(first: int) -> UUID | None:
            async with source.transaction() as cur:
                part = theirs[first : first + PART]
                return await hand_over(cur, begun, part, taken, standing=taken if first else known_there)

        try:
            alarm = await ask(write(0), ANSWER)
            if alarm is not None:  # what follows may fail and begin again: nobody acknowledges twice
                self._written[id_] = answers
            for first in range(PART, len(theirs), PART):
                alarm = await ask(write(first), ANSWER)
        except (Conflict, *ODD) as error:
            _log.warning("standby.not_handed_over", alarm=str(id_), reason=repr(error)[:200])
            chains.pager.held.discard(id_)  # a lock that holds: it is still ours
            return
        if chains.pursuits.get(id_) != pursuit or chains.pager.pages(id_) != pages or chains.answers.of(id_) != answers:
            return  # it went on meanwhile: what is new is handed over next time
        now = asyncio.get_running_loop().time()
        if alarm is None:
            since = self._absent.setdefault(id_, now)
            partition = known.partition_of(pursuit.alarm)
            waits = partition is not None and chains.window.waits(partition)
            if waits or now - since < self._timing.orphaned:
                return
            _log.error("standby.page_without_alarm", alarm=str(id_), device=pursuit.alarm.device, pages=len(pages))
        else:
            _log.info("standby.handed_over", alarm=str(alarm), pages=len(pages), round=pursuit.round)
            known.saw(pursuit.alarm._replace(id=alarm))  # a further press is an occurrence of that one
        self._absent.pop(id_, None)
        self._written.pop(id_, None)
        chains.pager.held.discard(id_)
        rounds = known.open.rounds
        if alarm is not None:  # another press before the next look is a round of its own, under keys of its own
            rounds = {**rounds, alarm: max(pursuit.round, rounds.get(alarm, 0))}
        known.open = replace(
            known.open, running=(), rounds=rounds
        )  # how far they are is known again with the next look
        del chains.pursuits[id_]
        chains.answers.release(id_)
        await chains.journal.forget(id_, chains.pager.release(id_))


async def _within(conn: Connection, work: Coroutine[Any, Any, T], seconds: float) -> T:
    """What the database answers; raises LinkDown where it does not within `seconds`: a frozen server would hold us for ever."""
    asking = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({asking}, timeout=seconds)
    except asyncio.CancelledError:
        await _abandon(conn, asking)
        raise
    if not done:
        await _abandon(conn, asking)
        raise LinkDown(f"database: no answer within {seconds:g} s")
    return asking.result()


async def _abandon(conn: Connection, asking: "asyncio.Future[Any]") -> None:
    """Cut the connection off, so that whoever uses it ends; what it then says interests nobody."""
    cut(conn)
    asking.add_done_callback(lambda late: late.cancelled() or late.exception())
    await asyncio.wait({asking}, timeout=1.0)


__all__ = ["Looker", "Timing"]
