"""Attestations 人工记录 in the console: what was stated, the form for more, the second signature; with them the zone plan's signature and what
cameras see, since a person who stands there states these too."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import Response

from hub.api import pages
from hub.api.attestations import attachment
from hub.core.coverage.attestations import MAX_ATTACHMENT, MEASURED, NUMBERED, TAKES_TWO, AttestationKind, Statement
from hub.core.rights import Permission
from hub.errors import BadInput
from hub.model import to_micros
from hub.store import attestations, camera_views, console, views, zone_plans
from hub.store.attestations import Attachment
from hub.store.camera_views import Seen
from hub.store.rows import Row
from hub.web.asking import Asked, said
from hub.web.fields import IDENTIFIER, LINE, NOTE, choice, moment, text
from hub.web.rendering import render
from hub.web.words import word

LISTED = 50
_VIEWS = 200
_KINDS = {kind.value: (kind.zh, kind.en) for kind in AttestationKind}


async def show(ask: Asked) -> Response:
    """What was stated in one's scope or at one institution; the forms name their institution."""
    query = ask.request.query_params
    institution = query.get("institution") or None
    unsigned = True if query.get("unsigned") else None
    rows = await attestations.listed(
        ask.conn,
        ask.who.scope,
        limit=LISTED + 1,
        after=pages.moment_and_id(query.get("cursor") or None),
        institution=institution,
        unsigned=unsigned,
    )
    cursor = None
    if len(rows) > LISTED:
        cursor = pages.encode(pages.moment_key(rows[LISTED - 1]["at"]), str(rows[LISTED - 1]["id"]))
    return render(
        "attestations.html",
        ask=ask,
        rows=rows[:LISTED],
        cursor=cursor,
        institution=institution,
        unsigned=unsigned,
        place=await _place(ask, institution) if institution else None,
        kinds=_KINDS,
        takes_two={kind.value for kind in TAKES_TWO},
        numbered={kind.value for kind in NUMBERED},
        most_bytes=MAX_ATTACHMENT,
        measured={kind.value: unit for kind, unit in MEASURED.items()},
        may=ask.may(Permission.ATTEST),
        may_sign=ask.may(Permission.SUPERVISE),
        now=ask.hub.clock(),
    )


async def _place(ask: Asked, institution: str) -> Mapping[str, Any] | None:
    """What the forms of one institution need; None where it does not exist here."""
    rows = await zone_plans.listed(ask.conn, ask.who.scope, limit=1, institution=institution)
    if not rows:
        return None
    seen = await camera_views.listed(ask.conn, ask.who.scope, limit=_VIEWS, institution=institution)
    cameras: dict[str, list[Row]] = {}
    for row in seen:
        cameras.setdefault(row["device"] or "", []).append(row)
    return {
        "plan": await zone_plans.plan(ask.conn, ask.who.scope, institution),
        "zones": await views.zones(ask.conn, ask.who.scope, limit=500, institution=institution),
        "devices": await console.devices(ask.conn, ask.who.scope, institution, limit=500),
        "cameras": {device: (mine, _as_seen(mine)) for device, mine in cameras.items()},
    }


def _as_seen(rows: list[Row]) -> str:
    """What the form of a camera sends back: that it was seen exactly so."""
    return " ".join(f"{row['zone']}:{row['share']!r}:{int(row['masked'])}" for row in rows)


async def record(ask: Asked) -> Response:
    """State something. What it is about is one zone or one device, or the whole institution."""
    institution = text(ask.form, "institution", least=1, most=IDENTIFIER)
    kind = AttestationKind(choice(ask.form, "kind", list(_KINDS)))
    over, _, name = ask.form.get("over", "").partition(":")
    if over not in ("", "zone", "device") or bool(over) is not bool(name):
        raise BadInput("this is one of zone, device", "over", "validation")
    now = ask.hub.clock()
    at, expires = moment(ask.form, "at") or now, moment(ask.form, "expires_at")
    stated = Statement(
        kind,
        to_micros(at),
        None if expires is None else to_micros(expires),
        name if over == "zone" else None,
        name if over == "device" else None,
        text(ask.form, "number", most=LINE),
        _number(ask.form.get("value", "").strip()),
        text(ask.form, "done_by", most=LINE),
        text(ask.form, "note", most=NOTE),
    )
    given = attestations.Given(institution, stated, _attached(ask))
    await attestations.record(ask.conn, ask.who, given, now, by="console")
    done = word("done.attest.two") if kind in TAKES_TWO else word("done.attest")
    return said(ask, done, f"/console/attestations?institution={institution}")


def _attached(ask: Asked) -> tuple[Attachment, ...]:
    """The file that came with the form. Its type is what its bytes say; raises BadInput that names the field."""
    if ask.file is None:
        return ()
    try:
        return (Attachment.of(ask.file.name, ask.file.content),)
    except BadInput as error:
        raise BadInput(error.reason, "file", "attachment") from None


def _number(given: str) -> float | None:
    if not given:
        return None
    try:
        return float(given)
    except ValueError:
        raise BadInput("this is no number", "value", "validation") from None


async def second(ask: Asked) -> Response:
    """The second signature."""
    id: UUID = ask.request.path_params["attestation"]
    await attestations.second(ask.conn, ask.who, id, ask.hub.clock(), by="console")
    return said(ask, word("done.attest.second"), "/console/attestations")


async def withdraw(ask: Asked) -> Response:
    """Say that it never was."""
    id: UUID = ask.request.path_params["attestation"]
    note = text(ask.form, "note", least=1, most=NOTE)
    await attestations.withdraw(ask.conn, ask.who, id, note, ask.hub.clock(), by="console")
    return said(ask, word("done.attest.withdraw"), "/console/attestations")


async def show_attachment(ask: Asked) -> Response:
    """The bytes of an attachment, to be saved."""
    id: UUID = ask.request.path_params["attestation"]
    return attachment(await attestations.attachment(ask.conn, ask.who.scope, id, ask.request.path_params["n"]))


async def sign_plan(ask: Asked) -> Response:
    """The regulator signs the zone plan that the page showed."""
    institution: str = ask.request.path_params["institution"]
    digest = text(ask.form, "digest", least=64, most=64)
    await zone_plans.sign(ask.conn, ask.who, institution, digest, text(ask.form, "note", most=NOTE), by="console")
    return said(ask, word("done.plan.sign"), f"/console/attestations?institution={institution}")


async def attest_views(ask: Asked) -> Response:
    """The picture of a camera shows exactly what the page showed."""
    device = await views.device_key(ask.conn, ask.who.scope, ask.request.path_params["device"])
    seen: dict[str, Seen] = {}
    for one in text(ask.form, "seen", least=1, most=10_000).split():
        zone, _, rest = one.partition(":")
        share, _, masked = rest.partition(":")
        try:
            seen[zone] = Seen(float(share), masked == "1")
        except ValueError:
            raise HTTPException(422, "this form was not given out by the console") from None
    await camera_views.attest(ask.conn, ask.who, device, seen, ask.hub.clock(), by="console")
    return said(ask, word("done.views"), f"/console/attestations?institution={device.institution}")
