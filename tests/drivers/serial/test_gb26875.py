"""The codec of GB/T 26875.3-2011, compared with bytes that others published, and fed with nonsense.

Byte sequences come from the tests of the public project shootingfans/codec_gb26875_3_2011 and from the examples in the document
GB26875文档.md of the public project ActorLancer/GB-T-26875.3.2011-rs: facts about the wire, no code.
"""

import contextlib
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.serial import gb26875_2011
from drivers.serial import gb26875_2011_tables as tables
from drivers.serial.framing import Garbage
from drivers.serial.gb26875 import edition_of
from drivers.serial.gb26875_2011 import (
    KINDS,
    MAX_DATA,
    PART_BITS,
    SYSTEM_BITS,
    TRANSMITTER_BITS,
    Command,
    Frame,
    Item,
    Malformed,
    Scanner,
    decode_unit,
    encode,
    encode_unit,
    label_at,
    label_of,
    part_unit,
    reply,
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
        b"\x02\x01" + bytes(45),
        b"\x15\x01" + bytes(6),
        b"\x06\x01\x01\x01\x05\x01",
        b"\x1a\x01",
    ],
)
def test_a_data_unit_of_which_nothing_is_whole_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_unit(data)


def test_whole_objects_are_read_though_the_count_or_the_length_is_wrong() -> None:
    fire = Item(2, LABEL, 1, 1, 42, 7)
    one = part_unit(fire)
    surplus = decode_unit(one + b"\0\0")
    assert (surplus.items, surplus.short) == ((fire,), False)
    assert "2 bytes" in surplus.fault
    missing = decode_unit(b"\x02\x03" + one[2:] + b"\x01")
    assert (missing.items, missing.short) == ((fire,), True)
    assert "3 objects are named, 1 are there" in missing.fault


def test_a_type_of_a_maker_has_no_objects_here() -> None:
    assert decode_unit(b"\x80\x01whatever").items == ()


def test_a_text_is_sent_in_whole_characters_and_read_as_far_as_it_goes() -> None:
    long = "一二三四五六七八九十一二三四五六七"
    unit = part_unit(Item(1, LABEL, 1, 1, 42, 1, description=long))
    assert decode_unit(unit).items[0].description == long[:15]
    cut = unit[:11] + long.encode("gb18030")[:31] + unit[42:]
    assert decode_unit(cut).items[0].description == long[:15] + "\ufffd"


HEAD = "4040 0100 0101 203A091A090C"
"""Serial 1, version 1.1, 2012-09-26 09:58:32: the examples' control unit."""
UP, DOWN = "790300000000 385B01000000", "385B01000000 790300000000"
TOLD = bytes.fromhex("023A091A090C")
SPACES = "20" * 30 + "00"


@pytest.mark.parametrize(
    ("rest", "command", "unit_type", "item"),
    [
        (
            f"{UP} 3000 02 0201 0101280A00020002 00 {SPACES} 023A091A090C 46",
            Command.SEND,
            2,
            Item(2, TOLD, 1, 1, 40, 0x0002000A),
        ),
        (f"{UP} 0900 02 150108 023A091A090C 42", Command.SEND, 21, Item(8, TOLD)),
        (f"{UP} 0A00 02 18012001 023A091A090C 5F", Command.SEND, 24, Item(1 << 5, TOLD, operator=1)),
        (f"{UP} 0400 02 19010101 C7", Command.SEND, 25, Item(major=1, minor=1)),
        (f"{UP} 0800 02 1C01 023A091A090C 40", Command.SEND, 28, Item(label=TOLD)),
        (f"{DOWN} 0300 04 510100 FE", Command.REQUEST, 81, Item()),
        (f"{UP} 0900 05 150108 023A091A090C 45", Command.ANSWER, 21, Item(8, TOLD)),
        (f"{DOWN} 0300 04 550100 02", Command.REQUEST, 85, Item()),
        (f"{UP} 0400 05 19010101 CA", Command.ANSWER, 25, Item(major=1, minor=1)),
        (f"{DOWN} 0300 04 580100 05", Command.REQUEST, 88, Item()),
        (f"{UP} 0800 05 1C01 023A091A090C 43", Command.ANSWER, 28, Item(label=TOLD)),
        (f"{DOWN} 0300 01 590100 03", Command.CONTROL, 89, Item()),
        (f"{DOWN} 0800 01 5A01 023A091A090C 7D", Command.CONTROL, 90, Item(label=TOLD)),
        (f"{DOWN} 0300 01 5B010A 0F", Command.CONTROL, 91, Item(minutes=10)),
    ],
)
def test_published_frames_of_both_directions_decode_and_encode_to_the_same_bytes(
    rest: str, command: Command, unit_type: int, item: Item
) -> None:
    octets = bytes.fromhex(f"{HEAD} {rest} 2323")
    if unit_type == 2:  # the example's checksum is that of a description with one space more
        octets = octets[:-3] + bytes((sum(octets[2:-3]) & 0xFF,)) + octets[-2:]
    (frame,) = Scanner().feed(octets)
    assert isinstance(frame, Frame)
    assert frame.command == command
    assert {frame.source, frame.target} == {0x379, 0x15B38}
    unit = decode_unit(frame.data)
    assert (unit.type, unit.items, unit.fault) == (unit_type, (item,), "")
    if unit_type != 2:  # that one fills its description with spaces
        assert encode(frame._replace(data=encode_unit(unit_type, item))) == octets


@pytest.mark.parametrize(("ending", "command"), [("03 AB", Command.CONFIRM), ("06 AE", Command.DENY)])
def test_published_answers_encode_to_the_same_bytes(ending: str, command: Command) -> None:
    octets = bytes.fromhex(f"4040 0100 0101 233A091A090C {DOWN} 0000 {ending} 2323")
    heard = Frame(1, 0x379, 0x15B38, Command.SEND, transmitter_unit(8, TOLD), TOLD, (1, 1))
    assert encode(reply(heard, command, bytes.fromhex("233A091A090C"))) == octets


@pytest.mark.parametrize(
    ("data", "items"),
    [
        ("0301 0102 28 01020304 03 2003 040009020715", [Item(0, LABEL, 1, 2, 40, 0x04030201, quantity=3, value=800)]),
        ("0502 01020304 0d030101", [Item(0, b"", 1, 2, major=3, minor=4), Item(0, b"", 13, 3, major=1, minor=1)]),
        (
            "0601 0102 1e d5e2cac7d2bbb8f6d7aac2ebb2e2cad4 0000000000000000000000000000",
            [Item(0, b"", 1, 2, description="这是一个转码测试")],
        ),
        (
            "0701 0102 28 01020304 d5e2cac7d2bbb8f6d7aac2ebb2e2cad4 000000000000000000000000000000",
            [Item(0, b"", 1, 2, 40, 0x04030201, description="这是一个转码测试")],
        ),
        ("0801 0102 040009020715", [Item(0, LABEL, 1, 2)]),
        ("1801 31fa 040009020715", [Item(0x31, LABEL, operator=0xFA)]),
        ("1901 0304", [Item(major=3, minor=4)]),
        ("1c01 040009020715", [Item(label=LABEL)]),
        ("3d02 0101 0d02", [Item(0, b"", 1, 1), Item(0, b"", 13, 2)]),
        ("3e01 0101 03021101", [Item(0, b"", 1, 1, part=0x01110203)]),
        (
            "3f02 0101 03021101 0d03 78563412",
            [Item(0, b"", 1, 1, part=0x01110203), Item(0, b"", 13, 3, part=0x12345678)],
        ),
        ("4101 0102", [Item(0, b"", 1, 2)]),
        ("4301 0101 78563412", [Item(0, b"", 1, 1, part=0x12345678)]),
        ("5501 00", [Item()]),
        ("5b01 0a", [Item(minutes=10)]),
    ],
)
def test_published_data_units_of_every_shape_are_read(data: str, items: list[Item]) -> None:
    unit = decode_unit(bytes.fromhex(data.replace(" ", "")))
    assert (list(unit.items), unit.fault) == (items, "")


def test_every_type_of_the_standard_stands_in_its_direction() -> None:
    up = [number for number, kind in KINDS.items() if kind.command is Command.SEND]
    assert up == [*range(1, 9), 21, 24, 25, 26, 28]
    assert sorted(KINDS.keys() - set(up)) == [*range(61, 69), 81, 84, 85, 86, 88, 89, 90, 91]
    controls = [number for number, kind in KINDS.items() if kind.command is Command.CONTROL]
    assert controls == [89, 90, 91]


def test_as_many_objects_as_the_standard_allows_fit_a_frame_and_one_more_is_refused() -> None:
    for number, kind in KINDS.items():
        item = Item(label=LABEL if kind.labelled else b"", description="" if kind.most > 3 else "长" * 127)
        most = encode_unit(number, *[item] * kind.most)
        assert len(most) <= MAX_DATA
        with pytest.raises(ValueError, match=str(kind.most)):
            encode_unit(number, *[item] * (kind.most + 1))


def test_the_tables_have_a_label_in_chinese_and_english_for_every_code() -> None:
    assert len(tables.SYSTEM_TYPES) == 17
    assert len(tables.PART_TYPES) == 66
    names = [code.name for code in tables.PART_TYPES.values()]
    assert len(set(names)) == len(names)
    for code in (*tables.SYSTEM_TYPES.values(), *tables.PART_TYPES.values()):
        assert any("\u4e00" <= sign <= "\u9fff" for sign in code.zh)
        assert code.en.isascii()
    assert tables.described(tables.PART_TYPES, 42).zh == "点型光电感烟火灾探测器"
    assert tables.described(tables.PART_TYPES, 200).en == "maker 200"
    assert tables.described(tables.PART_TYPES, 5).en == "reserved 5"
    assert [flag.en for flag in tables.said(tables.PART_STATUS, 0b11)] == ["in normal operation", "fire"]


@pytest.mark.parametrize(
    ("main", "setting", "known"), [(1, "auto", True), (0, "auto", True), (2, "auto", False), (2, "2011", True)]
)
def test_the_main_version_chooses_the_edition_unless_the_setting_does(main: int, setting: Any, known: bool) -> None:
    assert (edition_of((main, 9), setting) is gb26875_2011) == known


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


def feed_in_pieces(scanner: Scanner, octets: bytes, cuts: list[int]) -> list[Frame | Garbage[Frame]]:
    found: list[Frame | Garbage[Frame]] = []
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
def test_no_data_unit_crashes_the_decoder_and_what_it_gives_can_be_sent(data: bytes, unit_type: int) -> None:
    try:
        unit = decode_unit(bytes((unit_type,)) + data)
    except Malformed:
        return
    assert 0 < len(unit.items) <= data[0]
    assert unit.short == (len(unit.items) < data[0])
    if len(unit.items) <= KINDS[unit_type].most and all("\ufffd" not in item.description for item in unit.items):
        encode_unit(unit_type, *unit.items)


@st.composite
def units(draw: st.DrawFn) -> tuple[int, list[Item]]:
    number = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[number]
    texts = st.text(st.characters(codec="gb18030", exclude_characters="\0"), max_size=7).map(str.strip)
    byte = st.integers(0, 255)
    sizes = {"part": st.integers(0, 0xFFFFFFFF), "status2": st.integers(0, 0xFFFF), "value": st.integers(-32768, 32767)}
    names = {"status2": "status", "text": "description"}
    fields: dict[str, st.SearchStrategy[Any]] = {
        names.get(field, field): texts if field in ("text", "description") else sizes.get(field, byte)
        for field in kind.fields
        if field != "reserved"
    }
    if kind.labelled:
        fields["label"] = st.binary(min_size=6, max_size=6)
    return number, draw(
        st.lists(st.fixed_dictionaries(fields).map(lambda given: Item(**given)), min_size=1, max_size=min(kind.most, 8))
    )


@given(unit=units())
def test_every_type_of_both_directions_survives_the_wire(unit: tuple[int, list[Item]]) -> None:
    number, items = unit
    assert decode_unit(encode_unit(number, *items)) == (number, tuple(items), "", False)
