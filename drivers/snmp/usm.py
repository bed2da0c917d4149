"""The user-based security model: keys, digests, privacy. Pure.

`authenticity_fault` is the check on the receiving side that gufo-snmp 0.13 leaves out. Tried: with the digest of an agent's answer changed
on the way, gufo-snmp took it. So every received message passes it. `Keys` is for what gufo-snmp does not do at all: notifications and SET.
Sources: RFC 3414, sections 2.5 to 2.6 (keys), 6.3.2 and A.2; RFC 7860, section 4 (SHA-2); RFC 3826, section 3 (AES in CFB mode); RFC 3412,
section 6 (the message). Keys longer than a digest: draft-blumenthal-aes-usm-04, section 3.1.2.1, and draft-reeder-snmpv3-usm-3desede-00,
section 2.1 (`cisco`).
"""

import hashlib
import hmac
from typing import Any, NamedTuple

from drivers.snmp.ber import element
from drivers.snmp.message import AUTHENTIC, ENCRYPTED, secured_message

_REPORT = 0xA8
_STREAM = 1_048_576
"""Bytes that a password is stretched to (RFC 3414, A.2.2)."""
_KEY_SIZE = {"aes128": 16, "aes192": 24, "aes256": 32}


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


class Keys(NamedTuple):
    """A user's keys at one engine: what seals and opens messages."""

    digest: Digest
    auth: bytes
    priv: bytes

    def sealed(self, message: bytes) -> bytes:
        """`message`, whose digest is blank, with its digest."""
        place = secured_message(message).digest
        right = hmac.digest(self.auth, message, self.digest.hash)[: self.digest.size]
        return message[: place.start] + right + message[place.end :]

    def encrypted(self, scoped: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """A scoped PDU; `salt` is 8 octets that no other message of these keys has."""
        made: bytes = _cipher(self.priv, boots, time, salt).encryptor().update(scoped)
        return made

    def decrypted(self, octets: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """The scoped PDU of an authentic message. Raises ValueError."""
        if len(salt) != 8 or not (0 <= boots < 2**31 and 0 <= time < 2**31):
            raise ValueError("its privacy parameters are none")
        made: bytes = _cipher(self.priv, boots, time, salt).decryptor().update(octets)
        return made


class Secrets:
    """A user's passwords, stretched once; keys at any engine cost microseconds then."""

    def __init__(self, auth: str, auth_password: bytes, priv: str, priv_password: bytes, expansion: str) -> None:
        self.digest = DIGESTS[auth]
        self._auth = master_key(self.digest, auth_password)
        self._priv = master_key(self.digest, priv_password)
        self._size = _KEY_SIZE[priv]
        self._expansion = expansion

    def auth_at(self, engine_id: bytes) -> bytes:
        """The user's key for digests at one engine."""
        return localized(self.digest, self._auth, engine_id)

    def at(self, engine_id: bytes) -> Keys:
        """The user's keys at one engine."""
        priv = localized(self.digest, self._priv, engine_id)
        while len(priv) < self._size:
            if self._expansion == "blumenthal":
                priv += hashlib.new(self.digest.hash, priv).digest()
            else:
                priv += localized_key(self.digest, priv, engine_id)
        return Keys(self.digest, self.auth_at(engine_id), priv[: self._size])


def _cipher(key: bytes, boots: int, time: int, salt: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    try:  # where newer versions keep the mode that RFC 3826 asks for
        from cryptography.hazmat.decrepit.ciphers.modes import CFB
    except ImportError:
        from cryptography.hazmat.primitives.ciphers.modes import CFB

    return Cipher(algorithms.AES(key), CFB(boots.to_bytes(4) + time.to_bytes(4) + salt))


_Part = tuple[int, int, int]
"""One element of a message: its tag, where its content starts, where it ends. A plain tuple: ten are made for each answer."""


def _parts(message: bytes, inside: _Part, count: int) -> list[_Part]:
    found: list[_Part] = []
    _, at, limit = inside
    for _ in range(count):
        if at + 2 <= limit and (size := message[at + 1]) < 0x80 and at + 2 + size <= limit:  # most are: half the time
            one = (message[at], at + 2, at + 2 + size)
        else:
            one = element(message, at, limit)
        found.append(one)
        at = one[2]
    return found


def authenticity_fault(message: bytes, digest: Digest, key: bytes | None) -> str | None:
    """Why `message` must not be believed, else None. `key` is None until the engine is known.

    Only a report may come unencrypted or unauthenticated: that is how an agent tells its engine, or that it does not know us.
    """
    try:
        _, header, security, data = _parts(message, element(message, 0, len(message)), 4)
        _, _, (_, flags, flags_end), _ = _parts(message, header, 4)
        parameters = element(message, security[1], security[2])
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
