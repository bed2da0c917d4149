"""Coverage for whoever must answer for it: the register with its three figures, and one institution's findings with clause and evidence, on any day."""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from hub.api import coverage, evidence, fire_risk
from hub.api.coverage import Finding, SubjectCoverage
from hub.api.evidence import Changes
from hub.api.fire_risk import FireRisk
from hub.core.coverage.rules import Basis, Verdict
from hub.errors import BadInput, NotFound
from hub.store import recordings
from hub.web import fields
from hub.web.asking import Asked
from hub.web.rendering import render

LISTED = 100
RECORDINGS = 300
_WORST_FIRST = [Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.WAIVED, Verdict.COMPLIANT, Verdict.NOT_APPLICABLE]


async def show_all(ask: Asked) -> Response:
    """The register: what is not connected first, then what is worst."""
    query = ask.request.query_params
    division = query.get("division", "").strip() or None
    if division is not None and not (division.isascii() and division.isdigit() and 2 <= len(division) <= 12):
        raise BadInput("a division is 2 to 12 digits", "division", "validation")
    found = await coverage.list_coverage(ask.who, ask.conn, ask.hub, division, LISTED, query.get("after") or None)
    return render("coverage.html", ask=ask, found=found, division=division, bases=list(Basis), now=ask.hub.clock())


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


def _of(found: SubjectCoverage, basis: Basis) -> list[Finding]:
    """The findings of one basis, the worst first; they are never shown among those of another."""
    mine = [one for one in found.findings if one.basis == basis.value]
    return sorted(mine, key=lambda one: (_WORST_FIRST.index(Verdict(one.verdict)), one.rule))
