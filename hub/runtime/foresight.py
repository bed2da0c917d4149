"""What comes while a lane waits for company is judged as it comes: whether it is news, and, where nothing moved meanwhile, for good.

To see that nothing is news takes the same judging as to commit it. What was judged over a state that is still the state is the draft that is committed.
"""

from collections.abc import Sequence
from functools import partial

from hub.core.draft import Draft
from hub.core.lane import Message, State
from hub.core.news import is_news
from hub.errors import Fallen, tried
from hub.model import Lane
from hub.mqtt import Incoming
from hub.registry import Registry
from hub.runtime.batches import Addressed, addressed, known_of
from hub.runtime.shared import Clock


class Foresight:
    """Of one batch. `state` as committed when it begins to wait."""

    def __init__(self, state: State, registry: Registry, lane: Lane, clock: Clock) -> None:
        self._state, self._registry, self._lane, self._clock = state, registry, lane, clock
        self._moved = state.moved
        self._draft: Draft | None = None
        self._judged: list[Message] = []
        self._came: list[Incoming] = []
        self._addressed = Addressed([], [], [])

    def is_news(self, came: Sequence[Incoming]) -> bool:
        """Of messages that come one after the other: whether any of them cannot wait."""
        found = addressed(came, self._lane)
        self._came += came
        self._addressed.messages.extend(found.messages)
        self._addressed.strays.extend(found.strays)
        self._addressed.states.extend(found.states)
        known, unknown = known_of(self._registry, found.messages)
        if self._draft is None:
            self._draft = Draft(self._state, self._registry, self._clock())
        self._draft.now = self._clock()  # received now, not when the first one came
        self._judged += known
        news = tried(partial(is_news, self._draft, known))
        if isinstance(news, Fallen):  # whoever judges for good finds the message and says it (`refusals.judged`)
            self._moved = -1
            return True
        return news or bool(found.strays or unknown)

    def addressed(self, incoming: Sequence[Incoming]) -> Addressed:
        """What these are; read once where they are what has come."""
        seen = len(self._came) == len(incoming) and all(a is b for a, b in zip(self._came, incoming, strict=True))
        return self._addressed if seen else addressed(incoming, self._lane)

    def over(self, state: State, registry: Registry, messages: Sequence[Message]) -> Draft | None:
        """The draft of exactly these messages over this state; None where it was made of others, or over what is no more."""
        same = state is self._state and state.moved == self._moved and registry is self._registry
        return self._draft if same and self._judged == messages else None


__all__ = ["Foresight"]
