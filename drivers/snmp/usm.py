"""Whether a version 3 message really comes from who shares our key: the check on the receiving side that gufo-snmp 0.13 leaves out. Pure.

Tried: with the digest of an agent's answer changed on the way, gufo-snmp took it. So every received message passes `authenticity_fault`.
Sources: RFC 3414, sections 2.5 to 2.6 (keys), 6.3.2 and A.2; RFC 7860, section 4 (SHA-2); RFC 3412, section 6 (the message).
"""

import hashlib
import hmac
from typing import NamedTuple

_REPORT = 0xA8
_STREAM = 1_048_576
"""Bytes that a password is stretched to (RFC 3414, A.2.2)."""
_AUTHENTIC, _ENCRYPTED = 1, 2
"""Bits of msgFlags."""


class Digest(NamedTuple):
    """A keyed digest: its hash, and how many bytes of it are sent."""

    hash: str
    size: int


DIGESTS = {
    "sha": Digest("sha1", 12),
    "sha224": Digest("sha224", 16),
    "sha256": Digest("sha256", 24),
    "sha384": Digest("sha384", 32),
    "sha512": Digest("sha512", 48),
}


def localized_key(digest: Digest, password: bytes, engine_id: bytes) -> bytes:
    """The key of `password` at one engine. Takes some milliseconds: keep it."""
    stretched = (password * (_STREAM // len(password) + 1))[:_STREAM]
    master = hashlib.new(digest.hash, stretched).digest()
    return hashlib.new(digest.hash, master + engine_id + master).digest()


_Part = tuple[int, int, int]
"""One element of a message: its tag, where its content starts, where it ends. A plain tuple: ten are made for each answer."""


def _part(message: bytes, at: int, limit: int) -> _Part:
    """The element at `at`, which must end by `limit`; raises ValueError."""
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
    return tag, at, at + size


def _parts(message: bytes, inside: _Part, count: int) -> list[_Part]:
    found: list[_Part] = []
    _, at, limit = inside
    for _ in range(count):
        if at + 2 <= limit and (size := message[at + 1]) < 0x80 and at + 2 + size <= limit:  # most are: half the time
            one = (message[at], at + 2, at + 2 + size)
        else:
            one = _part(message, at, limit)
        found.append(one)
        at = one[2]
    return found


def authenticity_fault(message: bytes, digest: Digest, key: bytes | None) -> str | None:
    """Why `message` must not be believed, else None. `key` is None until the engine is known.

    Only a report may come unencrypted or unauthenticated: that is how an agent tells its engine, or that it does not know us.
    """
    try:
        _, header, security, data = _parts(message, _part(message, 0, len(message)), 4)
        _, _, (_, flags, flags_end), _ = _parts(message, header, 4)
        parameters = _part(message, security[1], security[2])
        _, _, _, _, (_, start, end), _ = _parts(message, parameters, 6)
        level = message[flags] if flags_end > flags else 0
        if not level & _ENCRYPTED and _parts(message, data, 3)[2][0] != _REPORT:
            return "an answer that is not encrypted"
    except ValueError as error:
        return f"not a version 3 message: {error}"
    if not level & _AUTHENTIC:
        return "an answer that is not authenticated" if level & _ENCRYPTED else None
    if key is None or end - start != digest.size:
        return "an answer authenticated in a way that was not asked for"
    blank = message[:start] + bytes(digest.size) + message[end:]
    right = hmac.digest(key, blank, digest.hash)[: digest.size]
    return None if hmac.compare_digest(right, message[start:end]) else "an answer with a wrong digest"
