"""Maintenance windows: for a while the alarms of a place are recorded and their paging waits. Fire and panic are never held."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api import pages
from hub.api.access import Conn, Hub, Maintainer, Reader
from hub.api.places import InstitutionFilter
from hub.api.problems import documented
from hub.api.schemas import Given, GivenMoment, Identifier, Moment
from hub.errors import BadInput
from hub.store import audit, maintenance

router = APIRouter(prefix="/maintenance-windows", tags=["alarms"])

WindowId = Annotated[UUID, Path(description="The window's id.")]
Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


class MaintenanceWindow(BaseModel):
    """A window over an institution, or one zone or one device of it."""

    id: UUID
    institution: str
    zone: str | None
    device: str | None
    since: Moment
    until: Moment
    reason: str
    made_by: str
    made_at: Moment
    ended_by: str | None = Field(description="who ended it before its time")
    holds: int = Field(description="alarms whose paging it holds now")


class GivenWindow(Given):
    """What is raised between `since` (now, where it is left out) and `until` waits: at most 7 days."""

    institution: Identifier
    zone: Identifier | None = None
    device: Identifier | None = None
    since: GivenMoment | None = None
    until: GivenMoment
    reason: Reason


class WindowChange(Given):
    """Another end, another reason."""

    until: GivenMoment | None = None
    reason: Reason | None = None


@router.get("")
async def list_maintenance(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    open: Annotated[bool | None, Query(description="Only those that have not ended, or that have.")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[MaintenanceWindow]:
    """Windows within your scope by their beginning, the latest first."""
    keys = pages.decode(cursor, str, str)
    after = None if keys is None else (pages.key_moment(keys[0]), _uuid(keys[1]))
    rows = await maintenance.windows(conn, who.scope, limit=limit + 1, after=after, institution=institution, open=open)
    return pages.page(
        rows,
        limit,
        MaintenanceWindow.model_validate,
        lambda row: (pages.moment_key(row["since"]), str(row["id"])),
    )


def _uuid(key: pages.Key) -> UUID:
    try:
        return UUID(str(key))
    except ValueError:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor") from None


@router.get("/{window}")
async def show_maintenance(who: Reader, conn: Conn, window: WindowId) -> MaintenanceWindow:
    """One window."""
    return MaintenanceWindow.model_validate(await maintenance.window(conn, who.scope, window))


@router.post("", status_code=201, responses=documented(409))
async def make_maintenance(who: Maintainer, conn: Conn, hub: Hub, asked: GivenWindow) -> MaintenanceWindow:
    """Book a window. What already stands goes on being paged."""
    now = hub.clock()
    since: datetime = now if asked.since is None else asked.since
    made = await maintenance.make(
        conn,
        who.scope,
        institution=asked.institution,
        zone=asked.zone,
        device=asked.device,
        since=since,
        until=asked.until,
        reason=asked.reason,
        actor=who.name,
        now=now,
    )
    said = {"institution": asked.institution, "zone": asked.zone, "device": asked.device, "reason": asked.reason}
    times = {"since": since.isoformat(), "until": asked.until.isoformat()}
    await audit.record(conn, who.name, "maintenance.make", f"maintenance:{made}", said | times)
    return MaintenanceWindow.model_validate(await maintenance.window(conn, who.scope, made))


@router.patch("/{window}", responses=documented(409))
async def change_maintenance(
    who: Maintainer, conn: Conn, hub: Hub, window: WindowId, asked: WindowChange
) -> MaintenanceWindow:
    """Move its end or reword it; the alarms that it holds follow."""
    changes = {"until": asked.until, "reason": asked.reason}
    await maintenance.change(conn, who.scope, window, **changes, actor=who.name, now=hub.clock())  # type: ignore[arg-type]
    said = {name: str(value) for name, value in changes.items() if value is not None}
    await audit.record(conn, who.name, "maintenance.change", f"maintenance:{window}", said)
    return MaintenanceWindow.model_validate(await maintenance.window(conn, who.scope, window))


@router.delete("/{window}", responses=documented(409))
async def end_maintenance(who: Maintainer, conn: Conn, window: WindowId) -> MaintenanceWindow:
    """End it now, or call off one that has not begun: what it holds and still stands is paged at once. It stays on record."""
    await maintenance.end(conn, who.scope, window, actor=who.name)
    await audit.record(conn, who.name, "maintenance.end", f"maintenance:{window}", {})
    return MaintenanceWindow.model_validate(await maintenance.window(conn, who.scope, window))
