"""The two MQTT 5 packets of which a hub sees thousands a second, read and written by hand; everything else is paho's.

paho reads a packet byte by byte, three system calls each, one packet a turn of the event loop, and sends every packet by itself. That is a tenth of
a millisecond a message each way: half of a core where a province speaks. `Wire` sits between paho and its socket: it takes all that has come in one
read, gives PUBLISH (QoS 0 and 1, with user properties only) and PUBACK to its owner, and hands every other packet, whole, to paho's own reader, so
that what is malformed is refused by paho with paho's words. What is written goes through paho's queue, many packets in one piece.
"""

import struct
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from hub.user_properties import pairs_at, variable_length

READ = 65_536
"""bytes of one read"""
READS = 16
"""reads a turn of the event loop: others want to run, too"""
PIECE = 65_536
"""bytes that are put together for one write; what is larger goes by itself"""

_PUBLISH = 0x30
_PUBACK = 0x40
PINGREQ = b"\xc0\x00"
_TAKEN = frozenset({0x00, 0x10})
"""reasons of a PUBACK by which the broker has the message: success, nobody listens"""
_short = struct.Struct(">H")
_MALFORMED = (0, 0)


class Published(NamedTuple):
    """A PUBLISH as it came."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    retain: bool
    qos: int
    mid: int


def read_publish(head: int, body: bytes) -> Published | None:
    """A PUBLISH without its fixed header, whose first byte is `head`; None where paho has to look."""
    qos = head >> 1 & 3
    if qos > 1 or len(body) < 2:
        return None
    at = 2 + _short.unpack_from(body)[0]
    raw, mid = body[2:at], 0
    if not raw or len(raw) != at - 2 or not raw.isascii() or 0 in raw:
        return None
    if qos:
        if at + 2 > len(body):
            return None
        mid = _short.unpack_from(body, at)[0]
        at += 2
        if mid == 0:
            return None
    found = pairs_at(body, at)
    if found is None:
        return None
    pairs, at = found
    return Published(raw.decode(), body[at:], pairs, bool(head & 1), qos, mid)


def publish(topic: bytes, payload: bytes, mid: int, properties: bytes, *, retain: bool) -> bytes:
    """A PUBLISH of QoS 1; `properties` with their length before them."""
    size = 2 + len(topic) + 2 + len(properties) + len(payload)
    head = bytes((_PUBLISH | 2 | retain,)) + variable_length(size)
    return b"".join((head, _short.pack(len(topic)), topic, _short.pack(mid), properties, payload))


def acknowledge(mids: Iterable[int]) -> bytes:
    """PUBACKs of these messages, in order."""
    return b"".join(b"\x40\x02" + _short.pack(mid) for mid in mids)


def packet_at(buffer: bytearray, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends; None while it is not whole, (0, 0) where its length is no length."""
    size = shift = 0
    for place in range(at + 1, min(at + 5, len(buffer))):
        size |= (buffer[place] & 127) << shift
        shift += 7
        if buffer[place] < 128:
            end = place + 1 + size
            return (place + 1, end) if end <= len(buffer) else None
    return _MALFORMED if len(buffer) >= at + 5 else None


class Wire:
    """Between a paho client and its socket. `arrived` is told of every PUBLISH, `answered` of every PUBACK, in the event loop's thread.

    It takes the place of two of paho's methods (`loop_read`, which aiomqtt calls when something can be read, and `_sock_recv`, by which paho
    reads); a test fails where they are no more.
    """

    def __init__(
        self, inner: paho.Client, arrived: Callable[[Published], None], answered: Callable[[int, ReasonCode], None]
    ) -> None:
        self._inner, self._arrived, self._answered = inner, arrived, answered
        self._receive, self._read_one = inner._sock_recv, inner.loop_read
        self._buffer = bytearray()
        self._fed = b""
        """a packet that paho is to read"""
        self._end: OSError | None = None
        self._ended = False
        self._written = bytearray()
        self.heard = time.monotonic()
        """when anything came last"""
        inner._sock_recv = self._feed  # type: ignore[method-assign,assignment]
        inner.loop_read = self._read  # type: ignore[method-assign]

    # reading -----------------------------------------------------------------------------------------------------

    def _read(self, max_packets: int = 1) -> MQTTErrorCode:
        for _ in range(READS):
            try:
                data = self._receive(READ)
            except BlockingIOError:
                break
            except OSError as error:
                self._ended, self._end = True, error
                return self._read_one()
            if not data:
                self._ended = True
                return self._read_one()
            self._buffer += data
            self.heard = time.monotonic()
            code = self._take()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return code
            if len(data) < READ:
                break  # what is left in a TLS record aiomqtt asks for again
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _take(self) -> MQTTErrorCode:
        """All packets that are whole."""
        buffer, at = self._buffer, 0
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and (found := packet_at(buffer, at)) is not None:
            begin, end = found if found != _MALFORMED else (at + 5, at + 5)
            if not self._is_ours(buffer[at], bytes(buffer[begin:end])):
                self._fed = bytes(buffer[at:end])
                code = self._read_one()
            at = end
        del buffer[:at]
        return code

    def _is_ours(self, head: int, body: bytes) -> bool:
        kind = head & 0xF0
        if kind == _PUBLISH:
            found = read_publish(head, body)
            if found is None:
                return False
            self._arrived(found)
            return True
        if kind != _PUBACK or len(body) < 2:
            return False
        code = body[2] if len(body) > 2 else 0
        try:
            reason = _SUCCESS if code in _TAKEN else ReasonCode(PacketTypes.PUBACK, identifier=code)
        except (KeyError, ValueError):
            return False
        self._answered(_short.unpack_from(body)[0], reason)
        return True

    def _feed(self, size: int) -> bytes:
        """What paho reads: a packet that is its business, or how the connection ended."""
        if self._fed:
            part, self._fed = self._fed[:size], self._fed[size:]
            return part
        if self._end is not None:
            raise self._end
        if self._ended:
            return b""
        raise BlockingIOError

    # writing -----------------------------------------------------------------------------------------------------

    def write(self, packets: bytes) -> bool:
        """Whole packets to send with the next `flush`; whether that has to be asked for, since nothing waited before."""
        first = not self._written
        if self._written and len(self._written) + len(packets) > PIECE:
            self.flush()
        self._written += packets
        return first

    def flush(self) -> None:
        """Hand what was written to paho's queue."""
        if self._written:
            piece, self._written = bytes(self._written), bytearray()
            # as an acknowledgement: a packet of which paho has nothing to say when it is out
            self._inner._packet_queue(_PUBACK, piece, 0, 1)


_SUCCESS = ReasonCode(PacketTypes.PUBACK)
