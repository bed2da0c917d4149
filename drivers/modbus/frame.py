"""Questions as frames, and whether the bytes a Modbus peer sent are the answer to what was asked. Pure.

Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 (MBAP header), MODBUS over Serial Line V1.02, 2.5.1 (RTU),
and Modbus Application Protocol V1.1b3, section 6 (PDUs).
"""

import struct
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

HEADER = 7
_LONGEST = 254
"""Most that the header's length field may say: unit and a PDU of 253 bytes."""
_READ_BITS = frozenset({1, 2})
_READ_REGISTERS = frozenset({3, 4})
_WRITES = frozenset({5, 6, 15, 16})
_SIMPLE = 6
"""Up to here a question is an address and one number."""
REPORT_SERVER = 17
"""What a unit says of itself, on serial lines (the same, 6.13)."""
IDENTIFICATION = 43
"""Encapsulated interface; of its transports only 14, Read Device Identification (the same, 6.21)."""
_READ_IDENTIFICATION = 14


class Asked(NamedTuple):
    """A question. `argument` is the count, the value of a single write, or the first object of an identification."""

    transaction: int
    unit: int
    function: int
    address: int
    argument: int
    values: bytes = b""
    """what several registers are to hold (function 16)"""


class Stage(Enum):
    """How far the answer has come."""

    NOTHING = "nothing of ours yet"
    CUT = "a frame has begun"
    WHOLE = "the answer is there"
    NONSENSE = "what came is no answer"


class Verdict(NamedTuple):
    """`frame` is the whole answer with its header; `reason` says what is wrong."""

    stage: Stage
    frame: bytes = b""
    reason: str = ""


def tcp_frame(asked: Asked) -> bytes:
    """The question behind an MBAP header."""
    transaction, unit, function, address, argument, values = asked
    if not values and function <= _SIMPLE:
        return struct.pack(">HHHBBHH", transaction, 0, 6, unit, function, address, argument)
    body = _question(asked)
    return struct.pack(">HHHB", transaction, 0, 1 + len(body), unit) + body


def rtu_frame(asked: Asked) -> bytes:
    """The question with its checksum; it has no transaction."""
    frame = bytes([asked.unit]) + _question(asked)
    return frame + checksum(frame)


def _question(asked: Asked) -> bytes:
    if asked.function == REPORT_SERVER:
        return bytes([REPORT_SERVER])
    if asked.function == IDENTIFICATION:
        return bytes([IDENTIFICATION, _READ_IDENTIFICATION, 1, asked.argument])
    head = struct.pack(">BHH", asked.function, asked.address, asked.argument)
    return head + bytes([len(asked.values)]) + asked.values if asked.values else head


def words_of(frame_or_values: bytes) -> Sequence[int]:
    """Registers from their bytes."""
    return struct.unpack(f">{len(frame_or_values) // 2}H", frame_or_values)


def bits_of(octets: bytes) -> Sequence[int]:
    """Eight bits a byte, the lowest first (Modbus Application Protocol V1.1b3, 6.1)."""
    return [bit for octet in octets for bit in _BITS[octet]]


_BITS = tuple(tuple(octet >> place & 1 for place in range(8)) for octet in range(256))


def objects_of(pdu: bytes) -> dict[int, bytes] | None:
    """The objects of an answer to function 43/14, the basic ones at least; None where it is cut or says more than it has."""
    if len(pdu) < 7 or pdu[0] != IDENTIFICATION or pdu[1] != _READ_IDENTIFICATION:
        return None
    found: dict[int, bytes] = {}
    at = 7
    for _ in range(pdu[6]):
        if len(pdu) < at + 2 or len(pdu) < at + 2 + pdu[at + 1]:
            return None
        found[pdu[at]] = pdu[at + 2 : at + 2 + pdu[at + 1]]
        at += 2 + pdu[at + 1]
    return found if at == len(pdu) else None


def judge(received: bytes, asked: Asked) -> Verdict:
    """The verdict over all bytes received since `asked` was sent. Answers to earlier questions are passed over."""
    rest = received
    while rest:
        if rest[2:4] not in (b"", b"\0", b"\0\0"):
            return Verdict(Stage.NONSENSE, reason=f"protocol identifier {rest[2:4].hex()} in the header, not 0000")
        if len(rest) < HEADER - 1:
            return Verdict(Stage.CUT, reason=f"the header ends after {len(rest)} bytes")
        length = int.from_bytes(rest[4:6])
        if not 2 <= length <= _LONGEST:
            return Verdict(Stage.NONSENSE, reason=f"the header says {length} bytes follow; 2 to {_LONGEST} can")
        frame, rest = rest[: HEADER - 1 + length], rest[HEADER - 1 + length :]
        if len(frame) < HEADER - 1 + length:
            return Verdict(Stage.CUT, reason=f"the frame ends after {len(frame)} of {HEADER - 1 + length} bytes")
        if int.from_bytes(frame[:2]) == asked.transaction:
            wrong = _fault(frame[6], frame[HEADER:], asked)
            return Verdict(Stage.WHOLE, frame) if wrong is None else Verdict(Stage.NONSENSE, reason=wrong)
    return Verdict(Stage.NOTHING)


def judge_rtu(received: bytes, asked: Asked) -> Verdict:
    """The same over RTU. A good frame of another unit is its late answer and passed over; nothing tells one of the same unit's."""
    rest = received
    while rest:
        size = _rtu_size(rest)
        if size is None:
            return Verdict(Stage.NONSENSE, reason=f"function {rest[1]} is none that we ask for")
        if len(rest) < size:
            return Verdict(Stage.CUT, reason=f"the frame ends after {len(rest)} of {size} bytes")
        frame, rest = rest[:size], rest[size:]
        if checksum(frame[:-2]) != frame[-2:]:
            return Verdict(Stage.NONSENSE, reason="the checksum is wrong")
        if frame[0] != asked.unit:
            continue
        wrong = _fault(frame[0], frame[1:-2], asked)
        if wrong is None and rest:
            wrong = f"{len(rest)} bytes more behind the answer: it may be an older question's"
        return Verdict(Stage.WHOLE, frame) if wrong is None else Verdict(Stage.NONSENSE, reason=wrong)
    return Verdict(Stage.NOTHING)


def _rtu_size(frame: bytes) -> int | None:
    """Bytes of the frame that begins here, as far as can be told; None for a function that we never ask for."""
    function = frame[1] if len(frame) > 1 else 1
    if function & 0x7F not in _KNOWN:
        return None
    if function & 0x80:
        return 5
    if function in _WRITES:
        return 8
    if function == IDENTIFICATION:
        return _identification_size(frame)
    return 5 + (frame[2] if len(frame) > 2 else 0)


_KNOWN = _READ_BITS | _READ_REGISTERS | _WRITES | {REPORT_SERVER, IDENTIFICATION}


def _identification_size(frame: bytes) -> int:
    """Its objects are counted and each says its length; as long as they are not all there, one byte more than is there."""
    if len(frame) < 8:
        return 10
    at = 8
    for _ in range(frame[7]):
        if len(frame) < at + 2:
            return at + 4
        at += 2 + frame[at + 1]
    return at + 2


def checksum(frame: bytes) -> bytes:
    """CRC-16 of Modbus, low byte first (MODBUS over Serial Line V1.02, 6.2.2)."""
    value = 0xFFFF
    for byte in frame:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def _crc_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_CRC = tuple(_crc_entry(byte) for byte in range(256))


def _fault(unit: int, pdu: bytes, asked: Asked) -> str | None:
    """What is wrong with an answer of the right transaction. A device asked as unit 0 may answer with its own number."""
    if asked.unit not in (0, unit):
        return f"unit {unit} answers a question to unit {asked.unit}"
    if pdu[0] == asked.function | 0x80:
        return None if len(pdu) == 2 else f"an exception answer of {len(pdu)} bytes instead of 2"
    if pdu[0] != asked.function:
        return f"function {pdu[0]} answers function {asked.function}"
    if asked.function in _READ_BITS | _READ_REGISTERS:
        size = (asked.argument + 7) // 8 if asked.function in _READ_BITS else 2 * asked.argument
        said = pdu[1] if len(pdu) > 1 else 0
        if said == size and len(pdu) == 2 + size:
            return None
        return f"{len(pdu) - 2} bytes of values ({said} announced) instead of {size}"
    if asked.function == REPORT_SERVER:
        return None if len(pdu) > 2 and len(pdu) == 2 + pdu[1] else "a report whose length is wrong"
    if asked.function == IDENTIFICATION:
        return None if objects_of(pdu) is not None else "an identification that does not hold together"
    echo = asked.address.to_bytes(2) + asked.argument.to_bytes(2)
    return None if pdu[1:] == echo else f"the echo of the write is {pdu[1:].hex()} instead of {echo.hex()}"
