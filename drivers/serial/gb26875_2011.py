"""GB/T 26875.3-2011: frames between a user information transmitter and a centre. Pure: bytes in, values out, no clock.

A frame (6.6): `@@`, serial 2, version 2, send label 6, source 6, target 6, length 2, command 1, data, checksum 1, `##`. Serial, addresses and
length are little-endian; the checksum is the sum of serial to data modulo 256; data has at most 1024 bytes. Labels (8.2.2) are second,
minute, hour, day, month, year - 2000, without a zone: Beijing time. Texts are GB 18030.
The successor family takes effect in 2027 and gets a module of its own.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import NamedTuple

from hub.model import Micros, to_micros

START, END = b"@@", b"##"
HEADER = 27
"""Bytes from `@@` to the command."""
TRAILER = 3
MAX_DATA = 1024
MAX_FRAME = HEADER + MAX_DATA + TRAILER

BEIJING = timezone(timedelta(hours=8))


class Command(IntEnum):
    """Table 2."""

    CONTROL = 1
    SEND = 2
    CONFIRM = 3
    REQUEST = 4
    ANSWER = 5
    DENY = 6


class Frame(NamedTuple):
    """One frame; addresses are numbers of 48 bits, `label` is six bytes as they came."""

    serial: int
    source: int
    target: int
    command: int
    data: bytes = b""
    label: bytes = bytes(6)
    version: tuple[int, int] = (1, 0)


class Garbage(NamedTuple):
    """Bytes that are no frame; `frame` is what they would be if their checksum were right."""

    octets: bytes
    code: str
    reason: str
    frame: Frame | None = None


class Malformed(ValueError):
    """A data unit that does not hold what its type and count say."""


SYSTEM_BITS: Mapping[str, int] = {
    "normal": 0,
    "fire": 1,
    "fault": 2,
    "shield": 3,
    "supervise": 4,
    "start": 5,
    "feedback": 6,
    "delay": 7,
    "mains_fault": 8,
    "standby_fault": 9,
    "bus_fault": 10,
    "manual": 11,
    "config_changed": 12,
    "reset": 13,
}
"""8.2.1.1: status of a fire protection system."""

PART_BITS: Mapping[str, int] = {**{name: bit for name, bit in SYSTEM_BITS.items() if bit < 8}, "power_fault": 8}
"""8.2.1.2: status of a part."""

TRANSMITTER_BITS: Mapping[str, int] = {
    "normal": 0,
    "fire": 1,
    "fault": 2,
    "mains_fault": 3,
    "standby_fault": 4,
    "channel_fault": 5,
    "line_fault": 6,
}
"""8.2.1.8: status of the transmitter itself."""

SYSTEM_OPERATION_BITS: Mapping[str, int] = {
    "reset": 0,
    "mute": 1,
    "manual_alarm": 2,
    "alarm_cleared": 3,
    "self_test": 4,
    "confirm": 5,
    "test": 6,
}
"""8.2.1.4: what a person did at the system."""

TRANSMITTER_OPERATION_BITS: Mapping[str, int] = {
    **{name: bit for name, bit in SYSTEM_OPERATION_BITS.items() if bit != 5},
    "duty_answer": 5,
}
"""8.2.1.9: what a person did at the transmitter; `duty_answer` answers a duty check (查岗)."""


class Kind(NamedTuple):
    """One type of data unit: its fields and their bytes, then a label each."""

    name: str
    size: int
    bits: Mapping[str, int]


KINDS: Mapping[int, Kind] = {
    1: Kind("system", 4, SYSTEM_BITS),
    2: Kind("part", 40, PART_BITS),
    4: Kind("system_operation", 4, SYSTEM_OPERATION_BITS),
    21: Kind("transmitter", 1, TRANSMITTER_BITS),
    24: Kind("transmitter_operation", 2, TRANSMITTER_OPERATION_BITS),
}
"""Table 3: the types that are read."""

UNREAD = frozenset({3, 5, 6, 7, 8, 25, 26, 28})
"""Types of the standard that hold nothing this hub stores: analogue values, versions, configurations, clocks."""


class Item(NamedTuple):
    """One information object. Fields that its type does not have are 0 or empty."""

    status: int
    label: bytes
    system_type: int = 0
    system: int = 0
    part_type: int = 0
    part: int = 0
    operator: int = 0
    description: str = ""


class Unit(NamedTuple):
    """A data unit: its type and its objects, none for a type that is not read."""

    type: int
    items: tuple[Item, ...]


def encode(frame: Frame) -> bytes:
    """The frame's bytes; raises ValueError when a field does not fit."""
    if len(frame.data) > MAX_DATA:
        raise ValueError(f"data: {len(frame.data)} bytes, at most {MAX_DATA} go into a frame")
    if len(frame.label) != 6:
        raise ValueError("label: it has six bytes")
    try:
        body = b"".join(
            (
                frame.serial.to_bytes(2, "little"),
                bytes(frame.version),
                frame.label,
                frame.source.to_bytes(6, "little"),
                frame.target.to_bytes(6, "little"),
                len(frame.data).to_bytes(2, "little"),
                frame.command.to_bytes(1, "little"),
                frame.data,
            )
        )
    except OverflowError:
        raise ValueError("serial, address or command does not fit its field") from None
    return START + body + bytes((sum(body) & 0xFF,)) + END


def reply(frame: Frame, command: Command, label: bytes) -> Frame:
    """Our answer to a frame: its serial, its addresses exchanged, no data."""
    return Frame(frame.serial, frame.target, frame.source, command, b"", label, frame.version)


def label_of(moment: datetime) -> bytes:
    """The label of an aware datetime."""
    local = moment.astimezone(BEIJING)
    return bytes((local.second, local.minute, local.hour, local.day, local.month, local.year % 100))


def label_at(label: bytes) -> Micros | None:
    """When a label says it was, None where it is no date."""
    second, minute, hour, day, month, year = label
    try:
        return to_micros(datetime(2000 + year, month, day, hour, minute, second, tzinfo=BEIJING).astimezone(UTC))
    except ValueError:
        return None


def _text(octets: bytes) -> str:
    """GB 18030 up to the first NUL; what is no character becomes U+FFFD (a field of 31 bytes may cut one in two)."""
    return octets.split(b"\0", 1)[0].decode("gb18030", "replace").strip()


def _item(unit_type: int, body: bytes, label: bytes) -> Item:
    match unit_type:
        case 1:
            return Item(int.from_bytes(body[2:4], "little"), label, body[0], body[1])
        case 2:
            part, status = int.from_bytes(body[3:7], "little"), int.from_bytes(body[7:9], "little")
            return Item(status, label, body[0], body[1], body[2], part, 0, _text(body[9:40]))
        case 4:
            return Item(body[2], label, body[0], body[1], operator=body[3])
        case 24:
            return Item(body[0], label, operator=body[1])
        case _:
            return Item(body[0], label)


def decode_unit(data: bytes) -> Unit:
    """The objects of a data unit; raises Malformed. A type that is not in `KINDS` gives no objects."""
    if len(data) < 2:
        raise Malformed(f"a data unit of {len(data)} bytes has no type and count")
    unit_type, count = data[0], data[1]
    kind = KINDS.get(unit_type)
    if kind is None:
        return Unit(unit_type, ())
    size = kind.size + 6
    if count == 0 or len(data) != 2 + count * size:
        raise Malformed(f"type {unit_type} with {count} objects has {2 + count * size} bytes, this one has {len(data)}")
    starts = range(2, len(data), size)
    return Unit(
        unit_type, tuple(_item(unit_type, data[n : n + size - 6], data[n + size - 6 : n + size]) for n in starts)
    )


def part_unit(*items: Item) -> bytes:
    """A data unit of type 2, as a transmitter sends it."""
    return bytes((2, len(items))) + b"".join(
        bytes((item.system_type, item.system, item.part_type))
        + item.part.to_bytes(4, "little")
        + item.status.to_bytes(2, "little")
        + item.description.encode("gb18030")[:31].ljust(31, b"\0")
        + item.label
        for item in items
    )


def system_unit(*items: Item) -> bytes:
    """A data unit of type 1."""
    return bytes((1, len(items))) + b"".join(
        bytes((item.system_type, item.system)) + item.status.to_bytes(2, "little") + item.label for item in items
    )


def operation_unit(status: int, label: bytes, system: int = 1, operator: int = 0) -> bytes:
    """A data unit of type 4, of the fire alarm system."""
    return bytes((4, 1, 1, system, status, operator)) + label


def transmitter_unit(status: int, label: bytes) -> bytes:
    """A data unit of type 21."""
    return bytes((21, 1, status)) + label


class Scanner:
    """Finds frames in a stream of bytes, whatever comes between them and however it is cut.

    `feed` waits for the rest of what may be a frame; `idle`, called when nothing has come for a while, gives up such a candidate as soon as
    a whole frame stands behind it. So a false start delays the next good frame by that while, and never loses it.
    The buffer holds at most one frame more than one feed.
    """

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def pending(self) -> bool:
        """True while there is something that may become a frame."""
        return len(self._buffer) > 0

    def feed(self, octets: bytes) -> list[Frame | Garbage]:
        """Whole frames and garbage, in order."""
        self._buffer += octets
        return list(self._scan())

    def idle(self) -> list[Frame | Garbage]:
        """Nothing more came for a while: look behind a start that leads nowhere."""
        found: list[Frame | Garbage] = []
        at = self._buffer.find(START, 1)
        while at >= 0:
            if isinstance(_frame_at(self._buffer, at), Frame):
                found.append(Garbage(self._buffer[:at], "frame", "a frame that was never finished"))
                self._buffer = self._buffer[at:]
                found.extend(self._scan())
                at = 0
            at = self._buffer.find(START, at + 1)
        return found

    def _scan(self) -> Iterator[Frame | Garbage]:
        buffer, at, clean = self._buffer, 0, 0  # clean: everything before it is already given out
        while True:
            start = buffer.find(START, at)
            if start < 0:
                at = len(buffer) - 1 if buffer.endswith(START[:1]) and len(buffer) > clean else len(buffer)
                break
            at = start
            found = _frame_at(buffer, at)
            if found is None:
                break
            if isinstance(found, str):
                at += 1
                continue
            if clean < at:
                yield Garbage(buffer[clean:at], "frame", "bytes that are no frame")
            if isinstance(found, Garbage):
                # Only the checksum is wrong. Or the start is a false one, and the frame that it seems to hold is another's.
                inner = _inner_start(buffer, at, len(found.octets))
                yield found if inner is None else Garbage(buffer[at:inner], "frame", "bytes that are no frame")
                clean = at = at + len(found.octets) if inner is None else inner
                continue
            end = at + HEADER + len(found.data) + TRAILER
            twin = _twin_start(buffer, at, end)
            if twin is not None:  # `@@@@` and a frame is a frame too: four times 64 are 0 modulo 256
                yield Garbage(buffer[at:twin], "frame", "bytes that are no frame")
                clean = at = twin
                continue
            yield found
            clean = at = end
        if clean < at:
            yield Garbage(buffer[clean:at], "frame", "bytes that are no frame")
        self._buffer = buffer[max(at, clean) :]


def _inner_start(buffer: bytes, at: int, size: int) -> int | None:
    """A start within a broken frame that may be a frame itself (whole, or not yet)."""
    start = buffer.find(START, at + 1, at + size)
    while start >= 0:
        if not isinstance(_frame_at(buffer, start), str):
            return start
        start = buffer.find(START, start + 1, at + size)
    return None


def _twin_start(buffer: bytes, at: int, end: int) -> int | None:
    """The start of another frame within a frame that has the same end, so that what stands before it is none of it."""
    start = buffer.find(START, at + 1, end)
    while start >= 0:
        found = _frame_at(buffer, start)
        if isinstance(found, Frame) and start + HEADER + len(found.data) + TRAILER == end:
            return start
        start = buffer.find(START, start + 1, end)
    return None


def _frame_at(buffer: bytes, at: int) -> Frame | Garbage | str | None:
    """What stands at a start: a frame, one with a wrong checksum, the reason why it is none, or None while it is too short to say."""
    if len(buffer) < at + HEADER:
        return None
    length = int.from_bytes(buffer[at + 24 : at + 26], "little")
    if length > MAX_DATA:
        return "length"
    end = at + HEADER + length + TRAILER
    if len(buffer) < end:
        return None
    if buffer[end - 2 : end] != END:
        return "end"
    body = buffer[at + 2 : end - 3]
    frame = Frame(
        serial=int.from_bytes(body[0:2], "little"),
        version=(body[2], body[3]),
        label=body[4:10],
        source=int.from_bytes(body[10:16], "little"),
        target=int.from_bytes(body[16:22], "little"),
        command=body[24],
        data=body[25:],
    )
    given, right = buffer[end - 3], sum(body) & 0xFF
    if given != right:
        return Garbage(buffer[at:end], "checksum", f"checksum is 0x{given:02x}, should be 0x{right:02x}", frame)
    return frame
