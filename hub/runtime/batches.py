"""What ingest does with a batch beside judging it: naming its samples, the note on who is not registered."""

from collections.abc import Sequence
from typing import NamedTuple

from hub.core import wire
from hub.core.draft import Draft
from hub.core.lane import Message
from hub.core.rows import Quarantined
from hub.errors import BadInput
from hub.model import Lane
from hub.mqtt import Incoming
from hub.registry import Registry
from hub.runtime.refusals import Place


def has_rows(draft: Draft) -> bool:
    """Whether a draft writes anything."""
    return bool(
        draft.streams or draft.live or draft.watches or draft.latest or draft.tests or draft.touched
        or draft.quarantined or draft.events or draft.readings or draft.passed or draft.expired or draft.changes
        or draft.tallies or draft.gaps
    )  # fmt: skip


def samples_of(messages: Sequence[Message], refused: frozenset[Place]) -> list[Place]:
    """Every sample of the messages by its place, but those that were refused already."""
    places = []
    for message in messages:
        try:
            up = wire.decode_up(message.payload)
        except BadInput:
            continue
        places += [(message.stream, message.seq, n) for n, _ in up.samples]
    return [place for place in places if place not in refused]


def known_of(registry: Registry, messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Messages of clients that may speak, and those of others."""
    known: list[Message] = []
    unknown: list[Message] = []
    for message in messages:
        client = registry.clients.get(message.client)
        (known if client is not None and not client.revoked else unknown).append(message)
    return known, unknown


def unregistered(message: Message) -> Quarantined:
    """The note on a message of a client that is not registered, or revoked."""
    reason = f"topic {message.topic}: client {message.client} is not registered in this partition, or revoked"
    held = message.payload[: wire.QUARANTINED_BYTES]
    return Quarantined(None, message.client, message.topic, None, None, None, "client", reason, held)


class Addressed(NamedTuple):
    """What came, by what it is."""

    messages: list[Message]
    strays: list[Quarantined]
    """a note on each whose topic or properties do not hold"""
    states: list[tuple[str, wire.SessionState]]
    """clients whose sessions began or ended, in order"""


def addressed(incoming: Sequence[Incoming], lane: Lane) -> Addressed:
    """What came, by what it is; the bulk lane passes over what the urgent one has too."""
    messages: list[Message] = []
    strays: list[Quarantined] = []
    states: list[tuple[str, wire.SessionState]] = []
    for item in incoming:
        if lane is Lane.BULK and item.topic.endswith(("/up/urgent", "/up/siren")):
            continue  # the urgent lane has it; an edge's answer about a siren is for whoever ordered it
        try:
            state = wire.parse_state(item.topic, item.payload)
            if state is not None:
                states.append(state)
            else:
                messages.append(_addressed(item, lane))
        except BadInput as error:
            reason = f"{error.where}: {error.reason}"[:1000]
            held = item.payload[: wire.QUARANTINED_BYTES]
            client = item.topic.split("/")[3][:40] if item.topic.count("/") >= 3 else None
            strays.append(Quarantined(None, client, item.topic[:400], None, None, None, error.code, reason, held))
    return Addressed(messages, strays, states)


def _addressed(item: Incoming, lane: Lane) -> Message:
    topic = wire.parse_topic(item.topic)
    if topic.direction != "up" or topic.lane is not lane:
        raise BadInput("not a topic of this protocol", f"topic {item.topic[:200]!r}", code="topic")
    stream, seq = wire.parse_properties(item.properties, topic.lane)
    return Message(item.topic, topic.client, topic.lane, stream, seq, item.payload, wire.parse_items(item.properties))
