"""Alarms: listed, shown with all that was done about them, acknowledged, reset, written about."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from hub.api import pages, shapes
from hub.api.access import Acknowledger, Conn, Hub, Reader, Services
from hub.api.alarm_schemas import (
    Alarm,
    AlarmDetail,
    AlarmNote,
    AlarmRemark,
    AlarmStateName,
    GivenDisposition,
    GivenShelving,
    PriorityName,
    SignalClassName,
)
from hub.api.beside import BesideRoute, Taken
from hub.api.devices import Since, Until
from hub.api.places import DivisionFilter, InstitutionFilter
from hub.api.problems import documented
from hub.api.schemas import Identifier
from hub.core import alarms as core
from hub.core.alarms import AlarmEvent, Disposition
from hub.core.hidings import close, dispose, unshelve
from hub.core.rights import Principal, Role
from hub.errors import BadInput
from hub.model import to_micros
from hub.store import alarms, audit, hidings, views
from hub.store.pool import Connection

router = APIRouter(prefix="/alarms", tags=["alarms"])
acknowledging = APIRouter(prefix="/alarms", tags=["alarms"], route_class=BesideRoute)

AlarmId = Annotated[UUID, Path(description="The alarm's id.")]


@router.get("")
async def list_alarms(
    who: Reader,
    conn: Conn,
    hub: Hub,
    active: Annotated[bool | None, Query(description="Only those that have not ended, or that have.")] = None,
    state: Annotated[AlarmStateName | None, Query()] = None,
    signal_class: Annotated[SignalClassName | None, Query()] = None,
    priority: Annotated[PriorityName | None, Query()] = None,
    division: DivisionFilter = None,
    institution: InstitutionFilter = None,
    device: Annotated[Identifier | None, Query()] = None,
    suppressed_by: Annotated[UUID | None, Query(description="Those that this root alarm explains.")] = None,
    maintenance: Annotated[UUID | None, Query(description="Those that this maintenance window holds.")] = None,
    exercises: Annotated[
        Literal["drills", "all", "none"],
        Query(
            description="Beside the real ones: drills, proofs too, or none. The role platform sees the real ones alone."
        ),
    ] = "drills",
    since: Since = None,
    until: Until = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Alarm]:
    """Alarms by the time they were raised, newest first."""
    keys = pages.decode(cursor, str, str)
    rows = await views.alarms(
        conn,
        who.scope,
        limit=limit + 1,
        after=None if keys is None else (pages.key_moment(keys[0]), _uuid(keys[1])),
        active=active,
        state=state,
        signal_class=signal_class,
        priority=priority,
        division=division,
        institution=institution,
        device=device,
        exercises="none" if who.role is Role.PLATFORM else exercises,
        suppressed_by=suppressed_by,
        maintenance=None if maintenance is None else str(maintenance),
        since=since,
        until=until,
    )
    return pages.page(
        rows,
        limit,
        lambda row: Alarm.model_validate(shapes.alarm_row(hub.profiles, row)),
        lambda row: (pages.moment_key(row["raised_at"]), str(row["id"])),
    )


def _uuid(key: pages.Key) -> UUID:
    try:
        return UUID(str(key))
    except ValueError:
        raise BadInput("this cursor was not given out for this list", "query/cursor", code="cursor") from None


@router.get("/{alarm}")
async def show_alarm(who: Reader, conn: Conn, hub: Hub, alarm: AlarmId) -> AlarmDetail:
    """One alarm with its transitions, its escalation and its notifications."""
    return await _detail(conn, hub, who, alarm)


@acknowledging.post("/{alarm}/acknowledge", responses={202: {"model": Taken}, **documented(409)})
async def acknowledge_alarm(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: AlarmNote | None = None
) -> AlarmDetail:
    """Own it: the escalation stops. It does not mean that the alarm is verified. 202: of a fire or panic, while the database does not answer."""
    return await _act(conn, hub, who, alarm, AlarmEvent.ACKNOWLEDGE, "" if asked is None else asked.note)


@router.post("/{alarm}/confirm", responses=documented(409))
async def confirm_alarm(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: AlarmNote | None = None
) -> AlarmDetail:
    """Still on it: an acknowledgement that nothing follows lapses. Another person who confirms takes the alarm over."""
    return await _act(conn, hub, who, alarm, AlarmEvent.CONFIRM, "" if asked is None else asked.note)


@router.post("/{alarm}/reset", responses=documented(409))
async def reset_alarm(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: AlarmNote | None = None
) -> AlarmDetail:
    """End a latched alarm whose condition is gone. A fire panel itself is reset on site."""
    return await _act(conn, hub, who, alarm, AlarmEvent.RESET, "" if asked is None else asked.note)


@router.post("/{alarm}/note")
async def note_alarm(who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: AlarmRemark) -> AlarmDetail:
    """Add to an alarm's history; its state stays."""
    await views.alarm(conn, who.scope, alarm)
    await alarms.add_note(conn, alarm, who.name, asked.note, to_micros(hub.clock()))
    await audit.record(conn, who.name, "alarm.note", f"alarm:{alarm}", {})
    return await _detail(conn, hub, who, alarm)


@router.post("/{alarm}/shelve", responses=documented(409))
async def shelve_alarm(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: GivenShelving, response: Response
) -> AlarmDetail:
    """Hide it from paging until then; it ends by itself. A fire or panic is only asked for (202): a second person must agree."""
    await views.alarm(conn, who.scope, alarm)
    now, until = to_micros(hub.clock()), to_micros(asked.until)
    shelved = await hidings.shelve(conn, alarm, until, who.name, asked.reason, now)
    if shelved is None:
        response.status_code = 202
    said = {"until": asked.until.isoformat(), "reason": asked.reason, "asked": shelved is None}
    await audit.record(conn, who.name, "alarm.shelve", f"alarm:{alarm}", said)
    return await _detail(conn, hub, who, alarm)


@router.post("/{alarm}/shelve/agree", responses=documented(409))
async def agree_to_shelve(who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId) -> AlarmDetail:
    """The second person agrees to shelve a fire or panic alarm as the first one asked."""
    await views.alarm(conn, who.scope, alarm)
    await hidings.agree(conn, alarm, who.name, to_micros(hub.clock()))
    await audit.record(conn, who.name, "alarm.shelve_agreed", f"alarm:{alarm}", {})
    return await _detail(conn, hub, who, alarm)


@router.post("/{alarm}/unshelve", responses=documented(409))
async def unshelve_alarm(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: AlarmNote | None = None
) -> AlarmDetail:
    """End the shelving now: what is still unacknowledged is paged at once."""
    note = "" if asked is None else asked.note
    return await _move(conn, hub, who, alarm, "unshelve", partial(unshelve, actor=who.name, note=note), {"note": note})


@router.post("/{alarm}/disposition", responses=documented(409))
async def dispose_alarm(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: GivenDisposition
) -> AlarmDetail:
    """Say what the alarm was; it may be said anew until the alarm is closed."""
    by = partial(dispose, disposition=Disposition(asked.disposition), actor=who.name, note=asked.note)
    return await _move(conn, hub, who, alarm, "dispose", by, {"disposition": asked.disposition, "note": asked.note})


@router.post("/{alarm}/close", responses=documented(409))
async def close_alarm(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, asked: AlarmNote | None = None
) -> AlarmDetail:
    """It is dealt with: cleared, acknowledged, reset where it latches, and given a disposition."""
    note = "" if asked is None else asked.note
    return await _move(conn, hub, who, alarm, "close", partial(close, actor=who.name, note=note), {"note": note})


async def _move(
    conn: Connection,
    hub: Services,
    who: Principal,
    alarm: UUID,
    verb: str,
    by: Callable[..., tuple[core.Alarm, core.Transition]],
    said: dict[str, Any],
) -> AlarmDetail:
    """One of `hub.core.hidings`, with all but the alarm and the time given."""
    await views.alarm(conn, who.scope, alarm)
    now = to_micros(hub.clock())
    await alarms.move(conn, alarm, lambda one: by(one, at=now), now)
    await audit.record(conn, who.name, f"alarm.{verb}", f"alarm:{alarm}", said)
    return await _detail(conn, hub, who, alarm)


async def _act(
    conn: Connection, hub: Services, who: Principal, alarm: UUID, event: AlarmEvent, note: str
) -> AlarmDetail:
    await views.alarm(conn, who.scope, alarm)
    await alarms.act(conn, alarm, event, who.name, note, to_micros(hub.clock()))
    await audit.record(conn, who.name, f"alarm.{event.value}", f"alarm:{alarm}", {"note": note})
    return await _detail(conn, hub, who, alarm)


async def _detail(conn: Connection, hub: Services, who: Principal, alarm: UUID) -> AlarmDetail:
    row = await views.alarm(conn, who.scope, alarm, "none" if who.role is Role.PLATFORM else "all")
    history = await views.alarm_history(conn, alarm)
    asked = await hidings.asked(conn, alarm, to_micros(hub.clock()))
    shown = {**shapes.alarm_row(hub.profiles, row), **history._asdict()}
    return AlarmDetail.model_validate({**shown, "shelving_asked": None if asked is None else asked._asdict()})
