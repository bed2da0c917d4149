"""Divisions, the register, institutions, zones, positions: read only; they are made by plan and apply."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from hub.api import pages
from hub.api.access import Conn, Reader
from hub.api.schemas import (
    Division,
    DivisionCode,
    GivenMoment,
    Identifier,
    Institution,
    InstitutionDetail,
    Position,
    RegisterEntry,
    Zone,
)
from hub.api.shapes import titled
from hub.store import register, views

router = APIRouter(tags=["places"])

DivisionFilter = Annotated[DivisionCode | None, Query(description="A division and everything below it.")]
InstitutionFilter = Annotated[Identifier | None, Query()]
Retired = Annotated[bool, Query(description="Show what is retired too.")]
_ALL = 10_000
"""Zones or positions shown with one institution: far more than a building has."""


@router.get("/divisions")
async def list_divisions(
    who: Reader,
    conn: Conn,
    parent: Annotated[DivisionCode | None, Query(description="Only the children of this division.")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Division]:
    """Divisions of your scope and those above them, by code."""
    after = pages.text_key(cursor)
    rows = await views.divisions(conn, who.scope, limit=limit + 1, after=after, parent=parent)
    return pages.page(rows, limit, lambda row: titled(Division, row), lambda row: (row["code"],))


@router.get("/register")
async def list_register(
    who: Reader,
    conn: Conn,
    division: DivisionFilter = None,
    connected: Annotated[bool | None, Query(description="Only those that are connected, or that are not.")] = None,
    at: Annotated[GivenMoment | None, Query(description="As it was then; now when left out.")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[RegisterEntry]:
    """The institutions that must be there: the denominator of every rate."""
    after = pages.text_key(cursor)
    if at is None:
        rows = await views.register(
            conn, who.scope, limit=limit + 1, after=after, division=division, connected=connected
        )
    else:
        rows = await register.as_of(
            conn, who.scope, at, limit=limit + 1, after=after, division=division, connected=connected
        )
    return pages.page(rows, limit, lambda row: titled(RegisterEntry, row), lambda row: (row["filing_number"],))


@router.get("/institutions")
async def list_institutions(
    who: Reader,
    conn: Conn,
    division: DivisionFilter = None,
    type: Annotated[str | None, Query(max_length=100, description="Only institutions of this type.")] = None,
    group: Annotated[Identifier | None, Query(description="Only members of this group.")] = None,
    retired: Retired = False,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Institution]:
    """Institutions of your scope, by id."""
    rows = await views.institutions(
        conn,
        who.scope,
        limit=limit + 1,
        after=pages.text_key(cursor),
        division=division,
        type=type,
        group=group,
        retired=retired,
    )
    return pages.page(rows, limit, lambda row: titled(Institution, row), lambda row: (row["id"],))


@router.get("/institutions/{institution}")
async def show_institution(who: Reader, conn: Conn, institution: Annotated[Identifier, Path()]) -> InstitutionDetail:
    """One institution with its zones and positions."""
    row = await views.institution(conn, who.scope, institution)
    zones = await views.zones(conn, who.scope, limit=_ALL, institution=institution)
    positions = await views.positions(conn, who.scope, limit=_ALL, institution=institution)
    parts = {
        "zones": [titled(Zone, zone) for zone in zones],
        "positions": [titled(Position, position) for position in positions],
    }
    return titled(InstitutionDetail, {**row, **parts})


@router.get("/zones")
async def list_zones(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    purpose: Annotated[str | None, Query(max_length=60)] = None,
    retired: Retired = False,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Zone]:
    """Zones of your scope, by institution and id."""
    rows = await views.zones(
        conn,
        who.scope,
        limit=limit + 1,
        after=pages.text_keys(cursor),
        institution=institution,
        purpose=purpose,
        retired=retired,
    )
    return pages.page(rows, limit, lambda row: titled(Zone, row), lambda row: (row["institution"], row["id"]))


@router.get("/positions")
async def list_positions(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    zone: Annotated[Identifier | None, Query()] = None,
    retired: Retired = False,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Position]:
    """Positions of your scope, by institution and id."""
    rows = await views.positions(
        conn,
        who.scope,
        limit=limit + 1,
        after=pages.text_keys(cursor),
        institution=institution,
        zone=zone,
        retired=retired,
    )
    return pages.page(rows, limit, lambda row: titled(Position, row), lambda row: (row["institution"], row["id"]))
