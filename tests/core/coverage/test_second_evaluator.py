"""The hub's judge agrees with a second evaluator that was written from the text of the semantics alone (naive.py).

Two hundred institutions every time; `ANXIN_EXPLORE=10000` takes ten thousand, and tries the language at new examples (decision 0280).
"""

import os
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.judge import check
from hub.core.coverage.requirements import NoneIn, Requirement, When
from hub.core.coverage.rules import Basis, Force
from hub.model import Micros
from hub.rulepacks import load_rule_packs
from tests.core import coverage_city, coverage_random
from tests.core.coverage.institutions import NOW, Dice
from tests.core.coverage.naive import verdicts

PACKS = load_rule_packs([data_folder("rule-packs")])
MANY = int(os.environ.get("ANXIN_EXPLORE") or 200)
EDGES = sorted({rule.since + step for pack in PACKS for rule in pack.rules for step in (-1, 0)})
"""just before and just when a rule begins to hold"""
WORDS = ("compliant", "non_compliant", "unknown")
forces = st.sampled_from([(Force.NORM, Basis.OBLIGATION), (Force.POL, Basis.TARGET), (Force.REC, Basis.RECOMMENDATION)])
beside = st.none() | st.tuples(coverage_random.none_in | coverage_random.bounds, forces)


@pytest.mark.timeout(3600)  # for ten thousand on a busy machine; two hundred take seconds
def test_judge_and_second_evaluator_agree_on_every_shipped_rule_of_random_institutions() -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(MANY):
        facts = Dice(seed).institution()
        at = EDGES[seed // 8 % len(EDGES)] if seed % 8 == 0 else NOW
        said = {one.rule.id: one.verdict.value for one in check(PACKS, facts, at)}
        expected = verdicts(PACKS, facts, at)
        assert said == expected, f"institution {seed}: {_differing(said, expected)}"
        seen.update(expected.items())
    rules = [rule.id for pack in PACKS for rule in pack.rules if rule.since <= NOW]
    if MANY >= 5000:
        assert [(rule, word) for rule in rules for word in WORDS if not seen[rule, word]] == [], "never put to the test"
    else:
        assert all(sum(seen[rule, word] for rule in rules) > 100 for word in WORDS)


@pytest.mark.timeout(3600)
@given(
    coverage_random.requirement,
    coverage_random.facts,
    coverage_random.greatest_age,
    coverage_random.when,
    forces,
    beside,
)
def test_judge_and_second_evaluator_agree_on_requirements_of_every_kind_and_on_rules_that_meet(
    asked: Requirement,
    facts: InstitutionFacts,
    age: Micros | None,
    when: When | None,
    force: tuple[Force, Basis],
    other: tuple[Requirement, tuple[Force, Basis]] | None,
) -> None:
    when = None if isinstance(asked, NoneIn) else when
    rules = [replace(coverage_city.rule(asked, *force, id="r-1"), evidence_max_age=age, when=when)]
    if other is not None:
        rules.append(coverage_city.rule(other[0], *other[1], id="r-2"))
    packs = [coverage_city.pack(*rules)]
    said = {one.rule.id: one.verdict.value for one in check(packs, facts, coverage_city.NOW)}
    expected = verdicts(packs, facts, coverage_city.NOW)
    assert said == expected, _differing(said, expected)


def _differing(said: dict[str, str], expected: dict[str, str]) -> str:
    return ", ".join(
        f"{rule}: judge {said.get(rule)}, second {expected.get(rule)}"
        for rule in sorted(said.keys() | expected.keys())
        if said.get(rule) != expected.get(rule)
    )
