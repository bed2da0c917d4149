"""Checksums of serial protocols by name. Pure.

The CRCs carry the parameters of Greg Cook's catalogue of parametrised CRC algorithms (CRC RevEng), under its names in lower case; its check
values (of the text `123456789`) are the tests.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, get_args

CheckName = Literal[
    "sum8",
    "sum8-complement",
    "sum16",
    "xor8",
    "crc-8-smbus",
    "crc-8-maxim-dow",
    "crc-16-arc",
    "crc-16-modbus",
    "crc-16-usb",
    "crc-16-ibm-3740",
    "crc-16-xmodem",
    "crc-16-kermit",
    "crc-16-ibm-sdlc",
    "crc-32-iso-hdlc",
]


class _Crc(NamedTuple):
    """Width in bits, generator, start value, whether bits are reflected, and what the result is combined with."""

    width: int
    poly: int
    init: int
    reflected: bool
    xorout: int


_CRCS: Mapping[str, _Crc] = {
    "crc-8-smbus": _Crc(8, 0x07, 0x00, False, 0x00),
    "crc-8-maxim-dow": _Crc(8, 0x31, 0x00, True, 0x00),
    "crc-16-arc": _Crc(16, 0x8005, 0x0000, True, 0x0000),
    "crc-16-modbus": _Crc(16, 0x8005, 0xFFFF, True, 0x0000),
    "crc-16-usb": _Crc(16, 0x8005, 0xFFFF, True, 0xFFFF),
    "crc-16-ibm-3740": _Crc(16, 0x1021, 0xFFFF, False, 0x0000),
    "crc-16-xmodem": _Crc(16, 0x1021, 0x0000, False, 0x0000),
    "crc-16-kermit": _Crc(16, 0x1021, 0x0000, True, 0x0000),
    "crc-16-ibm-sdlc": _Crc(16, 0x1021, 0xFFFF, True, 0xFFFF),
    "crc-32-iso-hdlc": _Crc(32, 0x04C11DB7, 0xFFFFFFFF, True, 0xFFFFFFFF),
}


def _xor8(octets: bytes) -> int:
    return functools.reduce(int.__xor__, octets, 0)


_SUMS: Mapping[str, tuple[int, Callable[[bytes], int]]] = {
    "sum8": (1, lambda octets: sum(octets) & 0xFF),
    "sum8-complement": (1, lambda octets: -sum(octets) & 0xFF),
    "sum16": (2, lambda octets: sum(octets) & 0xFFFF),
    "xor8": (1, _xor8),
}


def size_of(name: CheckName) -> int:
    """Bytes of the checksum."""
    return _SUMS[name][0] if name in _SUMS else _CRCS[name].width // 8


def check_of(name: CheckName, octets: bytes) -> int:
    """The checksum as a number."""
    if name in _SUMS:
        return _SUMS[name][1](octets)
    crc = _CRCS[name]
    table = _table(name)
    if crc.reflected:
        rest = int(f"{crc.init:0{crc.width}b}"[::-1], 2)
        for octet in octets:
            rest = table[(rest ^ octet) & 0xFF] ^ rest >> 8
        return rest ^ crc.xorout
    mask = (1 << crc.width) - 1
    rest = crc.init
    for octet in octets:
        rest = (table[(rest >> crc.width - 8 ^ octet) & 0xFF] ^ rest << 8) & mask
    return rest ^ crc.xorout


@functools.cache
def _table(name: str) -> tuple[int, ...]:
    crc = _CRCS[name]
    mask = (1 << crc.width) - 1
    rows = []
    for octet in range(256):
        if crc.reflected:
            poly, rest = int(f"{crc.poly:0{crc.width}b}"[::-1], 2), octet
            for _ in range(8):
                rest = rest >> 1 ^ poly * (rest & 1)
        else:
            top, rest = 1 << crc.width - 1, octet << crc.width - 8
            for _ in range(8):
                rest = (rest << 1 ^ crc.poly * (rest & top > 0)) & mask
        rows.append(rest)
    return tuple(rows)


assert set(get_args(CheckName)) == {*_SUMS, *_CRCS}
