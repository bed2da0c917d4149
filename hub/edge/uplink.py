"""The way up: one MQTT session carries the spool's messages of both lanes and hears the hub's confirmations.

Only a confirmation lets go of a message; what the broker acknowledges means nothing here, so nothing is kept by the broker either
(`clean start`).

One session, because the broker ties a device's client id to its user name (DESIGN.md: nobody takes another's session). Urgent still never
waits behind bulk: each lane has its own task and window, and bulk puts at most `PIPE` bytes that the broker has not acknowledged onto the
line. Why: docs/decisions/0010-one-session-an-edge.md.

Beside the spool on the disk there is the one in memory (`hub.edge.intake`), with streams of its own. Each lane of each is a `_Leg` with its own
task; what a disk does to one leg stops no other, and never ends the session.
"""

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from hub.core.backoff import DENIED_URGENT, Backoff
from hub.core.batching import TARGET_BYTES
from hub.core.edge_estimates import SkewEstimate
from hub.core.proof_order import order_topic
from hub.core.siren_order import siren_answer_topic, siren_topic
from hub.core.window import Past, Verdict, Window
from hub.core.wire import (
    MAX_REJECTS,
    MAX_SAMPLES,
    Confirmation,
    Items,
    SessionState,
    Topic,
    configuration_topic,
    decode_confirm,
    encode_state,
    parse_hub_time,
    properties_of,
    state_topic,
)
from hub.crash import point
from hub.edge.intake import Intake, Shelf
from hub.edge.spool import Message, SpoolBroken, SpoolFailed
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import Lane, Micros
from hub.mqtt import Broker, Session, Will, session
from hub.runtime.apart import apart

log = structlog.get_logger()

CHUNK = 20
"""messages read from the spool at a time"""
PIPE = 64 * 1024
"""bytes of bulk on the line without the broker's acknowledgement, or one message if it is larger: half a second of a line of 1 Mbit/s"""
LONGEST = 5.0
"""seconds of the longest pause: an alarm must not wait long for a broker that is back"""
LONGEST_PROPERTIES = properties_of("x" * 43, 2**63 - 1, Items(2**63 - 1, 2**63 - 1, MAX_SAMPLES + MAX_REJECTS))
"""of a message: a stream's name is a UUID and the lane"""
ENVELOPE = 64
"""bytes of a message around its parts"""
MOST_ORDERS = 100
FAREWELL = 1.0
"""seconds"""
DISK_PAUSE = 1.0
"""seconds between two tries of a disk that does not give or let go of messages"""
STEADY = 30.0
"""seconds after which a session counts as good and the back-off starts over"""


class Uplink:
    """An edge's way up; `run` never returns."""

    def __init__(
        self, broker: Broker, partition: int, client: str, intake: Intake, clock: Callable[[], Micros]
    ) -> None:
        self.connected = asyncio.Event()
        """set while a session is open"""
        self.configuration: bytes | None = None
        """the newest message on the topic of the configuration; whoever takes it puts None here"""
        self.configured = asyncio.Event()
        """set when one came; who waits clears it"""
        self.orders: deque[bytes] = deque(maxlen=MOST_ORDERS)
        """what the hub wants injected in proofs, unread; the oldest goes when there are too many"""
        self.ordered = asyncio.Event()
        """set when one came; who waits clears it"""
        self.sirens: deque[bytes] = deque(maxlen=MOST_ORDERS)
        """what the hub wants sounded, unread"""
        self.alarmed = asyncio.Event()
        """set when one came; who waits clears it"""
        self.confirmed_at = _now()
        """when the hub last confirmed anything urgent (an edge beats there), by the loop's clock; at first, when this began"""
        self.skew = SkewEstimate()
        """how far this machine's clock is from the hub's"""
        self._session: tuple[Session, str] | None = None
        self.reached = False
        """the hub has confirmed something urgent over the broker that is now aimed at"""
        self._client = client
        self._intake = intake
        self._clock = clock
        self._moved = asyncio.Event()
        self._aim(broker, partition)
        self._pasts: dict[str, Past] = {}
        """of the streams that there are, over all sessions"""
        self._backoff = Backoff(longest=LONGEST, denied_longest=DENIED_URGENT)
        self._said_down = False

    def _aim(self, broker: Broker, partition: int) -> None:
        client = self._client
        self._broker = broker
        self._up = {lane: str(Topic(partition, client, "up", lane)) for lane in Lane}
        self._down = {str(Topic(partition, client, "down", lane)): lane for lane in Lane}
        self._configuration = configuration_topic(partition, client)
        self._orders = order_topic(partition, client)
        self._sirens = siren_topic(partition, client)
        self._siren_answers = siren_answer_topic(partition, client)
        self._state = state_topic(partition, client)

    def move(self, broker: Broker, partition: int) -> None:
        """Go on at another broker, at once; what the hub can know of the streams is kept (`Past`)."""
        self._aim(broker, partition)
        self.reached = False
        self._backoff.reset()
        self._said_down = False
        self._moved.set()

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            self._moved.clear()
            started = asyncio.get_running_loop().time()
            try:
                await apart(self._attend())
            except AccessDenied as error:
                pause = self._backoff.denied(random.random())
                self._say_down(error, pause)
            except (LinkDown, BadInput) as error:
                if asyncio.get_running_loop().time() - started > STEADY:
                    self._backoff.reset()
                pause = self._backoff.next(random.random())
                self._say_down(error, pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._moved.wait()

    async def _leave_when_moved(self) -> NoReturn:
        await self._moved.wait()
        raise LinkDown("the configuration names another broker")

    async def _attend(self) -> None:
        """One session's life."""
        name = uuid.uuid4().hex
        will = Will(self._state, encode_state(SessionState(name, born=False)))
        async with session(self._broker, client_id=self._client, clean_start=True, session_expiry=0, will=will) as live:
            with suppress(AccessDenied):  # a broker whose rules know no birth carries alarms all the same
                await live.publish(self._state, encode_state(SessionState(name, born=True)))
            self._session = live, name
            room = live.room(self._up[Lane.URGENT], LONGEST_PROPERTIES)
            self._intake.target = TARGET_BYTES if room is None else max(1, min(TARGET_BYTES, room - ENVELOPE))
            for topic in (*self._down, self._configuration, self._orders, self._sirens):
                await live.subscribe(topic)
            log.info("uplink.up", broker=str(self._broker))
            self._said_down = False
            self.connected.set()
            try:
                async with asyncio.TaskGroup() as tasks:
                    legs: list[_Leg] = []
                    tasks.create_task(self._hear(live, legs), name="uplink-hear")
                    tasks.create_task(self._carry(live, legs), name="uplink-carry")
                    tasks.create_task(self._leave_when_moved(), name="uplink-move")
            except BaseExceptionGroup as group:
                raise _first(group) from None  # the first to fall cancelled the others
            finally:
                self._session = None
                self.connected.clear()

    async def answer_siren(self, payload: bytes) -> None:
        """Tell the hub what became of its order, where there is a connection: it asks again otherwise."""
        if self._session is None:
            return
        live, _ = self._session
        try:
            async with asyncio.timeout(FAREWELL):
                await live.publish(self._siren_answers, payload)
        except (LinkDown, AccessDenied, BadInput, TimeoutError) as error:
            log.warning("uplink.siren_answer_lost", reason=str(error))

    async def farewell(self) -> None:
        """The edge stops in order: say what else the broker would say for it."""
        if self._session is None:
            return
        live, name = self._session
        with suppress(LinkDown, AccessDenied, BadInput, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await live.publish(self._state, encode_state(SessionState(name, born=False)))

    async def _carry(self, live: Session, legs: "list[_Leg]") -> None:
        """The legs of the memory, and those of the disk that is there; another disk, other legs."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._intake.disk_moved.clear()
                shelves = [shelf for shelf in (self._intake.memory, self._intake.disk) if shelf is not None]
                legs[:] = [leg for leg in legs if leg.shelf in shelves]
                streams = {shelf.spool.stream(lane) for shelf in shelves for lane in Lane}
                for gone in self._pasts.keys() - streams:
                    del self._pasts[gone]
                for shelf in shelves:
                    for lane in Lane:
                        if not any(leg.shelf is shelf and leg.lane is lane for leg in legs):
                            leg = _Leg(lane, self._up[lane], self._pasts, live, shelf, self._intake)
                            legs.append(leg)
                            tasks.create_task(leg.run(), name=f"uplink-{lane}")
                await self._intake.disk_moved.wait()

    async def _hear(self, live: Session, legs: "list[_Leg]") -> None:
        while True:
            for incoming in await live.take(100):
                if incoming.topic == self._configuration:
                    self.configuration = incoming.payload
                    self.configured.set()
                    live.settle(incoming)
                    continue
                if incoming.topic == self._orders:
                    self.orders.append(incoming.payload)
                    self.ordered.set()
                    live.settle(incoming)
                    continue
                if incoming.topic == self._sirens:
                    self.sirens.append(incoming.payload)
                    self.alarmed.set()
                    live.settle(incoming)
                    continue
                lane = self._down.get(incoming.topic)
                try:
                    confirmation = decode_confirm(incoming.payload)
                except BadInput as error:
                    log.warning("uplink.garbage", topic=incoming.topic, reason=str(error))
                else:
                    self._confirm(lane, legs, confirmation, parse_hub_time(incoming.properties))
                live.settle(incoming)

    def _confirm(
        self, lane: Lane | None, legs: "list[_Leg]", confirmation: Confirmation, hub_time: Micros | None
    ) -> None:
        for leg in legs:
            if leg.lane is lane and leg.stream == confirmation.stream:
                if lane is Lane.URGENT:
                    self.confirmed_at = _now()
                    self.reached = self.reached or not self._moved.is_set()  # while it is set, the old session speaks
                round_trip = leg.round_trip(confirmation.upto)
                if hub_time is not None and round_trip is not None:
                    self.skew.note(hub_time, self._clock(), round_trip, _now())
                if leg.confirm(confirmation):
                    self._backoff.reset()
                return
        log.debug("uplink.other_stream", lane=lane, stream=confirmation.stream)

    def _say_down(self, error: Exception, pause: float) -> None:
        say = log.debug if self._said_down else log.warning
        say("uplink.down", broker=str(self._broker), reason=str(error), pause=round(pause, 2))
        self._said_down = True


class _Leg:
    """Sends one lane's messages of one shelf within one session, and lets go of what is confirmed."""

    def __init__(
        self,
        lane: Lane,
        topic: str,
        pasts: dict[str, Past],
        live: Session,
        shelf: Shelf,
        intake: Intake,
    ) -> None:
        self.lane = lane
        self.shelf = shelf
        self._topic = topic
        self._pasts = pasts
        self._live = live
        self._intake = intake
        self._wake = shelf.appended[lane]
        self._window: Window | None = None
        self._stream = self.stream
        self._past = self._find_past()
        self._upto = 0
        """confirmed, and not let go of yet"""
        self._anew: Confirmation | None = None
        self._said = False
        self._under_way: deque[tuple[int, float]] = deque()
        """numbers and when they were first sent"""

    @property
    def stream(self) -> str:
        """As it is called now."""
        return self.shelf.spool.stream(self.lane)

    def _find_past(self) -> Past:
        return self._pasts.setdefault(self._stream, Past(self.shelf.spool.inherited(self.lane)))

    async def run(self) -> None:
        """Until the session ends, which raises, or the shelf is no more."""
        while True:
            try:
                await self._attend()
            except SpoolBroken as error:
                self._intake.lose_disk(self.shelf, error)
                return
            except SpoolFailed as error:
                self._say_failed(error)
                await asyncio.sleep(DISK_PAUSE)

    async def _attend(self) -> None:
        if self._window is None:
            self._window = Window(await self.shelf.confirmed(self.lane), _now())
        window = self._window
        while True:
            self._wake.clear()
            await self._tend(window)
            if window.expire(_now()):
                log.info("uplink.repeated", lane=self.lane, after=window.confirmed, cause="no confirmation")
            stream = self._stream
            room = self._past.allowed(window.sent, window.room) if self.shelf.sendable[self.lane] else 0
            chunk = await self.shelf.unconfirmed(self.lane, window.sent, min(CHUNK, room))
            await self._send(window, stream, chunk)
            if not chunk:
                with suppress(TimeoutError):
                    async with asyncio.timeout(window.wait(_now())):
                        await self._wake.wait()

    def round_trip(self, upto: int) -> float | None:
        """Seconds since message `upto` was first sent; None where it was not sent in this session, or is answered for already."""
        found = None
        while self._under_way and self._under_way[0][0] <= upto:
            seq, at = self._under_way.popleft()
            found = _now() - at if seq == upto else found
        return found

    def confirm(self, confirmation: Confirmation) -> bool:
        """The hub says how far it is; what follows from it is done by `run`. Whether that was progress."""
        window, past = self._window, self._past
        if window is None:
            return False
        past.heard = True
        verdict = window.confirm(confirmation.upto, past.known, _now())
        if verdict is Verdict.PROGRESS:
            self._upto = confirmation.upto
        elif verdict is Verdict.BACK:
            log.info("uplink.repeated", lane=self.lane, after=window.confirmed, cause="gap or repetition")
        elif verdict is Verdict.ANEW:
            self._anew = confirmation
        self._wake.set()
        return verdict is Verdict.PROGRESS

    async def _tend(self, window: Window) -> None:
        """Let go of what is confirmed; begin anew what the hub does not know. A disk that cannot let go stops no sending."""
        if self._stream != self.stream:  # what memory had was written to the disk
            self._begin_anew(window)
        # not while the disk takes over what memory has: the numbers that it goes by would mean others
        if self._anew is not None and self.shelf.sendable[self.lane]:
            said, known = self._anew, self._past.known
            after = await self.shelf.restart(self.lane)
            self._begin_anew(window)
            log.error("uplink.stream_anew", lane=self.lane, before=said.stream, after=after, hub=said.upto, sent=known)
        if self._upto:
            upto = self._upto
            point("edge-before-confirm-delete")
            try:
                await self.shelf.confirm(self.lane, upto)
            except SpoolFailed as error:
                self._say_failed(error)  # the hub has it: at worst it is sent once more after a restart
            else:
                self._said = False
            self._upto = self._upto if self._upto > upto else 0

    def _begin_anew(self, window: Window) -> None:
        window.restart(_now())
        self._under_way.clear()
        self._pasts.pop(self._stream, None)
        self._stream, self._anew, self._upto = self.stream, None, 0
        self._past = self._find_past()

    def _say_failed(self, error: SpoolFailed) -> None:
        say = log.debug if self._said else log.error
        say("uplink.spool_failed", lane=self.lane, reason=str(error))
        self._said = True

    async def _send(self, window: Window, stream: str, chunk: list[Message]) -> None:
        """Urgent onto the line as it comes; bulk as much as `PIPE` holds, then only when the broker has taken that."""
        on_the_line: list[asyncio.Task[None]] = []
        size = 0
        try:
            for message in chunk:
                if size and size + len(message.payload) > PIPE:
                    await asyncio.gather(*on_the_line)
                    on_the_line, size = [], 0
                # going back or beginning anew may have happened meanwhile
                if stream != self.stream or self._anew is not None or not self.shelf.sendable[self.lane]:
                    break
                if not window.take(message.seq, _now()):
                    break
                if not self._under_way or message.seq > self._under_way[-1][0]:
                    self._under_way.append((message.seq, _now()))
                self._past.highest = max(self._past.highest, message.seq)
                self.shelf.sent[self.lane] = max(self.shelf.sent[self.lane], message.seq)
                if self.lane is Lane.URGENT:
                    await self._post(stream, message)
                else:
                    on_the_line.append(asyncio.create_task(self._publish(stream, message)))
                    size += len(message.payload)
            await asyncio.gather(*on_the_line)
        finally:
            for task in on_the_line:
                task.cancel()

    def _properties(self, stream: str, message: Message) -> tuple[tuple[str, str], ...]:
        """Its place, and how much the stream holds up to it and as a whole (docs/protocol.md: conservation)."""
        if message.through < 0:
            return properties_of(stream, message.seq)
        # what waits in memory may go to the disk's stream instead: it is not said to be in this one
        given = message.through if self.shelf is self._intake.memory else self.shelf.spool.items(self.lane)
        given = max(given, message.through)
        items = Items(message.through, given, min(message.dropped, MAX_SAMPLES + MAX_REJECTS))
        return properties_of(stream, message.seq, items)

    async def _post(self, stream: str, message: Message) -> None:
        try:
            await self._live.post(self._topic, message.payload, user_properties=self._properties(stream, message))
        except BadInput as error:
            await self._give_up(message, error)
        point("edge-after-publish")

    async def _publish(self, stream: str, message: Message) -> None:
        try:
            await self._live.publish(self._topic, message.payload, user_properties=self._properties(stream, message))
        except BadInput as error:
            await self._give_up(message, error)
        point("edge-after-publish")

    async def _give_up(self, message: Message, error: BadInput) -> None:
        """The broker takes less than the protocol says: this one can never be sent as it is, and must not stand before the rest."""
        room = self._live.room(self._topic, LONGEST_PROPERTIES)
        if error.code != "mqtt-size" or room is None:
            raise error
        log.error("uplink.cut_up", lane=self.lane, seq=message.seq, reason=error.reason)
        await self.shelf.split(self.lane, room)
        raise LinkDown("messages that the broker does not take were cut up, the window starts again")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _now() -> float:
    return asyncio.get_running_loop().time()
