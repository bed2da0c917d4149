"""Signed links while the database is away: the alarm as the standby knows it, and its one button. By this process's standby, or by another's.

The same link, the same key, the same rules as in hub/web/linked.py: opening shows, only the button's POST acts.
"""

import re
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from hub.api.beside import forward
from hub.core.answers import Answer, taken
from hub.core.links import opened
from hub.errors import Conflict
from hub.model import to_datetime
from hub.runtime.standby import Held, Standby
from hub.web.asking import services
from hub.web.logins import caller
from hub.web.rendering import render
from hub.web.throttle import Throttle
from hub.web.words import reason_of, word

_PART = re.compile(r"[A-Za-z0-9_-]{1,40}")
FORM = {"content-type": "application/x-www-form-urlencoded"}


def link_holds(request: Request, key: bytes) -> UUID | Response:
    """The notification that the link names, or the answer to one that does not hold. Wrong ones cost a try; one that holds is never made to wait,
    since thousands of phones share one address."""
    given = request.path_params
    now = int(services(request).clock().timestamp())
    named = opened(key, given["notification"], given["expires"], given["mac"], now)
    if named is not None:
        return named
    tries: Throttle = request.app.state.logins
    if tries.wait(caller(request), time.monotonic()) > 0:
        return render("link_over.html", 429, why="login.often")
    tries.failed(caller(request), time.monotonic())
    return render("link_over.html", 404, why="link.expired")


async def held(request: Request) -> Response | None:
    """The alarm of a page that this process's standby owes and the database does not know, or is silent about; None for any other."""
    found = _held(request)
    return None if found is None else _page(request, found[1], None)


async def acknowledge_held(request: Request) -> Response | None:
    """The button under it."""
    found = _held(request)
    return None if found is None else await _take(request, *found)


async def away(request: Request) -> Response | None:
    """The database does not answer: what the standby knows, here or where it is; None where nobody knows."""
    found = _held(request)
    return await _forward(request) if found is None else _page(request, found[1], None)


async def acknowledge_away(request: Request) -> Response | None:
    """The button under it."""
    found = _held(request)
    return await _forward(request) if found is None else await _take(request, *found)


def _held(request: Request) -> tuple[Standby, Held, UUID] | None:
    standby = services(request).standby
    if standby is None or not standby.known.people.link_key:
        return None
    given = request.path_params
    now = int(services(request).clock().timestamp())
    key = opened(standby.known.people.link_key, given["notification"], given["expires"], given["mac"], now)
    found = None if key is None else standby.held(key)
    return None if key is None or found is None else (standby, found, key)


async def _take(request: Request, standby: Standby, found: Held, key: UUID) -> Response:
    said = word("done.acknowledge")
    try:
        actor = f"{found.letter.responder_title.zh} [{found.letter.responder}]"
        answer: Answer | None = await standby.acknowledge(found.alarm, actor, key)
    except Conflict as error:
        answer = standby.answers.standing(found.alarm.id)
        said = word("refused.already_acknowledged") if answer is not None else reason_of(error)
    return _page(request, found._replace(answer=answer), said)


def _page(request: Request, found: Held, said: tuple[str, str] | None) -> Response:
    row, letter = as_row(found), found.letter
    link = {"retired": False, "others": 0, "title_zh": letter.responder_title.zh, "title_en": letter.responder_title.en}
    now = services(request).clock()
    return render("link.html", alarm=row, link=link, said=said, path=request.url.path, now=now, away=True)


def as_row(found: Held) -> Mapping[str, Any]:
    """The alarm as the page of a link wants it: what the message said, the device, and who has it."""
    alarm, letter, answer = found
    alarm = alarm if answer is None else taken(alarm, answer)
    return {
        "id": alarm.id,
        "signal_class": alarm.signal_class,
        "unowned": alarm.acknowledged_by is None,
        "exercise": alarm.exercise,
        "title": (letter.title.zh, letter.title.en),
        "institution_zh": letter.institution_title.zh,
        "institution_en": letter.institution_title.en,
        "zone_zh": letter.place.zh,
        "zone_en": letter.place.en,
        "position_zh": alarm.device,
        "position_en": alarm.device,
        "state": alarm.state,
        "raised_at": to_datetime(alarm.raised_at),
        "acknowledged_by": alarm.acknowledged_by,
        "acknowledged_at": None if alarm.acknowledged_at is None else to_datetime(alarm.acknowledged_at),
        "first": (letter.response.zh, letter.response.en),
        "contacts": (),
    }


async def _forward(request: Request) -> Response | None:
    """Ask the process that has the standby, as this request asks; it checks the link itself."""
    if not all(_PART.fullmatch(str(part)) for part in request.path_params.values()):
        return None
    return await forward(request, request.url.path, FORM)


__all__ = ["acknowledge_away", "acknowledge_held", "as_row", "away", "held", "link_holds"]
