"""The envelope in which the hub sends an edge its configuration: sealed for that edge, signed by the hub, numbered (docs/protocol.md).

Ed25519 (RFC 8032) over edge, version and the hash of the sealed content; the content is compressed and sealed with ChaCha20-Poly1305
(RFC 8439) under a key that only the hub and this edge's file hold, because the broker keeps it for everybody who can read its memory.
Pure: keys and nonces come in as arguments.
"""

import hashlib
import zlib
from typing import Annotated, Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta, Struct

from hub.errors import BadInput

MAX_ENVELOPE = 131_072
"""bytes; what the hub takes of an edge's message is the same"""
MAX_CONTENT = 4 * 1024 * 1024
"""bytes of the content when it is opened"""
MAX_VERSION = 2**53
NONCE = 12


class Envelope(NamedTuple):
    """An envelope as it came: nothing of it is proven yet."""

    edge: str
    version: int
    hash: str
    sealed: bytes
    signature: bytes


class _Wire(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    edge: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    version: Annotated[int, Meta(ge=1, le=MAX_VERSION)]
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    content: bytes
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


_decoder = msgspec.json.Decoder(_Wire)


def public_key(private: bytes) -> bytes:
    """The public key of a private one; 32 bytes each."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def make_envelope(edge: str, version: int, content: bytes, private: bytes, seal: bytes, nonce: bytes) -> bytes:
    """Content sealed for `edge` and signed. `nonce` (12 bytes) is used once with this seal. Raises BadInput where it is too large to travel."""
    if len(content) > MAX_CONTENT:
        raise BadInput(f"{len(content)} bytes, at most {MAX_CONTENT} are taken", f"edge {edge!r}", code="configuration")
    sealed = nonce + ChaCha20Poly1305(seal).encrypt(nonce, zlib.compress(content, 9), _bound(edge, version))
    digest = hashlib.sha256(sealed).hexdigest()
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(_signed(edge, version, digest))
    envelope = msgspec.json.encode(_Wire(1, edge, version, digest, sealed, signature))
    if len(envelope) > MAX_ENVELOPE:
        reason = f"{len(envelope)} bytes when it is packed, at most {MAX_ENVELOPE} travel"
        raise BadInput(reason, f"edge {edge!r}", code="configuration")
    return envelope


def read_envelope(payload: bytes) -> Envelope:
    """The parts of an envelope; raises BadInput where it is none."""
    if len(payload) > MAX_ENVELOPE:
        raise _refused(f"{len(payload)} bytes, at most {MAX_ENVELOPE} are taken")
    try:
        wire = _decoder.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _refused("is no envelope of a configuration") from None
    return Envelope(wire.edge, wire.version, wire.hash, wire.content, wire.signature)


def open_envelope(envelope: Envelope, edge: str, public: bytes, seal: bytes) -> bytes:
    """The content, once signature, edge, hash and seal hold; raises BadInput that says which does not."""
    try:
        signed = _signed(envelope.edge, envelope.version, envelope.hash)
        Ed25519PublicKey.from_public_bytes(public).verify(envelope.signature, signed)
    except (InvalidSignature, ValueError):
        raise _refused("the signature is not by the key that this edge's bundle names") from None
    if envelope.edge != edge:
        raise _refused(f"it is for edge {envelope.edge!r}")
    if hashlib.sha256(envelope.sealed).hexdigest() != envelope.hash:
        raise _refused("the content is not what was signed")
    nonce, cipher = envelope.sealed[:NONCE], envelope.sealed[NONCE:]
    try:
        packed = ChaCha20Poly1305(seal).decrypt(nonce, cipher, _bound(edge, envelope.version))
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(packed, MAX_CONTENT)
    except (InvalidTag, ValueError):
        raise _refused("it is sealed for another bundle of this edge") from None
    except zlib.error:
        raise _refused("the content cannot be unpacked") from None
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise _refused(f"the content is cut off, or above {MAX_CONTENT} bytes")
    return content


def _signed(edge: str, version: int, digest: str) -> bytes:
    return f"anxin/v1 configuration\n{edge}\n{version}\n{digest}".encode()


def _bound(edge: str, version: int) -> bytes:
    return f"{edge}\n{version}".encode()


def _refused(reason: str) -> BadInput:
    return BadInput(reason, "", code="configuration")
