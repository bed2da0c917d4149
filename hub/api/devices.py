"""Devices: their three axes, points, readings and events; in and out of service."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from hub.api import pages, shapes
from hub.api.access import Conn, Hub, Provisioner, Reader
from hub.api.completeness import Completeness, rhythm
from hub.api.completeness import shape as shape_completeness
from hub.api.device_schemas import (
    AdminStateChange,
    AdminStateName,
    Device,
    DeviceStatus,
    Event,
    Figure,
    FunctionStateName,
    KindName,
    LinkStateName,
    PointState,
    Reading,
    Silence,
)
from hub.api.places import DivisionFilter, InstitutionFilter, Retired
from hub.api.problems import documented
from hub.api.schemas import FIRST, GivenMoment, Identifier
from hub.errors import BadInput
from hub.store import audit, blindness, completeness, views
from hub.store.rows import Row

router = APIRouter(tags=["devices"])

DeviceId = Annotated[Identifier, Path(description="The device's id.")]
PointName = Annotated[str, Query(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["temperature"])]
Instance = Annotated[str, Query(max_length=100, description="Part, channel or table index; empty for most points.")]
Since = Annotated[GivenMoment | None, Query(alias="from", description="From this time on (RFC 3339 with offset).")]
Until = Annotated[GivenMoment | None, Query(alias="to", description="Before this time.")]
KindFilter = Annotated[KindName | None, Query()]
_DEFAULT_SPAN = timedelta(days=1)
_AHEAD = timedelta(minutes=10)
"""Readings may be stored up to five minutes ahead of the clock."""


class ReadingPage(pages.Page[Reading]):
    """A page of readings, with the completeness of all that was asked for."""

    completeness: Completeness = Field(description="of the whole period asked for, not of the page alone")


class FigurePage(pages.Page[Figure]):
    """A page of figures, with the completeness of all that was asked for: hours and days without any row are in it, too."""

    completeness: Completeness = Field(description="of the whole period asked for, not of the page alone")


@router.get("/device-status")
async def list_device_status(
    who: Reader,
    conn: Conn,
    division: DivisionFilter = None,
    institution: InstitutionFilter = None,
    kind: KindFilter = None,
    link_state: Annotated[LinkStateName | None, Query()] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[DeviceStatus]:
    """The compact list for platforms: every device with admin, link and function state, since when and why."""
    rows = await views.device_status(
        conn,
        who.scope,
        limit=limit + 1,
        after=pages.text_key(cursor),
        division=division,
        institution=institution,
        kind=kind,
        link_state=link_state,
    )
    return pages.page(rows, limit, DeviceStatus.model_validate, lambda row: (row["id"],))


@router.get("/devices")
async def list_devices(
    who: Reader,
    conn: Conn,
    hub: Hub,
    division: DivisionFilter = None,
    institution: InstitutionFilter = None,
    kind: KindFilter = None,
    profile: Annotated[Identifier | None, Query()] = None,
    admin_state: Annotated[AdminStateName | None, Query()] = None,
    link_state: Annotated[LinkStateName | None, Query()] = None,
    function_state: Annotated[FunctionStateName | None, Query()] = None,
    retired: Retired = False,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Device]:
    """Devices of your scope, by id."""
    rows = await views.devices(
        conn,
        who.scope,
        limit=limit + 1,
        after=pages.text_key(cursor),
        retired=retired,
        division=division,
        institution=institution,
        kind=kind,
        profile=profile,
        admin_state=admin_state,
        link_state=link_state,
        function_state=function_state,
    )
    return pages.page(
        rows, limit, lambda row: Device.model_validate(shapes.device_row(hub.profiles, row)), lambda row: (row["id"],)
    )


@router.get("/devices/{device}")
async def show_device(who: Reader, conn: Conn, hub: Hub, device: DeviceId) -> Device:
    """One device with its three axes."""
    return Device.model_validate(shapes.device_row(hub.profiles, await views.device(conn, who.scope, device)))


@router.get("/devices/{device}/silences")
async def list_silences(
    who: Reader, conn: Conn, device: DeviceId, limit: pages.Limit = 100, cursor: pages.CursorParam = None
) -> pages.Page[Silence]:
    """When a device was not seen and why, newest first: what is known now, and beside it what was said at the time where that was less."""
    found = await views.device_key(conn, who.scope, device)
    keys = pages.decode(cursor, int)
    rows = await blindness.silences(conn, found.key, limit=limit + 1, before=None if keys is None else int(keys[0]))
    return pages.page(rows, limit, Silence.model_validate, lambda row: (row["key"],))


@router.get("/devices/{device}/points")
async def list_points(
    who: Reader,
    conn: Conn,
    hub: Hub,
    device: DeviceId,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[PointState]:
    """The latest value of every series of a device."""
    found = await views.device_key(conn, who.scope, device)
    rows = await views.points(conn, found, limit=limit + 1, after=pages.text_keys(cursor))

    def shape(row: Row) -> PointState:
        point = shapes.point_of(hub.profiles, found.profile, row["point"])
        more = {"label": shapes.label(point, row["value"]), "unit": "" if point is None else point.unit}
        return PointState.model_validate({**row, **shapes.quality(row["quality"]), **more})

    return pages.page(rows, limit, shape, lambda row: (row["point"], row["instance"]))


@router.get("/devices/{device}/readings")
async def list_readings(
    who: Reader,
    conn: Conn,
    hub: Hub,
    device: DeviceId,
    point: PointName,
    instance: Instance = "",
    since: Since = None,
    until: Until = None,
    order: Annotated[str, Query(pattern="^(asc|desc)$", description="By event time.")] = "desc",
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> ReadingPage:
    """Stored readings of one series in [from, to): the last day where nothing is said, newest first."""
    found = await views.device_key(conn, who.scope, device)
    known = shapes.point_of(hub.profiles, found.profile, point)
    if known is None and found.profile in hub.profiles:
        raise BadInput(f"profile {found.profile!r} has no point {point!r}", "query/point", "point")
    keys = pages.decode(cursor, str)
    since, until = _span(since, until, hub.clock())
    rows = await views.readings(
        conn,
        found,
        point=point,
        instance=instance,
        since=since,
        until=until,
        newest_first=order == "desc",
        limit=limit + 1,
        after=None if keys is None else pages.key_moment(keys[0]),
    )

    def shape(row: Row) -> Reading:
        more = {**shapes.quality(row["quality"]), "label": shapes.label(known, row["value"])}
        return Reading.model_validate({**row, **more})

    missing = await completeness.gaps_of(conn, found, rhythm(known, point, instance), since, until, hub.clock())
    shown = pages.page(rows, limit, shape, lambda row: (pages.moment_key(row["at"]),))
    whole = shape_completeness(missing.over(since, until))
    return ReadingPage(items=shown.items, next=shown.next, completeness=whole)


@router.get("/devices/{device}/figures")
async def list_figures(
    who: Reader,
    conn: Conn,
    hub: Hub,
    device: DeviceId,
    point: PointName,
    instance: Instance = "",
    by: Annotated[Literal["hour", "day"], Query(description="Hours of UTC; days of China, +08:00.")] = "hour",
    since: Since = None,
    until: Until = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> FigurePage:
    """Mean, least and greatest of one series by hour or day in [from, to), oldest first, each with its completeness.

    The mean is of the rows that are stored: report by exception stores a value that moves more often than one that stands.
    """
    found = await views.device_key(conn, who.scope, device)
    if point not in (profile.points if (profile := hub.profiles.get(found.profile)) else (point,)):
        raise BadInput(f"profile {found.profile!r} has no point {point!r}", "query/point", "point")
    known = shapes.point_of(hub.profiles, found.profile, point)
    keys = pages.decode(cursor, str)
    after = None if keys is None else pages.key_moment(keys[0])
    now = hub.clock()
    since, until = _span(since, until, now)
    width = timedelta(hours=1) if by == "hour" else timedelta(days=1)
    rows = await completeness.figures(
        conn,
        found,
        point=point,
        instance=instance,
        by=by,
        since=since,
        until=until,
        limit=limit + 1,
        after=after,
    )
    missing = await completeness.gaps_of(conn, found, rhythm(known, point, instance), since, until, now)

    def shape(row: Row) -> Figure:
        whole = missing.over(row["since"], row["since"] + width)
        return Figure.model_validate({**row, "until": row["since"] + width, "completeness": whole.share})

    shown = pages.page(rows, limit, shape, lambda row: (pages.moment_key(row["since"]),))
    return FigurePage(items=shown.items, next=shown.next, completeness=shape_completeness(missing.over(since, until)))


def _span(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    end = now + _AHEAD if until is None else until
    start = max(FIRST, end - _DEFAULT_SPAN) if since is None else since
    if start > end:
        raise BadInput("'from' lies after 'to'", "query/from", "validation")
    return start, end


@router.get("/devices/{device}/events")
async def list_events(
    who: Reader,
    conn: Conn,
    device: DeviceId,
    point: Annotated[PointName | None, Query()] = None,
    since: Since = None,
    until: Until = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Event]:
    """Events of a device, newest first."""
    found = await views.device_key(conn, who.scope, device)
    keys = pages.decode(cursor, str, str, int, int)
    after = None if keys is None else (pages.key_moment(keys[0]), str(keys[1]), int(keys[2]), int(keys[3]))
    rows = await views.events(conn, found, limit=limit + 1, point=point, since=since, until=until, after=after)
    return pages.page(
        rows,
        limit,
        lambda row: Event.model_validate({**row, **shapes.quality(row["quality"])}),
        lambda row: (pages.moment_key(row["at"]), row["stream"], row["seq"], row["n"]),
    )


@router.post("/devices/{device}/admin-state", responses=documented(409))
async def set_admin_state(who: Provisioner, conn: Conn, hub: Hub, device: DeviceId, asked: AdminStateChange) -> Device:
    """Put a device in or out of service, with a reason. A device that was never commissioned has to pass a function test first."""
    found = await views.device_key(conn, who.scope, device)
    await views.set_admin_state(conn, found, asked.state, asked.reason, hub.clock())
    detail = {"state": asked.state, "reason": asked.reason}
    await audit.record(conn, who.name, "device.admin-state", f"device:{device}", detail)
    return Device.model_validate(shapes.device_row(hub.profiles, await views.device(conn, who.scope, device)))
