"""Who asks for a page, and whether it is they: the session's cookie, where a POST comes from, and its token against forgery.

A page is a coroutine function of an `Asked`; `page` and `action` make it an endpoint. Both run in one transaction, which is committed before
anything is answered.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from hub.api.access import Services
from hub.core.rights import Permission, Principal
from hub.errors import BadInput, Forbidden
from hub.store import sessions
from hub.store.pool import Connection
from hub.store.session import transaction, within
from hub.web.rendering import render

COOKIE = "anxin_session"
MULTIPART = "multipart/form-data"
MAX_FORM = 20_000
"""bytes of a form; a note has at most 2,000 characters"""
LONGEST = 15.0
"""seconds for a page, the pool's patience among them; a database that is frozen would hold it for ever"""
SCRIPTED = "x-console"
"""the header with which our own script asks: it is answered in JSON and never sent elsewhere"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request by somebody who is logged in."""

    request: Request
    hub: Services
    conn: Connection
    who: Principal
    until: datetime
    csrf: str
    form: Mapping[str, str] = field(default_factory=dict)
    file: "Upload | None" = None
    """what came with the form, where the action takes a file"""

    def may(self, permission: Permission) -> bool:
        """Whether the role has this permission."""
        return self.who.may(permission)


class Upload(NamedTuple):
    """A file that was sent with a form; its name is what its sender calls it."""

    name: str
    content: bytes


Page = Callable[[Asked], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def services(request: Request) -> Services:
    """The services of the hub that serves this request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


def page(show: Page, permission: Permission = Permission.READ) -> Endpoint:
    """The endpoint of a page that is shown to whoever is logged in; others are led to the login, our script gets a 401."""

    async def endpoint(request: Request) -> Response:
        return await _answer(request, show, permission, {})

    return endpoint


def action(
    act: Page, permission: Permission = Permission.ACKNOWLEDGE, *, fields: int = 50, takes_file: bool = False
) -> Endpoint:
    """The endpoint of a POST that acts: from our own page, with the session's token against forgery, of so many fields at most, and with one file where
    it takes one.
    """

    async def endpoint(request: Request) -> Response:
        file = None
        if takes_file and _kind(request) == MULTIPART:
            form, file = await read_upload(request, fields)
        else:
            form = await read_form(request, fields)
        expected = forgery_token(request.cookies.get(COOKIE, ""))
        if not hmac.compare_digest(form.get("csrf", "").encode(), expected.encode()):
            raise Forbidden("this form was not given out to this session: load the page again")
        return await _answer(request, act, permission, form, file)

    return endpoint


async def _answer(
    request: Request, handle: Page, permission: Permission, form: Mapping[str, str], file: Upload | None = None
) -> Response:
    return await within(LONGEST, _in_transaction(request, handle, permission, form, file))


async def _in_transaction(
    request: Request, handle: Page, permission: Permission, form: Mapping[str, str], file: Upload | None
) -> Response:
    hub = services(request)
    secret = request.cookies.get(COOKIE, "")
    async with transaction(hub.pool) as conn:
        session = await sessions.find(conn, secret, hub.clock())
        if session is not None:
            if not session.who.may(permission):
                raise Forbidden(f"the role {session.who.role.value} may not {permission.value}")
            csrf = forgery_token(secret)
            return await handle(Asked(request, hub, conn, session.who, session.expires_at, csrf, form, file))
    if request.method != "GET" or SCRIPTED in request.headers:
        raise HTTPException(401, "nobody is logged in")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/console/login?next={quote(wanted, safe='')}", 303)


def forgery_token(secret: str) -> str:
    """What every form of a session carries: made of the session's secret, so that nothing is stored and no other site can know it."""
    return urlsafe_b64encode(hashlib.sha256(b"anxin csrf 1" + secret.encode()).digest()).decode().rstrip("=")


async def read_form(request: Request, fields: int = 50) -> dict[str, str]:
    """The fields of a form sent by a page of this hub; raises Forbidden for one from elsewhere, BadInput for what is no form."""
    check_origin(request)
    if _kind(request) != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is sent as application/x-www-form-urlencoded")
    body = await request.body()
    most = MAX_FORM if fields <= 50 else 100 * fields
    if len(body) > most:
        raise HTTPException(413, f"a form has at most {most} bytes")
    try:
        found = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=fields,
            errors="strict",
        )
    except ValueError:
        raise BadInput("not a form", "#", "form") from None
    return _texts(found)


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _texts(found: Sequence[tuple[str, str]]) -> dict[str, str]:
    for name, value in found:
        if "\x00" in value:
            raise BadInput("a NUL character is not allowed", name, "text")
    return dict(found)


async def read_upload(request: Request, fields: int = 50) -> tuple[dict[str, str], Upload | None]:
    """The fields of a form that may bring one file, and the file. Its bytes are bounded with the whole request's (hub.api.guard), and are looked at by
    whoever takes them. Raises as `read_form`.
    """
    check_origin(request)
    await request.body()  # whole, as the guard let it through: nothing is read slowly here
    try:
        async with request.form(max_files=1, max_fields=fields, max_part_size=MAX_FORM) as form:
            sent = form.multi_items()
            file = next((value for _, value in sent if not isinstance(value, str)), None)
            content = b"" if file is None else await file.read()
            name = "" if file is None else _file_name(file.filename or "")
            found = [(key, value) for key, value in sent if isinstance(value, str)]
    except HTTPException:
        raise BadInput("not a form", "#", "form") from None
    return _texts(found), Upload(name, content) if content else None


def _file_name(said: str) -> str:
    """The last part of what the sender calls it, without what could not be shown."""
    last = said.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable()).strip()[:200] or "附件 attachment"


def check_origin(request: Request) -> None:
    """Raise Forbidden for a POST that another site's page sent. Browsers name the origin of every POST."""
    origin = urlsplit(request.headers.get("origin", ""))
    public = urlsplit(services(request).settings.public_url)
    ours = {request.headers.get("host", "").lower(), public.netloc.lower()} - {""}
    if origin.netloc.lower() not in ours or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden("a form of this console is sent from this console's own page")


def said(ask: Asked, words: tuple[str, str], to: str, status: int = 200) -> Response:
    """What came of a POST, for people: our own script says it where they are; without a script they are led to the page that shows it."""
    if SCRIPTED in ask.request.headers:
        return JSONResponse({"zh": words[0], "en": words[1], "to": to}, status)
    if status == 200:
        return RedirectResponse(to, 303)
    return render("error.html", status, title=words, reason=("", ""))


def after_login(wanted: str) -> str:
    """Where to go after the login: only to a page of the console itself."""
    inside = wanted.startswith("/console/")
    plain = all(" " < sign < "\x7f" and sign != "\\" for sign in wanted)
    return wanted if inside and plain and "//" not in wanted and len(wanted) < 500 else "/console/"
