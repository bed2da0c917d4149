"""Sending what the standby owes: through the same channels, under the same keys as the deliverer's, at most once between the two.

Whoever takes a key first sends it: the deliverer asks `before` it sends and tells `after`; a page that the standby has delivered is noted by the
deliverer and not sent again. A failed attempt is tried again as the deliverer does it, until the alarm is handed over.
"""

import asyncio
import contextlib
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

import structlog

from hub.core.escalation import retry_after
from hub.errors import BadInput
from hub.logs import broken_at
from hub.model import SECOND, Micros
from hub.notify import Channel, Message, Outcome, Receipt, deliver
from hub.runtime.journal import DELIVERED, Journal
from hub.store.reconcile import BESIDE, Page, Tried

SLOTS = 64
PER_CHANNEL = 8
LONGEST = 30.0
"""seconds for one attempt; longer than any channel's own limit"""
OTHERS = 12.0
"""seconds that the deliverer waits for an attempt of ours; it holds a lease of 30"""
MOST_WAIT = 4
"""attempts of the deliverer that wait for something here at once: the others are put off, or all of its places were taken by what goes out to nobody"""
PUT_OFF: Micros = SECOND
NOTING = 1.0
"""seconds in which the deliverer has written down what it was told"""
ANSWERED = "acknowledged while the database was away"
UNDER_WAY = "another attempt is under way"
_log = structlog.get_logger(__name__)


@dataclass
class _Owed:
    """One page under way to its receiver."""

    alarm: UUID
    page: Page
    next_at: float = 0.0
    sending: "asyncio.Task[None] | None" = None
    began: Micros | None = None
    """when the last attempt began"""


class Pager:
    """Pages of the standby, and the keys of all urgent ones that went out of this process. `word` gives channel and message, or BadInput."""

    def __init__(
        self, journal: Journal, word: Callable[[UUID, Page], tuple[Channel, Message]], clock: Callable[[], Micros]
    ) -> None:
        self._journal = journal
        self._word = word
        self._clock = clock
        self._owed: dict[UUID, _Owed] = {}
        self._delivered: OrderedDict[UUID, int | None] = OrderedDict()
        """with the receiver's answer, where that is known"""
        self._elsewhere: set[UUID] = set()
        self._waiting = 0
        self._noting: dict[UUID, float] = {}
        """alarms of which the deliverer was told that a page had gone out, and when (monotonic seconds)"""
        self.is_answered: Callable[[UUID], bool] = lambda _: False
        """whether somebody has the alarm, as the database may not know yet"""
        self.held: set[UUID] = set()
        """alarms that are being handed over: no new attempt begins"""
        self.outcomes: Counter[str] = Counter()

    # what the deliverer calls ---------------------------------------------------------------------------------------

    async def before(self, key: UUID, alarm: UUID) -> Receipt | None:
        """The receipt of a page that went out already, or is not to go out now; None: it is the caller's now, who says `after` what became of it."""
        if self.is_answered(alarm):
            if self._waiting < MOST_WAIT:
                with self._wait():
                    await self._until_known(alarm)
            return Receipt(Outcome.FAILED, None, ANSWERED, retry_after=PUT_OFF)
        owed = self._owed.get(key)
        if owed is not None and owed.sending is not None:
            if self._waiting >= MOST_WAIT:
                return Receipt(Outcome.FAILED, None, UNDER_WAY, retry_after=PUT_OFF)
            with self._wait():
                await asyncio.wait({owed.sending}, timeout=OTHERS)
        if key in self._delivered:
            self._noting = {one: at for one, at in self._noting.items() if self._is_recent(at)}
            self._noting[alarm] = asyncio.get_running_loop().time()
            return Receipt(Outcome.DELIVERED, self._delivered[key], BESIDE)
        self._elsewhere.add(key)
        return None

    def is_noting(self, alarm: UUID) -> bool:
        """Whether the deliverer is just writing down that a page of the alarm went out from here: handed over in that moment it would stand there twice."""
        at = self._noting.get(alarm)
        return at is not None and self._is_recent(at)

    def _is_recent(self, at: float) -> bool:
        return asyncio.get_running_loop().time() - at < NOTING

    @contextlib.contextmanager
    def _wait(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _until_known(self, alarm: UUID) -> None:
        """Until the database knows that somebody has the alarm, or for as long as the deliverer may wait."""
        until = asyncio.get_running_loop().time() + OTHERS
        while self.is_answered(alarm) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.1)

    async def after(self, key: UUID, receipt: Receipt | None) -> None:
        """What became of it; None: nobody knows."""
        self._elsewhere.discard(key)
        if receipt is not None and receipt.outcome is Outcome.DELIVERED:
            self._remember(key, receipt.code)
            await self._journal.delivered(key)

    # what the standby calls -----------------------------------------------------------------------------------------

    def restore(self, pages: Iterable[tuple[UUID, Page]], delivered: Iterable[UUID]) -> None:
        """What the journal held."""
        for key in delivered:
            self._remember(key)
        for alarm, page in pages:
            self.owe(alarm, [page])

    def owe(self, alarm: UUID, pages: Iterable[Page]) -> None:
        """These are to be sent."""
        for page in pages:
            if page.state == "sent":
                self._remember(page.key, page.tried[-1].code if page.tried else None)
            self._owed.setdefault(page.key, _Owed(alarm, page))

    def send(self, tasks: asyncio.TaskGroup, now: float) -> None:
        """Start what is due at `now` (monotonic), within the limits; the rest waits its turn."""
        sending = [owed for owed in self._owed.values() if owed.sending is not None]
        busy = Counter((owed.page.responder, owed.page.channel) for owed in sending)
        free = SLOTS - len(sending)
        for key, owed in self._owed.items():
            place = owed.page.responder, owed.page.channel
            if free <= 0:
                break
            if (
                owed.alarm in self.held
                or self.is_answered(owed.alarm)
                or owed.page.state != "pending"
                or owed.sending is not None
                or owed.next_at > now
                or key in self._elsewhere
            ):
                continue
            if key in self._delivered:  # the deliverer was quicker
                owed.page = owed.page._replace(state="sent")
                continue
            if busy[place] >= PER_CHANNEL:
                continue
            busy[place] += 1
            free -= 1
            owed.began = self._clock()
            owed.sending = tasks.create_task(self._attempt(owed), name=f"standby-{key}")

    def drop(self, alarm: UUID) -> None:
        """What was not sent is not to be sent any more: a new round begins."""
        for owed in self._owed.values():
            if owed.alarm == alarm and owed.page.state == "pending":
                owed.page = owed.page._replace(state="cancelled")

    def alarm_of(self, key: UUID) -> tuple[UUID, str] | None:
        """Alarm and responder of a page that is owed or was sent from here."""
        owed = self._owed.get(key)
        return None if owed is None else (owed.alarm, owed.page.responder)

    def pages(self, alarm: UUID) -> list[Page] | None:
        """All of an alarm; None while one of them is under way."""
        mine = [owed for owed in self._owed.values() if owed.alarm == alarm]
        return None if any(owed.sending is not None for owed in mine) else [owed.page for owed in mine]

    def told_since(self, alarm: UUID, at: Micros) -> bool:
        """Whether an attempt for the alarm began at `at` or later: what was under way already tells nobody of what came then."""
        for owed in self._owed.values():
            began, tried = owed.began, owed.page.tried
            if began is None and tried:  # before a restart
                began = tried[-1].at - tried[-1].took
            if owed.alarm == alarm and began is not None and began >= at:
                return True
        return False

    def release(self, alarm: UUID) -> list[UUID]:
        """The alarm is somebody else's now; returns the keys that were sent."""
        mine = {key: owed for key, owed in self._owed.items() if owed.alarm == alarm}
        for key in mine:
            del self._owed[key]
        return [key for key, owed in mine.items() if owed.page.state == "sent"]

    async def _attempt(self, owed: _Owed) -> None:
        started = asyncio.get_running_loop().time()
        try:
            receipt = await self._once(owed)
        finally:
            owed.sending = None
        now = asyncio.get_running_loop().time()
        tried = Tried(self._clock(), str(receipt.outcome), receipt.code, receipt.detail, int((now - started) * SECOND))
        page = owed.page._replace(tried=(*owed.page.tried, tried))
        about = {
            "alarm": str(owed.alarm),
            "notification": str(page.key),
            "responder": page.responder,
            "channel": page.channel,
        }
        self.outcomes[str(receipt.outcome)] += 1
        if receipt.outcome is Outcome.DELIVERED:
            owed.page = page._replace(state="sent")
            self._remember(page.key, receipt.code)
            _log.warning("standby.paged", **about, code=receipt.code)
        elif receipt.outcome is Outcome.REFUSED:
            owed.page = page._replace(state="failed")
            _log.error("standby.page_failed", **about, code=receipt.code, detail=receipt.detail)
        else:
            owed.page = page._replace(tried=page.tried[-20:])
            wait = retry_after(len(page.tried), random.random(), True, receipt.retry_after)
            owed.next_at = now + wait / SECOND
            _log.warning("standby.attempt_failed", **about, code=receipt.code, detail=receipt.detail)
        await self._journal.note(owed.alarm, owed.page)

    async def _once(self, owed: _Owed) -> Receipt:
        """One message that trips over a mistake of ours must not stop the others: it is loud and tried again."""
        sending = asyncio.ensure_future(self._send(owed))
        try:
            done, _ = await asyncio.wait({sending}, timeout=LONGEST)
        finally:
            sending.cancel()
        if not done:
            sending.add_done_callback(lambda late: late.cancelled() or late.exception())
            return Receipt(Outcome.FAILED, None, f"the channel did not end within {LONGEST:g} s")
        if sending.cancelled():  # Python 3.11.2 ends a task so whose TaskGroup failed before a time limit ran out
            return Receipt(Outcome.FAILED, None, "the channel was cancelled from within")
        error = sending.exception()
        if error is None:
            return sending.result()
        _log.error("standby.page_broke", notification=str(owed.page.key), at=broken_at(error))
        return Receipt(Outcome.FAILED, None, f"internal error ({type(error).__name__})")

    async def _send(self, owed: _Owed) -> Receipt:
        try:
            channel, message = self._word(owed.alarm, owed.page)
        except BadInput as error:
            return Receipt(Outcome.REFUSED, None, f"the channel's settings do not hold: {error.reason}")
        return await deliver(channel, message)

    def _remember(self, key: UUID, code: int | None = None) -> None:
        self._delivered[key] = code
        self._delivered.move_to_end(key)
        while len(self._delivered) > DELIVERED:
            self._delivered.popitem(last=False)
