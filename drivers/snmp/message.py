"""SNMP messages as they travel: community messages, version 3 messages, PDUs, and what a notification says. Pure.

Sources: RFC 1157, section 4 (version 1); RFC 3416, section 3 (PDUs); RFC 3412, section 6 and RFC 3414, section 2.4 (version 3);
RFC 3584, section 3.1 (what a version 1 trap says in the words of version 2). Whatever does not hold raises ValueError.
"""

from collections.abc import Sequence
from typing import NamedTuple

from drivers.snmp.ber import (
    INTEGER,
    IP_ADDRESS,
    OCTETS,
    OID,
    SEQUENCE,
    TIMETICKS,
    Element,
    Raw,
    dotted,
    element,
    encoded,
    encoded_oid,
    encoded_whole,
    inside,
    members,
    value,
    whole,
)

GET, RESPONSE, SET, TRAP_V1, INFORM, TRAP, REPORT = 0xA0, 0xA2, 0xA3, 0xA4, 0xA6, 0xA7, 0xA8
V1, V2C, V3 = 0, 1, 3
"""Version numbers on the wire."""
AUTHENTIC, ENCRYPTED, REPORTABLE = 1, 2, 4
"""Bits of msgFlags."""
MAX_SIZE = 65_507
"""Bytes of a message that we take: the most that UDP over IPv4 carries."""
_USM = 3
_MOST_VARBINDS = 256
_UPTIME, _TRAP_OID = "1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.1.1.4.1.0"
_STANDARD_TRAPS = "1.3.6.1.6.3.1.1.5"

Varbinds = Sequence[tuple[str, Raw]]


class Pdu(NamedTuple):
    """A PDU of any kind but a version 1 trap."""

    tag: int
    request_id: int
    error_status: int
    error_index: int
    varbinds: Varbinds
    body: bytes
    """the variable bindings as they came, to be sent back"""


class Notification(NamedTuple):
    """What a trap or an inform says."""

    trap: str
    """snmpTrapOID"""
    varbinds: Varbinds
    """without sysUpTime and snmpTrapOID"""


class Community(NamedTuple):
    """A message of version 1 or 2c."""

    version: int
    community: bytes
    pdu: Element


class Secured(NamedTuple):
    """A version 3 message under the user-based security model, before anything of it is believed."""

    id: int
    flags: int
    engine_id: bytes
    boots: int
    time: int
    user: bytes
    digest: Element
    salt: bytes
    data: Element
    """the scoped PDU, in the clear or as octets that are encrypted"""


def version_of(message: bytes) -> int:
    """The version of a message, of which nothing else is known yet."""
    outer = element(message, 0, len(message))
    if outer.tag != SEQUENCE or outer.end != len(message):
        raise ValueError("it is no SEQUENCE of its own length")
    first = next(inside(message, outer), None)
    if first is None or first.tag != INTEGER:
        raise ValueError("it has no version")
    return whole(message, first)


def community_message(message: bytes) -> Community:
    """A message of version 1 or 2c."""
    version, community, pdu = members(message, element(message, 0, len(message)), INTEGER, OCTETS, -1)
    return Community(whole(message, version), message[community.start : community.end], pdu)


def secured_message(message: bytes) -> Secured:
    """A version 3 message."""
    _, header, parameters, data = members(message, element(message, 0, len(message)), INTEGER, SEQUENCE, OCTETS, -1)
    number, _, flags, model = members(message, header, INTEGER, INTEGER, OCTETS, INTEGER)
    if whole(message, model) != _USM:
        raise ValueError("its security model is not the user-based one")
    if flags.end != flags.start + 1:
        raise ValueError("its flags are not one octet")
    security = element(message, parameters.start, parameters.end)
    if security.tag != SEQUENCE or security.end != parameters.end:
        raise ValueError("its security parameters are no SEQUENCE")
    engine, boots, time, user, digest, salt = members(
        message, security, OCTETS, INTEGER, INTEGER, OCTETS, OCTETS, OCTETS
    )
    return Secured(
        whole(message, number),
        message[flags.start],
        message[engine.start : engine.end],
        whole(message, boots),
        whole(message, time),
        message[user.start : user.end],
        digest,
        message[salt.start : salt.end],
        data,
    )


def scoped_pdu(scoped: bytes) -> tuple[bytes, Element]:
    """The context engine and the PDU of a scoped PDU; behind it an encryption may have left some octets."""
    outer = element(scoped, 0, len(scoped))
    if outer.tag != SEQUENCE:
        raise ValueError("its scoped PDU is no SEQUENCE")
    context, _, pdu = members(scoped, outer, OCTETS, OCTETS, -1)
    return scoped[context.start : context.end], pdu


def parse_pdu(message: bytes, pdu: Element) -> Pdu:
    """A PDU that is no version 1 trap."""
    number, status, index, bindings = members(message, pdu, INTEGER, INTEGER, INTEGER, SEQUENCE)
    return Pdu(
        pdu.tag,
        whole(message, number),
        whole(message, status),
        whole(message, index),
        _varbinds(message, bindings),
        message[bindings.start : bindings.end],
    )


def _varbinds(message: bytes, bindings: Element) -> Varbinds:
    found: list[tuple[str, Raw]] = []
    for one in inside(message, bindings):
        if one.tag != SEQUENCE or len(found) == _MOST_VARBINDS:
            raise ValueError("its variable bindings are none, or too many")
        name, said = members(message, one, OID, -1)
        found.append((dotted(message, name), value(message, said)))
    return found


def notification(pdu: Pdu) -> Notification:
    """What a trap or inform of version 2 says (RFC 3416, section 4.2.6)."""
    names = [oid for oid, _ in pdu.varbinds[:2]]
    trap = pdu.varbinds[1][1] if len(pdu.varbinds) > 1 else None
    if names != [_UPTIME, _TRAP_OID] or not isinstance(trap, str):
        raise ValueError("it does not begin with sysUpTime.0 and snmpTrapOID.0")
    return Notification(trap, pdu.varbinds[2:])


def notification_v1(message: bytes, pdu: Element) -> Notification:
    """What a version 1 trap says, in the words of version 2 (RFC 3584, section 3.1)."""
    enterprise, _, generic, specific, _, bindings = members(
        message, pdu, OID, IP_ADDRESS, INTEGER, INTEGER, TIMETICKS, SEQUENCE
    )
    kind = whole(message, generic)
    if kind == 6:
        trap = f"{dotted(message, enterprise)}.0.{whole(message, specific)}"
    elif 0 <= kind < 6:
        trap = f"{_STANDARD_TRAPS}.{kind + 1}"
    else:
        raise ValueError(f"a generic trap {kind}")
    return Notification(trap, _varbinds(message, bindings))


def encoded_pdu(tag: int, request_id: int, bindings: bytes) -> bytes:
    """A PDU without error, of variable bindings that are encoded already."""
    return encoded(tag, encoded_whole(request_id) + encoded_whole(0) * 2 + encoded(SEQUENCE, bindings))


def encoded_varbind(oid: str, said: bytes) -> bytes:
    """One variable binding with its encoded value."""
    return encoded(SEQUENCE, encoded_oid(oid) + said)


def encoded_community(version: int, community: bytes, pdu: bytes) -> bytes:
    """A message of version 1 or 2c."""
    return encoded(SEQUENCE, encoded_whole(version) + encoded(OCTETS, community) + pdu)


def encoded_scoped(context: bytes, pdu: bytes) -> bytes:
    """A scoped PDU of the default context."""
    return encoded(SEQUENCE, encoded(OCTETS, context) + encoded(OCTETS, b"") + pdu)


def encoded_secured(
    number: int,
    flags: int,
    engine_id: bytes,
    boots: int,
    time: int,
    user: bytes,
    digest: bytes,
    salt: bytes,
    data: bytes,
) -> bytes:
    """A version 3 message; `digest` is the blank that `usm.signed` fills in, `data` is encoded already."""
    header = encoded_whole(number) + encoded_whole(MAX_SIZE) + encoded(OCTETS, bytes((flags,))) + encoded_whole(_USM)
    security = encoded(OCTETS, engine_id) + encoded_whole(boots) + encoded_whole(time)
    security += encoded(OCTETS, user) + encoded(OCTETS, digest) + encoded(OCTETS, salt)
    content = encoded_whole(V3) + encoded(SEQUENCE, header) + encoded(OCTETS, encoded(SEQUENCE, security)) + data
    return encoded(SEQUENCE, content)
