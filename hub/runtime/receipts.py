"""The loop that asks providers later what became of text messages and calls: 20 s after they were taken, then after as long again, for an hour.

It sends nothing and decides nothing: a page that did not arrive counts as nobody reached and is said loudly, and the escalation climbs in its own
time anyway. What providers say by themselves comes in at hub/api/receipts.py and ends in the same rows.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from hub.errors import BadInput, Conflict
from hub.model import SECOND, Micros
from hub.notify import open_channel
from hub.notify.telephony import Arrival, Confirmation, Phone
from hub.runtime.reconnect import keep
from hub.store.receipts import Desk, Noted, Open, open_desk

_log = structlog.get_logger(__name__)

_BATCH = 8
ROUND = 90.0
"""seconds; a round is over long before"""
_GIVE_UP: Micros = 3600 * SECOND


async def run(database_url: str, *, allow_loopback: bool = False, poll: float = 2.0) -> NoReturn:
    """Ask until cancelled."""

    async def session(connected: Callable[[], None]) -> None:
        async with open_desk(database_url) as desk:
            await _serve(desk, allow_loopback, poll, connected)

    await keep("receipts", session, within=ROUND)


async def _serve(desk: Desk, allow_loopback: bool, poll: float, turned: Callable[[], None]) -> NoReturn:
    while True:
        turned()
        asked = await desk.claim(_BATCH, _GIVE_UP)
        # each at most the channel's own limit of time
        answers = await asyncio.gather(*(_ask(one, allow_loopback) for one in asked))
        for one, answer in zip(asked, answers, strict=True):
            await _note(desk, one, answer)
        if len(asked) < _BATCH:
            await asyncio.sleep(poll)


async def _ask(asked: Open, allow_loopback: bool) -> Confirmation:
    try:
        channel = open_channel(asked.kind, asked.settings, "channel", allow_loopback=allow_loopback)
    except BadInput:
        return Confirmation(Arrival.PENDING, "the channel's settings do not hold any more")
    if not isinstance(channel, Phone):  # the channel is of another kind by now
        return Confirmation(Arrival.PENDING, "the channel is another by now")
    return await channel.confirm(asked.provider_id, asked.at)


async def _note(desk: Desk, asked: Open, answer: Confirmation) -> None:
    if answer.arrival is Arrival.PENDING and not asked.is_last:
        return
    receipt = "unknown" if answer.arrival is Arrival.PENDING else answer.arrival.value
    try:
        noted = await desk.note(asked, receipt, answer.detail)
    except (Conflict, BadInput) as error:  # it is asked for again; what was answered of the others is noted
        _log.error("receipt_not_noted", notification=str(asked.notification), attempt=asked.n, reason=str(error))
        return
    say_receipt(asked, receipt, answer.detail, noted)


def say_receipt(asked: Open, receipt: str, detail: str, noted: Noted) -> None:
    """Into the log: what did not arrive as loudly as what could not be sent."""
    if not noted.is_news:
        return
    about = {"notification": str(asked.notification), "alarm": str(asked.alarm), "attempt": asked.n}
    about |= {"responder": asked.responder, "channel": asked.channel, "detail": detail}
    if receipt == "arrived":
        _log.info("notification_arrived", **about)
    elif receipt == "not_arrived":
        _log.error("notification_not_arrived", **about)
    else:
        _log.warning("notification_receipt_unknown", **about)
    if noted.unreached:
        _log.error("step_unreached", alarm=str(asked.alarm), reason="no page of this step arrived: nobody was reached")
