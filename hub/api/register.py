"""The register as its owner keeps it: filing lists that are taken in, their trail, and what it said on any past day."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from hub.api import pages, problems
from hub.api.access import Conn, Reader, Supervisor
from hub.api.problems import FieldError
from hub.api.schemas import DivisionCode, Moment, Name
from hub.api.shapes import titled
from hub.core.register import Entry
from hub.store import register
from hub.store.register import File, Proposal
from hub.store.rows import Row
from hub.tables import read

router = APIRouter(prefix="/register", tags=["register"])
SHOWN = 500
"""Entries of each kind that an answer holds; the counts are of all of them."""


class Listed(BaseModel):
    """An entry as a list has it."""

    filing_number: str
    division: str
    type: str
    title_zh: str
    title_en: str
    capacity: int | None
    credit_code: str | None


class Changed(BaseModel):
    """An entry before and after."""

    before: Listed
    after: Listed


class RowProblem(BaseModel):
    """What does not hold, and in which cell."""

    where: str
    message: str


class ImportPlan(BaseModel):
    """What a list would change, or has changed."""

    digest: str = Field(description="names exactly these changes; hand it to the import that applies them")
    applied: bool
    id: UUID | None = Field(description="the import's id, once it is applied")
    sha256: str
    rows: int
    bad_rows: int
    added: int
    changed: int
    withdrawn: int = Field(description="0 where a row does not hold: then nothing is withdrawn")
    same: int
    additions: list[Listed]
    changes: list[Changed]
    withdrawals: list[Listed]
    problems: list[RowProblem]
    ignored_columns: list[str]


class Import(BaseModel):
    """A list that was taken in."""

    id: UUID
    division: str
    file_name: str
    sha256: str
    rows: int
    skipped: int
    added: int
    changed: int
    withdrawn: int
    imported_by: str
    imported_at: Moment


class Version(BaseModel):
    """What the register said under a filing number from `since` until `until`."""

    filing_number: str
    since: Moment
    until: Moment | None
    division: str
    type: str
    title: Name
    capacity: int | None
    credit_code: str | None
    institution: str | None
    actor: str
    import_: UUID | None = Field(alias="import")


def result(sent: File, made: Proposal, id: UUID | None) -> ImportPlan:
    """What the list of the file changes; shared with `anxin register import`."""
    found, plan = made
    return ImportPlan(
        digest=plan.digest,
        applied=id is not None,
        id=id,
        sha256=sent.sha256.hex(),
        rows=found.rows,
        bad_rows=found.bad_rows,
        added=len(plan.added),
        changed=len(plan.changed),
        withdrawn=len(plan.withdrawn),
        same=plan.same,
        additions=[_entry(one) for one in plan.added[:SHOWN]],
        changes=[Changed(before=_entry(old), after=_entry(new)) for old, new in plan.changed[:SHOWN]],
        withdrawals=[_entry(one) for one in plan.withdrawn[:SHOWN]],
        problems=[RowProblem(where=one.where, message=one.message) for one in found.problems[:SHOWN]],
        ignored_columns=list(found.ignored),
    )


def _entry(entry: Entry) -> Listed:
    return Listed(**entry._asdict())


@router.post(
    "/imports",
    response_model=ImportPlan,
    responses=problems.documented(409, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def take_in(
    who: Supervisor,
    conn: Conn,
    request: Request,
    division: Annotated[DivisionCode, Query(description="Whose whole list this is.")],
    file_name: Annotated[str, Query(min_length=1, max_length=200)] = "list",
    apply: Annotated[bool, Query(description="Do it; otherwise nothing is written.")] = False,
    skip_bad: Annotated[bool, Query(description="Leave out rows that do not hold; nothing is withdrawn then.")] = False,
    digest: Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$", description="Of the plan that was seen.")] = None,
) -> ImportPlan | Response:
    """A filing list 备案名册 as CSV or XLSX (at most 2 MB): what it would change, or, with `apply`, the change itself, all or nothing.

    Entries of the division that the list does not name are withdrawn. With rows that do not hold nothing is applied (422, every cell named)
    unless `skip_bad`.
    """
    data = await request.body()
    sent = register.file(file_name, data, await asyncio.to_thread(read, data))
    if not apply:
        return result(sent, await register.propose(conn, who, division, sent), None)
    id, made = await register.take_in(conn, who, division, sent, skip_bad=skip_bad, digest=digest)
    if id is None:
        errors = [FieldError(pointer=one.where, detail=one.message) for one in made.found.problems[:SHOWN]]
        return problems.response(422, "rows of the list do not hold; nothing was changed", "register", errors)
    return result(sent, made, id)


@router.get("/imports")
async def list_imports(
    who: Reader, conn: Conn, limit: pages.Limit = 100, cursor: pages.CursorParam = None
) -> pages.Page[Import]:
    """Lists that were taken in, the newest first."""
    rows = await register.imports(conn, who.scope, limit=limit + 1, after=pages.moment_and_id(cursor))
    return pages.page(rows, limit, Import.model_validate, _import_key)


def _import_key(row: Row) -> tuple[str, str]:
    at: datetime = row["imported_at"]
    return pages.moment_key(at), str(row["id"])


@router.get("/versions")
async def list_versions(
    who: Reader,
    conn: Conn,
    filing_number: Annotated[str, Query(min_length=1, max_length=200)],
    limit: pages.Limit = 100,
) -> list[Version]:
    """What the register said under one filing number, and who changed it, the newest first."""
    return [titled(Version, row) for row in await register.versions(conn, who.scope, filing_number, limit)]
