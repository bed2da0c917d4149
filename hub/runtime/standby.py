"""The standby: pages fire and panic while the database does not answer, whatever the reason (stopped, frozen, full, a lock that holds).

It hears the urgent lane by an MQTT session of its own, and the hub's confirmations. What ingest has not confirmed within `GRACE` is judged by
the same pure functions over the state as last committed, and paged by the cached plan, from a journal, under the identities that ingest,
escalator and deliverer will compute for the same press. Then steps and rounds go on until the database answers again: what was
paged is brought into it, the escalation goes on from there, and nothing goes out twice. It confirms nothing to anybody.

While the database answers it keeps the plan fresh and, as a by-product, takes up a step of a fire or panic that is long overdue.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import structlog

from hub.core import reach, wire
from hub.core.alarms import Alarm
from hub.core.backoff import full_jitter
from hub.core.escalation import Due, Step, covers, idempotency_key, urgency
from hub.core.lane import Key, Message, State
from hub.core.reach import Way
from hub.core.standby import Judge, Pursuit, Window, as_known, due_rows, is_pursued, moved_on, with_done
from hub.errors import AccessDenied, BadInput, Conflict, LinkDown
from hub.model import SECOND, AdminState, Lane, Micros, to_datetime
from hub.mqtt import Broker, Incoming, session
from hub.notify import Channel, open_channel
from hub.notify import Message as Letter
from hub.notify.siren import SirenChannel, Sound
from hub.profiles import Profile
from hub.registry import Client, Device, Registry
from hub.runtime.apart import apart
from hub.runtime.deliverer import message_of
from hub.runtime.ingest import wall_clock
from hub.runtime.journal import Journal
from hub.runtime.pager import Pager
from hub.runtime.plan_cache import PlanCache
from hub.store.outbox import Claimed
from hub.store.plan import Open, People, Place, Source, open_source
from hub.store.pool import Connection, cut
from hub.store.reconcile import Page, hand_over

GRACE = 0.75
"""seconds that a commit may take before its presses are paged from here; a commit takes some milliseconds"""
LOOK = 0.1
REFRESH = 2.0
PEOPLE = 10.0
PLACES = 60.0
"""seconds between two looks at what is open, at policies and responders, at the register of devices (and at once when it moved)"""
CALM = 0.5
"""seconds between two looks at what is open at least: a person's act is seen within them"""
ANSWER = 3.0
"""seconds after which a database that does not answer is cut off and asked anew"""
STALE: Micros = 3 * SECOND
"""what is overdue by this much while the database does not answer is sent from here"""
OVERDUE: Micros = 8 * SECOND
"""the same while it answers: the escalator had its chance"""
ORPHANED = 300.0
"""seconds with an answering database after which a page without an alarm is let go, loudly"""
FORGOTTEN = 86_400.0
"""seconds after which nobody can say any more that an escalation that ran then runs still"""
OLD = 60.0
"""seconds after which the age of the plan is an error"""
_log = structlog.get_logger(__name__)
T = TypeVar("T")

Live = Callable[[int], tuple[State, Registry] | None]
"""The state of a partition's urgent lane as last committed, and the registry by which it was judged, where this process owns it"""


class Timing(NamedTuple):
    """What tests shorten."""

    grace: float = GRACE
    refresh: float = REFRESH
    people: float = PEOPLE
    orphaned: float = ORPHANED


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
        self._database_url = database_url
        self._broker = broker
        self._profiles = profiles
        self._public_url = public_url
        self._allow_loopback = allow_loopback
        self._live = live
        self._sound = sound
        """the way to sirens: it needs the database, so that they wait for it"""
        self._timing = timing
        self._clock = clock
        self._began = clock(), time.monotonic()
        self._cache = PlanCache(folder, database_url)
        self._journal = Journal(folder)
        self.pager = Pager(self._journal, self._word, clock)
        self.window = Window()
        self._judges: dict[int, tuple[Judge, tuple[State, Registry] | None]] = {}
        self.pursuits: dict[UUID, Pursuit] = {}
        self._absent: dict[UUID, float] = {}
        self._places: dict[str, Place] = {}
        self._people = People()
        self._open = Open()
        self._partitions = 1
        self._answered: float | None = None
        self.listening = False
        self.migrated = asyncio.Event()
        """set by whoever runs it: the database has the tables that this program knows"""
        self.ready = asyncio.Event()
        """a plan is there, from the disk or from the database"""

    # what others ask -------------------------------------------------------------------------------------------------

    @property
    def age(self) -> float:
        """Seconds since the plan was last read from the database; infinite where there is none."""
        return (self._steady() - self._open.at) / SECOND if self._open.at else float("inf")

    def _steady(self) -> Micros:
        """Our clock as it was at the start and has run since: one that is set meanwhile moves no step."""
        return self._began[0] + int((time.monotonic() - self._began[1]) * SECOND)

    @property
    def journal_failures(self) -> int:
        """Writes that the disk of the journal did not take."""
        return self._journal.failures

    async def run(self) -> None:
        """Stand by until cancelled."""
        await self._restore()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(), name="standby-listen")
                tasks.create_task(self._follow(), name="standby-plan")
                tasks.create_task(self._watch(tasks), name="standby-watch")
        finally:
            self._journal.close()

    async def _restore(self) -> None:
        kept = await self._journal.open()
        self.pursuits = {pursuit.alarm.id: pursuit for pursuit in kept.pursuits}
        self.pager.restore(kept.pages, kept.delivered)
        places = await asyncio.to_thread(self._cache.load, "places", list[Place])
        people = await asyncio.to_thread(self._cache.load, "people", People)
        open_ = await asyncio.to_thread(self._cache.load, "open", Open)
        if places is not None and people is not None and open_ is not None:
            self._places = {place.id: place for place in places}
            self._people, self._open = people, open_
            self._partitions = 1 + max((place.partition for place in places), default=0)
            self.ready.set()
            _log.info("standby.plan_restored", devices=len(places), age=round(self.age))
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
                incoming = await mqtt.take(500)
                now = asyncio.get_running_loop().time()
                for item in incoming:
                    self._note(item, now)
                mqtt.settle(*incoming)

    def _note(self, item: Incoming, now: float) -> None:
        try:
            topic = wire.parse_topic(item.topic)
            if topic.direction == "down":
                stream, upto = wire.decode_confirm(item.payload)
                moved = self.window.confirm(stream, upto)
                if moved is not None:
                    self._judge_anew(moved)
                return
            stream, seq = wire.parse_properties(item.properties, topic.lane)
        except BadInput:
            return  # ingest says what is wrong with it
        message = Message(item.topic, topic.client, Lane.URGENT, stream, seq, item.payload)
        self.window.add(topic.partition, message, now)

    # judging ------------------------------------------------------------------------------------------------------------

    def _judge_anew(self, partition: int) -> None:
        if self._judges.pop(partition, None) is not None:
            self.window.again(partition)

    async def _watch(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        said_old = loop.time()
        while True:
            for partition, messages in self.window.overdue(loop.time(), self._timing.grace).items():
                self._judge(partition, messages)
            for partition in [*self._judges]:
                if not self.window.waits(partition):
                    del self._judges[partition]
                else:
                    self._judge(partition, [])
            self._take_up()
            await self._pursue_all()
            self.pager.send(tasks, loop.time())
            if self.age > OLD and loop.time() - said_old > OLD:
                said_old = loop.time()
                _log.error("standby.plan_old", age=None if self._open.at == 0 else round(self.age))
            await asyncio.sleep(LOOK)

    def _judge(self, partition: int, messages: list[Message]) -> None:
        base = self._live(partition)
        judge, over = self._judges.get(partition, (None, None))
        if (
            judge is not None
            and base is not None
            and (over is None or any(x is not y for x, y in zip(over, base, strict=True)))
        ):
            self._judge_anew(partition)  # the lane has read its state again
            return
        if judge is None:
            state, registry = self._stored(partition) if base is None else base
            if base is not None:
                state = as_known(state, self._open.alarms.get(partition, ()), self._open.at)
            judge = Judge(state, registry)
            self._judges[partition] = judge, base
        clients = judge.registry.clients
        known = [m for m in messages if m.client in clients and not clients[m.client].revoked]
        for alarm in judge.take(known, self._clock()):
            self._begin(alarm)

    def _stored(self, partition: int) -> tuple[State, Registry]:
        """State and registry as far as the plan knows them: what is open, and what is in a test."""
        devices: dict[str, Device] = {}
        clients: dict[str, Client] = {}
        for place in self._places.values():
            profile = self._profiles.get(place.profile)
            if place.partition != partition or profile is None:
                continue
            admin = AdminState(place.admin_state)
            about = (place.key, place.id, place.institution, place.institution_key, profile, Lane.URGENT, admin)
            devices[place.id] = Device(*about, place.client, False, "", "")
            clients[place.client] = Client(place.client, place.institution, partition, place.client, place.revoked)
        alarms = {Key(a.device, a.definition, a.instance): a for a in self._open.alarms.get(partition, ())}
        tests = {test.device: test for test in self._open.tests if test.device in devices}
        return State(alarms=alarms, tests=tests), Registry(self._partitions, devices, clients)

    def _begin(self, alarm: Alarm) -> None:
        """A fire or panic that nobody has committed: choose who is told, as the escalation will."""
        if alarm.id in self.pursuits or any(running.alarm.id == alarm.id for running in self._open.running):
            return
        place = self._places.get(alarm.device)
        policy = None
        if place is not None:
            where = place.institution, place.division, alarm.signal_class, alarm.priority
            policy = covers(self._people.policies, *where, place.institution_type, place.groups)
        if policy is None:
            _log.error(
                "alarm_uncovered", alarm=str(alarm.id), reason="no policy of the cached plan covers it: nobody is told"
            )
            return
        number = self._open.rounds.get(alarm.id, 0) + 1
        start = self._steady()
        _log.warning(
            "standby.alarm", alarm=str(alarm.id), device=alarm.device, definition=alarm.definition, policy=policy.id
        )
        self.pursuits[alarm.id] = Pursuit(alarm, policy.id, policy.version, policy.plan, number, number, start)

    def _take_up(self) -> None:
        """Escalations that ran before, whose steps come due and that nobody drives."""
        loop = asyncio.get_running_loop()
        stale = self._answered is None or loop.time() - self._answered > ANSWER
        now = self._steady() if stale else self._open.at
        if self.age > FORGOTTEN:
            return  # a plan from a disk that lay somewhere
        for running in self._open.running:
            if running.alarm.id in self.pursuits or not is_pursued(running.alarm, self._clock()):
                continue
            done = set(running.done) - (set(running.pending) if stale else set())
            rows = frozenset((running.round, step, repetition) for step, repetition in done)
            run = running.policy, running.version, running.plan, running.first_round, running.round
            pursuit = Pursuit(running.alarm, *run, running.started_at - self._open.ahead, rows)
            if due_rows(pursuit, now, STALE if stale else OVERDUE):
                _log.warning("standby.escalation", alarm=str(running.alarm.id), round=running.round)
                self.pursuits[running.alarm.id] = pursuit

    async def _pursue_all(self) -> None:
        """Write down what is due, all in one, and let it go out."""
        now = self._steady()
        owed: list[tuple[Pursuit, list[Page]]] = []
        for id_, before in self.pursuits.items():
            if id_ in self.pager.held:
                continue
            pursuit, pages = before, list[Page]()
            for row, at in due_rows(before, now):
                pages += self._pages(before, row, at, now)
                pursuit = with_done(pursuit, row)
            pursuit = moved_on(pursuit, now)
            if pursuit is not before:
                self.pursuits[id_] = pursuit
                owed.append((pursuit, pages))
        if owed:
            for pursuit, pages in owed:
                self.pager.owe(
                    pursuit.alarm.id, pages
                )  # at once, so that a hand-over meanwhile leaves out none; sent after the journal has it
            await self._journal.owe(owed)

    def _pages(self, pursuit: Pursuit, row: Due, due_at: Micros, now: Micros) -> list[Page]:
        """The pages of a step that is due: whoever is on duty now; where that is nobody, the manned room."""
        alarm, people = pursuit.alarm.id, self._people
        step = Step(row.step, row.responder, row.channel, rota=row.rota, kinds=row.kinds)
        ways = {one.id: [Way(channel.id, channel.kind) for channel in one.channels] for one in people.responders}
        told: tuple[tuple[str, str], ...] = ()
        for tried in (step, *reach.instead(pursuit.plan, row.step)):
            told = reach.told(tried, people.rotas, people.calendar, ways, now + self._open.ahead)
            if told:
                break
            target = tried.rota or tried.responder
            _log.error("responder_unreachable", alarm=str(alarm), responder=target, channel=tried.channel)
        pages = []
        for responder, channel in told:
            key = idempotency_key(alarm, Due(row.round, row.step, row.repetition, responder, channel, 0))
            pages.append(Page(key, row.round, row.step, row.repetition, responder, channel, due_at, "pending", ()))
        return pages

    def _word(self, alarm_id: UUID, page: Page) -> tuple[Channel, Letter]:
        """Channel and message of a page, as the deliverer makes them; raises BadInput."""
        alarm = self.pursuits[alarm_id].alarm
        place = self._places[alarm.device]
        responder = next((one for one in self._people.responders if one.id == page.responder), None)
        way = None if responder is None else next((one for one in responder.channels if one.id == page.channel), None)
        if responder is None or way is None:
            raise BadInput(
                "the responder or the channel is gone", f"channel {page.responder}/{page.channel}", code="channel"
            )
        where = f"channel {page.responder}/{page.channel}"
        channel = open_channel(way.kind, way.settings, where, allow_loopback=self._allow_loopback)
        if isinstance(channel, SirenChannel) and self._sound is not None:
            channel = channel.through(self._sound)
        given: dict[str, Any] = dict.fromkeys(Claimed._fields) | Claimed._field_defaults
        given |= {name: getattr(alarm, name) for name in alarm._fields if name in given}
        given |= page._asdict() | {"id": page.key, "n": 1, "alarm": alarm.id, "state": alarm.state}
        given |= {"urgency": urgency(alarm.signal_class), "created_at": to_datetime(page.due_at)}
        given |= {"raised_at": to_datetime(alarm.raised_at), "profile": place.profile, "institution": place.institution}
        given |= {"division": place.division, "institution_title": place.institution_title}
        given |= {"zone_title": place.zone_title, "position_title": place.position_title}
        given |= {
            "responder_title": (responder.title_zh, responder.title_en),
            "kind": way.kind,
            "settings": way.settings,
        }
        claimed = Claimed(**{name: given[name] for name in Claimed._fields})
        return channel, message_of(claimed, self._profiles.get(place.profile), self._public_url, self._people.link_key)

    # the database's side ------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        await self.migrated.wait()
        attempt = 0
        while True:
            before = self._answered
            try:
                await apart(self._keep())
            except (LinkDown, Conflict, BadInput) as error:
                self.pager.held.clear()
                attempt = 1 if self._answered != before else attempt + 1
                say = _log.warning if attempt == 1 else _log.debug
                say("standby.database_lost", error=" ".join(str(error).split())[:200])
                await asyncio.sleep(full_jitter(attempt, 0.25, 1.0, random.random()))

    async def _keep(self) -> None:
        """Read the plan again and again, and hand over what was paged."""
        loop = asyncio.get_running_loop()
        async with open_source(self._database_url) as source:
            ask = partial(_within, source.conn)
            self._partitions = await ask(source.partitions(), ANSWER)
            people_at = places_at = saved_at = -PLACES
            saved: Open | None = None
            while True:
                now = loop.time()
                if now - places_at >= PLACES:
                    places = await ask(source.places(), 10 * ANSWER)
                    self._places = {place.id: place for place in places}
                    places_at = now
                    await asyncio.to_thread(self._cache.save, "places", places)
                if now - people_at >= self._timing.people:
                    self._people = await ask(source.people(), ANSWER)
                    people_at = now
                    await asyncio.to_thread(self._cache.save, "people", self._people)
                self._open = await ask(source.open(self._partitions, self._steady()), ANSWER)
                self._answered = loop.time()
                facts = replace(self._open, at=0, ahead=0)
                if facts != saved or self._answered - saved_at > PLACES / 2:
                    saved, saved_at = facts, self._answered
                    await asyncio.to_thread(self._cache.save, "open", self._open)
                self.ready.set()
                for pursuit in [*self.pursuits.values()]:
                    await self._hand_over(source, pursuit, ask)
                await asyncio.sleep(CALM)  # who changes something all the time is looked at twice a second
                if "anxin_registry" in await source.wait(CALM if self.pursuits else self._timing.refresh):
                    places_at = -PLACES

    async def _hand_over(
        self,
        source: Source,
        pursuit: Pursuit,
        ask: Callable[[Coroutine[Any, Any, UUID | None], float], Awaitable[UUID | None]],
    ) -> None:
        id_ = pursuit.alarm.id
        pages = self.pager.pages(id_)
        if any(alarm.id == id_ for of in self._open.alarms.values() for alarm in of):
            self.pager.held.add(id_)  # the database has it: nothing new begins here, so that this comes to an end
        if pages is None or self.pursuits.get(id_) != pursuit:
            return  # something is under way: next time

        ahead = self._open.ahead  # by its clock from here on
        theirs = [page._replace(due_at=page.due_at + ahead) for page in pages]

        async def write() -> UUID | None:
            async with source.transaction() as cur:
                return await hand_over(cur, replace(pursuit, started_at=pursuit.started_at + ahead), theirs)

        try:
            alarm = await ask(write(), ANSWER)
        except (Conflict, BadInput) as error:
            _log.warning("standby.not_handed_over", alarm=str(id_), reason=str(error))
            self.pager.held.discard(id_)  # a lock that holds: it is still ours
            return
        if self.pursuits.get(id_) != pursuit or self.pager.pages(id_) != pages:
            return  # it went on meanwhile: what is new is handed over next time
        now = asyncio.get_running_loop().time()
        if alarm is None:
            since = self._absent.setdefault(id_, now)
            place = self._places.get(pursuit.alarm.device)
            waits = place is not None and self.window.waits(place.partition)
            if waits or now - since < self._timing.orphaned:
                return
            _log.error("standby.page_without_alarm", alarm=str(id_), device=pursuit.alarm.device, pages=len(pages))
        else:
            _log.info("standby.handed_over", alarm=str(alarm), pages=len(pages), round=pursuit.round)
        self._absent.pop(id_, None)
        self.pager.held.discard(id_)
        self._open = Open(self._open.at, self._open.ahead, self._open.alarms, (), self._open.rounds, self._open.tests)
        del self.pursuits[id_]
        await self._journal.forget(id_, self.pager.release(id_))


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


__all__ = ["Standby", "Timing"]
