"""What the standby keeps of the database: whom to tell of what, where things are, what is open. It can be written to disk as it is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hub.core.alarms import Alarm
from hub.core.commissioning import Trial
from hub.core.escalation import Plan, Policy
from hub.core.rota import Calendar, Rota
from hub.model import Micros, to_datetime, to_micros
from hub.store import escalation, registry
from hub.store.access import Bearer, bearers
from hub.store.alarms import standing_urgent
from hub.store.bell import Bell
from hub.store.duty import load_calendar, load_rotas
from hub.store.escalation import Cursor
from hub.store.policies import Responder, load_policies, load_responders
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import readable
from hub.store.session import translated
from hub.store.sessions import link_key

_SQL = queries("plan")
_CHUNK = 500
"""rows of places that are taken at once: nothing else of the process may wait longer for them than some milliseconds"""


@dataclass(frozen=True, slots=True)
class Place:
    """One device of the urgent lane: whose it is, and the words that a message says of where it is."""

    key: int
    id: str
    institution: str
    institution_key: int
    division: str
    institution_type: str
    partition: int
    profile: str
    admin_state: str
    client: str
    revoked: bool
    institution_title: tuple[str, str]
    zone_title: tuple[str, str] | None
    position_title: tuple[str, str] | None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class People:
    """Who is told, and how: with the secrets of their channels."""

    policies: tuple[Policy, ...] = ()
    responders: tuple[Responder, ...] = ()
    rotas: dict[str, Rota] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar)
    link_key: bytes = b""
    bearers: tuple[Bearer, ...] = ()
    """who may act on alarms by a token or a login"""


@dataclass(frozen=True, slots=True)
class Running:
    """One running escalation: steps of its present round that are done, and those of them whose page is not sent yet."""

    alarm: Alarm
    policy: str
    version: int
    plan: Plan
    first_round: int
    round: int
    started_at: Micros
    done: tuple[tuple[int, int], ...]
    pending: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Open:
    """What is open now: alarms of urgent devices by partition, their escalations, function tests. `ahead`: the database's clock less ours
    (`at`). Times of escalations are the database's."""

    at: Micros = 0
    ahead: Micros = 0
    alarms: dict[int, list[Alarm]] = field(default_factory=dict)
    running: tuple[Running, ...] = ()
    rounds: dict[UUID, int] = field(default_factory=dict)
    tests: tuple[Trial, ...] = ()


class Source:
    """The standby's own connection. Every method raises LinkDown when it is gone; the caller limits the time."""

    def __init__(self, conn: Connection, bell: Bell) -> None:
        self.conn = conn
        self._bell = bell
        self._heard: set[str] = set()
        conn.add_notify_handler(lambda notice: self._heard.add(notice.channel))

    async def partitions(self) -> int:
        """N."""
        with translated():
            return await registry.partitions(self.conn)

    async def places(self) -> list[Place]:
        """Every device of the urgent lane."""
        with translated():
            rows = await (await self.conn.execute(_SQL["places"])).fetchall()
        found = []
        for n, row in enumerate(rows):
            found.append(_place(row))
            if n % _CHUNK == 0:
                await asyncio.sleep(0)
        return found

    async def people(self, now: Micros) -> People:
        """Policies and responders as they stand, and who may answer; `now` by our own clock."""
        async with self.transaction() as cur:
            policies, responders = await load_policies(cur), await load_responders(cur)
            rotas, calendar = await load_rotas(cur), await load_calendar(cur)
        with translated():
            known = await link_key(self.conn), await bearers(self.conn, to_datetime(now))
        return People(policies, responders, rotas, calendar, *known)

    async def open(self, now: Micros) -> Open:
        """Alarms, escalations and tests as they stand; `now` by our own clock."""
        with translated():
            alarms = await standing_urgent(self.conn)
            by_id = {alarm.id: alarm for of in alarms.values() for alarm in of}
            running, rounds = await self._escalations(by_id)
            tests = await (await self.conn.execute(_SQL["tests"])).fetchall()
            clock = await (await self.conn.execute(_SQL["clock"])).fetchone()
        assert clock is not None
        trials = tuple(Trial(id_, device, to_micros(opened), to_micros(until)) for id_, device, opened, until in tests)
        return Open(now, to_micros(clock[0]) - now, alarms, running, rounds, trials)

    async def _escalations(self, by_id: dict[UUID, Alarm]) -> tuple[tuple[Running, ...], dict[UUID, int]]:
        if not by_id:
            return (), {}
        given = {"alarms": list(by_id)}
        rows = await (await self.conn.execute(_SQL["running"], given)).fetchall()
        ended = await (await self.conn.execute(_SQL["rounds"], given)).fetchall()
        running = tuple(readable("escalation", rows, lambda row: _running(by_id[row[0]], row), lambda row: row[0]))
        return running, dict(ended)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Cursor]:
        """One transaction: committed at the end, rolled back on any error."""
        with translated():
            async with self.conn.transaction(), self.conn.cursor() as cur:
                yield cur

    async def wait(self, seconds: float) -> set[str]:
        """At most `seconds`, until registry or alarms move; returns which channels were notified."""
        await self._bell.rang(seconds)
        heard, self._heard = self._heard, set()
        return heard


def _running(alarm: Alarm, row: Sequence[Any]) -> Running:
    _, policy, version, plan, first, number, started, done, pending = row
    rows = [tuple((step, repetition) for step, repetition in some) for some in (done, pending)]
    return Running(alarm, policy, version, escalation.plan_from(plan), first, number, to_micros(started), *rows)


def _place(row: Sequence[Any]) -> Place:
    key, id_, institution, institution_key, division, kind, partition, profile, admin, client, revoked, *rest = row
    institution_zh, institution_en, zone_zh, zone_en, position_zh, position_en, groups = rest
    zone = None if zone_zh is None else (zone_zh, zone_en)
    position = None if position_zh is None else (position_zh, position_en)
    who = key, id_, institution, institution_key, division, kind, partition, profile, admin, client, revoked
    return Place(*who, (institution_zh, institution_en), zone, position, tuple(groups))


@asynccontextmanager
async def open_source(database_url: str) -> AsyncIterator[Source]:
    """Connect and listen for changes of the registry and of anything that is announced; raises LinkDown."""
    conn = await connect(database_url, "standby", autocommit=True)
    try:
        bell = Bell(conn)
        await bell.listen("anxin_registry")
        await bell.listen("anxin_change")
        yield Source(conn, bell)
    finally:
        conn.pgconn.finish()
