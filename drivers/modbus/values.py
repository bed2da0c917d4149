"""Registers to values and back. Pure: any registers give a value or a reason, never an exception.

Source for word and byte order: the protocol fixes big-endian bytes in a register (Modbus Application Protocol V1.1b3, 4.2)
and nothing about values over several registers, so both are settings.
"""

import math
import operator
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from drivers.modbus.settings import ModbusAddress, ModbusDevice
from hub.errors import BadInput
from hub.model import Scalar

_FORMATS = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}


class Value(NamedTuple):
    """What a point's registers say, or why they say nothing."""

    raw: Scalar | None
    error: str | None = None


class UnreadableError(ValueError):
    """The registers came and say nothing that travels; the text names the register."""


Reader = Callable[[Sequence[int], int], Scalar]
"""From the registers (or bits) of a whole answer and the place of the point's first one in it to its value; raises UnreadableError."""


def decode(words: Sequence[int], address: ModbusAddress, device: ModbusDevice, kind: str) -> Value:
    """The value of `address.width` registers (0 to 65535 each) or of one bit (0, 1, True, False)."""
    if len(words) != address.width:
        return Value(None, f"{address.name}: {len(words)} registers instead of {address.width}")
    try:
        return Value(reader(address, device, kind)(words, 0))
    except UnreadableError as error:
        return Value(None, str(error))


def reader(address: ModbusAddress, device: ModbusDevice, kind: str) -> Reader:
    """How this point is read, decided once: a block has a hundred points and comes every second."""
    if address.read_as == "bool":
        return _bit_reader(address, device, kind)
    if address.read_as == "string":
        order = ">" if (address.byte_order or device.byte_order) == "big" else "<"
        octets_of = struct.Struct(f"{order}{address.width}H").pack
        return lambda words, at: _text(octets_of(*words[at : at + address.width]), address)
    number = _number_reader(address, device)
    return number if kind != "bool" else lambda words, at: _truth(number(words, at), address)


def _number_reader(address: ModbusAddress, device: ModbusDevice) -> Reader:
    plain = address.read_as == "u16" and (address.byte_order or device.byte_order) == "big"
    if plain and address.bits is None:
        return operator.getitem
    width, number_of = address.width, struct.Struct(f">{_FORMATS[address.read_as]}").unpack
    order = ">" if (address.byte_order or device.byte_order) == "big" else "<"
    octets_of = struct.Struct(f"{order}{width}H").pack
    little = (address.word_order or device.word_order) == "little"

    def read(words: Sequence[int], at: int) -> Scalar:
        mine = words[at : at + width]
        (number,) = number_of(octets_of(*(mine[::-1] if little else mine)))
        if isinstance(number, float) and not math.isfinite(number):
            raise UnreadableError(f"{address.name}: {number} is not finite")
        if address.bits is not None and address.bit is not None:
            return int(number >> address.bit & (1 << address.bits) - 1)
        return number  # type: ignore[no-any-return]

    return read


def _bit_reader(address: ModbusAddress, device: ModbusDevice, kind: str) -> Reader:
    """It counts as 0 or 1 where the profile wants a number."""
    place = address.bit or 0
    if address.bit is not None and (address.byte_order or device.byte_order) == "little":
        place ^= 8  # the register's two bytes change places
    if kind == "bool":
        return lambda words, at: bool(words[at] >> place & 1)
    return lambda words, at: int(words[at] >> place & 1)


def _truth(number: Scalar, address: ModbusAddress) -> bool:
    if number not in (0, 1):
        raise UnreadableError(f"{address.name}: {number} is neither 0 nor 1")
    return bool(number)


def _text(content: bytes, address: ModbusAddress) -> str:
    try:
        return content.split(b"\0", 1)[0].decode(address.encoding).rstrip(" ")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{address.name}: byte {error.start} of the string is not {address.encoding}") from None


def _turned(words: Sequence[int], address: ModbusAddress, device: ModbusDevice) -> Sequence[int]:
    """High word first. Strings run in address order whatever the word order."""
    little = (address.word_order or device.word_order) == "little"
    return words[::-1] if little and address.read_as != "string" else words


def encode(value: Scalar, address: ModbusAddress, device: ModbusDevice) -> list[int]:
    """The registers (or the one bit, 0 or 1) that say `value`; raises BadInput that names the register."""
    if address.bit is not None:
        raise BadInput("bits of a register are not written: their neighbours could change in between", address.name)
    if address.read_as == "bool":
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
