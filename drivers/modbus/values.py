"""Registers to values and back. Pure: any registers give a value or a reason, never an exception.

Source for word and byte order: the protocol fixes big-endian bytes in a register (Modbus Application Protocol V1.1b3, 4.2)
and nothing about values over several registers, so both are settings.
"""

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

from drivers.modbus.settings import ModbusAddress, ModbusDevice
from hub.errors import BadInput
from hub.model import Scalar

_FORMATS = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}


class Value(NamedTuple):
    """What a point's registers say, or why they say nothing."""

    raw: Scalar | None
    error: str | None = None


def decode(words: Sequence[int], address: ModbusAddress, device: ModbusDevice, kind: str) -> Value:
    """The value of `address.width` registers (0 to 65535 each) or of one bit (0, 1, True, False)."""
    if len(words) != address.width:
        return Value(None, f"{address.name}: {len(words)} registers instead of {address.width}")
    if address.read_as == "bool":
        bit = words[0] if address.bit is None else words[0] >> address.bit & 1
        return _as_kind(bool(bit), address, kind)
    content = _to_bytes(words, address, device)
    if address.read_as == "string":
        return _text(content, address)
    (number,) = struct.unpack(f">{_FORMATS[address.read_as]}", content)
    if isinstance(number, float) and not math.isfinite(number):
        return Value(None, f"{address.name}: {number} is not finite")
    return _as_kind(number, address, kind)


def _as_kind(raw: bool | int | float, address: ModbusAddress, kind: str) -> Value:
    if kind == "bool":
        return Value(bool(raw)) if raw in (0, 1) else Value(None, f"{address.name}: {raw} is neither 0 nor 1")
    return Value(int(raw) if isinstance(raw, bool) else raw)


def _text(content: bytes, address: ModbusAddress) -> Value:
    try:
        return Value(content.split(b"\0", 1)[0].decode(address.encoding).rstrip(" "))
    except UnicodeDecodeError as error:
        return Value(None, f"{address.name}: byte {error.start} of the string is not {address.encoding}")


def _to_bytes(words: Sequence[int], address: ModbusAddress, device: ModbusDevice) -> bytes:
    order = ">" if (address.byte_order or device.byte_order) == "big" else "<"
    return struct.pack(f"{order}{len(words)}H", *_turned(words, address, device))


def _turned(words: Sequence[int], address: ModbusAddress, device: ModbusDevice) -> Sequence[int]:
    """High word first. Strings run in address order whatever the word order."""
    little = (address.word_order or device.word_order) == "little"
    return words[::-1] if little and address.read_as != "string" else words


def encode(value: Scalar, address: ModbusAddress, device: ModbusDevice) -> list[int]:
    """The registers (or the one bit, 0 or 1) that say `value`; raises BadInput that names the register."""
    if address.read_as == "bool":
        if address.bit is not None:
            raise BadInput(
                "a single bit of a register is not written: its neighbours could change in between", address.name
            )
        if value not in (0, 1):
            raise BadInput("a coil is true or false", address.name)
        return [int(value)]
    content = _encode_text(value, address) if address.read_as == "string" else _encode_number(value, address)
    order = address.byte_order or device.byte_order
    words = [int.from_bytes(content[at : at + 2], order) for at in range(0, len(content), 2)]
    return list(_turned(words, address, device))


def _encode_text(value: Scalar, address: ModbusAddress) -> bytes:
    size = 2 * address.width
    if not isinstance(value, str) or "\0" in value:
        raise BadInput("the value is no text, or has a NUL in it", address.name)
    try:
        content = value.encode(address.encoding)
    except UnicodeEncodeError as error:
        raise BadInput(f"character {error.start} has no place in {address.encoding}", address.name) from None
    if len(content) > size:
        raise BadInput(f"{len(content)} bytes do not go into {size}", address.name)
    return content.ljust(size, b"\0")


def _encode_number(value: Scalar, address: ModbusAddress) -> bytes:
    code = _FORMATS[address.read_as]
    if isinstance(value, str):
        raise BadInput("the value is no number", address.name)
    try:
        if not math.isfinite(value) or (code not in "fd" and value != int(value)):
            raise BadInput(f"{value} is no number of type {address.read_as}", address.name)
        return struct.pack(f">{code}", value if code in "fd" else int(value))
    except (struct.error, OverflowError):
        raise BadInput(f"the value does not go into {address.read_as}", address.name) from None
