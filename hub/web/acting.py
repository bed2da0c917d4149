"""What a person does to an alarm in the console: one verb a form, each by the same pure steps as everywhere, each with its line in the audit log."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import Response

from hub.core import hidings
from hub.core.alarms import AlarmEvent, Disposition, Refused
from hub.errors import Conflict
from hub.model import SECOND, Micros, to_micros
from hub.notify.authority import handover_id
from hub.store import alarms, audit, console, handovers, views
from hub.store import hidings as shelvings
from hub.store.rows import Row
from hub.web.asking import Asked, said
from hub.web.fields import LINE, choice, text
from hub.web.rendering import lately
from hub.web.words import reason_of, word

HOURS = (1, 2, 4, 8, 24, 72, 168)
"""how long an alarm may be shelved, as far as its priority allows (hub.core.hidings.LONGEST_SHELVING)"""

Deed = Callable[[Asked, UUID, Micros], Awaitable[Mapping[str, Any]]]
"""does it in the caller's transaction; returns what the audit log keeps of it"""


def _note(ask: Asked, least: int = 0) -> str:
    return text(ask.form, "note", most=alarms.MAX_NOTE, least=least)


def _moves(event: AlarmEvent) -> Deed:
    async def deed(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
        note = _note(ask)
        await alarms.act(ask.conn, alarm, event, ask.who.name, note, at)
        return {"note": note}

    return deed


async def _write(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    await alarms.add_note(ask.conn, alarm, ask.who.name, _note(ask, least=1), at)
    return {}


async def _dispose(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    given = choice(ask.form, "disposition", list(Disposition))
    note = _note(ask)
    found = Disposition(given)
    await alarms.move(
        ask.conn, alarm, partial(hidings.dispose, at=at, disposition=found, actor=ask.who.name, note=note), at
    )
    return {"disposition": given, "note": note}


async def _close(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    note = _note(ask)
    await alarms.move(ask.conn, alarm, partial(hidings.close, at=at, actor=ask.who.name, note=note), at)
    return {"note": note}


async def _shelve(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    """A fire or panic is only asked for here: it is shelved when a second person agrees, from a login of their own."""
    given = choice(ask.form, "hours", [str(number) for number in HOURS])
    reason = text(ask.form, "reason", most=alarms.MAX_NOTE, least=1)
    until = at + int(given) * 3600 * SECOND
    done = await shelvings.shelve(ask.conn, alarm, until, ask.who.name, reason, at)
    return {"hours": int(given), "reason": reason, "asked": done is None}


async def _agree(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    await shelvings.agree(ask.conn, alarm, ask.who.name, at)
    return {}


async def _unshelve(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    note = _note(ask)
    await alarms.move(ask.conn, alarm, partial(hidings.unshelve, at=at, actor=ask.who.name, note=note), at)
    return {"note": note}


async def _hand_over(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    authority = text(ask.form, "authority", most=40, least=1)
    note = text(ask.form, "note", most=1000)
    await handovers.begin(ask.conn, handover_id(alarm, authority), alarm, authority, ask.who.name, note)
    return {"authority": authority, "note": note}


async def _received(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    authority = text(ask.form, "authority", most=40, least=1)
    by = text(ask.form, "received_by", most=LINE, least=1)
    reference = text(ask.form, "reference", most=100)
    await handovers.received(ask.conn, alarm, authority, ask.who.name, by, reference, None)
    return {"authority": authority, "received_by": by, "reference": reference}


async def _arrived(ask: Asked, alarm: UUID, at: Micros) -> Mapping[str, Any]:
    authority = text(ask.form, "authority", most=40, least=1)
    await handovers.arrived(ask.conn, alarm, authority, ask.who.name, "", None)
    return {"authority": authority}


DEEDS: Mapping[str, Deed] = {
    "acknowledge": _moves(AlarmEvent.ACKNOWLEDGE),
    "confirm": _moves(AlarmEvent.CONFIRM),
    "reset": _moves(AlarmEvent.RESET),
    "note": _write,
    "dispose": _dispose,
    "close": _close,
    "shelve": _shelve,
    "agree": _agree,
    "unshelve": _unshelve,
    "hand-over": _hand_over,
    "handover-received": _received,
    "handover-arrived": _arrived,
}
"""The verbs of the forms; the audit log names them `alarm.<verb>`."""


async def act(ask: Asked) -> Response:
    """A person's button. Who was faster is said to who was slower."""
    id: UUID = ask.request.path_params["alarm"]
    verb: str = ask.request.path_params["verb"]
    await views.alarm(ask.conn, ask.who.scope, id)
    deed = DEEDS.get(verb)
    if deed is None:
        raise HTTPException(404, "there is no such action")
    try:
        async with ask.conn.transaction():
            detail = await deed(ask, id, to_micros(ask.hub.clock()))
            await audit.record(ask.conn, ask.who.name, f"alarm.{verb}", f"alarm:{id}", {**detail, "by": "console"})
    except Conflict as error:
        words = refusal(error, await console.alarm(ask.conn, ask.who.scope, id), ask.hub.clock())
        return said(ask, words, f"/console/alarms/{id}", 409)
    return said(ask, word("done.asked" if detail.get("asked") else f"done.{verb}"), f"/console/alarms/{id}")


def refusal(error: Conflict, row: Row, now: datetime) -> tuple[str, str]:
    """Why an action was not possible, for people: who was first, and when."""
    if Refused.ALREADY_ACKNOWLEDGED.value in str(error) and row["acknowledged_by"] is not None:
        zh, en = word("byother")
        at = lately(row["acknowledged_at"], now).striptags()
        return zh.format(who=row["acknowledged_by"], at=at), en.format(who=row["acknowledged_by"], at=at)
    known = next((reason for reason in Refused if reason.value in str(error)), None)
    return reason_of(error) if known is None else word(f"refused.{known.name.lower()}")
