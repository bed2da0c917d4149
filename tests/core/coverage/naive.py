"""A second evaluator of rules: slow and plain, written from rule-packs/README.md alone, for `hub.core.coverage.judge` to be compared with.

It knows nothing of evidence, sentences or speed; it gives the verdict of every rule that holds. It shares with the hub only the frozen
dataclasses of facts and requirements. Where the two disagree, one of them is wrong, or the text is.
"""

from collections.abc import Sequence

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
)
from hub.core.coverage.rules import Rule, RulePack
from tests.core.coverage.naive_devices import always_armed, at_least, independent, none_in, proven, share_covered
from tests.core.coverage.naive_figures import attested, bounds, documents, time_bound
from tests.core.coverage.naive_words import MAYBE

BASES = ("recommendation", "target", "obligation")


def verdicts(packs: Sequence[RulePack], facts: InstitutionFacts, at: int) -> dict[str, str]:
    """The verdict of every rule that holds the institution at `at`."""
    rules = held([rule for pack in packs for rule in pack.rules], facts, at)
    if not facts.connected:
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
    match asked:
        case AtLeast():
            return at_least(asked, facts, at, age, forbidden)
        case ShareCovered():
            return share_covered(asked, facts, at, age, forbidden)
        case Independent():
            return independent(asked, facts, at, age, forbidden)
        case NoneIn():
            return none_in(asked, facts)
        case Bounds():
            return bounds(asked, facts, at, age)
        case Proven():
            return proven(asked, facts, at, age)
        case Attested():
            return attested(asked, facts, at, age)
        case Documents():
            return documents(asked, facts, at, age)
        case AlwaysArmed():
            return always_armed(asked, facts, at, age)
        case TimeBound():
            return time_bound(asked, facts, at, age)
