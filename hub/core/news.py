"""Whether what a lane has heard is news: something that may have to reach somebody at once. Pure.

What is none only says that all is as it was: beats, readings on which no condition turns. It may wait a moment for company.
"""

from collections.abc import Sequence

from hub.core.alarms import Watch
from hub.core.draft import Draft
from hub.core.intake import take_message
from hub.core.lane import Message


def is_news(draft: Draft, messages: Sequence[Message]) -> bool:
    """Judge further messages in `draft`, which is for this and is never written; whether anything came of them beside the values themselves.

    Where in doubt it is news: an event, a condition that begins or ends to hold, a change of any kind, what is refused, a function test or
    a proof under way, a device of the other lane.
    """
    for message in messages:
        take_message(draft, message)
    return bool(
        draft.touched or draft.events or draft.changes or draft.tests or draft.armed or draft.pressed
        or draft.probed or draft.hops or draft.passed or draft.expired or draft.quarantined or draft.crosses
    ) or any(_turns(draft.state.watches.get(key), watch) for key, watch in draft.watches.items())  # fmt: skip


def _turns(before: Watch | None, watch: Watch) -> bool:
    return watch.holds is not (before is not None and before.holds)
