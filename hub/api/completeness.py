"""What is known to be missing: streams and their watermarks, the balance of each hour, gaps; and completeness beside every figure."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hub.api import pages
from hub.api.access import Conn, Hub, Reader
from hub.api.schemas import GivenMoment, Identifier, Moment
from hub.core import completeness as core
from hub.errors import BadInput
from hub.model import to_datetime
from hub.profiles import Point
from hub.store import completeness
from hub.store.completeness import Rhythm
from hub.store.rows import Row

router = APIRouter(tags=["completeness"])
Lane = Literal["urgent", "bulk"]
Cause = Literal["dropped", "edge", "device"]
ClientFilter = Annotated[Identifier | None, Query(description="Of this client.")]
InstitutionFilter = Annotated[Identifier | None, Query(description="Of this institution.")]
Since = Annotated[GivenMoment | None, Query(alias="from", description="From this time on; the last day when left out.")]
Until = Annotated[GivenMoment | None, Query(alias="to", description="Before this time.")]
_MAX_SKIP = 100_000
_AHEAD = timedelta(hours=1)


class _Spanning(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class MissingSpan(_Spanning):
    """A time without readings."""

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")
    cause: str = Field(
        description="`dropped` by a full spool; `edge` off or stalled; `device` silent (for good, or `silent` now); `not_arrived` yet, "
        "it may be in the edge's spool; `unread`: the device or driver could not read the point; `series`: no sample where one was due"
    )


class Completeness(_Spanning):
    """The share of a period that is not known to be without readings: of time, since readings are reported by exception."""

    share: float | None = Field(description="0 to 1; null where nothing can be known, with the reason")
    reason: Literal["before_tracking", "no_device", "never_heard", "future", "empty", "too_many"] | None
    since: Moment | None = Field(alias="from", description="what of the asked period the share is about")
    until: Moment | None = Field(alias="to")
    missing: list[MissingSpan] = Field(description="at most 100; they may overlap where there are several causes")
    more: int = Field(description="spans that are not named")


class Stream(BaseModel):
    """One lane of one client: how far it is stored, and how far in time."""

    stream: str
    client: str
    institution: str
    lane: Lane
    upto: int = Field(description="number of the last message that is committed")
    newest: Moment | None = Field(description="the newest event time stored")
    watermark: Moment | None = Field(
        description="the edge's newest beat here, by its own clock: everything before it that is not in a gap has come. "
        "Null where the client does not beat"
    )
    updated_at: Moment = Field(description="when the last message was committed")
    began_at: Moment
    superseded: bool = Field(description="the client has spoken in another stream of this lane since")
    counted: int | None = Field(description="items accounted for, as the client counts; null where it declares nothing")
    given: int | None = Field(description="items that the client had given numbers when it last spoke")
    waiting: int | None = Field(description="items in the client's spool when it last spoke")
    dropping_since: Moment | None = Field(description="a full spool is dropping: from this event time on")
    dropping: int = Field(description="items dropped since then")


class Hour(BaseModel):
    """What became of the items that came in one hour; produced + surplus is the sum of all that follow."""

    stream: str
    client: str
    institution: str
    lane: Lane
    hour: Moment = Field(description="of receipt")
    produced: int = Field(description="samples and rejects, as the client declares them")
    stored: int
    suppressed: int = Field(description="by exception")
    events: int
    beats: int
    duplicates: int
    quarantined: int
    dropped: int = Field(description="by a full spool, and declared")
    missing: int = Field(description="declared as produced, and nowhere. Above 0: readings are lost")
    surplus: int = Field(description="came, and was not declared")
    balanced: bool


class Gap(_Spanning):
    """A period whose readings are missing and will not come."""

    client: str
    institution: str
    lane: Lane
    device: str | None = Field(description="null: all that this lane of the client carries")
    since: Moment = Field(alias="from", description="event time")
    until: Moment = Field(alias="to")
    cause: Cause
    items: int | None = Field(description="how many samples, where it is known")
    noted_at: Moment


@router.get("/streams")
async def list_streams(
    who: Reader,
    conn: Conn,
    client: ClientFilter = None,
    institution: InstitutionFilter = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Stream]:
    """Streams by name: a lane of a client each, with its watermark and what waits in the client's spool."""
    after = pages.text_key(cursor)
    rows = await completeness.streams(
        conn, who.scope, limit=limit + 1, after=after, client=client, institution=institution
    )

    def shape(row: Row) -> Stream:
        return Stream.model_validate({**row, "dropping_since": row["drop_from"], "dropping": row["drop_items"]})

    return pages.page(rows, limit, shape, lambda row: (row["stream"],))


@router.get("/conservation")
async def list_conservation(
    who: Reader,
    conn: Conn,
    hub: Hub,
    client: ClientFilter = None,
    institution: InstitutionFilter = None,
    unbalanced: Annotated[bool, Query(description="Only hours in which something is missing or surplus.")] = False,
    since: Since = None,
    until: Until = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Hour]:
    """The balance of every stream and hour, newest first: nothing may be missing."""
    keys = pages.decode(cursor, str, str)
    start, end = _span(since, until, hub.clock())
    rows = await completeness.conservation(
        conn,
        who.scope,
        limit=limit + 1,
        after=None if keys is None else (pages.key_moment(keys[0]), str(keys[1])),
        client=client,
        institution=institution,
        unbalanced=unbalanced,
        since=start,
        until=end,
    )
    return pages.page(
        rows,
        limit,
        lambda row: Hour.model_validate({**row, "balanced": row["missing"] == 0 == row["surplus"]}),
        lambda row: (pages.moment_key(row["hour"]), row["stream"]),
    )


@router.get("/gaps")
async def list_gaps(
    who: Reader,
    conn: Conn,
    hub: Hub,
    client: ClientFilter = None,
    device: Annotated[Identifier | None, Query(description="Only gaps of this device alone.")] = None,
    institution: InstitutionFilter = None,
    cause: Annotated[Cause | None, Query()] = None,
    since: Since = None,
    until: Until = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Gap]:
    """Gaps that touch [from, to), newest first."""
    keys = pages.decode(cursor, str, int)
    before, skip = (None, 0) if keys is None else (pages.key_moment(keys[0]), int(keys[1]))
    if skip > _MAX_SKIP:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor")
    start, end = _span(since, until, hub.clock())
    asked = {"client": client, "device": device, "institution": institution, "cause": cause}
    rows = await completeness.gaps(
        conn, who.scope, limit=limit + 1, before=before, skip=skip, since=start, until=end, **asked
    )
    shown, following = rows[:limit], None
    if len(rows) > limit:
        last: datetime = shown[-1]["since"]
        seen = sum(row["since"] == last for row in shown) + (skip if last == before else 0)
        following = pages.encode(pages.moment_key(last), seen)
    return pages.Page(items=[Gap.model_validate(row) for row in shown], next=following)


def _span(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    end = now + _AHEAD if until is None else until
    start = min(now, end) - timedelta(days=1) if since is None else since
    if start > end:
        raise BadInput("'from' lies after 'to'", "query/from", "validation")
    return start, end


def rhythm(point: Point | None, name: str, instance: str) -> Rhythm | None:
    """How often the series must be stored by its profile; a point with a poll interval of its own is polled."""
    if point is None:
        return None
    every = timedelta(microseconds=point.every) if "every" in point.model_fields_set else None
    return Rhythm(name, instance, timedelta(microseconds=point.report.reassert), every)


def shape(found: core.Completeness) -> Completeness:
    """As the API shows it."""
    return Completeness(
        share=found.share,
        reason=found.reason,
        since=None if found.since is None else to_datetime(found.since),
        until=None if found.until is None else to_datetime(found.until),
        missing=[MissingSpan.model_validate(completeness.moments(span)) for span in found.missing],
        more=found.more,
    )
