"""A second evaluator of rules: slow and plain, written from rule-packs/README.md alone, for `hub.core.coverage.judge` to be compared with.

It knows nothing of evidence, sentences or speed; it gives the verdict of every rule that holds. It shares with the hub only the frozen
dataclasses of facts and requirements. Where the two disagree, one of them is wrong, or the text is.
"""

from collections.abc import Sequence
from math import isfinite

from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.requirements import (
    AlwaysArmed,
    AtLeast,
    Attested,
    Bounds,
    Documents,
    Independent,
    NoneIn,
    Proven,
    ShareCovered,
    TimeBound,
    When,
)
from hub.core.coverage.rules import Rule, RulePack
from tests.core.coverage.naive_devices import always_armed, at_least, independent, none_in, proven, share_covered
from tests.core.coverage.naive_figures import attested, bounds, documents, floors, time_bound
from tests.core.coverage.naive_words import MAYBE, MINUTE, NO, YES, as_a_whole

BASES = ("recommendation", "target", "obligation")


def verdicts(packs: Sequence[RulePack], facts: InstitutionFacts, at: int) -> dict[str, str]:
    """The verdict of every rule that holds the institution at `at`."""
    rules = held([rule for pack in packs for rule in pack.rules], facts, at)
    if not facts.connected or facts.unreadable:
        return {rule.id: MAYBE for rule in rules}
    return {rule.id: one(rule, rules, facts, at) for rule in rules}


def held(rules: Sequence[Rule], facts: InstitutionFacts, at: int) -> list[Rule]:
    """2: in effect, in its place, of its type; then without those that stand back."""
    mine = []
    for rule in rules:
        if rule.since > at or (rule.until is not None and rule.until <= at):
            continue
        if not facts.division.startswith(rule.jurisdiction):
            continue
        if rule.institution_types and facts.type not in rule.institution_types:
            continue
        mine.append(rule)
    stood_in_for = {rule.overrides for rule in mine if rule.overrides}
    left = [rule for rule in mine if rule.id not in stood_in_for]
    return [rule for rule in left if not any(cannot_be_met_beside(rule, other) for other in left)]


def cannot_be_met_beside(rule: Rule, other: Rule) -> bool:
    mine, theirs = rule.requirement, other.requirement
    if not isinstance(mine, Bounds) or not isinstance(theirs, Bounds):
        return False
    if (mine.of, mine.point) != (theirs.of, theirs.point) or basis(rule) >= basis(other):
        return False
    if mine.capabilities and theirs.capabilities and not mine.capabilities & theirs.capabilities:
        return False
    if other.when is not None:
        return False
    above = mine.minimum is not None and theirs.maximum is not None and mine.minimum > theirs.maximum
    below = mine.maximum is not None and theirs.minimum is not None and mine.maximum < theirs.minimum
    return above or below


def basis(rule: Rule) -> int:
    return BASES.index(rule.basis.value)


def one(rule: Rule, rules: Sequence[Rule], facts: InstitutionFacts, at: int) -> str:
    asked = rule.requirement
    age = rule.evidence_max_age
    forbidden: set[str] = set()
    for other in rules:
        if not isinstance(other.requirement, NoneIn) or basis(other) < basis(rule):
            continue
        if other.requirement.capabilities & getattr(asked, "capabilities", frozenset()):
            forbidden |= other.requirement.zones

    def so(zone: str | None) -> str:
        return YES if rule.when is None else circumstance(rule.when, facts, at, zone)

    match asked:
        case AtLeast():
            return at_least(asked, facts, at, age, forbidden, so)
        case ShareCovered():
            return share_covered(asked, facts, at, age, forbidden, so)
        case Independent():
            return independent(asked, facts, at, age, forbidden, so)
        case NoneIn():
            return none_in(asked, facts)
        case Bounds(of="floor"):
            return floors(asked, facts, so)
        case Bounds():
            return as_a_whole(bounds(asked, facts, at, age), so)
        case Proven():
            return as_a_whole(proven(asked, facts, at, age), so)
        case Attested():
            return attested(asked, facts, at, age, so)
        case Documents():
            return as_a_whole(documents(asked, facts, at, age), so)
        case AlwaysArmed():
            return as_a_whole(always_armed(asked, facts, at, age), so)
        case TimeBound():
            return as_a_whole(time_bound(asked, facts, at, age), so)


def circumstance(when: When, facts: InstitutionFacts, at: int, zone: str | None) -> str:
    """9: whether it holds."""
    if when.capabilities:
        there = [one for one in facts.devices if one.capabilities & when.capabilities]
        return YES if any(one.admin_state not in ("retired", "quarantined") for one in there) else NO
    standing = [
        one
        for one in facts.attestations
        if one.kind == when.stated
        and one.at - at <= 5 * MINUTE
        and (one.expires_at is None or one.expires_at > at)
        and one.value is not None
        and isfinite(one.value)
    ]
    mine = [one for one in standing if zone is not None and one.zone == zone]
    if not mine:
        mine = [one for one in standing if one.zone is None and one.device is None]
    if not mine:
        return MAYBE
    last = max(one.at for one in mine)
    if when.within is not None and at - last > when.within:
        return MAYBE
    return YES if max(one.value or 0 for one in mine if one.at == last) >= when.minimum else NO
