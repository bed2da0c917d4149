"""Attestations 人工记录: patrols, inspections, signs, documents and tests that people state, with the second signature where it is asked for."""

import asyncio
import base64
import binascii
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from hub.api import pages, problems
from hub.api.access import Attester, Conn, Hub, Reader
from hub.api.places import InstitutionFilter
from hub.api.problems import FieldError, documented
from hub.api.schemas import Given, GivenMoment, Identifier, Line, Moment, Name
from hub.core.coverage import attestation_list
from hub.core.coverage.attestations import MOST_ATTACHMENTS, TAKES_TWO, AttestationKind, Statement
from hub.errors import BadInput
from hub.model import to_micros
from hub.store import attestations
from hub.store.attestations import Attachment
from hub.store.rows import Row
from hub.tables import read

router = APIRouter(prefix="/attestations", tags=["attestations"])
AttestationId = Annotated[UUID, Path()]
Text = Annotated[str, Field(max_length=200)]
Note = Annotated[str, Field(max_length=2000)]
State = Literal["stands", "unsigned", "corrected", "void"]
_SHOWN = 500


class GivenAttachment(Given):
    """A picture or a paper: its bytes, or a link with the SHA-256 of what stands there."""

    name: Line
    media_type: Annotated[
        str,
        Field(
            max_length=100,
            pattern=r"^([a-z]+/[a-z0-9.+-]+)?$",
            description="of what a link leads to; bytes tell it themselves",
        ),
    ] = ""
    content: (
        Annotated[str, Field(description="base64, at most 1,000,000 bytes: a PNG, JPEG or WebP picture or a PDF")]
        | None
    ) = None
    link: Annotated[str, Field(max_length=2000, pattern=r"^https?://\S+$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _is_kept_here_or_there(self) -> Self:
        if (self.content is None) == (self.link is None):
            raise ValueError("give content, or a link with its sha256")
        if self.link is not None and self.sha256 is None:
            raise ValueError("a link comes with the sha256 of what stands there")
        return self


class AttestationRequest(Given):
    """What a person states. `at`: when it was; `value` in the unit of the kind; `drill`, `window`: what proves it in this hub."""

    institution: Identifier
    kind: AttestationKind
    at: GivenMoment | None = Field(default=None, description="now where it is left out")
    expires_at: GivenMoment | None = None
    zone: Identifier | None = None
    device: Identifier | None = None
    number: Text = ""
    value: float | None = Field(default=None, allow_inf_nan=False)
    done_by: Annotated[
        Text, Field(description="who did it, where that is another person than the one who records it")
    ] = ""
    note: Note = ""
    drill: UUID | None = None
    window: UUID | None = None
    attachments: tuple[GivenAttachment, ...] = Field(default=(), max_length=MOST_ATTACHMENTS)


class Withdrawal(Given):
    """Why it never was."""

    note: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


class ShownAttachment(BaseModel):
    """An attachment without its bytes."""

    n: int
    name: str
    media_type: str
    sha256: str
    bytes: int | None
    link: str | None


class AttestationRecord(BaseModel):
    """What was stated, by whom, and how it stands."""

    id: UUID
    institution: str
    title: Name
    kind: str
    kind_title: Name
    state: State = Field(description="`unsigned`: it counts as seconded only once a second person has signed")
    at: Moment
    expires_at: Moment | None
    zone: str | None
    device: str | None
    number: str
    value: float | None
    done_by: str
    note: str
    drill: UUID | None
    police_window: UUID | None
    recorded_by: str
    recorded_at: Moment
    takes_two: bool
    second: str | None
    second_at: Moment | None
    supersedes: UUID | None
    superseded_by: UUID | None
    attachments: list[ShownAttachment]


class ImportResult(BaseModel):
    """What a table of attestations recorded; `already`: rows that an earlier import recorded."""

    applied: bool
    rows: int
    recorded: int
    already: int
    problems: list[FieldError]


def shown(row: Row) -> AttestationRecord:
    """A row as the API gives it."""
    known = set(AttestationKind)
    kind = AttestationKind(row["kind"]) if row["kind"] in known else None
    title = Name(zh=row["kind"], en=row["kind"]) if kind is None else Name(zh=kind.zh, en=kind.en)
    place = Name(zh=row["title_zh"], en=row["title_en"])
    return AttestationRecord.model_validate(
        {**row, "title": place, "kind_title": title, "takes_two": kind in TAKES_TWO}
    )


@router.get("")
async def list_attestations(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    kind: Annotated[AttestationKind | None, Query()] = None,
    standing: Annotated[bool | None, Query(description="Only those that are neither corrected nor withdrawn.")] = None,
    unsigned: Annotated[bool | None, Query(description="Only those that wait for a second signature.")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[AttestationRecord]:
    """What was stated, by its time, the newest first."""
    rows = await attestations.listed(
        conn,
        who.scope,
        limit=limit + 1,
        after=pages.moment_and_id(cursor),
        institution=institution,
        kind=None if kind is None else kind.value,
        standing=standing,
        unsigned=unsigned,
    )
    return pages.page(rows, limit, shown, lambda row: (pages.moment_key(row["at"]), str(row["id"])))


@router.post("", status_code=201, responses=documented(409))
async def record_attestation(who: Attester, conn: Conn, hub: Hub, asked: AttestationRequest) -> AttestationRecord:
    """Record what a person states. It is never changed: a correction is another one."""
    made = await attestations.record(conn, who, _given(asked, hub), hub.clock())
    assert made is not None
    return shown(await attestations.get(conn, who.scope, made))


def _given(asked: AttestationRequest, hub: Hub) -> attestations.Given:
    stated = Statement(
        asked.kind,
        to_micros(hub.clock() if asked.at is None else asked.at),
        None if asked.expires_at is None else to_micros(asked.expires_at),
        asked.zone,
        asked.device,
        asked.number.strip(),
        asked.value,
        asked.done_by.strip(),
        asked.note,
    )
    kept = tuple(_attachment(n, one) for n, one in enumerate(asked.attachments))
    return attestations.Given(asked.institution, stated, kept, asked.drill, asked.window)


def _attachment(n: int, given: GivenAttachment) -> Attachment:
    if given.content is None:
        assert given.link is not None
        assert given.sha256 is not None
        return Attachment(given.name, given.media_type, None, given.link, bytes.fromhex(given.sha256))
    try:
        content = base64.b64decode(given.content, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("this is no base64", f"#/attachments/{n}/content", "attestation") from None
    try:
        made = Attachment.of(given.name, content)
    except BadInput as error:
        raise BadInput(error.reason, f"#/attachments/{n}/content", error.code) from None
    if given.sha256 is not None and given.sha256 != made.sha256.hex():
        raise BadInput("the content is not that of this sha256", f"#/attachments/{n}/sha256", "attestation")
    return made


@router.post(
    "/imports",
    response_model=ImportResult,
    responses=documented(409, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def import_attestations(
    who: Attester,
    conn: Conn,
    hub: Hub,
    request: Request,
    apply: Annotated[bool, Query(description="Do it; otherwise nothing is written.")] = False,
) -> ImportResult | Response:
    """A table of attestations (CSV or XLSX), all or nothing. A row that was imported before is not recorded again."""
    data = await request.body()
    now = hub.clock()
    lines = await asyncio.to_thread(read, data)
    rows, wrong = attestation_list.rows(lines, to_micros(now))
    done = await attestations.record_all(conn, who, rows, now, apply=apply and not wrong)
    errors = [FieldError(pointer=one.where, detail=one.message) for one in (*wrong, *done.problems)][:_SHOWN]
    if errors and apply:
        detail = "rows of the table do not hold; nothing was recorded"
        return problems.response(422, detail, "attestation", errors)
    return ImportResult(
        applied=apply, rows=len(rows) + len(wrong), recorded=done.recorded, already=done.already, problems=errors
    )


@router.get("/{attestation}")
async def show_attestation(who: Reader, conn: Conn, attestation: AttestationId) -> AttestationRecord:
    """One attestation."""
    return shown(await attestations.get(conn, who.scope, attestation))


@router.post("/{attestation}/second", responses=documented(409))
async def sign_as_second(who: Attester, conn: Conn, hub: Hub, attestation: AttestationId) -> AttestationRecord:
    """The second signature, by another person than the one who recorded or did it."""
    await attestations.second(conn, who, attestation, hub.clock())
    return shown(await attestations.get(conn, who.scope, attestation))


@router.post("/{attestation}/correct", status_code=201, responses=documented(409))
async def correct_attestation(
    who: Attester, conn: Conn, hub: Hub, attestation: AttestationId, asked: AttestationRequest
) -> AttestationRecord:
    """Another attestation in its place, of the same institution and kind; it takes its own second signature."""
    made = await attestations.correct(conn, who, attestation, _given(asked, hub), hub.clock())
    return shown(await attestations.get(conn, who.scope, made))


@router.post("/{attestation}/withdraw", responses=documented(409))
async def withdraw_attestation(
    who: Attester, conn: Conn, hub: Hub, attestation: AttestationId, asked: Withdrawal
) -> AttestationRecord:
    """Say that it never was. It stays on record, and counts for nothing."""
    await attestations.withdraw(conn, who, attestation, asked.note, hub.clock())
    return shown(await attestations.get(conn, who.scope, attestation))


_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.get("/{attestation}/attachments/{n}", response_class=Response, responses={200: {"content": _BYTES}})
async def show_attachment(
    who: Reader, conn: Conn, attestation: AttestationId, n: Annotated[int, Path(ge=1, le=MOST_ATTACHMENTS)]
) -> Response:
    """The bytes of an attachment, to be saved and never run."""
    return attachment(await attestations.attachment(conn, who.scope, attestation, n))


def attachment(row: Row) -> Response:
    """Stored bytes as a download: whatever they are, no browser shows them as ours."""
    headers = {
        "Content-Disposition": "attachment",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": f'"{row["sha256"]}"',
    }
    return Response(bytes(row["content"]), media_type="application/octet-stream", headers=headers)
