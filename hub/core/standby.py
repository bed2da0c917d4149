"""Paging while the database does not answer: what is not committed yet, what it would raise, who is told next. Pure.

A `Window` holds the urgent messages that the hub has not confirmed. What stays in it for longer than a commit takes is judged by the same
functions as ingest's (`hub.core.intake`), over the state as it was last committed, so that an alarm and each of its pages get the very
identities that the normal path will compute when it comes to the same messages. A `Pursuit` is one alarm whose pages are owed meanwhile: its
steps and rounds are those of `hub.core.escalation`. Nothing here is a commit: the edge keeps its messages and the hub judges them again.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple
from uuid import UUID

from hub.core.alarms import Alarm, AlarmEvent, due_events, is_active, is_paged
from hub.core.draft import Draft
from hub.core.escalation import Due, Plan, last_resort, next_round, round_of
from hub.core.intake import take_message
from hub.core.judging import run_timer
from hub.core.lane import Key, Message, State, Streamed
from hub.core.news import may_raise
from hub.errors import Fallen, tried
from hub.model import LIFE_SAFETY, SECOND, Micros
from hub.registry import Registry

WINDOW_MESSAGES = 50_000
WINDOW_BYTES = 64 * 1024 * 1024
"""what may wait unconfirmed; beyond it the oldest is let go: its pages go on, its edge still has it"""


class Waiting(NamedTuple):
    """One message that was not seen to be committed. `since`, `confirmed`: monotonic seconds at which it came, and at which the hub said that it
    is committed."""

    message: Message
    partition: int
    since: float
    confirmed: float | None = None


class Window:
    """Urgent messages that nobody has confirmed, by stream and number, and those that were confirmed since the last look at the database: what
    they raised is in no plan yet. Bounded."""

    def __init__(self, messages: int = WINDOW_MESSAGES, size: int = WINDOW_BYTES) -> None:
        self._limits = messages, size
        self._streams: dict[str, dict[int, Waiting]] = {}
        self._fresh: dict[str, set[int]] = {}
        """what was not judged yet"""
        self.quiet: set[tuple[str, int]] = set()
        """what by itself can raise no fire or panic, as far as somebody looked (`Judge.is_quiet`)"""
        self.upto: dict[str, int] = {}
        """the highest confirmation heard of each stream"""
        self.count = 0
        self.bytes = 0
        self.given_up = 0
        """messages that the bound has let go before they were confirmed"""

    def add(self, partition: int, message: Message, now: float) -> None:
        """A message came; one that was confirmed before, or waits already, changes nothing."""
        if message.seq <= self.upto.get(message.stream, 0):
            return
        stream = self._streams.setdefault(message.stream, {})
        if message.seq in stream:
            return
        stream[message.seq] = Waiting(message, partition, now)
        self._fresh.setdefault(message.stream, set()).add(message.seq)
        self.count += 1
        self.bytes += len(message.payload)
        while self.count > self._limits[0] or self.bytes > self._limits[1]:
            self._give_up()

    def confirm(self, stream: str, upto: int, now: float) -> int | None:
        """All of the stream up to `upto` is committed; the partition of what was waiting for that. What was judged already is known here and
        goes; the rest stays until a look has shown what became of it."""
        self.upto[stream] = max(upto, self.upto.get(stream, 0))
        waiting, fresh = self._streams.get(stream, {}), self._fresh.get(stream, set())
        met = [seq for seq, one in waiting.items() if seq <= upto and one.confirmed is None]
        partition = waiting[met[0]].partition if met else None
        for seq in met:
            if seq in fresh:
                waiting[seq] = waiting[seq]._replace(confirmed=now)
            else:
                self._drop(stream, seq)
        return partition

    def looked(self, began: float) -> set[int]:
        """The database was looked at from `began` on: what was confirmed before is in what was seen. The partitions that this is of."""
        seen = [
            (stream, seq, one.partition)
            for stream, waiting in self._streams.items()
            for seq, one in waiting.items()
            if one.confirmed is not None and one.confirmed < began
        ]
        for stream, seq, _ in seen:
            self._drop(stream, seq)
        return {partition for _, _, partition in seen}

    def overdue(self, now: float, grace: float, settled: float | None = None) -> dict[int, list[Waiting]]:
        """By partition, what is to be judged: of each stream in which something fresh has waited for more than `grace` seconds (`settled`
        where it was confirmed), all that is fresh, in order. It counts as judged from now on; what was confirmed goes."""
        limits = grace, grace if settled is None else settled
        found: dict[int, list[Waiting]] = {}
        for stream, fresh in list(self._fresh.items()):
            waiting = self._streams[stream]
            if any(now - waiting[seq].since > limits[waiting[seq].confirmed is not None] for seq in fresh):
                del self._fresh[stream]
                for seq in sorted(fresh):
                    found.setdefault(waiting[seq].partition, []).append(waiting[seq])
                    if waiting[seq].confirmed is not None:
                        self._drop(stream, seq)
        return found

    def again(self, partition: int) -> None:
        """The state has moved: what still waits of this partition is judged anew."""
        for stream, waiting in self._streams.items():
            if next(iter(waiting.values())).partition == partition:
                self._fresh[stream] = set(waiting)

    def of_clients(self, clients: Container[str]) -> Iterator[Waiting]:
        """All that waits of these clients, each stream in order."""
        for waiting in self._streams.values():
            if next(iter(waiting.values())).message.client in clients:
                yield from (waiting[seq] for seq in sorted(waiting))

    def waits(self, partition: int) -> bool:
        """Whether anything of the partition is unconfirmed."""
        return any(next(iter(waiting.values())).partition == partition for waiting in self._streams.values())

    def _give_up(self) -> None:
        stream = min(self._streams, key=lambda name: next(iter(self._streams[name].values())).since)
        self._drop(stream, next(iter(self._streams[stream])))
        self.given_up += 1

    def _drop(self, stream: str, seq: int) -> None:
        waiting = self._streams[stream].pop(seq)
        self.quiet.discard((stream, seq))
        self.count -= 1
        self.bytes -= len(waiting.message.payload)
        fresh = self._fresh.get(stream)
        if fresh is not None:
            fresh.discard(seq)
            if not fresh:
                del self._fresh[stream]
        if not self._streams[stream]:
            del self._streams[stream]


COMMITTING: Micros = 60 * SECOND
"""for how long after its receipt an alarm may still be committed: longer than ingest waits for a database"""


def as_known(state: State, open_: Iterable[Alarm], at: Micros, seen: Container[UUID]) -> State:
    """A lane's state with what persons have done since the lane last looked: `open_` are the alarms that were open at `at`, `seen` those that
    this look or an earlier one showed.

    Of one that both know the later version counts. One that only the lane knows was ended by a person if a look has shown it; if none has, it
    was committed after that look, however long before it was received. Where nothing can be known this tells somebody once too often rather
    than nobody.
    """
    stored = {alarm.id: alarm for alarm in open_}
    alarms: dict[Key, Alarm] = {}
    for key, alarm in state.alarms.items():
        other = stored.get(alarm.id)
        if other is not None:
            alarms[key] = max(alarm, other, key=lambda one: one.version)
        elif alarm.id not in seen and alarm.received_at >= at - COMMITTING:
            alarms[key] = alarm
    return replace(state, alarms=alarms)


def with_pursued(state: State, pursued: Iterable[Alarm]) -> State:
    """The state with what is paged here already and stands in it under no name: a further press is an occurrence of that, and no second alarm.

    It is so while the message that raised it is committed and no look has shown it yet.
    """
    missing = {Key(one.device, one.definition, one.instance): one for one in pursued}
    return replace(state, alarms=missing | state.alarms)


class Judge:
    """What the unconfirmed messages of one partition raise, over its last committed state; kept while that does not move."""

    def __init__(self, state: State, registry: Registry) -> None:
        self.registry = registry
        self._draft = Draft(state, registry, 0)
        self._held = [key for key, watch in state.watches.items() if watch.holds]
        self._found: set[UUID] = set()
        self._loud: set[str] = set(self._concerned(state))
        """clients of which every message counts: a fire or panic condition holds behind them, an alarm stands, a test runs"""
        self.fallen = 0
        """messages over which judging fell"""
        self.raised: dict[UUID, Micros] = {}
        """what the messages taken last have raised, each alarm at its latest time, whether or not it stood already"""

    def take(self, messages: Iterable[Message], now: Micros) -> list[Alarm]:
        """Judge what was not judged yet; the fire and panic alarms that somebody must now be told of, each once.

        A message beyond a gap is judged all the same: what is missing may come never, and a press in it must not wait for that.
        """
        draft = self._draft
        draft.now = now
        for message in messages:
            streamed = draft.streams.get(message.stream) or draft.state.streams.get(message.stream)
            if streamed is not None and message.seq <= streamed.upto:
                continue
            if streamed is None or streamed.upto != message.seq - 1:
                client = message.client if streamed is None else streamed.client
                draft.streams[message.stream] = Streamed(client, message.lane, message.seq - 1, None, None)
            # ingest says which message fell, and nobody's press waits behind it
            self.fallen += isinstance(tried(partial(take_message, draft, message)), Fallen)
        self._run_timers()
        begun = [alarm for _, alarm in draft.touched.values() if alarm.id in draft.begin and alarm.id not in draft.stop]
        fresh = [alarm for alarm in begun if alarm.id not in self._found and is_pursued(alarm, now)]
        self._found |= {alarm.id for alarm in fresh}
        self.raised = {one.alarm: one.at for one in draft.transitions if one.event == AlarmEvent.RAISE}
        self._forget_rows()
        return [
            alarm for alarm in fresh if draft.registry.devices[alarm.device].key > 0
        ]  # a canary proves the path, not this

    def sift(self, waiting: Sequence[Waiting], window: Window) -> list[Waiting]:
        """What of this has to be judged: all of clients behind which something is, nothing of the others.

        A province's beats that wait say that all is well. Of a client of which nothing else is known they raise nothing, whatever is judged
        before and after them, and each is looked at once (`Window.quiet`). The first message that says otherwise takes with it all that
        waits of its client, so that what is judged of a client is always everything, in order.
        """
        woken: set[str] = set()
        for one in waiting:
            client, place = one.message.client, (one.message.stream, one.message.seq)
            if client in self._loud or client in woken or place in window.quiet:
                continue
            if not self.is_quiet(one.message):
                woken.add(client)
            elif one.confirmed is None:
                window.quiet.add(place)
        self._loud |= woken
        found = {(one.message.stream, one.message.seq): one for one in window.of_clients(woken)} if woken else {}
        for one in waiting:
            if one.message.client in self._loud:
                found.setdefault((one.message.stream, one.message.seq), one)
        return [found[place] for place in sorted(found)] if woken else [*found.values()]

    def is_quiet(self, message: Message) -> bool:
        """Whether nothing in the message meets the condition of a fire or panic; where in doubt something does."""
        found = tried(partial(may_raise, message, self.registry, self._draft.now, LIFE_SAFETY, {}))
        return found is False

    def _concerned(self, state: State) -> Iterator[str]:
        names = [*state.tests, *(key.device for key in state.alarms), *(key.device for key in self._held)]
        for name in names:
            device = self.registry.devices.get(name)
            if device is not None:
                yield device.client

    def standing(self) -> list[Alarm]:
        """The alarms of the state that it judges over."""
        return [alarm for alarm in self._draft.state.alarms.values() if alarm.ended_at is None]

    def _run_timers(self) -> None:
        draft = self._draft
        for key in {*self._held, *(key for key, watch in draft.watches.items() if watch.holds)}:
            device, watch = draft.registry.devices.get(key.device), draft.watch_of(key)
            definition = None if device is None else device.profile.alarms.get(key.definition)
            if device is None or watch is None or definition is None or definition.signal_class not in LIFE_SAFETY:
                continue
            if draft.test_of(device.id) is None and due_events(
                definition, watch, is_active(draft.alarm_of(key)), draft.now
            ):
                run_timer(draft, device, key, definition, watch)

    def _forget_rows(self) -> None:
        """What only a transaction would write grows with an outage."""
        draft = self._draft
        for rows in (
            draft.readings,
            draft.events,
            draft.quarantined,
            draft.transitions,
            draft.changes,
            draft.gaps,
            draft.runs,
        ):
            rows.clear()
        draft.tallies.clear()
        draft.confirm.clear()


def is_pursued(alarm: Alarm, now: Micros) -> bool:
    """Whether the standby pages it: a real fire or panic that nobody has answered and nothing hides."""
    return alarm.signal_class in LIFE_SAFETY and alarm.exercise is None and is_paged(alarm, now)


Row = tuple[int, int, int]
"""round, step, repetition"""


@dataclass(frozen=True, slots=True)
class Pursuit:
    """One alarm whose pages are owed: who is told when (`plan`, from the start of the present round), and what is done of it."""

    alarm: Alarm
    policy: str
    version: int
    plan: Plan
    first_round: int
    round: int
    started_at: Micros
    done: frozenset[Row] = field(default_factory=frozenset)

    @property
    def key(self) -> Key:
        """What is unique among active alarms."""
        return Key(self.alarm.device, self.alarm.definition, self.alarm.instance)


def due_rows(pursuit: Pursuit, now: Micros, overdue: Micros = 0) -> list[tuple[Due, Micros]]:
    """The rows of the present round that are not done and were due `overdue` ago, with their due times, in order."""
    rows = ((row, pursuit.started_at + row.offset) for row in round_of(pursuit.plan, pursuit.round))
    return [
        (row, at)
        for row, at in rows
        if at + overdue <= now and (row.round, row.step, row.repetition) not in pursuit.done
    ]


def with_done(pursuit: Pursuit, row: Due) -> Pursuit:
    """The same with one row done."""
    return replace(pursuit, done=pursuit.done | {(row.round, row.step, row.repetition)})


def renewed(pursuit: Pursuit, now: Micros) -> Pursuit:
    """The pursuit with a new round that begins now: an answer to it is over."""
    return replace(pursuit, round=pursuit.round + 1, started_at=now, done=frozenset())


def moved_on(pursuit: Pursuit, now: Micros) -> Pursuit:
    """The pursuit in its next round where all of the present one is done. A fire or panic never ends: after its policy's last round the manned
    room alone is told, again and again."""
    if any((row.round, row.step, row.repetition) not in pursuit.done for row in round_of(pursuit.plan, pursuit.round)):
        return pursuit
    following = next_round(pursuit.plan, pursuit.first_round, pursuit.round, pursuit.started_at, now)
    if following is not None:
        return replace(pursuit, round=following[0], started_at=following[1])
    room = last_resort(pursuit.plan)
    start = max(pursuit.started_at + room.round_every, now)
    return replace(pursuit, plan=room, round=pursuit.round + 1, started_at=start)


def hastened(pursuit: Pursuit, now: Micros) -> Pursuit:
    """The pursuit with its next rows due now, and all after them as much sooner: somebody calls again, and nobody knows who was told of it."""
    pursuit = moved_on(pursuit, now)
    left = [
        pursuit.started_at + row.offset
        for row in round_of(pursuit.plan, pursuit.round)
        if (row.round, row.step, row.repetition) not in pursuit.done
    ]
    early = min(left, default=now) - now
    return replace(pursuit, started_at=pursuit.started_at - early) if early > 0 else pursuit
