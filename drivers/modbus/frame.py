"""Questions as frames, and whether the bytes a Modbus peer sent are the answer to what was asked. Pure; the only module that knows pymodbus.

pymodbus (its API changes in minor versions) makes every question, splits every frame, computes the checksum and reads every answer.
What it would take for an answer is another matter. Its client believes these, seen with 3.16.1 (tests/drivers/modbus/test_pymodbus.py
holds each, reference/reliability.md F7 the first two on a line), so a judge of ours stands before it and hands it exact bytes only:

- fewer or more registers than asked for; bits in any number, whatever their byte count says; another function's answer;
- over RTU any answer of the same unit, and a frame that begins somewhere behind noise;
- the echo of another write: another value of a register, any number for a coil that is on;
- exception answers of any length;
- a header whose length is 65535 or whose protocol is not 0: it waits for the rest for ever; after 8 bytes it may take a ninth that
  belongs to the next frame;
- an identification whose objects are fewer than it counts or longer than what came (over RTU one that is cut is 998 or 999 bytes long);
- the last byte of a report (function 17), where text may stand, for the run status.

Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 (MBAP header), MODBUS over Serial Line V1.02, 2.5.1 (RTU),
and Modbus Application Protocol V1.1b3, section 6 (PDUs).
"""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest, WriteSingleCoilRequest
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.other_message import ReportDeviceIdRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

HEADER = 7
_LONGEST = 254
"""Most that the header's length field may say: unit and a PDU of 253 bytes."""
_LONGEST_RTU = 256
"""MODBUS over Serial Line V1.02, 2.5.1."""
_SHORTEST_RTU = 5
"""An exception answer."""
COIL_ON = 0xFF00
_READS: dict[int, type[ModbusPDU]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
_READ_BITS = frozenset({1, 2})
REPORT_SERVER = 17
"""What a unit says of itself, on serial lines (the same, 6.13)."""
IDENTIFICATION = 43
"""Encapsulated interface; of its transports only 14, Read Device Identification (the same, 6.21)."""
_SPOKEN = frozenset({*_READS, 5, 6, 16, REPORT_SERVER, IDENTIFICATION})
_PDUS = DecodePDU(is_server=False)
_TCP = FramerSocket(_PDUS)
_RTU = FramerRTU(_PDUS)


class Asked(NamedTuple):
    """A question. `argument` is the count, the value of a single write, or the first object of an identification."""

    transaction: int
    unit: int
    function: int
    address: int
    argument: int
    registers: tuple[int, ...] = ()
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
    return _TCP.encode(_question(asked[2:]), asked.unit, asked.transaction)


def rtu_frame(asked: Asked) -> bytes:
    """The question with its checksum; it has no transaction."""
    return _RTU.encode(_question(asked[2:]), asked.unit, 0)


@lru_cache(maxsize=1024)  # a plan asks the same questions again and again
def _question(asked: tuple[int, int, int, tuple[int, ...]]) -> bytes:
    function, address, argument, registers = asked
    request: ModbusPDU
    if function in _READS:
        request = _READS[function](address=address, count=argument)
    elif function == 5:
        request = WriteSingleCoilRequest(address=address, bits=[argument == COIL_ON])
    elif function == 6:
        request = WriteSingleRegisterRequest(address=address, registers=[argument])
    elif function == 16:
        request = WriteMultipleRegistersRequest(address=address, registers=registers)
    elif function == REPORT_SERVER:
        request = ReportDeviceIdRequest()
    else:
        request = ReadDeviceInformationRequest(object_id=argument)
    return bytes([request.function_code]) + request.encode()


def values_of(pdu: bytes) -> Sequence[int]:
    """Registers, or bits filled up to whole bytes, of an answer that the judge has passed."""
    answer = _decoded(pdu)
    return answer.registers or answer.bits


def refusal_of(pdu: bytes) -> int | None:
    """The exception code, if an answer that the judge has passed is an exception."""
    return _decoded(pdu).exception_code if pdu[0] & 0x80 else None


def _decoded(pdu: bytes) -> ModbusPDU:
    """By pymodbus' class for it; its own DecodePDU.decode takes twice as long, for a line of a log that nobody writes."""
    kind = _PDUS.lookupPduClass(b"\0" + pdu)
    assert kind is not None
    answer = ExceptionResponse(pdu[0]) if kind is ExceptionResponse else kind()
    answer.decode(pdu[1:])
    return answer


def objects_of(pdu: bytes) -> dict[int, bytes] | None:
    """The objects of an answer to function 43/14, the basic ones at least; None where it is cut or says more than it has."""
    if pdu[:2] != bytes([IDENTIFICATION, ReadDeviceInformationResponse.sub_function_code]):
        return None
    if ReadDeviceInformationResponse.calculateRtuFrameSize(b"\0" + pdu) != 1 + len(pdu) + 2:
        return None
    answer = _decoded(pdu)
    assert isinstance(answer, ReadDeviceInformationResponse)
    # an object that is said twice comes as a list
    return {number: said[-1] if isinstance(said, list) else said for number, said in answer.information.items()}


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
        _, unit, transaction, pdu = _TCP.decode(frame)
        if transaction == asked.transaction:
            wrong = _fault(unit, pdu, asked)
            return Verdict(Stage.WHOLE, frame) if wrong is None else Verdict(Stage.NONSENSE, reason=wrong)
    return Verdict(Stage.NOTHING)


def judge_rtu(received: bytes, asked: Asked) -> Verdict:
    """The same over RTU. A good frame of another unit is its late answer and passed over; nothing tells one of the same unit's."""
    rest = received
    while rest:
        size = _rtu_size(rest)
        if size is None:
            return Verdict(Stage.NONSENSE, reason=f"function {rest[1]} is none that we ask for")
        if min(len(rest), size) > _LONGEST_RTU:
            return Verdict(Stage.NONSENSE, reason=f"a frame of more than {_LONGEST_RTU} bytes")
        if len(rest) < size:
            whole = f" of {size}" if size <= _LONGEST_RTU else ""
            return Verdict(Stage.CUT, reason=f"the frame ends after {len(rest)}{whole} bytes")
        frame, rest = rest[:size], rest[size:]
        _, unit, _, pdu = _RTU.decode(frame)
        if not pdu:
            return Verdict(Stage.NONSENSE, reason="the checksum is wrong")
        if unit != asked.unit:
            continue
        wrong = _fault(unit, pdu, asked)
        if wrong is None and rest:
            wrong = f"{len(rest)} bytes more behind the answer: it may be an older question's"
        return Verdict(Stage.WHOLE, frame) if wrong is None else Verdict(Stage.NONSENSE, reason=wrong)
    return Verdict(Stage.NOTHING)


def _rtu_size(frame: bytes) -> int | None:
    """Bytes of the frame that begins here, as far as can be told; None for a function that we never ask for."""
    if len(frame) > 1 and frame[1] & 0x7F not in _SPOKEN:
        return None
    if len(frame) < 3:
        return _SHORTEST_RTU
    answer = _PDUS.lookupPduClass(frame)
    return answer.calculateRtuFrameSize(frame) if answer is not None else None


def _fault(unit: int, pdu: bytes, asked: Asked) -> str | None:
    """What is wrong with an answer of the right transaction. A device asked as unit 0 may answer with its own number."""
    if asked.unit not in (0, unit):
        return f"unit {unit} answers a question to unit {asked.unit}"
    if pdu[0] == asked.function | 0x80:
        return None if len(pdu) == 2 else f"an exception answer of {len(pdu)} bytes instead of 2"
    if pdu[0] != asked.function:
        return f"function {pdu[0]} answers function {asked.function}"
    if asked.function in _READS:
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
