"""The canary: what it is as a device, what it says, and by which page it is known to have come back. Pure.

It presses like a button and takes the whole path: broker, ingest, alarm, escalation, deliverer, sink. It never is a real alarm: its rows are told
by their negative keys, and the database marks and directs what they cause (migration 0012).
"""

import uuid
from typing import NamedTuple
from uuid import UUID

from hub.core import wire
from hub.core.alarms import alarm_id
from hub.core.escalation import CANARY, idempotency_key, round_of
from hub.model import Lane, Micros, Sample, Series
from hub.profiles import Profile, parse_profile

_NAMESPACE = UUID("c8e35a4e-7b0e-5cc0-9c3f-616e78696e01")
DEFINITION = "canary"
POINT = "press"

PROFILE: Profile = parse_profile(
    {
        "profile": "anxin-canary",
        "kind": "other",
        "vendor": "anxin",
        "model": "canary",
        "title": {"zh": "心跳验证", "en": "Canary"},
        "source": "our own",
        "driver": "edge",
        "liveness": {"beat": "30s", "offline_after": "90s"},
        "points": {POINT: {"title": {"zh": "按下", "en": "press"}, "type": "int", "record": "event"}},
        "alarms": {
            DEFINITION: {
                "title": {"zh": "心跳验证", "en": "Canary"},
                "class": "panic",
                "priority": "critical",
                "point": POINT,
                "condition": {"present": True},
                "response": {"zh": "无需处置。", "en": "Nothing to do."},
            }
        },
        "test": {"seen": [POINT]},
    },
    "hub.core.canary",
)
"""Not among the shipped profiles: nobody installs one."""


class Flight(NamedTuple):
    """One press of one canary: where it is said, and the key of the page by which it comes back."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    alarm: UUID
    key: UUID


def stream_of(name: str) -> str:
    """The canary's stream, the same at every start of an auditor."""
    return f"{uuid.uuid5(_NAMESPACE, name)}-{Lane.URGENT}"


def flight(name: str, partition: int, seq: int, at: Micros) -> Flight:
    """Canary `name` of `partition` presses at `at`, as message `seq` of its stream."""
    alarm = alarm_id(name, DEFINITION, "", at)
    (row,) = round_of(CANARY, 1)
    topic = str(wire.Topic(partition, name, "up", Lane.URGENT))
    payload = wire.encode_up([Sample(Series(name, POINT), at, 1)])
    return Flight(topic, payload, wire.properties_of(stream_of(name), seq), alarm, idempotency_key(alarm, row))
