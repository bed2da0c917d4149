"""What one message told of: the alarms that it listed, acknowledged together by whoever read it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from hub.api.access import Acknowledger, Conn, Hub, Reader
from hub.api.alarm_schemas import AlarmNote
from hub.core.alarms import AlarmEvent
from hub.core.rights import Scope
from hub.errors import Conflict, NotFound
from hub.model import to_micros
from hub.store import alarms, audit, paging, views
from hub.store.pool import Connection

router = APIRouter(prefix="/notifications", tags=["alarms"])

NotificationId = Annotated[UUID, Path(description="The notification's id: the `webhook-id` of its message.")]


class Told(BaseModel):
    """The alarms that a message told of, as far as they are within your scope, in the order of their ids."""

    id: UUID
    alarms: list[UUID]


class Left(BaseModel):
    """An alarm that was not acknowledged, and why."""

    alarm: UUID
    reason: str


class Acknowledged(BaseModel):
    """What became of each."""

    acknowledged: list[UUID]
    left: list[Left] = Field(description="taken by somebody else already, or ended")


@router.get("/{notification}")
async def show_notification(who: Reader, conn: Conn, notification: NotificationId) -> Told:
    """The alarms that this message told of: all that a digest listed, or the one of a page."""
    return Told(id=notification, alarms=await _within(conn, who.scope, notification))


@router.post("/{notification}/acknowledge")
async def acknowledge_told(
    who: Acknowledger, conn: Conn, hub: Hub, notification: NotificationId, asked: AlarmNote | None = None
) -> Acknowledged:
    """Own every alarm that this message told of, each with its own line in its history. What came after the message was sent pages on."""
    note, taken, left = "" if asked is None else asked.note, list[UUID](), list[Left]()
    for alarm in await _within(conn, who.scope, notification):
        try:
            await alarms.act(conn, alarm, AlarmEvent.ACKNOWLEDGE, who.name, note, to_micros(hub.clock()))
        except Conflict as error:
            left.append(Left(alarm=alarm, reason=str(error)))
            continue
        await audit.record(conn, who.name, "alarm.acknowledge", f"alarm:{alarm}", {"note": note})
        taken.append(alarm)
    return Acknowledged(acknowledged=taken, left=left)


async def _within(conn: Connection, scope: Scope, notification: UUID) -> list[UUID]:
    async with conn.cursor() as cur:
        told = await paging.told_of(cur, notification)
    found = []
    for alarm in told:
        try:
            await views.alarm(conn, scope, alarm)
        except NotFound:
            continue
        found.append(alarm)
    if not found:
        raise NotFound(f"there is no notification {notification}")
    return found
