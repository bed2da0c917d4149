"""Orders, waivers and ledgers in the console: the list, one order with its history and its forms, waivers with the form for one, and documents to take."""

from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from hub.api import ledgers, pages
from hub.api.waivers import rule_of
from hub.core.coverage.month import bounds
from hub.core.coverage.waivers import MOST_GROUND, NEVER
from hub.core.orders import OPEN, TABLE, Event, State, may_withdraw
from hub.core.rights import Permission
from hub.core.rota import local_day
from hub.errors import BadInput, NotFound
from hub.model import to_micros
from hub.reports import fonts
from hub.store import audit, console, orders, rollup, waivers
from hub.web.asking import Asked, said
from hub.web.fields import IDENTIFIER, LINE, choice, moment, needed, text
from hub.web.rendering import render
from hub.web.words import word

LISTED = 50
_DONE = {State.CLOSED, State.WITHDRAWN}
VIEWS = {"open": tuple(OPEN), "draft": (State.DRAFT,), "raised": (State.RAISED,), "done": tuple(_DONE)}
"""what the list may be cut to"""


async def show_all(ask: Asked) -> Response:
    """Orders of one's scope, of an institution or a division; the counts of all states stand above."""
    query = ask.request.query_params
    institution, division = query.get("institution") or None, query.get("division") or None
    view = query.get("view", "")
    rows = await orders.listed(
        ask.conn,
        ask.who.scope,
        limit=LISTED + 1,
        after=pages.moment_and_id(query.get("cursor") or None),
        institution=institution,
        division=division,
        states=VIEWS.get(view),
    )
    cursor = None
    if len(rows) > LISTED:
        cursor = pages.encode(pages.moment_key(rows[LISTED - 1]["drafted_at"]), str(rows[LISTED - 1]["id"]))
    return render(
        "orders.html",
        ask=ask,
        orders=rows[:LISTED],
        counts=await orders.counts(ask.conn, ask.who.scope, institution=institution, division=division),
        cursor=cursor,
        institution=institution,
        division=division,
        view=view,
        now=ask.hub.clock(),
    )


async def show(ask: Asked) -> Response:
    """One order: what was found then and is found now, its history, and what the reader may do about it."""
    id: UUID = ask.request.path_params["order"]
    row = await orders.order(ask.conn, ask.who.scope, id)
    state = State(row["state"])
    supervises = ask.may(Permission.SUPERVISE) and ask.who.scope.oversees(row["division"])
    return render(
        "order.html",
        ask=ask,
        order=row,
        steps=await orders.steps(ask.conn, id),
        may_issue=supervises and TABLE[state, Event.ISSUE] is not None,
        may_withdraw=supervises
        and TABLE[state, Event.WITHDRAW] is not None
        and may_withdraw(orders.of_row(row), ask.who.scope),
        may_answer=ask.may(Permission.ANSWER) and TABLE[state, Event.ANSWER] is not None,
        now=ask.hub.clock(),
    )


async def issue(ask: Asked) -> Response:
    """Issue a draft."""
    id: UUID = ask.request.path_params["order"]
    note = text(ask.form, "note", most=orders.MOST_TEXT)
    await orders.issue(ask.conn, ask.who, id, note, ask.hub.clock())
    await audit.record(ask.conn, ask.who.name, "order.issue", f"order:{id}", {"note": note, "by": "console"})
    return said(ask, word("done.order.issue"), f"/console/orders/{id}")


async def answer(ask: Asked) -> Response:
    """Answer for the institution."""
    id: UUID = ask.request.path_params["order"]
    given = text(ask.form, "text", least=1, most=orders.MOST_TEXT)
    attachment = text(ask.form, "attachment", most=orders.MOST_ATTACHMENT)
    await orders.answer(ask.conn, ask.who, id, given, attachment, ask.hub.clock())
    detail = {"attachment": attachment, "by": "console"}
    await audit.record(ask.conn, ask.who.name, "order.answer", f"order:{id}", detail)
    return said(ask, word("done.order.answer"), f"/console/orders/{id}")


async def withdraw(ask: Asked) -> Response:
    """Withdraw one, with the reason."""
    id: UUID = ask.request.path_params["order"]
    note = text(ask.form, "note", least=1, most=orders.MOST_TEXT)
    await orders.withdraw(ask.conn, ask.who, id, note, ask.hub.clock())
    await audit.record(ask.conn, ask.who.name, "order.withdraw", f"order:{id}", {"note": note, "by": "console"})
    return said(ask, word("done.order.withdraw"), f"/console/orders/{id}")


async def show_waivers(ask: Asked) -> Response:
    """Waivers of one's scope; the form for a new one names its institution and offers the rules that may be waived."""
    query = ask.request.query_params
    institution = query.get("institution") or None
    now = ask.hub.clock()
    rows = await waivers.listed(
        ask.conn,
        ask.who.scope,
        now=now,
        limit=LISTED + 1,
        after=pages.moment_and_id(query.get("cursor") or None),
        institution=institution,
    )
    cursor = None
    if len(rows) > LISTED:
        cursor = pages.encode(pages.moment_key(rows[LISTED - 1]["granted_at"]), str(rows[LISTED - 1]["id"]))
    may = ask.may(Permission.SUPERVISE)
    titles = await console.institution_titles(ask.conn, ask.who.scope, {institution} if institution else set())
    rules = [rule for pack in ask.hub.packs for rule in pack.rules if rule.force not in NEVER]
    return render(
        "waivers.html",
        ask=ask,
        waivers=rows[:LISTED],
        cursor=cursor,
        institution=institution,
        titles=titles,
        rules=[rule for rule in rules if rule.basis.value != "recommendation"] if may and institution in titles else [],
        rule=query.get("rule", ""),
        may=may,
        now=now,
    )


async def grant(ask: Asked) -> Response:
    """Grant a waiver."""
    institution = text(ask.form, "institution", least=1, most=IDENTIFIER)
    rule = text(ask.form, "rule", least=1, most=100)
    ground = text(ask.form, "ground", least=1, most=MOST_GROUND)
    document = text(ask.form, "document", most=LINE)
    now = ask.hub.clock()
    since: datetime = moment(ask.form, "since") or now
    expires_at = needed(ask.form, "expires_at")
    made = await waivers.grant(
        ask.conn,
        ask.who,
        rule_of(ask.hub, rule),
        institution=institution,
        ground=ground,
        document=document,
        since=max(since, now),
        expires_at=expires_at,
        now=now,
    )
    detail = {"institution": institution, "rule": rule, "ground": ground, "document": document, "by": "console"}
    times = {"since": since.isoformat(), "expires_at": expires_at.isoformat()}
    await audit.record(ask.conn, ask.who.name, "waiver.grant", f"waiver:{made}", detail | times)
    return said(ask, word("done.waiver"), "/console/waivers")


async def end_waiver(ask: Asked) -> Response:
    """End one now: what it excused is a violation again."""
    id: UUID = ask.request.path_params["waiver"]
    await waivers.end(ask.conn, ask.who, id, ask.hub.clock())
    await audit.record(ask.conn, ask.who.name, "waiver.end", f"waiver:{id}", {"by": "console"})
    return said(ask, word("done.waiver.end"), "/console/waivers")


async def show_ledgers(ask: Asked) -> Response:
    """The divisions whose ledgers the reader may take, with the last months; or, where one is chosen, its document."""
    query = ask.request.query_params
    division = query.get("division") or None
    scope = ask.who.scope
    begins = [division] if division is not None or scope.everything else list(scope.divisions)
    found = {row["code"]: row for code in begins for row in await rollup.places(ask.conn, scope, code)}
    inside = [row for _, row in sorted(found.items()) if rollup.sees_all(scope, row["code"])]
    places = inside if division is not None or scope.everything else [row for row in inside if row["code"] in begins]
    times = {name: at for name in ("known_at", "seen_at") if (at := moment(query, name)) is not None}
    today = local_day(to_micros(ask.hub.clock()))
    months = [f"{today.year - (today.month <= n):04}-{(today.month - n - 1) % 12 + 1:02}" for n in range(12)]
    return render(
        "ledgers.html",
        ask=ask,
        places=places,
        division=division,
        months=months,
        known_at=times.get("known_at"),
        seen_at=times.get("seen_at"),
        asked=f"?{urlencode({name: at.isoformat() for name, at in times.items()})}" if times else "",
        years=(today.year, today.year - 1),
        pdf=fonts.find(ask.hub.settings.report_font) is not None,
        font_package=fonts.PACKAGE,
    )


async def take_ledger(ask: Asked) -> Response:
    """The document of a month (2026-10) or of a year (2026)."""
    division, period = ask.request.path_params["division"], ask.request.path_params["period"]
    kind = choice({"kind": ask.request.path_params["kind"]}, "kind", ("xlsx", "pdf", "csv"))
    if not (division.isascii() and division.isdigit() and 2 <= len(division) <= 12):
        raise NotFound("no such division")
    if len(period) == 4 and period.isascii() and period.isdigit() and kind != "pdf" and 2000 <= int(period) <= 2098:
        known_at = moment(ask.request.query_params, "known_at")
        return await ledgers.year_document(ask.hub, ask.who, division, int(period), kind, known_at)
    if kind == "csv":
        raise BadInput("a month is taken as xlsx or pdf", "kind", code="ledger")
    bounds(period)
    known_at, seen_at = (moment(ask.request.query_params, name) for name in ("known_at", "seen_at"))
    return await ledgers.month_document(ask.hub, ask.who, division, period, kind, known_at, seen_at)
