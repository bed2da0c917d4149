"""The one adapter over aiomqtt: a session that settles by hand, takes what is queued, and says when a publish was refused.

`session(broker, …)` is an async context manager: entering connects, leaving disconnects, to reconnect is to leave and to enter again.
A message is settled (PUBACK) when its content is safe and never before; what is not settled comes again with the next connection.
Everything raises `LinkDown`, `AccessDenied` or `BadInput`; no text of theirs holds a password.

Measured, QoS 1, 120 B, two user properties: a message that is posted, acknowledged, taken and settled takes 33 µs of a core (149 µs by paho alone).

Why it exists: aiomqtt 2.5 acknowledges on arrival, returns normally when the broker refused a publish (reason 0x87), and costs a task a
message. All three are cured through the paho client inside it, which is reached by one private attribute, in `_paho` below, and by two
calls on it (`manual_ack_set`, `ack`); `hub.packets` takes the place of two of its methods. A test fails when they vanish.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import aiomqtt
import structlog
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import SecretStr

from hub import packets
from hub import user_properties as quick
from hub.errors import AccessDenied, BadInput, DriverError, LinkDown

log = structlog.get_logger()

UserProperties = tuple[tuple[str, str], ...]

RECEIVE_MAXIMUM = 1000
"""Messages that the broker may have under way to us, so also the bound of the queue."""

UNACKNOWLEDGED = 200
"""Messages that we may have under way to the broker; an edge's window of 100 fits twice."""

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 10.0
"""Seconds that the broker has to answer CONNECT, SUBSCRIBE or PUBLISH."""
LEAVE_TIMEOUT = 2.0

_FIRST_MID = 1024
"""numbers below it paho gives itself, for what it subscribes"""
_HEADROOM = 64
"""Bytes of a PUBLISH packet beside topic, payload and user properties, generously."""

_DENIED = frozenset({0x85, 0x86, 0x87, 0x8A, 0x8C})
"""Reason codes (MQTT 5, 2.4) after which a person must act: client id, credentials, authorisation, banned, method."""
_MALFORMED = frozenset({0x8F, 0x90, 0x95, 0x99, 0x9A, 0x9B})
"""Topic filter or name, packet size, payload format, retain or QoS not supported: the same message is refused again."""

_connections = itertools.count(1)
quick.install()

_QUIET = logging.getLogger("hub.mqtt.paho")
"""paho says on its own that a socket failed; whoever holds the session gets LinkDown and says it once."""
_QUIET.propagate = False
_QUIET.addHandler(logging.NullHandler())


class ClosingSocket(ssl.SSLSocket):
    """Closed when its handshake fails: paho forgets it then, and whoever keeps the error would keep the socket."""

    def do_handshake(self, block: bool = False) -> None:
        """The handshake, and what a subclass checks of the peer."""
        try:
            super().do_handshake(block)
            self.check_peer()
        except BaseException:
            self.close()
            raise

    def check_peer(self) -> None:
        """Beyond what the context has checked; raises ssl.SSLError."""


@dataclass(frozen=True)
class Broker:
    """Where the broker is and who we are there; without `tls` the connection is plain."""

    host: str
    port: int = 1883
    username: str | None = None
    password: SecretStr | None = None
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Will(NamedTuple):
    """What the broker publishes when this session ends without a goodbye."""

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False


class Incoming(NamedTuple):
    """A message as it came; `connection` and `mid` are its handle and hold for one connection only."""

    topic: str
    payload: bytes
    properties: UserProperties
    """MQTT 5 user properties, in order"""
    retain: bool
    """True: it was kept by the broker from before we subscribed, so it tells a past state"""
    qos: int
    mid: int
    connection: int

    def property(self, name: str) -> str | None:
        """The first user property of that name."""
        return next((value for key, value in self.properties if key == name), None)


def parse_broker(url: str, tls: ssl.SSLContext | None = None) -> Broker:
    """`mqtt://user:password@host:port` or `mqtts://…` (TLS with the system's authorities unless `tls` is given); raises BadInput."""
    wrong = BadInput("the address of a broker is written mqtt://user:password@host:port", "broker url")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("mqtt", "mqtts") or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise wrong
    if parts.scheme == "mqtts" and tls is None:
        tls = ssl.create_default_context()
    return Broker(
        host=host,
        port=port if port is not None else (8883 if tls is not None else 1883),
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else SecretStr(unquote(parts.password)),
        tls=tls,
    )


def _refusal(reason: ReasonCode | int, what: str, where: str) -> DriverError | BadInput:
    code = reason.value if isinstance(reason, ReasonCode) else reason
    text = f"{what} refused by the broker: {reason} (0x{code:02x})"
    if code in _DENIED:
        return AccessDenied(f"{where}: {text}")
    if code in _MALFORMED:
        return BadInput(text, where, code="mqtt")
    return LinkDown(f"{where}: {text}")


def _paho(client: aiomqtt.Client) -> paho.Client:
    """The paho client inside: the one private attribute that this hub uses."""
    return client._client


class Session:
    """A live connection; `session()` makes it. One task takes messages; any task may publish."""

    def __init__(self, broker: Broker, client: aiomqtt.Client, receive_maximum: int, *, five: bool = True) -> None:
        self.resumed = False
        """the broker had kept this client's session"""
        self.discarded = 0
        """messages of QoS 0 that found the queue full; said when it begins, and how many when the session is left"""
        self._broker = broker
        self._client = client
        self._inner = _paho(client)
        self._connection = next(_connections)
        self._queue: deque[Incoming] = deque()
        self._queue_limit = 2 * receive_maximum
        self._wanted = 1
        """messages for which whoever takes them is woken"""
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = asyncio.Event()
        self._pending: dict[int, asyncio.Future[ReasonCode | None] | str] = {}
        self._window = UNACKNOWLEDGED
        self._largest_packet: int | None = None
        self._down: str | None = None
        self._refused: DriverError | BadInput | None = None
        self._mids = itertools.cycle(range(_FIRST_MID, 65_536))
        self._hook()
        self._wire = packets.Wire(self._inner, self._arrive, self._answer) if five else None

    # ---- what paho calls, in the loop's thread ----

    def _hook(self) -> None:
        """Before connecting: the broker may send right behind its CONNACK, and nothing may be settled by itself."""
        inner = self._inner
        inner.manual_ack_set(True)
        connected = inner.on_connect

        def on_connect(
            client: paho.Client, data: Any, flags: paho.ConnectFlags, reason: ReasonCode, props: Any
        ) -> None:
            self.resumed = flags.session_present
            self._window = min(self._window, getattr(props, "ReceiveMaximum", self._window))
            self._largest_packet = getattr(props, "MaximumPacketSize", None)
            if connected is not None:
                connected(client, data, flags, reason, props)  # type: ignore[call-arg,arg-type]

        disconnected = inner.on_disconnect

        def on_disconnect(*args: Any) -> None:
            self._ended.set()
            if disconnected is not None:
                disconnected(*args)

        inner.on_connect = on_connect
        inner.on_disconnect = on_disconnect
        inner.on_message = self._on_message
        inner.on_publish = self._on_publish

    def _on_message(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        user = tuple(getattr(message.properties, "UserProperty", ()))
        about = bytes(message.payload), user, message.retain, message.qos, message.mid
        self._arrive(packets.Published(message.topic, *about))

    def _arrive(self, message: packets.Published) -> None:
        if len(self._queue) >= self._queue_limit:
            if message.qos == 0:
                if self.discarded == 0:
                    log.warning(
                        "mqtt.discarding", broker=str(self._broker), topic=message.topic, queue=self._queue_limit
                    )
                self.discarded += 1
                return
            self._fail("the broker sends more than the Receive Maximum allows")
            return
        self._queue.append(Incoming(*message, self._connection))
        if len(self._queue) >= self._wanted:
            self._arrived.set()

    def _on_publish(self, client: paho.Client, data: Any, mid: int, reason: ReasonCode, props: Properties) -> None:
        self._answer(mid, reason)

    def _answer(self, mid: int, reason: ReasonCode) -> None:
        waiter = self._pending.pop(mid, None)
        self._room.set()
        if isinstance(waiter, asyncio.Future):
            if not waiter.done():
                waiter.set_result(reason)
        elif waiter is not None and reason.is_failure and self._refused is None:
            self._refused = _refusal(reason, "publish", waiter)

    def _fail(self, why: str) -> None:
        """The connection is of no more use: wake everyone who waits for it."""
        if self._down is not None:
            return
        self._down = f"{self._broker}: {why}"
        self._arrived.set()
        self._room.set()
        for waiter in self._pending.values():
            if isinstance(waiter, asyncio.Future) and not waiter.done():
                waiter.set_result(None)

    async def _watch(self) -> None:
        """Ends with the connection: no message reaches aiomqtt's own queue, so its iterator only tells of the end."""
        try:
            await anext(aiter(self._client.messages))
        except aiomqtt.MqttError as error:
            cause = error.__cause__
            self._fail(f"the connection ended{'' if cause is None else f' ({cause})'}")

    # ---- what the hub calls ----

    def flush(self) -> None:
        """Send what was written now, not with the end of this turn of the loop."""
        if self._wire is not None:
            self._wire.flush()

    def heard(self) -> float:
        """When the broker said anything last, monotonic seconds (MQTT 5 only)."""
        return 0.0 if self._wire is None else self._wire.heard

    def ping(self) -> None:
        """Ask the broker whether it is there, apart from the keep-alive; the answer counts as heard. Nothing where the connection is gone."""
        if self._wire is not None and self._down is None and self._inner.socket() is not None:
            self._write(packets.PINGREQ)

    async def subscribe(self, topic: str, qos: Literal[0, 1] = 1) -> None:
        """Subscribe to a topic or filter; raises AccessDenied when the broker refuses, BadInput for a malformed filter."""
        self._check()
        try:
            reasons = await self._client.subscribe(topic, qos=qos)
        except aiomqtt.MqttError as error:
            raise LinkDown(self._down or f"{self._broker}: {error}") from None
        except ValueError:
            raise BadInput("not a topic filter", f"topic {topic!r}", code="mqtt") from None
        for reason in reasons:
            if (reason if isinstance(reason, int) else reason.value) == 0x80:  # all that MQTT 3.1.1 can say
                raise AccessDenied(f"topic {topic!r}: subscription refused by the broker")
            if not isinstance(reason, int) and reason.is_failure:
                raise _refusal(reason, "subscription", f"topic {topic!r}")

    async def take(self, limit: int, within: float | None = None, least: int = 1) -> list[Incoming]:
        """Wait for `least` messages, then take all that is queued, at most `limit`: a lone one goes alone, a flood in groups.

        With `within` it waits at most so many seconds and takes what there is, perhaps nothing; who waits for several is not woken for each. What
        had arrived before the connection was lost is still
        handed over; then it raises LinkDown.
        """
        queue = self._queue
        loop = asyncio.get_running_loop()
        until = None if within is None else loop.time() + within
        self._wanted = max(1, least)
        while len(queue) < self._wanted and (until is None or loop.time() < until):
            if self._down is not None and queue:
                break
            self._check()
            self._arrived.clear()
            bell = None if until is None else loop.call_at(until, self._arrived.set)
            try:
                await self._arrived.wait()
            finally:
                if bell is not None:
                    bell.cancel()
        return [queue.popleft() for _ in range(min(limit, len(queue)))]

    async def messages(self) -> AsyncIterator[Incoming]:
        """Messages one by one; ends by raising LinkDown."""
        while True:
            for message in await self.take(1):
                yield message

    def settle(self, *messages: Incoming) -> bool:
        """Acknowledge to the broker, in the order of arrival. False: this connection is gone or never had them, they come again."""
        if self._down is not None or any(message.connection != self._connection for message in messages):
            return False
        if self._wire is not None:
            self._write(packets.acknowledge(message.mid for message in messages if message.qos == 1))
            messages = tuple(message for message in messages if message.qos > 1)
        return all(self._inner.ack(message.mid, message.qos) == paho.MQTT_ERR_SUCCESS for message in messages)

    def abort(self) -> None:
        """Cut the connection without a goodbye, as a power failure does: the broker publishes the will."""
        held = self._inner.socket()
        if isinstance(held, socket.socket):
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: Literal[0, 1] = 1,
        retain: bool = False,
        user_properties: UserProperties = (),
    ) -> None:
        """Publish; with QoS 1 wait until the broker took it. Raises AccessDenied, BadInput or LinkDown when it did not."""
        if qos == 0:
            self._check()
            self._send(topic, payload, 0, retain, user_properties)
            return
        await self._await_room()
        waiter: asyncio.Future[ReasonCode | None] = asyncio.get_running_loop().create_future()
        mid = self._send(topic, payload, 1, retain, user_properties)
        self._pending[mid] = waiter
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                reason = await waiter
        except TimeoutError:
            raise LinkDown(f"{self._broker}: no acknowledgement within {ANSWER_TIMEOUT:g} s") from None
        if reason is None:
            self._check()
        elif reason.is_failure:
            raise _refusal(reason, "publish", f"topic {topic!r}")

    async def post(
        self, topic: str, payload: bytes, retain: bool = False, user_properties: UserProperties = ()
    ) -> None:
        """Publish with QoS 1 without waiting for the broker's answer; waits only while `UNACKNOWLEDGED` are under way.

        A refusal is raised by the next `post` or `publish`, or by `drain`. An answer that never comes ends with the keep-alive.
        """
        await self._await_room()
        self._pending[self._send(topic, payload, 1, retain, user_properties)] = f"topic {topic!r}"

    async def drain(self) -> None:
        """Wait until the broker has answered for everything posted; raises its refusal, or LinkDown."""
        await self._until(lambda: not self._pending)

    async def _await_room(self) -> None:
        await self._until(lambda: len(self._pending) < self._window)

    async def _until(self, condition: Callable[[], bool]) -> None:
        self._check()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                while not condition():
                    self._room.clear()
                    await self._room.wait()
                    self._check()
        except TimeoutError:
            raise LinkDown(f"{self._broker}: no acknowledgement within {ANSWER_TIMEOUT:g} s") from None
        if self._refused is not None:
            refused, self._refused = self._refused, None
            raise refused

    def room(self, topic: str, user_properties: UserProperties = ()) -> int | None:
        """Bytes of payload that the broker takes in one message of this topic; None where it has said nothing."""
        if self._largest_packet is None:
            return None
        size = len(topic.encode()) + sum(5 + len(k.encode()) + len(v.encode()) for k, v in user_properties)
        return max(0, self._largest_packet - size - _HEADROOM)

    def _write(self, data: bytes) -> None:
        """Send whole packets with all that is written in this turn of the loop."""
        assert self._wire is not None
        if data and self._wire.write(data):
            asyncio.get_running_loop().call_soon(self._wire.flush)

    def _send(self, topic: str, payload: bytes, qos: int, retain: bool, user_properties: UserProperties) -> int:
        where = f"topic {topic!r}"
        try:
            room = self.room(topic, user_properties)
            if room is not None and len(payload) > room:
                reason = f"{len(payload)} bytes, the broker takes packets of {self._largest_packet}"
                raise BadInput(reason, where, code="mqtt-size")
            if not topic or "\0" in topic:
                raise BadInput("an empty topic, or NUL in it", where, code="mqtt")
            if self._wire is not None and qos == 1:
                return self._send_quickly(topic.encode(), payload, retain, user_properties)
            properties: Properties | None = None
            if user_properties:
                properties = quick.written(user_properties)
            info = self._inner.publish(topic, payload, qos, retain, properties)
        except ValueError:  # also a lone surrogate, which UTF-8 cannot hold
            raise BadInput("not a topic, or not Unicode text", where, code="mqtt") from None
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise LinkDown(f"{self._broker}: {paho.error_string(info.rc)}")
        return info.mid

    def _send_quickly(self, topic: bytes, payload: bytes, retain: bool, user_properties: UserProperties) -> int:
        """Raises ValueError for what is no topic, LinkDown without a connection."""
        if b"+" in topic or b"#" in topic or len(topic) > 65_535:
            raise ValueError("a wildcard in it, or too long")
        if self._inner.socket() is None:
            raise LinkDown(f"{self._broker}: not connected")
        mid = next(mid for mid in self._mids if mid not in self._pending)
        self._write(packets.publish(topic, payload, mid, quick.packed(user_properties), retain=retain))
        return mid

    def _check(self) -> None:
        if self._down is not None:
            raise LinkDown(self._down)


def _connect_properties(session_expiry: int, receive_maximum: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_expiry
    properties.ReceiveMaximum = receive_maximum
    return properties


def _socket_options(keepalive: int) -> list[tuple[int, int, int]]:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # a half-open connection would else hold what is written to it for minutes
        options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, keepalive * 1000))
    return options


@contextlib.asynccontextmanager
async def session(
    broker: Broker,
    *,
    client_id: str,
    clean_start: bool = False,
    session_expiry: int = 86_400,
    receive_maximum: int = RECEIVE_MAXIMUM,
    keepalive: int = 15,
    protocol: Literal["5", "3.1.1"] = "5",
    will: Will | None = None,
) -> AsyncIterator[Session]:
    """Connect as `client_id`; raises LinkDown or AccessDenied on entering.

    `session_expiry` (seconds) and `receive_maximum` are MQTT 5's; on 3.1.1 the broker's own limits hold and the queue is bounded by
    twice `receive_maximum`. Leaving says goodbye within `LEAVE_TIMEOUT` and closes the socket in any case.
    """
    five = protocol == "5"
    if broker.tls is not None and not issubclass(broker.tls.sslsocket_class, ClosingSocket):
        broker.tls.sslsocket_class = ClosingSocket
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=None if broker.password is None else broker.password.get_secret_value(),
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
        clean_session=None if five else clean_start,
        clean_start=clean_start if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
        will=None if will is None else aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
        timeout=ANSWER_TIMEOUT,
        keepalive=keepalive,
        max_inflight_messages=0,  # no queue inside paho: the window is ours
        properties=_connect_properties(session_expiry, receive_maximum) if five else None,
        tls_context=broker.tls,
        # a context that checks no names has its own way to know the broker; paho would check them once more
        tls_insecure=True if broker.tls is not None and not broker.tls.check_hostname else None,
        socket_options=_socket_options(keepalive),
        logger=_QUIET,
    )
    live = Session(broker, client, receive_maximum, five=five)
    try:
        await _enter(client, broker, live._ended)
        watcher = asyncio.create_task(live._watch(), name=f"mqtt-{client_id}")
        try:
            yield live
        finally:
            live._fail("the session was left")
            live.flush()
            if live.discarded:
                log.warning("mqtt.discarded", broker=str(broker), messages=live.discarded)
            client.timeout = LEAVE_TIMEOUT
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)
            watcher.cancel()
            await asyncio.wait({watcher})
    finally:
        await _close(_paho(client))


async def _enter(client: aiomqtt.Client, broker: Broker, ended: asyncio.Event) -> None:
    """Wait for CONNACK; `ended` tells of a far end that hung up instead, which aiomqtt would wait out."""
    inner = _paho(client)
    inner.connect_timeout = CONNECT_TIMEOUT
    entering = asyncio.ensure_future(client.__aenter__())
    hung_up = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({entering, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not entering.done():
            await asyncio.wait({entering}, timeout=0.2)  # a refusal comes with its reason
        if not entering.done():
            raise LinkDown(f"{broker}: hung up without an answer to CONNECT")
        await entering
    except aiomqtt.MqttCodeError as error:
        refused = _refusal(error.rc if error.rc is not None else 0x80, "connection", str(broker))
        raise (LinkDown(str(refused)) if isinstance(refused, BadInput) else refused) from None
    except (aiomqtt.MqttError, ValueError) as error:
        raise LinkDown(f"{broker}: {error}") from None
    finally:
        hung_up.cancel()
        # A thread connects and cannot be stopped: wait for its socket, else it would outlive us.
        while not entering.done() and inner.socket() is None and not ended.is_set():
            await asyncio.sleep(0.01)
        entering.cancel()
        await asyncio.wait({entering, hung_up})


async def _close(inner: paho.Client) -> None:
    """Whatever happened: no socket, reader or task of aiomqtt's is left."""
    for _ in range(100):
        held = inner.socket()
        if held is None:
            break
        if isinstance(held, socket.socket):
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
        await asyncio.sleep(0.002)  # its reader sees the end and closes it
    for _ in range(3):
        await asyncio.sleep(0)  # aiomqtt's housekeeping task is cancelled in the loop's next turns
