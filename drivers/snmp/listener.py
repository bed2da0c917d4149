"""One socket for the traps and informs of all agents of this process (decision 0140).

The source address says which agents it can be, the community or the version 3 user's keys which one it is; what is nobody's becomes a
reject, at most some a minute. `Listeners.hear` opens the socket with the first who listens at an address and closes it with the last.
Nothing that a datagram holds may raise here: the event loop would have it.
"""

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import socket
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from drivers.snmp.engine_state import Identity, begin_engine
from drivers.snmp.engines import borrowed, give_back
from drivers.snmp.frame import envelope_fault, masked
from drivers.snmp.settings import SnmpEndpoint
from drivers.snmp.traps import Notification
from drivers.snmp.usm import AUTHENTIC, ENCRYPTED, REPORTABLE, Digest, Header, Secrets, authenticity_fault, header_of
from drivers.snmp.writing import secrets_of
from hub.errors import LinkDown
from hub.model import Micros, Reject

if TYPE_CHECKING:
    from drivers.snmp import engine as pysnmp
    from drivers.snmp.engine import Engine

QUEUE = 256
"""notifications that may wait for one agent's link; a sender repeats an inform, a trap is counted as lost"""
_REJECTS_A_MINUTE = 20
_WINDOW = 150
"""seconds that a sender's time may be behind (RFC 3414, section 3.2)"""
_ENGINES = 64
"""engines whose keys and time are kept for one agent: its own, its shelf's, its old ones"""
_ACKNOWLEDGED = 256
_UNSETTLED, _UNSETTLED_S = 1024, 300.0
"""informs, and seconds, that a listener remembers what is not acknowledged; said again after that it is a new one"""
_VERSIONS_1_2C, _VERSION_3 = (b"\2\1\0", b"\2\1\1"), b"\2\1\3"
"""How messages begin within their SEQUENCE: what is not written so does not get round `_take_secured`."""
_LAST_BOOTS = 2**31 - 1
_AUTH_PRIV = 3
"""The security level with digest and encryption (RFC 3411, section 3.4.3)."""
_AT_ONCE = 4
"""datagrams taken in one turn of the event loop; pysnmp needs one to four milliseconds for each"""
_BUFFER = 1_048_576
"""bytes that wait in the kernel while the loop is busy"""


class Heard(NamedTuple):
    """One notification that is this agent's."""

    at: Micros
    said: Notification
    payload: bytes
    acknowledge: Callable[[], None] | None
    """sends the response to an inform"""


class _Refused(Exception):
    """A datagram that is not taken: `code` and reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Ear:
    """What one link hears. `heard` and `rejects` are bounded; `lost` counts traps that found the queue full."""

    def __init__(self, endpoint: SnmpEndpoint, addresses: frozenset[str], secrets: Secrets | None) -> None:
        self.endpoint = endpoint
        self.addresses = addresses
        self.heard: deque[Heard] = deque()
        self.rejects: deque[Reject] = deque(maxlen=_REJECTS_A_MINUTE * 2)
        self.lost = 0
        self.suspects = False
        """a trap was said again, or its sender has lost its clock: either way the agent is worth asking"""
        self.ready = asyncio.Event()
        assert endpoint.traps is not None
        community = endpoint.traps.community or endpoint.community
        self.community = None if community is None else community.get_secret_value().encode()
        self.user = None if endpoint.user is None else endpoint.user.encode()
        self.secrets = secrets
        self.engine: Engine | None = None
        """that of pysnmp which has this endpoint's credentials"""
        self._clocks: OrderedDict[bytes, tuple[int, int, float]] = OrderedDict()
        """of each sending engine the newest boots and time, and when that was by our monotonic clock"""

    def authentic_at(self, engine_id: bytes) -> tuple[Digest, bytes]:
        """What shows whether a message of an engine is our user's: cheap, because anybody may name any engine."""
        assert self.secrets is not None
        return self.secrets.digest, self.secrets.auth_at(engine_id)

    def check_clock(self, said: Header) -> None:
        """An authentic trap is not an old one said again (RFC 3414, section 3.2, step 7b). Raises _Refused.

        pysnmp 7.1 takes over the time of every such message before it compares it, so that it lets all of them pass.
        """
        known = self._clocks.get(said.engine_id)
        now = time.monotonic()
        if known is not None:
            boots, at, when = known
            expected = at + now - when
            if said.boots < boots or (said.boots == boots and said.time < expected - _WINDOW):
                self.suspects = True
                self.ready.set()
                raise _Refused(
                    "trap-replay", "a trap from before the time that its engine has told; the agent is asked"
                )
            if (said.boots, said.time) <= (boots, at):
                return
        self._clocks[said.engine_id] = (said.boots, said.time, now)
        self._clocks.move_to_end(said.engine_id)
        _bound(self._clocks, _ENGINES)

    def take(self, heard: Heard) -> bool:
        """Queue it; False where there is no room."""
        if len(self.heard) >= QUEUE:
            if heard.acknowledge is None:
                self.lost += 1
            self.ready.set()
            return False
        self.heard.append(heard)
        self.ready.set()
        return True

    def refuse(self, reject: Reject) -> None:
        """Queue a reject; the oldest goes where there are too many."""
        self.rejects.append(reject)
        self.ready.set()


class _Inform:
    """An inform that is not acknowledged yet, and the response to the newest of its repetitions."""

    def __init__(self, ear: Ear, response: bytes) -> None:
        self.ear = ear
        self.response = response
        self.since = time.monotonic()


class Listener:
    """One socket at one loop."""

    def __init__(self, host: str, port: int, state: str | None) -> None:
        """Raises OSError where the address cannot be had, OSError or ValueError where the state cannot be kept."""
        self.state = state
        self.identity: Identity = begin_engine(state)
        self.ears: list[Ear] = []
        self.guests = 0
        """links that want to listen or do"""
        self.lock = asyncio.Lock()
        self._engines: list[Engine] = []
        self._waiting: OrderedDict[tuple[Any, ...], _Inform] = OrderedDict()
        """informs whose delivery is not safe yet"""
        self._done: OrderedDict[tuple[Any, ...], None] = OrderedDict()
        """informs acknowledged just now; the acknowledgement may have been lost on its way"""
        self._minute = 0.0
        self._refused = 0
        self._untold = 0
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Let go of the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for engine in self._engines:
            give_back(engine)
        self._engines.clear()

    async def join(self, ear: Ear) -> None:
        """Hear for this ear too, once pysnmp knows its credentials."""
        async with self.lock:
            ear.engine = await self._engine_for(ear)
            if ear.community is not None:
                ear.engine.add_community(ear.community)
            if ear.user is not None and ear.secrets is not None:
                ear.engine.add_user(ear.user, self.identity.id, ear.secrets)
            self.ears.append(ear)
            self._loop.add_reader(self._socket.fileno(), self._readable)  # until now the kernel keeps what comes

    async def _engine_for(self, ear: Ear) -> "Engine":
        """The first whose user of this name, if it has one, has the same keys; communities all stand in the first."""
        for engine in self._engines:
            if all(
                one.secrets is None or ear.secrets is None or one.secrets.are(ear.secrets)
                for one in self.ears
                if one.engine is engine and one.user == ear.user
            ):
                return engine
        engine = await borrowed()
        engine.become(self.identity)
        self._engines.append(engine)
        return engine

    def leave(self, ear: Ear) -> None:
        """An ear less; informs that it has not confirmed are new ones when their senders repeat them."""
        self.ears.remove(ear)
        if not self.ears:
            self._loop.remove_reader(self._socket.fileno())
        self._waiting = OrderedDict((key, one) for key, one in self._waiting.items() if one.ear is not ear)
        assert ear.engine is not None
        others = [one for one in self.ears if one.engine is ear.engine]
        if ear.community is not None and all(one.community != ear.community for one in others):
            ear.engine.forget_community(ear.community)

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):  # then whatever else waits at the loop has its turn
            try:
                data, addr = self._socket.recvfrom(65_535)
            except (
                OSError
            ):  # nothing more; or a response of ours that did not arrive, which its inform's sender repeats
                return
            self.take(data, addr)

    def take(self, data: bytes, addr: Any) -> None:
        """One datagram, whatever it is; somebody must be there to hear it."""
        at = time.time_ns() // 1000
        ears = [ear for ear in self.ears if addr[0] in ear.addresses]
        try:
            if not ears:
                raise _Refused("trap-sender", "no endpoint has this address")
            self._take(data, addr, ears, at)
        except _Refused as error:
            self.refuse(ears, Reject(at, f"{addr[0]}:{addr[1]}", error.code, str(error), data[:4096]))
        except ValueError as error:
            reason = f"a datagram that is no notification: {error}"
            self.refuse(ears, Reject(at, f"{addr[0]}:{addr[1]}", "trap-malformed", reason, data[:4096]))

    def refuse(self, ears: list[Ear], reject: Reject) -> None:
        """Tell of it by one of these ears, or by any; after some in a minute they are only counted."""
        now = time.monotonic()
        if now - self._minute >= 60:
            self._minute, self._refused = now, 0
        if self._refused >= _REJECTS_A_MINUTE:
            self._untold += 1
            return
        self._refused += 1
        if self._untold:
            reject = reject._replace(reason=f"{reject.reason} ({self._untold} before it were only counted)")
            self._untold = 0
        reject = reject._replace(payload=masked(reject.payload, *(ear.community for ear in self.ears)))
        (ears or self.ears)[0].refuse(reject)

    # ---- from bytes to a notification of an agent ----

    def _take(self, message: bytes, addr: Any, ears: list[Ear], at: Micros) -> None:
        fault = envelope_fault(message)
        if fault is not None:
            raise ValueError(fault)
        inside = 2 + (message[1] & 0x7F if message[1] & 0x80 else 0)
        version = message[inside : inside + 3]
        if version == _VERSION_3:
            self._take_secured(message, addr, ears, at)
        elif version in _VERSIONS_1_2C:
            self._take_community(message, addr, ears, at)
        else:
            raise ValueError("its version is none of 1, 2c and 3")

    def _take_community(self, message: bytes, addr: Any, ears: list[Ear], at: Micros) -> None:
        plain = [one for one in ears if one.community is not None]
        if not plain:
            raise _Refused("trap-credentials", "no endpoint with this address has a community")
        engine = plain[0].engine  # communities all stand in the first one
        assert engine is not None
        received = engine.receive(message, addr)
        heard = received.heard
        if heard is None:
            if "ommunity" in received.reason:
                raise _Refused("trap-credentials", "its community is not that of an endpoint with this address")
            raise ValueError(received.reason)
        ear = next((one for one in plain if _is_community(one, heard.name)), None)
        if ear is None:
            raise _Refused("trap-credentials", "its community is not that of an endpoint with this address")
        self._hear(ear, addr, heard, at, message)

    def _take_secured(self, message: bytes, addr: Any, ears: list[Ear], at: Micros) -> None:
        said = header_of(message)
        ours = said.engine_id == self.identity.id
        try:
            ear = self._authenticated(message, said, ears)
        except _Refused:
            # whoever wants to send us an inform asks for our engine first (RFC 3414, section 4)
            secured = next((one for one in ears if one.user is not None), None)
            if ours or not said.flags & REPORTABLE or secured is None:
                raise
            self._tell_engine(secured, said, addr)
            return
        if not said.flags & ENCRYPTED:
            raise _Refused("trap-credentials", "it is not encrypted")
        if said.boots == _LAST_BOOTS:
            raise _Refused("trap-replay", "its engine has used up its boots (RFC 3414, section 2.2.2)")
        engine = ear.engine
        assert engine is not None
        assert ear.user is not None
        assert ear.secrets is not None
        engine.add_user(ear.user, said.engine_id, ear.secrets)
        received = engine.receive(message, addr)
        for one in received.send:
            self._send(one, addr)
        heard = received.heard
        if heard is None:
            if received.send:
                return
            if not ours and said.flags & REPORTABLE:  # an inform to the engine that we were once
                self._tell_engine(ear, said, addr)
                return
            raise ValueError(received.reason)
        if (heard.version, heard.name, heard.level) != (3, ear.user, _AUTH_PRIV):
            raise _Refused("trap-credentials", "it is not encrypted by its user")
        if heard.response is None and ours:
            raise ValueError("a trap that says that our engine sent it")
        if heard.response is None:
            ear.check_clock(said)
        self._hear(ear, addr, heard, at, message)

    def _tell_engine(self, ear: Ear, said: Header, addr: Any) -> None:
        assert ear.engine is not None
        for one in ear.engine.report_engine(said.number, addr):
            self._send(one, addr)

    def _authenticated(self, message: bytes, said: Header, ears: list[Ear]) -> Ear:
        fault = "no endpoint with this address has such a user"
        for ear in ears:
            if ear.user is None or ear.user != said.user or not 5 <= len(said.engine_id) <= 32:
                continue
            if not said.flags & AUTHENTIC:
                fault = "it is not authenticated"
                continue
            if authenticity_fault(message, *ear.authentic_at(said.engine_id)) is None:
                return ear
            fault = "its digest is not that of an endpoint with this address"
        raise _Refused("trap-credentials", fault)

    def _hear(self, ear: Ear, addr: Any, heard: "pysnmp.Heard", at: Micros, message: bytes) -> None:
        """A trap is queued; an inform is acknowledged when its delivery is safe, and one that comes again meanwhile is the same one."""
        if heard.response is None or heard.key is None:
            ear.take(Heard(at, heard.said, message, None))
            return
        key = (*addr[:2], heard.name, hashlib.blake2b(heard.key, digest_size=16).digest())
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.response = heard.response
            return
        if key in self._done:
            self._send(heard.response, addr)
            return
        inform = _Inform(ear, heard.response)

        def acknowledge() -> None:
            if self._waiting.get(key) is inform:
                del self._waiting[key]
            self._done[key] = None
            _bound(self._done, _ACKNOWLEDGED)
            self._send(inform.response, addr)

        if ear.take(Heard(at, heard.said, message, acknowledge)):
            self._waiting[key] = inform
            _bound(self._waiting, _UNSETTLED)
            while next(iter(self._waiting.values())).since < inform.since - _UNSETTLED_S:
                self._waiting.popitem(last=False)

    def _send(self, message: bytes, addr: Any) -> None:
        with contextlib.suppress(OSError):  # closed, or the network is full: the sender asks again
            self._socket.sendto(message, addr)


def _is_community(ear: Ear, community: bytes) -> bool:
    return ear.community is not None and hmac.compare_digest(ear.community, community)


def _bound(kept: "OrderedDict[Any, Any]", most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)


class Listeners:
    """All listeners of this process, by event loop, host and port."""

    def __init__(self) -> None:
        self._open: dict[tuple[asyncio.AbstractEventLoop, str, int], Listener] = {}

    @contextlib.asynccontextmanager
    async def hear(self, endpoint: SnmpEndpoint, address: str) -> AsyncIterator[tuple[Listener, Ear]]:
        """Listen for the agent at `address`; raises LinkDown where that cannot be."""
        traps = endpoint.traps
        assert traps is not None
        key = (asyncio.get_running_loop(), traps.host, traps.port)
        listener = self._open.get(key)
        if listener is None:
            try:
                listener = Listener(traps.host, traps.port, traps.state)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise LinkDown(
                    f"{endpoint.name}: traps cannot be heard at {traps.host}:{traps.port}: {reason}"
                ) from None
            self._open[key] = listener
        if listener.state != traps.state:
            raise LinkDown(
                f"{endpoint.name}: traps.state differs from that of another endpoint at {traps.host}:{traps.port}"
            )
        listener.guests += 1
        try:
            secrets = await asyncio.to_thread(secrets_of, endpoint) if endpoint.version == "3" else None
            ear = Ear(endpoint, frozenset((address, *traps.sources)), secrets)
            await listener.join(ear)
            try:
                yield listener, ear
            finally:
                listener.leave(ear)
        finally:
            listener.guests -= 1
            if not listener.guests:
                del self._open[key]
                listener.close()
