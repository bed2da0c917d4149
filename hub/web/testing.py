"""Function tests, and windows at the police centre for buttons that dial it themselves: booked, cancelled, their receipts kept."""

from datetime import timedelta
from uuid import UUID

from starlette.responses import Response

from hub.api import pages
from hub.core.rights import Permission
from hub.errors import BadInput
from hub.store import audit, console, police_windows, views
from hub.store.police_windows import Booking
from hub.web.asking import Asked, said
from hub.web.fields import IDENTIFIER, LINE, needed, text
from hub.web.rendering import render
from hub.web.words import word

LISTED = 50
DEVICES = 500
_LONGEST = timedelta(hours=24)
_RECEIPT = 4000
_PLACE = "/console/tests"


async def show(ask: Asked) -> Response:
    """Windows, the newest first, and the last function tests of one's scope."""
    after = pages.moment_and_id(ask.request.query_params.get("cursor") or None)
    rows = await police_windows.listed(ask.conn, ask.who.scope, limit=LISTED + 1, after=after)
    cursor = None
    if len(rows) > LISTED:
        cursor = pages.encode(pages.moment_key(rows[LISTED - 1]["starts_at"]), str(rows[LISTED - 1]["id"]))
    may = ask.may(Permission.EXERCISE)
    dialling = [name for name, profile in ask.hub.profiles.items() if profile.dials_police]
    return render(
        "tests.html",
        ask=ask,
        windows=rows[:LISTED],
        titles=await console.institution_titles(ask.conn, ask.who.scope, {row["institution"] for row in rows}),
        cursor=cursor,
        tests=await console.function_tests(ask.conn, ask.who.scope, limit=LISTED),
        devices=await console.dialling(ask.conn, ask.who.scope, dialling, limit=DEVICES) if may else [],
        may=may,
        now=ask.hub.clock(),
    )


async def book(ask: Asked) -> Response:
    """Note a window that was agreed with the police centre. The hub books nothing there: it keeps what was agreed."""
    starts, ends = needed(ask.form, "starts_at"), needed(ask.form, "ends_at")
    if ends <= starts or ends - starts > _LONGEST:
        raise BadInput("after starts_at, by 24 hours at most", "ends_at", code="window")
    if ends <= ask.hub.clock():
        raise BadInput("is past", "ends_at", code="window")
    device = await views.device_key(ask.conn, ask.who.scope, text(ask.form, "device", least=1, most=IDENTIFIER))
    reference = text(ask.form, "reference", least=1, most=LINE)
    booking = Booking(reference, text(ask.form, "agreed_by", least=1, most=LINE), starts, ends)
    made = await police_windows.book(ask.conn, device, booking, ask.who.name)
    detail = {"device": device.id, "reference": reference, "by": "console"}
    await audit.record(ask.conn, ask.who.name, "window.book", f"window:{made}", detail)
    return said(ask, word("done.window"), _PLACE)


async def receive(ask: Asked) -> Response:
    """Store what the centre confirmed after the test, once and for good."""
    id: UUID = ask.request.path_params["window"]
    number = text(ask.form, "number", least=1, most=LINE)
    words = text(ask.form, "text", least=1, most=_RECEIPT)
    await police_windows.receive(ask.conn, ask.who.scope, id, number, words, ask.who.name, ask.hub.clock())
    await audit.record(ask.conn, ask.who.name, "window.receipt", f"window:{id}", {"number": number, "by": "console"})
    return said(ask, word("done.receipt"), _PLACE)


async def cancel(ask: Asked) -> Response:
    """The window is no more: no test of the device begins in it."""
    id: UUID = ask.request.path_params["window"]
    await police_windows.cancel(ask.conn, ask.who.scope, id, ask.who.name, ask.hub.clock())
    await audit.record(ask.conn, ask.who.name, "window.cancel", f"window:{id}", {"by": "console"})
    return said(ask, word("done.window.cancel"), _PLACE)
