"""Authorities, and alarms that are handed to them: begun once for an alarm and authority, sent by its channels, received and arrived by a
person's word. An exercise is refused here with a reason, and by the table's foreign key whoever forgets this.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import Conflict, NotFound
from hub.model import Micros, SignalClass, to_datetime
from hub.store.bell import Bell
from hub.store.intervals import to_interval
from hub.store.pool import Connection, connect
from hub.store.premises import cameras_of_alarm
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.sealing import Place, opened, refuse_known, sealed
from hub.store.session import translated
from hub.store.steady import SteadyClock

_SQL = queries("handovers")

Cursor = AsyncCursor[TupleRow]


class Order(NamedTuple):
    """An authority's standing order: alarms of these classes (fire, panic) that nobody answered for `after` are handed over by themselves."""

    classes: frozenset[SignalClass]
    after: Micros


class Authority(NamedTuple):
    """Police, fire service, or the level above, with the division that it is responsible for."""

    id: str
    kind: str
    title_zh: str
    title_en: str
    division: str
    phone: str = ""
    order: Order | None = None
    channels: Mapping[str, tuple[str, Mapping[str, Any]]] = {}
    """kind and settings by id; the settings hold secrets"""

    def __repr__(self) -> str:
        return f"Authority(id={self.id!r}, kind={self.kind!r}, division={self.division!r}, channels={sorted(self.channels)})"


async def put_authority(conn: Connection, authority: Authority) -> int:
    """Create or change an authority with exactly these channels; its version. Raises NotFound for an unknown division."""
    row = await one_row(conn, _DIVISION, {"division": authority.division})
    if row is None:
        raise NotFound(f"there is no division {authority.division!r}")
    order = authority.order
    given = {
        "id": authority.id,
        "kind": authority.kind,
        "title_zh": authority.title_zh,
        "title_en": authority.title_en,
        "division": authority.division,
        "phone": authority.phone,
        "automatic_classes": [] if order is None else sorted(order.classes),
        "automatic_after": None if order is None else to_interval(order.after),
    }
    found = await one_row(conn, _SQL["put_authority"], given)
    assert found is not None
    whose = Place("authority", authority.id, "", "")
    await refuse_known(conn, whose, (settings for _, settings in authority.channels.values()), authority.phone)
    for name, (kind, settings) in authority.channels.items():
        place = Place("authority", authority.id, name, kind)
        channel = {"authority": authority.id, "id": name, "kind": kind, "settings": sealed(settings, place)}
        await conn.execute(_SQL["put_channel"], channel)
    await conn.execute(_SQL["retire_channels"], {"authority": authority.id, "kept": list(authority.channels)})
    return int(found["version"])


_DIVISION = queries("policies")["has_division"]


async def retire_authority(conn: Connection, authority: str) -> None:
    """Nothing is handed to it any more; raises NotFound."""
    if await one_row(conn, _SQL["retire_authority"], {"id": authority}) is None:
        raise NotFound(f"there is no authority {authority!r}")
    await conn.execute(_SQL["retire_channels"], {"authority": authority, "kept": []})


async def authorities(
    conn: Connection, scope: Scope, *, id: str | None = None, institution: str | None = None
) -> list[Row]:
    """Authorities of the scope's divisions, without the settings of their channels; those of one institution where it is given."""
    given = {"scope": Jsonb(scope.as_json()), "id": id, "institution": institution}
    return await all_rows(conn, _SQL["authorities"], given)


async def begin(
    conn: Connection, handover: UUID, alarm: UUID, authority: str, actor: str, note: str, *, automatic: bool = False
) -> bool:
    """Hand an alarm over, in the caller's transaction; False where that was done before. `handover` is the id that both have together.

    Raises NotFound, and Conflict where the alarm is of an exercise or the authority is not responsible for its place.
    """
    found = await one_row(conn, _SQL["lock_alarm"], {"alarm": alarm})
    if found is None:
        raise NotFound(f"no alarm {alarm}")
    if found["exercise"] is not None:
        raise Conflict(f"the alarm is of an exercise ({found['exercise']}): no authority is told of it")
    responsible = await one_row(conn, _SQL["authority_for"], {"authority": authority})
    if responsible is None:
        raise NotFound(f"there is no authority {authority!r}")
    if not found["division"].startswith(responsible["division"]):
        raise Conflict(f"authority {authority!r} is not responsible for division {found['division']}")
    given = {
        "id": handover,
        "alarm": alarm,
        "authority": authority,
        "institution": found["institution"],
        "automatic": automatic,
        "actor": actor,
        "note": note,
    }
    if await one_row(conn, _SQL["begin"], given) is None:
        return False
    await conn.execute(_SQL["add_messages"], given)
    await _transition(conn, alarm, "hand_over", actor, f"{authority}: {note}" if note else authority, None)
    await _say(conn, found["institution"], alarm, authority, "begun", actor)
    return True


async def received(
    conn: Connection, alarm: UUID, authority: str, actor: str, by: str, reference: str, at: datetime | None
) -> None:
    """The operator's word that the authority has it: from whom, under which number, when (now where not given). Raises NotFound, Conflict."""
    row = await _lock(conn, alarm, authority, at)
    if row["received_at"] is not None:
        raise Conflict(f"that {authority!r} received it stands already: add a comment to the alarm instead")
    given = {"alarm": alarm, "authority": authority, "actor": actor, "by": by, "reference": reference, "at": at}
    await conn.execute(_SQL["received"], given)
    said = f"{authority}: {by}" + (f", {reference}" if reference else "")
    await _transition(conn, alarm, "handover_received", actor, said, at)
    await _say(conn, row["institution"], alarm, authority, "received", actor)


async def arrived(conn: Connection, alarm: UUID, authority: str, actor: str, note: str, at: datetime | None) -> None:
    """The operator's word that they are there. Raises NotFound, Conflict."""
    row = await _lock(conn, alarm, authority, at)
    if row["arrived_at"] is not None:
        raise Conflict(f"that {authority!r} arrived stands already: add a comment to the alarm instead")
    await conn.execute(_SQL["arrived"], {"alarm": alarm, "authority": authority, "actor": actor, "at": at})
    await _transition(conn, alarm, "handover_arrived", actor, f"{authority}: {note}" if note else authority, at)
    await _say(conn, row["institution"], alarm, authority, "arrived", actor)


async def _lock(conn: Connection, alarm: UUID, authority: str, at: datetime | None) -> Row:
    await one_row(conn, _SQL["lock_alarm"], {"alarm": alarm})  # the alarm first, as everybody locks
    row = await one_row(conn, _SQL["lock_handover"], {"alarm": alarm, "authority": authority})
    if row is None:
        raise NotFound(f"alarm {alarm} was not handed to {authority!r}")
    if at is not None and at < row["begun_at"]:
        raise Conflict(f"it was handed over at {row['begun_at'].isoformat()}: nothing came of it before that")
    return row


async def of_alarm(conn: Connection, alarm: UUID) -> list[Row]:
    """Every handover of an alarm, with what became of it on each channel."""
    return await all_rows(conn, _SQL["of_alarm"], {"alarm": alarm})


async def _transition(conn: Connection, alarm: UUID, event: str, actor: str, note: str, at: datetime | None) -> None:
    given = {"alarm": alarm, "event": event, "actor": actor, "note": note[:2000], "at": at}
    await conn.execute(_SQL["record_transition"], given)


async def _say(conn: Connection, institution: int, alarm: UUID, authority: str, state: str, actor: str) -> None:
    payload = {"alarm": str(alarm), "authority": authority, "state": state, "actor": actor}
    await conn.execute(_SQL["say"], {"institution": institution, "payload": Jsonb(payload)})


class Claimed(NamedTuple):
    """One attempt to make now."""

    handover: UUID
    authority: str
    channel: str
    n: int
    alarm: UUID
    kind: str | None
    """None where the authority or its channel was retired meanwhile"""
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Claimed(handover={self.handover}, n={self.n}, authority={self.authority!r}, channel={self.channel!r})"


def _opened(row: Row) -> Row:
    if row["kind"] is None or row["settings"] is None:
        return row
    place = Place("authority", row["authority"], row["channel"], row["kind"])
    return {**row, "settings": opened(row["settings"], place)}


class Desk:
    """The loop's own connection. Every method raises LinkDown when it is gone."""

    def __init__(self, conn: Connection, bell: Bell, clock: SteadyClock) -> None:
        self.conn = conn
        self._bell = bell
        self._clock = clock

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: committed at the end, rolled back on any error."""
        with translated():
            async with self.conn.transaction():
                yield self.conn

    async def due_by_order(self, limit: int) -> Sequence[tuple[UUID, str]]:
        """(alarm, authority) that a standing order hands over now. Raises Conflict where the clock was set, and somebody holds what that moves."""
        async with self.transaction() as conn, conn.cursor() as cur:
            now = await self._clock.read(cur)
        self._clock.committed()
        async with self.transaction() as conn:
            given = {"limit": limit, "now": to_datetime(now.at), "stood": now.stood}
            cursor = await conn.execute(_SQL["automatic"], given)
            return [(row[0], row[1]) for row in await cursor.fetchall()]

    async def claim(self, limit: int, lease: Micros) -> list[Claimed]:
        """Messages to send now, leased; committed."""
        with translated():
            async with self.conn.cursor(row_factory=dict_row) as cur:
                await cur.execute(_SQL["claim"], {"limit": limit, "lease": to_interval(lease)})
                return [Claimed(**_opened(row)) for row in await cur.fetchall()]

    async def document(self, handover: UUID) -> Row | None:
        """What the authority is told, with the `cameras` beside the alarm; None where the alarm is not real (which cannot be)."""
        with translated():
            row = await one_row(self.conn, _SQL["document"], {"handover": handover})
            if row is not None:
                row["cameras"] = await cameras_of_alarm(self.conn, row["alarm"])
            return row

    async def note(
        self, claimed: Claimed, outcome: str, code: int | None, detail: str, after: Micros | None, give_up: Micros
    ) -> str:
        """Write one attempt down; what the message is now, `other` where that is somebody else's by now."""
        given = {
            "handover": claimed.handover,
            "channel": claimed.channel,
            "n": claimed.n,
            "outcome": outcome,
            "code": code,
            "detail": detail,
            "after": None if after is None else to_interval(after),
            "give_up": to_interval(give_up),
        }
        async with self.transaction() as conn:
            row = await one_row(conn, _SQL["settle"], given)
            await conn.execute(_SQL["note"], given)
            if row is None:
                return "other"
            if row["state"] != "pending":
                await _say(conn, row["institution"], row["alarm"], row["authority"], row["state"], "")
            return str(row["state"])

    async def unverified(self, after: Micros) -> list[Row]:
        """Handovers that nobody has written down as received for so long."""
        with translated():
            return await all_rows(self.conn, _SQL["unverified"], {"after": to_interval(after)})

    async def wait(self, seconds: float) -> None:
        """Until there is something new to send, at most `seconds`."""
        await self._bell.wait(seconds)


@asynccontextmanager
async def open_desk(database_url: str, clock: SteadyClock) -> AsyncIterator[Desk]:
    """Connect and listen; raises LinkDown."""
    conn = await connect(database_url, "handovers", autocommit=True)
    try:
        bell = Bell(conn)
        await bell.listen("anxin_handover")
        yield Desk(conn, bell, clock)
    finally:
        await conn.close()
