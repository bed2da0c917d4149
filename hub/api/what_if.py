"""What if, over today's facts: other rules, the loss of one part, what is missing. Recorded nowhere, and a pack that is tried is kept nowhere."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Query, Request

from hub.api.access import Conn, Hub, Reader, Services
from hub.api.problems import documented
from hub.api.schemas import DivisionCode, GivenMoment, Name
from hub.api.what_if_schemas import (
    Idle,
    Losses,
    LostPart,
    MissingThing,
    MissingThings,
    OtherRules,
    OverScope,
    RuleOverScope,
    SubjectOverScope,
    TotalMissing,
    TurnCount,
    TurnedRule,
    TurnOfSubject,
    WaivedCount,
)
from hub.core.coverage import judge, whatif, wording
from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.rules import Rule, RulePack
from hub.core.coverage.turns import points
from hub.core.coverage.waivers import Waiver, amend
from hub.core.rights import Scope
from hub.errors import BadInput, Conflict, NotFound
from hub.model import Micros, to_micros
from hub.rulepacks import with_pack
from hub.store import coverage_views, waivers
from hub.store.coverage_facts import Facts
from hub.store.coverage_views import Standing
from hub.store.pool import Connection

router = APIRouter(tags=["coverage"])
ONE = "/institutions/{subject}/what-if"
MANY = "/coverage/what-if"

AT_ONCE = 100
"""subjects whose facts are read and judged at once; between two such lots the process does everything else"""
LONGEST = 60.0
"""seconds for a whole scope; five thousand institutions take half of it on two cores"""
_under_way: set[str] = set()
"""the scopes that are tried in this process: one at a time, so that nobody keeps it busy with questions"""

Subject = Annotated[str, Path(max_length=200, description="An institution's id, or `register:<filing number>`.")]
RulesAt = Annotated[GivenMoment | None, Query(description="Whose rules: those in effect then; now, if left out.")]
Within = Annotated[DivisionCode | None, Query(description="Only in this division and below.")]
Shown = Annotated[int, Query(ge=0, le=1_000, description="How many subjects are listed; sums are over all of them.")]
_A_PACK: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class _Trial(NamedTuple):
    """Packs to try, and of the one that was sent what is said of it."""

    packs: Sequence[RulePack]
    rules_at: datetime
    pack: str | None = None
    not_in_effect: int = 0

    def said(self, now: datetime) -> dict[str, Any]:
        """For `Tried`."""
        return {"at": now, "rules_at": self.rules_at, "pack": self.pack, "not_in_effect": self.not_in_effect}

    def on(self, hub: Services, now: Micros) -> whatif.OtherRules:
        """It beside the hub's own rules of now."""
        return whatif.OtherRules(hub.packs, self.packs, now, to_micros(self.rules_at))


def _own(hub: Services, at: datetime | None) -> _Trial:
    return _Trial(hub.packs, hub.clock() if at is None else at)


async def _sent(hub: Services, request: Request, at: datetime | None) -> _Trial:
    tried, packs = await asyncio.to_thread(with_pack, hub.packs, await request.body())
    rules_at = hub.clock() if at is None else at
    then = to_micros(rules_at)
    idle = sum(not (rule.since <= then and (rule.until is None or then < rule.until)) for rule in tried.rules)
    return _Trial(packs, rules_at, f"{tried.id} {tried.version}", idle)


async def _facts(
    scope: Scope, conn: Connection, hub: Services, subject: str, packs: Sequence[RulePack] = ()
) -> tuple[InstitutionFacts, datetime, list[Waiver]]:
    """The facts of a subject, now, and its waivers that hold or are ahead."""
    await coverage_views.subject(conn, scope, subject)
    now = hub.clock()
    excused = await waivers.standing(conn, [subject], to_micros(now))
    found = await Facts(conn, hub.profiles, points([*hub.packs, *packs])).of([subject])
    if not found:
        raise NotFound(f"{subject!r} is judged no more")
    return found[0], now, excused


@router.get(ONE + "/rules")
async def try_other_rules(who: Reader, conn: Conn, hub: Hub, subject: Subject, at: RulesAt = None) -> OtherRules:
    """Which verdicts would be others by the rules of another day, on today's facts."""
    return await _one(who.scope, conn, hub, subject, _own(hub, at))


@router.post(ONE + "/rules", responses=documented(413), openapi_extra=_A_PACK)
async def try_pack(
    who: Reader, conn: Conn, hub: Hub, subject: Subject, request: Request, at: RulesAt = None
) -> OtherRules:
    """Which verdicts would be others by a rule pack that is sent (YAML, at most 512 kB), on today's facts. It is kept nowhere.

    It stands in for the hub's pack of its name, or beside the hub's packs.
    """
    return await _one(who.scope, conn, hub, subject, await _sent(hub, request, at))


async def _one(scope: Scope, conn: Connection, hub: Services, subject: str, trial: _Trial) -> OtherRules:
    facts, now, excused = await _facts(scope, conn, hub, subject, trial.packs)
    found = await asyncio.to_thread(trial.on(hub, to_micros(now)).of, facts, excused)
    waived = WaivedCount(**found.waived._asdict())
    return OtherRules(subject=subject, turns=[_turned(one) for one in found.turns], waived=waived, **trial.said(now))


@router.get(MANY + "/rules", responses=documented(409))
async def try_other_rules_everywhere(
    who: Reader, conn: Conn, hub: Hub, at: RulesAt = None, division: Within = None, limit: Shown = 100
) -> OverScope:
    """What would turn for everybody within the scope by the rules of another day, on today's facts: summed by rule, and ranked by subject."""
    return await _many(who.scope, conn, hub, division, limit, _own(hub, at))


@router.post(MANY + "/rules", responses=documented(409, 413), openapi_extra=_A_PACK)
async def try_pack_everywhere(
    who: Reader,
    conn: Conn,
    hub: Hub,
    request: Request,
    at: RulesAt = None,
    division: Within = None,
    limit: Shown = 100,
) -> OverScope:
    """The same by a rule pack that is sent (YAML, at most 512 kB). It is kept nowhere."""
    return await _many(who.scope, conn, hub, division, limit, await _sent(hub, request, at))


async def _many(
    scope: Scope, conn: Connection, hub: Services, division: str | None, limit: int, trial: _Trial
) -> OverScope:
    if _under_way:
        raise Conflict("somebody is trying rules over a whole scope: again in a minute, or for one institution")
    _under_way.add("one")
    try:
        async with asyncio.timeout(LONGEST):
            return await _everybody(scope, conn, hub, division, limit, trial)
    except TimeoutError:
        raise BadInput(f"took longer than {LONGEST:g} s: ask for a smaller division", "query/division") from None
    finally:
        _under_way.clear()


async def _everybody(
    scope: Scope, conn: Connection, hub: Services, division: str | None, limit: int, trial: _Trial
) -> OverScope:
    now = hub.clock()
    asked = trial.on(hub, to_micros(now))
    reader = Facts(conn, hub.profiles, points([*hub.packs, *trial.packs]))
    places = {
        one.subject: one for one in await coverage_views.overview(conn, scope, division=division, fresh_since=now)
    }
    subjects = list(places)
    found: list[whatif.SubjectTurns] = []
    for begin in range(0, len(subjects), AT_ONCE):
        lot = subjects[begin : begin + AT_ONCE]
        excused = await waivers.standing(conn, lot, to_micros(now))
        found += await asyncio.to_thread(_turns_of, asked, await reader.of(lot), excused)
    ranked = whatif.ranked(found)
    rules = {rule.id: rule for pack in (*hub.packs, *trial.packs) for rule in pack.rules}
    return OverScope(
        judged=len(found),
        turned=len(ranked),
        rules=[_summed(one, rules) for one in whatif.summed(found)],
        subjects=[_subject(one, places[one.subject]) for one in ranked[:limit]],
        left_out=max(0, len(ranked) - limit),
        waived=WaivedCount(
            before=sum(one.waived.before for one in found), after=sum(one.waived.after for one in found)
        ),
        **trial.said(now),
    )


def _turns_of(
    asked: whatif.OtherRules, facts: Sequence[InstitutionFacts], excused: Sequence[Waiver]
) -> list[whatif.SubjectTurns]:
    return [asked.of(one, excused) for one in facts]


def _summed(one: whatif.RuleTurns, rules: Mapping[str, Rule]) -> RuleOverScope:
    rule = rules[one.rule]
    counts = sorted(one.counts.items(), key=lambda item: (-item[1], str(item[0])))
    return RuleOverScope(
        rule=one.rule,
        basis=one.basis.value,
        title=Name(zh=rule.title_zh, en=rule.title_en),
        clause=" ".join(part for part in (rule.document, rule.number, rule.clause) if part),
        subjects=one.subjects,
        falls=one.falls,
        counts=[TurnCount(**_verdicts(*turn), subjects=n) for turn, n in counts],
    )


def _subject(one: whatif.SubjectTurns, place: Standing) -> SubjectOverScope:
    obligations, targets, recommendations, _ = one.weight
    return SubjectOverScope(
        subject=one.subject,
        division=place.division,
        title=Name(zh=place.title_zh, en=place.title_en),
        obligations=obligations,
        targets=targets,
        recommendations=recommendations,
        turns=[
            TurnOfSubject(rule=turn.rule, basis=turn.basis.value, **_verdicts(turn.before, turn.after))
            for turn in one.turns
        ],
    )


@router.get(ONE + "/losses")
async def list_losses(who: Reader, conn: Conn, hub: Hub, subject: Subject) -> Losses:
    """Which device, power feed, switch, recorder, edge or uplink takes coverage with it when it goes, the worst first."""
    facts, now, excused = await _facts(who.scope, conn, hub, subject)
    found = await asyncio.to_thread(whatif.losses, hub.packs, facts, to_micros(now), excused)
    parts = []
    for one in found:
        obligations, targets, recommendations, zones = one.weight
        falls = [_turned(turn) for turn in one.falls]
        counts = {"obligations": obligations, "targets": targets, "recommendations": recommendations, "zones": zones}
        title = _named(one.part, facts)
        parts.append(LostPart(part=one.part, title=title, devices=one.devices, **counts, falls=falls))
    return Losses(subject=subject, at=now, parts=parts)


def _named(part: str, facts: InstitutionFacts) -> Name:
    """What it is and where it stands."""
    kind, _, id = part.partition(":")
    zh, en = wording.part(kind)
    stands = {device.id: device.zone for device in facts.devices}.get(id)
    zone = next((one for one in facts.zones if one.id == stands), None)
    if zone is None:
        return Name(zh=zh, en=en)
    return Name(zh=f"{zone.title_zh}的{zh}", en=f"{en} in {zone.title_en}")


@router.get(ONE + "/missing")
async def list_missing(
    who: Reader,
    conn: Conn,
    hub: Hub,
    subject: Subject,
    recommendations: Annotated[bool, Query(description="Also what is only recommended.")] = False,
) -> MissingThings:
    """What must be bought or brought back, altogether and zone by zone, so that every rule of cover and count holds."""
    facts, now, excused = await _facts(who.scope, conn, hub, subject)
    findings = await asyncio.to_thread(judge.check, hub.packs, facts, to_micros(now))
    found = whatif.missing(amend(findings, excused, to_micros(now)), recommendations=recommendations)
    return MissingThings(
        subject=subject,
        at=now,
        totals=[
            TotalMissing(
                capabilities=list(one.capabilities),
                what=_what(one.capabilities),
                basis=one.basis.value,
                buy=one.buy,
                restore=one.restore,
                at_least=one.at_least,
            )
            for one in whatif.totals(found)
        ],
        missing=[_missing(one) for one in found],
    )


def _missing(one: whatif.Missing) -> MissingThing:
    return MissingThing(
        capabilities=list(one.capabilities),
        what=_what(one.capabilities),
        basis=one.basis.value,
        zone=one.zone,
        title=Name(zh=one.zone_zh, en=one.zone_en),
        place=one.place,
        buy=one.buy,
        restore=one.restore,
        at_least=one.at_least,
        idle=[Idle(device=device, reason=_reason(reason)) for device, reason in one.idle],
        rules=list(one.rules),
        waived=list(one.waived),
    )


def _what(capabilities: Sequence[str]) -> Name:
    zh, en = wording.capabilities(frozenset(capabilities))
    return Name(zh=zh, en=en)


def _reason(word: str) -> Name:
    zh, en = wording.REASONS.get(word, (word, word))
    return Name(zh=zh, en=en)


def _verdicts(before: Any, after: Any) -> dict[str, Any]:
    return {"before": None if before is None else before.value, "after": None if after is None else after.value}


def _turned(one: whatif.Turn) -> TurnedRule:
    return TurnedRule(
        rule=one.rule,
        basis=one.basis.value,
        zones=list(one.zones),
        sentence=Name(zh=one.sentence_zh, en=one.sentence_en),
        **_verdicts(one.before, one.after),
    )
