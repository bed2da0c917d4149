"""Rotas, swaps and the calendar as registered, and who is on duty by them. Writers run in the caller's transaction.

Who is on duty is decided by `hub.core.rota`; whether policies still reach somebody is for the caller to judge before it commits.
"""

from datetime import date, datetime
from typing import Any

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from hub.core import rota as core
from hub.core.rota import Calendar, Override, Rota, Shift, check_rota
from hub.errors import BadInput, Conflict, NotFound
from hub.model import DayKind, to_datetime, to_micros
from hub.store.queries import queries

_SQL = queries("duty")

Cursor = AsyncCursor[TupleRow]


async def on_duty(cur: Cursor, rota: str, at: datetime) -> tuple[str, ...]:
    """The responders on duty in a rota at that instant, in order; empty where nobody is, and for a rota that is retired or unknown."""
    found = await _load(cur, rota, at, at)
    if rota not in found:
        return ()
    return core.on_duty(found[rota], to_micros(at), await load_calendar(cur))


async def load_rotas(cur: Cursor, since: datetime | None = None, until: datetime | None = None) -> dict[str, Rota]:
    """All rotas that are not retired, by id, with the overrides that touch the time from `since` to `until`; all of them without bounds."""
    return await _load(cur, None, since, until)


async def _load(cur: Cursor, rota: str | None, since: datetime | None, until: datetime | None) -> dict[str, Rota]:
    given = {"rota": rota, "since": since, "until": until}
    await cur.execute(_SQL["rotas"], given)
    rows = await cur.fetchall()
    shifts: dict[str, list[Shift]] = {row[0]: [] for row in rows}
    overrides: dict[str, list[Override]] = {row[0]: [] for row in rows}
    await cur.execute(_SQL["shifts"], given)
    for name, *shift in await cur.fetchall():
        if name in shifts:
            shifts[name].append(_shift(*shift))
    await cur.execute(_SQL["overrides"], given)
    for name, key, starts, ends, absent, present in await cur.fetchall():
        if name in overrides:
            overrides[name].append(Override(key, to_micros(starts), to_micros(ends), absent, present))
    return {
        name: Rota(name, tuple(shifts[name]), tuple(overrides[name]), zh, en, division, institution, version)
        for name, zh, en, division, institution, version in rows
    }


def _shift(
    name: str,
    starts: int,
    ends: int,
    since: date,
    until: date | None,
    turn_days: int,
    crew: int,
    weekdays: list[int],
    day_kinds: list[str],
    responders: list[str],
) -> Shift:
    kinds = frozenset(map(DayKind, day_kinds))
    return Shift(name, starts, ends, tuple(responders), since, until, turn_days, crew, frozenset(weekdays), kinds)


async def load_calendar(cur: Cursor) -> Calendar:
    """The days that are known to differ from plain weekdays."""
    await cur.execute(_SQL["calendar"])
    rows = await cur.fetchall()
    days = {date.fromisoformat(day): DayKind(kind) for _, known in rows for day, kind in known.items()}
    return Calendar(days, frozenset(year for year, _ in rows))


async def put_rota(cur: Cursor, rota: Rota) -> None:
    """Create or change a rota with exactly these shifts; its overrides stay as they are (`version` is counted here).

    Raises BadInput where it contradicts itself, NotFound for an unknown place or responder.
    """
    check_rota(rota)
    institution = await _place(cur, rota)
    titles = {"title_zh": rota.title_zh, "title_en": rota.title_en}
    await cur.execute(
        _SQL["put_rota"], {"id": rota.id, "division": rota.division, "institution": institution, **titles}
    )
    await cur.execute(_SQL["drop_shifts"], {"rota": rota.id})
    await _check_responders(cur, rota.id, {name for shift in rota.shifts for name in shift.responders})
    for n, shift in enumerate(rota.shifts):
        given: dict[str, Any] = {"rota": rota.id, "n": n, "id": shift.id, "starts": shift.starts, "ends": shift.ends}
        given |= {"since": shift.since, "until": shift.until, "turn_days": shift.turn_days, "crew": shift.crew}
        given |= {"weekdays": sorted(shift.weekdays), "day_kinds": sorted(shift.day_kinds)}
        await cur.execute(_SQL["put_shift"], given)
        await cur.execute(_SQL["put_turns"], {"rota": rota.id, "shift": n, "responders": list(shift.responders)})


async def _place(cur: Cursor, rota: Rota) -> int | None:
    policies = queries("policies")
    if rota.division is not None:
        await cur.execute(policies["has_division"], {"division": rota.division})
        if await cur.fetchone() is None:
            raise NotFound(f"rota {rota.id}: there is no division {rota.division!r}")
    if rota.institution is None:
        return None
    await cur.execute(policies["institution_key"], {"institution": rota.institution})
    row = await cur.fetchone()
    if row is None:
        raise NotFound(f"rota {rota.id}: there is no institution {rota.institution!r}")
    return int(row[0])


async def _check_responders(cur: Cursor, rota: str, responders: set[str]) -> None:
    await cur.execute(_SQL["live_responders"], {"responders": sorted(responders)})
    missing = sorted(responders - {row[0] for row in await cur.fetchall()})
    if missing:
        raise NotFound(f"rota {rota}: there is no responder {missing[0]!r}")


async def retire_rota(cur: Cursor, rota: str) -> None:
    """Retire a rota; raises NotFound, and Conflict while a policy names it."""
    await lock_rota(cur, rota)
    await cur.execute(_SQL["rota_users"], {"rota": rota})
    used = await cur.fetchone()
    if used is not None:
        raise Conflict(f"rota {rota!r} is used by policy {used[0]!r}: change the policy first")
    await cur.execute(_SQL["retire_rota"], {"rota": rota})


async def lock_rota(cur: Cursor, rota: str) -> None:
    """Hold a rota until the transaction ends; raises NotFound."""
    await cur.execute(_SQL["lock_rota"], {"rota": rota})
    if await cur.fetchone() is None:
        raise NotFound(f"there is no rota {rota!r}")


async def add_override(cur: Cursor, rota: str, override: Override, reason: str, actor: str) -> str:
    """Add a swap, the last to be applied; its id. Raises BadInput, and NotFound for an unknown rota or responder."""
    core.check_override(override, f"rota {rota}: overrides")
    if not reason.strip():
        raise BadInput("say why", f"rota {rota}: overrides: reason", "rota")
    await lock_rota(cur, rota)
    await _check_responders(cur, rota, {name for name in (override.absent, override.present) if name is not None})
    given = {"rota": rota, "starts_at": to_datetime(override.starts), "ends_at": to_datetime(override.ends)}
    who = {"absent": override.absent, "present": override.present, "reason": reason, "actor": actor}
    await cur.execute(_SQL["add_override"], given | who)
    row = await cur.fetchone()
    assert row is not None
    return str(row[0])
