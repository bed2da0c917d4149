"""Zone plans and the regulator's signature under them; what cameras see; institutions that were re-typed."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api import pages
from hub.api.access import Attester, Conn, Hub, Reader, Supervisor
from hub.api.places import DivisionFilter, InstitutionFilter
from hub.api.problems import documented
from hub.api.schemas import Given, Identifier, Moment, Name
from hub.api.shapes import titled
from hub.store import camera_views, views, zone_plans
from hub.store.camera_views import Seen
from hub.store.rows import Row

router = APIRouter(tags=["zone plans"])
State = Literal["none", "unsigned", "changed", "signed"]
InstitutionId = Annotated[Identifier, Path()]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PlanState(BaseModel):
    """How a zone plan stands: never declared, not signed, changed since it was signed, signed as it is."""

    institution: str
    division: str
    type: str
    title: Name
    state: State
    version: int = Field(description="counts changes of what rules rest on; 0: no zone was ever declared")
    changed_at: Moment | None
    signed_version: int | None
    signed_digest: str | None
    signed_at: Moment | None
    signed_by: str | None
    note: str | None


class Plan(PlanState):
    """A zone plan with the document that is signed."""

    digest: str = Field(description="SHA-256 of the plan in canonical JSON: keys sorted, no blanks, UTF-8")
    plan: dict[str, Any]


class SignRequest(Given):
    """The regulator's signature under the plan of this digest."""

    digest: Digest
    note: Annotated[str, Field(max_length=2000)] = ""


class Signature(BaseModel):
    """A signature with the plan as it was."""

    id: UUID
    digest: str
    plan: dict[str, Any]
    version: int
    note: str
    signed_by: str
    signed_at: Moment


class Retyping(BaseModel):
    """An institution whose type or division was changed: other rules hold it from then on."""

    institution: str
    title: Name
    at: Moment
    actor: str
    type_before: str
    type_after: str
    division_before: str
    division_after: str


class CameraView(BaseModel):
    """A zone that the camera at a position is declared to see."""

    institution: str
    position: str
    position_title: Name
    device: str | None = Field(description="the device that stands there now")
    zone: str
    purpose: str
    zone_title: Name
    share: float
    masked: bool
    attested_at: Moment | None = Field(description="null where nobody attested it for this device")
    attested_by: str | None
    swapped: bool = Field(description="it was attested for another device")


class SeenZone(Given):
    """What a person saw of one zone on the camera's picture."""

    zone: Identifier
    share: float = Field(gt=0, le=1, allow_inf_nan=False)
    masked: bool = False


class ViewAttestation(Given):
    """Everything that the camera sees. It must be what is declared: that is changed by a manifest."""

    views: tuple[SeenZone, ...] = Field(min_length=1, max_length=50)


@router.get("/zone-plans")
async def list_plans(
    who: Reader,
    conn: Conn,
    division: DivisionFilter = None,
    state: Annotated[State | None, Query()] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[PlanState]:
    """How the zone plans of your scope stand, by institution."""
    after = pages.text_key(cursor)
    rows = await zone_plans.listed(conn, who.scope, limit=limit + 1, after=after, division=division, state=state)
    return pages.page(rows, limit, _state, lambda row: (row["id"],))


def _state(row: Row) -> PlanState:
    return titled(PlanState, {**row, "institution": row["id"]})


@router.get("/institutions/{institution}/zone-plan")
async def show_plan(who: Reader, conn: Conn, institution: InstitutionId) -> Plan:
    """The zone plan as it is now, with the digest to sign."""
    found = await zone_plans.plan(conn, who.scope, institution)
    return titled(Plan, {**found.row, "institution": institution, "digest": found.digest, "plan": found.document})


@router.post("/institutions/{institution}/zone-plan/signatures", status_code=201, responses=documented(409))
async def sign_plan(who: Supervisor, conn: Conn, institution: InstitutionId, asked: SignRequest) -> Plan:
    """Sign the plan. Any later change of what rules rest on makes it *changed* and takes a new signature."""
    await zone_plans.sign(conn, who, institution, asked.digest, asked.note)
    return await show_plan(who, conn, institution)


@router.get("/institutions/{institution}/zone-plan/signatures")
async def list_signatures(
    who: Reader, conn: Conn, institution: InstitutionId, limit: pages.Limit = 100
) -> list[Signature]:
    """What was signed, the newest first."""
    rows = await zone_plans.signatures(conn, who.scope, institution, limit)
    return [Signature.model_validate(row) for row in rows]


@router.get("/retypings")
async def list_retypings(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    division: DivisionFilter = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Retyping]:
    """Changes of an institution's type or division, the newest first; also those that took it out of your division."""
    keys = pages.decode(cursor, str, str)
    before = None if keys is None else (pages.key_moment(keys[0]), str(keys[1]))
    rows = await zone_plans.retypings(
        conn, who.scope, limit=limit + 1, before=before, institution=institution, division=division
    )
    return pages.page(rows, limit, _retyping, lambda row: (pages.moment_key(row["at"]), row["institution"]))


def _retyping(row: Row) -> Retyping:
    return titled(Retyping, row)


@router.get("/views")
async def list_views(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    device: Annotated[Identifier | None, Query()] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[CameraView]:
    """What cameras are declared to see, by institution, position and zone."""
    keys = pages.decode(cursor, str, str, str)
    after = None if keys is None else (str(keys[0]), str(keys[1]), str(keys[2]))
    rows = await camera_views.listed(
        conn, who.scope, limit=limit + 1, institution=institution, device=device, after=after
    )
    return pages.page(rows, limit, _view, lambda row: (row["institution"], row["position"], row["zone"]))


def _view(row: Row) -> CameraView:
    named = {f"{name}_title": Name(zh=row[f"{name}_zh"], en=row[f"{name}_en"]) for name in ("position", "zone")}
    return CameraView.model_validate({**row, **named})


@router.post("/devices/{device}/views/attest", responses=documented(409))
async def attest_views(
    who: Attester, conn: Conn, hub: Hub, device: Annotated[Identifier, Path()], asked: ViewAttestation
) -> list[CameraView]:
    """State that the picture of this camera shows what is declared. It holds for this device: another one at its place is attested anew."""
    found = await views.device_key(conn, who.scope, device)
    seen = {one.zone: Seen(one.share, one.masked) for one in asked.views}
    await camera_views.attest(conn, who, found, seen, hub.clock())
    return [_view(row) for row in await camera_views.listed(conn, who.scope, limit=50, device=device)]
