"""The codec of GB/T 26875.3-2011, compared with bytes that others published, and fed with nonsense.

`PUBLISHED` are byte sequences from the tests of the public project shootingfans/codec_gb26875_3_2011: facts about the wire, no code.
"""

import contextlib
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.serial.gb26875_2011 import (
    KINDS,
    MAX_DATA,
    PART_BITS,
    SYSTEM_BITS,
    TRANSMITTER_BITS,
    Command,
    Frame,
    Garbage,
    Item,
    Malformed,
    Scanner,
    decode_unit,
    encode,
    label_at,
    label_of,
    part_unit,
    reply,
    system_unit,
    transmitter_unit,
)
from hub.model import to_micros

PART_FRAME = bytes.fromhex(
    "40400000010118 0d1116 0a14 000000000000 060504030201 3000 02"
    "0201 010300 d9000600 0200 a3c1c7f8a3b1b2e3dfc8b2b8d7dfc0c8 000000000000000000000000000000 301213010814 68 2323".replace(
        " ", ""
    )
)
REQUEST_FRAME = bytes.fromhex(
    "404001000001050009020715050403020100 0b0a09080706 0300 04 590100 d1 2323".replace(" ", "")
)
TEST_TEXT = bytes.fromhex("d5e2cac7d2bbb8f6d7aac2ebb2e2cad4")
LABEL = bytes.fromhex("040009020715")


def test_a_published_part_frame_decodes_and_encodes_to_the_same_bytes() -> None:
    (frame,) = Scanner().feed(PART_FRAME)
    assert isinstance(frame, Frame)
    assert (frame.serial, frame.version, frame.source, frame.target) == (0, (1, 1), 0, 0x010203040506)
    assert frame.command == Command.SEND
    unit = decode_unit(frame.data)
    assert unit.type == 2
    (item,) = unit.items
    assert (item.system_type, item.system, item.part_type, item.part) == (1, 3, 0, 0x0600D9)
    assert item.status == 1 << PART_BITS["fire"]
    assert item.description == "Ａ区１层呷哺走廊"
    assert encode(frame) == PART_FRAME


def test_a_published_request_frame_encodes_to_the_same_bytes() -> None:
    frame = Frame(
        1, 0x000102030405, 0x060708090A0B, Command.REQUEST, b"\x59\x01\x00", bytes.fromhex("050009020715"), (0, 1)
    )
    assert encode(frame) == REQUEST_FRAME
    assert Scanner().feed(REQUEST_FRAME) == [frame]


def test_published_data_units_mean_what_their_authors_say() -> None:
    two_systems = bytes.fromhex("0102 0102 0402 040009020715 0d03 0501 050009020715".replace(" ", ""))
    first, second = decode_unit(two_systems).items
    assert (first.system_type, first.system, first.status, first.label) == (1, 2, 0x0204, LABEL)
    assert (second.system_type, second.system, second.status) == (13, 3, 0x0105)
    part = bytes.fromhex("0201 0102 79 01020304 0402") + TEST_TEXT.ljust(31, b"\0") + LABEL
    (item,) = decode_unit(part).items
    assert (item.part_type, item.part, item.status, item.description) == (121, 0x04030201, 0x0204, "这是一个转码测试")
    (done,) = decode_unit(bytes.fromhex("0401 0102 84fa 040009020715".replace(" ", ""))).items
    assert (done.system, done.status, done.operator) == (2, 0x84, 0xFA)


def test_the_status_bits_are_those_of_the_standard() -> None:
    assert list(SYSTEM_BITS.values()) == list(range(14))
    assert [SYSTEM_BITS[name] for name in ("normal", "fire", "fault", "shield", "supervise")] == [0, 1, 2, 3, 4]
    assert [SYSTEM_BITS[name] for name in ("mains_fault", "standby_fault", "bus_fault", "reset")] == [8, 9, 10, 13]
    assert list(PART_BITS.values()) == list(range(9))
    assert list(TRANSMITTER_BITS.values()) == list(range(7))


def test_a_label_is_beijing_time_to_the_second() -> None:
    moment = datetime(2026, 11, 21, 16, 0, 5, tzinfo=UTC)  # 00:00:05 of the next day in Beijing
    assert label_of(moment) == bytes((5, 0, 0, 22, 11, 26))
    assert label_at(label_of(moment)) == to_micros(moment)


@pytest.mark.parametrize("label", ["ffffffffffff", "000000000000", "3c0000010118", "000018010118", "00000030021a"])
def test_a_label_that_is_no_date_is_none(label: str) -> None:
    assert label_at(bytes.fromhex(label)) is None


def test_an_answer_has_the_frames_serial_and_its_addresses_exchanged() -> None:
    asked = Frame(0x1234, 0xA1, 0x01, Command.SEND, transmitter_unit(1, LABEL), LABEL, (1, 7))
    answered = reply(asked, Command.CONFIRM, LABEL)
    assert encode(answered)[:2] == b"@@"
    assert len(encode(answered)) == 30
    assert answered == Frame(0x1234, 0x01, 0xA1, Command.CONFIRM, b"", LABEL, (1, 7))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02",
        b"\x02\x00",
        b"\x02\x01",
        b"\x02\x02" + bytes(46),
        b"\x02\x01" + bytes(45),
        b"\x15\x01" + bytes(6),
        b"\x15\x01" + bytes(8),
    ],
)
def test_a_data_unit_that_does_not_hold_what_it_says_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_unit(data)


def test_a_type_of_a_maker_has_no_objects_here() -> None:
    assert decode_unit(b"\x80\x01whatever").items == ()


def test_a_text_that_was_cut_in_the_middle_of_a_character_is_read_as_far_as_it_goes() -> None:
    unit = part_unit(Item(1, LABEL, 1, 1, 42, 1, description="一二三四五六七八九十一二三四五六七"))
    (item,) = decode_unit(unit).items
    assert item.description == "一二三四五六七八九十一二三四五\ufffd"


@pytest.mark.parametrize(
    "frame",
    [
        Frame(70_000, 1, 1, 2),
        Frame(1, 1 << 48, 1, 2),
        Frame(1, 1, 1, 300),
        Frame(1, 1, 1, 2, bytes(MAX_DATA + 1)),
        Frame(1, 1, 1, 2, b"", b"short"),
    ],
)
def test_what_does_not_fit_a_frame_is_not_encoded(frame: Frame) -> None:
    with pytest.raises(ValueError):
        encode(frame)


def test_a_wrong_checksum_is_said_and_the_frame_behind_it_is_found() -> None:
    broken = PART_FRAME[:-3] + b"\x67" + PART_FRAME[-2:]
    first, second = Scanner().feed(broken + PART_FRAME)
    assert isinstance(first, Garbage)
    assert (first.code, first.octets) == ("checksum", broken)
    assert "0x67, should be 0x68" in first.reason
    assert first.frame is not None
    assert first.frame.serial == 0
    assert isinstance(second, Frame)


def test_a_frame_within_a_frame_is_its_data_however_it_is_cut() -> None:
    outer = encode(Frame(1, 2, 3, Command.SEND, b"\x80\x01" + PART_FRAME, LABEL))
    for cut in range(1, len(outer)):
        scanner = Scanner()
        found = [*scanner.feed(outer[:cut]), *scanner.feed(outer[cut:])]
        assert found == [Frame(1, 2, 3, Command.SEND, b"\x80\x01" + PART_FRAME, LABEL)]


def test_the_buffer_stays_bounded_whatever_comes() -> None:
    scanner = Scanner()
    for octets in (b"@" * 5000, b"@@" + bytes(22) + b"\x00\x04" + bytes(3000), b"x" * 10_000):
        for at in range(0, len(octets), 100):
            scanner.feed(octets[at : at + 100])
            assert len(scanner._buffer) <= 1054


FRAMES = st.builds(
    Frame,
    serial=st.integers(0, 0xFFFF),
    source=st.integers(0, (1 << 48) - 1),
    target=st.integers(0, (1 << 48) - 1),
    command=st.sampled_from(list(Command)),
    data=st.binary(max_size=80),
    label=st.binary(min_size=6, max_size=6),
    version=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)

NOISE = st.binary(max_size=80) | st.lists(st.sampled_from([b"@", b"@@", b"#", b"##", b"\0", PART_FRAME[:40]])).map(
    b"".join
)


def feed_in_pieces(scanner: Scanner, octets: bytes, cuts: list[int]) -> list[Frame | Garbage]:
    found: list[Frame | Garbage] = []
    edges = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        found += scanner.feed(octets[start:end])
    return found


@given(frame=FRAMES)
def test_what_is_encoded_is_found_again(frame: Frame) -> None:
    assert Scanner().feed(encode(frame)) == [frame]


@given(noise=NOISE, frame=FRAMES, cuts=st.lists(st.integers(0, 500), max_size=5))
@example(noise=b"@@", frame=Frame(0, 0, 0, 3), cuts=[])
@example(noise=b"@@@@", frame=Frame(0, 0, 458752, 1, bytes(3)), cuts=[])
@example(noise=b"@@" + bytes(22) + b"\xff\x03\x02", frame=Frame(0, 0, 0, 3), cuts=[])
def test_the_next_good_frame_is_found_whatever_came_before_and_wherever_it_is_cut(
    noise: bytes, frame: Frame, cuts: list[int]
) -> None:
    scanner = Scanner()
    found = [*feed_in_pieces(scanner, noise + encode(frame), cuts), *scanner.idle()]
    assert found[-1] == frame or frame in found


@given(noise=NOISE, frames=st.lists(FRAMES, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_frames_come_in_order_and_no_octet_is_given_out_twice(
    noise: bytes, frames: list[Frame], cuts: list[int]
) -> None:
    octets = noise + b"".join(map(encode, frames))
    scanner = Scanner()
    found = [*feed_in_pieces(scanner, octets, cuts), *scanner.idle()]
    assert [one for one in found if isinstance(one, Frame)][-len(frames) :] == frames
    given_out = sum(len(encode(one)) if isinstance(one, Frame) else len(one.octets) for one in found)
    assert given_out + len(scanner._buffer) == len(octets)


@given(pieces=st.lists(st.binary(max_size=200)))
def test_no_bytes_at_all_crash_the_scanner_or_the_decoder(pieces: list[bytes]) -> None:
    scanner = Scanner()
    for piece in pieces:
        for found in [*scanner.feed(piece), *scanner.idle()]:
            if isinstance(found, Frame):
                with contextlib.suppress(Malformed):
                    assert decode_unit(found.data).type == found.data[0]


@given(data=st.binary(max_size=200), unit_type=st.sampled_from(sorted(KINDS)))
def test_no_data_unit_crashes_the_decoder(data: bytes, unit_type: int) -> None:
    try:
        unit = decode_unit(bytes((unit_type,)) + data)
    except Malformed:
        return
    assert len(unit.items) == data[0]


STATUS = st.integers(0, 0xFFFF)
ITEMS = st.builds(
    Item,
    status=STATUS,
    label=st.binary(min_size=6, max_size=6),
    system_type=st.integers(0, 255),
    system=st.integers(0, 255),
    part_type=st.integers(0, 255),
    part=st.integers(0, 0xFFFFFFFF),
    operator=st.just(0),
    description=st.text(st.characters(codec="gb18030", exclude_characters="\0"), max_size=7).map(str.strip),
)


@given(items=st.lists(ITEMS, min_size=1, max_size=22))
def test_part_states_survive_the_wire(items: list[Item]) -> None:
    assert list(decode_unit(part_unit(*items)).items) == items


@given(items=st.lists(ITEMS, min_size=1, max_size=102))
def test_system_states_survive_the_wire(items: list[Item]) -> None:
    short = [Item(item.status, item.label, item.system_type, item.system) for item in items]
    assert list(decode_unit(system_unit(*short)).items) == short
