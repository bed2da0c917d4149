"""Proofs: what the way from every position to people was last worth, one proof hop by hop, and asking for one."""

from uuid import UUID

from starlette.responses import Response

from hub.api import pages
from hub.api.proofs import UNPROVEN_DAYS
from hub.core.exercises import NOT_LOWER
from hub.core.rights import Permission
from hub.errors import BadInput, Conflict
from hub.runtime.prover import WITHIN, injected
from hub.store import audit, console, proofs
from hub.web.asking import Asked, said
from hub.web.fields import IDENTIFIER, choice, text
from hub.web.rendering import render
from hub.web.words import word

LISTED = 100
TELLS = ("sink", "responders")
HOPS = (
    *("requested_at", "sent_at", "device_at", "edge_at", "spooled_at", "hub_at", "committed_at"),
    *("notified_at", "handed_over_at", "received_at"),
)
"""the moments of a proof in the order in which they come"""


async def show_all(ask: Asked) -> Response:
    """Every position that can raise fire or panic with when it was last proven; those that were not for too long are said."""
    query = ask.request.query_params
    institution = query.get("institution") or None
    overdue = query.get("overdue") == "1"
    rows = await proofs.positions(
        ask.conn,
        ask.who.scope,
        limit=LISTED + 1,
        after=pages.text_keys(query.get("cursor") or None),
        institution=institution,
        days=UNPROVEN_DAYS if overdue else None,
    )
    cursor = None
    if len(rows) > LISTED:
        cursor = pages.encode(rows[LISTED - 1]["institution"], rows[LISTED - 1]["position"])
    shown = rows[:LISTED]
    now = ask.hub.clock()
    for row in shown:
        last = row["last_proven_at"]
        row["overdue"] = last is None or (now - last).days >= UNPROVEN_DAYS
    return render(
        "proofs.html",
        ask=ask,
        positions=shown,
        titles=await console.institution_titles(ask.conn, ask.who.scope, {row["institution"] for row in shown}),
        cursor=cursor,
        institution=institution,
        overdue=overdue,
        days=UNPROVEN_DAYS,
        may=ask.may(Permission.EXERCISE),
        now=now,
    )


async def show(ask: Asked) -> Response:
    """One proof: what was injected where, and how long each hop took."""
    row = await proofs.get(ask.conn, ask.who.scope, ask.request.path_params["proof"])
    began = row["requested_at"]
    hops = [(name, row[name], (row[name] - began).total_seconds() if row[name] else None) for name in HOPS]
    return render(
        "proof.html", ask=ask, proof=row, lowest=NOT_LOWER.get(row["not_lower"]), hops=hops, now=ask.hub.clock()
    )


async def order(ask: Asked) -> Response:
    """Prove a position: a marked signal goes through queues, rules, policies and channels into a sink, never to an authority."""
    institution = text(ask.form, "institution", least=1, most=IDENTIFIER)
    position = text(ask.form, "position", least=1, most=IDENTIFIER)
    tell = choice(ask.form, "tell", TELLS)
    target, admin_state = await proofs.target(ask.conn, ask.who.scope, institution=institution, position=position)
    profile = ask.hub.profiles.get(target.profile)
    if profile is None:
        raise Conflict(f"profile {target.profile!r} of device {target.id} is not installed")
    if admin_state != "in_service":
        raise Conflict(f"device {target.id} is {admin_state}: only what is in service is proven")
    try:
        what = injected(profile, target, tell)
    except BadInput as error:
        raise Conflict(str(error)) from None
    made: UUID | None = await proofs.request(ask.conn, target, what, ask.who.name, WITHIN)
    if made is None:
        raise proofs.refuse_second(target.id)
    detail = {"device": target.id, "level": what.level, "tell": what.tell, "by": "console"}
    await audit.record(ask.conn, ask.who.name, "proof.ask", f"proof:{made}", detail)
    return said(ask, word("done.proof"), f"/console/proofs/{made}")
