"""The console's routes, the headers that every answer of it bears, and its errors as pages. Mounted beside the API by the composition root."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import structlog
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.core.rights import Permission
from hub.errors import AnxinError, BadInput, Conflict, Forbidden, LinkDown, NotFound
from hub.web import (
    alarms,
    arming,
    attesting,
    away,
    coverage,
    declaring,
    devices,
    drills,
    duty,
    institutions,
    linked,
    live,
    logins,
    maintenance,
    noise,
    orders,
    proofs,
    retypings,
    taking,
    testing,
    what_if,
    why,
)
from hub.web.asking import SCRIPTED, action, page
from hub.web.rendering import render
from hub.web.words import reason_of, word

_log = structlog.get_logger(__name__)
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""Only this host's own files; no inline script or style, no frame, no plug-in."""
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


LINK_HEADERS = ((b"referrer-policy", b"strict-origin"),)
"""a signed link is a key: the pages that are opened from it hear of the host alone. Not `no-referrer`: with it browsers send a form without its origin"""


class Shield:
    """ASGI middleware: what a page may load and who may keep it. Only files that never change are kept anywhere."""

    def __init__(self, app: ASGIApp, own: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.app = app
        other = {name for name, _ in own}
        self.headers = (*own, *(pair for pair in HEADERS if pair[0] not in other), (b"cache-control", b"no-store"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and put the headers on its answer."""

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                had = list(message.get("headers", ()))
                named = {name.lower() for name, _ in had}
                extra = [pair for pair in self.headers if pair[0] not in named]
                message = {**message, "headers": [*had, *extra]}
            await send(message)

        await self.app(scope, receive, shielded)


@cache
def _files() -> dict[str, bytes]:
    folder = files("hub.web").joinpath("static")
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in _TYPES}


async def show_file(request: Request) -> Response:
    """One of our own files; its address holds a digest of all of them, so it may be kept."""
    name = request.path_params["name"]
    body = _files().get(name)
    if body is None:
        raise HTTPException(404, "there is no such file")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(body, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)


def _status(error: Exception) -> int:
    if isinstance(error, HTTPException):
        return error.status_code
    known = ((BadInput, 422), (NotFound, 404), (Forbidden, 403), (Conflict, 409), (LinkDown, 503))
    return next((status for kind, status in known if isinstance(error, kind)), 500)


async def on_error(request: Request, error: Exception) -> Response:
    """An error as a page, or as JSON for our own script; never a trace, a secret or what was sent."""
    status = _status(error)
    if status == 500:
        _log.error("console_failed", path=request.url.path, error=type(error).__name__)
    zh, en = word(f"error.{status}") if status in (403, 404, 500, 503) else word("error")
    said = ("", "")
    if status not in (404, 500, 503):
        said = reason_of(error.detail if isinstance(error, HTTPException) else error)
    if SCRIPTED in request.headers:
        return JSONResponse({"zh": f"{zh}：{said[0]}".rstrip("："), "en": f"{en}. {said[1]}".rstrip(". ")}, status)
    return render("error.html", status, title=(zh, en), reason=said)


ROUTES = (
    Route("/", away.show_board),
    Route("/login", logins.show),
    Route("/login", logins.log_in, methods=["POST"]),
    Route("/logout", action(logins.log_out, logins.ANYBODY), methods=["POST"]),
    Route("/events", live.follow),
    Route("/alarms", page(alarms.show_history)),
    Route("/alarms/{alarm:uuid}", page(alarms.show_alarm)),
    Route("/alarms/{alarm:uuid}/why", page(why.show)),
    Route("/alarms/{alarm:uuid}/{verb}", taking.press, methods=["POST"]),
    Route("/institutions", page(institutions.show_all)),
    Route("/institutions/{institution}", page(institutions.show)),
    Route("/institutions/{institution}/floors/{floor}", page(institutions.show_floor)),
    Route("/institutions/{institution}/armed", action(arming.say, Permission.MAINTAIN), methods=["POST"]),
    Route("/coverage", page(coverage.show_all)),
    Route("/coverage/{subject}", page(coverage.show)),
    Route("/coverage/{subject}/what-if", page(what_if.show)),
    Route("/institutions/{institution}/plan", action(attesting.sign_plan, Permission.SUPERVISE), methods=["POST"]),
    Route("/attestations", page(attesting.show)),
    Route("/attestations", action(attesting.record, Permission.ATTEST, takes_file=True), methods=["POST"]),
    Route("/attestations/{attestation:uuid}/attachments/{n:int}", page(attesting.show_attachment)),
    Route("/attestations/{attestation:uuid}/second", action(attesting.second, Permission.ATTEST), methods=["POST"]),
    Route("/attestations/{attestation:uuid}/withdraw", action(attesting.withdraw, Permission.ATTEST), methods=["POST"]),
    Route("/devices/{device}", page(devices.show)),
    Route("/devices/{device}/views", action(attesting.attest_views, Permission.ATTEST), methods=["POST"]),
    Route("/devices/{device}/test", action(devices.test, Permission.TEST), methods=["POST"]),
    Route("/duty", page(duty.show)),
    Route("/duty/{rota}/handover", action(duty.hand_over), methods=["POST"]),
    Route("/drills", page(drills.show_all)),
    Route("/drills", action(declaring.declare, Permission.EXERCISE, fields=declaring.FIELDS), methods=["POST"]),
    Route("/drills/new", page(declaring.show, Permission.EXERCISE)),
    Route("/drills/{drill:uuid}", page(drills.show)),
    Route("/drills/{drill:uuid}/report.{kind}", page(drills.show_report)),
    Route("/drills/{drill:uuid}/cancel", action(drills.cancel, Permission.EXERCISE), methods=["POST"]),
    Route("/drills/{drill:uuid}/marks", action(drills.mark), methods=["POST"]),
    Route("/proofs", page(proofs.show_all)),
    Route("/proofs", action(proofs.order, Permission.EXERCISE), methods=["POST"]),
    Route("/proofs/{proof:uuid}", page(proofs.show)),
    Route("/tests", page(testing.show)),
    Route("/police-windows", action(testing.book, Permission.EXERCISE), methods=["POST"]),
    Route("/police-windows/{window:uuid}/receipt", action(testing.receive, Permission.EXERCISE), methods=["POST"]),
    Route("/police-windows/{window:uuid}/cancel", action(testing.cancel, Permission.EXERCISE), methods=["POST"]),
    Route("/maintenance", page(maintenance.show)),
    Route("/maintenance", action(maintenance.make, Permission.MAINTAIN), methods=["POST"]),
    Route("/maintenance/{window:uuid}/end", action(maintenance.end, Permission.MAINTAIN), methods=["POST"]),
    Route("/noise", page(noise.show)),
    Route("/orders", page(orders.show_all)),
    Route("/orders/{order:uuid}", page(orders.show)),
    Route("/orders/{order:uuid}/issue", action(orders.issue, Permission.SUPERVISE), methods=["POST"]),
    Route("/orders/{order:uuid}/answer", action(orders.answer, Permission.ANSWER), methods=["POST"]),
    Route("/orders/{order:uuid}/withdraw", action(orders.withdraw, Permission.SUPERVISE), methods=["POST"]),
    Route("/retypings", page(retypings.show)),
    Route("/waivers", page(orders.show_waivers)),
    Route("/waivers", action(orders.grant, Permission.SUPERVISE), methods=["POST"]),
    Route("/waivers/{waiver:uuid}/end", action(orders.end_waiver, Permission.SUPERVISE), methods=["POST"]),
    Route("/ledgers", page(orders.show_ledgers)),
    Route("/ledgers/{division}/{period}.{kind}", page(orders.take_ledger)),
    Route("/waiting", away.show_waiting),
    Route("/static/{digest}/{name}", show_file),
)
LINKED = (
    Route("/{notification}/{expires}/{mac}", linked.show),
    Route("/{notification}/{expires}/{mac}", linked.acknowledge, methods=["POST"]),
)


async def _to_board(_: Request) -> Response:
    return RedirectResponse("/console/", 303)


def install(app: FastAPI) -> None:
    """Serve the console below /console and the signed links below /n, with the services of the API's application."""
    for prefix, routes in (("/console", ROUTES), ("/n", LINKED)):
        own = LINK_HEADERS if routes is LINKED else ()
        app.router.routes.append(Mount(prefix, app=_made(app, routes, own)))
    app.router.routes.append(Route("/", _to_board))
    app.router.routes.append(Route("/console", _to_board))


def _made(app: FastAPI, routes: Sequence[Route], own: Sequence[tuple[bytes, bytes]]) -> Starlette:
    handlers = {AnxinError: on_error, HTTPException: on_error, Exception: on_error}
    made = Starlette(routes=list(routes), middleware=[Middleware(Shield, own=own)], exception_handlers=handlers)
    made.router.redirect_slashes = False
    made.state.services = app.state.services
    made.state.logins = logins.throttle()
    made.state.sight = live.Sight(app.state.services)
    return made
