"""Fixed binary frames as a profile describes them: where a frame begins and ends, what its checksum is, and what stands in it. Pure."""

import struct
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from drivers.serial import framing
from drivers.serial.checks import CheckName, check_of, size_of
from hub.driver import Binding
from hub.model import Micros, Reject, Sample, Scalar

MAX_FRAME = 512
"""Bytes of one frame; a false start makes the scanner hold so many."""

Garbage = framing.Garbage[bytes]


def octets_of(text: str) -> bytes:
    """The bytes of `a5 5a` or `a55a`; raises ValueError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r}: bytes are written in hexadecimal, two digits each") from None


def _hexadecimal(text: str) -> str:
    octets_of(text)
    return text


Hex = Annotated[str, Field(min_length=2, max_length=1024), AfterValidator(_hexadecimal)]
ShortHex = Annotated[str, Field(min_length=2, max_length=48), AfterValidator(_hexadecimal)]
Offset = Annotated[int, Field(ge=0, lt=MAX_FRAME)]
Order = Literal["big", "little"]
Number = Literal["u8", "i8", "u16", "i16", "u32", "i32", "f32", "u64", "i64", "f64"]
_CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q"} | {
    "f32": "f",
    "f64": "d",
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Length(_Model):
    """Where the frame says how long it is: the number there and `plus` are the bytes of the whole frame."""

    at: Offset
    type: Literal["u8", "u16"] = "u8"
    order: Order = "big"
    plus: int = Field(default=0, ge=-MAX_FRAME, le=MAX_FRAME)


class Check(_Model):
    """The checksum. It stands `before_end` bytes before the frame's end and covers the bytes from `since` to itself."""

    kind: CheckName
    since: Offset = 0
    before_end: int = Field(default=0, ge=0, le=16)
    """bytes that follow the checksum"""
    order: Order = "big"


class Unit(_Model):
    """Which bytes of a frame name the device that speaks: its number in decimal, or its text."""

    at: Offset
    type: Literal["u8", "u16", "u32", "text"] = "u8"
    order: Order = "big"
    size: int = Field(default=1, ge=1, le=40)
    """bytes of a text"""


class FrameShape(_Model):
    """What the frames of a device look like; equal for all devices of an endpoint."""

    start: ShortHex
    end: ShortHex | None = None
    size: int | None = Field(default=None, ge=2, le=MAX_FRAME)
    """bytes of the whole frame, where it is fixed"""
    length: Length | None = None
    check: Check | None = None
    unit: Unit | None = None
    """without it, every frame is every device's"""
    acknowledge: ShortHex | None = None
    """sent when a frame's content is safe"""

    @model_validator(mode="after")
    def _one_length(self) -> "FrameShape":
        if (self.size is None) == (self.length is None):
            raise ValueError("exactly one of size and length is given")
        if self.size is not None and self.size < self.least:
            raise ValueError(f"size: start, length, checksum and end alone have {self.least} bytes")
        if self.check is None and self.end is None and len(octets_of(self.start)) < 2:
            raise ValueError("start: one byte without an end or a checksum is found anywhere in noise")
        return self

    @property
    def least(self) -> int:
        """Bytes that no frame can do without."""
        fixed = len(octets_of(self.start))
        if self.length is not None:
            fixed = max(fixed, self.length.at + (2 if self.length.type == "u16" else 1))
        if self.check is not None:
            fixed = max(fixed, self.check.since) + size_of(self.check.kind) + self.check.before_end
        if self.end is not None:
            fixed = max(fixed, len(octets_of(self.start)) + len(octets_of(self.end)))
        return fixed


class Value(_Model):
    """Where a point stands in a frame. `when` names bytes that a frame must have to be meant: offset and bytes in hexadecimal."""

    at: int = Field(ge=-MAX_FRAME, lt=MAX_FRAME)
    """from the frame's first byte, or below 0 from its end"""
    type: Number | Literal["text", "bcd"] = "u8"
    order: Order = "big"
    size: int = Field(default=1, ge=1, le=64)
    """bytes of text and bcd"""
    bit: int | None = Field(default=None, ge=0, le=63)
    """one bit of an unsigned number, 0 the lowest: true or false"""
    mask: int | None = Field(default=None, ge=1, lt=1 << 64)
    """bits of an unsigned number that are the value, shifted down"""
    when: dict[Offset, ShortHex] = Field(default_factory=dict, max_length=8)
    encoding: Literal["ascii", "utf-8", "gb18030"] = "ascii"

    @model_validator(mode="after")
    def _bits_of_whole_numbers(self) -> "Value":
        if (self.bit is not None or self.mask is not None) and not self.type.startswith("u"):
            raise ValueError("bit and mask: only of an unsigned number")
        if self.bit is not None and self.mask is not None:
            raise ValueError("bit and mask: only one of them")
        if self.bit is not None and self.bit >= 8 * self.width:
            raise ValueError(f"bit: {self.type} has bits 0 to {8 * self.width - 1}")
        if "size" in self.model_fields_set and self.type not in ("text", "bcd"):
            raise ValueError(f"size: {self.type} has its own")
        return self

    @property
    def width(self) -> int:
        """Its bytes."""
        return self.size if self.type in ("text", "bcd") else struct.calcsize(_CODES[self.type])


class Missing(Exception):
    """The frame has no such bytes, or they are no such value; the text says which."""


def read_value(value: Value, frame: bytes) -> Scalar:
    """The value in a frame; raises Missing."""
    at = value.at if value.at >= 0 else len(frame) + value.at
    octets = frame[at : at + value.width] if at >= 0 else b""
    if len(octets) < value.width:
        raise Missing(f"the frame has {len(frame)} bytes and none at {value.at}")
    if value.type == "text":
        try:
            return octets.split(b"\0", 1)[0].decode(value.encoding).strip()
        except UnicodeDecodeError:
            raise Missing(f"{octets.hex()} is not {value.encoding}") from None
    if value.type == "bcd":
        digits = octets.hex() if value.order == "big" else octets[::-1].hex()
        if not digits.isdecimal():
            raise Missing(f"{octets.hex()} is no BCD")
        return int(digits)
    number: int | float = struct.unpack(("<" if value.order == "little" else ">") + _CODES[value.type], octets)[0]
    if isinstance(number, float):
        if number != number or number in (float("inf"), float("-inf")):
            raise Missing(f"{octets.hex()} is not finite")
        return number
    if value.bit is not None:
        return bool(number >> value.bit & 1)
    if value.mask is not None:
        return (number & value.mask) >> (value.mask & -value.mask).bit_length() - 1
    return number


class Finder:
    """What `framing.Scanner` looks for, from a profile's description."""

    def __init__(self, shape: FrameShape) -> None:
        self.start = octets_of(shape.start)
        self._end = octets_of(shape.end) if shape.end is not None else b""
        self._shape = shape
        self._least = shape.least

    def at(self, buffer: bytes, at: int) -> framing.Whole[bytes] | Garbage | str | None:
        """What stands at a start."""
        if len(buffer) < at + self._least:
            return None
        size = self._size(buffer, at)
        if not self._least <= size <= MAX_FRAME:
            return "length"
        if len(buffer) < at + size:
            return None
        frame = buffer[at : at + size]
        if not frame.endswith(self._end):
            return "end"
        check = self._shape.check
        if check is not None:
            stands = size - check.before_end - size_of(check.kind)
            if stands < check.since:
                return "length"
            given = int.from_bytes(frame[stands : stands + size_of(check.kind)], check.order)
            right = check_of(check.kind, frame[check.since : stands])
            if given != right:
                digits = 2 * size_of(check.kind)
                return framing.Garbage(
                    frame, "checksum", f"checksum is 0x{given:0{digits}x}, should be 0x{right:0{digits}x}", frame
                )
        return framing.Whole(frame, at + size)

    def _size(self, buffer: bytes, at: int) -> int:
        length = self._shape.length
        if length is None:
            assert self._shape.size is not None
            return self._shape.size
        where = at + length.at
        width = 2 if length.type == "u16" else 1
        return int.from_bytes(buffer[where : where + width], length.order) + length.plus


class Frames(NamedTuple):
    """What the frames of an endpoint mean."""

    bindings: Sequence[Binding]
    shape: FrameShape
    source: str

    def read(self, found: bytes | Garbage, at: Micros) -> tuple[list[Sample], list[Reject]]:
        """Samples of every point that the frame has, or one reject."""
        if isinstance(found, framing.Garbage):
            return [], [Reject(at, self.source, found.code, found.reason, found.octets[:4096])]
        speaker = self._speaker(found)
        bindings = [one for one in self.bindings if speaker is None or one.device.address in (None, speaker)]
        if not bindings:
            return [], [Reject(at, self.source, "device", f"no device has the address {speaker!r}", found)]
        samples: list[Sample] = []
        refused: list[str] = []
        known = False
        for binding in bindings:
            value: Value = binding.address.octets
            if any(not found[where:].startswith(octets_of(wanted)) for where, wanted in value.when.items()):
                continue
            known = True
            try:
                samples.append(Sample(binding.series, at, _mapped(binding, read_value(value, found))))
            except Missing as error:
                samples.append(Sample(binding.series, at, None, str(error)))
                refused.append(f"{binding.series.point}: {error}")
        if refused:
            return samples, [Reject(at, self.source, "value", "; ".join(refused)[:400], found)]
        if not known:
            return [], [Reject(at, self.source, "frame", "no point knows this frame", found)]
        return samples, []

    def _speaker(self, frame: bytes) -> str | None:
        unit = self.shape.unit
        if unit is None:
            return None
        value = Value(
            at=unit.at, type=unit.type, order=unit.order, **({"size": unit.size} if unit.type == "text" else {})
        )
        try:
            return str(read_value(value, frame))
        except Missing as error:
            return str(error)


def _mapped(binding: Binding, raw: Scalar) -> Scalar:
    mapping: dict[str, Scalar] | None = binding.address.map
    if mapping is None:
        return raw
    word = str(raw).lower() if isinstance(raw, bool) else str(raw)
    if word not in mapping:
        raise Missing(f"{word!r} is not in the point's map")
    return mapping[word]
