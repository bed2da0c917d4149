"""The monthly ledger 月度台账 of a division with what has become known since, and the figures of a year. The same division, period and times give the
same bytes.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from hub.api.access import Hub, Reader, Services
from hub.api.problems import documented
from hub.api.schemas import DivisionCode, GivenMoment
from hub.core.coverage import month as core
from hub.core.coverage import month_changes
from hub.core.coverage.month_sheets import changes_sheet, sheets, title
from hub.core.coverage.year_sheets import Year as Figures
from hub.core.coverage.year_sheets import year_sheet
from hub.core.rights import Principal
from hub.errors import NotFound
from hub.model import to_datetime, to_micros
from hub.reports import csv, fonts, pdf, xlsx
from hub.store import month as store
from hub.store import rollup
from hub.store.session import transaction

router = APIRouter(prefix="/ledgers", tags=["coverage"])
MonthName = Annotated[str, Path(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="Like 2026-10.")]
Year = Annotated[int, Path(ge=2000, le=2098)]
MonthKind = Literal["xlsx", "pdf", "json"]
YearKind = Literal["xlsx", "csv"]
KnownAt = Annotated[
    GivenMoment | None,
    Query(
        description="As it was known then. When left out: each month as its ledger has it, known when it closed; one that has not closed as known a minute"
        " and a half ago."
    ),
]
MonthKnownAt = Annotated[
    GivenMoment | None,
    Query(
        description="As it was known then. When left out: of a month that is over, what was known when it closed, a minute and a half after its end;"
        " of another, what was known a minute and a half ago."
    ),
]
SeenAt = Annotated[
    GivenMoment | None,
    Query(
        description="Until when what became known since is listed; a minute and a half ago when left out. At `known_at` itself nothing is listed."
    ),
]
MEDIA = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
_AT_ONCE = threading.BoundedSemaphore(2)
"""documents that are made at one time"""


@router.get("/{division}/months/{month}.{kind}", response_class=Response, responses=documented(409))
async def show_month(
    who: Reader,
    hub: Hub,
    division: DivisionCode,
    month: MonthName,
    kind: MonthKind,
    known_at: MonthKnownAt = None,
    seen_at: SeenAt = None,
) -> Response:
    """The ledger of a division: every entry of its register once, the figures, orders and waivers, as known at `known_at`; and what has become known
    otherwise since, until `seen_at`. The same division, month and two times give the same bytes. It needs a scope over all of the division.
    """
    return await month_document(hub, who, division, month, kind, known_at, seen_at)


@router.get("/{division}/years/{year}.{kind}", response_class=Response)
async def show_year(
    who: Reader, hub: Hub, division: DivisionCode, year: Year, kind: YearKind, known_at: KnownAt = None
) -> Response:
    """The figures of each month of a year, at its end, of a division and what is directly below it: what the monthly ledgers sum up, each as it closed or
    all as known at one time.
    """
    return await year_document(hub, who, division, year, kind, known_at)


async def month_document(
    hub: Services,
    who: Principal,
    division: str,
    month: str,
    kind: str,
    known_at: datetime | None,
    seen_at: datetime | None,
) -> Response:
    """What the route answers; the console calls it too."""
    _require(who, division)
    now = to_micros(hub.clock())
    known = store.closed_at(month, now) if known_at is None else to_micros(known_at)
    with _few():
        async with transaction(hub.pool) as conn:
            await store.begin(conn)
            drawn = await store.draw_up(conn, division, month, known, now)
            seen = store.seen_at(None if seen_at is None else to_micros(seen_at), drawn.known_at, now)
            since = await store.changes(conn, drawn, seen) if seen > drawn.known_at else None
        made = await asyncio.to_thread(_month_bytes, drawn, since, kind, hub)
    return _file(made, f"anxin-{division}-{month}.{kind}", kind)


def _month_bytes(drawn: core.Month, since: month_changes.Changes | None, kind: str, hub: Services) -> bytes:
    named, tables = title(drawn), sheets(drawn)
    if since is not None:
        # a ledger that fits a PDF is not refused for what became known since
        room = max(1, pdf.MOST_ROWS - sum(len(one.rows) for one in tables)) if kind == "pdf" else None
        tables = (*tables, changes_sheet(since, room))
    if kind == "json":
        more = None if since is None else {**month_changes.document(since), "sha256": month_changes.digest(since)}
        body = {**core.document(drawn), "sha256": core.digest(drawn), "since": more}
        return json.dumps(body, ensure_ascii=False).encode()
    if kind == "pdf":
        return pdf.document(named, tables, core.digest(drawn), fonts.find(hub.settings.report_font))
    return xlsx.workbook(named, tables, to_datetime(drawn.known_at))


async def year_document(
    hub: Services, who: Principal, division: str, year: int, kind: str, known_at: datetime | None
) -> Response:
    """What the route answers; the console calls it too."""
    _require(who, division)
    known = None if known_at is None else to_micros(known_at)
    with _few():
        async with transaction(hub.pool) as conn:
            await store.begin(conn)
            found = await store.year(conn, division, year, known, to_micros(hub.clock()))
        made = await asyncio.to_thread(_year_bytes, found, year, kind)
    return _file(made, f"anxin-{division}-{year}.{kind}", kind)


def _year_bytes(found: Figures, number: int, kind: str) -> bytes:
    sheet, place = year_sheet(number, found), found.division
    named = (
        f"{place.title_zh} {place.code} {number} 年度考核数据",
        f"{place.title_en}: figures of {number} for the annual assessment",
    )
    return csv.table(sheet) if kind == "csv" else xlsx.workbook(named, [sheet], to_datetime(found.known_at))


def _require(who: Principal, division: str) -> None:
    if not rollup.sees_all(who.scope, division):
        raise NotFound(f"no division {division}")


@contextmanager
def _few() -> Iterator[None]:
    """A few at one time: a ledger takes a connection and a processor for seconds, and who acknowledges an alarm does not wait behind it."""
    if not _AT_ONCE.acquire(blocking=False):
        raise HTTPException(503, "other reports are being made: try again in a moment")
    try:
        yield
    finally:
        _AT_ONCE.release()


def _file(made: bytes, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(made, media_type=MEDIA[kind], headers=headers)
