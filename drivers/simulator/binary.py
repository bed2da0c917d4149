"""Binary frames that say given values: what `drivers.serial.frames` reads, turned round and read back. Pure."""

import struct
from collections.abc import Sequence

from drivers.serial.checks import check_of, size_of
from drivers.serial.frames import MAX_FRAME, Frames, FrameShape, Unit, Value, octets_of
from drivers.serial.settings import Address
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import Scalar

_CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q"} | {
    "f32": "f",
    "f64": "d",
}
Kind = tuple[tuple[int, str], ...]


def kind_of(binding: Binding) -> Kind:
    """The bytes that a frame must have to mean this point."""
    return tuple(sorted(binding.address.octets.when.items()))


def frame_of(shape: FrameShape, address: str, values: Sequence[tuple[Binding, Scalar]]) -> bytes:
    """One frame of the device with this address that is read as these values; all of one kind. Raises BadInput that names a point."""
    frame = bytearray(_size(shape, values))
    ends = octets_of(shape.end) if shape.end is not None else b""
    _put(frame, 0, octets_of(shape.start))
    _put(frame, len(frame) - len(ends), ends)
    for binding, raw in values:
        for where, wanted in binding.address.octets.when.items():
            _put(frame, where, octets_of(wanted))
        try:
            _set(frame, binding.address.octets, _raw(binding.address, raw))
        except (struct.error, ValueError, OverflowError, TypeError) as error:
            raise BadInput(f"{raw!r} cannot be said: {error}", binding.series.point, code="unplayable") from None
    if shape.unit is not None:
        width = _width(shape.unit)
        text = shape.unit.type == "text"
        octets = address.encode().ljust(width, b"\0") if text else int(address).to_bytes(width, shape.unit.order)
        _put(frame, shape.unit.at, octets)
    if shape.length is not None:
        width = 2 if shape.length.type == "u16" else 1
        _put(frame, shape.length.at, (len(frame) - shape.length.plus).to_bytes(width, shape.length.order))
    if shape.check is not None:
        width = size_of(shape.check.kind)
        stands = len(frame) - shape.check.before_end - width
        right = check_of(shape.check.kind, bytes(frame[shape.check.since : stands]))
        _put(frame, stands, right.to_bytes(width, shape.check.order))
    said = bytes(frame)
    came = {one.series: one.raw for one in Frames([one for one, _ in values], shape, "simulated").read(said, 0)[0]}
    for binding, raw in values:
        if came.get(binding.series) != raw and not isinstance(raw, float):
            reason = f"{raw!r} would be read as {came.get(binding.series)!r}"
            raise BadInput(reason, binding.series.point, code="unplayable")
    return said


def _size(shape: FrameShape, values: Sequence[tuple[Binding, Scalar]]) -> int:
    if shape.size is not None:
        return shape.size
    size = shape.least
    behind = len(octets_of(shape.end)) if shape.end is not None else 0
    if shape.check is not None:
        behind = max(behind, shape.check.before_end + size_of(shape.check.kind))
    if shape.unit is not None:
        size = max(size, shape.unit.at + _width(shape.unit) + behind)
    for binding, _ in values:
        value: Value = binding.address.octets
        reach = value.at + value.width if value.at >= 0 else 0
        reach = max([reach, *(where + len(octets_of(wanted)) for where, wanted in value.when.items())])
        size = max(size, reach + behind)
    return min(size, MAX_FRAME)


def _width(unit: Unit) -> int:
    return unit.size if unit.type == "text" else struct.calcsize(_CODES[unit.type])


def _put(frame: bytearray, at: int, octets: bytes) -> None:
    frame[at : at + len(octets)] = octets


def _raw(address: Address, raw: Scalar) -> Scalar:
    """What stands in the frame for it."""
    if address.map is None:
        return raw
    for word, value in address.map.items():
        if value == raw:
            return word == "true" if word in ("true", "false") else int(word) if word.lstrip("-").isdecimal() else word
    raise ValueError("the point's map has no word for it")


def _set(frame: bytearray, value: Value, raw: Scalar) -> None:
    at = value.at if value.at >= 0 else len(frame) + value.at
    if value.type == "text":
        octets = str(raw).encode(value.encoding).ljust(value.width, b"\0")
    elif value.type == "bcd":
        octets = bytes.fromhex(str(int(raw)).zfill(2 * value.width))
        octets = octets if value.order == "big" else octets[::-1]
    else:
        code = ("<" if value.order == "little" else ">") + _CODES[value.type]
        number: float | int = float(raw) if value.type in ("f32", "f64") else int(raw)
        if value.bit is not None or value.mask is not None:
            mask = value.mask if value.mask is not None else 1 << (value.bit or 0)
            held: int = struct.unpack(code, bytes(frame[at : at + value.width]))[0]
            shifted = int(raw) << (mask & -mask).bit_length() - 1
            if shifted & ~mask:
                raise ValueError(f"it has no room in the mask {mask:#x}")
            number = held & ~mask | shifted
        octets = struct.pack(code, number)
    if len(octets) > value.width or at < 0 or at + len(octets) > len(frame):
        raise ValueError(f"the frame of {len(frame)} bytes has no room for it at {value.at}")
    _put(frame, at, octets)
