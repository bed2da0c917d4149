"""What of a lane has arrived and is not committed yet, and the order in which it goes.

As long as all that waits fits into one batch it goes as it came. Behind a backlog it does not: a client of whose messages one may raise an alarm
goes first, with all that it said before, so that a press waits for two batches at most, however much has come before it. Every second batch goes as
it came: who raises alarms without end holds up nobody for ever. The order of a client's own messages never changes, and with the broker everything
is settled in the order in which it came (MQTT 5, 4.6).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from hub.mqtt import Incoming

BATCH = 64
"""messages that are judged and committed together at most: by then a commit is a fraction of what they cost, and nobody waits long for them"""
BATCH_BYTES = 65_536
"""payload bytes of a batch at most (a larger message goes alone): some thousand samples at the most"""


class Backlog:
    """The messages of one MQTT session. `is_loud` is asked of each at most once, and only where not all fit into a batch.

    Bounded by the session: the broker has no more under way than its Receive Maximum.
    """

    def __init__(self, is_loud: Callable[[Incoming], bool]) -> None:
        self._is_loud = is_loud
        self._number = 0
        self._waiting: dict[int, Incoming] = {}
        self._of: dict[str, deque[int]] = {}
        """by topic, which names the client"""
        self._unseen: deque[int] = deque()
        self._loud: dict[str, int] = {}
        """topics that go first, up to this number"""
        self._jumped = False
        """the last batch went before its turn"""
        self._unsettled: dict[int, Incoming] = {}
        self._done: set[int] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, came: Iterable[Incoming]) -> None:
        """Messages have arrived, in this order."""
        for item in came:
            self._number += 1
            self._waiting[self._number] = self._unsettled[self._number] = item
            self._of.setdefault(item.topic, deque()).append(self._number)
            self._unseen.append(self._number)

    def next(self, limit: int = BATCH, size: int = BATCH_BYTES) -> dict[int, Incoming]:
        """The next batch, in order, by the numbers under which it is `done`; empty where nothing waits."""
        if len(self._waiting) > limit:
            self._listen()
        self._jumped = bool(self._loud) and not self._jumped
        taken: dict[int, Incoming] = {}
        for number in self._first() if self._jumped else list(islice(self._waiting, limit)):
            size -= len(self._waiting[number].payload)
            if len(taken) == limit or (taken and size < 0):
                break
            taken[number] = self._waiting[number]
        for number, item in taken.items():
            self._take(number, item.topic)
        for topic in {item.topic for item in taken.values()} & self._loud.keys():
            self._loud[topic] = self._loud.pop(topic)  # the others first
        return taken

    def done(self, numbers: Iterable[int]) -> Sequence[Incoming]:
        """These are committed; what may now be settled, in the order of arrival."""
        self._done.update(numbers)
        settled: list[Incoming] = []
        while self._unsettled and (first := next(iter(self._unsettled))) in self._done:
            self._done.discard(first)
            settled.append(self._unsettled.pop(first))
        return settled

    def _listen(self) -> None:
        while self._unseen:
            number = self._unseen.popleft()
            item = self._waiting.get(number)
            if item is not None and self._is_loud(item):
                self._loud[item.topic] = number

    def _first(self) -> list[int]:
        return [number for topic, last in self._loud.items() for number in self._of[topic] if number <= last]

    def _take(self, number: int, topic: str) -> None:
        del self._waiting[number]
        mine = self._of[topic]
        mine.popleft()
        if not mine:
            del self._of[topic]
        if self._loud.get(topic, -1) <= number:
            self._loud.pop(topic, None)
