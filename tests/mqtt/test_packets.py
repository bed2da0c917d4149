"""Packets read and written by hand are those that paho reads and writes, however they come."""

import itertools
import struct
from collections import deque
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import MQTTException, _packet
from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from hub.packets import PIECE, READ, Published, Wire, acknowledge, packet_at, publish, read_publish
from hub.user_properties import packed

_TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=300, exclude_characters="+#"), min_size=1, max_size=30)
_PAIRS = st.lists(st.tuples(_TEXT, _TEXT), max_size=4).map(tuple)
_PINGRESP = b"\xd0\x00"


def by_paho(head: int, body: bytes) -> object:
    """What paho makes of it, or the kind of its error."""
    try:
        found = cast(Any, _packet).decode_publish(head, bytearray(body), paho.MQTTv5)
        user = tuple(getattr(found.properties, "UserProperty", ()))
        topic = found.topic.decode()
    except (MQTTException, UnicodeDecodeError, IndexError, KeyError, ValueError, struct.error) as error:
        return type(error)
    return Published(topic, bytes(found.payload), user, bool(found.retain), found.qos, found.mid or 0)


def parts(packet: bytes) -> tuple[int, bytes]:
    begin, end = packet_at(bytearray(packet), 0) or (0, 0)
    assert end == len(packet)
    return packet[0], packet[begin:]


@given(_TEXT, st.binary(max_size=300), st.integers(1, 65_535), _PAIRS, st.booleans())
def test_what_is_written_is_what_paho_reads(
    topic: str, payload: bytes, mid: int, pairs: tuple[tuple[str, str], ...], retain: bool
) -> None:
    head, body = parts(publish(topic.encode(), payload, mid, packed(pairs), retain=retain))
    wanted = Published(topic, payload, pairs, retain, 1, mid)
    assert by_paho(head, body) == wanted
    assert read_publish(head, body) in (wanted, None)
    if (topic + "".join(map("".join, pairs))).isascii() and len(packed(pairs)) <= 128:
        assert read_publish(head, body) == wanted


@given(
    st.integers(0x30, 0x3F), _TEXT, st.binary(max_size=20), _PAIRS, st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=4),
    st.integers(0, 99),
)  # fmt: skip
def test_of_garbage_it_takes_nothing_that_paho_would_take_otherwise(
    head: int, topic: str, payload: bytes, pairs: tuple[tuple[str, str], ...], flips: list[tuple[int, int]], short: int
) -> None:
    body = bytearray(parts(publish(topic.encode(), payload, 7, packed(pairs), retain=False))[1])
    for at, value in flips:
        body[at % len(body)] = value
    del body[len(body) - min(short, len(body)) if short < 30 else len(body) :]
    found = read_publish(head, bytes(body))
    if found is not None:
        assert found == by_paho(head, bytes(body))


class Line:
    """paho as `Wire` needs it: a socket that gives its bytes in pieces, and a reader of whole packets that writes down what it read."""

    def __init__(self, *pieces: bytes | OSError) -> None:
        self.pieces = deque(pieces)
        self.by_paho: list[bytes] = []
        self.queued: list[bytes] = []

    def _sock_recv(self, size: int) -> bytes:
        if not self.pieces:
            raise BlockingIOError
        piece = self.pieces.popleft()
        if isinstance(piece, OSError):
            raise piece
        if len(piece) > size:
            self.pieces.appendleft(piece[size:])
        return piece[:size]

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        read = bytearray()
        try:
            while data := self._sock_recv(3):
                read += data
        except BlockingIOError:
            self.by_paho.append(bytes(read))
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            pass
        return MQTTErrorCode.MQTT_ERR_CONN_LOST

    def _packet_queue(self, command: int, packet: bytes, mid: int, qos: int) -> MQTTErrorCode:
        self.queued.append(packet)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def wired(line: Line) -> tuple[Wire, list[Published], list[tuple[int, ReasonCode]]]:
    arrived: list[Published] = []
    answered: list[tuple[int, ReasonCode]] = []
    wire = Wire(cast(paho.Client, line), arrived.append, lambda mid, reason: answered.append((mid, reason)))
    return wire, arrived, answered


def numbered(n: int) -> bytes:
    return publish(b"n", str(n).encode(), n, packed((("seq", str(n)),)), retain=False)


@given(st.lists(st.integers(0, 400), max_size=6))
def test_however_the_bytes_are_cut_the_same_packets_come_in_their_order(cuts: list[int]) -> None:
    refused = b"\x40\x03" + struct.pack(">H", 5) + b"\x87"
    stream = numbered(1) + _PINGRESP + acknowledge([3]) + numbered(2) * 3 + refused + numbered(9) + _PINGRESP
    places = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    line = Line(*(stream[a:b] for a, b in itertools.pairwise(places)))
    _, arrived, answered = wired(line)
    while line.pieces:
        assert line.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert [one.mid for one in arrived] == [1, 2, 2, 2, 9]
    assert [(mid, reason.is_failure) for mid, reason in answered] == [(3, False), (5, True)]
    assert line.by_paho == [_PINGRESP, _PINGRESP]


@pytest.mark.parametrize("end", [b"", ConnectionResetError("gone")])
def test_what_came_before_the_end_is_taken_and_paho_learns_how_it_ended(end: bytes | OSError) -> None:
    line = Line(numbered(1) + numbered(2)[:5], end)
    _, arrived, _ = wired(line)
    assert line.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert line.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST
    assert [one.mid for one in arrived] == [1]


def test_a_length_that_is_none_is_pahos_to_refuse() -> None:
    line = Line(b"\x30\xff\xff\xff\xff\x01")
    _, arrived, _ = wired(line)
    line.loop_read()
    assert line.by_paho == [b"\x30\xff\xff\xff\xff"]
    assert arrived == []


def test_a_large_message_comes_whole_and_others_get_their_turn_between() -> None:
    large = publish(b"n", b"x" * (3 * READ), 4, b"\0", retain=False)
    line = Line(large + numbered(5))
    _, arrived, _ = wired(line)
    line.loop_read()
    assert [(one.mid, len(one.payload)) for one in arrived] == [(4, 3 * READ), (5, 1)]


def test_what_is_written_in_one_turn_goes_out_in_few_pieces_in_its_order() -> None:
    line = Line()
    wire, _, _ = wired(line)
    packets = [numbered(n) * 100 for n in range(1, 30)]
    assert [wire.write(packet) for packet in packets][:2] == [True, False]
    wire.flush()
    wire.flush()
    assert b"".join(line.queued) == b"".join(packets)
    assert len(line.queued) < len(packets)
    assert max(map(len, line.queued)) <= PIECE
