"""What a monthly ledger is drawn up from, and the figures of a year. All statements of a ledger see one state of the database; the caller's scope has
been looked at (hub.store.rollup.sees_all).
"""

import asyncio
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from hub.core.coverage.month import (
    RANKED,
    Entry,
    Month,
    OrderLine,
    Place,
    WaiverLine,
    bounds,
    differences,
    summary,
)
from hub.core.coverage.rollup import figures
from hub.core.rights import EVERYTHING
from hub.errors import BadInput, Conflict, NotFound
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.store import rollup
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("month")
SETTLED: Micros = 90 * SECOND
"""What is written is there for good after so long: no transaction takes longer. So a ledger is of what was known at least so long ago."""


async def begin(conn: Connection) -> None:
    """Make the transaction that has just begun see one state of the database."""
    await conn.execute(_SQL["settled"])
    await conn.execute(_SQL["patiently"])


async def draw_up(conn: Connection, division: str, month: str, known_at: Micros | None, now: Micros) -> Month:
    """The ledger of a division and month, as known at `known_at` (None: what is settled now). Raises BadInput for a month that has not begun or a time
    that is too late, NotFound for an unknown division, Conflict where the figures of the entries are not those of the roll-up.
    """
    begins, ends = bounds(month)
    latest = (now - SETTLED) // SECOND * SECOND
    known = latest if known_at is None else known_at
    if known > now - SETTLED:
        raise BadInput("a ledger is of what was known a minute and a half ago or earlier", "known_at", code="ledger")
    at = min(ends, known)
    if at <= begins:
        raise BadInput("nothing was known of this month by then", "month", code="ledger")
    place = await one_row(conn, _SQL["place"], {"division": division})
    if place is None:
        raise NotFound(f"no division {division}")
    asked: dict[str, Any] = {"division": division, "at": to_datetime(at), "known_at": to_datetime(known)}
    asked |= {"begins": to_datetime(begins), "until": to_datetime(at)}
    entries = tuple(map(_entry, await all_rows(conn, _SQL["entries"], asked)))
    drawn = Month(
        _place(place),
        tuple(map(_place, await all_rows(conn, _SQL["below"], asked))),
        month,
        at,
        known,
        known >= ends,
        entries,
        tuple(map(_order, await all_rows(conn, _SQL["orders"], asked))),
        tuple(map(_waiver, await all_rows(conn, _SQL["waivers"], asked))),
    )
    await _reconcile(conn, drawn)
    return drawn


async def _reconcile(conn: Connection, month: Month) -> None:
    lines = await asyncio.to_thread(summary, month)
    at, known = to_datetime(month.at), to_datetime(month.known_at)
    codes = [line.place.code for line in lines]
    whole = month.division.code
    rows = await rollup.live(conn, EVERYTHING, "division", codes, now=at, within=whole, at=at, known_at=known)
    stored = {row["place"]: (row["register"], row["connected"], figures(row["figures"])) for row in rows}
    wrong = differences(lines, stored)
    if wrong:
        raise Conflict(f"the ledger does not agree with the roll-up: {'; '.join(wrong[:5])}")


def _place(row: Row) -> Place:
    return Place(row["code"], row["title_zh"], row["title_en"])


def _entry(row: Row) -> Entry:
    found: Mapping[str, list[int]] = row["figures"]
    return Entry(
        **{name: row[name] for name in ("filing_number", "title_zh", "title_en", "division", "type", "capacity")},
        **{name: row[name] for name in ("institution", "open_orders", "raised_orders", "waivers")},
        verdicts={name: RANKED[counts[0] - 1] for name, counts in found.items()},
        findings={name: tuple(counts[1:]) for name, counts in found.items()},
    )


def _order(row: Row) -> OrderLine:
    times = {name: None if row[name] is None else to_micros(row[name]) for name in ("issued_at", "due_at", "ended_at")}
    return OrderLine(**{**row, **times})


def _waiver(row: Row) -> WaiverLine:
    return WaiverLine(**{**row, "since": to_micros(row["since"]), "until": to_micros(row["until"])})


async def year(conn: Connection, division: str, number: int) -> tuple[list[Row], list[Row]]:
    """The last snapshot of each month of a year, of a division and what is directly below it; and what happened to orders in each month: month, place,
    event, n. Raises NotFound.
    """
    if await one_row(conn, _SQL["place"], {"division": division}) is None:
        raise NotFound(f"no division {division}")
    below = [row["code"] for row in await all_rows(conn, _SQL["below"], {"division": division})]
    first, last = date(number, 1, 1), date(number + 1, 1, 1) - timedelta(days=1)
    asked = {"places": [division, *below], "first": first, "last": last}
    begins, ends = bounds(f"{number}-01")[0], bounds(f"{number + 1}-01")[0]
    times = {"begins": to_datetime(begins), "ends": to_datetime(ends)}
    return await all_rows(conn, _SQL["year"], asked), await all_rows(conn, _SQL["flows"], asked | times)
