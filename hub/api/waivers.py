"""Waivers 豁免: a violation of one rule at one institution is excused for a time. Never of a law or a mandatory national standard."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api import pages
from hub.api.access import Conn, Hub, Reader, Services, Supervisor
from hub.api.places import InstitutionFilter
from hub.api.problems import documented
from hub.api.schemas import DivisionCode, Given, GivenMoment, Identifier, Moment, Name
from hub.core.coverage.rules import Rule
from hub.core.coverage.waivers import MOST_GROUND
from hub.errors import BadInput
from hub.store import audit, waivers
from hub.store.rows import Row

router = APIRouter(prefix="/waivers", tags=["orders"])

WaiverId = Annotated[UUID, Path(description="The waiver's id.")]


class Waiver(BaseModel):
    """A waiver: who granted it on which ground, and until when. It counts in every rate as `waived`, never as compliant."""

    id: UUID
    institution: str
    title: Name = Field(description="of the institution")
    division: str
    rule: str
    rule_title: Name
    force: str
    basis: Literal["obligation", "target"]
    ground: str
    document: str
    approver: str
    granted_at: Moment
    since: Moment
    expires_at: Moment
    ended_at: Moment | None
    ended_by: str | None
    state: Literal["holds", "ahead", "expired", "ended"]


class GivenWaiver(Given):
    """What is waived, why, and until when: a year at most. It begins now where `since` is left out."""

    institution: Identifier
    rule: Annotated[str, Field(min_length=1, max_length=100)]
    ground: Annotated[str, Field(min_length=1, max_length=MOST_GROUND, pattern=r"\S")]
    document: Annotated[str, Field(max_length=200)] = Field(default="", description="the document that says so")
    since: GivenMoment | None = None
    expires_at: GivenMoment


@router.get("")
async def list_waivers(
    who: Reader,
    conn: Conn,
    hub: Hub,
    institution: InstitutionFilter = None,
    division: Annotated[DivisionCode | None, Query(description="A division and everything below it.")] = None,
    open: Annotated[
        bool | None, Query(description="Only those that hold or are ahead, or those that are over.")
    ] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Waiver]:
    """Waivers within your scope, the latest first."""
    rows = await waivers.listed(
        conn,
        who.scope,
        now=hub.clock(),
        limit=limit + 1,
        after=pages.moment_and_id(cursor),
        institution=institution,
        division=division,
        open=open,
    )
    return pages.page(rows, limit, _waiver, lambda row: (pages.moment_key(row["granted_at"]), str(row["id"])))


@router.get("/{waiver}")
async def show_waiver(who: Reader, conn: Conn, hub: Hub, waiver: WaiverId) -> Waiver:
    """One waiver."""
    return _waiver(await waivers.waiver(conn, who.scope, waiver, hub.clock()))


@router.post("", status_code=201, responses=documented(409))
async def grant_waiver(who: Supervisor, conn: Conn, hub: Hub, asked: GivenWaiver) -> Waiver:
    """Grant a waiver: refused for a law, a mandatory national standard and a recommendation. A named person only."""
    now = hub.clock()
    since: datetime = now if asked.since is None else asked.since
    made = await waivers.grant(
        conn,
        who,
        rule_of(hub, asked.rule),
        institution=asked.institution,
        ground=asked.ground,
        document=asked.document,
        since=since,
        expires_at=asked.expires_at,
        now=now,
    )
    said = {"institution": asked.institution, "rule": asked.rule, "ground": asked.ground, "document": asked.document}
    times = {"since": since.isoformat(), "expires_at": asked.expires_at.isoformat()}
    await audit.record(conn, who.name, "waiver.grant", f"waiver:{made}", said | times)
    return _waiver(await waivers.waiver(conn, who.scope, made, now))


@router.delete("/{waiver}", responses=documented(409))
async def end_waiver(who: Supervisor, conn: Conn, hub: Hub, waiver: WaiverId) -> Waiver:
    """End it now: what it excused is a violation again at once. It stays on record. A named person only."""
    await waivers.end(conn, who, waiver, hub.clock())
    await audit.record(conn, who.name, "waiver.end", f"waiver:{waiver}", {})
    return _waiver(await waivers.waiver(conn, who.scope, waiver, hub.clock()))


def rule_of(hub: Services, id: str) -> Rule:
    """The rule of the packs in use; raises BadInput."""
    found = next((rule for pack in hub.packs for rule in pack.rules if rule.id == id), None)
    if found is None:
        raise BadInput("there is no such rule in the packs in use", "rule", code="waiver")
    return found


def _waiver(row: Row) -> Waiver:
    named = {
        "title": {"zh": row["institution_zh"], "en": row["institution_en"]},
        "rule_title": {"zh": row["title_zh"], "en": row["title_en"]},
    }
    return Waiver.model_validate({**row, **named})
