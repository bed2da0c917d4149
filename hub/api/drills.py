"""Drills: declared beforehand, cancelled, reported as JSON, HTML and CSV; what persons record of them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import HTMLResponse, Response

from hub.api import pages
from hub.api.access import Acknowledger, Conn, Exerciser, Hub, Reader
from hub.api.exercise_schemas import Drill, DrillMarkRequest, DrillReport, DrillRequest, DrillRun
from hub.api.places import InstitutionFilter
from hub.api.problems import documented
from hub.api.shapes import titled
from hub.core import drill_report
from hub.core.drill_report import Reported
from hub.core.exercises import Declared
from hub.core.rights import Principal
from hub.errors import BadInput
from hub.model import SignalClass, to_micros
from hub.store import audit, drills
from hub.store.pool import Connection
from hub.store.rows import Row

router = APIRouter(prefix="/drills", tags=["drills"])
DrillId = Annotated[UUID, Path(description="The drill's id.")]
_AHEAD_SECONDS = 60.0


@router.get("")
async def list_drills(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Drill]:
    """Drills that institutions of your scope take part in, the newest first."""
    after = pages.moment_and_id(cursor)
    rows = await drills.listed(conn, who.scope, limit=limit + 1, after=after, institution=institution)
    return pages.page(
        rows, limit, lambda row: titled(Drill, row), lambda row: (pages.moment_key(row["starts_at"]), str(row["id"]))
    )


@router.post("", status_code=201, responses=documented(409))
async def declare_drill(who: Exerciser, conn: Conn, hub: Hub, asked: DrillRequest) -> Drill:
    """Declare a drill with the presses that are expected. Whatever else comes while it goes on is real."""
    presses = tuple(
        Declared(
            press.institution,
            press.position,
            SignalClass(press.signal_class),
            to_micros(press.at),
            round(press.tolerance_seconds * 1_000_000),
        )
        for press in asked.presses
    )
    place = drills.Place(**asked.place.model_dump())
    plan = drills.Plan(
        asked.title.zh, asked.title.en, place, to_micros(asked.starts_at), to_micros(asked.ends_at), presses
    )
    dialling = [name for name, profile in hub.profiles.items() if profile.dials_police]
    made = await drills.declare(conn, who.scope, plan, who.name, to_micros(hub.clock()), dialling)
    await audit.record(conn, who.name, "drill.declare", f"drill:{made}", {"presses": len(presses)})
    return titled(Drill, await drills.get(conn, who.scope, made))


@router.get("/{drill}")
async def show_drill(who: Reader, conn: Conn, drill: DrillId) -> DrillReport:
    """The timed report: of each institution when the first message arrived, who took it, arrival and all-clear, beside earlier drills."""
    return await _shown(conn, who, drill)


@router.get("/{drill}/report.html", response_class=HTMLResponse)
async def show_drill_report(who: Reader, conn: Conn, hub: Hub, drill: DrillId) -> HTMLResponse:
    """The report as one printable page that needs nothing else."""
    row, reports = await _report(conn, who, drill)
    policy = {"Content-Security-Policy": drill_report.POLICY}
    return HTMLResponse(drill_report.as_html(row, reports, hub.clock()), headers=policy)


@router.get("/{drill}/report.csv", response_class=Response)
async def show_drill_table(who: Reader, conn: Conn, drill: DrillId) -> Response:
    """The report as CSV."""
    row, reports = await _report(conn, who, drill)
    name = f'attachment; filename="drill-{drill}.csv"'
    return Response(
        drill_report.as_csv(row, reports), media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name}
    )


@router.post("/{drill}/cancel", responses=documented(409))
async def cancel_drill(who: Exerciser, conn: Conn, hub: Hub, drill: DrillId) -> Drill:
    """From this moment every press is real."""
    await drills.cancel(conn, who.scope, drill, who.name, to_micros(hub.clock()))
    await audit.record(conn, who.name, "drill.cancel", f"drill:{drill}", {})
    return titled(Drill, await drills.get(conn, who.scope, drill))


@router.post("/{drill}/marks", responses=documented(409))
async def record_drill(who: Acknowledger, conn: Conn, hub: Hub, drill: DrillId, asked: DrillMarkRequest) -> DrillReport:
    """Record that somebody arrived at an institution, or that all is clear there."""
    await drills.get(conn, who.scope, drill)
    at = hub.clock() if asked.at is None else asked.at
    if (at - hub.clock()).total_seconds() > _AHEAD_SECONDS:
        raise BadInput("lies ahead: what was seen is recorded", "at", code="drill")
    await drills.record(conn, who.scope, drill, asked.institution, asked.kind, at, who.name, asked.note)
    detail = {"institution": asked.institution, "kind": asked.kind}
    await audit.record(conn, who.name, "drill.record", f"drill:{drill}", detail)
    return await _shown(conn, who, drill)


async def _shown(conn: Connection, who: Principal, drill: UUID) -> DrillReport:
    row, reports = await _report(conn, who, drill)
    return DrillReport(drill=titled(Drill, row), institutions=[_run(one) for one in reports])


async def _report(conn: Connection, who: Principal, drill: UUID) -> tuple[Row, list[Reported]]:
    row = await drills.get(conn, who.scope, drill)
    return row, drill_report.report(await drills.runs(conn, who.scope, drill))


def _run(one: Reported) -> DrillRun:
    presses: list[dict[str, Any]] = [{**p, "title": {"zh": p["title_zh"], "en": p["title_en"]}} for p in one.presses]
    earlier = [
        {"starts_at": at, "title": {"zh": zh, "en": en}, "timings": times._asdict()}
        for at, zh, en, times in one.earlier
    ]
    return DrillRun.model_validate(
        {
            "institution": one.institution,
            "title": {"zh": one.title_zh, "en": one.title_en},
            "timings": one.timings._asdict(),
            "presses": presses,
            "marks": list(one.marks),
            "real": list(one.real),
            "earlier": earlier,
        }
    )
