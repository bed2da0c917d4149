"""The outbox: notifications are claimed under a lease, and what became of each attempt is noted.

A claim counts the attempt before it is made. So a sender that dies leaves its mark (`interrupted`), and what a sender notes too late, after
another has taken over, cannot spoil the other's state: only the newest attempt may fail a notification, any attempt may deliver it.
"""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from hub.model import Exercise, Micros, Priority, SignalClass
from hub.store import sessions
from hub.store.bell import Bell
from hub.store.intervals import to_interval
from hub.store.paging import Cursor, say_notification
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.sealing import Place, opened
from hub.store.session import translated

_SQL = queries("outbox")


class ListedAlarm(NamedTuple):
    """One line of a digest. Titles are (Chinese, English)."""

    alarm: UUID
    definition: str
    profile: str
    priority: Priority
    device: str
    institution: tuple[str, str]
    place: tuple[str, str] | None


class Claimed(NamedTuple):
    """A notification to send now, with all that its message says. Titles are (Chinese, English)."""

    id: UUID
    n: int
    """number of this attempt, from 1"""
    urgency: int
    responder: str
    channel: str
    round: int
    step: int
    repetition: int
    created_at: datetime
    exercise: Exercise | None
    alarm: UUID
    definition: str
    instance: str
    signal_class: SignalClass
    priority: Priority
    state: str
    raised_at: datetime
    occurrences: int
    late: bool
    device: str
    profile: str
    institution: str
    division: str
    institution_title: tuple[str, str]
    zone_title: tuple[str, str] | None
    position_title: tuple[str, str] | None
    responder_title: tuple[str, str]
    kind: str | None
    """kind of the channel, None where the responder or the channel was retired meanwhile"""
    settings: Mapping[str, Any]
    purpose: str = "page"
    owner: str = ""
    """who has acknowledged the alarm"""
    listed: Sequence[ListedAlarm] = ()
    """of a digest: the gravest of those that somebody still must hear of"""
    listed_count: int = 1
    """how many it has in all"""
    said: tuple[str, str] | None = None
    """what the hub says of an alarm about itself, besides its definition"""

    def __repr__(self) -> str:
        return f"Claimed(id={self.id}, n={self.n}, responder={self.responder!r}, channel={self.channel!r})"


class Ended(StrEnum):
    """How one attempt ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


class Result(NamedTuple):
    """What is to be noted of one attempt. `retry_after` None: give up."""

    id: UUID
    n: int
    outcome: Ended
    code: int | None
    detail: str
    duration: Micros
    retry_after: Micros | None
    provider_id: str = ""
    """what the provider calls it, where it can be asked later whether it arrived"""


class Outbox:
    """The deliverer's own connection. Every method raises LinkDown when it is gone."""

    def __init__(self, conn: Connection, bell: Bell) -> None:
        self._conn = conn
        self._bell = bell

    async def claim(
        self,
        limit: int,
        per_channel: int,
        under_way: Mapping[UUID, tuple[str, str]],
        lease: Micros,
        *,
        urgent_only: bool,
    ) -> list[Claimed]:
        """At most `limit` notifications to send now, none of `under_way` (id to responder and channel), leased; committed."""
        busy = Counter(under_way.values())
        given = {
            "limit": limit,
            "per_channel": per_channel,
            "lease": to_interval(lease),
            "least": 0 if urgent_only else 1,
            "under_way": list(under_way),
            "busy_responders": [responder for responder, _ in busy],
            "busy_channels": [channel for _, channel in busy],
            "busy": list(busy.values()),
        }
        with translated():
            async with self._conn.cursor(row_factory=dict_row) as cur:
                await cur.execute(_SQL["claim"], given)
                rows = await cur.fetchall()
        return [_claimed(row) for row in rows]

    async def note(self, result: Result, give_up: Micros) -> str:
        """Write down one attempt; returns what the notification is now: `sent`, `pending`, `failed` or `other` (somebody else's by now)."""
        given = result._asdict() | {"outcome": str(result.outcome), "duration": to_interval(result.duration)}
        with translated():
            if result.outcome is Ended.DELIVERED:
                row = await (await self._conn.execute(_SQL["delivered"], given)).fetchone()
                return "sent" if row is not None and row[0] else "other"
            async with self._conn.transaction(), self._conn.cursor() as cur:
                # the notification before its attempts, as in `claim`
                state = await _settle(cur, result, given, give_up)
                await cur.execute(_SQL["note"], given)
                return state

    async def link_key(self) -> bytes:
        """The key of the links in messages (hub.core.links)."""
        with translated():
            return await sessions.link_key(self._conn)

    def ring(self) -> None:
        """End the present wait."""
        self._bell.ring()

    async def wait(self, seconds: float) -> None:
        """Until there is something new to send or `ring` is called, at most `seconds`."""
        await self._bell.wait(seconds)


async def _settle(cur: Cursor, result: Result, given: dict[str, Any], give_up: Micros) -> str:
    if result.retry_after is not None:
        times = {"after": to_interval(result.retry_after), "give_up": to_interval(give_up)}
        await cur.execute(_SQL["retry"], given | times)
        if await cur.fetchone() is not None:
            return "pending"
    await cur.execute(_SQL["failed"], given)
    row = await cur.fetchone()
    if row is None:
        return "other"
    institution, alarm, responder, channel = row
    await say_notification(cur, institution, result.id, alarm, "failed", responder, channel)
    return "failed"


def _claimed(row: dict[str, Any]) -> Claimed:
    def title(name: str) -> tuple[str, str] | None:
        zh, en = row.pop(f"{name}_zh"), row.pop(f"{name}_en")
        return None if zh is None else (zh, en)

    titles = {f"{name}_title": title(name) for name in ("institution", "zone", "position", "responder")}
    row["said"] = title("said")
    row["signal_class"] = SignalClass(row["signal_class"])
    row["priority"] = Priority(row["priority"])
    row["listed"] = tuple(map(_listed, row["listed"]))
    if row["kind"] is not None:
        row["settings"] = opened(row["settings"], Place("responder", row["responder"], row["channel"], row["kind"]))
    row["exercise"] = None if row["exercise"] is None else Exercise(row["exercise"])
    return Claimed(**(row | titles))


def _listed(row: dict[str, Any]) -> ListedAlarm:
    alarm, priority, institution = UUID(row["alarm"]), Priority(row["priority"]), row["institution"]
    place = None if row["place"] is None else (row["place"][0], row["place"][1])
    return ListedAlarm(
        alarm, row["definition"], row["profile"], priority, row["device"], (institution[0], institution[1]), place
    )


@asynccontextmanager
async def open_outbox(database_url: str) -> AsyncIterator[Outbox]:
    """Connect and listen; raises LinkDown."""
    conn = await connect(database_url, "deliverer", autocommit=True)
    try:
        bell = Bell(conn)
        await bell.listen("anxin_outbox")
        yield Outbox(conn, bell)
    finally:
        await conn.close()


def taken(under_way: Collection[Claimed]) -> dict[UUID, tuple[str, str]]:
    """What `Outbox.claim` must leave alone."""
    return {claimed.id: (claimed.responder, claimed.channel) for claimed in under_way}
