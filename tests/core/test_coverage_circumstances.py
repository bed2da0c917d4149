"""Rules that ask something only in a circumstance: who could be let off must have it stated, and silence excuses nobody."""

from dataclasses import replace

import pytest
from hypothesis import given

from hub.core.coverage import turns
from hub.core.coverage.facts import Attestation, InstitutionFacts, ZoneFact
from hub.core.coverage.findings import Finding
from hub.core.coverage.judge import check
from hub.core.coverage.overlays import looser
from hub.core.coverage.requirements import DAY, AtLeast, Attested, NoneIn, Requirement, When
from hub.core.coverage.rules import Verdict
from hub.model import AdminState, Micros
from tests.core import coverage_random
from tests.core.coverage_city import CAMERA, NOW, pack, rule

GREEN, RED, UNKNOWN, NONE = Verdict.COMPLIANT, Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
GAS = When("gas_in_use", within=800 * DAY)
ALARM = AtLeast(frozenset({"gas.detect"}), 1, "zone", frozenset({"kitchen"}))
DETECTOR = replace(CAMERA, id="gas-1", kind="gas_detector", zone="k-1", capabilities=frozenset({"gas.detect"}))
KITCHENS = tuple(ZoneFact(f"k-{n}", "kitchen", f"厨房{n}", f"Kitchen {n}") for n in (1, 2))


def said(value: float | None, zone: str | None = None, ago: Micros = DAY, **changes: object) -> Attestation:
    return replace(Attestation(f"s-{value}-{zone}-{ago}", "gas_in_use", NOW - ago, zone=zone, value=value), **changes)  # type: ignore[arg-type]


def finding(
    *stated: Attestation, when: When = GAS, asked: Requirement = ALARM, detectors: bool = True, at: Micros = NOW
) -> Finding:
    devices = (DETECTOR,) if detectors else ()
    facts = InstitutionFacts("i", "14", "private", True, KITCHENS, devices, attestations=stated)
    [found] = check([pack(replace(rule(asked), when=when))], facts, at)
    return found


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ((), UNKNOWN),  # k-2 has no alarm, and may burn gas
        ((said(1.0),), RED),
        ((said(0.0),), NONE),
        ((said(1.0, "k-2"),), RED),
        ((said(0.0, "k-2"),), GREEN),  # k-1 has its alarm, whether it burns gas or not
        ((said(0.0), said(1.0, "k-2")), RED),  # a kitchen's own statement goes before the institution's
        ((said(1.0), said(0.0, "k-2")), GREEN),
        ((said(1.0, ago=9 * DAY), said(0.0)), NONE),  # the newest
        ((said(1.0), said(0.0)), RED),  # of equals the stricter
        ((said(0.0, ago=801 * DAY),), UNKNOWN),
        ((said(0.0, expires_at=NOW),), UNKNOWN),
        ((said(0.0, expires_at=NOW + 1),), NONE),
        ((said(0.0, ago=-DAY),), UNKNOWN),
        ((said(None),), UNKNOWN),
        ((said(float("nan")),), UNKNOWN),
        ((said(0.0, "elsewhere"), said(0.0, device="gas-1")), UNKNOWN),
        ((said(0.5),), NONE),
    ],
)
def test_a_kitchen_that_burns_gas_has_an_alarm(stated: tuple[Attestation, ...], expected: Verdict) -> None:
    assert finding(*stated).verdict is expected


def test_what_is_met_needs_no_statement_and_what_is_not_met_is_never_let_off_by_silence() -> None:
    one = replace(ALARM, per="institution", zones=frozenset[str]())
    assert finding(asked=one).verdict is GREEN
    assert finding(asked=one, detectors=False).verdict is UNKNOWN
    assert finding(said(1.0), asked=one, detectors=False).verdict is RED


def test_the_statement_that_lets_off_is_the_evidence_and_the_sentence_names_it() -> None:
    found = finding(said(0.0))
    [part] = found.parts
    assert [(row.kind, row.id, row.value) for row in part.facts] == [("gas_in_use", "s-0.0-None-86400000000", 0.0)]
    assert "使用燃气" in found.sentence_zh
    assert "gas in use" in found.sentence_en
    silent = finding()
    assert "使用燃气 是否属于此情形未说明" in silent.sentence_zh


def test_a_panel_that_is_there_is_a_circumstance_whatever_its_state() -> None:
    asked, when = Attested("sounder_test", None), When(capabilities=frozenset({"gas.detect"}))
    assert finding(asked=asked, when=when).verdict is UNKNOWN
    assert finding(asked=asked, when=when, detectors=False).verdict is NONE
    gone = replace(DETECTOR, admin_state=AdminState.QUARANTINED)
    facts = InstitutionFacts("i", "14", "private", True, KITCHENS, (gone,))
    [found] = check([pack(replace(rule(asked), when=when))], facts, NOW)
    assert (found.verdict, found.reason) == (NONE, "not_so")


def test_a_rule_that_asks_only_somewhere_tightens_none_that_asks_everywhere() -> None:
    base = rule(ALARM)
    assert looser(replace(base, when=GAS), base) == ("when",)
    assert looser(base, replace(base, when=GAS)) == ()
    assert looser(replace(base, when=GAS), replace(base, when=GAS)) == ()


@given(coverage_random.requirement, coverage_random.facts, coverage_random.when)
def test_no_circumstance_makes_a_verdict_worse_or_green_and_between_two_turns_it_says_the_same(
    asked: Requirement, facts: InstitutionFacts, when: When | None
) -> None:
    if isinstance(asked, NoneIn):
        return
    packs = [pack(replace(rule(asked), when=when))]
    [always], [limited] = check([pack(rule(asked))], facts, NOW), check(packs, facts, NOW)
    if limited.verdict is GREEN:  # a part that is let off may leave only green ones
        assert GREEN in {part.verdict for part in always.parts}
    if limited.verdict is RED:
        assert always.verdict is RED
    turn = turns.next_turn(packs, facts, NOW)
    [later] = check(packs, facts, NOW + 3 * DAY if turn is None else turn - 1)
    assert later.verdict is limited.verdict
