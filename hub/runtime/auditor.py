"""The auditor: looks for alarms that nobody drives, flies the canaries, and feeds the outside heartbeat only when all of it came back.

It has connections and an MQTT session of its own and shares nothing with what it watches. A canary presses at the broker like any device; its
page must arrive at the auditor's own HTTP receiver: what the database says of it counts for nothing. One beat is fed after each round in which
every partition's canary came back, no critical alarm was without a next step, and every URL in `ANXIN_WATCH` answered. Whoever feeds
on the beat outside (a service of the healthchecks.io kind) notices that it stops, whatever died: also the auditor.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import structlog
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from hub.core.canary import PROFILE, Flight, flight, stream_of
from hub.errors import ODD, AccessDenied, BadInput, Conflict, LinkDown
from hub.mqtt import Broker, Session, session
from hub.runtime.apart import apart
from hub.runtime.shared import wall_clock
from hub.store.audit_look import look
from hub.store.canary import Aviary, Nest, open_aviary

EVERY = 30.0
LIMIT = 20.0
"""seconds a round: from one press to the next, and until which all must have come back"""
DEAF = 15.0
ASKED = 5.0
"""seconds that a watched URL, or the outside, may take to answer"""
LOOKED = 5.0
"""seconds of the last look of a round, at the database"""
OUTSIDE = 65.0
"""seconds without a beat after which whoever watches outside is to alarm (docs/operations.md): two rounds, or one and all that it may take"""
BODY = 65_536
"""bytes of a request to the sink at most"""
SWEEP_ROUNDS = 20
_LATE = "the database or the broker did not answer in time"
_log = structlog.get_logger(__name__)


class Timing(NamedTuple):
    """How often, and how long at most; seconds."""

    every: float = EVERY
    limit: float = LIMIT
    deaf: float = DEAF
    """without a lane's note that it listens; it writes one every 5 s"""


@dataclass
class Watch:
    """What the auditor has found, for metrics and tests."""

    rounds: int = 0
    beats: int = 0
    missing: int = 0
    """canaries that did not come back in the last round"""
    unattended: int = 0
    deaf: int = 0
    """lanes that stood still in the last round, the bulk ones too: no canary goes by them"""
    unanswered: int = 0
    """watched URLs that did not answer in the last round"""
    took: float = 0.0
    """seconds until the last canary of the last whole round was back"""
    reason: str = ""
    """why the last round fed no beat"""
    expected: dict[UUID, "asyncio.Future[float]"] = field(default_factory=dict)


class Sink:
    """Where canaries come back to: a webhook receiver that believes only what is signed with the secret of this run."""

    def __init__(self, watch: Watch, host: str, port: int) -> None:
        self._watch = watch
        self._address = host, port
        self._secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        self._hook = Webhook(self._secret)
        self.port = 0

    def settings(self, url: str) -> dict[str, str]:
        """Settings of the channel that leads here; `url` as the deliverer reaches it, empty: on this machine."""
        return {"url": url or f"http://127.0.0.1:{self.port}/", "secret": self._secret}

    async def serve(self, bound: Callable[[], None]) -> NoReturn:
        """Until cancelled."""
        server = await asyncio.start_server(self._take, *self._address, limit=BODY)
        self.port = server.sockets[0].getsockname()[1]
        bound()
        async with server:
            await server.serve_forever()
        raise AssertionError("a server that serves for ever has ended")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5.0):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
                length = headers.get("content-length", "")
                size = int(length) if length.isdecimal() and len(length) < 8 else BODY + 1
                taken = size <= BODY and self._believe(headers, await reader.readexactly(size))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n" if taken else b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _believe(self, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            self._hook.verify(body, dict(headers))
            data = json.loads(body)["data"]
            key, exercise = UUID(headers["webhook-id"]), data["exercise"]
        except (WebhookVerificationError, ValueError, KeyError, TypeError):
            return False
        waiting = self._watch.expected.get(key)
        if exercise == "canary" and waiting is not None and not waiting.done():
            waiting.set_result(time.monotonic())
        return bool(exercise == "canary")


class Auditor:
    """One a hub. `heartbeat` is a URL that is asked once a good round; empty: nobody outside watches, which is said loudly."""

    def __init__(
        self,
        database_url: str,
        broker: Broker,
        *,
        heartbeat: str = "",
        sink_url: str = "",
        watched: Callable[[], Sequence[str]] = tuple,
        timing: Timing = Timing(),
    ) -> None:
        self._database_url = database_url
        self._broker = broker
        self._heartbeat = heartbeat
        self._sink_url = sink_url
        self._watched = watched
        self._timing = timing
        self.watch = Watch()
        try:
            port = urlsplit(sink_url).port or 80
        except ValueError:
            raise BadInput("a URL with a port from 1 to 65535", "ANXIN_CANARY_SINK_URL", code="settings") from None
        host, port = ("0.0.0.0", port) if sink_url else ("127.0.0.1", 0)  # noqa: S104 -- in a container
        self._sink = Sink(self.watch, host, port)

    async def run(self) -> NoReturn:
        """Until cancelled. A side task that dies ends all of it: no beat is fed by half an auditor."""
        if not self._heartbeat:
            _log.warning(
                "auditor.nobody_outside", reason="ANXIN_HEARTBEAT_URL is not set: a hub that is dead cannot say so"
            )
        bound = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sink.serve(bound.set), name="auditor-sink")
            await bound.wait()
            tasks.create_task(self._fly(), name="auditor-canary")
        raise AssertionError("an auditor has ended")

    async def _fly(self) -> NoReturn:
        while True:
            try:
                await apart(self._rounds())
            except (LinkDown, AccessDenied, Conflict, *ODD) as error:  # and no beat meanwhile
                self._tell(" ".join(str(error).split())[:200])
                await asyncio.sleep(min(2.0, self._timing.every))

    async def _rounds(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        name = f"hub-auditor-{secrets.token_hex(4)}"
        async with (
            open_aviary(self._database_url) as aviary,
            session(self._broker, client_id=name, clean_start=True, session_expiry=0) as mqtt,
        ):
            try:
                async with asyncio.timeout(self._timing.limit):
                    nests = await aviary.settle(PROFILE.profile, self._sink.settings(self._sink_url))
            except TimeoutError:  # it would end the auditor, and whatever else runs in this process
                raise LinkDown(_LATE) from None
            while True:
                started = loop.time()
                reason = await self._round(aviary, mqtt, nests)
                self.watch.rounds += 1
                if reason:
                    self._tell(reason)
                else:
                    await self._beat()
                await asyncio.sleep(max(0.0, started + self._timing.every - loop.time()))

    async def _round(self, aviary: Aviary, mqtt: Session, nests: Sequence[Nest]) -> str:
        """Fly once and look around; why no beat is due, empty where one is."""
        try:
            async with asyncio.timeout(self._timing.limit):
                missing = await self._canaries(aviary, mqtt, nests)
                if self.watch.rounds % SWEEP_ROUNDS == 0:
                    await _sweep(aviary)
                urls = self._watched()
                answered = await asyncio.gather(*map(_answers, urls))
                silent = [url for url, well in zip(urls, answered, strict=True) if not well]
                # last, since what it sees may be old already: what a beat vouches for is never older than a part of 90 s
                async with asyncio.timeout(LOOKED):
                    unattended, deaf = await look(self._database_url, self._timing.deaf)
        except TimeoutError:
            return _LATE
        self.watch.missing, self.watch.unattended, self.watch.unanswered = len(missing), len(unattended), len(silent)
        self.watch.deaf = len(deaf)
        if missing:
            return f"{len(missing)} of {len(nests)} canaries did not come back: partition {missing[0].partition}"
        if unattended:
            return f"alarm {unattended[0].alarm} has no next step: {unattended[0].reason}"
        if deaf:
            return f"lane {deaf[0][1]} of partition {deaf[0][0]} stands still"
        return f"{urlsplit(silent[0]).netloc} does not answer" if silent else ""

    async def _canaries(self, aviary: Aviary, mqtt: Session, nests: Sequence[Nest]) -> list[Nest]:
        """Press all canaries; those that were not back in time. What an earlier round left open is answered first."""
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        out: dict[Nest, tuple[Flight, asyncio.Future[float]]] = {}
        for nest in nests:
            await aviary.answer(nest, wall_clock())
            one = flight(nest.id, nest.partition, await aviary.upto(stream_of(nest.id)) + 1, wall_clock())
            back: asyncio.Future[float] = loop.create_future()
            self.watch.expected[one.key] = back
            out[nest] = one, back
            await mqtt.publish(one.topic, one.payload, user_properties=one.properties)
        try:
            await asyncio.wait([back for _, back in out.values()], timeout=self._timing.limit * 0.6)
            missing = [nest for nest, (_, back) in out.items() if not back.done()]
            if not missing:
                self.watch.took = max(back.result() for _, back in out.values()) - started
        finally:
            self.watch.expected.clear()
        for nest in nests:
            await aviary.answer(nest, wall_clock())
        return missing

    async def _beat(self) -> None:
        self.watch.reason = ""
        if self._heartbeat and not await _answers(self._heartbeat):
            _log.warning("auditor.heartbeat_not_taken", to=urlsplit(self._heartbeat).hostname)
            return
        self.watch.beats += 1

    def _tell(self, reason: str) -> None:
        say = _log.error if reason != self.watch.reason else _log.debug
        self.watch.reason = reason
        say("auditor.no_beat", reason=reason)


async def _sweep(aviary: Aviary) -> None:
    """What canaries left a day ago; that it does not go is no reason to alarm anybody outside."""
    try:
        await aviary.sweep()
    except (Conflict, BadInput) as error:
        _log.error("auditor.canaries_not_deleted", reason=str(error))


async def _answers(url: str) -> bool:
    """Whether a URL answers with 2xx within `ASKED` seconds; a URL may hold a token and is never logged."""
    try:
        async with asyncio.timeout(ASKED), httpx.AsyncClient(follow_redirects=False) as http:
            return (await http.get(url)).is_success
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError):
        return False


__all__ = ["Auditor", "Timing", "Watch"]
