"""What a monthly ledger is drawn up from, and the figures of a year. All statements of a ledger see one state of the database; the caller's scope has
been looked at (hub.store.rollup.sees_all).
"""

import asyncio
from collections.abc import Mapping
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
from hub.core.coverage.month_changes import Changes, TurnedFinding, compare
from hub.core.coverage.rollup import figures
from hub.core.coverage.rules import Basis, Verdict
from hub.core.coverage.year_sheets import Counted, Year
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

MOST_TURNED = 20_000
"""findings of one list of changes; what is left out is said"""


async def begin(conn: Connection) -> None:
    """Make the transaction that has just begun see one state of the database."""
    await conn.execute(_SQL["settled"])
    await conn.execute(_SQL["patiently"])


async def draw_up(conn: Connection, division: str, month: str, known_at: Micros | None, now: Micros) -> Month:
    """The ledger of a division and month, as known at `known_at` (None: what is settled now). Raises BadInput for a month that has not begun or a time
    that is too late, NotFound for an unknown division, Conflict where the figures of the entries are not those of the roll-up.
    """
    begins, ends = bounds(month)
    known = _known(known_at, now)
    at = min(ends, known)
    if at <= begins:
        raise BadInput("nothing was known of this month by then", "month", code="ledger")
    drawn = await _drawn(conn, division, month, at, known)
    await _reconcile(conn, drawn)
    return drawn


async def _drawn(conn: Connection, division: str, month: str, at: Micros, known: Micros) -> Month:
    begins, ends = bounds(month)
    asked: dict[str, Any] = {"division": division, "at": to_datetime(at), "known_at": to_datetime(known)}
    place = await one_row(conn, _SQL["place"], asked)
    if place is None:
        raise NotFound(f"no division {division}")
    asked |= {"begins": to_datetime(begins), "until": to_datetime(at)}
    return Month(
        _place(place),
        tuple(map(_place, await all_rows(conn, _SQL["below"], asked))),
        month,
        at,
        known,
        known >= ends,
        tuple(map(_entry, await all_rows(conn, _SQL["entries"], asked))),
        tuple(map(_order, await all_rows(conn, _SQL["orders"], asked))),
        tuple(map(_waiver, await all_rows(conn, _SQL["waivers"], asked))),
    )


def seen_at(given: Micros | None, known_at: Micros, now: Micros) -> Micros:
    """Until when what became known since `known_at` is told of a ledger: what is given, or what is settled now. Raises BadInput for a time that is not
    settled yet, or lies before `known_at`.
    """
    if given is None:
        return max(known_at, _known(None, now))
    if given < known_at:
        raise BadInput("what changed since a ledger was known is known later than it", "seen_at", code="ledger")
    return _known(given, now, "seen_at")


def closed_at(month: str, now: Micros) -> Micros | None:
    """When what is in the ledger of a month that is over was known: SETTLED after its end. None while it is not over, or not settled."""
    closed = bounds(month)[1] + SETTLED
    return closed if closed <= now - SETTLED else None


async def changes(conn: Connection, month: Month, seen: Micros) -> Changes:
    """What is known of the same moment otherwise at `seen` than the ledger says, in the transaction in which it was drawn up."""
    then = await _drawn(conn, month.division.code, month.month, month.at, seen)
    asked = {
        "division": month.division.code,
        "at": to_datetime(month.at),
        "known_at": to_datetime(month.known_at),
        "seen_at": to_datetime(seen),
        "most": MOST_TURNED + 1,
    }
    rows = await all_rows(conn, _SQL["turned"], asked)
    turned = [_turned(row) for row in rows[:MOST_TURNED] if row["was"] != row["now"] or row["was_zh"] != row["now_zh"]]
    return await asyncio.to_thread(compare, month, then, turned, is_whole=len(rows) <= MOST_TURNED)


def _turned(row: Row) -> TurnedFinding:
    citation = row["citation"] or {}
    return TurnedFinding(
        filing_number=row["filing_number"],
        rule=row["rule"],
        title_zh=citation.get("title_zh", ""),
        title_en=citation.get("title_en", ""),
        basis=Basis(row["basis"]),
        module=row["module"],
        before=None if row["was"] is None else Verdict(row["was"]),
        after=None if row["now"] is None else Verdict(row["now"]),
        why_zh=row["now_zh"] or "",
        why_en=row["now_en"] or "",
        known_at=to_micros(row["known_at"]),
    )


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


async def year(conn: Connection, division: str, number: int, known_at: Micros | None, now: Micros) -> Year:
    """The figures of each month of a year, at its end or as far as it was known, of a division and what is directly below it: for a month what its ledger
    sums up. As known at `known_at`, or each month as it was known when it closed, one that has not closed as is settled now. Raises BadInput and
    NotFound as `draw_up`.
    """
    known = _known(known_at, now)
    if bounds(f"{number}-01")[0] >= known:
        raise BadInput("nothing was known of this year by then", "year", code="ledger")
    counted: list[Counted] = []
    happened: dict[tuple[str, str, str], int] = {}
    place, told = Place(division, "", ""), known
    for month in (f"{number}-{one:02}" for one in range(1, 13)):
        begins, ends = bounds(month)
        if begins >= known:
            break
        closed = None if known_at is not None else closed_at(month, now)
        told = known if closed is None else closed
        at = to_datetime(min(ends, told))
        asked: dict[str, Any] = {"division": division, "known_at": to_datetime(told), "at": at}
        found = await one_row(conn, _SQL["place"], asked)
        if found is None:
            raise NotFound(f"no division {division}")
        place = _place(found)
        named = {row["code"]: _place(row) for row in (found, *await all_rows(conn, _SQL["below"], asked))}
        rows = await rollup.live(
            conn, EVERYTHING, "division", list(named), now=at, within=division, at=at, known_at=asked["known_at"]
        )
        counted += [_counted(month, to_micros(at), told, named[row["place"]], row) for row in rows]
        flows = asked | {"begins": to_datetime(begins), "places": list(named)}
        for row in await all_rows(conn, _SQL["flows"], flows):
            happened[month, row["place"], row["event"]] = row["n"]
    return Year(place, told, tuple(counted), happened)


def _counted(month: str, at: Micros, known_at: Micros, place: Place, row: Row) -> Counted:
    return Counted(
        month=month,
        at=at,
        known_at=known_at,
        code=place.code,
        title=place.title_zh or place.title_en,
        figures=figures(row["figures"]),
        **{name: row[name] for name in ("register", "connected", "waivers", "open_orders")},
    )


def _known(known_at: Micros | None, now: Micros, key: str = "known_at") -> Micros:
    """What is asked for, or what is settled now; raises BadInput for what is not settled yet."""
    if known_at is not None and known_at > now - SETTLED:
        raise BadInput("a ledger is of what was known a minute and a half ago or earlier", key, code="ledger")
    return (now - SETTLED) // SECOND * SECOND if known_at is None else known_at
