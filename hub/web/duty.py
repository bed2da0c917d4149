"""Duty in the console: which posts there are, who is on duty now and next, and shifts that hand over."""

from datetime import timedelta
from typing import Any

from starlette.responses import Response

from hub.core.rota import Rota, timeline
from hub.errors import BadInput
from hub.model import to_datetime, to_micros
from hub.store import console, duty, duty_book
from hub.web.asking import Asked, said
from hub.web.rendering import render
from hub.web.words import word

AHEAD = timedelta(hours=36)
BACK = timedelta(hours=1)
_MAX_NOTE = 2000


async def show(ask: Asked) -> Response:
    """The duty posts of one's scope. A stretch that nobody fills is said, not left out."""
    now = ask.hub.clock()
    known = {row["id"]: row for row in await console.rotas(ask.conn, ask.who.scope)}
    async with ask.conn.cursor() as cur:
        calendar = await duty.load_calendar(cur)
        rotas = await duty.load_rotas(cur, now - BACK, now + AHEAD)
    notes = await console.handovers(ask.conn, list(known))
    named = {name for id in known if id in rotas for name in rotas[id].responders}
    titles = await console.responder_titles(
        ask.conn, named | {note[who] for note in notes for who in ("giver", "taker")}
    )
    posts = []
    for id, row in sorted(known.items()):
        rota = rotas.get(id)
        if rota is None:
            continue
        start, end = to_micros(now), to_micros(now + AHEAD)
        watches = [
            {
                "starts": to_datetime(watch.start),
                "ends": to_datetime(watch.end) if watch.end < end else None,
                "who": [titles.get(name, (name, "")) for name in watch.responders],
            }
            for watch in timeline(rota, calendar, start, end)
        ]
        people = [(name, *titles.get(name, (name, ""))) for name in sorted(rota.responders)]
        now_and_next = {"now": watches[0] if watches else None, "next": watches[1:]}
        posts.append({**row, **now_and_next, "people": people, "swaps": _swaps(rota, titles)})
    return render(
        "duty.html",
        ask=ask,
        posts=posts,
        notes=notes,
        titles=titles,
        known=known,
        now=now,
        hours=AHEAD // timedelta(hours=1),
    )


async def hand_over(ask: Asked) -> Response:
    """Write a handover note 交接班; the real alarms that stand open at the post go into it. It is never changed."""
    rota = ask.request.path_params["rota"]
    note = ask.form.get("note", "").strip()
    if not 1 <= len(note) <= _MAX_NOTE:
        raise BadInput(f"a note has 1 to {_MAX_NOTE} characters", "note", "validation")
    await duty_book.hand_over(ask.conn, ask.who, rota, ask.form.get("giver", ""), ask.form.get("taker", ""), note)
    return said(ask, word("done.handover"), "/console/duty")


def _swaps(rota: Rota, titles: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "starts": to_datetime(swap.starts),
            "ends": to_datetime(swap.ends),
            "absent": None if swap.absent is None else titles.get(swap.absent, (swap.absent, "")),
            "present": None if swap.present is None else titles.get(swap.present, (swap.present, "")),
        }
        for swap in rota.overrides
    ]
