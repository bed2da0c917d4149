"""Authorities (police 110, fire 119, the level above): a type of their own, which no exercise can reach.

A `Channel` takes a `Message`, which may be of an exercise; an `AuthorityChannel` takes a `Handover`, whose `exercise` has the type None: the type
checker refuses to make one of anything that may be an exercise, the constructor refuses it while running, and the table `handover` refuses it
by a foreign key. Neither protocol has the other's method.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid5

from pydantic import ValidationError

from hub.core.channels import NO_KEY, is_sealed
from hub.errors import BadInput
from hub.model import Exercise, Priority, SignalClass
from hub.notify.message import Receipt
from hub.notify.webhook import WebhookSettings, post_signed
from hub.profiles import Title

_NAMESPACE = UUID("0c2b54c2-93b7-5d0e-8a7c-616e78696e01")
AUTOMATIC = frozenset({SignalClass.FIRE, SignalClass.PANIC})
"""what may be handed over without a person's button"""


class Contact(Title):
    """Somebody at the institution who can be called."""

    phone: str


class Camera(Title):
    """A camera beside the alarm: `link` opens it in the institution's video system, empty where that is not known."""

    device: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One alarm for one authority: what happened, where, whom to call there, what can be seen. Never of an exercise."""

    id: UUID
    """the idempotency key on the wire, with the channel"""
    exercise: None
    alarm: UUID
    authority: str
    signal_class: SignalClass
    priority: Priority
    title: Title
    raised_at: datetime
    late: bool
    institution: str
    institution_title: Title
    division: str
    place: Title
    floor: int | None
    latitude: float | None
    """WGS-84"""
    longitude: float | None
    contacts: tuple[Contact, ...]
    """in the order of calling"""
    cameras: tuple[Camera, ...]
    begun_at: datetime
    begun_by: str
    note: str

    def __post_init__(self) -> None:
        refuse_exercise(self.exercise)


def refuse_exercise(exercise: object) -> None:
    """Raises TypeError for whatever is not real: an exercise that came as far as here is a mistake of ours, and a grave one."""
    if exercise is not None:
        known = exercise.value if isinstance(exercise, Exercise) else type(exercise).__name__
        raise TypeError(f"an authority is never told of an exercise ({known})")


def handover_id(alarm: UUID, authority: str) -> UUID:
    """One alarm is handed to one authority once."""
    return uuid5(_NAMESPACE, f"{alarm}/{authority}")


class AuthorityChannel(Protocol):
    """One way to hand an alarm to an authority's own system."""

    async def hand_over(self, handover: Handover) -> Receipt:
        """One attempt, within the channel's own time limit. What goes wrong on the way is a receipt, not an exception."""
        ...


def content(handover: Handover) -> bytes:
    """The body for a system of an authority: everything that somebody who goes there needs, and nothing of children."""
    data = {
        "handover": str(handover.id),
        "alarm": str(handover.alarm),
        "authority": handover.authority,
        "class": handover.signal_class,
        "priority": handover.priority,
        "title": handover.title.model_dump(),
        "raised_at": _rfc3339(handover.raised_at),
        "late": handover.late,
        "institution": handover.institution,
        "institution_title": handover.institution_title.model_dump(),
        "division": handover.division,
        "place": handover.place.model_dump(),
        "floor": handover.floor,
        "position": None
        if handover.latitude is None or handover.longitude is None
        else {"latitude": handover.latitude, "longitude": handover.longitude},
        "contacts": [contact.model_dump() for contact in handover.contacts],
        "cameras": [camera.model_dump() for camera in handover.cameras],
        "begun_at": _rfc3339(handover.begun_at),
        "begun_by": handover.begun_by,
        "note": handover.note,
    }
    document = {"type": "alarm.handover", "timestamp": _rfc3339(handover.begun_at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class AuthorityWebhook:
    """Posts a handover, signed after Standard Webhooks, as pages are."""

    def __init__(self, settings: WebhookSettings, *, allow_loopback: bool = False, seconds: float = 5.0) -> None:
        self._settings = settings
        self._allow_loopback = allow_loopback
        self._seconds = seconds

    async def hand_over(self, handover: Handover) -> Receipt:
        """One POST, five seconds at most for all of it."""
        refuse_exercise(handover.exercise)
        return await post_signed(
            self._settings,
            str(handover.id),
            content(handover),
            allow_loopback=self._allow_loopback,
            seconds=self._seconds,
        )


KINDS: Mapping[str, type[WebhookSettings]] = {"webhook": WebhookSettings}
"""kinds of channel to an authority: a person's telephone needs none"""


def open_authority(kind: str, settings: Mapping[str, Any], where: str, *, allow_loopback: bool) -> AuthorityChannel:
    """A channel ready to hand over; raises BadInput that names `where` and the key, never a value."""
    model = KINDS.get(kind)
    if model is None:
        raise BadInput(f"there is no such kind {kind!r} to an authority: {', '.join(KINDS)}", where, code="channel")
    if is_sealed(settings):
        raise BadInput(NO_KEY, where, code="channel")
    try:
        return AuthorityWebhook(model.model_validate(settings), allow_loopback=allow_loopback)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key, reason = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{key}: {reason}" if key else reason, where, code="channel") from None
