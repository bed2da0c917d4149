"""The hub's signature under a daily digest (Ed25519, RFC 8032): whoever owns the database can then not write chain and digests anew unseen. Pure.

The private key stands outside of the database. The public one is kept by whoever checks: a key that came with the bundle would prove nothing.
"""

import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hub.core.coverage import canonical
from hub.errors import BadInput

_KEY = re.compile(r"[0-9a-fA-F]{64}")
_LABEL = b"anxin/v1 ledger digest\n"
"""a signature by the same key under anything else is none under a digest"""


def key_of(written: str, where: str) -> bytes:
    """A key as 64 hexadecimal digits; raises BadInput, which never shows it."""
    given = written.strip()
    if _KEY.fullmatch(given) is None:
        raise BadInput("is no Ed25519 key: 64 hexadecimal digits are expected", where, code="key")
    return bytes.fromhex(given)


def key_id(public: bytes) -> str:
    """The short name of a public key."""
    return canonical.sha256(public).hex()[:16]


class Signer:
    """The hub's private key (32 bytes), and what it says under a digest."""

    def __init__(self, private: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, digest: bytes) -> str:
        """The signature under a digest's hash, as 128 hexadecimal digits."""
        return self._private.sign(_LABEL + digest).hex()


def is_signed(digest: bytes, signature: str, public: bytes) -> bool:
    """Whether this is the signature of the key's owner under a digest's hash."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), _LABEL + digest)
    except (InvalidSignature, ValueError):
        return False
    return True
