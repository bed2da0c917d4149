"""The way up: one MQTT session a lane carries the spool's messages and hears the hub's confirmations.

Only a confirmation lets go of a message; what the broker acknowledges means nothing here, so nothing is kept by the broker either
(`clean start`). Each lane has its own session and task: urgent never waits behind bulk.

The two sessions of an edge have client ids `<client>-urgent` and `<client>-bulk` under one user name. A device listener with mTLS and
`use_username_as_clientid` (DESIGN.md) would allow one session a certificate only: with it, lanes need names of their own.
"""

import asyncio
import random
from collections.abc import Callable

import structlog

from hub.core.backoff import Backoff
from hub.core.window import Verdict, Window
from hub.core.wire import Confirmation, Topic, decode_confirm, properties_of
from hub.crash import point
from hub.edge.intake import Intake
from hub.edge.spool import Message, SpoolFailed
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import Lane, Micros, Reject
from hub.mqtt import Broker, Session, session

log = structlog.get_logger()

CHUNK = 20
"""messages read from the spool at a time"""
STEADY = 30.0
"""seconds after which a session counts as good and the back-off starts over"""


class Uplink:
    """One lane's way up; `run` never returns."""

    def __init__(
        self, broker: Broker, partition: int, client: str, lane: Lane, intake: Intake, clock: Callable[[], Micros]
    ) -> None:
        self.lane = lane
        self.connected = asyncio.Event()
        """set while a session is open"""
        self._broker = broker
        self._client_id = f"{client}-{lane}"
        self._up = str(Topic(partition, client, "up", lane))
        self._down = str(Topic(partition, client, "down", lane))
        self._intake = intake
        self._clock = clock
        self._wake = intake.appended[lane]
        self._backoff = Backoff()
        self._said_down = False

    async def run(self) -> None:
        """Carry until cancelled; raises SpoolBroken when the spool is damaged."""
        while True:
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
            await asyncio.sleep(pause)

    async def _attend(self) -> None:
        """One session's life."""
        async with session(self._broker, client_id=self._client_id, clean_start=True, session_expiry=0) as live:
            await live.subscribe(self._down)
            log.info("uplink.up", lane=self.lane, broker=str(self._broker))
            self._said_down = False
            self.connected.set()
            try:
                now = asyncio.get_running_loop().time()
                window = Window(await self._intake.confirmed(self.lane), now)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._send(live, window), name=f"uplink-send-{self.lane}")
                    tasks.create_task(self._hear(live, window), name=f"uplink-hear-{self.lane}")
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None  # the first to fall cancelled the other
            finally:
                self.connected.clear()

    async def _send(self, live: Session, window: Window) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if window.expire(loop.time()):
                log.info("uplink.repeated", lane=self.lane, after=window.confirmed, cause="no confirmation")
            stream = self._intake.stream(self.lane)
            chunk = await self._intake.unconfirmed(self.lane, window.sent, min(CHUNK, window.room))
            for message in chunk:
                # going back or beginning anew may have happened while the spool was read
                if stream != self._intake.stream(self.lane) or not window.take(message.seq, loop.time()):
                    break
                await self._post(live, stream, message)
            if not chunk:
                try:
                    async with asyncio.timeout(window.wait(loop.time())):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _post(self, live: Session, stream: str, message: Message) -> None:
        try:
            await live.post(self._up, message.payload, user_properties=properties_of(stream, message.seq))
        except BadInput as error:
            if error.code != "mqtt-size":
                raise
            # the broker was given a smaller limit than the protocol's: this one can never be sent, and must not block the rest
            log.error("uplink.unsendable", lane=self.lane, seq=message.seq, reason=error.reason)
            reject = Reject(self._clock(), "edge:uplink", "mqtt-size", error.reason, message.payload[:4096])
            await self._intake.replace(self.lane, message.seq, reject)
            raise LinkDown("a message was replaced, the window starts again") from None
        point("edge-after-publish")

    async def _hear(self, live: Session, window: Window) -> None:
        while True:
            for incoming in await live.take(100):
                try:
                    confirmation = decode_confirm(incoming.payload)
                except BadInput as error:
                    log.warning("uplink.garbage", lane=self.lane, reason=str(error))
                else:
                    await self._confirm(window, confirmation)
                live.settle(incoming)

    async def _confirm(self, window: Window, confirmation: Confirmation) -> None:
        if confirmation.stream != self._intake.stream(self.lane):
            log.debug("uplink.other_stream", lane=self.lane, stream=confirmation.stream)
            return
        last = await self._intake.last(self.lane)
        verdict = window.confirm(confirmation.upto, last, asyncio.get_running_loop().time())
        if verdict is Verdict.PROGRESS:
            point("edge-before-confirm-delete")
            await self._intake.confirm(self.lane, confirmation.upto)
            self._backoff.reset()
        elif verdict is Verdict.BACK:
            log.info("uplink.repeated", lane=self.lane, after=window.confirmed, cause="gap or repetition")
        elif verdict is Verdict.ANEW:
            before = confirmation.stream
            after = await self._intake.restart(self.lane)
            log.error(
                "uplink.stream_anew", lane=self.lane, before=before, after=after, hub=confirmation.upto, last=last
            )
            window.restart(asyncio.get_running_loop().time())
        self._wake.set()

    def _say_down(self, error: Exception, pause: float) -> None:
        say = log.debug if self._said_down else log.warning
        say("uplink.down", lane=self.lane, broker=str(self._broker), reason=str(error), pause=round(pause, 2))
        self._said_down = True
