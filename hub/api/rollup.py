"""The roll-up: figures of a division and what is below it, of a group, and their trend by day. The register is the denominator; unknown counts in it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api.access import Conn, Hub, Reader
from hub.api.coverage import Counts, counts_of
from hub.api.schemas import DivisionCode, Identifier, Moment, Name
from hub.core.coverage.rollup import CONNECTED_TARGET, Figure, figures
from hub.core.coverage.rules import Basis
from hub.core.rota import local_day
from hub.errors import NotFound
from hub.model import to_micros
from hub.store import rollup
from hub.store.rows import Row

router = APIRouter(prefix="/rollup", tags=["coverage"])
LONGEST = 800
"""days of a trend"""
MOST_AGE = timedelta(minutes=6)
"""a snapshot of today that is older is not shown as now: then the figures are counted anew (hub.runtime.order_clock takes one every 4 minutes)"""
Days = Annotated[int, Query(ge=1, le=LONGEST, description="How many days back.")]


class RollupFigure(BaseModel):
    """One figure: institutions by their worst finding of this basis and module, and the findings themselves."""

    institutions: Counts
    findings: Counts
    unknown_rate: float | None = Field(description="the share of institutions of which nothing can be said")


class BasisFigures(BaseModel):
    """A basis: all of it, and by module (video, panic, access, fire, retention, privacy, other)."""

    all: RollupFigure
    modules: dict[str, RollupFigure]


class Standing(BaseModel):
    """What a place's figures are and what they stand on."""

    register_entries: int
    connected: int
    connected_rate: float | None
    connected_target: float = Field(
        default=CONNECTED_TARGET, description="长治市…实施方案 项目14: shown beside, not judged"
    )
    oldest_check: Moment | None = Field(
        description="of all entries: when the one was judged that nobody looked at for longest"
    )
    stale: int = Field(description="entries that nobody judged lately; their findings count as unknown")
    open_orders: int
    raised_orders: int
    waivers: int
    obligation: BasisFigures
    target: BasisFigures
    recommendation: BasisFigures


class RollupPlace(Standing):
    """A division or a group. `taken_at`: when it was counted."""

    place: str
    title: Name
    taken_at: Moment


class Rollup(BaseModel):
    """A division or group with what is directly below it. A place without entries within your scope is left out."""

    place: RollupPlace | None
    below: list[RollupPlace]


class TrendDay(Standing):
    """A day, as it was counted last on it (+08:00)."""

    day: date
    taken_at: Moment


class Trend(BaseModel):
    """By day; a day on which nobody counted is missing."""

    place: str
    days: list[TrendDay]


@router.get("/divisions")
async def list_rollup(who: Reader, conn: Conn, hub: Hub) -> Rollup:
    """The divisions that have none above them."""
    return await _divisions(conn, who, hub.clock(), None)


@router.get("/divisions/{division}")
async def show_rollup(who: Reader, conn: Conn, hub: Hub, division: DivisionCode) -> Rollup:
    """A division, and the divisions directly below it: figures over what lies within your scope."""
    return await _divisions(conn, who, hub.clock(), division)


@router.get("/divisions/{division}/trend")
async def show_trend(who: Reader, conn: Conn, hub: Hub, division: DivisionCode, days: Days = 90) -> Trend:
    """A division by day. It needs a scope over all of it."""
    if not rollup.sees_all(who.scope, division):
        raise NotFound(f"no division {division}")
    return await _trend(conn, "division", division, hub.clock(), days)


@router.get("/groups")
async def list_group_rollup(who: Reader, conn: Conn, hub: Hub) -> Rollup:
    """The groups within your scope, each over its members that lie within it."""
    return await _groups(conn, who, hub.clock(), None)


@router.get("/groups/{group}")
async def show_group_rollup(
    who: Reader, conn: Conn, hub: Hub, group: Annotated[Identifier, Path(description="The group's id.")]
) -> Rollup:
    """A group, over its members that lie within your scope and stand on the register."""
    return await _groups(conn, who, hub.clock(), group)


@router.get("/groups/{group}/trend")
async def show_group_trend(
    who: Reader,
    conn: Conn,
    hub: Hub,
    group: Annotated[Identifier, Path(description="The group's id.")],
    days: Days = 90,
) -> Trend:
    """A group by day. It needs a scope over the group itself."""
    if not (who.scope.everything or group in who.scope.groups):
        raise NotFound(f"no group {group}")
    return await _trend(conn, "group", group, hub.clock(), days)


async def _divisions(conn: Conn, who: Reader, now: datetime, division: str | None) -> Rollup:
    named = await rollup.places(conn, who.scope, division)
    if division is not None and all(row["code"] != division for row in named):
        raise NotFound(f"no division {division}")
    codes = [row["code"] for row in named]
    rows = await counted(conn, who, codes, now, division)
    titled = {row["code"]: row for row in named}
    shown = [_place(row, titled[row["place"]], now) for row in rows]
    own = next((one for one in shown if one.place == division), None)
    return Rollup(place=own, below=[one for one in shown if one is not own])


async def counted(conn: Conn, who: Reader, codes: Sequence[str], now: datetime, within: str | None) -> list[Row]:
    """Today's snapshot where all of the places lie within the scope and it is young; else counted now."""
    taken = []
    if codes and all(rollup.sees_all(who.scope, code) for code in codes):
        taken = await _young(conn, "division", codes, now)
    return taken or await rollup.live(conn, who.scope, "division", codes, now=now, within=within)


async def _young(conn: Conn, kind: str, places: Sequence[str], now: datetime) -> list[Row]:
    today = local_day(to_micros(now))
    taken = await rollup.snapshots(conn, kind, places, today, today)
    return taken if taken and min(row["taken_at"] for row in taken) >= now - MOST_AGE else []


async def _groups(conn: Conn, who: Reader, now: datetime, group: str | None) -> Rollup:
    named = {row["id"]: row for row in await rollup.groups(conn, who.scope, group)}
    if group is not None and group not in named:
        raise NotFound(f"no group {group}")
    whole = who.scope.everything or all(id in who.scope.groups for id in named)
    rows = await _young(conn, "group", list(named), now) if whole else []
    rows = rows or await rollup.live(conn, who.scope, "group", list(named), now=now)
    shown = [_place(row, named[row["place"]], now) for row in rows]
    return Rollup(place=shown[0] if group is not None and shown else None, below=shown if group is None else [])


async def _trend(conn: Conn, kind: str, place: str, now: datetime, days: int) -> Trend:
    today = local_day(to_micros(now))
    rows = await rollup.snapshots(conn, kind, [place], today - timedelta(days=days - 1), today)
    return Trend(
        place=place,
        days=[TrendDay(day=row["day"], taken_at=row["taken_at"], **_standing(row)) for row in rows],
    )


def _place(row: Row, named: Mapping[str, Any], now: datetime) -> RollupPlace:
    title = Name(zh=named["title_zh"], en=named["title_en"])
    return RollupPlace(place=row["place"], title=title, taken_at=row.get("taken_at", now), **_standing(row))


def _standing(row: Row) -> dict[str, Any]:
    found = figures(row["figures"])
    same = ("connected", "oldest_check", "stale", "open_orders", "raised_orders", "waivers")
    return {
        **{name: row[name] for name in same},
        "register_entries": row["register"],
        "connected_rate": row["connected"] / row["register"] if row["register"] else None,
        **{basis.value: _basis(found, basis) for basis in Basis},
    }


def _basis(found: Mapping[tuple[Basis, str], Figure], basis: Basis) -> BasisFigures:
    modules: Iterable[str] = sorted(module for of, module in found if of is basis and module)
    return BasisFigures(
        all=_figure(found[basis, ""]), modules={module: _figure(found[basis, module]) for module in modules}
    )


def _figure(figure: Figure) -> RollupFigure:
    return RollupFigure(
        institutions=counts_of(figure.institutions),
        findings=counts_of(figure.findings),
        unknown_rate=figure.unknown_rate,
    )
