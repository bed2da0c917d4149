"""The change feed by polling, for platforms that cannot hold a stream: list, take the place, then ask for what came after it."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException

from hub.api import pages
from hub.api.access import Conn, Reader
from hub.api.problems import documented
from hub.api.schemas import ChangeItem, ChangePage
from hub.api.stream import parse_place, place
from hub.runtime.fanout import KINDS, visible
from hub.store.changes import Feed

router = APIRouter(tags=["events"])


@router.get("/changes", responses=documented(410))
async def list_changes(
    who: Reader,
    conn: Conn,
    cursor: Annotated[
        str | None, Query(max_length=40, description="`next` of the answer before, or an event's id.")
    ] = None,
    limit: pages.Limit = 100,
) -> ChangePage:
    """What changed after a place, in commit order. Without a cursor: nothing, and the place of now. 410: too old, list again.

    `next` is never null: ask again with it. Take the place first and then the lists, so that nothing falls between.
    """
    feed = Feed(conn)
    if cursor is None:
        return ChangePage(items=[], next=place(await feed.horizon()), more=False)
    since = parse_place(cursor, "query/cursor")
    if await feed.is_forgotten(since):
        raise HTTPException(410, "changes after this place are no longer kept: read the lists again")
    found = await feed.after(since, limit)
    shown = [one for one in found if one.kind in KINDS and visible(one, who.scope)]
    items = [
        ChangeItem(id=place(one.cursor), at=one.at, kind=one.kind, institution=one.institution, data=one.payload)
        for one in shown
    ]
    return ChangePage(items=items, next=place(found[-1].cursor if found else since), more=len(found) == limit)
