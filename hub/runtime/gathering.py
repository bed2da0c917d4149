"""How long a lane waits for company before it commits what has come.

A commit costs nearly the same for one message as for sixty, and a province's heartbeats come one by one: committed one by one they take the
whole machine, and an alarm waits behind them. So what is no news waits for more, at most `PAUSE` after the batch before; news goes at once and
takes along what waits. After a pause nothing waits at all, and where many wait already nobody waits longer (decision 0290).
"""

import asyncio
from collections.abc import Callable, Sequence

from hub.errors import LinkDown
from hub.mqtt import Incoming, Session

PAUSE = 0.25
"""seconds; an edge keeps a hundred messages under way, and what is not confirmed within 0.75 s the standby looks at"""
WORTH = 64
"""messages that are worth a commit of their own: what it costs beside them is a fraction of what they cost, measured"""


async def gather(
    mqtt: Session, limit: int, until: float, is_news: Callable[[Sequence[Incoming]], bool] | None
) -> list[Incoming]:
    """At least one message, in order of arrival; waits for more until `until` (the loop's time) as long as none of them is news.

    `is_news` is asked of every message once, in order; None where nothing can be. Raises LinkDown where the connection went before the first.
    """
    loop = asyncio.get_running_loop()
    found = came = await mqtt.take(limit)
    while len(found) < WORTH and (is_news is None or not is_news(came)):
        left = until - loop.time()
        if left <= 0:
            break
        try:
            least = WORTH - len(found) if is_news is None else 1  # nobody is woken for each of them
            came = await mqtt.take(limit - len(found), left, least)
        except LinkDown:
            break  # what had come is taken; the next one says it again
        found = [*found, *came]
    return found
