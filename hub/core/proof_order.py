"""What the hub tells an edge to inject in a proof: signed like a configuration, for one edge, for a short time (docs/protocol.md).

Pure: keys and times are arguments. A signature matters here: who could tell an edge to mark what it sends could page people at will.
"""

from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from hub.errors import BadInput
from hub.model import Micros, Scalar, Series

MAX_ORDER = 4_096
"""bytes"""


class Order(NamedTuple):
    """Inject `value` at `series`, at the driver's link or into the spool (`edge`), before `until` by the hub's clock."""

    edge: str
    proof: UUID
    series: Series
    value: Scalar
    level: str
    until: Micros


class _Body(Struct, forbid_unknown_fields=True):
    edge: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
    d: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    p: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]
    i: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:/-]{0,80}\Z")]
    r: bool | int | float | Annotated[str, Meta(max_length=200)]
    level: Literal["driver", "edge"]
    until: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Wire(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    order: Annotated[bytes, Meta(max_length=MAX_ORDER)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


_wire = msgspec.json.Decoder(_Wire)
_body = msgspec.json.Decoder(_Body)


def order_topic(partition: int, edge: str) -> str:
    """Where an edge hears orders; nothing is retained there."""
    return f"anxin/v1/{partition}/{edge}/down/proof"


def make_order(order: Order, private: bytes) -> bytes:
    """The signed message."""
    level: Literal["driver", "edge"] = "driver" if order.level == "driver" else "edge"
    device, point, instance = order.series
    body = _Body(order.edge, str(order.proof), device, point, instance, order.value, level, order.until)
    written = msgspec.json.encode(body)
    return msgspec.json.encode(_Wire(1, written, Ed25519PrivateKey.from_private_bytes(private).sign(_signed(written))))


def read_order(payload: bytes, edge: str, public: bytes) -> Order:
    """The order, once its signature holds and it is for `edge`; raises BadInput (`order`) that says which does not."""
    if len(payload) > 2 * MAX_ORDER:
        raise _refused(f"{len(payload)} bytes, at most {2 * MAX_ORDER} are taken")
    try:
        wire = _wire.decode(payload)
        Ed25519PublicKey.from_public_bytes(public).verify(wire.signature, _signed(wire.order))
        body = _body.decode(wire.order)
    except InvalidSignature:
        raise _refused("the signature is not by the key that this edge's bundle names") from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _refused("is no order of a proof") from None
    if body.edge != edge:
        raise _refused(f"it is for edge {body.edge!r}")
    return Order(body.edge, UUID(body.id), Series(body.d, body.p, body.i), body.r, body.level, body.until)


def _signed(written: bytes) -> bytes:
    return b"anxin/v1 proof\n" + written


def _refused(reason: str) -> BadInput:
    return BadInput(reason, "", code="order")
