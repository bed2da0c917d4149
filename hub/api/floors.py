"""Floor plans: pictures of an institution's floors, on which the console shows where an alarm is. PNG, JPEG or WebP."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from hub.api.access import Conn, Provisioner, Reader
from hub.api.problems import documented
from hub.api.schemas import FloorPlan, Identifier
from hub.core import pictures
from hub.store import premises, views

router = APIRouter(prefix="/institutions/{institution}/floors", tags=["places"])

InstitutionId = Annotated[Identifier, Path()]
Floor = Annotated[int, Path(ge=-10, le=200, description="As in the zones: 1 is the ground floor.")]
_TYPES = ("image/png", "image/jpeg", "image/webp")
_PICTURE: dict[str, Any] = {name: {"schema": {"type": "string", "format": "binary"}} for name in _TYPES}


@router.get("")
async def list_floors(who: Reader, conn: Conn, institution: InstitutionId) -> list[FloorPlan]:
    """The floor plans of an institution, without their pictures."""
    await views.institution(conn, who.scope, institution)
    return [FloorPlan.model_validate(row) for row in await premises.plans(conn, who.scope, institution)]


def picture(row: dict[str, Any]) -> Response:
    """A stored picture: of the type that was found in it, and never run (whoever serves it adds `nosniff`, as the API does)."""
    headers = {
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": f'"{row["sha256"]}"',
    }
    return Response(bytes(row["image"]), media_type=row["media_type"], headers=headers)


@router.get("/{floor}/plan", response_class=Response, responses={200: {"content": _PICTURE}})
async def show_floor(who: Reader, conn: Conn, institution: InstitutionId, floor: Floor) -> Response:
    """The picture of one floor."""
    return picture(await premises.plan(conn, who.scope, institution, floor))


@router.put(
    "/{floor}/plan",
    status_code=204,
    responses=documented(409, 413),
    openapi_extra={"requestBody": {"required": True, "content": _PICTURE}},
)
async def put_floor(who: Provisioner, conn: Conn, request: Request, institution: InstitutionId, floor: Floor) -> None:
    """Store a floor's picture: at most 1.5 MB, 10,000 pixels a side. Its type is what its bytes say."""
    image = await request.body()
    found = pictures.look(image)
    await premises.put_plan(conn, who, institution, floor, found, image)


@router.delete("/{floor}/plan", status_code=204)
async def forget_floor(who: Provisioner, conn: Conn, institution: InstitutionId, floor: Floor) -> None:
    """Delete a floor's picture."""
    await premises.forget_plan(conn, who, institution, floor)
