"""Escalation policies and the responders that they tell, and whether every policy reaches somebody at every hour.

They are made by plan and apply, or one at a time here: the same checks, rights and audit. Addresses and secrets of channels are never shown.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from hub import manifest
from hub.api import pages
from hub.api.access import Conn, Hub, Provisioner, Reader
from hub.api.places import InstitutionFilter
from hub.api.problems import documented
from hub.api.provisioning import PlanResult, apply_manifest, check_id
from hub.api.schemas import Identifier, Moment, Name, Policy
from hub.api.shapes import titled
from hub.store import policies, policy_checks, views

router = APIRouter(tags=["policies"])


class ChannelShown(BaseModel):
    """One way to reach a responder; its settings are shown to nobody."""

    id: str
    kind: str


class ResponderShown(BaseModel):
    """Somebody, or a room, that is told."""

    id: str
    title: Name
    manned: bool = Field(description="a room with somebody in it at every hour")
    channels: list[ChannelShown] = Field(description="in order of preference")


class PolicyFinding(BaseModel):
    """What is wrong with a policy, or with an institution that none covers (`policy` is empty)."""

    policy: str
    code: str
    severity: Literal["error", "warning"]
    message: Name
    since: Moment | None
    until: Moment | None


class PolicyCheck(BaseModel):
    """The last check of all policies."""

    checked_at: Moment | None
    horizon_until: Moment | None
    errors: int
    warnings: int
    problem: str = Field(description="why the last try failed")
    current: bool = Field(description="false: something has changed since, it is checked again within half a minute")
    overdue: bool
    findings: list[PolicyFinding]


@router.get("/policies")
async def list_policies(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> pages.Page[Policy]:
    """Policies that concern your scope: those of the hub, of divisions above and below, of institutions."""
    after = pages.text_key(cursor)
    rows = await views.policies(conn, who.scope, limit=limit + 1, after=after, institution=institution)
    return pages.page(
        rows,
        limit,
        lambda row: titled(Policy, {**row, "round_every": row["round_every"].total_seconds()}),
        lambda row: (row["id"],),
    )


@router.get("/policies/check")
async def policy_check(who: Reader, conn: Conn) -> PolicyCheck:
    """Whether every policy reaches somebody at every hour: the last check of all of them, with the hours. What is not within a scope over
    everything shows counts and no findings. A manifest is checked beforehand by POST /plan."""
    state = await policy_checks.load_state(conn)
    found = await policy_checks.load_findings(conn) if who.scope.everything else []
    findings = [{**row, "message": {"zh": row["message_zh"], "en": row["message_en"]}} for row in found]
    return PolicyCheck.model_validate(
        {**state._asdict(), "current": state.is_current, "overdue": state.is_overdue, "findings": findings}
    )


@router.get("/responders")
async def list_responders(who: Reader, conn: Conn) -> list[ResponderShown]:
    """Who may be told, and by which kinds of channel in which order; addresses and secrets are shown to nobody."""
    async with conn.cursor() as cur:
        found = await policies.load_responders(cur)
    return [
        ResponderShown(
            id=one.id,
            title=Name(zh=one.title_zh, en=one.title_en),
            manned=one.manned,
            channels=[ChannelShown(id=channel.id, kind=channel.kind) for channel in one.channels],
        )
        for one in found
    ]


@router.put("/responders/{responder}", response_model=PlanResult, responses=documented(409))
async def put_responder(
    who: Provisioner,
    conn: Conn,
    hub: Hub,
    responder: Annotated[Identifier, Path(description="The responder's id.")],
    given: manifest.Responder,
) -> PlanResult | Response:
    """Create, change or retire a responder with exactly these channels. Refused (422) with the hours where a policy would reach nobody by it."""
    check_id(responder, given.id)
    return await apply_manifest(who, conn, hub, manifest.Manifest(responders=(given,)))


@router.put("/policies/{policy}", response_model=PlanResult, responses=documented(409))
async def put_policy(
    who: Provisioner,
    conn: Conn,
    hub: Hub,
    policy: Annotated[Identifier, Path(description="The policy's id.")],
    given: manifest.Policy,
) -> PlanResult | Response:
    """Create, change or retire a policy. Refused (422) with the hours at which it would reach nobody."""
    check_id(policy, given.id)
    return await apply_manifest(who, conn, hub, manifest.Manifest(policies=(given,)))
