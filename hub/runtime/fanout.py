"""One follower of the change feed, many subscribers: the event stream and the console.

Every subscriber has a bounded queue. Who is too slow loses what was queued and gets one `Resync` in its place: it must read the
lists again. The follower never waits for a subscriber.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog

from hub.core.backoff import full_jitter
from hub.core.rights import Scope
from hub.errors import LinkDown
from hub.store.changes import Change, Cursor, Feed, open_feed

KINDS = (
    *("alarm", "device_state", "coverage", "registry", "escalation", "notification", "handover"),
    *("armed", "blindness", "drill", "duty", "maintenance", "order", "policy_check", "proof", "retyping", "waiver"),
)
"""What the feed speaks of (column `kind` of table `change`); a test holds the statements that write it to this."""
QUEUE = 1000
"""Changes a subscriber may lag behind before it must resync."""
BATCH = 500
POLL_SECONDS = 1.0
"""How late a change is seen at most when its NOTIFY was lost."""
WITHHELD_SECONDS = 0.05
"""How soon to look again while an older transaction still runs."""
MAX_BACKOFF_SECONDS = 5.0
REPLAYS = 4
"""How many subscribers may catch up from the database at once; the others wait their turn."""
_log = structlog.get_logger(__name__)


class Resync:
    """Something was lost for this subscriber: read the lists again, then go on from here."""

    __slots__ = ("cursor",)

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor


class Nudge:
    """Something beside the feed is another: look at once."""

    __slots__ = ()


NUDGE = Nudge()


def visible(change: Change, scope: Scope) -> bool:
    """True where a holder of `scope` may see this change."""
    if change.institution is None or change.division is None:
        return scope.everything
    return scope.covers(change.institution, change.division, change.groups)


class Subscription:
    """One subscriber's bounded queue; made by `Fanout.subscribe`."""

    def __init__(self, scope: Scope, size: int) -> None:
        self._scope = scope
        self._size = size
        self._items: deque[Change | Resync] = deque()
        self._filled = asyncio.Event()
        self._closed = False
        self._nudged = False
        self.floor = Cursor(0, 0)
        """changes up to here were delivered already, by the catch-up"""

    def offer(self, change: Change) -> None:
        """Queue a change if it may be seen; on overflow forget all and leave one Resync."""
        if self._closed or not visible(change, self._scope):
            return
        if len(self._items) >= self._size:
            self._items.clear()
            self._items.append(Resync(change.cursor))
        else:
            self._items.append(change)
        self._filled.set()

    def nudge(self) -> None:
        """Leave one Nudge, before all else."""
        self._nudged = True
        self._filled.set()

    def close(self) -> None:
        """End it: `next` gives None from now on."""
        self._closed = True
        self._items.clear()
        self._filled.set()

    async def next(self, seconds: float) -> Change | Resync | Nudge | None:
        """The next item above `floor`. Raises TimeoutError after `seconds` without one; None at the end."""
        async with asyncio.timeout(seconds):
            while True:
                await self._filled.wait()
                if self._closed:
                    return None
                if self._nudged:
                    self._nudged = False
                    if not self._items:
                        self._filled.clear()
                    return NUDGE
                item = self._items.popleft()
                if not self._items:
                    self._filled.clear()
                if isinstance(item, Resync) or item.cursor > self.floor:
                    return item


class Fanout:
    """Follows the feed once for all subscribers. Its owner runs `follow()` as a task and calls `close()` at shutdown."""

    def __init__(self, database_url: str, *, queue: int = QUEUE, poll_seconds: float = POLL_SECONDS) -> None:
        self._url = database_url
        self._queue = queue
        self._poll = poll_seconds
        self._subscriptions: set[Subscription] = set()
        self._at: Cursor | None = None
        self._closed = False
        self._replays = asyncio.Semaphore(REPLAYS)
        self.following = asyncio.Event()
        """set while the feed is followed"""

    @property
    def subscribers(self) -> int:
        """How many are subscribed now."""
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self, scope: Scope) -> Iterator[Subscription]:
        """A subscription for the length of a `with`: it gets what the follower sees from now on."""
        subscription = Subscription(scope, self._queue)
        if self._closed:
            subscription.close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def nudge(self) -> None:
        """Let every subscriber look at what lies beside the feed."""
        for subscription in self._subscriptions:
            subscription.nudge()

    def close(self) -> None:
        """End every subscription, now and to come."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    async def follow(self) -> None:
        """Until cancelled. A lost database is waited for; the place in the feed is kept, so nothing is lost meanwhile."""
        failures = 0
        try:
            while True:
                try:
                    async with open_feed(self._url) as feed:
                        if self._at is None:
                            self._at = await feed.horizon()
                        if failures:
                            _log.info("fanout_back")
                        failures = 0
                        self.following.set()
                        await self._follow(feed)
                except LinkDown as error:
                    self.following.clear()
                    failures += 1
                    if failures == 1:
                        _log.warning("fanout_lost", error=str(error))
                    await asyncio.sleep(full_jitter(failures, 0.2, MAX_BACKOFF_SECONDS, random.random()))
        finally:
            self.following.clear()
            self.close()

    async def _follow(self, feed: Feed) -> None:
        while True:
            while await self._take(feed) == BATCH:
                pass
            if await feed.withholds():
                await asyncio.sleep(WITHHELD_SECONDS)
            else:
                await feed.wait(self._poll)

    async def _take(self, feed: Feed) -> int:
        assert self._at is not None
        changes = await feed.after(self._at, BATCH)
        for change in changes:
            for subscription in self._subscriptions:
                subscription.offer(change)
            self._at = change.cursor
        return len(changes)

    @asynccontextmanager
    async def catch_up(self, scope: Scope, since: Cursor) -> AsyncIterator[AsyncIterator[Change | Resync]]:
        """What lies after `since` and is visible, from the database; ends where nothing more can be seen.

        Where `since` is older than what is kept, a single Resync. Raises LinkDown.
        """
        async with self._replays, open_feed(self._url) as feed:
            yield self._replay(feed, scope, since)

    async def _replay(self, feed: Feed, scope: Scope, since: Cursor) -> AsyncIterator[Change | Resync]:
        if await feed.is_forgotten(since):
            yield Resync(await feed.horizon())
            return
        while changes := await feed.after(since, BATCH):
            since = changes[-1].cursor
            for change in changes:
                if visible(change, scope):
                    yield change
