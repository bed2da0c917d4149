"""What a due step becomes: pages to whoever is on duty then, to somebody else where that is nobody, or a line in a digest during a storm."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from psycopg import AsyncCursor
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from hub.core import escalation as core
from hub.core import reach, storms
from hub.core.escalation import Due, Plan, Step
from hub.core.reach import Way, ways
from hub.core.storms import Fold, Sent
from hub.errors import ODD
from hub.model import Micros, Priority, to_datetime, to_micros
from hub.store import duty
from hub.store.queries import queries
from hub.store.together import Asked, together

_log = structlog.get_logger(__name__)
_SQL = queries("paging")

Cursor = AsyncCursor[TupleRow]


class Subject(NamedTuple):
    """The alarm whose steps are due, as locked."""

    alarm: UUID
    institution: int
    urgency: int
    priority: Priority
    real: bool
    """no exercise"""
    plan: Plan
    now: Micros
    stood: str | None = None
    """as in `hub.store.steady.Moment`"""


class Fault(NamedTuple):
    """A step that reached nobody, and who was told in its place: empty where nobody could be."""

    round: int
    step: int
    target: str
    """rota, responder or responder/channel of the step"""
    reason: str
    instead: tuple[str, ...]


class Paged(NamedTuple):
    """What became of all that was due."""

    pages: int
    folded: int
    """lines in a digest"""
    unreachable: tuple[tuple[str, str], ...]
    faults: tuple[Fault, ...]


class _Told(NamedTuple):
    """Ways to people who can be told, and why there is none."""

    ways: tuple[tuple[str, str], ...]
    reason: str


async def page(cur: Cursor, subject: Subject) -> Paged:
    """Turn everything that is due at `subject.now` into notifications and finish those steps."""
    given = {"alarm": subject.alarm, "now": to_datetime(subject.now), "stood": subject.stood}
    await cur.execute(_SQL["due_steps"], given)
    pages = folded = 0
    unreachable: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for number, n, repetition, responder, channel, rota, kinds, due_at in await cur.fetchall():
        step = Step(n, responder, channel, rota=rota, kinds=kinds)
        told = await _told(cur, step, subject.now)
        chosen = told.ways
        if not chosen:
            unreachable.append((rota or responder, channel))
            chosen = await _told_instead(cur, subject, n)
            target = rota or (f"{responder}/{channel}" if channel else responder)
            faults.append(Fault(number, n, target, told.reason, tuple(f"{name}/{way}" for name, way in chosen)))
            if channel:
                await _failed(cur, subject, Due(number, n, repetition, responder, channel, 0), due_at, told.reason)
        notices = []
        for name, way in chosen:
            row = Due(number, n, repetition, name, way, 0)
            root_cause, wait = await _fold(cur, subject, name, way)
            if wait is None:
                notices.append(_notice(subject, row, due_at, root_cause=root_cause))
            else:
                await _add_to_digest(cur, subject, row, due_at, root_cause, wait)
                folded += 1
        fault = "" if told.ways else f"{told.reason}: " + (", ".join(faults[-1].instead) or "nobody else either")
        *written, _ = await together(cur, *notices, _finished(subject.alarm, number, n, repetition, fault))
        pages += sum(answer.touched for answer in written)
    return Paged(pages, folded, tuple(unreachable), tuple(faults))


async def remind(cur: Cursor, subject: Subject, owner: str, number: int, nth: int) -> tuple[tuple[str, str], ...]:
    """Ask whoever has acknowledged the alarm whether they are still on it, by every kind of channel: the responder of that name, or the
    manned room of the plan's last step. Returns whom it asks; `number` is the escalation's round, `nth` counts the reminders.
    """
    told = await _told(cur, Step(0, owner, kinds=core.MOST_KINDS), subject.now)
    chosen = told.ways or await _told_instead(cur, subject, 0)
    for name, way in chosen:
        row = Due(number, 0, nth, name, way, 0)
        await _notify(cur, subject, row, to_datetime(subject.now), kind="reminder")
    return chosen


async def finish(cur: Cursor, alarm: UUID, number: int, step: int, repetition: int, fault: str = "") -> None:
    """A step is done; `fault` says what went otherwise than planned."""
    asked = _finished(alarm, number, step, repetition, fault)
    await cur.execute(asked.query, asked.given)


def _finished(alarm: UUID, number: int, step: int, repetition: int, fault: str) -> Asked:
    given = {"alarm": alarm, "round": number, "step": step, "repetition": repetition, "fault": fault}
    return Asked(_SQL["finish_step"], given)


async def _told(cur: Cursor, step: Step, at: Micros) -> _Told:
    """Who can be told of a step that is due: who is on duty is looked up here."""
    people: Sequence[str] = (step.responder,)
    if step.rota:
        try:
            people = await duty.on_duty(cur, step.rota, to_datetime(at))
        except ODD as error:
            _log.error("rota_unreadable", rota=step.rota, reason=f"{type(error).__name__}: {error}"[:200])
            return _Told((), "the rota cannot be read")
        if not people:
            return _Told((), "nobody is on duty")
    await cur.execute(_SQL["ways"], {"responders": list(people)})
    found: dict[str, list[Way]] = {name: [] for name in people}
    for name, channel, kind in await cur.fetchall():
        found[name].append(Way(channel, kind))
    chosen = tuple((name, way.channel) for name in people for way in ways(found[name], step))
    return _Told(chosen, "" if chosen else "the responder or the channel is retired")


async def _told_instead(cur: Cursor, subject: Subject, n: int) -> tuple[tuple[str, str], ...]:
    for step in reach.instead(subject.plan, n):
        told = await _told(cur, step, subject.now)
        if told.ways:
            return told.ways
    return ()


async def _notify(cur: Cursor, subject: Subject, row: Due, due_at: Any, **more: Any) -> None:
    asked = _notice(subject, row, due_at, **more)
    await cur.execute(asked.query, asked.given)


def _notice(subject: Subject, row: Due, due_at: Any, **more: Any) -> Asked:
    """Writes one notification."""
    given = row._asdict() | {
        "id": core.idempotency_key(subject.alarm, row),
        "alarm": subject.alarm,
        "institution": subject.institution,
        "urgency": subject.urgency,
        "due_at": due_at,
        "kind": "page",
        "next_attempt_at": None,
        "wide": False,
        "root_cause": "",
        "error": None,
    }
    return Asked(_SQL["notify"], given | more)


async def _failed(cur: Cursor, subject: Subject, row: Due, due_at: Any, reason: str) -> None:
    """What was to be sent and could not be stands among the notifications, as failed."""
    await _notify(cur, subject, row, due_at, error=reason)
    key = core.idempotency_key(subject.alarm, row)
    await say_notification(cur, subject.institution, key, subject.alarm, "failed", row.responder, row.channel)


# storms ---------------------------------------------------------------------------------------------------------


async def _fold(cur: Cursor, subject: Subject, responder: str, channel: str) -> tuple[str, Fold | None]:
    """The alarm's root cause as it is known now, and how its message waits. None: page it now. Fire and panic always are, and so is an
    exercise: a digest carries no mark."""
    if subject.urgency == 0 or not subject.real:
        return "", None
    given = {
        "alarm": subject.alarm,
        "responder": responder,
        "channel": channel,
        "institution": subject.institution,
        "priority": subject.priority,
        "now": to_datetime(subject.now),
        "since": to_datetime(subject.now - storms.LOOK_BACK),
        "most": 4 * storms.MOST,
    }
    await cur.execute(_SQL["recent"], given)
    found = await cur.fetchall()
    sent = [Sent(to_micros(at), same_group) for _, at, same_group in found if at is not None]
    return found[0][0], storms.fold(sent, subject.priority, subject.now)


async def _add_to_digest(cur: Cursor, subject: Subject, row: Due, due_at: Any, root_cause: str, wait: Fold) -> None:
    """Into the digest that waits; where none does, or the one that did is being sent at this moment, a new one."""
    scope = {"responder": row.responder, "channel": row.channel, "wide": wait.wide}
    scope |= {"institution": subject.institution, "root_cause": root_cause, "priority": subject.priority}
    await cur.execute(_SQL["open_digest"], scope)
    found = await cur.fetchone()
    key = core.idempotency_key(subject.alarm, row) if found is None else found[0]
    if found is None:
        later: dict[str, Any] = {"kind": "digest", "wide": wait.wide, "next_attempt_at": to_datetime(wait.due_at)}
        later["root_cause"] = "" if wait.wide else root_cause
        await _notify(cur, subject, row, due_at, **later)
    listed = {"alarm": subject.alarm, "round": row.round, "step": row.step, "repetition": row.repetition}
    await cur.execute(_SQL["list_in_digest"], listed | {"notification": key})


async def told_of(cur: Cursor, notification: UUID) -> list[UUID]:
    """The alarms that a message tells of, in the order of their ids; empty where there is none."""
    await cur.execute(_SQL["told_of"], {"notification": notification})
    return [row[0] for row in await cur.fetchall()]


# the change feed ------------------------------------------------------------------------------------------------


async def say_notification(
    cur: Cursor, institution: int, notification: UUID, alarm: UUID, state: str, responder: str, channel: str
) -> None:
    """Put what became of a notification into the change feed."""
    about = {"notification": str(notification), "alarm": str(alarm), "state": state}
    await say(cur, "notification", [institution], [about | {"responder": responder, "channel": channel}])


async def say(cur: Cursor, kind: str, institutions: list[int], payloads: Sequence[dict[str, Any]]) -> None:
    """Put changes of one kind into the feed, each with its institution's key."""
    given = {"kind": kind, "institution": institutions, "payload": [Jsonb(payload) for payload in payloads]}
    await cur.execute(_SQL["say"], given)
