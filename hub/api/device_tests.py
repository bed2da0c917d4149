"""Function tests: asked for here, opened and judged by the ingest that owns the device. A passed test commissions it."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from hub.api.access import Conn, Hub, Reader, Tester
from hub.api.device_schemas import DeviceTest, DeviceTestRequest, DeviceTestStarted
from hub.api.devices import DeviceId
from hub.api.problems import documented
from hub.errors import Conflict, NotFound
from hub.store import audit, commissioning, police_windows, views

router = APIRouter(tags=["device tests"])
_OPENING = timedelta(seconds=5)
"""what ingest takes to open a test: its time counts from there"""


@router.post("/devices/{device}/test", status_code=202, responses=documented(409))
async def start_device_test(
    who: Tester, conn: Conn, hub: Hub, device: DeviceId, asked: DeviceTestRequest | None = None
) -> DeviceTestStarted:
    """Start a function test. While it runs nobody is paged for this device; what must be seen stands in its profile.

    A device that dials the police centre itself is tested only in a window booked there (409): the hub cannot stop that line.
    """
    found = await views.device_key(conn, who.scope, device)
    profile = hub.profiles.get(found.profile)
    if profile is None:
        raise Conflict(f"profile {found.profile!r} of device {device} is not installed")
    seconds = None if asked is None else asked.within_seconds
    within = profile.test.within if seconds is None else round(seconds * 1_000_000)
    now = hub.clock()
    end = await police_windows.check(
        conn, device, profile.dials_police, now, now + timedelta(microseconds=within) + _OPENING
    )
    started = await commissioning.request(conn, device, who.name, within, end)
    await audit.record(
        conn, who.name, "device.test", f"device:{device}", {"test": str(started), "dials_police": end is not None}
    )
    return DeviceTestStarted(id=started)


@router.get("/device-tests/{test}")
async def show_device_test(who: Reader, conn: Conn, test: Annotated[UUID, Path()]) -> DeviceTest:
    """How a function test stands."""
    try:
        found = await commissioning.get(conn, test)
        await views.device_key(conn, who.scope, found.device)
    except NotFound:
        # the same words whether it does not exist or is another's
        raise NotFound(f"there is no function test {test}") from None
    return DeviceTest.model_validate(found, from_attributes=True)
