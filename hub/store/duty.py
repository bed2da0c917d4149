"""Rotas, swaps and the calendar as registered, and who is or was on duty by them. Writers run in the caller's transaction.

A change counts from when it is saved: each edition of a rota and of a calendar stays, and a swap is known from when it was entered until it was
cancelled. So who was on duty is answered as it was known then, whatever was changed since.

Who is on duty is decided by `hub.core.rota`; whether policies still reach somebody is for the caller to judge before it commits.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from hub.core import rota as core
from hub.core.rota import Calendar, Known, Override, Rota, Shift, check_rota
from hub.errors import BadInput, Conflict, NotFound
from hub.model import DayKind, Micros, to_datetime, to_micros
from hub.store.queries import queries
from hub.store.rows import readable

_SQL = queries("duty")

_EVER: Micros = -(10**18)
"""before any instant there is"""

Cursor = AsyncCursor[TupleRow]


async def on_duty(cur: Cursor, rota: str, at: datetime) -> tuple[str, ...]:
    """Who is, or was, on duty in a rota at that instant, in order, by what was known then; empty where nobody is, and for an unknown rota."""
    return core.was_on_duty((await load_books(cur, rota, at, at)).get(rota, ()), to_micros(at))


async def load_books(cur: Cursor, rota: str | None, since: datetime, until: datetime) -> dict[str, tuple[Known, ...]]:
    """What was known of a rota (None: of all), retired ones too, at every instant from `since` to `until`, by id."""
    given = {"rota": rota, "since": since, "until": until}
    await cur.execute(_SQL["editions"], given)
    editions = await cur.fetchall()
    shifts = await load_shifts(cur, [(row[0], row[1]) for row in editions])
    await cur.execute(_SQL["overrides_then"], given)
    overrides: dict[str, list[Override]] = {}
    for name, key, starts, ends, absent, present in await cur.fetchall():
        overrides.setdefault(name, []).append(Override(key, to_micros(starts), to_micros(ends), absent, present))
    calendars = await _calendars(cur, until)
    books: dict[str, list[Known]] = {}
    for name, edition, counts_from, zh, en, division, institution in editions:
        there = tuple(shifts.get((name, edition), ()))
        swaps = tuple(overrides.get(name, ())) if there else ()  # a rota without shifts is retired
        made = Rota(name, there, swaps, zh, en, division, institution, edition)
        books.setdefault(name, []).append(Known(_since(counts_from), made, Calendar()))
    return {name: _known_with(book, calendars) for name, book in books.items()}


async def load_shifts(cur: Cursor, editions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], list[Shift]]:
    """The shifts of these editions (rota, number); one that has none is not in the answer."""
    given = {"rotas": [rota for rota, _ in editions], "editions": [edition for _, edition in editions]}
    await cur.execute(_SQL["shifts_of"], given)
    shifts: dict[tuple[str, int], list[Shift]] = {}
    rows = await cur.fetchall()
    for name, edition, shift in readable("shift", rows, lambda row: (row[0], row[1], _shift(*row[2:])), _rota_of):
        shifts.setdefault((name, edition), []).append(shift)
    return shifts


def _rota_of(row: TupleRow) -> object:
    return row[0]


def _days(of: Iterable[tuple[str, str]]) -> dict[date, DayKind]:
    """Days that differ from plain weekdays; a day or a kind that is none is one of plain weekdays."""
    return dict(
        readable("calendar day", of, lambda one: (date.fromisoformat(one[0]), DayKind(one[1])), lambda one: one[0])
    )


def _since(moment: datetime | None) -> Micros:
    return _EVER if moment is None else to_micros(moment)


async def _calendars(cur: Cursor, until: datetime) -> list[tuple[Micros, Calendar]]:
    """The calendars one after the other: each counts from when its newest year was saved."""
    await cur.execute(_SQL["calendar_editions"], {"until": until})
    saved = sorted(((_since(at), year, days) for year, at, days in await cur.fetchall()), key=lambda row: row[0])
    years: dict[int, dict[date, DayKind]] = {}
    found = [(_EVER, Calendar())]
    for at, year, days in saved:
        years[year] = _days(days.items())
        known = {day: kind for of in years.values() for day, kind in of.items()}
        found.append((at, Calendar(known, frozenset(years))))
    return found


def _known_with(book: list[Known], calendars: list[tuple[Micros, Calendar]]) -> tuple[Known, ...]:
    """Both histories woven into one."""
    edges = sorted({known.since for known in book} | {at for at, _ in calendars if at > book[0].since})
    woven = []
    for edge in edges:
        rota = next(known.rota for known in reversed(book) if known.since <= edge)
        woven.append(Known(edge, rota, next(calendar for at, calendar in reversed(calendars) if at <= edge)))
    return tuple(woven)


async def load_rotas(cur: Cursor, since: datetime | None = None, until: datetime | None = None) -> dict[str, Rota]:
    """All rotas that are not retired, by id, as they stand now, with the overrides that touch the time from `since` to `until`; all of them
    without bounds."""
    given = {"rota": None, "since": since, "until": until}
    await cur.execute(_SQL["rotas"], given)
    rows = await cur.fetchall()
    shifts: dict[str, list[Shift]] = {row[0]: [] for row in rows}
    overrides: dict[str, list[Override]] = {row[0]: [] for row in rows}
    await cur.execute(_SQL["shifts"], given)
    found = await cur.fetchall()
    for name, shift in readable("shift", found, lambda row: (row[0], _shift(*row[1:])), _rota_of):
        if name in shifts:
            shifts[name].append(shift)
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
    days = _days((day, kind) for _, known in rows for day, kind in known.items())
    return Calendar(days, frozenset(year for year, _ in rows))


async def put_rota(cur: Cursor, rota: Rota) -> None:
    """Create or change a rota with exactly these shifts, from now on; its overrides stay as they are (`version` is counted here).

    Raises BadInput where it contradicts itself, NotFound for an unknown place or responder.
    """
    check_rota(rota)
    institution = await _place(cur, rota)
    titles = {"title_zh": rota.title_zh, "title_en": rota.title_en}
    await cur.execute(
        _SQL["put_rota"], {"id": rota.id, "division": rota.division, "institution": institution, **titles}
    )
    edition = await _put_edition(cur, rota.id)
    await _check_responders(cur, rota.id, {name for shift in rota.shifts for name in shift.responders})
    for n, shift in enumerate(rota.shifts):
        given: dict[str, Any] = {
            "rota": rota.id,
            "edition": edition,
            "n": n,
            "id": shift.id,
            "starts": shift.starts,
            "ends": shift.ends,
        }
        given |= {"since": shift.since, "until": shift.until, "turn_days": shift.turn_days, "crew": shift.crew}
        given |= {"weekdays": sorted(shift.weekdays), "day_kinds": sorted(shift.day_kinds)}
        await cur.execute(_SQL["put_shift"], given)
        turns = {"rota": rota.id, "edition": edition, "shift": n, "responders": list(shift.responders)}
        await cur.execute(_SQL["put_turns"], turns)


async def _put_edition(cur: Cursor, rota: str) -> int:
    """What follows is what is known from now on; nothing that was known before is touched."""
    await cur.execute(_SQL["put_edition"], {"rota": rota})
    row = await cur.fetchone()
    assert row is not None
    return int(row[0])


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
    await _put_edition(cur, rota)  # without shifts: nobody is on duty from now on


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
