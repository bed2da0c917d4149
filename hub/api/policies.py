"""Escalation policies, to read; they are made by plan and apply. Addresses and secrets of channels are never shown."""

from fastapi import APIRouter

from hub.api import pages
from hub.api.access import Conn, Reader
from hub.api.places import InstitutionFilter
from hub.api.schemas import Policy
from hub.api.shapes import titled
from hub.store import views

router = APIRouter(prefix="/policies", tags=["policies"])


@router.get("")
async def list_policies(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Policy]:
    """Policies that concern your scope: those of the hub, of divisions above and below, of institutions."""
    after = pages.text_key(cursor)
    rows = await views.policies(conn, who.scope, limit=limit + 1, after=after, institution=institution)
    return pages.page(
        rows,
        limit,
        lambda row: titled(Policy, {**row, "round_every": row["round_every"].total_seconds()}),
        lambda row: (row["id"],),
    )
