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
import os
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from drivers.snmp.ber import COUNTER, OCTETS, SEQUENCE, encoded, encoded_whole
from drivers.snmp.engine_state import Engine, begin_engine
from drivers.snmp.frame import masked
from drivers.snmp.message import (
    AUTHENTIC,
    ENCRYPTED,
    INFORM,
    REPORT,
    REPORTABLE,
    RESPONSE,
    TRAP,
    TRAP_V1,
    V1,
    V2C,
    V3,
    Notification,
    Secured,
    community_message,
    encoded_community,
    encoded_pdu,
    encoded_scoped,
    encoded_secured,
    encoded_varbind,
    notification,
    notification_v1,
    parse_pdu,
    scoped_pdu,
    secured_message,
    version_of,
)
from drivers.snmp.settings import SnmpEndpoint
from drivers.snmp.usm import DIGESTS, Digest, Keys, Secrets, authenticity_fault
from drivers.snmp.writing import secrets_of
from hub.errors import LinkDown
from hub.model import Micros, Reject

QUEUE = 256
"""notifications that may wait for one agent's link; a sender repeats an inform, a trap is counted as lost"""
_REJECTS_A_MINUTE = 20
_WINDOW = 150
"""seconds that a sender's time may be behind (RFC 3414, section 3.2)"""
_ENGINES = 64
"""engines whose keys and time are kept for one agent: its own, its shelf's, its old ones"""
_ACKNOWLEDGED = 256
_AT_ONCE = 64
"""datagrams taken in one turn of the event loop"""
_BUFFER = 1_048_576
"""bytes that wait in the kernel while the loop is busy"""
_UNKNOWN_ENGINE, _NOT_IN_TIME = "1.3.6.1.6.3.15.1.1.4.0", "1.3.6.1.6.3.15.1.1.2.0"
"""usmStatsUnknownEngineIDs, usmStatsNotInTimeWindows."""


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

    def __init__(self, endpoint: SnmpEndpoint, addresses: frozenset[str]) -> None:
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
        self._secrets: Secrets | None = secrets_of(endpoint) if endpoint.version == "3" else None
        self._keys: OrderedDict[bytes, Keys] = OrderedDict()
        self._clocks: OrderedDict[bytes, tuple[int, int, float]] = OrderedDict()
        """of each sending engine the newest boots and time, and when that was by our monotonic clock"""

    def authentic_at(self, engine_id: bytes) -> tuple[Digest, bytes]:
        """What shows whether a message of an engine is our user's: cheap, because anybody may name any engine."""
        assert self._secrets is not None
        return self._secrets.digest, self._secrets.auth_at(engine_id)

    def keys_at(self, engine_id: bytes) -> Keys:
        """Our user's keys at the engine of an authentic sender."""
        assert self._secrets is not None
        known = self._keys.get(engine_id)
        if known is None:
            known = self._keys[engine_id] = self._secrets.at(engine_id)
            _bound(self._keys, _ENGINES)
        return known

    def check_clock(self, said: Secured) -> None:
        """An authentic trap is not an old one said again (RFC 3414, section 3.2, step 7b). Raises _Refused."""
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


class Listener:
    """One socket at one loop."""

    def __init__(self, host: str, port: int, state: str | None) -> None:
        """Raises OSError where the address cannot be had, OSError or ValueError where the state cannot be kept."""
        self.state = state
        self.engine: Engine = begin_engine(state)
        self.ears: list[Ear] = []
        self._waiting: dict[tuple[Any, ...], Ear] = {}
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
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        """Let go of the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def leave(self, ear: Ear) -> None:
        """An ear less; informs that it has not confirmed are new ones when their senders repeat them."""
        self.ears.remove(ear)
        self._waiting = {key: one for key, one in self._waiting.items() if one is not ear}

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
        """One datagram, whatever it is."""
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
        version = version_of(message)
        if version in (V1, V2C):
            self._take_community(message, addr, ears, at)
        elif version == V3:
            self._take_secured(message, addr, ears, at)
        else:
            raise ValueError(f"version number {version}")

    def _take_community(self, message: bytes, addr: Any, ears: list[Ear], at: Micros) -> None:
        version, community, body = community_message(message)
        ear = next((one for one in ears if _is_community(one, community)), None)
        if ear is None:
            raise _Refused("trap-credentials", "its community is not that of an endpoint with this address")
        if version == V1:
            if body.tag != TRAP_V1:
                raise ValueError(f"a PDU {body.tag:#04x}")
            ear.take(Heard(at, notification_v1(message, body), message, None))
            return
        pdu = parse_pdu(message, body)
        if pdu.tag == TRAP:
            ear.take(Heard(at, notification(pdu), message, None))
        elif pdu.tag == INFORM:
            response = encoded_community(V2C, community, encoded_pdu(RESPONSE, pdu.request_id, pdu.body))
            self._take_inform(
                ear, addr, (community, pdu.request_id, pdu.body), at, notification(pdu), message, lambda: response
            )
        else:
            raise ValueError(f"a PDU {body.tag:#04x}")

    def _take_secured(self, message: bytes, addr: Any, ears: list[Ear], at: Micros) -> None:
        said = secured_message(message)
        ours = said.engine_id == self.engine.id
        try:
            ear, keys = self._authenticated(message, said, ears)
        except _Refused:
            # whoever wants to send us an inform asks for our engine first (RFC 3414, section 4)
            if ours or not said.flags & REPORTABLE or all(one.endpoint.version != "3" for one in ears):
                raise
            self._report(said, addr, _UNKNOWN_ENGINE, None)
            return
        if not said.flags & ENCRYPTED or said.data.tag != OCTETS:
            raise _Refused("trap-credentials", "it is not encrypted")
        if ours and not self._is_in_time(said):
            self._report(said, addr, _NOT_IN_TIME, (ear, keys))
            return
        scoped = keys.decrypted(message[said.data.start : said.data.end], said.boots, said.time, said.salt)
        context, body = scoped_pdu(scoped)
        pdu = parse_pdu(scoped, body)
        if pdu.tag == TRAP and not ours:
            heard = Heard(at, notification(pdu), message, None)
            ear.check_clock(said)
            ear.take(heard)
        elif pdu.tag == INFORM and not ours:  # to the engine that we were once
            self._report(said, addr, _UNKNOWN_ENGINE, None)
        elif pdu.tag == INFORM and ours:
            answer = encoded_scoped(context, encoded_pdu(RESPONSE, pdu.request_id, pdu.body))
            key = (said.user, pdu.request_id, pdu.body)
            self._take_inform(
                ear,
                addr,
                key,
                at,
                notification(pdu),
                message,
                lambda: self._sealed(said, ear, keys, answer, encrypt=True),
            )
        else:
            raise ValueError(f"a PDU {body.tag:#04x} of the wrong engine")

    def _authenticated(self, message: bytes, said: Secured, ears: list[Ear]) -> tuple[Ear, Keys]:
        fault = "no endpoint with this address has such a user"
        for ear in ears:
            if (
                ear.endpoint.user is None
                or ear.endpoint.user.encode() != said.user
                or not 5 <= len(said.engine_id) <= 32
            ):
                continue
            if not said.flags & AUTHENTIC:
                fault = "it is not authenticated"
                continue
            if authenticity_fault(message, *ear.authentic_at(said.engine_id)) is None:
                return ear, ear.keys_at(said.engine_id)
            fault = "its digest is not that of an endpoint with this address"
        raise _Refused("trap-credentials", fault)

    def _is_in_time(self, said: Secured) -> bool:
        return said.boots == self.engine.boots and abs(said.time - self.engine.time) <= _WINDOW

    # ---- answers ----

    def _take_inform(
        self,
        ear: Ear,
        addr: Any,
        key: tuple[Any, ...],
        at: Micros,
        said: Notification,
        message: bytes,
        response: Callable[[], bytes],
    ) -> None:
        """An inform is acknowledged when its delivery is safe; one that comes again meanwhile is the same one."""
        key = (*addr[:2], *key)  # its last part is as long as the sender likes
        key = (*key[:-1], hashlib.blake2b(key[-1], digest_size=16).digest())
        if key in self._waiting:
            return
        if key in self._done:
            self._send(response(), addr)
            return

        def acknowledge() -> None:
            self._waiting.pop(key, None)
            self._done[key] = None
            _bound(self._done, _ACKNOWLEDGED)
            self._send(response(), addr)

        if ear.take(Heard(at, said, message, acknowledge)):
            self._waiting[key] = ear

    def _report(self, said: Secured, addr: Any, counter: str, known: tuple[Ear, Keys] | None) -> None:
        pdu = encoded(
            REPORT,
            encoded_whole(0) * 3 + encoded(SEQUENCE, encoded_varbind(counter, encoded_whole(1, COUNTER))),
        )
        scoped = encoded_scoped(self.engine.id, pdu)
        if known is None:
            blank = encoded_secured(
                said.id, 0, self.engine.id, self.engine.boots, self.engine.time, b"", b"", b"", scoped
            )
            self._send(blank, addr)
        else:
            self._send(self._sealed(said, *known, scoped, encrypt=False), addr)

    def _sealed(self, said: Secured, ear: Ear, keys: Keys, scoped: bytes, *, encrypt: bool) -> bytes:
        boots, now, salt = self.engine.boots, self.engine.time, b""
        if encrypt:
            salt = os.urandom(8)
            scoped = encoded(OCTETS, keys.encrypted(scoped, boots, now, salt))
        flags = AUTHENTIC | (ENCRYPTED if encrypt else 0)
        digest = bytes(DIGESTS[ear.endpoint.auth].size)
        return keys.sealed(encoded_secured(said.id, flags, self.engine.id, boots, now, said.user, digest, salt, scoped))

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

    @contextlib.contextmanager
    def hear(self, endpoint: SnmpEndpoint, address: str) -> Iterator[tuple[Listener, Ear]]:
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
        ear = Ear(endpoint, frozenset((address, *traps.sources)))
        listener.ears.append(ear)
        try:
            yield listener, ear
        finally:
            listener.leave(ear)
            if not listener.ears:
                del self._open[key]
                listener.close()
