"""Proofs in the database: asked for, sent, followed to the sink, and what every position's way to people was last worth."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from hub.core.exercises import PROOF_STREAM, Handed
from hub.core.media import Medium, medium
from hub.core.rights import Scope
from hub.errors import Conflict, NotFound
from hub.model import Micros, to_datetime, to_micros
from hub.store.bell import Bell
from hub.store.intervals import to_interval
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_SQL = queries("proofs")
MOST = 100
"""proofs that are looked at at once"""


class Target(NamedTuple):
    """A device whose way can be proven."""

    key: int
    id: str
    profile: str
    institution: int
    position: int | None
    behind_an_edge: bool
    dials_police: bool | None = None
    """whether this unit dials the police centre by its own line; None: as its profile says"""


class Injected(NamedTuple):
    """What is injected where."""

    definition: str
    point: str
    instance: str
    level: str
    tell: str
    not_lower: str = "asked"
    """why at no lower level: a key of `hub.core.exercises.NOT_LOWER`"""
    shows: Sequence[str] = ()
    """the capabilities of the device that it proves when it passes: only the device's own test proves any"""


class ToSend(NamedTuple):
    """A proof that its lane knows: `client` speaks for the device; `upto` of the hub's own stream for it."""

    id: UUID
    device: str
    profile: str
    definition: str
    point: str
    instance: str
    level: str
    expires_at: datetime
    partition: int
    client: str
    upto: int | None


class Begun(NamedTuple):
    """A function test that has begun, of a device behind `edge`."""

    id: UUID
    device: str
    profile: str
    edge: str
    partition: int
    until: datetime


class Raised(NamedTuple):
    """A proof whose alarm is raised; `escalation` is its state, empty where there is none yet."""

    id: UUID
    tell: str
    alarm: UUID
    escalation: str


class Round(NamedTuple):
    """How far an institution's proofs are: slots, None before the first."""

    id: str
    key: int
    slot: int | None
    told: int | None


async def target(
    conn: Connection,
    scope: Scope,
    *,
    device: str | None = None,
    institution: str | None = None,
    position: str | None = None,
) -> tuple[Target, str]:
    """The device, or the one at a position, within the scope, and its admin state; raises NotFound."""
    asked = {"scope": Jsonb(scope.as_json()), "device": device, "institution": institution, "position": position}
    row = await one_row(conn, _SQL["target"], asked)
    if row is None:
        what = f"device {device!r}" if device is not None else f"device at position {institution}/{position}"
        raise NotFound(f"there is no {what}")
    state = row.pop("admin_state")
    del row["institution_id"]
    return Target(**row), state


async def request(
    conn: Connection, of: Target, injected: Injected, actor: str, within: Micros, slot: int | None = None
) -> UUID | None:
    """Ask for a proof; None where another of this device is under way."""
    given = {
        "id": uuid4(),
        "device": of.key,
        "position": of.position,
        "institution": of.institution,
        **injected._asdict(),
    }
    given |= {"shows": sorted(injected.shows), "actor": actor, "within": to_interval(within), "slot": slot}
    row = await one_row(conn, _SQL["request"], given)
    return None if row is None else row["id"]


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    id: UUID | None = None,
    institution: str | None = None,
    position: str | None = None,
    device: str | None = None,
) -> list[Row]:
    """Proofs, newest first, with the time of every hop."""
    at, last = (None, None) if after is None else after
    asked = {"id": id, "institution": institution, "position": position, "device": device, "limit": limit}
    return await all_rows(conn, _SQL["list"], {"scope": Jsonb(scope.as_json()), "after_at": at, "after": last, **asked})


async def get(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One proof; raises NotFound."""
    found = await listed(conn, scope, limit=1, id=id)
    if not found:
        raise NotFound(f"there is no proof {id}")
    return found[0]


async def positions(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[str, str] | None = None,
    institution: str | None = None,
    position: str | None = None,
    days: int | None = None,
) -> list[Row]:
    """Positions that can raise fire or panic, with when their device there was last proven; `days`: those not proven for so long."""
    place = (None, None) if after is None else after
    asked = {"limit": limit, "institution": institution, "position": position, "days": days}
    given = {"scope": Jsonb(scope.as_json()), "after_institution": place[0], "after": place[1], **asked}
    return await all_rows(conn, _SQL["positions"], given)


class Proving:
    """The prover's own connection. Every method raises LinkDown when it is gone."""

    def __init__(self, conn: Connection, bell: Bell, partitions: Sequence[int]) -> None:
        self._conn = conn
        self._bell = bell
        self._of = {"partitions": list(partitions)}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction."""
        with translated():
            async with self._conn.transaction():
                yield self._conn

    async def to_send(self) -> list[ToSend]:
        """Open proofs that are to be injected, in order."""
        async with self.transaction() as conn:
            given = {**self._of, "prefix": PROOF_STREAM, "limit": MOST}
            return [ToSend(**row) for row in await all_rows(conn, _SQL["to_send"], given)]

    async def tests_begun(self) -> list[Begun]:
        """Function tests whose devices are to be asked now, each once."""
        async with self.transaction() as conn:
            return [Begun(**row) for row in await all_rows(conn, _SQL["tests_begun"], {**self._of, "limit": MOST})]

    async def sent(self, proof: UUID) -> bool:
        """It is about to be injected, once; False where it has ended meanwhile."""
        async with self.transaction() as conn:
            return (await conn.execute(_SQL["sent"], {"id": proof})).rowcount == 1

    async def raised(self) -> list[tuple[Raised, list[Handed]]]:
        """Proofs whose alarm is raised, each with its notifications."""
        async with self.transaction() as conn:
            found = [Raised(**row) for row in await all_rows(conn, _SQL["raised"], {**self._of, "limit": MOST})]
            handed: dict[UUID, list[Handed]] = {}
            for row in await all_rows(conn, _SQL["handed"], {"alarms": [one.alarm for one in found]}):
                if medium(row["kind"] or "") is Medium.DEVICE:
                    continue  # a siren cannot say that it is a test: it is not sounded, and nobody was to hear it
                times = to_micros(row["created_at"]), _micros(row["sent_at"]), _micros(row["received_at"])
                one = Handed(row["responder"], row["channel"], row["state"], *times)
                handed.setdefault(row["alarm"], []).append(one)
            return [(one, handed.get(one.alarm, [])) for one in found]

    async def finish(self, proof: UUID, state: str, reason: str, handed: Sequence[Handed]) -> None:
        """It has passed or failed; the times are the first notification's and the last receipt's."""
        given: dict[str, Any] = {"id": proof, "state": state, "reason": reason}
        given |= {
            "notified_at": _moment(min((one.created_at for one in handed), default=None)),
            "handed_over_at": _moment(min((one.sent_at for one in handed if one.sent_at is not None), default=None)),
            "received_at": _moment(
                max((one.received_at for one in handed if one.received_at is not None), default=None)
            ),
        }
        async with self.transaction() as conn:
            row = await one_row(conn, _SQL["finish"], given)
            if row is not None:
                await self._say(conn, row["institution"], proof, state, reason)

    async def expire(self) -> list[tuple[UUID, str, str]]:
        """What did not come back in time has failed: id, device, where it was last seen."""
        async with self.transaction() as conn:
            rows = await all_rows(conn, _SQL["expire"], self._of)
            for row in rows:
                await self._say(conn, row["institution"], row["id"], "failed", row["reason"])
            return [(row["id"], row["device"], row["reason"]) for row in rows]

    async def rounds(self) -> list[Round]:
        """Institutions with anything to prove."""
        async with self.transaction() as conn:
            return [Round(**row) for row in await all_rows(conn, _SQL["rounds"], self._of)]

    async def under_way(self) -> int:
        """Scheduled proofs that have not ended."""
        async with self.transaction() as conn:
            row = await one_row(conn, _SQL["under_way"], self._of)
            assert row is not None
            return int(row["count"])

    async def wait(self, seconds: float) -> None:
        """Until a proof moved, at most `seconds`."""
        await self._bell.wait(seconds)

    async def _say(self, conn: Connection, institution: int, proof: UUID, state: str, reason: str) -> None:
        payload = Jsonb({"proof": str(proof), "state": state, "reason": reason})
        await conn.execute(_SQL["say"], {"institution": institution, "payload": payload})


async def put_round(conn: Connection, institution: int, slot: int, told: int) -> None:
    """The round of this slot was asked for."""
    await conn.execute(_SQL["put_round"], {"institution": institution, "slot": slot, "told": told})


async def candidates(conn: Connection, institution: int) -> list[Target]:
    """What a round proves, those told to people longest ago first."""
    return [Target(**row) for row in await all_rows(conn, _SQL["candidates"], {"institution": institution})]


def refuse_second(device: str) -> Conflict:
    """Another proof of the device is under way."""
    return Conflict(f"a proof of {device} is under way")


def _micros(moment: datetime | None) -> Micros | None:
    return None if moment is None else to_micros(moment)


def _moment(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)


@asynccontextmanager
async def open_proving(database_url: str, partitions: Sequence[int]) -> AsyncIterator[Proving]:
    """Connect and listen; raises LinkDown."""
    conn = await connect(database_url, "prover", autocommit=True)
    try:
        bell = Bell(conn)
        await bell.listen("anxin_proof")
        yield Proving(conn, bell, partitions)
    finally:
        await conn.close()
