"""Coverage for whoever must answer for it: the register with its three figures, and one institution's findings with clause and evidence, on any day."""

from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from hub.api import coverage, evidence, fire_risk
from hub.api.coverage import Finding, SubjectCoverage
from hub.api.evidence import Changes
from hub.api.fire_risk import FireRisk
from hub.core.coverage.rollup import CONNECTED_TARGET
from hub.core.coverage.rules import Basis, Verdict
from hub.core.rota import local_day
from hub.errors import BadInput, NotFound
from hub.model import to_micros
from hub.store import fire_days, recordings
from hub.web import fields
from hub.web.asking import Asked
from hub.web.charts import spark
from hub.web.rendering import render

LISTED = 100
RECORDINGS = 300
RISK_DAYS = 90
_WORST_FIRST = [Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.WAIVED, Verdict.COMPLIANT, Verdict.NOT_APPLICABLE]


async def show_all(ask: Asked) -> Response:
    """The register: what is not connected first, then what is worst."""
    query = ask.request.query_params
    division = query.get("division", "").strip() or None
    if division is not None and not (division.isascii() and division.isdigit() and 2 <= len(division) <= 12):
        raise BadInput("a division is 2 to 12 digits", "division", "validation")
    found = await coverage.list_coverage(ask.who, ask.conn, ask.hub, division, LISTED, query.get("after") or None)
    return render(
        "coverage.html",
        ask=ask,
        found=found,
        division=division,
        bases=list(Basis),
        connected_target=CONNECTED_TARGET,
        now=ask.hub.clock(),
    )


async def show(ask: Asked) -> Response:
    """One institution, or one entry of the register that is not connected (`register:<filing number>`)."""
    subject = ask.request.path_params["subject"]
    at, known_at = (fields.moment(ask.request.query_params, name) for name in ("at", "known_at"))
    found = await coverage.show_coverage(ask.who, ask.conn, ask.hub, subject, at, known_at)
    is_past = at is not None or known_at is not None
    held: list[dict[str, Any]] = []
    if found.institution is not None and not is_past:
        held = await recordings.listed(
            ask.conn,
            ask.who.scope,
            limit=RECORDINGS,
            after=None,
            institution=found.institution,
            division=None,
            outlook=None,
        )
    return render(
        "coverage_one.html",
        ask=ask,
        found=found,
        bases=[(basis, _of(found, basis)) for basis in Basis],
        recordings=held,
        risk=None if is_past else await _risk(ask, subject),
        changes=await _changes(ask, subject, at, known_at),
        risk_chart=await _risk_chart(ask, found.institution) if not is_past and found.institution is not None else None,
        at=at,
        known_at=known_at,
        now=ask.hub.clock(),
    )


async def _changes(ask: Asked, subject: str, at: datetime | None, known_at: datetime | None) -> Changes | None:
    """What is known otherwise now than when it was known so; None where what is known now is shown."""
    if known_at is None:
        return None
    return await evidence.list_coverage_changes(ask.who, ask.conn, ask.hub, subject, known_at, at)


async def _risk(ask: Asked, subject: str) -> FireRisk | None:
    """None of a subject that has only a past: retired, or connected meanwhile."""
    try:
        return await fire_risk.show_fire_risk(ask.who, ask.conn, ask.hub, subject)
    except NotFound:
        return None


async def _risk_chart(ask: Asked, institution: str) -> tuple[Markup, int] | None:
    """The score of the last days as a line, with how many were counted; None before there are two. Nothing is drawn over days that nobody counted."""
    today = local_day(to_micros(ask.hub.clock()))
    rows = await fire_days.of_one(ask.conn, ask.who.scope, institution, today - timedelta(days=RISK_DAYS - 1), today)
    if len(rows) < 2:
        return None
    curve = [(row["day"].toordinal(), row["score"]) for row in rows]
    title = f"{RISK_DAYS} d: {rows[0]['day']} {rows[0]['score']} … {rows[-1]['day']} {rows[-1]['score']}"
    return spark(curve, today.toordinal() - RISK_DAYS + 1, today.toordinal(), title, gap=1.5), len(rows)


def _of(found: SubjectCoverage, basis: Basis) -> list[Finding]:
    """The findings of one basis, the worst first; they are never shown among those of another."""
    mine = [one for one in found.findings if one.basis == basis.value]
    return sorted(mine, key=lambda one: (_WORST_FIRST.index(Verdict(one.verdict)), one.rule))
