"""The user-based security model, as far as it judges what is received: keys and digests. Pure.

`authenticity_fault` is the check on the receiving side that gufo-snmp 0.13 leaves out. Tried: with the digest of an agent's answer changed
on the way, gufo-snmp took it. So every received message passes it, and every version 3 notification before pysnmp has it, because the keys
say whose it is. Sources: RFC 3414, sections 2.5 to 2.6 (keys), 6.3.2 and A.2; RFC 7860, section 4 (SHA-2); RFC 3412, section 6 (the message).
"""

import hashlib
import hmac
from typing import NamedTuple

AUTHENTIC, ENCRYPTED, REPORTABLE = 1, 2, 4
"""Bits of msgFlags."""
_REPORT = 0xA8
_STREAM = 1_048_576
"""Bytes that a password is stretched to (RFC 3414, A.2.2)."""


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


def master_key(digest: Digest, password: bytes) -> bytes:
    """The key of `password` before it is made one engine's. Takes some milliseconds: keep it."""
    return hashlib.new(digest.hash, (password * (_STREAM // len(password) + 1))[:_STREAM]).digest()


def localized(digest: Digest, master: bytes, engine_id: bytes) -> bytes:
    """The key at one engine."""
    return hashlib.new(digest.hash, master + engine_id + master).digest()


def localized_key(digest: Digest, password: bytes, engine_id: bytes) -> bytes:
    """The key of `password` at one engine. Takes some milliseconds: keep it."""
    return localized(digest, master_key(digest, password), engine_id)


class Secrets:
    """A user's passwords, stretched once: some milliseconds of work; keys at any engine cost microseconds then."""

    def __init__(self, auth: str, auth_password: bytes, priv: str, priv_password: bytes, expansion: str) -> None:
        self.auth, self.priv, self.expansion = auth, priv, expansion
        self.digest = DIGESTS[auth]
        self.auth_master = master_key(self.digest, auth_password)
        self.priv_master = master_key(self.digest, priv_password)

    def auth_at(self, engine_id: bytes) -> bytes:
        """The user's key for digests at one engine."""
        return localized(self.digest, self.auth_master, engine_id)

    def are(self, other: "Secrets") -> bool:
        """Whether both make the same keys."""
        return (self.auth, self.priv, self.expansion, self.auth_master, self.priv_master) == (
            other.auth,
            other.priv,
            other.expansion,
            other.auth_master,
            other.priv_master,
        )


class Header(NamedTuple):
    """What a version 3 message says of itself, before anything of it is believed."""

    number: int
    flags: int
    engine_id: bytes
    boots: int
    time: int
    user: bytes


_Part = tuple[int, int, int]
"""One element of a message: its tag, where its content starts, where it ends. A plain tuple: ten are made for each answer."""


def _element(message: bytes, at: int, limit: int) -> _Part:
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


def header_of(message: bytes) -> Header:
    """What a version 3 message says of itself. Raises ValueError."""
    _, head, security, _ = _parts(message, _element(message, 0, len(message)), 4)
    number, _, flags, _ = _parts(message, head, 4)
    engine, boots, time, user, _, _ = _parts(message, _element(message, security[1], security[2]), 6)
    if flags[2] != flags[1] + 1:
        raise ValueError("its flags are not one octet")
    return Header(
        _whole(message, number),
        message[flags[1]],
        message[engine[1] : engine[2]],
        _whole(message, boots),
        _whole(message, time),
        message[user[1] : user[2]],
    )


def _whole(message: bytes, one: _Part) -> int:
    found = int.from_bytes(message[one[1] : one[2]], signed=True)
    if not 0 <= found < 2**31:
        raise ValueError("a number that is none")
    return found


def _parts(message: bytes, inside: _Part, count: int) -> list[_Part]:
    found: list[_Part] = []
    _, at, limit = inside
    for _ in range(count):
        if at + 2 <= limit and (size := message[at + 1]) < 0x80 and at + 2 + size <= limit:  # most are: half the time
            one = (message[at], at + 2, at + 2 + size)
        else:
            one = _element(message, at, limit)
        found.append(one)
        at = one[2]
    return found


def authenticity_fault(message: bytes, digest: Digest, key: bytes | None) -> str | None:
    """Why `message` must not be believed, else None. `key` is None until the engine is known.

    Only a report may come unencrypted or unauthenticated: that is how an agent tells its engine, or that it does not know us.
    """
    try:
        _, header, security, data = _parts(message, _element(message, 0, len(message)), 4)
        _, _, (_, flags, flags_end), _ = _parts(message, header, 4)
        parameters = _element(message, security[1], security[2])
        _, _, _, _, (_, start, end), _ = _parts(message, parameters, 6)
        level = message[flags] if flags_end > flags else 0
        if not level & ENCRYPTED and _parts(message, data, 3)[2][0] != _REPORT:
            return "an answer that is not encrypted"
    except ValueError as error:
        return f"not a version 3 message: {error}"
    if not level & AUTHENTIC:
        return "an answer that is not authenticated" if level & ENCRYPTED else None
    if key is None or end - start != digest.size:
        return "an answer authenticated in a way that was not asked for"
    blank = message[:start] + bytes(digest.size) + message[end:]
    right = hmac.digest(key, blank, digest.hash)[: digest.size]
    return None if hmac.compare_digest(right, message[start:end]) else "an answer with a wrong digest"
