"""A floor plan's picture as it is taken in: PNG, JPEG or WebP by its own first bytes, with its size in pixels.

What a sender calls it is not believed. SVG and everything else that could hold a script is not among them. Nothing is decoded here: a browser
does that, told the type that was found and never to guess another.
"""

import struct
from typing import NamedTuple

from hub.errors import BadInput

MAX_BYTES = 1_500_000
MAX_SIDE = 10_000
_PNG = b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers that begin a frame and so give the size (ITU-T T.81, table B.1)"""
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG's markers without a length"""


class Picture(NamedTuple):
    """What a picture is, by its own bytes. Sides in pixels."""

    media_type: str
    width: int
    height: int


def look(data: bytes) -> Picture:
    """Type and size of a picture. Raises BadInput for what is none of the three, is cut off, or is too large."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"a picture has at most {MAX_BYTES} bytes; this one has {len(data)}", "#", "picture")
    try:
        found = _png(data) or _jpeg(data) or _webp(data)
    except (struct.error, IndexError):
        raise BadInput("the picture is cut off before its size is told", "#", "picture") from None
    if found is None:
        raise BadInput(
            "a floor plan is a PNG, JPEG or WebP picture (SVG is not taken: it can hold scripts)", "#", "picture"
        )
    if not (1 <= found.width <= MAX_SIDE and 1 <= found.height <= MAX_SIDE):
        raise BadInput(
            f"a picture's sides are 1 to {MAX_SIDE} pixels; this one is {found.width} x {found.height}", "#", "picture"
        )
    return found


def _png(data: bytes) -> Picture | None:
    if not data.startswith(_PNG):
        return None
    length, kind, width, height = struct.unpack_from(">I4sII", data, len(_PNG))
    return Picture("image/png", width, height) if (length, kind) == (13, b"IHDR") else None


def _jpeg(data: bytes) -> Picture | None:
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    place = 2
    while True:
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:  # fill bytes
            place += 1
        elif marker in _BARE:
            place += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return Picture("image/jpeg", width, height)
        elif marker in (0xD9, 0xDA):
            return None
        else:
            (length,) = struct.unpack_from(">H", data, place + 2)
            place += 2 + max(2, length)


def _webp(data: bytes) -> Picture | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Picture("image/webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Picture("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        wide, high = data[24:27], data[27:30]
        if len(high) < 3:
            raise IndexError
        return Picture("image/webp", int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1)
    return None
