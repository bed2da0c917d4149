"""MQTT 5 user properties as paho's own class would read and write them, in a tenth of the time.

paho makes two tables of all properties for every message and asks them for every name: a third of the time of taking in a small message,
measured. `UserPropertiesOnly` is that class with the tables made once; the one kind of property that this hub's messages have is read and written
by hand, anything else (and anything malformed, with its error) by paho as ever.
"""

import struct
from typing import Any

from paho.mqtt import _packet
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_USER_PROPERTY = 0x26
_TABLES = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
_short = struct.Struct(">H")


class UserPropertiesOnly(Properties):
    """Properties of any packet; quick where all of them are user properties."""

    names = _TABLES.names
    types = _TABLES.types
    properties = _TABLES.properties
    UserProperty: list[tuple[str, str]]

    def __init__(self, packetType: int) -> None:
        object.__setattr__(self, "packetType", packetType)

    def unpack(self, buffer: bytes) -> tuple[Properties, int]:
        """What stands at the beginning of `buffer`, and how long that is; paho's errors for what is malformed."""
        found = pairs_at(buffer, 0)
        if found is None or not found[0]:
            return super().unpack(buffer)  # type: ignore[no-untyped-call,no-any-return]
        pairs, length = found
        object.__setattr__(self, "UserProperty", list(pairs))
        return self, length


class _Written(UserPropertiesOnly):
    """Packed already."""

    def __init__(self, packed: bytes) -> None:
        super().__init__(PacketTypes.PUBLISH)
        object.__setattr__(self, "_packed", packed)

    def pack(self) -> bytes:
        """The bytes of the packet."""
        return bytes(object.__getattribute__(self, "_packed"))


def written(pairs: tuple[tuple[str, str], ...]) -> Properties:
    """These user properties for a PUBLISH; raises ValueError (UnicodeEncodeError among them) where a text cannot be sent."""
    return _Written(packed(pairs))


def packed(pairs: tuple[tuple[str, str], ...]) -> bytes:
    """The same as they stand in the packet, with their length before them."""
    made = bytearray()
    for key, value in pairs:
        made.append(_USER_PROPERTY)
        for text in (key, value):
            raw = text.encode()
            if len(raw) > 65_535:
                raise ValueError("a user property of more than 65,535 bytes")
            made += _short.pack(len(raw)) + raw
    return variable_length(len(made)) + bytes(made)


def variable_length(number: int) -> bytes:
    """A variable byte integer."""
    made = bytearray()
    while True:
        number, digit = divmod(number, 128)
        made.append(digit | (128 if number else 0))
        if not number:
            return bytes(made)


def pairs_at(buffer: bytes, at: int) -> tuple[tuple[tuple[str, str], ...], int] | None:
    """The pairs of the properties that begin at `at`, and where those end; None where paho has to look."""
    if at >= len(buffer) or buffer[at] >= 128:  # longer than the hub's are, or nothing
        return None
    end = at + 1 + buffer[at]
    at += 1
    if end > len(buffer):
        return None
    pairs: list[tuple[str, str]] = []
    while at < end:
        if buffer[at] != _USER_PROPERTY:
            return None
        at += 1
        texts: list[str] = []
        for _ in range(2):
            if at + 2 > end:
                return None
            length = _short.unpack_from(buffer, at)[0]
            raw = bytes(buffer[at + 2 : at + 2 + length])
            at += 2 + length
            if at > end or not raw.isascii() or 0 in raw:
                return None
            texts.append(raw.decode())
        pairs.append((texts[0], texts[1]))
    return tuple(pairs), end


def install() -> None:
    """From now on paho reads received messages with it. Where paho no longer has that seam, nothing changes."""
    seam: Any = _packet
    if getattr(seam, "Properties", None) is Properties:
        seam.Properties = UserPropertiesOnly
