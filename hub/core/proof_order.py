"""What the hub tells an edge to inject in a proof: signed like a configuration, for one edge, for a short time (docs/protocol.md).

Pure: keys and times are arguments. A signature matters here: who could tell an edge to mark what it sends could page people at will.
"""

from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from hub.core.signed_order import open_order, refused, seal_order
from hub.model import Micros, Scalar, Series
from hub.profiles import LONGEST_TRIAL

Level = Literal["device", "driver", "edge", "read"]


class Trial(NamedTuple):
    """The device's own test, in raw values: write `value` to the point `write`, wait `within` for `expect` to give one of `answers`, write `rest`."""

    write: str
    value: Scalar
    rest: Scalar
    expect: str
    answers: tuple[Scalar, ...]
    within: Micros


class Order(NamedTuple):
    """Inject `value` at `series`, before `until` by the hub's clock: at the driver's link, after the device's own test where there is a `trial`,
    or into the spool (`edge`). At the level `read` nothing is injected: the device is read once more, for a function test that has begun."""

    edge: str
    proof: UUID
    series: Series
    value: Scalar
    level: str
    until: Micros
    trial: Trial | None = None
    """of the level `device`, and of no other"""


_Point = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]
_Value = bool | int | float | Annotated[str, Meta(max_length=200)]


class _Trial(Struct, forbid_unknown_fields=True):
    w: _Point
    v: _Value
    o: _Value
    e: _Point
    a: Annotated[list[_Value], Meta(min_length=1, max_length=40)]
    s: Annotated[int, Meta(ge=1, le=LONGEST_TRIAL)]


class _Body(Struct, forbid_unknown_fields=True, omit_defaults=True):
    edge: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
    d: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    p: _Point
    i: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:/-]{0,80}\Z")]
    r: _Value
    level: Level
    until: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    t: _Trial | None = None


_body = msgspec.json.Decoder(_Body)


def order_topic(partition: int, edge: str) -> str:
    """Where an edge hears orders; nothing is retained there."""
    return f"anxin/v1/{partition}/{edge}/down/proof"


def make_order(order: Order, private: bytes) -> bytes:
    """The signed message."""
    device, point, instance = order.series
    trial = None
    if order.trial is not None:
        write, value, rest, expect, answers, within = order.trial
        trial = _Trial(write, value, rest, expect, list(answers), within)
    level: Level = "device" if trial is not None else "edge"
    if trial is None and order.level in ("driver", "read"):
        level = "driver" if order.level == "driver" else "read"
    body = _Body(order.edge, str(order.proof), device, point, instance, order.value, level, order.until, trial)
    return seal_order("proof", body, private)


def read_order(payload: bytes, edge: str, public: bytes) -> Order:
    """The order, once its signature holds and it is for `edge`; raises BadInput (`order`) that says which does not."""
    body = open_order("proof", payload, public, _body)
    if body.edge != edge:
        raise refused(f"it is for edge {body.edge!r}")
    if (body.t is None) is (body.level == "device"):
        raise refused("the level device takes a test point, and no other level does")
    trial = None if body.t is None else Trial(body.t.w, body.t.v, body.t.o, body.t.e, tuple(body.t.a), body.t.s)
    return Order(body.edge, UUID(body.id), Series(body.d, body.p, body.i), body.r, body.level, body.until, trial)
