"""Which rules hold an institution, worked out once for all institutions alike: by place, type and time; overlays over what they stand in for, and
prohibitions over coverage (standards catalogue, section 1).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hub.core.coverage.overlays import banned, outranked
from hub.core.coverage.requirements import stands_on_zones
from hub.core.coverage.rules import AtLeast, Independent, Requirement, Rule, RulePack, ShareCovered
from hub.core.coverage.wording import asked_for
from hub.model import Micros

_MOST_KEPT = 4_096
"""worked-out lists kept for one set of packs; there are as many as places that have rules of their own, times types"""


class Planned(NamedTuple):
    """A rule as it is judged: its requirement less the zones that a prohibition takes out of it."""

    pack: RulePack
    rule: Rule
    requirement: Requirement
    """the same object wherever rules of one plan ask for the same"""
    prohibited: bool
    """nothing of its zones is left"""
    on_zones: bool
    """it stands on the zone plan"""
    words: tuple[str, str]
    """what the rule asks for, as a phrase"""
    forbidden: frozenset[str] = frozenset()
    """of `at_least` per entrance or floor: purposes of zones in which that is forbidden, whether the rule names them or not"""


class Plan:
    """The rules of some packs, ready to be asked for. Pure: it only keeps what it has worked out."""

    def __init__(self, packs: Sequence[RulePack]) -> None:
        self._rules = [(pack, rule) for pack in packs for rule in pack.rules]
        rules = [rule for _, rule in self._rules]
        self._places = sorted({rule.jurisdiction for rule in rules})
        self._types = frozenset(one for rule in rules for one in rule.institution_types)
        self.turns = sorted({rule.since for rule in rules} | {rule.until for rule in rules if rule.until is not None})
        self._known: dict[tuple[tuple[str, ...], str, int], tuple[Planned, ...]] = {}
        self._same: dict[Requirement, Requirement] = {}

    def of(self, division: str, institution_type: str, at: Micros) -> tuple[Planned, ...]:
        """The rules that hold an institution of this type in this division at that time, in the order of packs and rules."""
        places = tuple(place for place in self._places if division.startswith(place))
        known_type = institution_type if institution_type in self._types else ""
        key = (places, known_type, bisect_right(self.turns, at))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            found = self._known[key] = self._work_out(division, institution_type, at)
        return found

    def next_turn(self, at: Micros) -> Micros | None:
        """When a rule next begins or ends to hold, anywhere."""
        after = bisect_right(self.turns, at)
        return self.turns[after] if after < len(self.turns) else None

    def _work_out(self, division: str, institution_type: str, at: Micros) -> tuple[Planned, ...]:
        held = [(pack, rule) for pack, rule in self._rules if rule.applies(division, institution_type, at)]
        rules = [rule for _, rule in held]
        out = {rule.id for rule in rules if any(outranked(rule, other) for other in rules)}
        out |= {rule.overrides for rule in rules if rule.overrides and rule.id not in out}
        planned = (_planned(pack, rule, rules) for pack, rule in held if rule.id not in out)
        return tuple(
            one._replace(requirement=self._same.setdefault(one.requirement, one.requirement)) for one in planned
        )


def _planned(pack: RulePack, rule: Rule, others: Sequence[Rule]) -> Planned:
    asked, on_zones, words = rule.requirement, stands_on_zones(rule.requirement), asked_for(rule.requirement)
    if not isinstance(asked, AtLeast | ShareCovered | Independent):
        return Planned(pack, rule, asked, False, on_zones, words)
    forbidden = frozenset[str]().union(*(banned(other, rule) for other in others))
    beyond = forbidden if isinstance(asked, AtLeast) and asked.per in ("entrance", "floor") else frozenset[str]()
    left = asked.zones - forbidden
    if left == asked.zones:
        return Planned(pack, rule, asked, False, on_zones, words, beyond)
    return Planned(pack, rule, replace(asked, zones=left), not left, on_zones, words, beyond)


_plans: dict[tuple[int, ...], tuple[tuple[RulePack, ...], Plan]] = {}
_MOST_PLANS = 16


def plan_of(packs: Sequence[RulePack]) -> Plan:
    """The plan of these packs. Kept by their identity: packs are frozen, and the plan holds them, so that no other can take their place."""
    key = tuple(map(id, packs))
    kept = _plans.get(key)
    if kept is None:
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        kept = _plans[key] = (tuple(packs), Plan(packs))
    return kept[1]
