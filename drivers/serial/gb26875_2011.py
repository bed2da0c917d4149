"""GB/T 26875.3-2011: frames between a user information transmitter and a centre. Pure: bytes in, values out, no clock.

A frame (6.6): `@@`, serial 2, version 2, send label 6, source 6, target 6, length 2, command 1, data, checksum 1, `##`. Serial, addresses and
length are little-endian; the checksum is the sum of serial to data modulo 256; data has at most 1024 bytes. Labels (8.2.2) are second,
minute, hour, day, month, year - 2000, without a zone: Beijing time. Texts are GB 18030.
Which module reads a frame is said in `gb26875`: the successors of this edition get modules of their own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any, NamedTuple

from drivers.serial import framing
from drivers.serial import gb26875_2011_tables as tables
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


Garbage = framing.Garbage[Frame]


class Malformed(ValueError):
    """A data unit of which nothing can be read."""


def _bits(flags: Sequence[tables.Flag]) -> Mapping[str, int]:
    return {flag.name: bit for bit, flag in enumerate(flags)}


SYSTEM_BITS = _bits(tables.SYSTEM_STATUS)
PART_BITS = _bits(tables.PART_STATUS)
TRANSMITTER_BITS = _bits(tables.TRANSMITTER_STATUS)
SYSTEM_OPERATION_BITS = _bits(tables.SYSTEM_OPERATION)
TRANSMITTER_OPERATION_BITS = _bits(tables.TRANSMITTER_OPERATION)


class Kind(NamedTuple):
    """One type of data unit: the fields of its objects in order, whether each is followed by a label, and how many fit a frame."""

    name: str
    fields: tuple[str, ...]
    labelled: bool
    most: int
    bits: Mapping[str, int] = {}
    command: Command = Command.SEND


_SYSTEM = ("system_type", "system")
_PART = (*_SYSTEM, "part_type", "part")
_ASKED = (*_SYSTEM, "part")

KINDS: Mapping[int, Kind] = {
    1: Kind("system", (*_SYSTEM, "status2"), True, 102, SYSTEM_BITS),
    2: Kind("part", (*_PART, "status2", "description"), True, 22, PART_BITS),
    3: Kind("analog", (*_PART, "quantity", "value"), True, 63),
    4: Kind("system_operation", (*_SYSTEM, "status", "operator"), True, 102, SYSTEM_OPERATION_BITS),
    5: Kind("system_version", (*_SYSTEM, "major", "minor"), False, 1),
    6: Kind("system_config", (*_SYSTEM, "text"), False, 3),
    7: Kind("part_config", (*_PART, "description"), False, 26),
    8: Kind("system_clock", _SYSTEM, True, 1),
    21: Kind("transmitter", ("status",), True, 1, TRANSMITTER_BITS),
    24: Kind("transmitter_operation", ("status", "operator"), True, 127, TRANSMITTER_OPERATION_BITS),
    25: Kind("transmitter_version", ("major", "minor"), False, 1),
    26: Kind("transmitter_config", ("text",), False, 1),
    28: Kind("transmitter_clock", (), True, 1),
    61: Kind("read_system", _SYSTEM, False, 102, command=Command.REQUEST),
    62: Kind("read_part", _ASKED, False, 22, command=Command.REQUEST),
    63: Kind("read_analog", _ASKED, False, 63, command=Command.REQUEST),
    64: Kind("read_system_operation", (*_SYSTEM, "records"), True, 1, command=Command.REQUEST),
    65: Kind("read_system_version", _SYSTEM, False, 1, command=Command.REQUEST),
    66: Kind("read_system_config", _SYSTEM, False, 3, command=Command.REQUEST),
    67: Kind("read_part_config", _ASKED, False, 26, command=Command.REQUEST),
    68: Kind("read_system_clock", _SYSTEM, False, 1, command=Command.REQUEST),
    81: Kind("read_transmitter", ("reserved",), False, 1, command=Command.REQUEST),
    84: Kind("read_transmitter_operation", ("records",), True, 1, command=Command.REQUEST),
    85: Kind("read_transmitter_version", ("reserved",), False, 1, command=Command.REQUEST),
    86: Kind("read_transmitter_config", ("reserved",), False, 1, command=Command.REQUEST),
    88: Kind("read_transmitter_clock", ("reserved",), False, 1, command=Command.REQUEST),
    89: Kind("initialise", ("reserved",), False, 1, command=Command.CONTROL),
    90: Kind("set_clock", (), True, 1, command=Command.CONTROL),
    91: Kind("duty_check", ("minutes",), False, 1, command=Command.CONTROL),
}
"""Table 3 with the layouts of 8.3: 1 to 28 go up, 61 to 91 go down. Types 9 to 20, 22, 23, 27, 29 to 60, 69 to 80, 82, 83, 87 and 92 to 127
are reserved, 128 to 254 a maker's own."""

TYPES: Mapping[str, int] = {kind.name: number for number, kind in KINDS.items()}
UP: Mapping[str, Kind] = {kind.name: kind for kind in KINDS.values() if kind.command is Command.SEND}

_SIZES = {"part": 4, "status2": 2, "description": 31, "value": 2}
"""Bytes of the fields that have more than one; `text` has a length byte before it."""


class Item(NamedTuple):
    """One information object. Fields that its type does not have are 0 or empty; `label` is empty where there is none."""

    status: int = 0
    label: bytes = b""
    system_type: int = 0
    system: int = 0
    part_type: int = 0
    part: int = 0
    operator: int = 0
    description: str = ""
    quantity: int = 0
    """a code of table 6"""
    value: int = 0
    """in the quantity's least step"""
    major: int = 0
    minor: int = 0
    records: int = 0
    """asked for, from `label` on"""
    minutes: int = 0
    """that the person on duty has to answer"""


class Unit(NamedTuple):
    """A data unit: its type and its objects, none for a type that the standard does not have.

    `fault` says what does not hold although whole objects could be read; `short` is true where objects are missing.
    """

    type: int
    items: tuple[Item, ...]
    fault: str = ""
    short: bool = False


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
    if len(label) != 6:
        return None
    second, minute, hour, day, month, year = label
    try:
        return to_micros(datetime(2000 + year, month, day, hour, minute, second, tzinfo=BEIJING).astimezone(UTC))
    except ValueError:
        return None


def _text(octets: bytes) -> str:
    """GB 18030 up to the first NUL; what is no character becomes U+FFFD (a field of 31 bytes may cut one in two)."""
    return octets.split(b"\0", 1)[0].decode("gb18030", "replace").strip()


def decode_unit(data: bytes) -> Unit:
    """The objects of a data unit; raises Malformed where not even one is whole. A type that is not in `KINDS` gives no objects.

    Objects that are whole are given although the count or the length is wrong: a fire must not be lost to a byte behind it.
    """
    if len(data) < 2:
        raise Malformed(f"a data unit of {len(data)} bytes has no type and count")
    unit_type, count = data[0], data[1]
    kind = KINDS.get(unit_type)
    if kind is None:
        return Unit(unit_type, ())
    items: list[Item] = []
    at = 2
    while len(items) < count:
        end = _end_of_item(kind, data, at)
        if end is None:
            break
        items.append(_item(kind, data[at:end]))
        at = end
    if not items:
        raise Malformed(f"type {unit_type} with {count} objects: not one of them is whole in {len(data)} bytes")
    if len(items) < count:
        return Unit(
            unit_type, tuple(items), f"type {unit_type}: {count} objects are named, {len(items)} are there", True
        )
    if at < len(data):
        return Unit(unit_type, tuple(items), f"type {unit_type}: {len(data) - at} bytes stand behind {count} objects")
    return Unit(unit_type, tuple(items))


def encode_unit(unit_type: int, *items: Item) -> bytes:
    """The data unit; texts are cut to their field between characters. Raises ValueError when something does not fit."""
    kind = KINDS.get(unit_type)
    if kind is None:
        raise ValueError(f"type {unit_type}: the standard has none")
    if not 0 < len(items) <= kind.most:
        raise ValueError(f"type {unit_type}: {len(items)} objects, 1 to {kind.most} go into a frame")
    return bytes((unit_type, len(items))) + b"".join(_octets(kind, item) for item in items)


def _end_of_item(kind: Kind, data: bytes, at: int) -> int | None:
    for field in kind.fields:
        if field == "text":
            if at >= len(data):
                return None
            at += data[at]
        at += _SIZES.get(field, 1)
    at += 6 if kind.labelled else 0
    return at if at <= len(data) else None


def _item(kind: Kind, body: bytes) -> Item:
    values: dict[str, Any] = {}
    at = 0
    for field in kind.fields:
        if field == "text":
            at += 1
        size = body[at - 1] if field == "text" else _SIZES.get(field, 1)
        raw = body[at : at + size]
        at += size
        if field in ("text", "description"):
            values["description"] = _text(raw)
        elif field == "value":
            values[field] = int.from_bytes(raw, "little", signed=True)
        elif field != "reserved":
            values["status" if field == "status2" else field] = int.from_bytes(raw, "little")
    if kind.labelled:
        values["label"] = body[at : at + 6]
    return Item(**values)


def _octets(kind: Kind, item: Item) -> bytes:
    octets = b""
    for field in kind.fields:
        size = _SIZES.get(field, 1)
        try:
            if field == "description":
                octets += _cut(item.description, size).ljust(size, b"\0")
            elif field == "text":
                text = _cut(item.description, 255)
                octets += bytes((len(text),)) + text
            elif field == "reserved":
                octets += b"\0"
            else:
                number: int = getattr(item, "status" if field == "status2" else field)
                octets += number.to_bytes(size, "little", signed=field == "value")
        except OverflowError:
            raise ValueError(f"{field} does not fit {size} bytes") from None
    if kind.labelled:
        if len(item.label) != 6:
            raise ValueError("label: it has six bytes")
        octets += item.label
    return octets


def _cut(text: str, size: int) -> bytes:
    """At most `size` bytes of GB 18030, no character in two."""
    while len(octets := text.encode("gb18030")) > size:
        text = text[:-1]
    return octets


def part_unit(*items: Item) -> bytes:
    """A data unit of type 2, as a transmitter sends it."""
    return encode_unit(2, *items)


def system_unit(*items: Item) -> bytes:
    """A data unit of type 1."""
    return encode_unit(1, *items)


def operation_unit(status: int, label: bytes, system: int = 1, operator: int = 0) -> bytes:
    """A data unit of type 4, of the fire alarm system."""
    return encode_unit(4, Item(status, label, 1, system, operator=operator))


def transmitter_unit(status: int, label: bytes) -> bytes:
    """A data unit of type 21."""
    return encode_unit(21, Item(status, label))


class FrameShape:
    """What `framing.Scanner` looks for."""

    start = START

    def at(self, buffer: bytes, at: int) -> framing.Whole[Frame] | Garbage | str | None:
        """What stands at a start."""
        return _frame_at(buffer, at)


class Scanner(framing.Scanner[Frame]):
    """Finds frames in a stream of bytes."""

    def __init__(self) -> None:
        super().__init__(FrameShape())


def _frame_at(buffer: bytes, at: int) -> framing.Whole[Frame] | Garbage | str | None:
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
        return framing.Garbage(buffer[at:end], "checksum", f"checksum is 0x{given:02x}, should be 0x{right:02x}", frame)
    return framing.Whole(frame, end)
