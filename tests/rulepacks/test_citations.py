"""What the shipped rules cite: every citation stands in the index of the catalogue's keys, and nothing claims more than was read."""

from collections import Counter
from typing import Any

import pytest
import yaml

from hub.config import data_folder
from hub.core.coverage.attestations import AttestationKind
from hub.core.coverage.requirements import Attested, Bounds, Documents, TimeBound
from hub.core.coverage.rules import Basis, Force, Rule
from hub.profiles import load_profiles
from hub.rulepacks import load_rule_packs

FOLDER = data_folder("rule-packs")
PACKS = load_rule_packs([FOLDER])
RULES = [rule for pack in PACKS for rule in pack.rules]
INDEX: list[dict[str, Any]] = yaml.safe_load((FOLDER / "clauses.yaml").read_text("utf-8"))["clauses"]
LINES = {(one["id"], one["document"], one.get("number", ""), one["clause"], one["confidence"]) for one in INDEX}
INTERVALS = {
    "detector-centre",
    "detector-people",
    "press-centre",
    "press-people",
    "centre-people",
    "people-acknowledged",
}
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


def test_the_index_has_each_line_once_and_a_confidence_for_each() -> None:
    assert len(LINES) == len(INDEX)
    assert all(one["confidence"] in ("V1", "V2", "V3", "R", "I") for one in INDEX)
    assert len({one["id"] for one in INDEX}) > 200


@each_rule
def test_what_a_rule_cites_is_a_line_of_the_index_with_its_confidence(rule: Rule) -> None:
    assert (rule.clause_id, rule.document, rule.number, rule.clause, rule.confidence) in LINES


@each_rule
def test_what_was_not_read_is_an_internal_parameter(rule: Rule) -> None:
    if rule.confidence in ("R", "I") or rule.document == "内部参数":
        assert (rule.force, rule.basis) == (Force.ENG, Basis.RECOMMENDATION)
    else:
        assert rule.force is not Force.ENG


def test_internal_parameters_stand_in_the_pack_of_that_name_alone() -> None:
    assert {pack.id for pack in PACKS for rule in pack.rules if rule.force is Force.ENG} == {"internal"}
    [internal] = [pack for pack in PACKS if pack.id == "internal"]
    assert all(rule.id.startswith("internal-") and rule.force is Force.ENG for rule in internal.rules)


def test_what_the_project_asks_of_packs_is_there() -> None:
    assert {pack.id for pack in PACKS} >= {
        "national", "gbt45839", "wst821-870", "changzhi-2024", "linan-station-2022", "beijing", "internal",
    }  # fmt: skip
    assert {pack.id: pack.overlays for pack in PACKS}["beijing"] == "national"
    modules = Counter(rule.module.value for pack in PACKS if pack.id == "national" for rule in pack.rules)
    assert {"video", "panic", "access", "fire", "retention", "privacy"} <= set(modules)


@each_rule
def test_a_rule_has_both_titles_in_our_own_words_and_a_time_to_remedy(rule: Rule) -> None:
    assert rule.title_zh != rule.title_en
    assert any("一" <= sign <= "鿿" for sign in rule.title_zh)
    assert rule.title_en.isascii() or "m²" in rule.title_en
    assert rule.days_to_remedy > 0 or rule.force is Force.LAW


@each_rule
def test_what_a_rule_asks_for_is_something_that_the_hub_can_be_told(rule: Rule) -> None:
    known = {kind.value for kind in AttestationKind} | {"legal_hold"}
    match rule.requirement:
        case Attested(kind=kind):
            assert kind in known
        case Documents(kinds=kinds):
            assert kinds <= known
        case TimeBound():
            assert rule.requirement.interval in INTERVALS
        case Bounds(of="point", point=point):
            assert any(point in profile.points for profile in load_profiles([data_folder("device-profiles")]).values())


def test_a_local_rule_holds_in_its_place_alone() -> None:
    places = {pack.id: {rule.jurisdiction for rule in pack.rules} for pack in PACKS}
    assert places["beijing"] == {"11"}
    assert places["changzhi-2024"] == {"1404"}
    assert places["linan-station-2022"] == {"330112"}
    assert {rule.jurisdiction for rule in RULES if rule.force not in (Force.LOC, Force.POL)} == {""}
