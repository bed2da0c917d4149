"""Bringing into the database what the standby has paged while it did not answer: pages, attempts, receipts, and how far the round is.

Each alarm in one transaction, in everybody's order of locks: alarm, escalation, steps, notifications. It may be done twice.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from hub.core.standby import Pursuit
from hub.model import Micros, to_datetime
from hub.store import escalation, paging
from hub.store.escalation import Cursor
from hub.store.intervals import to_interval
from hub.store.queries import queries

_SQL = queries("reconcile")
BESIDE = "sent while the database did not answer"
"""what the deliverer notes of a page that the standby has sent"""


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


async def hand_over(cur: Cursor, pursuit: Pursuit, pages: Sequence[Page]) -> UUID | None:
    """Write down what was paged, and let the escalation go on from there; the alarm's id, None while the database has no such alarm.

    Pages that did not arrive are left to the deliverer. Where the escalation goes by another policy by now, or somebody has acknowledged,
    the pages are history and nothing else is changed.
    """
    await cur.execute(_SQL["alarm"], pursuit.key._asdict() | {"id": pursuit.alarm.id})
    found = await cur.fetchone()
    if found is None:
        return None
    alarm, institution = found
    done = {(step, repetition) for number, step, repetition in pursuit.done if number == pursuit.round}
    goes_on = await escalation.resume(
        cur, alarm, pursuit.policy, pursuit.version, pursuit.round, pursuit.started_at, done
    )
    for page in pages:
        left = page.state == "pending" and not goes_on
        await _put(cur, alarm, institution, page._replace(state="cancelled") if left else page)
    return UUID(str(alarm))


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
    key = page.key
    fresh = await cur.fetchone() is not None
    if not fresh and page.state == "sent":
        await cur.execute(_SQL["arrived"], row)
        known = await cur.fetchone()
        if known is not None:
            key, fresh = known
    for n, tried in enumerate(page.tried, 1):
        given: dict[str, Any] = {"id": key, "n": n, "at": to_datetime(tried.at), "duration": to_interval(tried.took)}
        given |= {"outcome": tried.outcome, "code": tried.code, "detail": tried.detail, "beside": BESIDE}
        await cur.execute(_SQL["attempt"], given)
    if fresh and page.state != "pending":
        said = page.responder, page.channel
        await paging.say_notification(cur, institution, key, alarm, page.state, *said)
