"""The audit log, for administrators of the whole hub."""

from typing import Annotated

from fastapi import APIRouter, Query

from hub.api import pages
from hub.api.access import Administrator, Conn
from hub.api.schemas import AuditEntry
from hub.errors import Forbidden
from hub.store import audit

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("")
async def list_audit(
    who: Administrator,
    conn: Conn,
    target: Annotated[
        str | None, Query(max_length=200, description="`noun:identifier`, such as `device:smoke-1`.")
    ] = None,
    actor: Annotated[str | None, Query(max_length=200)] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[AuditEntry]:
    """Who did what to which thing, newest first."""
    if not who.scope.everything:
        raise Forbidden("the audit log is shown to administrators whose scope is everything")
    keys = pages.decode(cursor, int)
    before = None if keys is None else int(keys[0])
    found = await audit.entries(conn, limit=limit + 1, target=target, actor=actor, before=before)
    return pages.page(
        found, limit, lambda row: AuditEntry.model_validate(row[1], from_attributes=True), lambda row: (row[0],)
    )
