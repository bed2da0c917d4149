"""What each duty post has to bear: how many alarms, floods, what chatters, what is fleeting, what stands."""

from datetime import timedelta

from starlette.responses import Response

from hub.core.noise import BEARABLE, FLOOD_BEGINS
from hub.errors import BadInput
from hub.model import Priority, to_datetime
from hub.store import console, noise
from hub.web.asking import Asked
from hub.web.rendering import render

DAYS = (1, 7, 30)
SHOWN = 20
TARGET = {Priority.CRITICAL: None, Priority.HIGH: 0.05, Priority.MEDIUM: 0.15, Priority.LOW: 0.80}
"""the mix that people bear (EEMUA 191, as in hub.core.noise)"""


async def show(ask: Asked) -> Response:
    """The posts that were told of anything, and the figures of one of them or of all together."""
    query = ask.request.query_params
    if query.get("days", "1") not in map(str, DAYS):
        raise BadInput(f"days are {', '.join(map(str, DAYS))}", "days", "validation")
    days = int(query.get("days", "1"))
    post = query.get("post") or None
    until = ask.hub.clock()
    since = until - timedelta(days=days)
    posts = await noise.posts(ask.conn, ask.who.scope, since, until)
    found = await noise.measured(ask.conn, ask.who.scope, post, since, until)
    names = {name for name, _ in posts} | ({post} if post else set())
    return render(
        "noise.html",
        ask=ask,
        post=post,
        posts=posts,
        titles=await console.post_titles(ask.conn, names),
        found=found,
        floods=[(to_datetime(one.since), to_datetime(one.until), one.activations) for one in found.floods[:SHOWN]],
        chattering=found.chattering[:SHOWN],
        fleeting=found.fleeting[:SHOWN],
        standing=[(one, to_datetime(one.at)) for one in found.standing[:SHOWN]],
        days=days,
        choices=DAYS,
        target=TARGET,
        bearable=BEARABLE,
        flood_begins=FLOOD_BEGINS,
        since=since,
        now=until,
    )
