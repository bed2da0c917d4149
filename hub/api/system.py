"""/healthz, /readyz and /metrics: for supervisors and scrapers, without a token and without any data of institutions."""

import asyncio
import contextlib

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from hub.api.access import Hub, Services
from hub.api.schemas import Moment
from hub.errors import LinkDown
from hub.runtime.duty_watch import is_overdue
from hub.store.session import is_reachable

router = APIRouter(tags=["system"])
READY_SECONDS = 3.0
"""/readyz answers within this time, also when the database hangs."""
_leaving: set["asyncio.Future[None]"] = set()


class PolicyHealth(BaseModel):
    """Whether every policy reaches somebody at every hour, as the last check of all of them found."""

    errors: int
    warnings: int
    checked_at: Moment | None
    overdue: bool = Field(description="nobody has checked for more than a day: do not rely on it")


class Health(BaseModel):
    """The process answers."""

    alive: bool = True
    well: bool = Field(default=True, description="false: alarms may reach nobody, see `policies`")
    policies: PolicyHealth | None = None


class Readiness(BaseModel):
    """What must hold before traffic may come."""

    ready: bool
    parts: dict[str, bool]


@router.get("/healthz")
async def healthz(hub: Hub) -> Health:
    """The process lives; and whether an alarm could reach nobody, from memory: it asks nothing and waits for nothing."""
    if hub.duty is None:
        return Health()
    state = hub.duty.state
    overdue = is_overdue(state)
    policies = PolicyHealth(
        errors=0 if state is None else state.errors,
        warnings=0 if state is None else state.warnings,
        checked_at=None if state is None else state.checked_at,
        overdue=overdue,
    )
    return Health(well=not overdue and policies.errors == 0, policies=policies)


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "not ready"}})
async def readyz(hub: Hub) -> Response:
    """Database, broker sessions and leases: 200 when all hold, else 503 with what does not."""
    parts = {"database": False}
    looking = asyncio.ensure_future(_look(hub, parts))
    try:
        done, _ = await asyncio.wait({looking}, timeout=READY_SECONDS)
    finally:
        # nobody waits for its end: a frozen database is let go of only after ten seconds more
        if looking.cancel():
            _leaving.add(looking)
            looking.add_done_callback(_leaving.discard)
    if done:
        looking.result()
    else:
        parts = {**parts, "in_time": False}
    ready = all(parts.values())
    return JSONResponse(Readiness(ready=ready, parts=parts).model_dump(), 200 if ready else 503)


async def _look(hub: Services, parts: dict[str, bool]) -> None:
    with contextlib.suppress(LinkDown):
        parts["database"] = await is_reachable(hub.pool)
        parts |= await hub.ready()


@router.get("/metrics", response_class=Response)
async def metrics(hub: Hub) -> Response:
    """Prometheus text format."""
    return Response(generate_latest(hub.metrics), media_type=CONTENT_TYPE_LATEST)
