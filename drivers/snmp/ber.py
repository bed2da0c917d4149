"""The encoding of SNMP messages: BER as RFC 3417, section 8 restricts it (definite lengths, primitive strings). Pure.

`Element` is one encoded value inside a message; nothing is decoded that was not asked for, so that a datagram of any bytes costs little.
Everything that does not hold raises ValueError with what is wrong.
"""

from collections.abc import Iterator
from typing import NamedTuple

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER, GAUGE, TIMETICKS, OPAQUE, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
"""SNMPv2-SMI's application types (RFC 2578)."""
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_VIEW = 0x80, 0x81, 0x82
"""Instead of a value (RFC 3416, section 3)."""
_WHOLE = frozenset({INTEGER, COUNTER, GAUGE, TIMETICKS, COUNTER64})
_ABSENT = frozenset({NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_VIEW})
_LONGEST_OID = 128
"""Arcs (RFC 3416, section 4.1)."""

Raw = int | str | bytes | None
"""int of numbers, str of OIDs and IpAddresses, bytes of octets, None of no value: as gufo-snmp gives them."""


class Element(NamedTuple):
    """One value: its tag, and where its content starts and ends in the message."""

    tag: int
    start: int
    end: int


def element(message: bytes, at: int, limit: int) -> Element:
    """The element that begins at `at` and must end by `limit`."""
    if at + 2 > limit:
        raise ValueError("an element is missing")
    tag, size = message[at], message[at + 1]
    at += 2
    if size & 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= 4 or at + octets > limit:
            raise ValueError("a length is no length")
        size = int.from_bytes(message[at : at + octets])
        at += octets
    if at + size > limit:
        raise ValueError("an element is longer than what it is in")
    return Element(tag, at, at + size)


def inside(message: bytes, outer: Element) -> Iterator[Element]:
    """The elements within `outer`, one after the other."""
    at = outer.start
    while at < outer.end:
        one = element(message, at, outer.end)
        yield one
        at = one.end


def members(message: bytes, outer: Element, *tags: int) -> list[Element]:
    """Exactly these elements within `outer`; a tag of -1 is any."""
    found: list[Element] = []
    for one in inside(message, outer):
        if len(found) == len(tags) or tags[len(found)] not in (-1, one.tag):
            raise ValueError(f"an element {one.tag:#04x} where none such belongs")
        found.append(one)
    if len(found) < len(tags):
        raise ValueError("an element is missing")
    return found


def whole(message: bytes, one: Element) -> int:
    """The number of an element; unsigned types take their sign bit as a digit where a sender forgot the leading zero."""
    content = message[one.start : one.end]
    if not 1 <= len(content) <= 9 or (len(content) == 9 and (content[0] or one.tag == INTEGER)):
        raise ValueError("a number that is none")
    return int.from_bytes(content, signed=one.tag == INTEGER)


def dotted(message: bytes, one: Element) -> str:
    """The OID of an element (X.690, 8.19)."""
    content = message[one.start : one.end]
    if not content or content[-1] & 0x80:
        raise ValueError("an OID that does not end")
    arcs: list[int] = []
    arc = 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if arc >= 2**32 + 80:
            raise ValueError("an arc of an OID is too large")
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    if len(arcs) >= _LONGEST_OID:
        raise ValueError("an OID of too many arcs")
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def value(message: bytes, one: Element) -> Raw:
    """What a variable binding says."""
    if one.tag in _WHOLE:
        return whole(message, one)
    if one.tag in (OCTETS, OPAQUE):
        return message[one.start : one.end]
    if one.tag == OID:
        return dotted(message, one)
    if one.tag == IP_ADDRESS and one.end - one.start == 4:
        return ".".join(str(octet) for octet in message[one.start : one.end])
    if one.tag in _ABSENT and one.start == one.end:
        return None
    raise ValueError(f"a value of type {one.tag:#04x} that is none")


def encoded(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


def encoded_whole(number: int, tag: int = INTEGER) -> bytes:
    """A number, in as few octets as it needs."""
    return encoded(tag, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def encoded_oid(oid: str) -> bytes:
    """An OID given in numbers and dots; it has at least two arcs."""
    first, second, *rest = (int(arc) for arc in oid.split("."))
    content = bytearray()
    for arc in (40 * first + second, *rest):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.append(0x80 | arc & 0x7F)
        content += bytes(reversed(octets))
    return encoded(OID, bytes(content))
