"""What the hub tells an edge to do at once, a proof or a siren: signed by the key of its configurations, for one label, for nobody else.

Pure: keys are arguments. A signature matters here: who could tell an edge to mark what it sends, to write a point or to sound a siren could
page people, or wake them, at will. What an order says stands in `proof_order` and `siren_order`.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from hub.errors import BadInput

MAX_ORDER = 4_096
"""bytes"""


class _Wire(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    order: Annotated[bytes, Meta(max_length=MAX_ORDER)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


_wire = msgspec.json.Decoder(_Wire)
Body = TypeVar("Body", bound=Struct)


def seal_order(label: str, body: Struct, private: bytes) -> bytes:
    """The signed message of an order of this kind (`proof`, `siren`)."""
    written = msgspec.json.encode(body)
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(_signed(label, written))
    return msgspec.json.encode(_Wire(1, written, signature))


def open_order(label: str, payload: bytes, public: bytes, body: msgspec.json.Decoder[Body]) -> Body:
    """What the order says, once its signature holds for this kind; raises BadInput (`order`)."""
    if len(payload) > 2 * MAX_ORDER:
        raise refused(f"{len(payload)} bytes, at most {2 * MAX_ORDER} are taken")
    try:
        wire = _wire.decode(payload)
        Ed25519PublicKey.from_public_bytes(public).verify(wire.signature, _signed(label, wire.order))
        return body.decode(wire.order)
    except InvalidSignature:
        raise refused("the signature is not by the key that this edge's bundle names") from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise refused(f"is no order of a {label}") from None


def refused(reason: str) -> BadInput:
    """Why an order is not followed."""
    return BadInput(reason, "", code="order")


def _signed(label: str, written: bytes) -> bytes:
    return b"anxin/v1 " + label.encode() + b"\n" + written
