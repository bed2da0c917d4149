"""The standby: pages fire and panic while the database does not answer, whatever the reason (stopped, frozen, full, a lock that holds).

It hears the urgent lane by an MQTT session of its own, and the hub's confirmations. What ingest has not confirmed within its grace is judged by
the same pure functions over the state as last committed, and paged by the cached plan, from a journal, under the identities that ingest,
escalator and deliverer will compute for the same press. So is what was confirmed just before the database fell silent, since its pages lie in
it. Then steps and rounds go on until the database answers again: what was paged is brought into it, the escalation goes on from there, and
nothing goes out twice. It confirms nothing to anybody.

While the database answers it keeps the plan fresh (`hub.runtime.looking`) and, as a by-product, takes up a step of a fire or panic that is long
overdue.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import structlog

from hub.core import wire
from hub.core.alarms import Alarm
from hub.core.answers import PRESSED_AGAIN, Answer, lapses_at
from hub.core.backoff import full_jitter
from hub.core.lane import Message, State
from hub.core.standby import (
    Judge,
    Pursuit,
    Waiting,
    Window,
    as_known,
    due_rows,
    hastened,
    is_pursued,
    moved_on,
    renewed,
    with_done,
    with_pursued,
)
from hub.errors import AccessDenied, BadInput, Conflict, LinkDown
from hub.model import SECOND, Lane, Micros
from hub.mqtt import Broker, Incoming, session
from hub.notify import Channel
from hub.notify import Message as Letter
from hub.notify.siren import Sound
from hub.profiles import Profile
from hub.registry import Registry
from hub.runtime.answers import Answers
from hub.runtime.apart import apart
from hub.runtime.journal import Journal
from hub.runtime.known import Known
from hub.runtime.looking import ANSWER, Looker, Timing
from hub.runtime.owned_folder import owned
from hub.runtime.pager import Pager
from hub.runtime.shared import wall_clock
from hub.store.reconcile import Page

LOOK = 0.1
GATHERED = LOOK, 64
"""seconds and messages after which what came is noted: nobody looks sooner, and to wake for each beat of a province costs more than to note it"""
STALE: Micros = 3 * SECOND
"""what is overdue by this much while the database does not answer is sent from here"""
OVERDUE: Micros = 8 * SECOND
"""the same while it answers: the escalator had its chance"""
ROUND = 10.0
"""seconds after which its loop stands still"""
FORGOTTEN = 86_400.0
"""seconds after which nobody can say any more that an escalation that ran then runs still"""
OLD = 60.0
"""seconds after which the age of the plan is an error"""
_log = structlog.get_logger(__name__)

Live = Callable[[int], tuple[State, Registry] | None]
"""The state of a partition's urgent lane as last committed, and the registry by which it was judged, where this process owns it"""


class Held(NamedTuple):
    """An alarm as the standby knows it, in the words of a page, and who has taken it."""

    alarm: Alarm
    letter: Letter
    answer: Answer | None


class Standby:
    """One a hub, in the process of the deliverer. `folder` None: plan and journal end with the process."""

    def __init__(
        self,
        database_url: str,
        broker: Broker,
        profiles: Mapping[str, Profile],
        *,
        folder: Path | None = None,
        public_url: str = "",
        allow_loopback: bool = False,
        live: Live = lambda _: None,
        sound: Sound | None = None,
        timing: Timing = Timing(),
        clock: Callable[[], Micros] = wall_clock,
    ) -> None:
        self._folder = folder
        self._broker = broker
        self._live = live
        self._timing = timing
        self._clock = clock
        self.known = Known(
            database_url,
            profiles,
            folder=folder,
            public_url=public_url,
            allow_loopback=allow_loopback,
            sound=sound,
            clock=clock,
        )
        self.journal = Journal(folder)
        self.pager = Pager(self.journal, self._word, clock)
        self.window = Window()
        self.pursuits: dict[UUID, Pursuit] = {}
        self.answers = Answers(self.journal)
        self.pager.is_answered = lambda alarm: alarm in self.pursuits and self.answers.standing(alarm) is not None
        self._judges: dict[int, tuple[Judge, tuple[State, Registry] | None]] = {}
        self._looker = Looker(database_url, self.known, self, timing)
        self.listening = False
        self.on_change: Callable[[], None] = lambda: None
        """called when what is paged from here, or who has it, is another"""
        self._said: dict[UUID, bool] = {}
        self._watched = 0.0
        self._calls: dict[UUID, float | None] = {}
        """alarms that stood at the last look and were pressed again since (when we heard it, monotonic; None: it was seen to): whether somebody
        had taken them in between only the database knows"""

    # what others ask -------------------------------------------------------------------------------------------------

    @property
    def migrated(self) -> asyncio.Event:
        """Set by whoever runs it: the database has the tables that this program knows."""
        return self._looker.migrated

    @property
    def ready(self) -> asyncio.Event:
        """A plan is there, from the disk or from the database."""
        return self._looker.ready

    @property
    def is_watching(self) -> bool:
        """Whether it hears the urgent lane, and its loop goes round."""
        return self.listening and asyncio.get_running_loop().time() - self._watched < ROUND

    @property
    def age(self) -> float:
        """Seconds since the plan was last read from the database, or since some part of it should have been; infinite where there is none."""
        return max(self.known.age, self.known.learnt)

    @property
    def journal_failures(self) -> int:
        """Writes that the disk of the journal did not take."""
        return self.journal.failures

    async def run(self) -> None:
        """Stand by until cancelled. Raises Conflict where another hub stands by over the same folder."""
        async with owned(self._folder):
            await self._restore()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._listen(), name="standby-listen")
                    tasks.create_task(self._looker.run(), name="standby-plan")
                    tasks.create_task(self._watch(tasks), name="standby-watch")
            finally:
                self.journal.close()

    async def _restore(self) -> None:
        kept = await self.journal.open()
        self.pursuits = {pursuit.alarm.id: pursuit for pursuit in kept.pursuits}
        self.pager.restore(kept.pages, kept.delivered)
        self.answers.restore(one for one in kept.answers if one.alarm in self.pursuits)
        if await self.known.restore():
            self.ready.set()
        if self.pursuits:
            _log.warning("standby.pursuits_restored", alarms=len(self.pursuits))

    # the broker's side -------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        attempt = 0
        while True:
            try:
                await apart(self._hear())
            except (LinkDown, AccessDenied) as error:
                attempt = 1 if self.listening else attempt + 1
                self.listening = False
                if attempt == 1:
                    _log.warning("standby.broker_lost", error=str(error))
                await asyncio.sleep(full_jitter(attempt, 0.25, 3.0, random.random()))

    async def _hear(self) -> None:
        name = f"hub-standby-{secrets.token_hex(4)}"
        async with session(self._broker, client_id=name, clean_start=True, session_expiry=0) as mqtt:
            for way in ("up", "down"):
                await mqtt.subscribe(f"{wire.ROOT}/+/+/{way}/urgent")
            self.listening = True
            while True:
                incoming = await mqtt.take(500, *GATHERED)
                now = asyncio.get_running_loop().time()
                for item in incoming:
                    self._note(item, now)
                mqtt.settle(*incoming)

    def _note(self, item: Incoming, now: float) -> None:
        try:
            topic = wire.parse_topic(item.topic)
            if topic.direction == "down":
                stream, upto = wire.decode_confirm(item.payload)
                moved = self.window.confirm(stream, upto, now)
                if moved is not None:
                    self._judge_anew(moved)
                return
            stream, seq = wire.parse_properties(item.properties, topic.lane)
        except BadInput:
            return  # ingest says what is wrong with it
        message = Message(item.topic, topic.client, Lane.URGENT, stream, seq, item.payload)
        self.window.add(topic.partition, message, now)

    # judging ------------------------------------------------------------------------------------------------------------

    def standing(self) -> Iterator[UUID]:
        """Alarms that lanes of this process take for standing."""
        for number in range(self.known.partitions):
            base = self._live(number)
            if base is not None:
                yield from (alarm.id for alarm in base[0].alarms.values())

    def looked(self, began: float) -> None:
        """What is open was read anew: what was confirmed before is in it, and so is who took what before."""
        self._calls = {id_: heard for id_, heard in self._calls.items() if heard is not None and heard >= began}
        for partition in self.window.looked(began):
            self._judge_anew(partition)

    def _judge_anew(self, partition: int) -> None:
        if self._judges.pop(partition, None) is not None:
            self.window.again(partition)

    async def _watch(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        said_old = loop.time()
        while True:
            self._watched = loop.time()
            timing = self._timing
            for partition, waiting in self.window.overdue(loop.time(), timing.grace, timing.settled).items():
                await self._judge(partition, waiting)
            for partition in [*self._judges]:
                if not self.window.waits(partition):
                    del self._judges[partition]
                else:
                    await self._judge(partition, [])
            await self._let_lapse()
            self._take_up()
            self._hasten()
            await self._pursue_all()
            self.pager.send(tasks, loop.time())
            said = {id_: self.answers.standing(id_) is not None for id_ in self.pursuits}
            if said != self._said:
                self._said = said
                self.on_change()
            if self.age > OLD and loop.time() - said_old > OLD:
                said_old = loop.time()
                _log.error("standby.plan_old", age=None if self.age == float("inf") else round(self.age))
            await asyncio.sleep(LOOK)

    async def _judge(self, partition: int, waiting: list[Waiting]) -> None:
        base = self._live(partition)
        judge, over = self._judges.get(partition, (None, None))
        if (
            judge is not None
            and base is not None
            and (over is None or any(x is not y for x, y in zip(over, base, strict=True)))
        ):
            self._judge_anew(partition)  # the lane has read its state again
            if any(one.confirmed is not None for one in waiting):
                self._begin_committed(partition, self._judge_over(partition, base))
            return
        if judge is None:
            judge = self._judge_over(partition, base)
            self._judges[partition] = judge, base
        if base is not None and any(one.confirmed is not None for one in waiting):
            self._begin_committed(partition, judge)
        clients = judge.registry.clients
        spoke = [one for one in waiting if one.message.client in clients and not clients[one.message.client].revoked]
        known = judge.sift(spoke, self.window)
        # one by one where somebody has taken an alarm: a press that came after that is a new cry for help
        parts = [[one] for one in known] if any(self.answers.all_standing()) else [known]
        for some in parts or [[]]:  # delays run out without any message
            fallen = judge.fallen
            for alarm in judge.take([one.message for one in some], self._clock()):
                self._begin(alarm)
            if judge.fallen > fallen:
                _log.error("standby.not_judged", partition=partition, messages=judge.fallen - fallen)
            if some:
                for id_, raised_at in judge.raised.items():
                    if self.known.is_shown(id_) and not self.pager.told_since(id_, raised_at):
                        self._calls.setdefault(id_, some[-1].since)
            for answer in self.answers.all_standing():
                at = judge.raised.get(answer.alarm)
                if at is not None and self.answers.is_after(answer, at, some[-1].since if some else 0.0):
                    await self._go_on(answer, PRESSED_AGAIN)

    def _judge_over(self, partition: int, base: tuple[State, Registry] | None) -> Judge:
        """A judge over what is committed, by the lane of this process or by the last look, and what is paged from here already."""
        known = self.known
        state, registry = known.stored(partition) if base is None else base
        if base is not None:
            state = as_known(state, known.open.alarms.get(partition, ()), known.open.at, known.seen)
        pursued = (one.alarm for one in self.pursuits.values() if known.partition_of(one.alarm) == partition)
        return Judge(with_pursued(state, pursued), registry)

    def _begin_committed(self, partition: int, judge: Judge) -> None:
        """A lane has committed something that no look has shown in all this time: the pages of what it raised lie in a database that is silent."""
        for alarm in judge.standing():
            if alarm.id not in self.known.seen and is_pursued(alarm, self._clock()):
                self._begin(alarm)

    def _begin(self, alarm: Alarm) -> None:
        """A fire or panic that nobody has committed: choose who is told, as the escalation will."""
        open_ = self.known.open
        if alarm.id in self.pursuits or any(running.alarm.id == alarm.id for running in open_.running):
            return
        policy = self.known.policy_for(alarm)
        if policy is None:
            _log.error(
                "alarm_uncovered", alarm=str(alarm.id), reason="no policy of the cached plan covers it: nobody is told"
            )
            return
        number = open_.rounds.get(alarm.id, 0) + 1
        _log.warning(
            "standby.alarm", alarm=str(alarm.id), device=alarm.device, definition=alarm.definition, policy=policy.id
        )
        run = policy.id, policy.version, policy.plan, number, number
        self.pursuits[alarm.id] = Pursuit(alarm, *run, self.known.steady())

    # paging --------------------------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Escalations that ran before, whose steps come due and that nobody drives."""
        loop, known = asyncio.get_running_loop(), self.known
        stale = known.answered is None or loop.time() - known.answered > ANSWER
        now = known.steady() if stale else known.open.at
        if known.age > FORGOTTEN:
            return  # a plan from a disk that lay somewhere
        for running in known.open.running:
            alarm = running.alarm
            if alarm.id in self.pursuits or not is_pursued(alarm, self._clock()):
                continue
            pursuit = known.pursuit(running, redo_pending=stale)
            if due_rows(pursuit, now, STALE if stale else OVERDUE):
                _log.warning("standby.escalation", alarm=str(alarm.id), round=running.round)
                self.pursuits[alarm.id] = pursuit

    def _hasten(self) -> None:
        """What was pressed again just as the database fell silent: in the moment between its last answer and the press somebody may have taken the
        alarm, and then the press is a new cry for help. Its next step goes out now, once in an outage."""
        if not self.is_blind:
            return
        for id_ in [id_ for id_, heard in self._calls.items() if heard is not None]:
            self._calls[id_] = None
            running = next((one for one in self.known.open.running if one.alarm.id == id_), None)
            pursuit = self.pursuits.get(id_)
            if pursuit is None and running is not None and is_pursued(running.alarm, self._clock()):
                pursuit = self.known.pursuit(running, redo_pending=True)
            if pursuit is not None and self.answers.standing(id_) is None:
                self.pursuits[id_] = hastened(pursuit, self.known.steady())

    # answering -----------------------------------------------------------------------------------------------------------

    @property
    def is_blind(self) -> bool:
        """Whether the database does not answer."""
        known = self.known
        return known.answered is None or asyncio.get_running_loop().time() - known.answered > ANSWER

    def held(self, key: UUID) -> Held | None:
        """What a page's link may show without the database, where that does not know the alarm (yet) or does not answer; None: ask the database."""
        named = self.pager.alarm_of(key)
        found = None
        if named is not None and named[0] in self.pursuits:
            found = self.pursuits[named[0]].alarm, named[1]
        if found is None:
            found = self.known.named(key, self.pursuits.values())
        if found is None and self.is_blind:
            ran = (self.known.pursuit(one, redo_pending=True) for one in self.known.open.running)
            found = self.known.named(key, ran)
        if found is None or (self.known.is_shown(found[0].id) and not self.is_blind):
            return None
        alarm, responder = found
        page = Page(key, 0, 0, 0, responder, "", self.known.steady(), "sent", ())
        return Held(alarm, self.known.letter(alarm, page), self.answers.standing(alarm.id))

    def owed(self, id_: UUID) -> Alarm | None:
        """An alarm whose chain the database does not know (yet), or is silent about; None: ask the database."""
        pursuit = self.pursuits.get(id_)
        if pursuit is not None:
            return None if self.known.is_shown(id_) and not self.is_blind else pursuit.alarm
        running = (one.alarm for one in self.known.open.running if one.alarm.id == id_)
        return next(running, None) if self.is_blind else None

    async def acknowledge(self, alarm: Alarm, actor: str, notification: UUID | None, note: str = "") -> Answer:
        """Somebody has the alarm, by a page's link or by name: no further step goes out. Raises Conflict where somebody was quicker."""
        owed = list[tuple[Pursuit, list[Page]]]()
        if alarm.id not in self.pursuits:
            running = next((one for one in self.known.open.running if one.alarm.id == alarm.id), None)
            if running is None:
                raise Conflict("the database answers again: press once more")
            self.pursuits[alarm.id] = self.known.pursuit(running, redo_pending=True)
            owed = [(self.pursuits[alarm.id], [])]
        answer = Answer(alarm.id, actor, self.known.steady(), notification, note=note)
        # both stand before anything is waited for: a hand-over meanwhile takes both along
        giving = self.answers.give(answer, asyncio.get_running_loop().time())
        await asyncio.gather(giving, self.journal.owe(owed))
        return answer

    async def _let_lapse(self) -> None:
        """An acknowledgement that nothing follows does not stand for ever, here as there."""
        for answer in self.answers.all_standing():
            pursuit = self.pursuits.get(answer.alarm)
            if pursuit is None:
                continue
            policy = self.known.policy_for(pursuit.alarm)
            lapse_after = None if policy is None else policy.lapse_after
            if self.known.steady() >= lapses_at(answer, pursuit.alarm, lapse_after):
                await self._go_on(answer, f"no sign of {answer.actor}")

    async def _go_on(self, answer: Answer, why: str) -> None:
        """The answer is over: whoever is on duty is told again."""
        now = self.known.steady()
        pursuit = self.pursuits.get(answer.alarm)
        if pursuit is not None:
            self.pager.drop(answer.alarm)
            self.pursuits[answer.alarm] = renewed(pursuit, now)
        await self.answers.end(answer, now, why)

    async def _pursue_all(self) -> None:
        """Write down what is due, all in one, and let it go out."""
        now = self.known.steady()
        owed: list[tuple[Pursuit, list[Page]]] = []
        for id_, before in self.pursuits.items():
            if id_ in self.pager.held or self.answers.standing(id_) is not None:
                continue
            pursuit, pages = before, list[Page]()
            for row, at in due_rows(before, now):
                pages += self.known.pages(before, row, at, now)
                pursuit = with_done(pursuit, row)
            pursuit = moved_on(pursuit, now)
            if pursuit is not before:
                self.pursuits[id_] = pursuit
                owed.append((pursuit, pages))
        if owed:
            for pursuit, pages in owed:
                # at once, so that a hand-over meanwhile leaves out none; sent after the journal has it
                self.pager.owe(pursuit.alarm.id, pages)
                if pages and pursuit.alarm.id in self._calls:
                    self._calls[pursuit.alarm.id] = None  # somebody is told after it anyway
            await self.journal.owe(owed)

    def _word(self, alarm_id: UUID, page: Page) -> tuple[Channel, Letter]:
        return self.known.word(self.pursuits[alarm_id].alarm, page)


__all__ = ["Standby", "Timing"]
