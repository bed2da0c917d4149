"""Opening hours, armed state and maintenance windows, as the engine follows them; and what is said of the armed state."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from json import loads
from typing import Any, NamedTuple

import structlog
from psycopg.types.json import Jsonb

from hub.core.maintenance import Window
from hub.core.opening import ASSUMED, Armed, Hours, Mode, Opening, parse_opening
from hub.core.premises import Premises, Said
from hub.core.rights import Scope
from hub.core.rota import DAY, MINUTE, Calendar, local_day, midnight
from hub.errors import BadInput, NotFound
from hub.model import Micros, to_datetime, to_micros
from hub.registry import Device
from hub.store import duty
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.readings import Cursor
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("hours")
_log = structlog.get_logger(__name__)


@lru_cache(maxsize=16_384)
def _opening(text: str | None) -> Opening:
    """The calendar as stored; one that an earlier release took and that does not hold is as if there were none, loudly."""
    if text is None:
        return ASSUMED
    try:
        return parse_opening(loads(text))
    except BadInput as error:
        _log.error("hours.calendar_refused", reason=str(error))
        return ASSUMED


def is_open(calendar: str | None, days: Calendar, at: Micros) -> bool:
    """Whether an institution with this calendar (as stored; None: the assumed hours) is open at `at`."""
    return Hours(_opening(calendar), days=days).is_open(at)


def opened(calendar: str, days: Calendar, until: Micros, count: int) -> Iterator[tuple[Micros, Micros]]:
    """When an institution with this calendar (as stored) was open on the last `count` local days: what was over by `until`."""
    opening = _opening(calendar)
    for n in reversed(range(count)):
        day = local_day(until - n * DAY)
        for start, end in opening.hours(day, days):
            began, ended = midnight(day) + start * MINUTE, midnight(day) + end * MINUTE
            if ended <= until:
                yield began, ended


def closes(calendar: str, days: Calendar, at: Micros) -> Micros | None:
    """When an institution with this calendar (as stored) closes next after `at`; None where it does not open for a month."""
    opening = _opening(calendar)
    for n in range(32):
        day = local_day(at + n * DAY)
        for _, end in opening.hours(day, days):
            if midnight(day) + end * MINUTE > at:
                return midnight(day) + end * MINUTE
    return None


def _armed(mode: str | None, since: Any, until: Any, before: str | None) -> Armed | None:
    if mode is None or before is None:
        return None
    return Armed(Mode(mode), to_micros(since), None if until is None else to_micros(until), Mode(before))


async def load(conn: Connection, partitions: Sequence[int]) -> Said:
    """What people said of the institutions of these partitions."""
    async with conn.transaction(), conn.cursor() as cur:
        days = await duty.load_calendar(cur)
        rows = await (await cur.execute(_SQL["premises"], [list(partitions)])).fetchall()
        windows = await (await cur.execute(_SQL["windows"], [list(partitions)])).fetchall()
    known = {name: Premises(Hours(_opening(calendar), _armed(*armed), days)) for name, calendar, *armed in rows}
    open_windows: dict[str, list[Window]] = {}
    for name, institution, since, until, zone, device in windows:
        window = Window(name, institution, to_micros(since), to_micros(until), zone, device)
        open_windows.setdefault(institution, []).append(window)
    for institution, mine in open_windows.items():
        known[institution] = replace(known.get(institution, Premises(Hours(days=days))), windows=tuple(mine))
    return Said(known, days)


async def put(cur: Cursor, armed: Mapping[str, tuple[Armed, Device]]) -> None:
    """What panels said, in the transaction that stores how they said it."""
    rows = [(said, device) for said, device in armed.values()]
    if rows:
        places: list[list[Any]] = [[device.institution_key for _, device in rows], [said.mode for said, _ in rows]]
        places += [[to_datetime(said.since) for said, _ in rows], [said.before for said, _ in rows]]
        await cur.execute(_SQL["put"], [*places, [device.key for _, device in rows]])


class Arming(NamedTuple):
    """The armed state of an institution as it stands, and who said so last."""

    key: int
    hours: Hours
    last: Row


async def arming(conn: Connection, scope: Scope, institution: str) -> Arming:
    """Of an institution within the scope; raises NotFound."""
    row = await one_row(conn, _SQL["one"], {"institution": institution, "scope": Jsonb(scope.as_json())})
    if row is None:
        raise NotFound(f"no institution {institution}")
    async with conn.cursor() as cur:
        days = await duty.load_calendar(cur)
    armed = _armed(row["mode"], row["since"], row["until"], row["before"])
    return Arming(row["key"], Hours(_opening(row["calendar"]), armed, days), row)


async def say_armed(
    conn: Connection,
    now: Arming,
    institution: str,
    mode: Mode,
    at: Micros,
    until: Micros | None,
    actor: str,
    reason: str,
) -> None:
    """A person says it; in the caller's transaction."""
    await conn.execute(_SQL["lock"], [now.key])
    armed = now.hours.armed
    given = {
        "institution": now.key,
        "mode": mode,
        "since": to_datetime(at),
        "until": None if until is None else to_datetime(until),
        "before": Mode.AUTO if armed is None else armed.mode_at(at),
        "actor": actor,
        "reason": reason,
    }
    await conn.execute(_SQL["say"], given)
    payload = {"institution": institution, "mode": mode, "actor": actor}
    await conn.execute(_SQL["change"], [now.key, Jsonb(payload)])


async def history(conn: Connection, institution_key: int, limit: int = 100) -> list[Row]:
    """What was said, newest first."""
    return await all_rows(conn, _SQL["history"], {"institution": institution_key, "limit": limit})
