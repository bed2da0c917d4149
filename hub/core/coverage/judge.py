"""The judge: rules and facts in, findings out. Pure and total: no facts make it raise.

Never green on silence: a verdict is compliant only on evidence that is there, is fresh, and is enough. An institution that is not connected, a zone
plan that is missing, a device nobody hears, a proof nobody gave: unknown. A device in a forbidden zone is a violation whatever its state.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.core.coverage import sentences
from hub.core.coverage.circumstances import limited
from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.findings import Finding
from hub.core.coverage.index import Index
from hub.core.coverage.judge_devices import at_least, independent, none_in, share_covered
from hub.core.coverage.judge_readings import always_armed, bounds, proven
from hub.core.coverage.judge_records import attested, documents, time_bound
from hub.core.coverage.judged import Judged
from hub.core.coverage.judged import worst as worst
from hub.core.coverage.plan import Planned, plan_of
from hub.core.coverage.rules import (
    AlwaysArmed,
    AtLeast,
    Attested,
    Bounds,
    Documents,
    Force,
    Independent,
    NoneIn,
    Proven,
    Requirement,
    RulePack,
    ShareCovered,
    TimeBound,
    Verdict,
)
from hub.model import Micros


@dataclass(frozen=True, slots=True)
class PlacementWarning:
    """What the provisioning plan shows when a device would break a rule by where it is placed."""

    rule: str
    document: str
    number: str
    clause: str
    force: Force
    zh: str
    en: str


def check(
    packs: Sequence[RulePack], facts: InstitutionFacts, at: Micros, *, rules_at: Micros | None = None
) -> tuple[Finding, ...]:
    """Every rule that holds this subject at `at`, judged, in the order of packs and rules.

    `rules_at` takes the rules of another time (next year's on today's facts); evidence is still judged at `at`.
    """
    planned = plan_of(packs).of(facts.division, facts.type, at if rules_at is None else rules_at)
    index = Index(facts, at)
    signed = facts.plan_signed
    return tuple(_judge(one, index, signed) for one in planned)


def check_rule(packs: Sequence[RulePack], rule: str, facts: InstitutionFacts, at: Micros) -> Finding | None:
    """What `check` says of one rule; None where that does not hold this subject, or another stands in for it."""
    for planned in plan_of(packs).of(facts.division, facts.type, at):
        if planned.rule.id == rule:
            return _judge(planned, Index(facts, at), facts.plan_signed)
    return None


def _judge(planned: Planned, index: Index, plan_signed: bool) -> Finding:
    rule = planned.rule
    if not index.facts.connected:
        judged = Judged(Verdict.UNKNOWN, "not_connected", ())
    elif planned.prohibited:
        judged = Judged(Verdict.NOT_APPLICABLE, "prohibited", ())
    else:
        judged = _required(planned.requirement, rule.evidence_max_age, index)
        if rule.when is not None:
            judged = limited(judged, rule.when, index)
    verdict, reason, parts = judged
    zh, en = sentences.of(rule, verdict, reason, parts)
    unsigned = planned.on_zones and not plan_signed
    return Finding(
        index.facts.subject, planned.pack.id, planned.pack.version, rule, verdict, reason, parts, zh, en, unsigned
    )


def _required(asked: Requirement, greatest_age: Micros | None, index: Index) -> Judged:
    match asked:
        case AtLeast():
            return at_least(asked, greatest_age, index)
        case ShareCovered():
            return share_covered(asked, greatest_age, index)
        case NoneIn():
            return none_in(asked, index)
        case Bounds():
            return bounds(asked, greatest_age, index)
        case Proven():
            return proven(asked, greatest_age, index)
        case Attested():
            return attested(asked, greatest_age, index)
        case Documents():
            return documents(asked, greatest_age, index)
        case AlwaysArmed():
            return always_armed(asked, greatest_age, index)
        case TimeBound():
            return time_bound(asked, greatest_age, index)
        case Independent():
            return independent(asked, greatest_age, index)


def placement_warnings(
    packs: Sequence[RulePack],
    *,
    division: str,
    institution_type: str,
    purpose: str,
    capabilities: Sequence[str],
    at: Micros,
    kind: str = "",
) -> tuple[PlacementWarning, ...]:
    """The rules that a device with these capabilities would break by standing in a zone of this purpose."""
    found = []
    for planned in plan_of(packs).of(division, institution_type, at):
        rule, asked = planned.rule, planned.requirement
        if not isinstance(asked, NoneIn) or purpose not in asked.zones:
            continue
        if kind in asked.kinds or asked.capabilities.intersection(capabilities):
            zh, en = sentences.of_placement(rule, purpose)
            found.append(PlacementWarning(rule.id, rule.document, rule.number, rule.clause, rule.force, zh, en))
    return tuple(found)
