"""What must hold of the whole requirement language, whatever is asked and whatever is known: never green on silence, and no surprise."""

import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.facts import Contribution, DeviceFact, InstitutionFacts
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Finding, Part
from hub.core.coverage.index import SKEW
from hub.core.coverage.judge import check, check_rule
from hub.core.coverage.requirements import DAY, stands_on_zones
from hub.core.coverage.rules import AtLeast, Independent, NoneIn, Requirement, RulePack, ShareCovered, Verdict
from hub.core.coverage.turns import next_turn
from hub.model import LinkState, Micros
from tests.core import coverage_random as drawn
from tests.core.coverage_city import NOW, pack, rule

_GREEN = {Verdict.NON_COMPLIANT: 0, Verdict.UNKNOWN: 1, Verdict.COMPLIANT: 2}
counted = st.one_of(drawn.at_least, drawn.share_covered, drawn.independent)


def asking(requirement: Requirement, age: Micros | None = None) -> tuple[RulePack, ...]:
    return (pack(replace(rule(requirement), evidence_max_age=age)),)


def judged(requirement: Requirement, of: InstitutionFacts, age: Micros | None = None, at: Micros = NOW) -> Finding:
    [finding] = check(asking(requirement, age), of, at)
    return finding


def evidence(part: Part) -> list[DeviceEvidence | FactEvidence]:
    return [*part.devices, *part.facts]


@given(drawn.requirement, drawn.greatest_age, drawn.facts, st.randoms(use_true_random=False))
def test_the_order_of_facts_and_a_second_look_change_nothing_and_what_is_not_connected_is_unknown(
    asked: Requirement, age: Micros | None, of: InstitutionFacts, dice: random.Random
) -> None:
    def shuffled(things: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dice.sample(things, len(things)))

    other = replace(
        of,
        zones=shuffled(of.zones),
        devices=tuple(
            replace(one, sees=shuffled(one.sees), values=shuffled(one.values), proven=shuffled(one.proven))
            for one in shuffled(of.devices)
        ),
        recordings=shuffled(of.recordings),
        attestations=shuffled(of.attestations),
        intervals=shuffled(of.intervals),
        armed_always=shuffled(of.armed_always),
    )
    packs = asking(asked, age)
    first = check(packs, of, NOW)
    assert repr(check(packs, other, NOW)) == repr(first)  # not a number is not equal to itself
    assert repr(check(asking(asked, age), of, NOW)) == repr(first)
    [finding] = first
    assert repr(check_rule(packs, "r-1", of, NOW)) == repr(finding)
    assert finding.sentence_zh.endswith("。")
    assert finding.sentence_en.endswith((".", "judged."))
    assert finding.verdict is not Verdict.WAIVED
    assert finding.plan_not_signed == (stands_on_zones(asked) and not of.plan_signed)
    assert judged(asked, replace(of, connected=False), age).verdict is Verdict.UNKNOWN


@given(drawn.requirement, drawn.greatest_age, drawn.facts)
def test_green_has_evidence_that_proves_it_and_red_has_evidence_that_breaks_it(
    asked: Requirement, age: Micros | None, of: InstitutionFacts
) -> None:
    finding = judged(asked, of, age)
    rows = [row.contribution for part in finding.parts for row in evidence(part)]
    if finding.verdict is Verdict.COMPLIANT:
        assert finding.parts
        assert all(part.verdict is Verdict.COMPLIANT for part in finding.parts)
        assert isinstance(asked, NoneIn) or Contribution.PROVEN in rows
    if finding.verdict is Verdict.NON_COMPLIANT:
        bad = [part for part in finding.parts if part.verdict is Verdict.NON_COMPLIANT]
        assert bad
        assert all(
            part.proven + part.unknown < part.needed
            or any(row.contribution is Contribution.NONE for row in evidence(part))
            for part in bad
        )


@given(counted, drawn.greatest_age, drawn.facts)
def test_what_is_counted_is_never_compliant_when_all_is_silent_nor_greener_for_a_smaller_greatest_age(
    asked: Requirement, age: Micros | None, of: InstitutionFacts
) -> None:
    silent = replace(of, devices=tuple(replace(one, link_state=LinkState.OFFLINE) for one in of.devices))
    assert judged(asked, silent, age).verdict is not Verdict.COMPLIANT
    verdicts = [judged(asked, of, limit).verdict for limit in (drawn.HOUR, DAY, 30 * DAY)]
    ranks = [_GREEN[one] for one in verdicts if one in _GREEN]
    assert ranks == sorted(ranks)


@given(drawn.requirement, drawn.facts)
def test_nobody_having_said_anything_for_years_nothing_but_a_prohibition_is_compliant(
    asked: Requirement, of: InstitutionFacts
) -> None:
    """Ten years later the same facts prove nothing that has a greatest age; what has none is held by its own dates."""
    later = NOW + 3_650 * DAY
    found = judged(asked, replace(of, area_m2=None, capacity=None, attestations=()), DAY, later)
    assert isinstance(asked, NoneIn) or found.verdict is not Verdict.COMPLIANT


@given(counted, drawn.greatest_age, drawn.facts, drawn.device)
def test_a_device_more_is_never_worse_and_one_less_never_better(
    asked: AtLeast | ShareCovered | Independent, age: Micros | None, of: InstitutionFacts, added: DeviceFact
) -> None:
    more = replace(of, devices=(*of.devices, replace(added, id="d-99")))
    before, after = judged(asked, of, age).verdict, judged(asked, more, age).verdict
    if before in _GREEN:
        assert _GREEN[after] >= _GREEN[before]
    else:
        assert after is before


@given(drawn.requirement, drawn.greatest_age, drawn.facts, st.floats(0, 1, exclude_max=True))
def test_between_two_turns_no_verdict_turns(
    asked: Requirement, age: Micros | None, of: InstitutionFacts, share: float
) -> None:
    packs, at = asking(asked, age), NOW
    for _ in range(4):
        turn = next_turn(packs, of, at)
        verdict = judged(asked, of, age, at).verdict
        end = at + 1_000 * DAY if turn is None else turn
        assert end > at
        for moment in (at + int((end - at) * share), end - 1):
            assert judged(asked, of, age, moment).verdict is verdict
        if turn is None:
            return
        at = turn


def test_a_rule_that_comes_into_effect_is_a_turn_and_rules_of_another_time_may_be_asked_for() -> None:
    coming = replace(rule(AtLeast(frozenset({"video.live"}), 1, "institution")), since=NOW + 5, until=NOW + 9)
    bare = InstitutionFacts("i", "14", "employer", True)
    packs = [pack(coming)]
    assert check(packs, bare, NOW) == ()
    assert [next_turn(packs, bare, at) for at in (NOW, NOW + 5, NOW + 9)] == [NOW + 5, NOW + 9, None]
    [finding] = check(packs, bare, NOW, rules_at=NOW + 5)
    assert finding.verdict is Verdict.NON_COMPLIANT
    assert SKEW > 0
