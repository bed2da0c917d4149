"""Logging in with a personal token, and out. The cookie is for this host's own pages only and no script can read it."""

import math
import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.core.rights import Permission
from hub.store import access, audit, sessions
from hub.store.session import transaction
from hub.web.asking import COOKIE, Asked, after_login, read_form, services
from hub.web.rendering import render
from hub.web.throttle import Throttle

ANYBODY = Permission.READ
"""Every role may read, so everybody may log out."""


def throttle() -> Throttle:
    """Ten failures at once, then one in six seconds, for each address and token."""
    return Throttle(10, 6.0)


def caller(request: Request) -> str:
    """Whom a failure is counted against: the address that the request comes from."""
    return "" if request.client is None else request.client.host


def tried(request: Request, token: str) -> str:
    """What a failed login is counted against: the address and the token that was guessed at. A whole town may come from one address, and
    whoever guesses at one token must not keep the others out of theirs at three in the morning.
    """
    parts = token.split("_")
    named = len(parts) == 3 and parts[0] == "hub" and parts[1].isascii() and parts[1].isalnum() and len(parts[1]) <= 40
    return f"{caller(request)} {parts[1] if named else ''}"


async def show(request: Request) -> Response:
    """The login's form."""
    return render("login.html", wanted=after_login(request.query_params.get("next", "")), wrong="")


async def log_in(request: Request) -> Response:
    """Begin a session for the token's holder. A wrong token costs a try; too many have to wait."""
    form = await read_form(request)
    hub = services(request)
    tries: Throttle = request.app.state.logins
    wanted = after_login(form.get("next", ""))
    token = form.get("token", "").strip()
    wait = tries.wait(tried(request, token), time.monotonic())
    if wait > 0:
        answer = render("login.html", 429, wanted=wanted, wrong="login.often")
        answer.headers["Retry-After"] = str(math.ceil(wait))
        return answer
    async with transaction(hub.pool) as conn:
        who = await access.authenticate(conn, token, hub.clock())
        if who is not None:
            await sessions.end(conn, request.cookies.get(COOKIE, ""))  # whatever was planted or left here ends with it
            secret, expires_at = await sessions.begin(conn, who, hub.clock())
            await audit.record(conn, who.name, "console.login", f"token:{who.token}", {})
    if who is None:
        tries.failed(tried(request, token), time.monotonic())
        return render("login.html", 401, wanted=wanted, wrong="login.wrong")
    found = RedirectResponse(wanted, 303)
    found.set_cookie(
        COOKIE,
        secret,
        max_age=int((expires_at - hub.clock()).total_seconds()),
        path="/console",
        secure=request.url.scheme == "https" or hub.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="strict",
    )
    return found


async def log_out(ask: Asked) -> Response:
    """End the session here and now; its open streams end within seconds."""
    await sessions.end(ask.conn, ask.request.cookies.get(COOKIE, ""))
    await audit.record(ask.conn, ask.who.name, "console.logout", f"token:{ask.who.token}", {})
    found = RedirectResponse("/console/login", 303)
    found.delete_cookie(COOKIE, path="/console", httponly=True, samesite="strict")
    return found
