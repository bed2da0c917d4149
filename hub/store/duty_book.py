"""The duty book: rotas as a principal sees them, swaps that leave no hole, and handover notes. Everything runs in the caller's transaction."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core.reachability import HORIZON, Duty, Finding, check, worse
from hub.core.rights import Principal, Scope
from hub.core.rota import Book, Calendar, Override, Rota, Shift, watch_handed_over
from hub.errors import BadInput, Forbidden, NotFound
from hub.model import to_datetime, to_micros
from hub.store import audit, duty, policy_checks
from hub.store.pool import Connection
from hub.store.provisioning import SAVING
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("duty_book")
MOST_ALARMS = 500
"""open alarms that a handover note lists; all of them are counted"""


async def load_rotas(
    conn: Connection, scope: Scope, rota: str | None = None, since: datetime | None = None
) -> tuple[dict[str, Rota], Calendar]:
    """The rotas of the scope by id, with the overrides that are not over at `since`, and the calendar; raises NotFound for one that is not."""
    seen = await all_rows(conn, _SQL["rotas"], {"scope": Jsonb(scope.as_json()), "rota": rota})
    if rota is not None and not seen:
        raise NotFound(f"there is no rota {rota!r}")
    async with conn.cursor() as cur:
        rotas = await duty.load_rotas(cur, since)
        calendar = await duty.load_calendar(cur)
    return {row["id"]: rotas[row["id"]] for row in seen if row["id"] in rotas}, calendar


async def load_books(
    conn: Connection, scope: Scope, rota: str | None, start: datetime, end: datetime
) -> dict[str, Book]:
    """What was known of the rotas of the scope at every instant from `start` to `end`, by id; raises NotFound for one that is not."""
    seen = await all_rows(conn, _SQL["rotas"], {"scope": Jsonb(scope.as_json()), "rota": rota})
    if rota is not None and not seen:
        raise NotFound(f"there is no rota {rota!r}")
    async with conn.cursor() as cur:
        books = await duty.load_books(cur, rota, start, end)
    return {row["id"]: books[row["id"]] for row in seen if row["id"] in books}


async def editions(conn: Connection, scope: Scope, rota: str, limit: int) -> list[Row]:
    """Who saved which edition of a rota when, newest first; raises NotFound."""
    await load_rotas(conn, scope, rota)
    return await all_rows(conn, queries("duty")["saved"], {"rota": rota, "limit": limit})


async def shifts_of(conn: Connection, rota: str, editions: Sequence[int]) -> dict[int, list[Shift]]:
    """The shifts of these editions of a rota, by their number."""
    async with conn.cursor() as cur:
        found = await duty.load_shifts(cur, [(rota, edition) for edition in editions])
    return {edition: shifts for (_, edition), shifts in found.items()}


async def load_titles(conn: Connection, responders: list[str]) -> dict[str, Row]:
    """Titles of responders that are not retired, by id."""
    return {row["id"]: row for row in await all_rows(conn, _SQL["responders_of"], {"responders": responders})}


async def _allow(conn: Connection, scope: Scope, rota: str) -> None:
    await load_rotas(conn, scope, rota)
    row = await one_row(conn, _SQL["may"], {"scope": Jsonb(scope.as_json()), "rota": rota})
    if row is None or not row["may"]:
        raise Forbidden(f"the place of rota {rota!r} is not within your scope")


async def overrides(conn: Connection, scope: Scope, rota: str, since: datetime, limit: int) -> list[Row]:
    """Swaps that were not over at `since`, newest first, cancelled ones too."""
    await load_rotas(conn, scope, rota)
    return await all_rows(conn, _SQL["overrides"], {"rota": rota, "since": since, "limit": limit})


async def add_override(conn: Connection, who: Principal, rota: str, override: Override, reason: str) -> str:
    """Add a swap; its id. Raises BadInput with the hours where a policy would reach nobody by it, Forbidden, NotFound."""
    await _allow(conn, who.scope, rota)
    before = await _hold(conn, rota)
    async with conn.cursor() as cur:
        key = await duty.add_override(cur, rota, override, reason, who.name)
    await _refuse_holes(conn, rota, before)
    detail = {"override": key, "absent": override.absent, "present": override.present}
    await audit.record(conn, who.name, "rota.override", f"rota:{rota}", detail)
    await _say(conn, rota, {"rota": rota, "action": "override"})
    return key


async def cancel_override(conn: Connection, who: Principal, rota: str, override: UUID) -> None:
    """Cancel a swap; raises as `add_override` does, NotFound also for one that is cancelled."""
    await _allow(conn, who.scope, rota)
    before = await _hold(conn, rota)
    given = {"rota": rota, "override": override, "actor": who.name}
    if (await conn.execute(_SQL["cancel_override"], given)).rowcount == 0:
        raise NotFound(f"rota {rota!r} has no override {override}")
    await _refuse_holes(conn, rota, before)
    await audit.record(conn, who.name, "rota.override-cancel", f"rota:{rota}", {"override": str(override)})
    await _say(conn, rota, {"rota": rota, "action": "override"})


async def put_calendar(conn: Connection, who: Principal, year: int, notice: str, days: Any) -> bool:
    """Import a year's days off; whether anything is different by it. Raises BadInput where a policy would reach nobody by it."""
    if not who.scope.everything:
        raise Forbidden("the calendar holds for the whole hub: it takes a scope over everything")
    before = await _hold(conn, None)
    changed = await policy_checks.put_calendar(conn, year, notice, days, who.name)
    if changed:
        await _refuse_holes(conn, None, before)
        await audit.record(conn, who.name, "calendar.put", f"calendar:{year}", {"notice": notice, "days": len(days)})
    return changed


async def _hold(conn: Connection, rota: str | None) -> tuple[Duty, int]:
    """Who is reached now, by the policies that name the rota; nobody else changes a rota until the transaction ends."""
    await conn.execute(_SQL["lock"], {"key": SAVING})
    async with conn.cursor() as cur:
        row = await one_row(conn, queries("policy_checks")["now"])
        assert row is not None
        now = row["now"]
        found = await policy_checks.load_duty(cur, now)
    return _named(found, rota), to_micros(now)


def _named(found: Duty, rota: str | None) -> Duty:
    if rota is None:
        return found
    named = tuple(policy for policy in found.policies if any(step.rota == rota for step in policy.steps))
    return Duty(named, found.rotas, found.people, found.calendar)


async def _refuse_holes(conn: Connection, rota: str | None, before: tuple[Duty, int]) -> None:
    found, start = before
    async with conn.cursor() as cur:
        row = await one_row(conn, queries("policy_checks")["now"])
        assert row is not None
        after = _named(await policy_checks.load_duty(cur, row["now"]), rota)
    holes = await asyncio.to_thread(_holes, found, after, start)
    if holes:
        more = f" (and {len(holes) - 1} more)" if len(holes) > 1 else ""
        raise BadInput(f"{holes[0].en} / {holes[0].zh}{more}", "", code="unreached")


def _holes(before: Duty, after: Duty, start: int) -> list[Finding]:
    end = start + HORIZON
    return worse(list(check(after, (), start, end)), list(check(before, (), start, end)))


async def hand_over(conn: Connection, who: Principal, rota: str, giver: str, taker: str, note: str) -> Row:
    """Write a handover note with the real alarms of the post's place that stand open at this instant; its row. Raises NotFound, BadInput, Forbidden."""
    await _allow(conn, who.scope, rota)
    if giver == taker:
        raise BadInput("somebody else than who hands over", "#/taker", "handover")
    known = await load_titles(conn, [giver, taker])
    for key, name in (("giver", giver), ("taker", taker)):
        if name not in known:
            raise BadInput(f"there is no responder {name!r}", f"#/{key}", "handover")
    turn = await _turn(conn, rota, giver)
    alarms = await all_rows(conn, _SQL["open_alarms"], {"rota": rota, "limit": MOST_ALARMS})
    count = alarms[0]["total"] if alarms else 0
    kept = [
        {**{name: value for name, value in row.items() if name != "total"}, "raised_at": row["raised_at"].isoformat()}
        for row in alarms
    ]
    given = {"rota": rota, "giver": giver, "taker": taker, "note": note, "actor": who.name, **turn}
    row = await one_row(conn, _SQL["write_handover"], {**given, "alarms": Jsonb(kept), "alarm_count": count})
    assert row is not None
    await audit.record(
        conn, who.name, "rota.handover", f"rota:{rota}", {"giver": giver, "taker": taker, "alarms": count}
    )
    await _say(conn, rota, {"rota": rota, "action": "handover", "handover": str(row["id"])})
    return {
        **row,
        **turn,
        "giver": giver,
        "taker": taker,
        "note": note,
        "alarms": kept,
        "alarm_count": count,
        "written_by": who.name,
    }


async def _turn(conn: Connection, rota: str, giver: str) -> dict[str, Any]:
    """The watch that is handed over: the note belongs to it, whatever becomes of the rota."""
    row = await one_row(conn, _SQL["clock"])
    assert row is not None
    async with conn.cursor() as cur:
        books = await duty.load_books(cur, rota, row["now"] - timedelta(hours=1), row["now"])
    turn = watch_handed_over(books.get(rota, ()), giver, to_micros(row["now"]))
    if turn is None:
        return dict.fromkeys(("shift", "watch_starts_at", "watch_ends_at", "edition"))
    times = {"watch_starts_at": to_datetime(turn.start), "watch_ends_at": to_datetime(turn.end)}
    return {"shift": turn.shift, **times, "edition": turn.edition}


async def handovers(
    conn: Connection, scope: Scope, rota: str, *, limit: int, after: tuple[datetime, str] | None = None
) -> list[Row]:
    """Handover notes, newest first; `after` is (at, id) of the last one that was shown."""
    await load_rotas(conn, scope, rota)
    at, name = (None, None) if after is None else after
    return await all_rows(conn, _SQL["handovers"], {"rota": rota, "limit": limit, "at": at, "id": name})


async def _say(conn: Connection, rota: str, payload: dict[str, Any]) -> None:
    await conn.execute(_SQL["say"], {"rota": rota, "payload": Jsonb(payload)})
