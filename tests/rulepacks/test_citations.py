"""What the shipped rules cite: every citation stands in the index of the catalogue's keys, and nothing claims more than was read."""

import re
from collections import Counter
from pathlib import Path

import pytest

from hub.clauses import gaps, load_clauses
from hub.config import data_folder
from hub.core.coverage.attestations import CIRCUMSTANCES, AttestationKind
from hub.core.coverage.requirements import Attested, Bounds, Documents, TimeBound
from hub.core.coverage.rules import Basis, Force
from hub.errors import BadInput
from hub.profiles import load_profiles
from hub.rulepacks import load_rule_packs

FOLDER = data_folder("rule-packs")
PACKS = load_rule_packs([FOLDER])
RULES = [rule for pack in PACKS for rule in pack.rules]
INTERVALS = {
    "detector-centre",
    "detector-people",
    "press-centre",
    "press-people",
    "centre-people",
    "people-acknowledged",
}


def test_the_index_has_each_line_once() -> None:
    index = load_clauses([FOLDER])
    assert index is not None
    assert len(set(index.clauses)) == len(index.clauses)
    assert len(index.keys) > 200


def test_what_was_not_read_is_an_internal_parameter() -> None:
    for rule in RULES:
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


def test_a_rule_has_both_titles_in_our_own_words_and_a_time_to_remedy() -> None:
    for rule in RULES:
        assert rule.title_zh != rule.title_en
        assert any("一" <= sign <= "鿿" for sign in rule.title_zh)
        assert rule.title_en.isascii() or "m²" in rule.title_en
        assert rule.days_to_remedy > 0 or rule.force is Force.LAW


def test_what_a_rule_asks_for_is_something_that_the_hub_can_be_told() -> None:
    for rule in RULES:
        known = {kind.value for kind in AttestationKind} | {"legal_hold"}
        match rule.requirement:
            case Attested(kind=kind):
                assert kind in known
            case Documents(kinds=kinds):
                assert kinds <= known
            case TimeBound():
                assert rule.requirement.interval in INTERVALS
            case Bounds(of="point", point=point):
                assert any(
                    point in profile.points for profile in load_profiles([data_folder("device-profiles")]).values()
                )


def test_a_local_rule_holds_in_its_place_alone() -> None:
    places = {pack.id: {rule.jurisdiction for rule in pack.rules} for pack in PACKS}
    assert places["beijing"] == {"11"}
    assert places["changzhi-2024"] == {"1404"}
    assert places["linan-station-2022"] == {"330112"}
    # a standard of a place is recommended there and nowhere else
    elsewhere = {(rule.force, rule.jurisdiction) for rule in RULES if rule.force not in (Force.LOC, Force.POL)}
    assert {place for _, place in elsewhere} == {"", "11"}
    assert {force for force, place in elsewhere if place} == {Force.REC}


def test_the_database_takes_every_kind_of_statement() -> None:
    for kind in AttestationKind:
        assert re.fullmatch(r"[a-z][a-z_]{0,39}", kind.value), kind  # migration 0040, attestation_kind_check
    names = {(name, kind) for kind in AttestationKind for name in (kind.value, kind.zh, kind.en)}
    assert len({name for name, _ in names}) == len(names)  # no name of one is another's


def test_every_clause_of_the_index_is_judged_by_a_rule_or_has_its_reason() -> None:
    index = load_clauses([FOLDER])
    assert index is not None
    assert gaps(index, PACKS) == []
    for rule in RULES:
        if rule.when is not None and rule.when.stated:
            assert rule.when.stated in CIRCUMSTANCES


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{id: DRL-17, reason: supervisor}", "{id: DRL-18, reason: supervisor}", "DRL-17: no rule cites it"),
        (
            "{id: DRL-17, reason: supervisor}",
            "{id: DRL-16, reason: supervisor}",
            "DRL-16: a reason is given why no rule",
        ),
        ("{id: DRL-17, reason: supervisor}", "{id: DRL-99, reason: supervisor}", "DRL-99: a reason is given for what"),
        ("{id: DRL-17, reason: supervisor}", "{id: DRL-17, reason: laziness}", "DRL-17: there is no reason 'laziness'"),
        (
            "{id: FIR-48, reason: same, rules: [gbt45839-history]}",
            "{id: FIR-48, reason: same}",
            "FIR-48: names no rule",
        ),
        ("[changzhi-video,", "[changzhi-radio,", "VID-02: there is no rule 'changzhi-radio'"),
        ("clause: 第八条,", "clause: 第九条,", "national-video-forbidden: what it cites of VID-11 is no line"),
    ],
)
def test_a_clause_that_nobody_answers_for_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (FOLDER / "clauses.yaml").read_text("utf-8")
    assert old in text
    (tmp_path / "clauses.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    index = load_clauses([tmp_path])
    assert index is not None
    assert any(line.startswith(said) for line in gaps(index, PACKS))


def test_an_index_that_is_badly_written_is_refused_with_its_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "clauses.yaml").write_text(
        "clauses: [{id: X-1, document: d, clause: c, confidence: V3}]\nreasons: {}\n"
    )
    with pytest.raises(BadInput, match=r"clauses\.yaml: clauses\.0\.id"):
        load_clauses([tmp_path])
    assert load_clauses([tmp_path / "nowhere"]) is None
