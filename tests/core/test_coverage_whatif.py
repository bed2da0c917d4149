"""What if: the same judge with other arguments."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from hub.core.coverage.facts import DeviceFact, InstitutionFacts
from hub.core.coverage.judge import check
from hub.core.coverage.rules import Basis, Force, RulePack, Verdict
from hub.core.coverage.waivers import Waiver, amend
from hub.core.coverage.whatif import (
    OtherRules,
    SubjectTurns,
    Turn,
    falls,
    losses,
    missing,
    other_rules,
    ranked,
    summed,
    totals,
)
from hub.model import SECOND, FunctionState, LinkState
from tests.core import coverage_random
from tests.core.coverage_city import ACT, CAMERA, EACH_ZONE, NAP, NOW, TWO_ANYWHERE, pack, rule, site

IN_NAP = replace(CAMERA, id="cam-2", zone="nap")
BOTH = (ACT, NAP)
PACKS = [pack(rule(EACH_ZONE, id="zone"), rule(TWO_ANYWHERE, id="two", basis=Basis.TARGET))]


def behind(device: DeviceFact, *parts: str) -> DeviceFact:
    return replace(device, behind=parts)


def test_the_single_points_of_failure_are_ranked_by_what_falls_with_them() -> None:
    first, second = behind(CAMERA, "switch:sw", "uplink:a"), behind(IN_NAP, "link:l", "uplink:a")
    found = losses(PACKS, site(first, second, zones=BOTH), NOW)
    assert [(one.part, one.devices, one.weight) for one in found] == [
        ("uplink:a", 2, (1, 1, 0, 2)),
        *((part, 1, (1, 1, 0, 1)) for part in ("device:cam-1", "device:cam-2", "link:l", "switch:sw")),
    ]
    assert [turn.rule for turn in found[0].falls] == ["zone", "two"]
    assert {turn.after for turn in found[0].falls} == {Verdict.UNKNOWN}


def test_what_a_lost_part_carries_falls_too_and_one_box_is_looked_at_once() -> None:
    recorder = replace(CAMERA, id="nvr", kind="recorder", zone=None, capabilities=frozenset({"video.record"}))
    switch = replace(recorder, id="sw", kind="network_switch", capabilities=frozenset(), behind=("power:ups",))
    cameras = behind(CAMERA, "recorder:nvr", "uplink:a"), behind(IN_NAP, "switch:sw", "power:ups", "uplink:a")
    found = losses(PACKS, site(*cameras, behind(recorder, "switch:sw"), switch, zones=BOTH), NOW)
    assert {one.part: one.devices for one in found} == {
        "power:ups": 4,
        "switch:sw": 4,
        "uplink:a": 2,
        "recorder:nvr": 2,
        "device:cam-1": 1,
        "device:cam-2": 1,
    }
    assert [one.part for one in found][:3] == ["power:ups", "switch:sw", "uplink:a"]


def test_where_there_is_one_to_spare_no_single_device_takes_anything_with_it() -> None:
    spare = [replace(CAMERA, id=f"cam-{n}", zone=zone) for n, zone in enumerate(["act", "act", "nap", "nap"])]
    assert losses(PACKS, site(*spare, zones=BOTH), NOW) == ()


def test_what_falls_already_is_no_single_point_of_failure() -> None:
    assert losses(PACKS, site(replace(CAMERA, link_state=LinkState.OFFLINE)), NOW) == ()


def test_the_rules_of_next_year_judge_todays_facts_by_evidence_as_old_as_it_is_today() -> None:
    later = NOW + 365 * 86_400 * SECOND
    new = [pack(rule(EACH_ZONE, id="zone"), replace(rule(TWO_ANYWHERE, id="two"), since=later))]
    [turn] = other_rules(new, new, site(CAMERA), NOW, later)
    assert (turn.rule, turn.before, turn.after) == ("two", None, Verdict.NON_COMPLIANT)
    assert other_rules(new, new, site(CAMERA), NOW, NOW) == ()


def test_another_pack_is_tried_before_it_is_used() -> None:
    stricter = [pack(rule(replace(EACH_ZONE, n=2), id="zone"))]
    assert [
        (one.rule, one.before, one.after)
        for one in other_rules(PACKS, stricter, site(CAMERA, IN_NAP, zones=BOTH), NOW, NOW)
    ] == [
        ("zone", Verdict.COMPLIANT, Verdict.NON_COMPLIANT),
        ("two", Verdict.COMPLIANT, None),
    ]


@pytest.mark.parametrize(
    ("devices", "wanted"),
    [
        ((CAMERA,), [(None, 1, 0), ("nap", 1, 0)]),
        ((CAMERA, replace(IN_NAP, function_state=FunctionState.FAILED)), [(None, 0, 1), ("nap", 0, 1)]),
        ((CAMERA, IN_NAP), []),
    ],
)
def test_what_is_missing_is_a_list_to_buy_from_and_what_is_broken_is_brought_back(
    devices: tuple[DeviceFact, ...], wanted: list[tuple[str | None, int, int]]
) -> None:
    found = missing(check(PACKS, site(*devices, zones=BOTH), NOW))
    assert [(one.zone, one.buy, one.restore) for one in found] == wanted
    assert all(one.capabilities == ("video.live",) for one in found)


def test_two_rules_that_ask_for_the_same_in_one_place_are_bought_once() -> None:
    packs = [pack(rule(EACH_ZONE, id="one"), rule(replace(EACH_ZONE, n=3), id="three"))]
    [found] = missing(check(packs, site(), NOW))
    assert (found.zone, found.buy, found.rules) == ("act", 3, ("one", "three"))


def test_what_is_bought_and_brought_back_makes_the_rule_hold() -> None:
    facts = site(zones=BOTH)
    bought = [
        replace(CAMERA, id=f"new-{one.zone}-{n}", zone=one.zone)
        for one in missing(check(PACKS[:1], facts, NOW))
        if one.zone is not None
        for n in range(one.buy)
    ]
    found = {one.rule.id: one.verdict for one in check(PACKS, replace(facts, devices=tuple(bought)), NOW)}
    assert found == {"zone": Verdict.COMPLIANT, "two": Verdict.COMPLIANT}


WAIVER = Waiver("w", "inst-1", "zone", NOW - SECOND, NOW + 86_400 * SECOND)


def test_a_waived_violation_is_waived_in_what_if_as_it_is_in_the_ledger_and_counted_now_and_then() -> None:
    bare, later = site(zones=BOTH), NOW + 365 * 86_400 * SECOND
    other = [pack(rule(replace(EACH_ZONE, n=2), id="zone"), rule(TWO_ANYWHERE, id="two", basis=Basis.TARGET))]

    def ask(packs: list[RulePack], rules_at: int, *waivers: Waiver, facts: InstitutionFacts = bare) -> SubjectTurns:
        return OtherRules(PACKS, packs, NOW, rules_at).of(facts, waivers)

    assert ask(other, NOW, WAIVER) == ("inst-1", (), (1, 1))
    assert ask(other, NOW, replace(WAIVER, subject="inst-2")).waived == (0, 0)
    [turn] = (expired := ask(PACKS, later, WAIVER)).turns
    assert (turn.rule, turn.before, turn.after, falls(turn)) == (
        "zone", Verdict.WAIVED, Verdict.NON_COMPLIANT, True,
    )  # fmt: skip
    assert expired.waived == (1, 0)
    law = [pack(rule(EACH_ZONE, id="zone", force=Force.GB_MANDATORY), *PACKS[0].rules[1:])]
    [turn] = ask(law, NOW, WAIVER).turns
    assert (turn.before, turn.after) == (Verdict.WAIVED, Verdict.NON_COMPLIANT), "no waiver of what nobody may waive"
    stricter = ask(other, NOW, WAIVER, facts=site(CAMERA, IN_NAP, zones=BOTH))
    [turn] = stricter.turns
    assert (turn.before, turn.after, stricter.waived) == (Verdict.COMPLIANT, Verdict.WAIVED, (0, 1))
    assert turn.sentence_zh.startswith("已获豁免")
    assert not falls(turn)


def test_a_loss_that_a_waiver_excuses_is_told_as_waived_and_what_is_waived_is_missing_all_the_same() -> None:
    failing = site(CAMERA, IN_NAP, zones=BOTH)
    fallen = {turn.rule: turn.after for turn in losses(PACKS, failing, NOW, [WAIVER])[0].falls}
    assert fallen == {"zone": Verdict.WAIVED, "two": Verdict.NON_COMPLIANT}
    found = missing(amend(check(PACKS, site(zones=BOTH), NOW), [WAIVER], NOW))
    assert {one.zone: one.waived for one in found} == {None: (), "act": ("zone",), "nap": ("zone",)}
    assert [one.buy for one in found] == [one.buy for one in missing(check(PACKS, site(zones=BOTH), NOW))]


def test_what_would_turn_is_summed_by_rule_and_ranked_by_who_loses_most() -> None:
    def turn(rule: str, before: Verdict | None, after: Verdict | None, basis: Basis = Basis.OBLIGATION) -> Turn:
        return Turn(rule, basis, before, after, (), "", "")

    green, red, dim = Verdict.COMPLIANT, Verdict.NON_COMPLIANT, Verdict.UNKNOWN
    found = [
        SubjectTurns("better", (turn("zone", red, green),)),
        SubjectTurns("aim", (turn("two", green, red, Basis.TARGET), turn("zone", red, dim))),
        SubjectTurns("same", ()),
        SubjectTurns("worst", (turn("zone", green, red), turn("two", None, dim, Basis.TARGET))),
    ]
    assert [one.subject for one in ranked(found)] == ["worst", "aim", "better"]
    assert [(one.rule, one.subjects, one.falls) for one in summed(found)] == [("zone", 3, 1), ("two", 2, 2)]
    assert summed(found)[0].counts == {(red, green): 1, (red, dim): 1, (green, red): 1}


def test_what_a_zone_gets_counts_for_the_institution_and_a_camera_is_brought_back_once() -> None:
    broken = replace(IN_NAP, function_state=FunctionState.FAILED)
    found = missing(check(PACKS, site(broken, zones=BOTH), NOW))
    assert [(one.zone, one.buy, one.restore, one.idle) for one in found] == [
        (None, 1, 1, (("cam-2", "failed"),)),
        ("act", 1, 0, ()),
        ("nap", 0, 1, (("cam-2", "failed"),)),
    ]
    assert [(one.capabilities, one.buy, one.restore, one.basis) for one in totals(found)] == [
        (("video.live",), 1, 1, Basis.OBLIGATION)
    ]


@settings(max_examples=30)
@given(coverage_random.facts)
def test_no_facts_make_it_fall_over(facts: InstitutionFacts) -> None:
    assert all(one.falls for one in losses(PACKS, facts, NOW))
    lacking = missing(check(PACKS, facts, NOW))
    assert all(one.buy + one.restore > 0 for one in lacking)
    assert all(one.buy + one.restore > 0 for one in totals(lacking))
    new = [pack(rule(replace(EACH_ZONE, n=2), id="zone"), PACKS[0].rules[1])]
    before = {one.rule.id: one.verdict for one in check(PACKS, facts, NOW)}
    after = {one.rule.id: one.verdict for one in check(new, facts, NOW)}
    told = {one.rule: (one.before, one.after) for one in other_rules(PACKS, new, facts, NOW, NOW)}
    assert told == {name: (one, after[name]) for name, one in before.items() if one is not after[name]}
