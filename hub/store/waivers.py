"""Waivers: granted by a person, ended by one or by their expiry; never changed, never deleted. What may be waived is hub.core.coverage.waivers'."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import errors
from psycopg.types.json import Jsonb

from hub.core.coverage.rules import Rule
from hub.core.coverage.waivers import Waiver, check_waiver
from hub.core.rights import Principal, Scope
from hub.errors import BadInput, Conflict, Forbidden, NotFound
from hub.model import Micros, to_datetime, to_micros
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("waivers")


async def standing(conn: Connection, subjects: Sequence[str] | None, at: Micros) -> list[Waiver]:
    """The waivers that hold at `at` or begin later, at these institutions (None: at all), for the judge."""
    asked = {"subjects": None if subjects is None else list(subjects), "at": to_datetime(at)}
    return [
        Waiver(row["id"], row["subject"], row["rule"], to_micros(row["since"]), to_micros(row["until"]))
        for row in await all_rows(conn, _SQL["standing"], asked)
    ]


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    now: datetime,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    institution: str | None = None,
    division: str | None = None,
    open: bool | None = None,
) -> list[Row]:
    """Waivers within the scope, the latest first. `open`: those that hold or are ahead, or those that are over."""
    at, last = (None, None) if after is None else after
    asked = {"id": None, "institution": institution, "division": division, "open": open, "after_at": at, "after": last}
    return await all_rows(conn, _SQL["list"], {"scope": Jsonb(scope.as_json()), "now": now, "limit": limit, **asked})


async def waiver(conn: Connection, scope: Scope, id: UUID, now: datetime) -> Row:
    """One waiver; raises NotFound."""
    asked: dict[str, Any] = dict.fromkeys(("institution", "division", "open", "after_at", "after"))
    given = {"scope": Jsonb(scope.as_json()), "now": now, "limit": 1, "id": id, **asked}
    found = await one_row(conn, _SQL["list"], given)
    if found is None:
        raise NotFound(f"no waiver {id}")
    return found


async def require_person(conn: Connection, who: Principal) -> None:
    """Raises Forbidden where the token is a service's: some acts are a named person's only."""
    row = await one_row(conn, _SQL["is_person"], {"token": who.token})
    if row is None or not row["is_person"]:
        raise Forbidden("this is done by a named person, not by a service")


def require_overseer(who: Principal, division: str) -> None:
    """Raises Forbidden where the scope does not cover the division: an institution issues no order to itself, and waives nothing for itself."""
    if not who.scope.oversees(division):
        raise Forbidden("this is done by who supervises the division, not by the institution itself")


async def grant(
    conn: Connection,
    who: Principal,
    rule: Rule,
    *,
    institution: str,
    ground: str,
    document: str,
    since: datetime,
    expires_at: datetime,
    now: datetime,
) -> UUID:
    """Grant one. Raises BadInput for what may not be waived, NotFound outside the scope, Forbidden for a service, Conflict beside another one."""
    check_waiver(rule, ground, to_micros(since), to_micros(expires_at), to_micros(now))
    await require_person(conn, who)
    place = await one_row(conn, _SQL["place"], {"scope": Jsonb(who.scope.as_json()), "institution": institution})
    if place is None:
        raise NotFound(f"no institution {institution}")
    require_overseer(who, place["division"])
    times = {"since": since, "expires_at": expires_at, "institution": place["key"], "rule": rule.id}
    beside = await one_row(conn, _SQL["overlapping"], times)
    if beside is None or beside["n"]:
        raise Conflict("this rule is waived there already at that time: end that waiver first")
    named = {"force": rule.force.value, "basis": rule.basis.value, "title_zh": rule.title_zh, "title_en": rule.title_en}
    said = {"ground": ground, "document": document, "approver": who.name, "now": now}
    try:
        row = await one_row(conn, _SQL["grant"], times | named | said)
    except errors.CheckViolation as error:
        if error.diag.constraint_name != "waiver_never_of_law":
            raise
        reason = "a rule of law or of a mandatory national standard cannot be waived by anybody"
        raise BadInput(reason, "rule", code="waiver") from error
    assert row is not None
    await conn.execute(_SQL["say"], {"id": row["id"]})
    return UUID(str(row["id"]))


async def end(conn: Connection, who: Principal, id: UUID, now: datetime) -> None:
    """End one before its expiry: what it excused is a violation again at once. Raises NotFound, Forbidden, Conflict where it is over."""
    row = await waiver(conn, who.scope, id, now)
    await require_person(conn, who)
    require_overseer(who, row["division"])
    if await one_row(conn, _SQL["end"], {"id": id, "actor": who.name, "now": now}) is None:
        raise Conflict("the waiver is over")
    await conn.execute(_SQL["say"], {"id": id})
