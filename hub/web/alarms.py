"""The alarm board, an alarm's page with all that was done about it, and the history."""

from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.responses import JSONResponse, Response

from hub.api import pages
from hub.core.alarms import Disposition
from hub.core.hidings import LONGEST_SHELVING
from hub.core.rights import EVERYTHING, Permission
from hub.errors import BadInput
from hub.model import LIFE_SAFETY, SECOND, Priority, to_micros
from hub.store import console, handovers, premises, views
from hub.store import hidings as shelvings
from hub.store.pool import Connection
from hub.store.rows import Row
from hub.video import link
from hub.web.acting import HOURS
from hub.web.asking import SCRIPTED, Asked
from hub.web.rendering import render
from hub.web.unstored import board_rows, sounds
from hub.web.words import worded

BOARD = 150
"""Alarms on the board at most; it says how many more there are."""
HISTORY = 100
_NOTIFICATIONS = 500
_CHILDREN = 200


async def show_board(ask: Asked) -> Response:
    """What goes on now in one's scope, or in one institution."""
    institution = ask.request.query_params.get("institution") or None
    only = await _only(ask, institution)
    rows = await console.active_alarms(ask.conn, ask.who.scope, limit=BOARD, institution=institution)
    beside = _unstored(ask, {row["id"] for row in rows}, institution)
    shown = [*beside, *({**worded(ask.hub.profiles, row), "unstored": False} for row in rows)]
    counts = (rows[0]["total"], rows[0]["total_unowned"]) if rows else (0, 0)
    template = "board_list.html" if SCRIPTED in ask.request.headers else "board.html"
    return render(
        template,
        ask=ask,
        alarms=shown,
        total=counts[0] + len(beside),
        unowned=counts[1] + len(sounds(beside)),
        now=ask.hub.clock(),
        institution=institution,
        only=only,
        away=False,
    )


async def _only(ask: Asked, institution: str | None) -> tuple[str, str] | None:
    """The title of the one institution that a list is of; raises NotFound: a name that is none must not look like calm."""
    if institution is None:
        return None
    row = await views.institution(ask.conn, ask.who.scope, institution)
    return row["title_zh"], row["title_en"]


def _unstored(ask: Asked, stored: Set[UUID], institution: str | None = None) -> list[Row]:
    """What is paged and nobody has stored, though the database answers: an ingest that stands still."""
    standby = ask.hub.standby
    if standby is None:
        return []
    found = board_rows(standby, ask.hub.profiles, ask.who, ask.hub.clock(), institution)
    return [row for row in found if row["unstored"] and row["id"] not in stored]


async def show_waiting(ask: Asked) -> Response:
    """For pages that are not the board: what wants somebody now, so that it is heard and seen wherever one is."""
    rows = await console.waiting(ask.conn, ask.who.scope, limit=BOARD)
    kinds = {str(row["id"]): "urgent" if row["urgent"] else "plain" for row in rows}
    beside = sounds(_unstored(ask, {row["id"] for row in rows}))
    total = (rows[0]["total"] if rows else 0) + len(beside)
    return JSONResponse({"total": total, "alarms": beside | kinds, "now": ask.hub.clock().isoformat()})


async def show_history(ask: Asked) -> Response:
    """All alarms, newest first."""
    query = ask.request.query_params
    keys = pages.decode(query.get("cursor") or None, str, str)
    after = None if keys is None else (pages.key_moment(keys[0]), _uuid(str(keys[1])))
    institution = query.get("institution") or None
    only = await _only(ask, institution)
    rows = await console.history(ask.conn, ask.who.scope, limit=HISTORY + 1, institution=institution, after=after)
    shown = [worded(ask.hub.profiles, row) for row in rows[:HISTORY]]
    cursor = None
    if len(rows) > HISTORY:
        cursor = pages.encode(pages.moment_key(shown[-1]["raised_at"]), str(shown[-1]["id"]))
    return render("history.html", ask=ask, alarms=shown, cursor=cursor, institution=institution, only=only)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadInput("this cursor was not given out for this list", "cursor", "cursor") from None


async def show_alarm(ask: Asked) -> Response:
    """One alarm: where, what to do first, whom to call, what was done and who was told."""
    id: UUID = ask.request.path_params["alarm"]
    row = worded(ask.hub.profiles, await console.alarm(ask.conn, ask.who.scope, id))
    history = await views.alarm_history(ask.conn, id, _NOTIFICATIONS)
    floors = await premises.plans(ask.conn, ask.who.scope, row["institution"])
    template = "alarm_parts.html" if SCRIPTED in ask.request.headers else "alarm.html"
    return render(
        template,
        ask=ask,
        alarm=row,
        verbs=_verbs(ask, row),
        hours=hours(row),
        two=row["signal_class"] in LIFE_SAFETY,
        asked=await shelvings.asked(ask.conn, id, to_micros(ask.hub.clock())),
        dispositions=list(Disposition),
        authorities=await handovers.authorities(ask.conn, ask.who.scope, institution=row["institution"]),
        handed={handed["authority"]: handed for handed in await handovers.of_alarm(ask.conn, id)},
        timeline=timeline(history),
        told=await console.responder_titles(ask.conn, {note["responder"] for note in history.notifications}),
        cut=len(history.notifications) >= _NOTIFICATIONS,
        escalation=history.escalation,
        cameras=cameras(await premises.cameras_of_alarm(ask.conn, id), row["raised_at"]),
        children=await console.children(ask.conn, ask.who.scope, id, limit=_CHILDREN),
        plan=next((floor for floor in floors if floor["floor"] == row["floor"]), None),
        now=ask.hub.clock(),
    )


def _verbs(ask: Asked, row: Row) -> list[str]:
    """What this person may do to the alarm in its present state; the core decides again when it is done."""
    if not ask.may(Permission.ACKNOWLEDGE):
        return []
    if row["ended_at"] is not None:
        return [] if row["closed_at"] is not None else ["dispose", *(["close"] if row["disposition"] else [])]
    own = ["acknowledge"] if row["unowned"] else ["confirm", *(["reset"] if row["state"] == "latched_ack" else [])]
    return [*own, "unshelve" if row["shelved"] else "shelve", "dispose"]


def hours(row: Row) -> list[int]:
    """For how long this alarm may be shelved."""
    longest = LONGEST_SHELVING[Priority(row["priority"])] // (3600 * SECOND)
    return [number for number in HOURS if number <= longest]


def cameras(rows: list[Row], at: datetime) -> list[Row]:
    """Cameras with the URL under which the video system shows them at the alarm's moment."""
    names = ("institution", "zone", "position", "device")
    return [{**row, "url": link(row["video"], at=at, **{name: row[name] for name in names})} for row in rows]


def timeline(history: views.History) -> list[dict[str, Any]]:
    """Everything around an alarm by time: what it went through, who was told by which channel, and each attempt's receipt."""
    found: list[dict[str, Any]] = [
        {"at": one["at"], "rank": 0, "what": "transition", "one": one} for one in history.transitions
    ]
    for note in history.notifications:
        found.append({"at": note["created_at"], "rank": 1, "what": "notification", "one": note})
        for attempt in note["attempts"]:
            at = datetime.fromisoformat(attempt["at"])
            found.append({"at": at, "rank": 2, "what": "attempt", "one": {**attempt, "of": note}})
    return sorted(found, key=lambda entry: (entry["at"], entry["rank"]))


async def for_link(conn: Connection, profiles: Mapping[str, Any], id: UUID) -> Row:
    """The alarm of a signed link, whoever holds it; raises NotFound."""
    return worded(profiles, await console.alarm(conn, EVERYTHING, id))
