"""Who is on duty: rotas, swaps, handover notes, the calendar of days off.

Rotas are made by plan and apply, or one at a time here: the same checks, rights and audit.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from hub import manifest
from hub.api import pages
from hub.api.access import Acknowledger, Conn, Hub, Provisioner, Reader
from hub.api.problems import documented
from hub.api.provisioning import PlanResult, apply_manifest, check_id
from hub.api.schemas import Given, GivenMoment, Identifier, Line, Moment, Name
from hub.calendars import YearCalendar
from hub.core.rota import Book, Override, Rota, Shift, timeline_of, was_on_duty
from hub.errors import BadInput
from hub.model import Micros, to_datetime, to_micros
from hub.store import duty_book, policy_checks

router = APIRouter(tags=["duty"])
RotaId = Annotated[Identifier, Path(description="The rota's id: the duty post's.")]
At = Annotated[GivenMoment | None, Query(description="At this instant; now where it is left out.")]
_LONGEST = timedelta(days=62)


class OnDuty(BaseModel):
    """A responder on duty."""

    id: str
    title: Name | None = Field(description="null where the responder is retired")


class ShiftShown(BaseModel):
    """One watch a day, by China's time; the next day where it does not end later than it starts."""

    id: str
    starts: str
    ends: str
    responders: list[str]
    since: str
    until: str | None
    turn_days: int
    crew: int
    weekdays: list[str]
    days: list[str]


class RotaShown(BaseModel):
    """A duty post with its shifts, and who is there."""

    id: str
    title: Name
    division: str | None
    institution: str | None
    at: Moment
    on_duty: list[OnDuty]
    until: Moment | None = Field(description="when that changes; null where not within 62 days")
    shifts: list[ShiftShown]


class EditionShown(BaseModel):
    """A rota as it was saved once: it counts from then until the next one, and is never changed."""

    edition: int
    counts_from: Moment | None = Field(description="null for the first: nothing was known before it")
    saved_at: Moment
    saved_by: str = Field(description="empty where it was saved before this was kept")
    shifts: list[ShiftShown] = Field(description="empty: from then on the rota was retired")


class WatchShown(BaseModel):
    """From `start` until before `end` these are on duty; nobody where it is empty."""

    start: Moment
    end: Moment
    responders: list[str]


class OverrideShown(BaseModel):
    """A swap, as it was entered."""

    id: UUID
    starts_at: Moment
    ends_at: Moment
    absent: str | None
    present: str | None
    reason: str
    made_at: Moment
    made_by: str
    cancelled_at: Moment | None
    cancelled_by: str | None


class GivenOverride(Given):
    """Somebody else is on duty for a time. Without `absent`: besides those who are; without `present`: nobody instead."""

    starts_at: GivenMoment
    ends_at: GivenMoment
    absent: Identifier | None = None
    present: Identifier | None = None
    reason: Line


class GivenHandover(Given):
    """Who hands over to whom, and what the next one must know."""

    giver: Identifier
    taker: Identifier
    note: str = Field(default="", max_length=4000, pattern=r"^[^\x00]*$")


class OpenAlarm(BaseModel):
    """An alarm that stood open."""

    alarm: UUID
    institution: str
    device: str
    definition: str
    signal_class: str
    priority: str
    state: str
    raised_at: Moment


class ShiftHandover(BaseModel):
    """A handover note 交接班, with the real alarms that stood open at that instant."""

    id: UUID
    at: Moment
    giver: str
    taker: str
    note: str
    shift: str | None = Field(
        description="the shift whose watch was handed over; null where the rota did not have the giver on duty"
    )
    watch_starts_at: Moment | None
    watch_ends_at: Moment | None
    alarm_count: int
    alarms: list[OpenAlarm] = Field(description="at most 500, fire and panic first")
    written_by: str


class CalendarYear(BaseModel):
    """The days of a year that differ from plain weekdays, by the notice."""

    year: int
    notice: str
    days: dict[str, Literal["workday", "weekend", "holiday"]]
    imported_at: Moment
    imported_by: str


@router.get("/rotas")
async def list_rotas(who: Reader, conn: Conn, hub: Hub, at: At = None) -> list[RotaShown]:
    """The duty posts of your scope, with who is on duty; `at` in the past: with who was, by what was known then."""
    return await _rotas(conn, hub, who.scope, None, at)


@router.get("/rotas/{rota}")
async def show_rota(who: Reader, conn: Conn, hub: Hub, rota: RotaId, at: At = None) -> RotaShown:
    """One duty post, with who is on duty; `at` in the past: with who was, by what was known then."""
    return (await _rotas(conn, hub, who.scope, rota, at))[0]


@router.get("/rotas/{rota}/watches")
async def list_watches(
    who: Reader,
    conn: Conn,
    rota: RotaId,
    start: Annotated[GivenMoment, Query(description="From then on.")],
    end: Annotated[GivenMoment, Query(description="Until then, at most 62 days later.")],
) -> list[WatchShown]:
    """Who is on duty from start to end, without gap or overlap; what nobody fills stands there as empty. What is past is by what was known
    then: an edit of the rota, a swap or a calendar counts from when it was saved."""
    if not timedelta() < end - start <= _LONGEST:
        raise BadInput("after start, at most 62 days later", "query/end", "time")
    books = await duty_book.load_books(conn, who.scope, rota, start, end)
    watches = timeline_of(books[rota], to_micros(start), to_micros(end))
    return [
        WatchShown(start=to_datetime(w.start), end=to_datetime(w.end), responders=list(w.responders)) for w in watches
    ]


@router.get("/rotas/{rota}/editions")
async def list_editions(who: Reader, conn: Conn, rota: RotaId) -> list[EditionShown]:
    """Every way in which the rota has stood, newest first, with who saved it; the newest 100."""
    rows = await duty_book.editions(conn, who.scope, rota, 100)
    shifts = await duty_book.shifts_of(conn, rota, [row["n"] for row in rows])
    return [
        EditionShown(
            edition=row["n"],
            counts_from=row["counts_from"],
            saved_at=row["saved_at"],
            saved_by=row["saved_by"],
            shifts=[_shift(shift) for shift in shifts.get(row["n"], ())],
        )
        for row in rows
    ]


@router.put("/rotas/{rota}", response_model=PlanResult, responses=documented(409))
async def put_rota(who: Provisioner, conn: Conn, hub: Hub, rota: RotaId, given: manifest.Rota) -> PlanResult | Response:
    """Create or change a rota, or retire it (`retired`). Refused (422) with the hours where a policy would reach nobody by it."""
    check_id(rota, given.id)
    return await apply_manifest(who, conn, hub, manifest.Manifest(rotas=(given,)))


@router.get("/rotas/{rota}/overrides")
async def list_overrides(who: Reader, conn: Conn, hub: Hub, rota: RotaId, since: At = None) -> list[OverrideShown]:
    """Swaps that are not over, newest first, cancelled ones too; at most 500."""
    rows = await duty_book.overrides(conn, who.scope, rota, since or hub.clock(), 500)
    return [OverrideShown.model_validate(row) for row in rows]


@router.post("/rotas/{rota}/overrides", status_code=201, responses=documented(409))
async def add_override(
    who: Acknowledger, conn: Conn, hub: Hub, rota: RotaId, given: GivenOverride
) -> list[OverrideShown]:
    """Enter a swap. Refused (422) with the hours where a policy would reach nobody by it."""
    if given.ends_at <= hub.clock():
        raise BadInput("this is over already", "#/ends_at", "time")
    override = Override("", to_micros(given.starts_at), to_micros(given.ends_at), given.absent, given.present)
    await duty_book.add_override(conn, who, rota, override, given.reason)
    return await list_overrides(who, conn, hub, rota)


@router.delete("/rotas/{rota}/overrides/{override}", status_code=204, responses=documented(409))
async def cancel_override(who: Acknowledger, conn: Conn, rota: RotaId, override: UUID) -> None:
    """Cancel a swap; it stays in the book. Refused (422) with the hours where a policy would reach nobody without it."""
    await duty_book.cancel_override(conn, who, rota, override)


@router.get("/rotas/{rota}/handovers")
async def list_shift_handovers(
    who: Reader, conn: Conn, rota: RotaId, limit: pages.Limit = 100, cursor: pages.CursorParam = None
) -> pages.Page[ShiftHandover]:
    """Handover notes of a duty post, newest first."""
    keys = pages.decode(cursor, str, str)
    after = None if keys is None else (pages.key_moment(keys[0]), _uuid(str(keys[1])))
    rows = await duty_book.handovers(conn, who.scope, rota, limit=limit + 1, after=after)
    return pages.page(
        rows, limit, ShiftHandover.model_validate, lambda row: (pages.moment_key(row["at"]), str(row["id"]))
    )


@router.post("/rotas/{rota}/handovers", status_code=201)
async def write_shift_handover(who: Acknowledger, conn: Conn, rota: RotaId, given: GivenHandover) -> ShiftHandover:
    """Write a handover note; the real alarms that stand open in the post's place go into it. It is never changed."""
    row = await duty_book.hand_over(conn, who, rota, given.giver, given.taker, given.note)
    return ShiftHandover.model_validate(row)


@router.get("/calendars")
async def list_calendars(who: Reader, conn: Conn) -> list[CalendarYear]:
    """The years whose days off and made-up working days are known."""
    return [CalendarYear.model_validate(row) for row in await policy_checks.load_years(conn)]


@router.put("/calendars/{year}")
async def put_calendar(
    who: Provisioner, conn: Conn, year: Annotated[int, Path(ge=1990, le=2200)], given: YearCalendar
) -> CalendarYear:
    """Import a year by its notice. Refused (422) with the hours where a policy would reach nobody by it."""
    if given.year != year:
        raise BadInput(f"{given.year} is not {year}", "#/year", "calendar")
    await duty_book.put_calendar(conn, who, year, given.notice, given.days)
    rows = {row["year"]: row for row in await policy_checks.load_years(conn)}
    return CalendarYear.model_validate(rows[year])


async def _rotas(conn: Conn, hub: Hub, scope: Any, rota: str | None, at: datetime | None) -> list[RotaShown]:
    moment = hub.clock() if at is None else at
    books = await duty_book.load_books(conn, scope, rota, moment, moment + _LONGEST)
    now = to_micros(moment)
    there = {name: was_on_duty(book, now) for name, book in books.items()}
    titles = await duty_book.load_titles(conn, sorted({person for people in there.values() for person in people}))

    def person(name: str) -> OnDuty:
        row = titles.get(name)
        return OnDuty(id=name, title=None if row is None else Name(zh=row["title_zh"], en=row["title_en"]))

    def until(book: Book) -> Micros | None:
        end = now + _LONGEST // timedelta(microseconds=1)
        first = timeline_of(book, now, end)[0]
        return first.end if first.end < end else None

    return [
        RotaShown(
            id=name,
            title=Name(zh=found.title_zh, en=found.title_en),
            division=found.division,
            institution=found.institution,
            at=moment,
            on_duty=[person(one) for one in there[name]],
            until=None if (end := until(books[name])) is None else to_datetime(end),
            shifts=[_shift(shift) for shift in found.shifts],
        )
        for name, found in ((name, _then(book, now)) for name, book in books.items())
    ]


def _then(book: Book, at: Micros) -> Rota:
    """The rota as it stood at `at`, or as it was known first."""
    return next((known.rota for known in reversed(book) if known.since <= at), book[0].rota)


def _shift(shift: Shift) -> ShiftShown:
    return ShiftShown(
        id=shift.id,
        starts=f"{shift.starts // 60:02}:{shift.starts % 60:02}",
        ends=f"{shift.ends // 60:02}:{shift.ends % 60:02}",
        responders=list(shift.responders),
        since=shift.since.isoformat(),
        until=None if shift.until is None else shift.until.isoformat(),
        turn_days=shift.turn_days,
        crew=shift.crew,
        weekdays=[manifest.WEEKDAYS[day] for day in sorted(shift.weekdays)],
        days=sorted(shift.day_kinds),
    )


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor") from None
