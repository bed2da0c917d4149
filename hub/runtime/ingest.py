"""Ingest: one lane of one partition. Take all that is queued, judge, commit, then confirm to the edge and settle with the broker.

Whoever holds the partition's lease runs a `Lane` for each lane: its own MQTT session, task and database connection, its own state in memory.
A batch is never given up: what the database did not answer for is judged again against what it then says; what was committed after all is
recognised by its stream and confirmed again.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence, Set
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from hub import crash
from hub.core import wire
from hub.core.backoff import full_jitter
from hub.core.blindness import Cause
from hub.core.draft import Draft
from hub.core.intake import take_in
from hub.core.lane import Message, State
from hub.core.news import may_raise
from hub.core.quota import Quota, let_through
from hub.core.rows import Quarantined
from hub.core.supervision import tick
from hub.errors import AccessDenied, BadInput, Conflict, LinkDown
from hub.model import SECOND, Lane, Micros, SignalClass
from hub.mqtt import RECEIVE_MAXIMUM, Broker, Incoming, Session, session
from hub.registry import Registry
from hub.runtime.backlog import Backlog
from hub.runtime.batches import addressed, has_rows, known_of, samples_of, unregistered
from hub.runtime.foresight import Foresight
from hub.runtime.gathering import PAUSE, gather
from hub.runtime.hearing import Hearing
from hub.runtime.lane_memory import LaneMemory
from hub.runtime.pulse import Pulse
from hub.runtime.put_off import QUICKLY, PutOff
from hub.runtime.refusals import Place, Refused, find_refused, judged
from hub.runtime.shared import Clock, Counters, Shared, wall_clock
from hub.runtime.strangers import Strangers
from hub.store import blindness, lane_commit, lanes
from hub.store.pool import LOST, is_asking

TICK = {Lane.URGENT: 0.5, Lane.BULK: 1.0}
"""seconds between two looks at what time alone changes"""
LOOK = 5.0
"""seconds between two looks at what people asked for; at once where somebody said so"""
STALL = 5.0
"""seconds without a look at the time after which silence proves nothing: the process or its database stood still"""
STEP = 2.0
"""seconds by which the clock may be set without a new beginning"""
ANSWER = 20.0
"""seconds after which a database that does not answer is given up and asked anew"""
SESSION_EXPIRY = 86_400
_ANY = frozenset(SignalClass)

_log = structlog.get_logger(__name__)


class LaneIngest:
    """One lane of one partition, from its MQTT session to the commit."""

    def __init__(
        self, shared: Shared, lane: Lane, database_url: str, broker: Broker, clock: Clock = wall_clock
    ) -> None:
        self.shared = shared
        self.lane = lane
        self.name = f"hub-{shared.number}-{lane}"
        self.counters = Counters()
        self.listening = False
        """subscribed at the broker, with a database that answers"""
        self._broker = broker
        self._clock = clock
        self._lock = asyncio.Lock()
        self._strangers = Strangers()
        self._quota = Quota()
        self._put_off = PutOff(self.name)
        shared.lanes[lane] = self
        self._other: LaneIngest | None = None
        """while this lane holds the other one's lock as well"""
        self._listening_since: Micros = clock()
        self._hearing = Hearing((Cause.HUB, clock()))
        self._memory = LaneMemory(
            shared, lane, self.name, database_url, clock, self.counters, self._hearing, self._begin_again
        )
        self._pulse = Pulse(self.name, lambda: is_asking(self._memory.conn))
        self._looked = (clock(), time.monotonic(), 0.0)
        self._tests_asked = asyncio.Event()
        self._tests_asked.set()

    @property
    def judged(self) -> tuple[State, Registry] | None:
        """State as last committed, and the registry by which it was judged; None before the first look at the database."""
        return (self._memory.state, self._memory.judged_by) if self._memory.loaded else None

    def look_for_tests(self) -> None:
        """A function test was asked for somewhere: the next tick looks."""
        self._tests_asked.set()

    async def run(self) -> None:
        """Serve this lane until cancelled."""
        try:
            await self._memory.reopen()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(), name=f"{self.name}-receive")
                tasks.create_task(self._watch_time(), name=f"{self.name}-time")
                tasks.create_task(self._pulse.run(), name=f"{self.name}-pulse")
        finally:
            self._pulse.mqtt = None
            self._hearing.lose(Cause.DATABASE, self._clock())  # a lost lease: from now on, not from the next start on
            if self._memory.conn is not None:
                await self._memory.conn.close()

    # the broker's side -------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        attempt = 0
        while True:
            try:
                async with session(
                    self._broker, client_id=self.name, clean_start=False, session_expiry=SESSION_EXPIRY
                ) as mqtt:
                    self._pulse.mqtt = mqtt
                    for topic in self._topics():
                        await mqtt.subscribe(topic)
                    self._begin_to_listen()
                    if attempt:
                        _log.info("ingest.broker_back", lane=self.name)
                    attempt = 0
                    await self._serve(mqtt)
            except (LinkDown, AccessDenied) as error:
                attempt += 1
                self.listening = False
                self._hearing.lose(Cause.BROKER, self._pulse.heard_until(self._clock()))
                self._pulse.mqtt = None
                self.counters.broker_losses += 1
                if attempt == 1:
                    _log.warning("ingest.broker_lost", lane=self.name, error=str(error))
                await asyncio.sleep(full_jitter(attempt, 0.25, 3.0, random.random()))

    async def _serve(self, mqtt: Session) -> None:
        """Take what comes, batch by batch, until the connection ends."""
        backlog, ended = Backlog(self._may_raise), 0.0
        while True:
            foresight = self._foresight()
            if len(backlog):
                backlog.add(await mqtt.take(RECEIVE_MAXIMUM, 0.0))
            else:
                news = foresight.is_news if self.lane is Lane.URGENT else None
                backlog.add(await gather(mqtt, RECEIVE_MAXIMUM, ended + PAUSE, news))
            batch = backlog.next()
            if self.lane is Lane.URGENT:
                with self.shared.turns.urgent():
                    await self._take(mqtt, [*batch.values()], foresight)
            else:
                await self.shared.turns.bulk()
                await self._take(mqtt, [*batch.values()], foresight)
            mqtt.settle(*backlog.done(batch))
            crash.point("after-settle")
            ended = asyncio.get_running_loop().time()

    def _foresight(self) -> Foresight:
        return Foresight(self._memory.state, self.shared.registry, self.lane, self._clock)

    def _may_raise(self, item: Incoming) -> bool:
        """Whether a message may raise an alarm; nothing in the bulk lane is so urgent that it may go before others."""
        if self.lane is Lane.BULK:
            return False
        messages, _, _ = addressed([item], self.lane)
        about = self.shared.registry, self._clock(), _ANY, self._memory.state.watches
        return any(may_raise(message, *about) for message in messages)

    def _topics(self) -> Sequence[str]:
        """The lane's own topic; the bulk lane also hears what is no topic of this protocol, so that it does not vanish unseen."""
        below = f"{wire.ROOT}/{self.shared.number}/+/up"
        return (f"{below}/urgent",) if self.lane is Lane.URGENT else (f"{below}/#",)

    def _begin_to_listen(self) -> None:
        self._listening_since = self._clock()
        self.listening = True
        if self._memory.conn is not None:
            self._hearing.begin(self._listening_since)

    def _begin_again(self) -> None:
        """The database is there, and what it says is the state."""
        self._listening_since = self._clock()
        if self.listening:
            self._hearing.begin(self._listening_since)
        self._tests_asked.set()

    async def _take(self, mqtt: Session, incoming: Sequence[Incoming], foresight: Foresight) -> None:
        """Judge and commit a batch, and confirm what is committed."""
        crash.point("received")
        messages, strays, states = foresight.addressed(incoming)
        for client, state in states:
            self.shared.note_state(client, state, self._clock())
        taken = self._pass_by(messages)
        if taken or strays:
            draft = await self._commit(taken, strays, foresight)
            crash.point("after-commit")
            for (client, lane, stream), upto in draft.confirm.items():
                topic = str(wire.Topic(self.shared.number, client, "down", lane))
                try:
                    await mqtt.post(
                        topic,
                        wire.encode_confirm(stream, upto),
                        user_properties=wire.confirm_properties(self._clock()),
                    )
                except BadInput as error:  # the broker refused an earlier confirmation: the edge asks again
                    _log.warning("ingest.confirm_refused", lane=self.name, error=str(error))
            crash.point("after-confirm")

    def _pass_by(self, messages: Sequence[Message]) -> Sequence[Message]:
        """All but those of clients that wait (`hub.runtime.put_off`), who are not silent for that."""
        waiting = self._put_off.waits(time.monotonic())
        if not waiting:
            return messages
        left = [message for message in messages if message.client not in waiting]
        spoke = {message.client for message in messages} & waiting & self.shared.registry.clients.keys()
        self.shared.clients.update(dict.fromkeys(spoke, self._clock()))
        self.counters.put_off += len(messages) - len(left)
        return left

    # judging and committing --------------------------------------------------------------------------------------

    async def _commit(self, messages: Sequence[Message], strays: Sequence[Quarantined], foresight: Foresight) -> Draft:
        """Judge and write a batch, however often that takes; returns the draft that was committed."""
        async with self._lock:
            draft = await self._commit_held(messages, strays, foresight)
        while draft is None:
            async with self._both():
                if self._other is not None:
                    draft = await self._commit_held(messages, strays)
            if draft is None:  # the other lane has not begun yet
                await asyncio.sleep(0.1)
        return draft

    @asynccontextmanager
    async def _both(self) -> AsyncIterator[None]:
        """Hold both lanes of the partition, in the one order that cannot wait for itself: a device moved to the other lane and speaks on this."""
        first, second = (self.shared.lanes[lane] for lane in Lane)
        async with first._lock, second._lock:
            other = second if first is self else first
            self._other = other if other._memory.conn is not None else None
            try:
                yield
            finally:
                self._other = None

    async def _commit_held(
        self, messages: Sequence[Message], strays: Sequence[Quarantined], foresight: Foresight | None = None
    ) -> Draft | None:
        """The same under the lock; None where the other lane's state is needed and not held."""
        refused: Refused = frozenset()
        while True:
            await self._memory.follow()
            if self._other is not None:
                await self._other._memory.follow()
            now = self._clock()
            known, unknown = known_of(self.shared.registry, messages)
            foreseen = None if foresight is None else foresight.over(self._memory.state, self.shared.registry, known)
            draft, refused = self._judge(known, now, refused) if foreseen is None else (foreseen, refused)
            foresight = None  # what is judged again is judged anew
            if draft.crosses and self._other is None and len(self.shared.lanes) > 1:
                return None
            if await self._is_news(draft, unknown):
                continue
            beside = [*strays, *(unregistered(message) for message in unknown)]
            quota, draft.quarantined = let_through(self._quota, [*draft.quarantined, *beside], now)
            clients = {message.client for message in known}
            try:
                if await self._write(draft, QUICKLY if self._put_off.known(clients) else None):
                    self._quota = quota
                    for client in self._put_off.went_in(clients):
                        _log.info("ingest.row_free", lane=self.name, client=client)
                    return draft
            except lane_commit.Held:
                messages = await self._hold_back(messages, known, refused)
            except lane_commit.Refusal as error:
                _log.error("ingest.row_refused", lane=self.name, error=str(error.diag.message_primary or error))
                try:
                    found = await find_refused(samples_of(known, refused), self._tried(known, refused))
                except lane_commit.Held:  # what is held must not pass for refused
                    messages, found = await self._hold_back(messages, known, refused), frozenset()
                if found is None and not beside:
                    raise
                if found is None:  # the database takes not even the note of what was refused at the door
                    strays, messages = (), known
                else:
                    refused |= found

    async def _hold_back(
        self, messages: Sequence[Message], known: Sequence[Message], refused: Refused
    ) -> Sequence[Message]:
        """All but those whose clients are put off, because somebody else holds a row of theirs. All where it is no row, or it is free again."""

        async def goes(some: Collection[str]) -> bool | None:
            draft, _ = self._judge([message for message in known if message.client in some], self._clock(), refused)
            return await self._memory.goes(draft)

        held = await self._put_off.search({message.client for message in known}, goes)
        self.counters.put_off += sum(message.client in held for message in known)
        return [message for message in messages if message.client not in held]

    def _judge(self, messages: Sequence[Message], now: Micros, refused: Refused) -> tuple[Draft, Refused]:
        other = None if self._other is None else self._other._memory.state

        def judge(some: Sequence[Message], left_out: Refused) -> Draft:
            return take_in(self._memory.state, self.shared.registry, some, now, left_out, other)

        return judged(messages, refused, judge, samples_of, self._say_unjudged)

    def _say_unjudged(self, message: Message, place: Place, error: Exception) -> None:
        known = {"topic": message.topic, "stream": place[0], "seq": place[1], "n": place[2]}
        _log.error("ingest.not_judged", lane=self.name, **known, exc_info=error)

    async def _is_news(self, draft: Draft, unknown: Sequence[Message]) -> bool:
        """Whether somebody unknown spoke who may have been registered a moment ago: load the registry and judge again, once each."""
        rows = draft.quarantined
        names = {(row.client or "", row.reason) for row in rows if row.code in ("device", "point")}
        names |= {(message.client, "") for message in unknown}
        if not self._strangers.worth_a_look(names, self._clock()):
            return False
        began = time.monotonic()
        await asyncio.wait({self.shared.reload()}, timeout=5.0)
        self._strangers.looked(int((time.monotonic() - began) * SECOND), self._clock())
        return True

    async def _write(self, draft: Draft, patience: timedelta | None = None) -> bool:
        """Commit and settle a draft; False when it must be judged again. The caller holds the lock. Raises Held and a Refusal."""
        if self._memory.conn is None:
            await self._memory.reopen()
            return False
        if not has_rows(draft):
            self._settle(draft)
            return True
        writing = asyncio.ensure_future(
            lane_commit.commit(
                self._memory.conn, draft.whole(), self._memory.series, lambda: crash.point("before-commit"), patience
            )
        )
        try:
            done, _ = await asyncio.wait({writing}, timeout=ANSWER)
        except asyncio.CancelledError:
            await self._memory.abandon(
                writing
            )  # whether it was committed is asked of the database by whoever owns the lane next
            raise
        if not done:
            await self._memory.abandon(writing)
            await self._memory.lose("no answer")
            return False
        try:
            writing.result()
        except lane_commit.Held:
            raise
        except Conflict as conflict:
            await self._memory.catch_up(conflict)
            if self._other is not None:
                await self._other._memory.catch_up(conflict)
            return False
        except LOST as error:
            await self._memory.lose(str(error))
            return False
        self._settle(draft)
        return True

    def _settle(self, draft: Draft) -> None:
        draft.settle()
        self.shared.clients.update(draft.clients)
        self.counters.batches += 1
        self.counters.messages += draft.messages
        self.counters.readings += len(draft.readings)
        self.counters.quarantined += len(draft.quarantined)
        for stream, tally in draft.tallies.items():
            if tally.missing or tally.surplus:
                self.counters.unbalanced += tally.missing + tally.surplus
                off = {"missing": tally.missing, "surplus": tally.surplus}
                _log.error("ingest.unbalanced", lane=self.name, stream=stream, **off)

    def _tried(self, messages: Sequence[Message], refused: Refused) -> Callable[[Refused], Awaitable[bool | None]]:
        return lambda left_out: self._fits(messages, refused | left_out)

    async def _fits(self, messages: Sequence[Message], refused: Refused) -> bool | None:
        """Whether the database takes the rest; None when the state has to be looked at anew first. Raises Held."""
        draft, _ = self._judge(messages, self._clock(), refused)
        try:
            return await self._memory.rehearse(draft)
        except lane_commit.Refusal:
            return False

    # time --------------------------------------------------------------------------------------------------------

    async def _watch_time(self) -> None:
        rounds = 0
        while True:
            rounds += 1
            await self._tick(look=self._tests_asked.is_set() or rounds * TICK[self.lane] % LOOK == 0)
            await asyncio.sleep(TICK[self.lane])

    async def _tick(self, *, look: bool) -> None:
        """One look at silence, delays and tests; whatever moved is committed like a batch."""
        async with self._lock:
            if self._memory.conn is None:
                return
            await self._memory.follow()
            if self._memory.conn is None:
                return
            requested = []
            if look:
                self._tests_asked.clear()
                try:
                    requested = await lanes.requested_tests(self._memory.conn, self.shared.number, self.lane)
                    await self._memory.load_said()
                except LOST as error:
                    await self._memory.lose(str(error))
                    return
            clients = self.shared.clients
            now = self._clock()
            self._note_pause(now)
            since = self._listening_since if self.listening else now  # deaf: nobody is online, and nobody offline
            deaths, deaf = self.shared.deaths, self._hearing.deaf

            about = self._memory.state, self.shared.registry, self.lane, now, since, clients, requested, deaths, deaf
            heard_until = self._pulse.heard_until(now)

            def judge(left_out: Set[str]) -> Draft:
                return tick(*about, heard_until=heard_until, left_out=left_out)

            try:
                if not await self._move(judge, now):
                    _log.warning("ingest.tick_waits", lane=self.name)
                    return
            except lane_commit.Refusal as error:
                # whoever watches from outside must learn that nothing moves by time here: not to be told is what it looks for (auditor.DEAF)
                _log.error("ingest.tick_refused", lane=self.name, error=str(error.diag.message_primary or error))
                return
            await self._note_hearing(look=look)

    async def _move(self, judge: Callable[[Set[str]], Draft], now: Micros) -> bool:
        """Write what `judge` makes of the time, without whose rows somebody holds; what must be judged again is judged by the next tick. Whether
        nobody had to be waited for.
        """
        left_out: Set[str] = self._put_off.waits(time.monotonic())
        for _ in range(2):
            draft = judge(left_out)
            quota, draft.quarantined = let_through(self._quota, [], now)
            try:
                if await self._write(draft, QUICKLY if self._put_off.any() else None):
                    self._quota = quota
                return True
            except lane_commit.Held:
                moved, before = draft.moved_clients(), left_out

                async def goes(
                    some: Collection[str], moved: Set[str] = moved, before: Set[str] = before
                ) -> bool | None:
                    return await self._memory.goes(judge(before | (moved - set(some))))

                held = await self._put_off.search(moved, goes)
                left_out |= held
                if not held:
                    break
        return False

    async def _note_hearing(self, *, look: bool) -> None:
        """Write down that this lane listens, when it did not, and whose sessions ended."""
        gaps = tuple(self._hearing.news)
        sessions = dict(self.shared.session_news) if self.lane is Lane.URGENT else {}
        if self._memory.conn is None or not (look or gaps or sessions):
            return
        heard = (self._pulse.heard_until(self._clock()), self._pulse.quiet) if self.listening else None
        try:
            held = await blindness.note_hearing(self._memory.conn, self.shared.number, self.lane, heard, gaps, sessions)
        except LOST as error:
            await self._memory.lose(str(error))
            return
        del self._hearing.news[: len(gaps)]
        for client, ended in sessions.items():
            if client not in held and self.shared.session_news.get(client, 0) == ended:
                del self.shared.session_news[client]

    def _note_pause(self, now: Micros) -> None:
        """A clock that was set, or a process or a database that stood still: nobody was silent, nobody listened."""
        before, self._looked = self._looked, (now, time.monotonic(), self._pulse.asked)
        waited = self._looked[1] - before[1]
        if waited > STALL or abs((now - before[0]) / 1e6 - waited) > STEP:
            _log.warning(
                "ingest.pause", lane=self.name, waited=round(waited, 1), clock=round((now - before[0]) / 1e6, 1)
            )
            if self._listening_since <= before[0]:  # else it began to listen since, and what kept it from it is written
                stood = waited > STALL and self._looked[2] - before[2] > waited / 2
                self._hearing.lose(Cause.DATABASE if stood else Cause.HUB, before[0])
                if self.listening:
                    self._hearing.begin(now)
            self._listening_since = now
            self._memory.state.moved += 1
            self._memory.state.beats.clear()  # what was heard by a clock that is no more says nothing
            for client, at in self.shared.clients.items():
                self.shared.clients[client] = min(at, now - 1)
