"""The alarm board, and what waits, while the database does not answer, or has not got an alarm yet: as the standby knows it, here or elsewhere.

Whoever is logged in is known as for the button (hub.api.beside). What is drawn so says of each alarm that it is not stored yet, and of itself that it
is not the whole board; the page lays it over what it showed before. The alarm's id is the one that the database will give it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.access import Services
from hub.api.beside import ANSWER, forward
from hub.core.rights import Permission, Principal
from hub.errors import LinkDown
from hub.runtime.unstored import has_unstored
from hub.store.access import recognised
from hub.web import alarms
from hub.web.asking import COOKIE, LONGEST, SCRIPTED, Endpoint, forgery_token, page, services
from hub.web.rendering import render
from hub.web.unstored import board_rows, sounds

LOOK = 0.25
HURRIED = 1.0
"""seconds that the database has where the standby knows already that it does not answer, or pages what nobody has stored"""
_PASSED = ("cookie", SCRIPTED)


@dataclass(frozen=True, slots=True)
class Recognised:
    """Whoever asks, without a transaction: what a template wants of `hub.web.asking.Asked`."""

    who: Principal
    until: datetime
    csrf: str

    def may(self, permission: Permission) -> bool:
        """Whether the role has this permission."""
        return self.who.may(permission)


async def show_board(request: Request) -> Response:
    """The board, whoever has it."""
    return await _ask(request, _board, "/console/")


async def show_waiting(request: Request) -> Response:
    """What wants somebody now, for pages that are not the board."""
    return await _ask(request, _waiting, "/console/waiting")


_board: Endpoint = page(alarms.show_board)
_waiting: Endpoint = page(alarms.show_waiting)


async def _ask(request: Request, ordinary: Endpoint, path: str) -> Response:
    hub = services(request)
    asking = asyncio.ensure_future(ordinary(request))
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        while not asking.done() and loop.time() - began < _patience(hub):
            await asyncio.wait({asking}, timeout=LOOK)
        if asking.done():
            return asking.result()
        why = LinkDown(f"database: no answer within {loop.time() - began:.0f} s")
    except LinkDown as error:
        why = error
    finally:
        asking.add_done_callback(lambda late: late.cancelled() or late.exception())
        asking.cancel()
    beside = await _beside(request, ordinary, path)
    if beside is None:
        raise why
    return beside


def _patience(hub: Services) -> float:
    if hub.standby is None:
        return ANSWER if hub.settings.standby_url else LONGEST
    return HURRIED if hub.standby.is_blind or has_unstored(hub.standby) else LONGEST


async def _beside(request: Request, ordinary: Endpoint, path: str) -> Response | None:
    hub = services(request)
    query = f"?{request.url.query}" if request.url.query else ""
    if hub.standby is None:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        return await forward(request, path + query, headers)
    secret, now = request.cookies.get(COOKIE, ""), hub.clock()
    bearers = hub.standby.known.people.bearers
    who = recognised(bearers, "login", secret, now)
    if who is None:
        return None
    institution = request.query_params.get("institution") or None
    found = board_rows(hub.standby, hub.profiles, who, now, institution)
    if ordinary is _waiting:
        kinds = sounds(found)
        return JSONResponse({"total": len(kinds), "alarms": kinds, "now": now.isoformat(), "away": True})
    until = next((one.until for one in bearers if one.who == who and one.until is not None), now)
    template = "board_list.html" if SCRIPTED in request.headers else "board.html"
    ask = Recognised(who, until, forgery_token(secret))
    return render(
        template,
        ask=ask,
        away=True,
        now=now,
        institution=institution,
        only=None if institution is None else (institution, ""),
        alarms=found,
        total=len(found),
        unowned=len(sounds(found)),
    )
