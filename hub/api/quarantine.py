"""Quarantine: what the field sent and nobody could take, with the reason."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from hub.api import pages
from hub.api.access import Conn, Reader
from hub.api.schemas import Identifier, Quarantined
from hub.api.shapes import quarantined
from hub.errors import BadInput
from hub.store import views

router = APIRouter(prefix="/quarantine", tags=["quarantine"])
_MAX_SKIP = 100_000


@router.get("")
async def list_quarantine(
    who: Reader,
    conn: Conn,
    client: Annotated[Identifier | None, Query(description="Only what this client sent.")] = None,
    code: Annotated[str | None, Query(pattern="^[a-z0-9-]{1,40}$")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Quarantined]:
    """Newest first. What no registered client sent is shown to those whose scope is everything."""
    keys = pages.decode(cursor, str, int)
    before, skip = (None, 0) if keys is None else (pages.key_moment(keys[0]), int(keys[1]))
    if skip > _MAX_SKIP:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor")
    rows = await views.quarantine(conn, who.scope, limit=limit + 1, before=before, skip=skip, client=client, code=code)
    shown = rows[:limit]
    following = None
    if len(rows) > limit:
        last: datetime = shown[-1]["received_at"]
        seen = sum(row["received_at"] == last for row in shown) + (skip if last == before else 0)
        following = pages.encode(pages.moment_key(last), seen)
    return pages.Page(items=[Quarantined.model_validate(quarantined(row)) for row in shown], next=following)
