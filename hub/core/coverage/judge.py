"""The judge: rules and facts in, findings out. Pure and total: no facts make it raise.

Never green on silence: a verdict is compliant only on evidence that is there, is fresh, and is enough. An institution that is not connected, a zone
plan that is missing, a device nobody hears, a proof nobody gave: unknown. A device in a forbidden zone is a violation whatever its state.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    return check_planned(plan_of(packs).of(facts.division, facts.type, at if rules_at is None else rules_at), facts, at)


def check_planned(planned: Iterable[Planned], facts: InstitutionFacts, at: Micros) -> tuple[Finding, ...]:
    """These rules and no others, judged at `at`."""
    index = Index(facts, at)
    signed = facts.plan_signed
    seen: _Seen = {}
    return tuple(_judge(one, index, signed, seen) for one in planned)


def check_rule(packs: Sequence[RulePack], rule: str, facts: InstitutionFacts, at: Micros) -> Finding | None:
    """What `check` says of one rule; None where that does not hold this subject, or another stands in for it."""
    for planned in plan_of(packs).of(facts.division, facts.type, at):
        if planned.rule.id == rule:
            return _judge(planned, Index(facts, at), facts.plan_signed, {})
    return None


_Seen = dict[tuple[int, Micros | None], Judged]
"""what rules that ask for the same found at this institution, by the requirement's identity (a plan has one object for equal ones) and greatest age"""


def _judge(planned: Planned, index: Index, plan_signed: bool, seen: _Seen) -> Finding:
    rule = planned.rule
    if not index.facts.connected:
        judged = Judged(Verdict.UNKNOWN, "not_connected", ())
    elif index.facts.unreadable:
        judged = Judged(Verdict.UNKNOWN, "unreadable", ())
    elif planned.prohibited:
        judged = Judged(Verdict.NOT_APPLICABLE, "prohibited", ())
    else:
        asked = planned.requirement
        key = id(asked), rule.evidence_max_age
        if planned.forbidden and isinstance(asked, AtLeast):
            judged = at_least(asked, rule.evidence_max_age, index, planned.forbidden)
        elif (known := seen.get(key)) is not None:
            judged = known
        else:
            judged = seen[key] = _required(asked, rule.evidence_max_age, index)
        if rule.when is not None:
            judged = limited(judged, rule.when, index)
    verdict, reason, parts = judged
    zh, en = sentences.of(rule, planned.words, verdict, reason, parts)
    unsigned = planned.on_zones and not plan_signed
    return Finding(
        index.facts.subject, planned.pack.id, planned.pack.version, rule, verdict, reason, parts, zh, en, unsigned
    )


def _required(asked: Requirement, greatest_age: Micros | None, index: Index) -> Judged:
    return _KINDS[type(asked)](asked, greatest_age, index)


def _none_in(asked: NoneIn, greatest_age: Micros | None, index: Index) -> Judged:
    return none_in(asked, index)


_KINDS: Mapping[type[Requirement], Callable[[Any, Micros | None, Index], Judged]] = {
    AtLeast: at_least,
    ShareCovered: share_covered,
    NoneIn: _none_in,
    Bounds: bounds,
    Proven: proven,
    Attested: attested,
    Documents: documents,
    AlwaysArmed: always_armed,
    TimeBound: time_bound,
    Independent: independent,
}
"""a table, because a judgement asks seventy times (tests/core/test_coverage_judge.py holds it to have every kind)"""


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
