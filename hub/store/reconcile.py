"""Bringing into the database what the standby has paged while it did not answer: pages, attempts, receipts, and how far the round is.

Each alarm in one transaction, in everybody's order of locks: alarm, escalation, steps, notifications. It may be done twice.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from hub.core.alarms import AlarmEvent
from hub.core.answers import PRESSED_AGAIN, Answer
from hub.core.standby import Pursuit
from hub.errors import Conflict
from hub.model import Micros, to_datetime, to_micros
from hub.store import alarms, audit, escalation, paging
from hub.store.escalation import Cursor
from hub.store.intervals import to_interval
from hub.store.queries import queries

_SQL = queries("reconcile")
NOTE = "acknowledged while the database did not answer"
BESIDE = "sent while the database did not answer"
"""what the deliverer notes of a page that the standby has sent"""

UNMARKED = "it was sent as real: without the database nobody knew that it was declared"


class Tried(NamedTuple):
    """One attempt, as it ended."""

    at: Micros
    outcome: str
    code: int | None
    detail: str
    took: Micros


class Page(NamedTuple):
    """One page that the standby owed: its key, its row, and what became of it."""

    key: UUID
    round: int
    step: int
    repetition: int
    responder: str
    channel: str
    due_at: Micros
    state: str
    """pending, sent or failed"""
    tried: tuple[Tried, ...]


async def hand_over(
    cur: Cursor,
    pursuit: Pursuit,
    pages: Sequence[Page],
    answers: Sequence[Answer] = (),
    *,
    standing: Collection[Answer] = (),
) -> UUID | None:
    """Write down what was paged and who took it, and let the escalation go on from there; the alarm's id, None while the database has no such alarm.

    Pages that did not arrive are left to the deliverer. Where the escalation goes by another policy by now, or somebody has acknowledged,
    the pages are history and nothing else is changed. `standing`: answers that stand there already, with an earlier part of the pages.
    """
    await cur.execute(_SQL["alarm"], pursuit.key._asdict() | {"id": pursuit.alarm.id})
    found = await cur.fetchone()
    if found is None:
        return None
    alarm, institution, exercise = found
    for answer in (one for one in answers if one not in standing):
        await _put_answer(cur, alarm, answer)
    done = {(step, repetition) for number, step, repetition in pursuit.done if number == pursuit.round}
    goes_on = await escalation.resume(
        cur, alarm, pursuit.policy, pursuit.version, pursuit.round, pursuit.started_at, done
    )
    for page in pages:
        left = page.state == "pending" and (not goes_on or (bool(answers) and page.round != pursuit.round))
        written = page._replace(state="cancelled") if left else page
        await _put(cur, alarm, institution, written if exercise is None else _as_told(written))
    return UUID(str(alarm))


async def _put_answer(cur: Cursor, alarm: UUID, answer: Answer) -> None:
    """As if it had come in time: by that person, at that time; over where it is over, or where the button was pressed again after it."""
    conn, why, over_at = cur.connection, answer.why, answer.over_at
    if over_at is None:
        await cur.execute(_SQL["pressed_again"], {"alarm": alarm, "at": to_datetime(answer.at)})
        row = await cur.fetchone()
        if row is not None and row[0] is not None:
            over_at, why = to_micros(row[0]), PRESSED_AGAIN
    try:
        async with conn.transaction():
            said = f"{NOTE}: {answer.note}" if answer.note else NOTE
            await alarms.act(conn, alarm, AlarmEvent.ACKNOWLEDGE, answer.actor, said[: alarms.MAX_NOTE], answer.at)
    except Conflict as error:
        if f"(by {answer.actor})" not in str(error):  # not this one, handed over for the second time
            await alarms.add_note(conn, alarm, answer.actor, f"{NOTE}: {error}", answer.at)
        return
    known: dict[str, Any] = {"notification": str(answer.notification), "by": "link", "beside": True}
    if answer.notification is None:
        known = {"note": answer.note, "by": "name", "beside": True}
    await audit.record(conn, answer.actor, "alarm.acknowledge", f"alarm:{alarm}", known)
    if over_at is not None:
        with suppress(Conflict):  # it has ended with the acknowledgement
            async with conn.transaction():
                await alarms.act(conn, alarm, AlarmEvent.LAPSE, "", why, over_at)


def _as_told(page: Page) -> Page:
    """Of an exercise's alarm: whoever pages without the database knows no declaration, so the message bore no mark. It is said of it."""
    tried = tuple(one._replace(detail=f"{one.detail}; {UNMARKED}".lstrip("; ")) for one in page.tried)
    return page._replace(tried=tried)


async def _put(cur: Cursor, alarm: UUID, institution: int, page: Page) -> None:
    ended = page.tried[-1].at if page.tried else page.due_at
    row = {
        "id": page.key, "alarm": alarm, "institution": institution, "round": page.round, "step": page.step,
        "repetition": page.repetition, "responder": page.responder, "channel": page.channel,
        "due_at": to_datetime(page.due_at), "state": page.state, "attempts": len(page.tried),
        "last_error": "" if page.state == "sent" or not page.tried else page.tried[-1].detail,
        "ended_at": None if page.state == "pending" else to_datetime(ended),
    }  # fmt: skip
    await cur.execute(_SQL["page"], row)
    key, said_of_it = page.key, ""
    fresh = await cur.fetchone() is not None
    if not fresh:
        await cur.execute(_SQL["same"], row)
        known = await cur.fetchone()
        if known is None:
            return  # there is no escalation that it could belong to
        key, is_open = known
        if key != page.key:
            await cur.execute(_SQL["sent_as"], {"key": page.key, "id": key})
            said_of_it = f"{BESIDE}, as {page.key}"
        if page.state == "sent":
            await cur.execute(_SQL["arrived"], row | {"id": key})
            fresh = is_open
    for tried in page.tried:
        detail = "; ".join(filter(None, (tried.detail, said_of_it)))
        given = {"id": key, "at": to_datetime(tried.at), "duration": to_interval(tried.took), "beside": BESIDE}
        given |= {"outcome": tried.outcome, "code": tried.code, "detail": detail}
        if not said_of_it:
            await cur.execute(_SQL["fill_in"], given)
        if said_of_it or await cur.fetchone() is None:
            await cur.execute(_SQL["attempt"], given)
    if fresh and page.state != "pending":
        said = page.responder, page.channel
        await paging.say_notification(cur, institution, key, alarm, page.state, *said)
