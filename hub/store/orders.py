"""Orders as people read them and act upon them: issued, answered, withdrawn; never deleted. What may happen is hub.core.orders'."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core import orders as core
from hub.core.orders import Event, Order, State
from hub.core.rights import Principal, Scope
from hub.errors import Conflict, Forbidden, NotFound
from hub.model import Micros, to_datetime, to_micros
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.waivers import require_overseer, require_person

_SQL = queries("orders")
MOST_ANSWERS = 100
MOST_TEXT = 2000
MOST_ATTACHMENT = 500
HUB = "hub"
"""who acts where no person does"""
_FILTERS = ("id", "institution", "division", "raised_to", "states", "after_at", "after")
_TIMES = ("issued_at", "due_at", "climbs_at", "answered_at", "ended_at", "watched_from")


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    institution: str | None = None,
    division: str | None = None,
    states: Sequence[State] | None = None,
    raised_to: str | None = None,
) -> list[Row]:
    """Orders within the scope, the latest first, each with what the rule is found to be now. `raised_to`: what rose to that division or beyond it."""
    at, last = (None, None) if after is None else after
    asked: dict[str, Any] = {"institution": institution, "division": division, "raised_to": raised_to}
    asked |= {"after_at": at, "after": last}
    asked["states"] = None if states is None else [state.value for state in states]
    return await _list(conn, scope, limit, asked)


async def order(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One order; raises NotFound."""
    rows = await _list(conn, scope, 1, {"id": id})
    if not rows:
        raise NotFound(f"no order {id}")
    return rows[0]


async def _list(conn: Connection, scope: Scope, limit: int, asked: Mapping[str, Any]) -> list[Row]:
    given = {**dict.fromkeys(_FILTERS), **asked, "scope": Jsonb(scope.as_json()), "limit": limit}
    return await all_rows(conn, _SQL["list"], given)


async def counts(
    conn: Connection, scope: Scope, *, institution: str | None = None, division: str | None = None
) -> dict[State, int]:
    """How many orders there are of each state."""
    given = {"scope": Jsonb(scope.as_json()), "institution": institution, "division": division}
    found = {State(row["state"]): int(row["n"]) for row in await all_rows(conn, _SQL["counts"], given)}
    return {state: found.get(state, 0) for state in State}


async def steps(conn: Connection, id: UUID) -> list[Row]:
    """What happened to an order, the oldest first."""
    return await all_rows(conn, _SQL["steps"], {"id": id})


async def parents(conn: Connection) -> dict[str, str | None]:
    """Each division's own, None at the top."""
    return {row["code"]: row["parent"] for row in await all_rows(conn, _SQL["divisions"])}


async def issue(conn: Connection, who: Principal, id: UUID, note: str, now: datetime) -> None:
    """Issue a draft: from now on the institution must act, until the rule's days to remedy are over. Raises NotFound, Forbidden for a service,
    Conflict where it is no draft.
    """
    await require_person(conn, who)
    row = await _locked(conn, who.scope, id)
    require_overseer(who, row["division"])
    owner = core.owner_of(who.scope, row["division"], await parents(conn))
    changed = core.step(of_row(row), Event.ISSUE, to_micros(now), owner=owner)
    await put(conn, id, changed, Event.ISSUE, to_micros(now), who.name, note, issued_by=who.name)


async def answer(conn: Connection, who: Principal, id: UUID, text: str, attachment: str, now: datetime) -> None:
    """Answer for the institution; the answer is kept and decides nothing. Raises NotFound, Conflict."""
    row = await _locked(conn, who.scope, id)
    changed = core.step(of_row(row), Event.ANSWER, to_micros(now))
    given = await one_row(conn, _SQL["answers"], {"id": id})
    if given is None or given["n"] >= MOST_ANSWERS:
        raise Conflict(f"an order takes at most {MOST_ANSWERS} answers")
    await put(conn, id, changed, Event.ANSWER, to_micros(now), who.name, text, attachment)


async def withdraw(conn: Connection, who: Principal, id: UUID, note: str, now: datetime) -> None:
    """Withdraw one, with the reason. What was raised is withdrawn only from the level that it was raised to. Raises NotFound, Forbidden, Conflict."""
    await require_person(conn, who)
    row = await _locked(conn, who.scope, id)
    require_overseer(who, row["division"])
    found = of_row(row)
    changed = core.step(found, Event.WITHDRAW, to_micros(now))
    if not core.may_withdraw(found, who.scope):
        raise Forbidden(f"this order was raised to division {found.raised_to}: it is withdrawn from there")
    await put(conn, id, changed, Event.WITHDRAW, to_micros(now), who.name, note)


async def _locked(conn: Connection, scope: Scope, id: UUID) -> Row:
    row = await one_row(conn, _SQL["lock"], {"scope": Jsonb(scope.as_json()), "id": id})
    if row is None:
        raise NotFound(f"no order {id}")
    return row


def of_row(row: Row) -> Order:
    """An order as the core knows it."""
    times: dict[str, Any] = {name: None if row[name] is None else to_micros(row[name]) for name in _TIMES}
    times |= {"owner": row["owner"] or "", "raised_to": row["raised_to"] or ""}
    return Order(State(row["state"]), row["days_to_remedy"], to_micros(row["drafted_at"]), **times)


async def put(
    conn: Connection,
    id: UUID,
    changed: Order,
    event: Event,
    at: Micros,
    actor: str,
    note: str = "",
    attachment: str = "",
    issued_by: str | None = None,
) -> None:
    """Write an order after an event, with the step and a word to the change feed; in the caller's transaction, over a row that it has locked."""
    times = {name: _moment(getattr(changed, name)) for name in _TIMES}
    places = {"owner": changed.owner or None, "raised_to": changed.raised_to or None}
    values: dict[str, Any] = {"id": id, "state": changed.state.value, **times, **places}
    await conn.execute(_SQL["put"], values | {"issued_by": issued_by})
    said = {"at": to_datetime(at), "event": event.value, "actor": actor, "note": note, "attachment": attachment}
    await conn.execute(_SQL["add_step"], values | said)
    await conn.execute(_SQL["say"], {"id": id, "event": event.value})


def _moment(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)
