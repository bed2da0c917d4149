"""Coverage as regulators and platforms read it: the register with three figures, and one subject's findings now or on a past day."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api import pages
from hub.api.access import Conn, Hub, Reader
from hub.api.schemas import DivisionCode, GivenMoment, Moment, Name
from hub.core.coverage import ledger, sentences
from hub.core.coverage.judge import worst
from hub.core.coverage.rollup import Tally, headline, rank, tally
from hub.core.coverage.rules import Basis, Verdict
from hub.errors import BadInput
from hub.store import coverage_views
from hub.store.coverage_views import Standing

router = APIRouter(tags=["coverage"])

STALE_AFTER = timedelta(microseconds=ledger.STALE_AFTER)

VerdictName = Literal["compliant", "non_compliant", "unknown", "not_applicable", "waived"]
BasisName = Literal["obligation", "target", "recommendation"]


class Counts(BaseModel):
    """How many have each verdict. The rate is compliant / (compliant + non_compliant + unknown + waived)."""

    compliant: int
    non_compliant: int
    unknown: int
    waived: int
    not_applicable: int
    rate: float | None = Field(description="0 to 1; null where nothing applies")


class Figure(BaseModel):
    """One of the three figures, over the register within scope and filter; they are never mixed."""

    institutions: Counts = Field(description="by the worst finding of this basis; what is not connected is unknown")
    findings: Counts


class Figures(BaseModel):
    """The three figures. Full coverage 全覆盖 is the target's."""

    obligation: Figure
    target: Figure
    recommendation: Figure


class Verdicts(BaseModel):
    """A subject's verdict per basis: the worst of its findings."""

    obligation: VerdictName
    target: VerdictName
    recommendation: VerdictName


class Discrepancy(BaseModel):
    """Where register and institution say different things. Figures count by the register's division, rules are judged by its type and division."""

    register_division: str
    institution_division: str
    register_type: str
    institution_type: str


class CoverageRow(BaseModel):
    """One institution, or one entry of the register that is not connected."""

    subject: str = Field(description="the institution's id, or `register:<filing number>`")
    institution: str | None
    filing_number: str | None = Field(description="null where it is not on the register: then it is in no figure")
    registered: bool
    connected: bool
    never_heard: bool = Field(description="it is connected, and no device of it was ever heard")
    counted: bool = Field(
        description="false: in none of the figures here, since it is on no register, or stands on it outside of what was asked or of your scope"
    )
    division: str = Field(description="the register's, where it is on the register")
    type: str
    discrepancy: Discrepancy | None = Field(description="null where the register says what the institution says")
    title: Name
    verdict: VerdictName = Field(description="of its obligations; of its target where no obligation applies")
    verdicts: Verdicts
    findings: dict[BasisName, Counts]
    checked_at: Moment | None = Field(description="when it was last judged")
    stale: bool = Field(description="nobody judged it lately: compliant is shown as unknown")


class CoveragePage(pages.Page[CoverageRow]):
    """A page of the register with the figures of all of it."""

    figures: Figures
    register_entries: int
    not_connected: int
    never_heard: int = Field(
        description="of the entries that are connected: nothing of their devices was ever heard, so that they are connected by their manifest alone"
    )
    discrepancies: int = Field(
        description="rows, on all pages, of which the register says something else than the institution"
    )


class DeviceEvidence(BaseModel):
    """One device that the rule looked at."""

    device: str
    zone: str | None
    contribution: Literal["proven", "unknown", "none"]
    reason: str = Field(
        description="ok, degraded, offline, link_unknown, unproven, failed, forbidden, unplaced, or an admin state"
    )
    since: Moment
    last_heard_at: Moment | None
    by: str = Field("", description="how a camera counts for a zone: `view` (it declares to see it) or `zone`")
    value: float | None = Field(None, description="what was measured: a point's value, days of recording, a share")
    at: Moment | None = Field(None, description="when that was measured, proven or attested")


class FactEvidence(BaseModel):
    """Something else that the rule looked at: an attestation, a document, an interval, a day."""

    kind: str
    id: str
    contribution: Literal["proven", "unknown", "none"]
    reason: str
    at: Moment | None
    until: Moment | None
    value: float | None
    number: str


class PartEvidence(BaseModel):
    """The verdict for one zone, or for the whole institution."""

    zone: str | None
    purpose: str | None
    title: Name | None
    verdict: VerdictName
    needed: float
    proven: float
    unknown: float
    devices: list[DeviceEvidence]
    place: str = Field("", description="a floor, where the rule is judged per floor")
    facts: list[FactEvidence] = []


class Finding(BaseModel):
    """The verdict of one rule over a period, with what it rests on."""

    rule: str
    pack: str
    pack_version: str
    clause_id: str
    document: str
    number: str
    clause: str
    force: str
    basis: BasisName
    module: str = Field(description="video, panic, access, fire, retention, privacy or other")
    confidence: str
    title: Name
    days_to_remedy: int
    verdict: VerdictName
    reason: str
    plan_not_signed: bool = Field(
        description="the regulator has not signed the zone plan that it stands on: compliant is not counted as such"
    )
    sentence: Name
    since: Moment = Field(description="since when this verdict holds")
    until: Moment | None = Field(description="null while it holds")
    recorded_at: Moment = Field(description="since when the hub holds it so")
    parts: list[PartEvidence]


class SubjectCoverage(BaseModel):
    """One subject with its findings, now or at a past time."""

    subject: str
    institution: str | None
    filing_number: str | None
    registered: bool = Field(description="false where it is not on the register: then it is in no figure")
    division: str = Field(description="the register's, where it is on the register")
    type: str
    discrepancy: Discrepancy | None = Field(None, description="null where the register says what the institution says")
    title: Name
    at: Moment
    known_at: Moment | None = Field(None, description="as known at this time; null: as known now")
    checked_at: Moment | None = Field(
        description="when it was last judged; null with `known_at`: an answer as known then never changes"
    )
    stale: bool
    verdict: VerdictName
    verdicts: Verdicts
    findings: list[Finding]


class _Placed(NamedTuple):
    standing: Standing
    verdicts: Mapping[Basis, Verdict]
    headline: Verdict
    rank: int


@router.get("/coverage")
async def list_coverage(
    who: Reader,
    conn: Conn,
    hub: Hub,
    division: Annotated[DivisionCode | None, Query(description="A division and everything below it.")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> CoveragePage:
    """The register: what is not connected first, then non_compliant, unknown, compliant; with the three figures."""
    after = pages.decode(cursor, int, str)
    fresh_since = hub.clock() - STALE_AFTER
    standings = await coverage_views.overview(conn, who.scope, division=division, fresh_since=fresh_since)
    placed = sorted(map(_place, standings), key=_key)
    rest = [one for one in placed if after is None or _key(one) > after]
    page = pages.page(rest[: limit + 1], limit, lambda one: _row(one, fresh_since), _key)
    registered = [one for one in placed if one.standing.counted]
    return CoveragePage(
        items=page.items,
        next=page.next,
        figures=Figures(**{basis.value: _figure(registered, basis) for basis in Basis}),
        register_entries=len(registered),
        not_connected=sum(one.standing.institution is None for one in registered),
        never_heard=sum(one.standing.never_heard for one in registered),
        discrepancies=sum(_differs(one.standing) is not None for one in placed),
    )


@router.get("/coverage/{subject}")
@router.get("/institutions/{subject}/coverage", operation_id="show_institution_coverage")
async def show_coverage(
    who: Reader,
    conn: Conn,
    hub: Hub,
    subject: Annotated[str, Path(max_length=200, description="An institution's id, or `register:<filing number>`.")],
    at: Annotated[GivenMoment | None, Query(description="A past time; now when left out.")] = None,
    known_at: Annotated[
        GivenMoment | None,
        Query(description="As it was known at this time, whatever was learnt since; as it is known now when left out."),
    ] = None,
) -> SubjectCoverage:
    """The findings of one subject with their evidence: at `at`, as known at `known_at`. The same question has the same answer next year."""
    row = await coverage_views.subject(conn, who.scope, subject)
    now = hub.clock()
    asked = at_and_known(at, known_at, now)
    held = await coverage_views.findings(conn, subject, *asked)
    if known_at is not None:
        doubts = [bool(one["doubted"]) for one in held]
        stale = any(doubts)
    else:
        stale = _is_stale(row["checked_at"], (now if at is None else at) - STALE_AFTER)
        # a period that has ended was judged to its end; one that is open holds only as far as somebody looked
        stale = stale and (at is None or any(one["until"] is None for one in held))
        doubts = [stale and one["until"] is None for one in held]
    findings = [_finding(one, doubt) for one, doubt in zip(held, doubts, strict=True)]
    verdicts = _verdicts_of(((Basis(one.basis), _counted(one)) for one in findings), judged=bool(findings))
    return SubjectCoverage(
        subject=subject,
        institution=row["institution"],
        filing_number=row["filing_number"],
        registered=row["filing_number"] is not None,
        division=row["division"],
        type=row["type"],
        discrepancy=_discrepancy(row["division"], row["own_division"], row["register_type"], row["type"]),
        title=Name(zh=row["title_zh"], en=row["title_en"]),
        at=asked[0] or now,
        known_at=known_at,
        checked_at=None if known_at is not None else row["checked_at"],
        stale=stale,
        verdict=headline(verdicts).value,
        verdicts=_named(verdicts),
        findings=findings,
    )


def at_and_known(
    at: datetime | None, known_at: datetime | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Both times of a question; raises BadInput where it asks what nobody could know then."""
    if known_at is None:
        return at, None
    if known_at > now:
        raise BadInput("nobody knows yet what will be known then", "known_at", code="validation")
    if at is not None and at > known_at:
        raise BadInput("lies after known_at: nothing was known of it then", "at", code="validation")
    return known_at if at is None else at, known_at


def _place(standing: Standing) -> _Placed:
    verdicts = _verdicts_of(((one.basis, one.verdict) for one in standing.counts), judged=bool(standing.counts))
    word = headline(verdicts)
    return _Placed(standing, verdicts, word, rank(standing.institution is not None, word))


def _counted(one: Finding) -> Verdict:
    """As what a finding counts: green on a zone plan that nobody signed is shown, and is no green of the institution's."""
    return Verdict.UNKNOWN if one.plan_not_signed and one.verdict == "compliant" else Verdict(one.verdict)


def _verdicts_of(found: Iterable[tuple[Basis, Verdict]], *, judged: bool) -> dict[Basis, Verdict]:
    """Per basis; what was never judged is unknown in each, not exempt."""
    pairs = list(found)
    if not judged:
        return dict.fromkeys(Basis, Verdict.UNKNOWN)
    return {basis: worst(verdict for of, verdict in pairs if of is basis) for basis in Basis}


def _named(verdicts: Mapping[Basis, Verdict]) -> Verdicts:
    return Verdicts(**{basis.value: verdict.value for basis, verdict in verdicts.items()})


def _key(one: _Placed) -> tuple[int, str]:
    return one.rank, one.standing.subject


def _is_stale(checked_at: datetime | None, fresh_since: datetime) -> bool:
    return checked_at is None or checked_at < fresh_since


def _row(one: _Placed, fresh_since: datetime) -> CoverageRow:
    standing = one.standing
    return CoverageRow(
        subject=standing.subject,
        institution=standing.institution,
        filing_number=standing.filing_number,
        registered=standing.filing_number is not None,
        connected=standing.institution is not None,
        never_heard=standing.never_heard,
        counted=standing.counted,
        division=standing.division,
        type=standing.type,
        discrepancy=_differs(standing),
        title=Name(zh=standing.title_zh, en=standing.title_en),
        verdict=one.headline.value,
        verdicts=_named(one.verdicts),
        findings={basis.value: counts_of(_findings_of([one], basis)) for basis in Basis},
        checked_at=standing.checked_at,
        stale=_is_stale(standing.checked_at, fresh_since),
    )


def _differs(one: Standing) -> Discrepancy | None:
    return _discrepancy(one.division, one.own_division, one.register_type, one.type)


def _discrepancy(division: str, own: str | None, register_type: str | None, type: str) -> Discrepancy | None:
    """`own` is None where nothing is connected, `register_type` where it is on no register: then there is nothing to compare."""
    if own is None or register_type is None or (division, register_type) == (own, type):
        return None
    return Discrepancy(
        register_division=division, institution_division=own, register_type=register_type, institution_type=type
    )


def _figure(registered: Sequence[_Placed], basis: Basis) -> Figure:
    return Figure(
        institutions=counts_of(tally(one.verdicts[basis] for one in registered)),
        findings=counts_of(_findings_of(registered, basis)),
    )


def _findings_of(placed: Iterable[_Placed], basis: Basis) -> Tally:
    found = [one for place in placed for one in place.standing.counts if one.basis is basis]
    return tally(one.verdict for one in found for _ in range(one.n))


def counts_of(counted: Tally) -> Counts:
    """A tally as it leaves."""
    return Counts(
        compliant=counted.compliant,
        non_compliant=counted.non_compliant,
        unknown=counted.unknown,
        waived=counted.waived,
        not_applicable=counted.not_applicable,
        rate=counted.rate,
    )


_KEPT = (*("rule", "pack", "pack_version", "basis", "module", "plan_not_signed", "since", "until", "recorded_at"),)


def _finding(row: Mapping[str, Any], stale: bool) -> Finding:
    cited = {key: value for key, value in row["citation"].items() if not key.startswith("title_")}
    doubted = stale and row["verdict"] == "compliant"
    return Finding.model_validate(
        {
            **{key: row[key] for key in _KEPT},
            **cited,
            "title": {"zh": row["citation"]["title_zh"], "en": row["citation"]["title_en"]},
            "verdict": "unknown" if doubted else row["verdict"],
            "reason": "stale" if doubted else row["reason"],
            "sentence": _STALE if doubted else {"zh": row["sentence_zh"], "en": row["sentence_en"]},
            "parts": [_part(part) for part in row["evidence"]],
        }
    )


_STALE = dict(zip(("zh", "en"), sentences.STALE, strict=True))


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    title = None if part["zone"] is None else {"zh": part["title_zh"], "en": part["title_en"]}
    return {**part, "title": title}
