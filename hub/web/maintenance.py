"""Maintenance windows in the console: which there are, what each holds back, a new one, and the end of one before its time."""

from uuid import UUID

from starlette.responses import Response

from hub.api import pages
from hub.core.maintenance import LONGEST_WINDOW
from hub.core.rights import Permission
from hub.model import SECOND
from hub.store import audit, console, maintenance
from hub.web.asking import Asked, said
from hub.web.fields import IDENTIFIER, NOTE, moment, needed, text
from hub.web.rendering import render
from hub.web.words import word

LISTED = 50


async def show(ask: Asked) -> Response:
    """The windows of one's scope or of one institution, the latest first; the form for a new one names its institution."""
    query = ask.request.query_params
    institution = query.get("institution") or None
    rows = await maintenance.windows(
        ask.conn,
        ask.who.scope,
        limit=LISTED + 1,
        after=pages.moment_and_id(query.get("cursor") or None),
        institution=institution,
    )
    cursor = None
    if len(rows) > LISTED:
        cursor = pages.encode(pages.moment_key(rows[LISTED - 1]["since"]), str(rows[LISTED - 1]["id"]))
    names = {row["institution"] for row in rows[:LISTED]} | ({institution} if institution else set())
    may = ask.may(Permission.MAINTAIN)
    return render(
        "maintenance.html",
        ask=ask,
        windows=rows[:LISTED],
        titles=await console.institution_titles(ask.conn, ask.who.scope, names),
        cursor=cursor,
        institution=institution,
        devices=await console.devices(ask.conn, ask.who.scope, institution, limit=500) if institution and may else [],
        may=may,
        longest=LONGEST_WINDOW // (86_400 * SECOND),
        now=ask.hub.clock(),
    )


async def make(ask: Asked) -> Response:
    """Book a window over an institution, or over one zone or device of it. It begins now where no beginning is given."""
    institution = text(ask.form, "institution", least=1, most=IDENTIFIER)
    kind, _, name = ask.form.get("over", "").partition(":")
    reason = text(ask.form, "reason", least=1, most=NOTE)
    now = ask.hub.clock()
    since = moment(ask.form, "since") or now
    until = needed(ask.form, "until")
    place = {"zone": name if kind == "zone" else None, "device": name if kind == "device" else None}
    made = await maintenance.make(
        ask.conn,
        ask.who.scope,
        institution=institution,
        **place,
        since=since,
        until=until,
        reason=reason,
        actor=ask.who.name,
        now=now,
    )
    times = {"since": since.isoformat(), "until": until.isoformat()}
    detail = {"institution": institution, **place, "reason": reason, **times, "by": "console"}
    await audit.record(ask.conn, ask.who.name, "maintenance.make", f"maintenance:{made}", detail)
    return said(ask, word("done.maintenance"), "/console/maintenance")


async def end(ask: Asked) -> Response:
    """End it now: what it holds and still stands is paged at once."""
    id: UUID = ask.request.path_params["window"]
    await maintenance.end(ask.conn, ask.who.scope, id, actor=ask.who.name)
    await audit.record(ask.conn, ask.who.name, "maintenance.end", f"maintenance:{id}", {"by": "console"})
    return said(ask, word("done.maintenance.end"), "/console/maintenance")
