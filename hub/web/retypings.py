"""Institutions whose type or division was changed, as the level above sees it: what rules hold an institution follows from both."""

from starlette.responses import Response

from hub.api import pages
from hub.store import zone_plans
from hub.web.asking import Asked
from hub.web.fields import IDENTIFIER, text
from hub.web.rendering import render

LISTED = 50


async def show(ask: Asked) -> Response:
    """The newest first; also what has left one's scope by it."""
    query = ask.request.query_params
    institution = text(query, "institution", most=IDENTIFIER) or None
    keys = pages.decode(query.get("cursor") or None, str, str)
    before = None if keys is None else (pages.key_moment(keys[0]), str(keys[1]))
    rows = await zone_plans.retypings(ask.conn, ask.who.scope, limit=LISTED + 1, before=before, institution=institution)
    cursor = None
    if len(rows) > LISTED:
        last = rows[LISTED - 1]
        cursor = pages.encode(pages.moment_key(last["at"]), last["institution"])
    return render(
        "retypings.html", ask=ask, rows=rows[:LISTED], cursor=cursor, institution=institution, now=ask.hub.clock()
    )
