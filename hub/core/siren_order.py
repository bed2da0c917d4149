"""What the hub tells an edge to sound, and what the edge answers (docs/protocol.md): signed like a configuration, for one edge, for a short time.

An order names a local rule of the edge and what burns; which device is written, which point and which value stands in the edge's own bundle, and
the edge looks itself whether that rule watches this for fire. So an order can sound nothing that is no siren, and nothing for a panic. Pure.
"""

from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from hub.bundle import LocalRule, RuleWatch
from hub.core.local_rules import is_for_fire
from hub.core.signed_order import MAX_ORDER, open_order, refused, seal_order
from hub.errors import BadInput
from hub.model import Micros

MAX_REASON = 300
VALID: Micros = 15_000_000
"""an order that an edge gets later than this is not followed: somebody may have silenced the siren since"""

_Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
_Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]


class SirenOrder(NamedTuple):
    """Sound the siren of `rule` for `definition` at `device`, before `until` by the hub's clock."""

    edge: str
    id: UUID
    rule: str
    device: str
    definition: str
    until: Micros


class SirenAnswer(NamedTuple):
    """What became of an order: sounded (written and not contradicted), or why not."""

    id: UUID
    sounded: bool
    said: str
    """`read back`, `not read back`, or the reason"""


class _Order(Struct, forbid_unknown_fields=True):
    edge: _Id
    id: _Uuid
    rule: _Id
    d: _Id
    a: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]
    until: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Answer(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    id: _Uuid
    sounded: bool
    said: Annotated[str, Meta(max_length=MAX_REASON)]


_order = msgspec.json.Decoder(_Order)
_answer = msgspec.json.Decoder(_Answer)


def siren_topic(partition: int, edge: str) -> str:
    """Where an edge hears orders; nothing is retained there."""
    return f"anxin/v1/{partition}/{edge}/down/siren"


def siren_answer_topic(partition: int, edge: str) -> str:
    """Where it answers."""
    return f"anxin/v1/{partition}/{edge}/up/siren"


def make_siren_order(order: SirenOrder, private: bytes) -> bytes:
    """The signed message."""
    body = _Order(order.edge, str(order.id), order.rule, order.device, order.definition, order.until)
    return seal_order("siren", body, private)


def read_siren_order(payload: bytes, edge: str, public: bytes) -> SirenOrder:
    """The order, once its signature holds and it is for `edge`; raises BadInput (`order`) that says which does not."""
    body = open_order("siren", payload, public, _order)
    if body.edge != edge:
        raise refused(f"it is for edge {body.edge!r}")
    return SirenOrder(body.edge, UUID(body.id), body.rule, body.d, body.a, body.until)


def make_siren_answer(answer: SirenAnswer) -> bytes:
    """The message of the edge."""
    return msgspec.json.encode(_Answer(1, str(answer.id), answer.sounded, answer.said[:MAX_REASON]))


def read_siren_answer(payload: bytes) -> SirenAnswer:
    """What an edge answered; raises BadInput (`payload`)."""
    try:
        if len(payload) > MAX_ORDER:
            raise ValueError
        found = _answer.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise BadInput("is no answer to an order of a siren", "", code="payload") from None
    return SirenAnswer(UUID(found.id), found.sounded, found.said)


def rule_for(order: SirenOrder, rules: tuple[LocalRule, ...], now: Micros) -> LocalRule:
    """The rule whose siren sounds; raises BadInput where it is too late, or where the rule does not watch this for fire, and fire alone."""
    if now > order.until:
        raise refused("the order is too old")
    rule = next((rule for rule in rules if rule.id == order.rule), None)
    if rule is None:
        raise refused(f"this edge has no local rule {order.rule!r}")
    if not any(_is_it(watch, order) for watch in rule.watches):
        raise refused(f"rule {order.rule!r} does not watch {order.device}/{order.definition} for fire")
    return rule


def _is_it(watch: RuleWatch, order: SirenOrder) -> bool:
    return (watch.device, watch.definition) == (order.device, order.definition) and is_for_fire(watch)
