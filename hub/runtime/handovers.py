"""The loop that hands alarms to authorities: by an authority's standing order, and over its channels, until they took it.

Its own loop and connection: whatever holds pages up does not hold this up, and nothing here can send a page. Says loudly what was
handed over and is not yet known to have been received (GB 55029-2022 3.1.9(3): the operator verifies that, reference/standards.md PAN-13).
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NoReturn
from uuid import UUID

import structlog

from hub.core.escalation import retry_after
from hub.errors import BadInput, Conflict, NotFound
from hub.logs import broken_at
from hub.model import SECOND, Micros, Priority, SignalClass
from hub.notify import Outcome, Receipt
from hub.notify.authority import AUTOMATIC, Camera, Contact, Handover, handover_id, open_authority
from hub.profiles import Profile, Title
from hub.runtime.escalator import host, uptime
from hub.runtime.reconnect import keep
from hub.store.handovers import Claimed, Desk, begin, open_desk
from hub.store.rows import Row
from hub.store.steady import SteadyClock
from hub.video import link

_log = structlog.get_logger(__name__)

_BATCH = 16
ROUND = 90.0
"""seconds; a round is over long before"""
_LEASE: Micros = 30 * SECOND
_GIVE_UP: Micros = 6 * 3600 * SECOND
_UNVERIFIED: Micros = 180 * SECOND
"""so long after it was handed over somebody should know that it was received"""
ACTOR = "standing-order"
"""who hands over where no person does"""


def handover_of(row: Row, profile: Profile | None) -> Handover:
    """What an authority is told; raises TypeError where the alarm is not real."""
    definition = None if profile is None else profile.alarms.get(row["definition"])
    places = [(row[f"{name}_zh"], row[f"{name}_en"]) for name in ("zone", "position") if row[f"{name}_zh"] is not None]
    institution = _title(row["institution_zh"], row["institution_en"], row["institution"])
    return Handover(
        id=row["id"],
        exercise=row["exercise"],
        alarm=row["alarm"],
        authority=row["authority"],
        signal_class=SignalClass(row["signal_class"]),
        priority=Priority(row["priority"]),
        title=_title(row["definition"], row["definition"], "-") if definition is None else definition.title,
        raised_at=row["raised_at"],
        late=row["late"],
        institution=row["institution"],
        institution_title=institution,
        division=row["division"],
        place=_title(" · ".join(zh for zh, _ in places), " · ".join(en for _, en in places), row["institution"]),
        floor=row["floor"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        contacts=tuple(
            Contact.model_construct(zh=given["title_zh"], en=given["title_en"], phone=given["phone"])
            for given in row["contacts"] or ()
        ),
        cameras=tuple(_camera(camera, row["raised_at"]) for camera in row["cameras"]),
        begun_at=row["begun_at"],
        begun_by=row["begun_by"],
        note=row["note"],
    )


def _title(zh: str, en: str, fallback: str) -> Title:
    return Title.model_construct(zh=zh or fallback, en=en or fallback)


def _camera(row: Row, at: datetime) -> Camera:
    names = {name: row[name] for name in ("institution", "zone", "position", "device")}
    zh, en = (f"{row[f'zone_{words}']} · {row[f'title_{words}']}" for words in ("zh", "en"))
    return Camera.model_construct(zh=zh, en=en, device=row["device"], link=link(row["video"], at=at, **names))


async def run(
    database_url: str,
    *,
    profiles: Mapping[str, Profile],
    allow_loopback: bool = False,
    poll: float = 1.0,
    remind_every: float = 60.0,
) -> NoReturn:
    """Hand over until cancelled."""

    clock = SteadyClock(host(), uptime)

    async def session(connected: Callable[[], None]) -> None:
        async with open_desk(database_url, clock) as desk:
            await _serve(desk, profiles, allow_loopback, poll, remind_every, connected)

    await keep("handovers", session, within=ROUND)


async def _serve(
    desk: Desk,
    profiles: Mapping[str, Profile],
    allow_loopback: bool,
    poll: float,
    remind_every: float,
    turned: Callable[[], None],
) -> NoReturn:
    loop = asyncio.get_running_loop()
    remind_at = loop.time()
    while True:
        turned()
        for alarm, authority in await _due_by_order(desk):
            await _begin(desk, alarm, authority)
        claimed = await desk.claim(_BATCH, _LEASE)
        # at most the channels' own limit of time, which is a few seconds
        for one, receipt in zip(claimed, await _send_all(desk, claimed, profiles, allow_loopback), strict=True):
            await _note(desk, one, receipt)
        if loop.time() >= remind_at:
            await _remind(desk)
            remind_at = loop.time() + remind_every
        if len(claimed) < _BATCH:
            await desk.wait(poll)


async def _due_by_order(desk: Desk) -> Sequence[tuple[UUID, str]]:
    try:
        return await desk.due_by_order(_BATCH)
    except Conflict as error:  # no authority is called by a clock that was set
        _log.warning("clock_step_waits", reason=str(error))
        return ()


async def _begin(desk: Desk, alarm: UUID, authority: str) -> None:
    try:
        async with desk.transaction() as conn:
            begun = await begin(conn, handover_id(alarm, authority), alarm, authority, ACTOR, "", automatic=True)
    except (NotFound, Conflict, BadInput) as error:
        _log.error("handover_refused", alarm=str(alarm), authority=authority, reason=str(error))
        return
    if begun:
        _log.warning("handed_over", alarm=str(alarm), authority=authority, by=ACTOR)


async def _send_all(
    desk: Desk, claimed: list[Claimed], profiles: Mapping[str, Profile], allow_loopback: bool
) -> list[Receipt]:
    rows = [await desk.document(one.handover) for one in claimed]
    sending = [_send(one, row, profiles, allow_loopback) for one, row in zip(claimed, rows, strict=True)]
    found = await asyncio.gather(*sending, return_exceptions=True)
    receipts = []
    for one, result in zip(claimed, found, strict=True):
        if isinstance(result, Receipt):
            receipts.append(result)
        elif isinstance(result, Exception):  # a mistake of ours must not hold up what goes to the others
            _log.error("handover_broke", handover=str(one.handover), at=broken_at(result))
            receipts.append(Receipt(Outcome.FAILED, None, f"internal error ({type(result).__name__})"))
        else:
            raise result
    return receipts


async def _send(claimed: Claimed, row: Row | None, profiles: Mapping[str, Profile], allow_loopback: bool) -> Receipt:
    if row is None:
        return Receipt(Outcome.REFUSED, None, "the alarm is not real")
    if claimed.kind is None:
        return Receipt(Outcome.REFUSED, None, "the authority or its channel is retired")
    where = f"authority {claimed.authority}: channels.{claimed.channel}"
    try:
        channel = open_authority(claimed.kind, claimed.settings, where, allow_loopback=allow_loopback)
    except BadInput as error:
        return Receipt(Outcome.REFUSED, None, f"the channel's settings do not hold: {error.reason}")
    return await channel.hand_over(handover_of(row, profiles.get(row["profile"])))


async def _note(desk: Desk, claimed: Claimed, receipt: Receipt) -> None:
    again = None if receipt.outcome is not Outcome.FAILED else retry_after(claimed.n, random.random(), urgent=True)
    about: dict[str, object] = {"alarm": str(claimed.alarm), "authority": claimed.authority, "channel": claimed.channel}
    about |= {"attempt": claimed.n, "code": receipt.code, "detail": receipt.detail}
    try:
        state = await desk.note(claimed, receipt.outcome, receipt.code, receipt.detail, again, _GIVE_UP)
    except (
        Conflict,
        BadInput,
    ) as error:  # sent again under its key when the lease ends; what became of the others is noted
        _log.error("handover_not_noted", reason=str(error), **about)
        return
    if state == "sent":
        _log.info("handover_sent", **about)
    elif state == "failed":
        _log.error("handover_failed", **about)
    else:
        _log.warning("handover_attempt_failed", state=state, **about)


async def _remind(desk: Desk) -> None:
    for row in await desk.unverified(_UNVERIFIED):
        about = {"alarm": str(row["alarm"]), "authority": row["authority"], "seconds": int(row["seconds"])}
        _log.error("handover_unverified", reason="nobody wrote down that it was received: ask there", **about)


__all__ = ["ACTOR", "AUTOMATIC", "handover_of", "run"]
