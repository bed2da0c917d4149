"""The proof of recordings: how far back each camera's pictures reach by its recorder's own index, what does not count, and when it will be too little."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from hub.api import pages
from hub.api.access import Conn, Reader
from hub.api.schemas import DivisionCode, Identifier, Moment, Name
from hub.store import recordings
from hub.store.rows import Row

router = APIRouter(tags=["coverage"])
OutlookName = Literal["holds", "growing", "shrinking", "short", "unknown"]


class Recording(BaseModel):
    """How one camera's recording stands, or a recorder's whose cameras are not known. Days are 24 h."""

    device: str
    kind: str
    institution: str
    zone: Name | None
    recorder: str | None = Field(description="the device that told; null: no recorder is known")
    days: float | None = Field(description="between the oldest and the newest picture, as the recorder's index says")
    possible: float | None = Field(
        description="days it may be at most: more than `days` where the recorder tells only its worst recording, a young one"
    )
    gap_seconds: float = Field(description="without a picture, in the last 90 days, by the recorder's index")
    bad_seconds: float = Field(description="black, frozen or no stream, in the last 90 days")
    counted_days: float | None = Field(description="days without gaps and bad pictures")
    needed_days: float = Field(description="asked for now: the floor, or the camera's age where that is less")
    floor_days: float
    outlook: OutlookName
    days_a_day: float | None = Field(
        description="won or lost a day, of the last two weeks; null: fewer than five days are known"
    )
    short_at: Moment | None = Field(description="from when on it is too little; null: not within a year")
    days_then: float | None
    full_at: Moment = Field(description="from when on the whole floor is asked for")
    installed_at: Moment
    read_at: Moment | None
    newest_at: Moment | None = Field(description="of the newest picture; null: the recorder does not tell")
    updated_at: Moment


@router.get("/recordings")
async def list_recordings(
    who: Reader,
    conn: Conn,
    institution: Annotated[Identifier | None, Query(description="Of this institution.")] = None,
    division: Annotated[DivisionCode | None, Query(description="In this division and below.")] = None,
    outlook: Annotated[
        OutlookName | None, Query(description="Only these: `short` is too little today, `shrinking` will be.")
    ] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Recording]:
    """Recordings by device, as last rolled up (once an hour)."""
    after = pages.text_key(cursor)
    rows = await recordings.listed(
        conn, who.scope, limit=limit + 1, after=after, institution=institution, division=division, outlook=outlook
    )
    return pages.page(rows, limit, _shape, lambda row: (row["device"],))


def _shape(row: Row) -> Recording:
    zone = None if row["zone_zh"] is None else {"zh": row["zone_zh"], "en": row["zone_en"]}
    return Recording.model_validate({**row, "zone": zone, "days_a_day": row["a_day"]})
