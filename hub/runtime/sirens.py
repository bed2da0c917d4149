"""The centre's way to a site's siren: a signed order to its edge, and the edge's answer, over a connection of its own."""

import asyncio
import secrets

import structlog

from hub.core.siren_order import (
    VALID,
    SirenAnswer,
    SirenOrder,
    make_siren_order,
    read_siren_answer,
    siren_answer_topic,
    siren_topic,
)
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import to_micros
from hub.mqtt import Broker, Session, session
from hub.notify import Message, Outcome, Receipt
from hub.store.configurations import signing_key, way_to_edge
from hub.store.pool import connect
from hub.store.session import translated

_log = structlog.get_logger(__name__)

_ANSWER = 9.0
"""seconds; the channel gives up soon after"""


class Sirens:
    """Orders to edges."""

    def __init__(self, database_url: str, broker: Broker) -> None:
        self._database = database_url
        self._broker = broker

    async def sound(self, edge: str, rule: str, message: Message) -> Receipt:
        """Order the siren of this rule sounded for the message's fire; delivered is only what the edge says it wrote."""
        try:
            conn = await connect(self._database, "sirens")
            async with conn:
                with translated():
                    way = await way_to_edge(conn, edge)
                    key = await signing_key(conn, secrets.token_bytes(32))
            if way is None or way.institution != message.institution:
                return Receipt(Outcome.REFUSED, None, "there is no such edge at the institution that burns")
            order = SirenOrder(edge, message.id, rule, message.device, message.definition, to_micros(way.now) + VALID)
            name = f"hub-siren-{secrets.token_hex(6)}"
            async with session(self._broker, client_id=name, clean_start=True, session_expiry=0) as live:
                await live.subscribe(siren_answer_topic(way.partition, way.client))
                await live.publish(siren_topic(way.partition, way.client), make_siren_order(order, key))
                answer = await _answer(live, order)
        except (LinkDown, AccessDenied, BadInput) as error:
            _log.warning("siren_not_reached", edge=edge, rule=rule, reason=str(error))
            return Receipt(Outcome.FAILED, None, "the edge could not be reached")
        except TimeoutError:
            return Receipt(Outcome.FAILED, None, f"the edge did not answer within {_ANSWER:g} s")
        if answer.sounded:
            return Receipt(Outcome.DELIVERED, None, f"sounded, {'' if answer.said == 'read back' else 'not '}read back")
        _log.error("siren_not_sounded", edge=edge, rule=rule, alarm=str(message.alarm), reason=answer.said)
        return Receipt(Outcome.FAILED, None, "the edge says that it could not sound it")


async def _answer(live: Session, order: SirenOrder) -> SirenAnswer:
    async with asyncio.timeout(_ANSWER):
        while True:
            for incoming in await live.take(10):
                live.settle(incoming)
                try:
                    answer = read_siren_answer(incoming.payload)
                except BadInput:
                    continue
                if answer.id == order.id:
                    return answer
