"""The way up: one MQTT session carries the spool's messages of both lanes and hears the hub's confirmations.

Only a confirmation lets go of a message; what the broker acknowledges means nothing here, so nothing is kept by the broker either
(`clean start`).

One session, because the broker ties a device's client id to its user name (DESIGN.md: nobody takes another's session). Urgent still never
waits behind bulk: each lane has its own task and window, and bulk puts at most `PIPE` bytes that the broker has not acknowledged onto the
line. Why: docs/decisions/0010-one-session-an-edge.md.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from hub.core.backoff import DENIED_URGENT, Backoff
from hub.core.window import Past, Verdict, Window
from hub.core.wire import (
    MAX_REJECTS,
    MAX_SAMPLES,
    Confirmation,
    Items,
    Topic,
    configuration_topic,
    decode_confirm,
    properties_of,
)
from hub.crash import point
from hub.edge.intake import Intake
from hub.edge.spool import Message, SpoolFailed
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import Lane, Micros, Reject
from hub.mqtt import Broker, Session, session

log = structlog.get_logger()

CHUNK = 20
"""messages read from the spool at a time"""
PIPE = 64 * 1024
"""bytes of bulk on the line without the broker's acknowledgement, or one message if it is larger: half a second of a line of 1 Mbit/s"""
LONGEST = 5.0
"""seconds of the longest pause: an alarm must not wait long for a broker that is back"""
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
        self.confirmed_at = _now()
        """when the hub last confirmed anything urgent (an edge beats there), by the loop's clock; at first, when this began"""
        self.reached = False
        """the hub has confirmed something urgent over the broker that is now aimed at"""
        self._client = client
        self._intake = intake
        self._clock = clock
        self._moved = asyncio.Event()
        self._aim(broker, partition)
        self._past = {lane: Past(intake.inherited(lane)) for lane in Lane}
        self._backoff = Backoff(longest=LONGEST, denied_longest=DENIED_URGENT)
        self._said_down = False

    def _aim(self, broker: Broker, partition: int) -> None:
        client = self._client
        self._broker = broker
        self._up = {lane: str(Topic(partition, client, "up", lane)) for lane in Lane}
        self._down = {str(Topic(partition, client, "down", lane)): lane for lane in Lane}
        self._configuration = configuration_topic(partition, client)

    def move(self, broker: Broker, partition: int) -> None:
        """Go on at another broker, at once; what the hub can know of the streams is kept (`Past`)."""
        self._aim(broker, partition)
        self.reached = False
        self._backoff.reset()
        self._said_down = False
        self._moved.set()

    async def run(self) -> None:
        """Carry until cancelled; raises SpoolBroken when the spool is damaged."""
        while True:
            self._moved.clear()
            started = asyncio.get_running_loop().time()
            try:
                await self._attend()
            except AccessDenied as error:
                pause = self._backoff.denied(random.random())
                self._say_down(error, pause)
            except (LinkDown, BadInput, SpoolFailed) as error:
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
        async with session(self._broker, client_id=self._client, clean_start=True, session_expiry=0) as live:
            for topic in (*self._down, self._configuration):
                await live.subscribe(topic)
            log.info("uplink.up", broker=str(self._broker))
            self._said_down = False
            self.connected.set()
            try:
                async with asyncio.TaskGroup() as tasks:
                    windows = {}
                    for lane in Lane:
                        windows[lane] = Window(await self._intake.confirmed(lane), _now())
                        carrier = _Carrier(
                            lane, self._up[lane], windows[lane], self._past[lane], live, self._intake, self._clock
                        )
                        tasks.create_task(carrier.run(), name=f"uplink-{lane}")
                    tasks.create_task(self._hear(live, windows), name="uplink-hear")
                    tasks.create_task(self._leave_when_moved(), name="uplink-move")
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None  # the first to fall cancelled the others
            finally:
                self.connected.clear()

    async def _hear(self, live: Session, windows: dict[Lane, Window]) -> None:
        while True:
            for incoming in await live.take(100):
                if incoming.topic == self._configuration:
                    self.configuration = incoming.payload
                    self.configured.set()
                    live.settle(incoming)
                    continue
                lane = self._down.get(incoming.topic)
                try:
                    confirmation = decode_confirm(incoming.payload)
                except BadInput as error:
                    log.warning("uplink.garbage", topic=incoming.topic, reason=str(error))
                else:
                    if lane is not None:
                        await self._confirm(lane, windows[lane], confirmation)
                live.settle(incoming)

    async def _confirm(self, lane: Lane, window: Window, confirmation: Confirmation) -> None:
        if confirmation.stream != self._intake.stream(lane):
            log.debug("uplink.other_stream", lane=lane, stream=confirmation.stream)
            return
        past = self._past[lane]
        past.heard = True
        if lane is Lane.URGENT:
            self.confirmed_at = _now()
            self.reached = self.reached or not self._moved.is_set()  # while it is set, the old session speaks
        known = past.known
        verdict = window.confirm(confirmation.upto, known, _now())
        if verdict is Verdict.PROGRESS:
            point("edge-before-confirm-delete")
            await self._intake.confirm(lane, confirmation.upto)
            self._backoff.reset()
        elif verdict is Verdict.BACK:
            log.info("uplink.repeated", lane=lane, after=window.confirmed, cause="gap or repetition")
        elif verdict is Verdict.ANEW:
            after = await self._intake.restart(lane)
            window.restart(_now())
            past.inherited, past.highest = None, 0
            log.error(
                "uplink.stream_anew",
                lane=lane,
                before=confirmation.stream,
                after=after,
                hub=confirmation.upto,
                sent=known,
            )
        self._intake.appended[lane].set()

    def _say_down(self, error: Exception, pause: float) -> None:
        say = log.debug if self._said_down else log.warning
        say("uplink.down", broker=str(self._broker), reason=str(error), pause=round(pause, 2))
        self._said_down = True


class _Carrier:
    """Sends one lane's messages within one session."""

    def __init__(
        self,
        lane: Lane,
        topic: str,
        window: Window,
        past: Past,
        live: Session,
        intake: Intake,
        clock: Callable[[], Micros],
    ) -> None:
        self._lane = lane
        self._topic = topic
        self._window = window
        self._past = past
        self._live = live
        self._intake = intake
        self._clock = clock
        self._wake = intake.appended[lane]

    async def run(self) -> None:
        """Until the session ends, which raises."""
        window = self._window
        while True:
            self._wake.clear()
            if window.expire(_now()):
                log.info("uplink.repeated", lane=self._lane, after=window.confirmed, cause="no confirmation")
            stream = self._intake.stream(self._lane)
            room = self._past.allowed(window.sent, window.room)
            chunk = await self._intake.unconfirmed(self._lane, window.sent, min(CHUNK, room))
            await self._send(stream, chunk)
            if not chunk:
                with suppress(TimeoutError):
                    async with asyncio.timeout(window.wait(_now())):
                        await self._wake.wait()

    async def _send(self, stream: str, chunk: list[Message]) -> None:
        """Urgent onto the line as it comes; bulk as much as `PIPE` holds, then only when the broker has taken that."""
        on_the_line: list[asyncio.Task[None]] = []
        size = 0
        try:
            for message in chunk:
                if size and size + len(message.payload) > PIPE:
                    await asyncio.gather(*on_the_line)
                    on_the_line, size = [], 0
                # going back or beginning anew may have happened meanwhile
                if stream != self._intake.stream(self._lane) or not self._window.take(message.seq, _now()):
                    break
                self._past.highest = max(self._past.highest, message.seq)
                if self._lane is Lane.URGENT:
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
        given = max(self._intake.items(self._lane), message.through)
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
        """The broker takes less than the protocol says: this one can never be sent, and must not stand before the rest."""
        if error.code != "mqtt-size":
            raise error
        log.error("uplink.unsendable", lane=self._lane, seq=message.seq, reason=error.reason)
        reject = Reject(self._clock(), "edge:uplink", "mqtt-size", error.reason, message.payload[:4096])
        await self._intake.replace(self._lane, message.seq, reject)
        raise LinkDown("a message was replaced, the window starts again")


def _now() -> float:
    return asyncio.get_running_loop().time()
