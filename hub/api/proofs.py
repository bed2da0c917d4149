"""Proofs: asked for, followed hop by hop, and what every position was last worth."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from hub.api import pages
from hub.api.access import Conn, Exerciser, Hub, Reader
from hub.api.exercise_schemas import PositionProof, Proof, ProofAsked, ProofRequest
from hub.api.places import InstitutionFilter
from hub.api.problems import documented
from hub.api.schemas import Identifier, Name
from hub.api.shapes import titled
from hub.core.exercises import NOT_LOWER
from hub.errors import BadInput, Conflict, NotFound
from hub.runtime.prover import injected
from hub.store import audit, proofs
from hub.store.rows import Row

router = APIRouter(tags=["proofs"])
UNPROVEN_DAYS = 15


@router.post("/proofs", status_code=202, responses=documented(409))
async def ask_for_proof(who: Exerciser, conn: Conn, hub: Hub, asked: ProofRequest) -> ProofAsked:
    """Prove the way from a device to people: a marked signal goes through queues, rules, policies and channels into a sink."""
    if (asked.device is None) == (asked.institution is None or asked.position is None):
        raise BadInput("name a device, or an institution and its position", "device", code="proof")
    target, admin_state = await proofs.target(
        conn, who.scope, device=asked.device, institution=asked.institution, position=asked.position
    )
    profile = hub.profiles.get(target.profile)
    if profile is None:
        raise Conflict(f"profile {target.profile!r} of device {target.id} is not installed")
    if admin_state != "in_service":
        raise Conflict(f"device {target.id} is {admin_state}: only what is in service is proven")
    what = injected(profile, target, asked.tell, asked.level, asked.definition)
    made = await proofs.request(conn, target, what, who.name, round(asked.within_seconds * 1_000_000))
    if made is None:
        raise proofs.refuse_second(target.id)
    detail = {"device": target.id, "level": what.level, "tell": what.tell}
    await audit.record(conn, who.name, "proof.ask", f"proof:{made}", detail)
    return ProofAsked(id=made)


@router.get("/proofs")
async def list_proofs(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    device: Annotated[Identifier | None, Query()] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Proof]:
    """Proofs, the newest first."""
    after = pages.moment_and_id(cursor)
    rows = await proofs.listed(conn, who.scope, limit=limit + 1, after=after, institution=institution, device=device)
    return pages.page(rows, limit, _proof, lambda row: (pages.moment_key(row["requested_at"]), str(row["id"])))


@router.get("/proofs/{proof}")
async def show_proof(who: Reader, conn: Conn, proof: Annotated[UUID, Path()]) -> Proof:
    """One proof with the time of every hop."""
    return _proof(await proofs.get(conn, who.scope, proof))


@router.get("/position-proofs")
async def list_position_proofs(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    unproven_days: Annotated[
        int | None,
        Query(ge=1, le=3650, description=f"Only those not proven for so many days; the duty is {UNPROVEN_DAYS}."),
    ] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[PositionProof]:
    """Every position that can raise fire or panic, with when its device there was last proven."""
    after = pages.text_keys(cursor)
    rows = await proofs.positions(
        conn, who.scope, limit=limit + 1, after=after, institution=institution, days=unproven_days
    )
    return pages.page(
        rows, limit, lambda row: titled(PositionProof, row), lambda row: (row["institution"], row["position"])
    )


@router.get("/institutions/{institution}/positions/{position}/proof")
async def show_position_proof(
    who: Reader, conn: Conn, institution: Annotated[Identifier, Path()], position: Annotated[Identifier, Path()]
) -> PositionProof:
    """When the device at a position was last proven, and how its newest proof ended."""
    found = await proofs.positions(conn, who.scope, limit=1, institution=institution, position=position)
    if not found:
        raise NotFound(f"there is no position {institution}/{position} that can raise fire or panic")
    return titled(PositionProof, found[0])


def _proof(row: Row) -> Proof:
    said = NOT_LOWER.get(row["not_lower"])
    text = None if said is None else Name(zh=said[0], en=said[1])
    return Proof.model_validate({**row, "not_lower_text": text})
