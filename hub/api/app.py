"""The application: all routers under /api/v1, the guard around them, problems, health and metrics beside them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from prometheus_client import CollectorRegistry

from hub.api import (
    alarms,
    arming,
    attestations,
    audit,
    changes,
    completeness,
    coverage,
    device_tests,
    devices,
    drills,
    duty,
    evidence,
    fire_risk,
    floors,
    handovers,
    ledgers,
    maintenance,
    notifications,
    orders,
    places,
    police_windows,
    policies,
    problems,
    proofs,
    provisioning,
    quarantine,
    receipts,
    recordings,
    register,
    rollup,
    stream,
    system,
    tokens,
    waivers,
    what_if,
    why,
    zone_plans,
)
from hub.api.access import Services
from hub.api.guard import Guard
from hub.api.meter import Meter
from hub.api.parameters import refuse_unknown
from hub.config import Settings
from hub.core.coverage.rules import RulePack
from hub.fire_weights import load_weights
from hub.profiles import Profile
from hub.runtime.duty_watch import DutyWatch
from hub.runtime.fanout import Fanout
from hub.runtime.standby import Standby
from hub.store.session import Pool

PREFIX = "/api/v1"
ROUTERS: tuple[APIRouter, ...] = (
    places.router,
    register.router,
    zone_plans.router,
    attestations.router,
    floors.router,
    devices.router,
    device_tests.router,
    police_windows.router,
    drills.router,
    proofs.router,
    alarms.router,
    alarms.acknowledging,
    what_if.router,
    why.router,
    handovers.router,
    notifications.router,
    maintenance.router,
    arming.router,
    duty.router,
    policies.router,
    coverage.router,
    evidence.router,
    fire_risk.router,
    rollup.router,
    ledgers.router,
    orders.router,
    waivers.router,
    recordings.router,
    completeness.router,
    provisioning.router,
    quarantine.router,
    stream.router,
    changes.router,
    tokens.router,
    audit.router,
)
_DESCRIPTION = """\
托育机构设备与告警平台的接口。IoT device management and telemetry for childcare institutions.

* Every request carries a token: `Authorization: Bearer hub_<id>_<43 characters>`. What lies outside its scope does not exist (404).
* Errors are problem documents (RFC 9457, `application/problem+json`).
* A parameter that an operation does not know is refused (422), never ignored.
* Lists are cursor pages: `{"items": […], "next": "…"}`; hand `next` back as `cursor`.
* Times are RFC 3339 in UTC with microseconds. A number that is not finite is never sent.
"""


async def _always_ready() -> Mapping[str, bool]:
    return {}


def create_app(
    settings: Settings,
    pool: Pool,
    profiles: Mapping[str, Profile],
    packs: Sequence[RulePack],
    *,
    fanout: Fanout | None = None,
    ready: Callable[[], Awaitable[Mapping[str, bool]]] = _always_ready,
    duty: DutyWatch | None = None,
    standby: Standby | None = None,
    metrics: CollectorRegistry | None = None,
    clock: Callable[[], datetime] | None = None,
) -> FastAPI:
    """The API over an open pool. `fanout` must be followed by its owner; `ready` names what else must hold for /readyz.

    Raises BadInput where the weights of the fire-risk score do not hold.
    """
    app = FastAPI(
        title="Anxin Hub 安心",
        version="1",
        summary="Device management and telemetry for childcare institutions",
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    registry = CollectorRegistry() if metrics is None else metrics
    extra: dict[str, Any] = {} if clock is None else {"clock": clock}
    app.state.services = Services(
        settings=settings,
        pool=pool,
        profiles=profiles,
        packs=packs,
        fanout=fanout,
        ready=ready,
        duty=duty,
        standby=standby,
        metrics=registry,
        weights=load_weights(settings.rule_pack_folders()),
        **extra,
    )
    problems.install(app)
    errors = problems.documented(401, 403, 404, 422, 503)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX, responses=errors, dependencies=[Depends(refuse_unknown)])
    app.include_router(receipts.router, prefix=PREFIX)
    app.include_router(system.router)
    problems.describe(app)
    app.add_middleware(Guard)
    app.add_middleware(Meter, registry=registry)
    return app
