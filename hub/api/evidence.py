"""The ledger itself: what became known since a report was made, and the daily digests over all chains."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api.access import Conn, Hub, Reader
from hub.api.coverage import VerdictName, at_and_known
from hub.api.schemas import GivenMoment, Moment, Name
from hub.core.coverage import sentences
from hub.store import coverage_views
from hub.store.rows import Row

router = APIRouter(tags=["coverage"])


class Saying(BaseModel):
    """What a rule said of a moment."""

    verdict: VerdictName
    reason: str
    sentence: Name
    recorded_at: Moment = Field(description="since when the hub held it so")


class ChangedFinding(BaseModel):
    """One rule that says something else of the same moment than it did."""

    rule: str
    basis: str
    before: Saying | None = Field(description="as known then; null where it said nothing")
    after: Saying | None = Field(description="as known now; null where it says nothing any more")


class Changes(BaseModel):
    """What a report over `at` that was made at `known_at` would say otherwise today, and why: late facts that reached the hub since."""

    subject: str
    at: Moment
    known_at: Moment
    unchanged: int = Field(description="rules that say today what they said then")
    changes: list[ChangedFinding]


class Digest(BaseModel):
    """The last links of all chains at the end of a day as one figure. Kept outside of the hub it proves everything recorded until then."""

    day: date
    taken_at: Moment
    subjects: int
    root: str
    previous: str
    hash: str
    signature: str = Field(
        description="Ed25519 under `hash`, hexadecimal; empty: this hub has no key, and the digest is not signed"
    )
    key_id: str = Field(description="which public key; empty where it is not signed")


class Digests(BaseModel):
    """Digests, the latest first."""

    items: list[Digest]


@router.get("/institutions/{subject}/coverage/changes")
async def list_coverage_changes(
    who: Reader,
    conn: Conn,
    hub: Hub,
    subject: Annotated[str, Path(max_length=200, description="An institution's id, or `register:<filing number>`.")],
    known_at: Annotated[GivenMoment, Query(description="When the report was made.")],
    at: Annotated[GivenMoment | None, Query(description="The moment it speaks of; `known_at` when left out.")] = None,
) -> Changes:
    """What is known otherwise today of a moment than it was when a report was made."""
    await coverage_views.subject(conn, who.scope, subject)
    moment, known = at_and_known(at, known_at, hub.clock())
    assert moment is not None and known is not None  # noqa: PT018
    before = {row["rule"]: row for row in await coverage_views.findings(conn, subject, moment, known)}
    after = {row["rule"]: row for row in await coverage_views.findings(conn, subject, moment)}
    other = [rule for rule in sorted(before.keys() | after.keys()) if _said(before.get(rule)) != _said(after.get(rule))]
    return Changes(
        subject=subject,
        at=moment,
        known_at=known,
        unchanged=len(before.keys() | after.keys()) - len(other),
        changes=[
            ChangedFinding(
                rule=rule,
                basis=(after.get(rule) or before[rule])["basis"],
                before=_saying(before.get(rule)),
                after=_saying(after.get(rule)),
            )
            for rule in other
        ],
    )


def _said(row: Row | None) -> tuple[str, str, str] | None:
    told = _saying(row)
    return None if told is None else (told.verdict, told.reason, told.sentence.zh)


def _saying(row: Row | None) -> Saying | None:
    if row is None:
        return None
    zh, en = sentences.STALE if row["doubted"] else (row["sentence_zh"], row["sentence_en"])
    verdict, reason = ("unknown", "stale") if row["doubted"] else (row["verdict"], row["reason"])
    return Saying(verdict=verdict, reason=reason, sentence=Name(zh=zh, en=en), recorded_at=row["recorded_at"])


@router.get("/ledger/digests")
async def list_digests(
    who: Reader,
    conn: Conn,
    limit: Annotated[int, Query(ge=1, le=400)] = 31,
) -> Digests:
    """The digests of the last days, the latest first. Nothing in them tells of anybody."""
    rows = await coverage_views.digests(conn, limit)
    hexes = ("root", "previous", "hash")
    return Digests(items=[Digest(**{**row, **{key: row[key].hex() for key in hexes}}) for row in rows])
