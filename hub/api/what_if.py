"""What if, over today's facts: other rules, the loss of one part, what is missing. Recorded nowhere."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api.access import Conn, Hub, Reader
from hub.api.coverage import BasisName, VerdictName
from hub.api.schemas import GivenMoment, Moment, Name
from hub.core.coverage import judge, whatif
from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.turns import points
from hub.errors import NotFound
from hub.model import to_micros
from hub.store import coverage_views
from hub.store.coverage_facts import Facts

router = APIRouter(prefix="/institutions/{subject}/what-if", tags=["coverage"])

Subject = Annotated[str, Path(max_length=200, description="An institution's id, or `register:<filing number>`.")]


class TurnedRule(BaseModel):
    """A rule that would say something else."""

    rule: str
    basis: BasisName
    before: VerdictName | None = Field(description="today; null where it does not hold")
    after: VerdictName | None = Field(description="then; null where it would not hold")
    zones: list[str] = Field(description="whose verdict would be another")
    sentence: Name


class OtherRules(BaseModel):
    """Today's facts by the rules of another day."""

    subject: str
    at: Moment
    rules_at: Moment
    turns: list[TurnedRule]


class LostPart(BaseModel):
    """A single part without which rules that hold now would not."""

    part: str = Field(
        description="`device:<id>`, or what devices are behind: `link:`, `switch:`, `recorder:`, `edge:`, `uplink:`"
    )
    devices: int = Field(description="that fall with it")
    obligations: int
    targets: int
    recommendations: int
    zones: int
    falls: list[TurnedRule]


class Losses(BaseModel):
    """The single points of failure of coverage, the worst first: most obligations, then targets, recommendations, zones."""

    subject: str
    at: Moment
    parts: list[LostPart]


class MissingThing(BaseModel):
    """What one place lacks for full coverage."""

    capabilities: list[str] = Field(description="any of these will do")
    zone: str | None = Field(description="null: anywhere in the institution")
    title: Name
    place: str = Field(description="a floor, where the rule is judged per floor")
    buy: int = Field(description="not there at all")
    restore: int = Field(description="there, and proving nothing now")
    at_least: bool = Field(description="a share of the room is asked: one more may not be enough")
    rules: list[str]


class MissingThings(BaseModel):
    """What is missing for full coverage by zone, as a list to buy from."""

    subject: str
    at: Moment
    missing: list[MissingThing]


async def _facts(who: Reader, conn: Conn, hub: Hub, subject: str) -> tuple[InstitutionFacts, datetime]:
    await coverage_views.subject(conn, who.scope, subject)
    found = await Facts(conn, hub.profiles, points(hub.packs)).of([subject])
    if not found:
        raise NotFound(f"{subject!r} is judged no more")
    return found[0], hub.clock()


@router.get("/rules")
async def try_other_rules(
    who: Reader,
    conn: Conn,
    hub: Hub,
    subject: Subject,
    at: Annotated[GivenMoment, Query(description="Whose rules: those in effect then.")],
) -> OtherRules:
    """Which verdicts would be others by the rules of another day, on today's facts."""
    facts, now = await _facts(who, conn, hub, subject)
    found = whatif.other_rules(hub.packs, hub.packs, facts, to_micros(now), to_micros(at))
    return OtherRules(subject=subject, at=now, rules_at=at, turns=[_turned(one) for one in found])


@router.get("/losses")
async def list_losses(who: Reader, conn: Conn, hub: Hub, subject: Subject) -> Losses:
    """Which device, switch, recorder, edge or uplink takes coverage with it when it goes, the worst first."""
    facts, now = await _facts(who, conn, hub, subject)
    found = await asyncio.to_thread(whatif.losses, hub.packs, facts, to_micros(now))
    parts = []
    for one in found:
        obligations, targets, recommendations, zones = one.weight
        falls = [_turned(turn) for turn in one.falls]
        counts = {"obligations": obligations, "targets": targets, "recommendations": recommendations, "zones": zones}
        parts.append(LostPart(part=one.part, devices=one.devices, **counts, falls=falls))
    return Losses(subject=subject, at=now, parts=parts)


@router.get("/missing")
async def list_missing(
    who: Reader,
    conn: Conn,
    hub: Hub,
    subject: Subject,
    recommendations: Annotated[bool, Query(description="Also what is only recommended.")] = False,
) -> MissingThings:
    """What must be bought or brought back, zone by zone, so that every rule of cover and count holds."""
    facts, now = await _facts(who, conn, hub, subject)
    found = whatif.missing(judge.check(hub.packs, facts, to_micros(now)), recommendations=recommendations)
    things = [
        MissingThing(
            capabilities=list(one.capabilities),
            zone=one.zone,
            title=Name(zh=one.zone_zh, en=one.zone_en),
            place=one.place,
            buy=one.buy,
            restore=one.restore,
            at_least=one.at_least,
            rules=list(one.rules),
        )
        for one in found
    ]
    return MissingThings(subject=subject, at=now, missing=things)


def _turned(one: whatif.Turn) -> TurnedRule:
    return TurnedRule(
        rule=one.rule,
        basis=one.basis.value,
        before=None if one.before is None else one.before.value,
        after=None if one.after is None else one.after.value,
        zones=list(one.zones),
        sentence=Name(zh=one.sentence_zh, en=one.sentence_en),
    )
