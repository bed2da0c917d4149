"""Windows at the police centre for buttons that dial it by a line of their own: booked, cancelled, their receipts stored."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from hub.api import pages
from hub.api.access import Conn, Exerciser, Hub, Reader
from hub.api.exercise_schemas import Window, WindowReceipt, WindowRequest
from hub.api.places import InstitutionFilter
from hub.api.problems import documented
from hub.api.schemas import Identifier
from hub.errors import BadInput
from hub.store import audit, police_windows, views
from hub.store.police_windows import Booking

router = APIRouter(prefix="/police-windows", tags=["police windows"])
WindowId = Annotated[UUID, Path(description="The window's id.")]
_LONGEST = timedelta(hours=24)


@router.get("")
async def list_windows(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    device: Annotated[Identifier | None, Query()] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Window]:
    """Windows, the newest first."""
    rows = await police_windows.listed(
        conn, who.scope, limit=limit + 1, after=pages.moment_and_id(cursor), institution=institution, device=device
    )
    return pages.page(
        rows, limit, Window.model_validate, lambda row: (pages.moment_key(row["starts_at"]), str(row["id"]))
    )


@router.post("", status_code=201, responses=documented(409))
async def book_window(who: Exerciser, conn: Conn, hub: Hub, asked: WindowRequest) -> Window:
    """Note a window that was agreed with the police centre. The hub books nothing there: it keeps what was agreed."""
    if asked.ends_at <= asked.starts_at or asked.ends_at - asked.starts_at > _LONGEST:
        raise BadInput("after starts_at, by 24 hours at most", "ends_at", code="window")
    if asked.ends_at <= hub.clock():
        raise BadInput("is past", "ends_at", code="window")
    device = await views.device_key(conn, who.scope, asked.device)
    booking = Booking(asked.reference, asked.agreed_by, asked.starts_at, asked.ends_at)
    made = await police_windows.book(conn, device, booking, who.name)
    await audit.record(
        conn, who.name, "window.book", f"window:{made}", {"device": device.id, "reference": asked.reference}
    )
    return await _shown(who, conn, made)


@router.get("/{window}")
async def show_window(who: Reader, conn: Conn, window: WindowId) -> Window:
    """One window with its receipt."""
    return await _shown(who, conn, window)


@router.post("/{window}/receipt", responses=documented(409))
async def store_receipt(who: Exerciser, conn: Conn, hub: Hub, window: WindowId, asked: WindowReceipt) -> Window:
    """Store what the centre confirmed after the test: its number and text, once and for good."""
    await police_windows.receive(conn, who.scope, window, asked.number, asked.text, who.name, hub.clock())
    await audit.record(conn, who.name, "window.receipt", f"window:{window}", {"number": asked.number})
    return await _shown(who, conn, window)


@router.post("/{window}/cancel", responses=documented(409))
async def cancel_window(who: Exerciser, conn: Conn, hub: Hub, window: WindowId) -> Window:
    """The window is no more: no test of the device begins in it."""
    await police_windows.cancel(conn, who.scope, window, who.name, hub.clock())
    await audit.record(conn, who.name, "window.cancel", f"window:{window}", {})
    return await _shown(who, conn, window)


async def _shown(who: Reader, conn: Conn, window: UUID) -> Window:
    return Window.model_validate(await police_windows.get(conn, who.scope, window))
