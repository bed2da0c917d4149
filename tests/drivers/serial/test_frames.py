"""Binary frames by a profile's description: fed with nonsense, and with frames that others published.

`MEOKON` are two frames of a vendor's public protocol (智能无线终端通讯协议 V3.0, in the documents of the public project
ActorLancer/GB-T-26875.3.2011-rs): facts about the wire.
"""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.serial.checks import check_of, size_of
from drivers.serial.ears import FrameEar
from drivers.serial.frames import Finder, Frames, FrameShape, Value, octets_of, read_value
from drivers.serial.framing import Garbage, Scanner
from drivers.serial.settings import Address, Device, Endpoint, Query, frame_shape
from hub.driver import Binding
from hub.model import Series

MEOKON = [
    bytes.fromhex("A55A00002953485250323530393031323034D0000000010100000009C4025D68FFB887025D843E55AA"),
    bytes.fromhex(
        "a55a00003b53484d4b313930363030313334c8003c000a01020064"
        "01f4021a5d1966b60219021a021602180218021302 1e021c021d021d7e0355aa".replace(" ", "")
    ),
]
SHAPE = FrameShape.model_validate(
    {
        "start": "a55a",
        "end": "55aa",
        "length": {"at": 3, "type": "u16"},
        "check": {"kind": "crc-16-modbus", "before_end": 2},
        "unit": {"at": 5, "type": "text", "size": 12},
    }
)
AT = 1_795_296_000_000_000


def bind(point: str, address: str | None = None, **octets: Any) -> Binding:
    return Binding(Series("d", point), Device(address=address), Address.model_validate({"octets": octets}), "float")


def test_published_frames_are_found_with_their_checksum_and_read() -> None:
    bindings = [
        bind("pressure", at=29, type="i16", when={23: "01"}),
        bind("signal", at=18, type="i8"),
        bind("high", at=24, bit=1),
        bind("battery", at=17, mask=0x1F),
        bind("records", at=21, type="u16"),
    ]
    frames = Frames(bindings, SHAPE, "port")
    seen = []
    for octets in MEOKON:
        ((samples, rejects, _, _, _),) = FrameEar(frames).feed(b"\xa5\x5a" + octets, AT)
        assert [one.code for one in rejects] == ["frame"]
        seen.append({one.series.point: one.raw for one in samples})
    assert seen == [
        {"pressure": 605, "signal": -48, "high": False, "battery": 20, "records": 1},
        {"pressure": 538, "signal": -56, "high": True, "battery": 20, "records": 10},
    ]


def test_a_frame_names_its_device_and_a_stranger_is_kept() -> None:
    frames = Frames([bind("signal", "SHRP25090120", at=18, type="i8")], SHAPE, "port")
    samples, rejects = frames.read(MEOKON[0], AT)
    assert ([one.raw for one in samples], rejects) == ([-48], [])
    samples, rejects = frames.read(MEOKON[1], AT)
    assert samples == []
    assert "SHMK19060013" in rejects[0].reason


def test_a_wrong_checksum_is_said_with_both_values() -> None:
    broken = MEOKON[0][:-4] + b"\x00\x00" + MEOKON[0][-2:]
    (found,) = Scanner(Finder(SHAPE)).feed(broken)
    assert isinstance(found, Garbage)
    assert found.reason == "checksum is 0x0000, should be 0x843e"


@pytest.mark.parametrize(
    ("octets", "value", "expected"),
    [
        ("00ff", {"at": 1}, 255),
        ("00ff", {"at": 1, "type": "i8"}, -1),
        ("0102", {"at": 0, "type": "u16", "order": "little"}, 0x0201),
        ("fffffffe", {"at": 0, "type": "i32"}, -2),
        ("3f800000", {"at": 0, "type": "f32"}, 1.0),
        ("000000000000f03f", {"at": 0, "type": "f64", "order": "little"}, 1.0),
        ("8000", {"at": 0, "type": "u16", "bit": 15}, True),
        ("00f0", {"at": 1, "mask": 0x30}, 3),
        ("2512", {"at": 0, "type": "bcd", "size": 2}, 2512),
        ("2512", {"at": 0, "type": "bcd", "size": 2, "order": "little"}, 1225),
        ("41420000", {"at": 0, "type": "text", "size": 4}, "AB"),
        ("0107", {"at": -1}, 7),
    ],
)
def test_values_of_every_type(octets: str, value: dict[str, Any], expected: object) -> None:
    found = read_value(Value.model_validate(value), bytes.fromhex(octets))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"at": 3}, "none at 3"),
        ({"at": -3}, "none at -3"),
        ({"at": 0, "type": "bcd", "size": 2}, "no BCD"),
        ({"at": 0, "type": "text", "size": 2}, "not ascii"),
    ],
)
def test_a_value_that_is_not_there_is_an_error_of_its_point_and_its_neighbour_is_read(
    value: dict[str, Any], reason: str
) -> None:
    shape = FrameShape(start="fafb", size=2)
    frames = Frames([bind("bad", **value), bind("good", at=0)], shape, "port")
    samples, rejects = frames.read(b"\xfa\xfb", AT)
    assert {one.series.point: one.raw for one in samples} == {"bad": None, "good": 0xFA}
    assert reason in (samples[0].error or "")
    assert rejects[0].code == "value"


def test_a_frame_that_no_point_means_is_kept() -> None:
    frames = Frames([bind("one", at=1, when={0: "01"})], FrameShape(start="fafb", size=2), "port")
    assert frames.read(b"\xfa\xfb", AT)[1][0].reason == "no point knows this frame"


@pytest.mark.parametrize(
    ("model", "document", "named"),
    [
        (FrameShape, {"start": "a5", "size": 8}, "start"),
        (FrameShape, {"start": "a55a"}, "size and length"),
        (FrameShape, {"start": "a55a", "size": 3, "check": {"kind": "crc-16-modbus"}}, "size"),
        (FrameShape, {"start": "xx", "size": 8}, "hexadecimal"),
        (FrameShape, {"start": "a55a", "size": 8, "crc": 1}, "crc"),
        (FrameShape, {"start": "a55a", "size": 8, "check": {"kind": "crc-17"}}, "check.kind"),
        (Value, {"at": 0, "type": "i16", "bit": 3}, "unsigned"),
        (Value, {"at": 0, "bit": 8}, "bits 0 to 7"),
        (Value, {"at": 0, "type": "u16", "size": 2}, "size"),
        (Value, {"at": 0, "when": {"0": "zz"}}, "hexadecimal"),
        (Endpoint, {"port": "/dev/x", "protocol": "gb26875", "queries": [{"send": "01"}]}, "queries"),
        (Endpoint, {"port": "/dev/x", "protocol": "frames", "terminator": "x"}, "terminator"),
        (Address, {"octets": {"at": 0}, "bit": "fire"}, "bit"),
    ],
)
def test_settings_that_do_not_hold_are_refused_and_named(model: Any, document: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document)
    assert named in str(caught.value)


def test_a_question_carries_its_checksum() -> None:
    assert Query(send="010300000001", check="crc-16-modbus").octets.hex() == "010300000001840a"
    assert Query(send="01 03").octets == b"\x01\x03"


def test_devices_that_disagree_about_their_frames_are_refused_and_the_endpoint_decides() -> None:
    one, other = FrameShape(start="fafb", size=4), FrameShape(start="fafb", size=5)
    line = Endpoint(port="/dev/x", protocol="frames")
    with pytest.raises(ValueError, match="disagree"):
        frame_shape(line, [Device(frame=one), Device(frame=other)])
    with pytest.raises(ValueError, match="nobody says"):
        frame_shape(line, [Device()])
    assert frame_shape(line, [Device(frame=one), Device(), Device(frame=one)]) == one
    assert frame_shape(line.model_copy(update={"frame": other}), [Device(frame=one)]) == other


SHAPES = [
    SHAPE,
    FrameShape.model_validate({"start": "02", "end": "03", "size": 6}),
    FrameShape.model_validate({"start": "aa", "size": 7, "check": {"kind": "sum8", "since": 1}}),
    FrameShape.model_validate(
        {"start": "7e", "length": {"at": 1, "plus": 4}, "check": {"kind": "xor8", "before_end": 1}, "end": "7e"}
    ),
    FrameShape.model_validate(
        {"start": "fffe", "length": {"at": 2, "plus": 5}, "check": {"kind": "crc-16-kermit", "order": "little"}}
    ),
]


def build(shape: FrameShape, body: bytes) -> bytes:
    """A good frame of any of the shapes."""
    start, end = octets_of(shape.start), octets_of(shape.end) if shape.end else b""
    check = 0 if shape.check is None else size_of(shape.check.kind)
    if shape.size is not None:
        size = shape.size
        head = start
    else:
        assert shape.length is not None
        width = 2 if shape.length.type == "u16" else 1
        before = shape.length.at + width
        size = before + len(body) + check + len(end)
        head = start.ljust(shape.length.at, b"\0") + (size - shape.length.plus).to_bytes(width, shape.length.order)
    frame = head + body[: size - len(head) - check - len(end)].ljust(size - len(head) - check - len(end), b"\0")
    if shape.check is not None:
        frame += check_of(shape.check.kind, frame[shape.check.since :]).to_bytes(check, shape.check.order)
    return frame + end


@given(
    shape=st.sampled_from(SHAPES),
    noise=st.binary(max_size=60)
    | st.lists(st.sampled_from([b"\xa5\x5a", b"\x7e", b"\x02", b"\xff\xfe"])).map(b"".join),
    bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 400), max_size=5),
)
@example(shape=SHAPES[2], noise=b"\xaa\xaa\xaa", bodies=[b"\xaa\xaa"], cuts=[])
def test_any_noise_cut_anywhere_never_loses_the_next_good_frames(
    shape: FrameShape, noise: bytes, bodies: list[bytes], cuts: list[int]
) -> None:
    """What is a good frame by chance inside the noise or over its edge is one; a frame that none of those swallows must be found."""
    frames = [build(shape, body) for body in bodies]
    octets = noise + b"".join(frames)
    scanner: Scanner[bytes] = Scanner(Finder(shape))
    found: list[bytes | Garbage[bytes]] = []
    edges = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        found += scanner.feed(octets[start:end])
    found += scanner.end()
    assert b"".join(one if isinstance(one, bytes) else one.octets for one in found) == octets
    finder = Finder(shape)
    at = 0
    for one in found:
        if isinstance(one, bytes):
            assert finder.at(one, 0) == (one, len(one))
            at += 1
    if shape in (SHAPE, SHAPES[4]):  # with 16 bits of checksum a frame by chance does not happen in these tests
        assert [one for one in found if isinstance(one, bytes)][-len(frames) :] == frames


@given(pieces=st.lists(st.binary(max_size=100)), shape=st.sampled_from(SHAPES))
def test_no_bytes_crash_the_ear_and_its_memory_is_bounded(pieces: list[bytes], shape: FrameShape) -> None:
    ear = FrameEar(Frames([bind("one", at=3), bind("two", at=-2, type="u16")], shape, "port"))
    for piece in pieces:
        list(ear.feed(piece, AT))
        assert len(ear._scanner._buffer) <= 512 + 100
        list(ear.idle(AT))
    list(ear.end(AT))
    assert not ear.pending
