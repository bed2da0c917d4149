"""What pymodbus alone takes for an answer, and what the judge says of the same bytes: why it stands before it (decision 0150).

A case that is red with a new pymodbus says that the library has become stricter there.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.modbus.frame import Asked, Stage, judge, judge_rtu, values_of
from tests.drivers.modbus.field_bus import checksum

READ = Asked(transaction=7, unit=99, function=3, address=100, argument=2)


def taken(received: bytes, rtu: bool = False) -> Any:
    """What pymodbus' client makes of the bytes: (bytes used, the answer or None while it waits for more)."""
    framer = (FramerRTU if rtu else FramerSocket)(DecodePDU(is_server=False))
    return framer.handleFrame(received, READ.unit, 0 if rtu else READ.transaction)


def framed(pdu: str) -> bytes:
    body = bytes([READ.unit]) + bytes.fromhex(pdu)
    return READ.transaction.to_bytes(2) + b"\0\0" + len(body).to_bytes(2) + body


def on_a_line(pdu: str) -> bytes:
    body = bytes([READ.unit]) + bytes.fromhex(pdu)
    return body + checksum(body)


@pytest.mark.parametrize(
    ("pdu", "asked", "said"),
    [
        ("03 02 0001", READ, {"registers": [1]}),  # one register for two
        ("03 06 0001 0002 0003", READ, {"registers": [1, 2, 3]}),
        ("03 02 0001 0002", READ, {"registers": [1]}),  # announces less than it has
        ("01 05 03", READ._replace(function=1), {"bits": [True, True] + 6 * [False]}),  # announces five bytes
        ("06 0064 0006", READ._replace(function=6, argument=5), {"registers": [6]}),
        ("05 0064 0001", READ._replace(function=5, argument=0xFF00), {"bits": [True]}),
        ("05 0065 ff00", READ._replace(function=5, argument=0xFF00), {"address": 0x65}),
        ("83 02 00", READ, {"exception_code": 2}),
        ("04 04 0001 0002", READ, {"registers": [1, 2]}),  # another function's
        ("2b 0e 01 81 00 00 02 00 03 616263", READ._replace(function=43), {"information": {0: b"abc"}}),  # counts two
        ("2b 0e 01 81 00 00 01 00 09 616263", READ._replace(function=43), {"information": {0: b"abc"}}),  # cut
    ],
)
def test_what_pymodbus_takes_and_the_judge_does_not(pdu: str, asked: Asked, said: dict[str, Any]) -> None:
    _, answer = taken(framed(pdu))
    assert {name: getattr(answer, name) for name in said} == said
    assert judge(framed(pdu), asked).stage is Stage.NONSENSE


@pytest.mark.parametrize("received", [b"GET / HTTP/1.1\r\n\r\n", b"\0\7\0\0\xff\xff\x63\3\2\0\1"])
def test_what_pymodbus_waits_for_and_the_judge_does_not(received: bytes) -> None:
    assert taken(received) == (0, None)
    assert judge(received, READ).stage is Stage.NONSENSE


def test_pymodbus_takes_the_next_frames_first_byte_for_the_end_of_an_exception() -> None:
    received = framed("83")[:5] + b"\2" + framed("83")[6:] + b"\0"
    assert taken(received)[0] == 9
    assert judge(received, READ).stage is Stage.NONSENSE


def test_over_a_line_pymodbus_takes_any_answer_of_the_unit_and_one_behind_noise() -> None:
    older = on_a_line("03 02 0063")
    assert taken(older, rtu=True)[1].registers == [99]
    assert judge_rtu(older, READ).stage is Stage.NONSENSE
    behind = b"\0\x70" + on_a_line("03 04 0001 0002")
    assert taken(behind, rtu=True)[1].registers == [1, 2]
    assert judge_rtu(behind, READ).stage is Stage.NONSENSE


def test_pymodbus_takes_the_end_of_a_reports_text_for_the_run_status() -> None:
    _, answer = taken(framed("11 04 01 ff 4142"))
    assert (answer.identifier, answer.status) == (b"\x01\xff\x41", False)


@pytest.mark.parametrize("size", [257, 998, 999])
def test_a_frame_longer_than_a_line_carries_is_nonsense_also_where_pymodbus_would_cut_it_off(size: int) -> None:
    """Of an identification that is not all there pymodbus says 998 or 999 bytes; a peer can have that many, with a checksum that fits."""
    asked = READ._replace(function=43)
    beginning = b"\x63\x2b\x0e\1\x81\0\0\xff"
    body = beginning + b"\0\0" * 495
    whole = body[: size - 2] + checksum(body[: size - 2])
    for tail in (b"", b"\0", bytes(40)):
        assert judge_rtu(whole + tail, asked).stage is Stage.NONSENSE
    assert judge_rtu(beginning, asked).stage is Stage.CUT


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125), st.sampled_from([3, 4]))
def test_registers_that_the_judge_has_passed_are_read_as_they_came(words: list[int], function: int) -> None:
    pdu = bytes([function, 2 * len(words)]) + b"".join(word.to_bytes(2) for word in words)
    frame = framed(pdu.hex())
    assert judge(frame, READ._replace(function=function, argument=len(words))) == (Stage.WHOLE, frame, "")
    assert values_of(pdu) == words


@given(st.binary(min_size=1, max_size=250), st.sampled_from([1, 2]))
def test_bits_that_the_judge_has_passed_come_lowest_first(octets: bytes, function: int) -> None:
    pdu = bytes([function, len(octets)]) + octets
    frame = framed(pdu.hex())
    assert judge(frame, READ._replace(function=function, argument=8 * len(octets))) == (Stage.WHOLE, frame, "")
    assert values_of(pdu) == [octet >> place & 1 for octet in octets for place in range(8)]
