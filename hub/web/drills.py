"""Drills in the console: what is declared, how it went beside earlier ones, and what a person on the spot records."""

from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from hub.api import pages
from hub.core import drill_report
from hub.core.rights import Permission
from hub.errors import BadInput
from hub.model import to_micros
from hub.store import audit, drills
from hub.web.asking import Asked, said
from hub.web.declaring import phase
from hub.web.rendering import render
from hub.web.words import word

LISTED = 50
MARKS = ("arrival", "all_clear")
_MAX_NOTE = 1000


async def show_all(ask: Asked) -> Response:
    """The drills of one's scope, newest first."""
    after = pages.moment_and_id(ask.request.query_params.get("cursor") or None)
    rows = await drills.listed(ask.conn, ask.who.scope, limit=LISTED + 1, after=after)
    cursor = None
    if len(rows) > LISTED:
        last = rows[LISTED - 1]
        cursor = pages.encode(pages.moment_key(last["starts_at"]), str(last["id"]))
    return render(
        "drills.html",
        ask=ask,
        drills=rows[:LISTED],
        cursor=cursor,
        may=ask.may(Permission.EXERCISE),
        now=ask.hub.clock(),
    )


async def show(ask: Asked) -> Response:
    """One drill with its timed report, an institution a part."""
    id: UUID = ask.request.path_params["drill"]
    row = await drills.get(ask.conn, ask.who.scope, id)
    reports = drill_report.report(await drills.runs(ask.conn, ask.who.scope, id))
    now = ask.hub.clock()
    return render(
        "drill.html",
        ask=ask,
        drill=row,
        reports=reports,
        steps=drill_report.STEPS,
        change=drill_report.change,
        marks=MARKS if ask.may(Permission.ACKNOWLEDGE) and row["starts_at"] <= now else (),
        may_cancel=ask.may(Permission.EXERCISE) and row["cancelled_at"] is None and row["ends_at"] > now,
        phase=lambda press: phase(press, to_micros(now), row["cancelled_at"] is not None or row["ends_at"] <= now),
        running=row["cancelled_at"] is None and row["starts_at"] <= now < row["ends_at"],
        now=now,
    )


async def show_report(ask: Asked) -> Response:
    """The report as one printable page, or as CSV."""
    id: UUID = ask.request.path_params["drill"]
    row = await drills.get(ask.conn, ask.who.scope, id)
    reports = drill_report.report(await drills.runs(ask.conn, ask.who.scope, id))
    if ask.request.path_params["kind"] == "csv":
        name = f'attachment; filename="drill-{id}.csv"'
        return Response(
            drill_report.as_csv(row, reports),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": name},
        )
    if ask.request.path_params["kind"] != "html":
        raise HTTPException(404, "a report is html or csv")
    made = drill_report.as_html(row, reports, ask.hub.clock())
    return HTMLResponse(made, headers={"Content-Security-Policy": drill_report.POLICY})


async def cancel(ask: Asked) -> Response:
    """From this moment every press is real."""
    id: UUID = ask.request.path_params["drill"]
    await drills.cancel(ask.conn, ask.who.scope, id, ask.who.name, to_micros(ask.hub.clock()))
    await audit.record(ask.conn, ask.who.name, "drill.cancel", f"drill:{id}", {"by": "console"})
    return said(ask, word("done.drill.cancel"), f"/console/drills/{id}")


async def mark(ask: Asked) -> Response:
    """Somebody arrived at an institution, or all is clear there."""
    id: UUID = ask.request.path_params["drill"]
    kind, institution = ask.form.get("kind", ""), ask.form.get("institution", "")
    note = ask.form.get("note", "").strip()
    if kind not in MARKS:
        raise BadInput(f"what is recorded is one of {', '.join(MARKS)}", "kind", "validation")
    if len(note) > _MAX_NOTE:
        raise BadInput(f"a note has at most {_MAX_NOTE} characters", "note", "validation")
    await drills.record(ask.conn, ask.who.scope, id, institution, kind, ask.hub.clock(), ask.who.name, note)
    detail = {"institution": institution, "kind": kind, "by": "console"}
    await audit.record(ask.conn, ask.who.name, "drill.record", f"drill:{id}", detail)
    return said(ask, word("done.mark"), f"/console/drills/{id}")
