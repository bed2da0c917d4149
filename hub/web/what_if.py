"""What if, for one institution: which single part takes coverage with it, what is missing as a list to buy from, and the rules of another day."""

from starlette.responses import Response

from hub.api import what_if
from hub.store import coverage_views
from hub.web import fields
from hub.web.asking import Asked
from hub.web.rendering import render

LISTED = 50
"""single points of failure on the page, the worst first; the API gives all"""


async def show(ask: Asked) -> Response:
    """One institution, or one entry of the register that is not connected. Nothing here is a finding, and nothing of it is kept."""
    subject = ask.request.path_params["subject"]
    query = ask.request.query_params
    at = fields.moment(query, "at")
    wished = query.get("recommendations") == "1"
    place = await coverage_views.subject(ask.conn, ask.who.scope, subject)
    losses = await what_if.list_losses(ask.who, ask.conn, ask.hub, subject)
    missing = await what_if.list_missing(ask.who, ask.conn, ask.hub, subject, wished)
    other = None if at is None else await what_if.try_other_rules(ask.who, ask.conn, ask.hub, subject, at)
    return render(
        "what_if.html",
        ask=ask,
        place=place,
        parts=losses.parts[:LISTED],
        left_out=max(0, len(losses.parts) - LISTED),
        missing=missing,
        wished=wished,
        other=other,
        at=at,
    )
