"""The loop that sends what the outbox holds: claims, sends through the channel, notes the receipt, tries again later or gives up visibly.

One claim is one attempt. Attempts run side by side: `slots` in all of which `reserved` are for fire and panic only, `per_channel` for each
channel, so that a receiver that hangs delays its own messages and nobody else's. While the database is away, what was sent is kept and noted
when it is back. A kill between sending and noting sends once more, under the same idempotency key: the receiver drops it by that key.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn, Protocol
from uuid import UUID

import structlog

from hub import crash
from hub.core import links
from hub.core.escalation import retry_after
from hub.errors import BadInput, Conflict
from hub.logs import broken_at
from hub.model import SECOND, Micros
from hub.notify import Channel, Message, Outcome, Receipt, deliver, open_channel
from hub.notify.message import Listed, Purpose
from hub.notify.siren import SirenChannel, Sound
from hub.profiles import Profile, Title
from hub.runtime.reconnect import keep
from hub.store.outbox import Claimed, Ended, Outbox, Result, open_outbox, taken

ROUND = 90.0
"""seconds; a round of it is over long before, also where each of its receipts waits a second for its row"""
LONGEST = 28.0
"""seconds for one attempt: what it may wait for the standby (hub.runtime.pager) and the longest channel's own limit, and less than the lease"""
CANARY_RESPONDER = "canary"
"""whose one channel is the auditor's receiver, on this machine by default (migration 0012)"""
_log = structlog.get_logger(__name__)


class Limits(NamedTuple):
    """How much at once and for how long. The lease is longer than any channel's own limit of time."""

    slots: int = 64
    reserved: int = 16
    per_channel: int = 8
    lease: Micros = 30 * SECOND
    give_up: Micros = 6 * 3600 * SECOND


class Beside(Protocol):
    """Who may send urgent pages beside the deliverer, while the database does not answer (hub.runtime.standby)."""

    async def before(self, key: UUID, alarm: UUID) -> Receipt | None:
        """The receipt of what went out already, or must not go out now; None: it is the deliverer's to send."""
        ...

    async def after(self, key: UUID, receipt: Receipt | None) -> None:
        """What became of it; None: nobody knows."""
        ...


class _Desk:
    """Attempts under way and receipts that are not noted yet; together never more than `slots`."""

    def __init__(
        self,
        open_: Callable[[Claimed], Channel],
        word: Callable[[Claimed], Message],
        limits: Limits,
        beside: Beside | None = None,
    ) -> None:
        self._open = open_
        self._word = word
        self._beside = beside
        self.limits = limits
        self.under_way: dict[UUID, Claimed] = {}
        self.done: deque[tuple[Claimed, Result]] = deque()
        self.on_done: Callable[[], None] = lambda: None

    async def attempt(self, claimed: Claimed) -> None:
        """Send once and put the result down for noting."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        receipt = await self._outcome(claimed)
        crash.point("deliverer-sent")
        took = int((loop.time() - started) * SECOND)
        self.done.append((claimed, _result(claimed, receipt, took)))
        self.on_done()

    async def _outcome(self, claimed: Claimed) -> Receipt:
        """One message that trips over a mistake of ours must not stop the pages of all others: it is loud and tried again."""
        sending = asyncio.create_task(self._send(claimed), name=f"send-{claimed.id}-{claimed.n}")
        try:
            done, _ = await asyncio.wait({sending}, timeout=LONGEST)
        finally:
            sending.cancel()
        if not done:  # a channel that does not heed its own limit, in a database that is frozen for example: its place is another's
            sending.add_done_callback(lambda late: late.cancelled() or late.exception())
            return Receipt(Outcome.FAILED, None, f"the channel did not end within {LONGEST:g} s")
        if sending.cancelled():  # Python 3.11.2 ends a task so whose TaskGroup failed before a time limit ran out
            return Receipt(Outcome.FAILED, None, "the channel was cancelled from within")
        error = sending.exception()
        if error is None:
            return sending.result()
        _log.error("notification_broke", notification=str(claimed.id), at=broken_at(error))
        return Receipt(Outcome.FAILED, None, f"internal error ({type(error).__name__})")

    async def _send(self, claimed: Claimed) -> Receipt:
        if self._beside is None or claimed.urgency > 0:
            return await self._send_now(claimed)
        sent = await self._beside.before(claimed.id, claimed.alarm)
        if sent is not None:
            return sent
        receipt = None
        try:
            receipt = await self._send_now(claimed)
        finally:
            await self._beside.after(claimed.id, receipt)
        return receipt

    async def _send_now(self, claimed: Claimed) -> Receipt:
        if claimed.kind is None:
            return Receipt(Outcome.REFUSED, None, "the responder or the channel is retired")
        try:
            channel = self._open(claimed)
        except BadInput as error:
            return Receipt(Outcome.REFUSED, None, f"the channel's settings do not hold: {error.reason}")
        return await deliver(channel, self._word(claimed))


def _result(claimed: Claimed, receipt: Receipt, took: Micros) -> Result:
    again = None
    if receipt.outcome is Outcome.FAILED:
        again = retry_after(claimed.n, random.random(), claimed.urgency == 0, receipt.retry_after)
    return Result(
        claimed.id, claimed.n, Ended(receipt.outcome), receipt.code, receipt.detail, took, again, receipt.provider_id
    )


def message_of(claimed: Claimed, profile: Profile | None, public_url: str, link_key: bytes) -> Message:
    """The message in both languages. A definition that the profile no longer has is named by its id: the page goes out all the same."""
    definition = None if profile is None else profile.alarms.get(claimed.definition)
    institution = _title(claimed.institution_title, claimed.institution)
    places = [title for title in (claimed.zone_title, claimed.position_title) if title is not None]
    place = (" · ".join(zh for zh, _ in places), " · ".join(en for _, en in places))
    response = Title(zh="请按预案处置", en="Follow the emergency plan") if definition is None else definition.response
    if claimed.said is not None:
        zh, en = claimed.said
        response = Title.model_construct(zh=f"{zh}。{response.zh}", en=f"{en}. {response.en}")
    return Message(
        id=claimed.id,
        alarm=claimed.alarm,
        institution=claimed.institution,
        institution_title=institution,
        division=claimed.division,
        device=claimed.device,
        definition=claimed.definition,
        instance=claimed.instance,
        signal_class=claimed.signal_class,
        priority=claimed.priority,
        state=claimed.state,
        place=_title(place, "") if places else institution,
        title=Title(zh=claimed.definition, en=claimed.definition) if definition is None else definition.title,
        response=response,
        raised_at=claimed.raised_at,
        occurrences=claimed.occurrences,
        late=claimed.late,
        responder=claimed.responder,
        responder_title=_title(claimed.responder_title, claimed.responder),
        round=claimed.round,
        step=claimed.step,
        repetition=claimed.repetition,
        link=public_url.rstrip("/") + _signed(claimed, link_key) if public_url else "",
        exercise=claimed.exercise,
        purpose=Purpose(claimed.purpose),
        owner=claimed.owner,
        listed_count=claimed.listed_count,
    )


def _lines(claimed: Claimed, profiles: Mapping[str, Profile]) -> tuple[Listed, ...]:
    """The alarms that a digest names."""
    lines = []
    for one in claimed.listed:
        profile = profiles.get(one.profile)
        definition = None if profile is None else profile.alarms.get(one.definition)
        title = Title(zh=one.definition, en=one.definition) if definition is None else definition.title
        place = (one.device, one.device) if one.place is None else one.place
        institution = _title(one.institution, "")
        lines.append(Listed(one.alarm, title, institution, _title(place, one.device), one.priority))
    return tuple(lines)


def _signed(claimed: Claimed, link_key: bytes) -> str:
    # the same for every attempt: a receiver may compare
    until = claimed.created_at + links.LIFETIME
    return links.sign(link_key, claimed.id, int(until.timestamp()))


def _title(words: tuple[str, str], fallback: str) -> Title:
    zh, en = words
    # what is stored may be empty or longer than a title in a manifest: a page goes out all the same
    return Title.model_construct(zh=zh or fallback or "-", en=en or fallback or "-")


async def run(
    database_url: str,
    *,
    profiles: Mapping[str, Profile],
    public_url: str = "",
    allow_loopback: bool = False,
    sound: Sound | None = None,
    limits: Limits | None = None,
    poll: float = 0.25,
    beside: Beside | None = None,
) -> NoReturn:
    """Deliver until cancelled. `profiles` gives alarm titles and response texts; `allow_loopback` is for demo and tests only, `sound` the way to
    sirens; `beside` has perhaps sent what the outbox holds.
    """

    def open_(claimed: Claimed) -> Channel:
        where = f"channel {claimed.responder}/{claimed.channel}"
        assert claimed.kind is not None
        here = allow_loopback or claimed.responder == CANARY_RESPONDER  # the database lets only canaries go there
        channel = open_channel(claimed.kind, claimed.settings, where, allow_loopback=here)
        return channel.through(sound) if isinstance(channel, SirenChannel) and sound is not None else channel

    keys: list[bytes] = []

    def word(claimed: Claimed) -> Message:
        message = message_of(claimed, profiles.get(claimed.profile), public_url, keys[-1])
        return message._replace(listed=_lines(claimed, profiles))

    desk = _Desk(open_, word, Limits() if limits is None else limits, beside)
    async with asyncio.TaskGroup() as attempts:

        async def session(connected: Callable[[], None]) -> None:
            async with open_outbox(database_url) as outbox:
                keys[:] = [await outbox.link_key()]
                connected()
                desk.on_done = outbox.ring
                await _serve(outbox, desk, attempts, poll, connected)

        await keep("deliverer", session, within=ROUND)


async def _serve(
    outbox: Outbox, desk: _Desk, attempts: asyncio.TaskGroup, poll: float, turned: Callable[[], None]
) -> NoReturn:
    while True:
        turned()
        await _note_all(outbox, desk)
        for claimed in await _claim(outbox, desk):
            desk.under_way[claimed.id] = claimed
            attempts.create_task(desk.attempt(claimed), name=f"deliver-{claimed.id}-{claimed.n}")
        await outbox.wait(poll)


async def _claim(outbox: Outbox, desk: _Desk) -> list[Claimed]:
    """Anything, urgent first, into what is not reserved; when that is full, fire and panic into the rest."""
    limits = desk.limits
    found: list[Claimed] = []
    for urgent_only, kept_free in ((False, limits.reserved), (True, 0)):
        under_way = taken([*desk.under_way.values(), *found])
        free = limits.slots - kept_free - len(under_way)
        if free > 0:
            found += await outbox.claim(free, limits.per_channel, under_way, limits.lease, urgent_only=urgent_only)
            if len(found) < free:
                break
    if found:
        crash.point("deliverer-claimed")
    return found


async def _note_all(outbox: Outbox, desk: _Desk) -> None:
    """Each receipt once; one whose row somebody holds at this moment goes to the back and is noted next time."""
    for _ in range(len(desk.done)):
        claimed, result = desk.done[0]
        try:
            await _note(outbox, claimed, result, desk.limits.give_up)
        except Conflict as error:
            _log.warning("notification_conflict", notification=str(claimed.id), reason=str(error))
            desk.done.rotate(-1)
            continue
        del desk.under_way[claimed.id]
        desk.done.popleft()


async def _note(outbox: Outbox, claimed: Claimed, result: Result, give_up: Micros) -> None:
    about = {"notification": str(claimed.id), "alarm": str(claimed.alarm), "attempt": claimed.n}
    about |= {"responder": claimed.responder, "channel": claimed.channel}
    try:
        state = await outbox.note(result, give_up)
    except BadInput as error:
        _log.error("notification_not_noted", reason=str(error), **about)
        return
    crash.point("deliverer-marked")
    outcome = {"code": result.code, "detail": result.detail}
    if state == "sent" or result.outcome is Ended.DELIVERED:
        _log.info("notification_sent", **about, **outcome)
    elif state == "failed":
        _log.error("notification_failed", **about, **outcome)
    else:
        _log.warning("notification_attempt_failed", state=state, **about, **outcome)
