"""Plan and apply manifests; make bundles. The server computes the plan, whoever asks: hub.core.provisioning decides, hub.store writes.

A manifest of hundreds of institutions takes a second to compare: that is done in a thread, the loop goes on serving.
"""

import asyncio
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, SecretStr
from starlette.responses import JSONResponse, Response

from hub.api import pages, problems
from hub.api.access import Conn, Hub, Provisioner, Reader, Services
from hub.api.device_schemas import EdgeConfiguration
from hub.api.places import InstitutionFilter
from hub.api.problems import FieldError
from hub.api.schemas import Identifier
from hub.bundle import Bundle, plain
from hub.core import provisioning as core
from hub.core.provisioning import declared, digest
from hub.core.rights import Principal
from hub.engine import mosquitto_hash
from hub.errors import BadInput, NotFound
from hub.manifest import Manifest
from hub.model import to_micros
from hub.runtime.catalogue import InstalledCatalogue, installed_drivers, marked
from hub.runtime.configurations import Maker
from hub.store import audit, configurations, provisioning
from hub.store.rows import Row

router = APIRouter(tags=["provisioning"])
_MAX_PROBLEMS = 1000


class FieldChange(BaseModel):
    """One field of a thing, before and after; secrets are never shown."""

    name: str
    before: Any
    after: Any


class ThingChange(BaseModel):
    """One thing that is created, changed or retired."""

    action: Literal["create", "change", "retire"]
    kind: str
    institution: str | None
    id: str
    pointer: str = Field(description="JSON pointer into the manifest")
    fields: list[FieldChange]


class ManifestProblem(BaseModel):
    """What does not hold, or deserves a look."""

    pointer: str = Field(description="JSON pointer into the manifest")
    message: str
    code: str
    clause: str = Field(description="document and clause, where a rule says so")


class PlanResult(BaseModel):
    """What a manifest would change (plan) or has changed (apply)."""

    digest: str = Field(
        description="names exactly these changes; hand it to apply to do what was looked at and nothing else"
    )
    applied: bool
    changes: list[ThingChange]
    warnings: list[ManifestProblem]
    errors: list[ManifestProblem] = Field(description="with any error nothing can be applied")


Digest = Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$", description="`digest` of the plan that was looked at.")]


def _catalogue(hub: Services) -> InstalledCatalogue:
    return InstalledCatalogue(hub.profiles, hub.packs, installed_drivers(), to_micros(hub.clock()))


def _maker(hub: Services) -> Maker:
    return Maker(hub.profiles, hub.settings.device_mqtt_host, hub.settings.device_mqtt_port)


def _problem(found: core.Problem) -> ManifestProblem:
    return ManifestProblem(pointer="#" + found.pointer, message=found.message, code=found.code, clause=found.clause)


def _change(change: core.Change, catalogue: InstalledCatalogue) -> ThingChange:
    noun = change.key.noun
    before = {} if change.before is None else catalogue.shown(noun, change.before)
    after = {} if change.after is None else catalogue.shown(noun, change.after)
    if change.before is not None and change.after is not None:
        after = marked(change.before, change.after, after)
    names = [] if change.after is None else change.differing
    return ThingChange(
        action=change.action,
        kind=noun.value,
        institution=change.key.institution or None,
        id=change.key.id,
        pointer="#" + change.pointer,
        fields=[FieldChange(name=name, before=before.get(name), after=after.get(name)) for name in names],
    )


def _result(plan: core.Plan, catalogue: InstalledCatalogue, *, applied: bool) -> PlanResult:
    return PlanResult(
        digest=digest(plan.changes),
        applied=applied,
        changes=[_change(change, catalogue) for change in plan.changes],
        warnings=[_problem(found) for found in plan.warnings[:_MAX_PROBLEMS]],
        errors=[_problem(found) for found in plan.errors[:_MAX_PROBLEMS]],
    )


@router.post("/plan")
async def plan_manifest(who: Provisioner, conn: Conn, hub: Hub, manifest: Manifest) -> PlanResult:
    """What the manifest would change, what it deserves a warning for, what it contradicts. Nothing is written."""
    catalogue = _catalogue(hub)
    records = await asyncio.to_thread(declared, manifest)
    found = await provisioning.plan(conn, records, catalogue, who.scope)
    return await asyncio.to_thread(_result, found, catalogue, applied=False)


@router.post("/apply", response_model=PlanResult, responses=problems.documented(409))
async def apply_manifest(
    who: Provisioner, conn: Conn, hub: Hub, manifest: Manifest, digest: Digest = None
) -> PlanResult | Response:
    """Do it, all or nothing. With errors it is refused (422) with all of them; with another `digest` than now holds, too (409)."""
    catalogue = _catalogue(hub)
    records = await asyncio.to_thread(declared, manifest)
    found = await provisioning.apply(conn, records, catalogue, who, digest)
    if found.errors:
        errors = [FieldError(pointer="#" + row.pointer, detail=row.message) for row in found.errors[:_MAX_PROBLEMS]]
        return problems.response(
            422, "the manifest contradicts itself or the hub; nothing was changed", "manifest", errors
        )
    return await asyncio.to_thread(_result, found, catalogue, applied=True)


@router.post("/edges/{edge}/bundle", response_model=Bundle, responses=problems.documented(409))
async def make_bundle(who: Provisioner, conn: Conn, hub: Hub, edge: Annotated[Identifier, Path()]) -> Response:
    """The one file that an edge runs from, with a new password: the one before ends. It is shown once and holds secrets."""
    found = await provisioning.client(conn, edge)
    if not who.scope.covers(found.institution, found.division, found.groups):
        raise NotFound(f"there is no edge {edge!r}")
    made, trust = await _maker(hub).issue(conn, edge)
    password = secrets.token_urlsafe(32)
    broker = made.bundle.broker.model_copy(update={"password": SecretStr(password)})
    bundle = made.bundle.model_copy(update={"broker": broker, "configuration": made.version, "trust": trust})
    await provisioning.issue(conn, edge, mosquitto_hash(password), who)
    return JSONResponse(plain(bundle), headers={"Cache-Control": "no-store"})


@router.get("/edges")
async def list_edges(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[EdgeConfiguration]:
    """Edges of your scope, by id: which configuration is wanted, which runs and since when, which was refused and why."""
    after = pages.text_key(cursor)
    rows = await configurations.listed(conn, who.scope, limit=limit + 1, after=after, institution=institution)
    return pages.page(rows, limit, _edge, lambda row: (row["id"],))


@router.get("/edges/{edge}")
async def show_edge(who: Reader, conn: Conn, edge: Annotated[Identifier, Path()]) -> EdgeConfiguration:
    """One edge's configuration."""
    return _edge(await _found_edge(conn, who, edge))


@router.post("/edges/{edge}/configuration", responses=problems.documented(409))
async def configure_again(
    who: Provisioner, conn: Conn, hub: Hub, edge: Annotated[Identifier, Path()]
) -> EdgeConfiguration:
    """Give what is wanted a new version: for an edge that refused it for a reason that lay at the site and is gone."""
    await _found_edge(conn, who, edge)
    made = await _maker(hub).make(conn, edge, again=True)
    await configurations.announce(conn)
    await audit.record(conn, who.name, "configuration.again", f"edge:{edge}", {"version": made.version})
    return _edge(await _found_edge(conn, who, edge))


async def _found_edge(conn: Conn, who: Principal, edge: str) -> Row:
    rows = await configurations.listed(conn, who.scope, limit=1, edge=edge)
    if not rows:
        raise NotFound(f"there is no edge {edge!r}")
    return rows[0]


def _edge(row: Row) -> EdgeConfiguration:
    if row["problem"]:
        state = "not_made"
    elif row["running"] is not None and row["running"] == row["wanted"]:
        state = "current"
    elif row["refused"] and row["refused"] == row["wanted"]:
        state = "refused"
    else:
        state = "pending" if row["running"] is not None else "unknown"
    return EdgeConfiguration.model_validate({**row, "state": state})


def check_id(path: str, body: str) -> None:
    """Raises BadInput where what is sent names another than the address does."""
    if path != body:
        raise BadInput(f"{body!r} is not {path!r}", "#/id", "validation")
