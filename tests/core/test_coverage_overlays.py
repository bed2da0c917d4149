"""Packs over packs: the strictest number wins, a prohibition beats coverage, and nothing is ever loosened."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.judge import check
from hub.core.coverage.overlays import conflicts, faults, looser
from hub.core.coverage.requirements import DAY
from hub.core.coverage.rules import (
    AtLeast,
    Attested,
    Basis,
    Bounds,
    Documents,
    Force,
    NoneIn,
    Proven,
    Requirement,
    Rule,
    RulePack,
    ShareCovered,
    TimeBound,
    Verdict,
)
from tests.core import coverage_random as drawn
from tests.core.coverage_city import ACT, CAMERA, NOW, TOILET, pack, rule, site

VIDEO = frozenset({"video.live"})
ROOMS = frozenset({"activity_room", "nap_room"})
EACH = AtLeast(VIDEO, 1, "zone", ROOMS, must_exist=True)
DAYS = Bounds("recording_days", 30.0, 120.0, capabilities=VIDEO)


def over(base: Requirement, upper: Requirement, **changes: Any) -> list[RulePack]:
    """A national rule and a city's that tightens it."""
    tight: dict[str, Any] = {"overrides": "r-1", "jurisdiction": "1404", "force": Force.LOC, **changes}
    city = replace(rule(upper, id="city-1"), **tight)
    return [
        replace(pack(rule(base)), id="national"),
        replace(pack(city), id="city", overlays="national"),
    ]


@pytest.mark.parametrize(
    ("base", "upper", "loose"),
    [
        (EACH, replace(EACH, n=2), ()),
        (replace(EACH, n=2), EACH, ("n",)),
        (EACH, replace(EACH, zones=ROOMS | {"lobby"}), ()),
        (EACH, replace(EACH, zones=frozenset({"lobby"})), ("zones",)),
        (EACH, replace(EACH, capabilities=VIDEO | {"video.record"}), ("capability",)),
        (EACH, replace(EACH, must_exist=False), ("must_exist",)),
        (EACH, replace(EACH, area_above=20.0), ("area_above",)),
        (replace(EACH, per_m2=50.0), replace(EACH, per_m2=60.0), ("per_m2",)),
        (DAYS, replace(DAYS, minimum=90.0, maximum=100.0), ()),
        (DAYS, replace(DAYS, minimum=20.0), ("min",)),
        (DAYS, replace(DAYS, maximum=None), ("max",)),
        (DAYS, replace(DAYS, hold_excepted=True), ("except",)),
        (DAYS, replace(DAYS, zones=ROOMS), ("zones",)),
        (ShareCovered(VIDEO, 0.8, ROOMS), ShareCovered(VIDEO, 0.7, ROOMS), ("share",)),
        (NoneIn(ROOMS, capabilities=VIDEO), NoneIn(frozenset({"nap_room"}), capabilities=VIDEO), ("zones",)),
        (Proven(VIDEO, DAY), Proven(VIDEO, 2 * DAY), ("within",)),
        (Attested("drill", DAY), Attested("drill", DAY, 2, seconded=True), ()),
        (Attested("drill", DAY, seconded=True), Attested("drill", DAY), ("seconded",)),
        (Documents(frozenset({"fire_plan"})), Documents(frozenset({"fire_plan"}), number_required=False), ("number",)),
        (TimeBound("a", "b", DAY), TimeBound("a", "b", DAY, 0.9), ("quantile",)),
        (EACH, DAYS, ("kind",)),
    ],
)
def test_an_overlay_may_tighten_and_never_loosen(base: Requirement, upper: Requirement, loose: tuple[str, ...]) -> None:
    assert looser(rule(upper), rule(base)) == loose
    assert bool(faults(over(base, upper))) == bool(loose)


@given(st.one_of([st.tuples(kind, kind) for kind in drawn.KINDS_ASKED]), drawn.facts)
def test_what_is_called_stricter_is_never_green_where_the_looser_one_is_red(
    two: tuple[Requirement, Requirement], of: InstitutionFacts
) -> None:
    """The comparison of texts must agree with the judge, whatever the facts."""
    for upper, base in (two, two[::-1]):
        if not looser(rule(upper), rule(base)):
            [strict] = check([pack(rule(upper))], of, NOW)
            [loose] = check([pack(rule(base))], of, NOW)
            assert (strict.verdict, loose.verdict) != (Verdict.COMPLIANT, Verdict.NON_COMPLIANT)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"overrides": "ghost"}, "tightens"),
        ({"jurisdiction": ""}, ""),
        ({"basis": Basis.TARGET, "force": Force.POL}, "force"),
        ({"days_to_remedy": 30}, "days_to_remedy"),
        ({"replaces": True, "requirement": DAYS}, "requirement"),
        ({"replaces": True, "requirement": replace(EACH, must_exist=False)}, "requirement.must_exist"),
    ],
)
def test_what_an_overlay_may_not_do_is_said_with_its_key(changes: dict[str, Any], key: str) -> None:
    assert [one.key for one in faults(over(EACH, EACH, **changes))] == ([key] if key else [])


@pytest.mark.parametrize("force", [Force.LAW, Force.GB_MANDATORY])
def test_what_nobody_may_waive_is_not_put_aside_by_what_may_be_waived(force: Force) -> None:
    law = replace(pack(rule(EACH, force)), id="national")
    for upper, refused in ((Force.LOC, True), (Force.NORM, True), (Force.LAW, False), (Force.GB_MANDATORY, False)):
        found = faults([law, *over(EACH, EACH, force=upper)[1:]])
        assert [one.key for one in found] == (["force"] if refused else [])


def test_a_recommendation_may_be_replaced_on_a_ground_by_something_else() -> None:
    advice = rule(EACH, Force.REC, Basis.RECOMMENDATION)
    law = replace(rule(DAYS, id="law"), overrides="r-1", replaces=True)
    packs = [replace(pack(advice), id="n"), replace(pack(law), id="c", overlays="n")]
    assert faults(packs) == ()
    assert [one.rule.id for one in check(packs, site(CAMERA), NOW)] == ["law"]


def test_a_pack_over_nothing_or_over_itself_is_refused() -> None:
    lone = replace(pack(rule(EACH)), overlays="ghost")
    assert [one.key for one in faults([lone])] == ["overlays"]
    one, two = replace(pack(rule(EACH)), id="a", overlays="b"), replace(pack(), id="b", overlays="a")
    assert {fault.key for fault in faults([one, two])} == {"overlays"}


def test_the_stricter_rule_stands_in_only_where_it_holds() -> None:
    packs = over(DAYS, replace(DAYS, minimum=90.0))
    assert [one.rule.id for one in check(packs, site(CAMERA), NOW)] == ["city-1"]
    elsewhere = replace(site(CAMERA), division="3301")
    assert [one.rule.id for one in check(packs, elsewhere, NOW)] == ["r-1"]
    [found] = conflicts(packs)
    assert (found.kind, found.holds) == ("overridden", "city-1")


def ban(force: Force = Force.LAW, basis: Basis = Basis.OBLIGATION) -> Rule:
    return rule(NoneIn(frozenset({"toilet", "nap_room"}), capabilities=VIDEO), force, basis, id="ban")


def test_a_prohibition_takes_its_zones_out_of_what_must_be_covered() -> None:
    everywhere = rule(replace(EACH, zones=frozenset({"activity_room", "toilet"})))
    packs = [pack(everywhere, ban())]
    first, _ = check(packs, site(CAMERA, zones=(ACT, TOILET)), NOW)
    assert first.verdict is Verdict.COMPLIANT
    assert [part.zone for part in first.parts] == [ACT]
    [found] = conflicts(packs)
    assert (found.kind, found.holds) == ("prohibition", "ban")
    assert "某规范" in found.zh
    assert "某规范" in found.en
    only = rule(replace(EACH, zones=frozenset({"toilet"})))
    first, _ = check([pack(only, ban())], site(CAMERA, zones=(ACT, TOILET)), NOW)
    assert (first.verdict, first.reason) == (Verdict.NOT_APPLICABLE, "prohibited")


def test_advice_against_a_camera_takes_nothing_out_of_an_obligation() -> None:
    must = rule(replace(EACH, zones=frozenset({"toilet"})))
    packs = [pack(must, ban(Force.ENG, Basis.RECOMMENDATION))]
    first, _ = check(packs, site(CAMERA, zones=(TOILET,)), NOW)
    assert first.verdict is Verdict.NON_COMPLIANT
    assert conflicts(packs) == ()


def test_two_floors_are_a_conflict_that_the_stricter_wins_and_both_are_cited() -> None:
    packs = [pack(rule(DAYS, id="thirty"), rule(replace(DAYS, minimum=90.0), id="ninety"))]
    [found] = conflicts(packs)
    assert (found.kind, found.holds) == ("strictest", "ninety")
    assert "thirty" in found.en
    assert "90" in found.en
    assert len(check(packs, site(CAMERA), NOW)) == 2


def test_a_floor_above_a_ceiling_is_decided_by_the_greater_basis_or_by_a_person() -> None:
    floor = rule(Bounds("recording_days", 90.0, capabilities=VIDEO), id="floor")
    ceiling = rule(Bounds("recording_days", None, 60.0, capabilities=VIDEO), Force.ENG, Basis.RECOMMENDATION, id="top")
    [found] = conflicts([pack(floor, ceiling)])
    assert (found.kind, found.holds) == ("bounds", "floor")
    assert [one.rule.id for one in check([pack(floor, ceiling)], site(CAMERA), NOW)] == ["floor"]
    equal = replace(ceiling, force=Force.LAW, basis=Basis.OBLIGATION)
    [open_] = conflicts([pack(floor, equal)])
    assert open_.holds == ""
    assert len(check([pack(floor, equal)], site(CAMERA), NOW)) == 2


def test_rules_that_can_never_meet_do_not_contradict_each_other() -> None:
    here, there = replace(rule(DAYS), jurisdiction="14"), replace(rule(replace(DAYS, minimum=90.0)), jurisdiction="33")
    assert conflicts([pack(here, there)]) == ()
    before, after = replace(there, jurisdiction="", until=5), replace(here, jurisdiction="", since=5)
    assert conflicts([pack(before, after)]) == ()
