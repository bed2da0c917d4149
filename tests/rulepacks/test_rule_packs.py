"""Rule packs: the shipped ones hold against their fixtures, and what is badly written is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.config import data_folder
from hub.core.coverage.judge import placement_warnings
from hub.core.coverage.purposes import FORBIDDEN_FOR_VIDEO, InstitutionType, ZonePurpose
from hub.core.coverage.rules import AtLeast, Basis, Force, NoneIn
from hub.errors import BadInput
from hub.model import to_datetime
from hub.profiles import load_profiles
from hub.rulepack_fixtures import failures, load_fixtures
from hub.rulepacks import load_rule_packs, parse_rule_pack

FOLDERS = [data_folder("rule-packs")]
PACKS = load_rule_packs(FOLDERS)
RULES = {rule.id: rule for pack in PACKS for rule in pack.rules}
NOW = 1_795_000_000_000_000


def test_every_rule_passes_and_fails_where_its_fixtures_say_so() -> None:
    assert failures(PACKS, load_fixtures(FOLDERS)) == []


def test_a_rule_without_fixtures_is_refused() -> None:
    fixtures = load_fixtures(FOLDERS)
    del fixtures["changzhi-panic"]
    assert failures(PACKS, fixtures) == ["changzhi-panic: the rule has no fixtures"]


def test_a_fixture_that_is_judged_otherwise_is_named() -> None:
    fixtures = load_fixtures(FOLDERS)
    one = fixtures["changzhi-panic"]
    fixtures["changzhi-panic"] = one.model_copy(update={"passes": one.fails})
    [first, *_] = failures(PACKS, fixtures)
    assert "changzhi-panic: none: non_compliant, not compliant" in first


def test_a_fixture_needs_a_pass_and_a_fail(tmp_path: Path) -> None:
    (tmp_path / "fixtures").mkdir()
    site = {"name": "x", "type": "employer"}
    (tmp_path / "fixtures" / "r.yaml").write_text(yaml.safe_dump({"rule": "r", "day": "2026-11-21", "pass": [site]}))
    with pytest.raises(BadInput, match=r"r\.yaml: fail"):
        load_fixtures([tmp_path])


def test_a_fixture_stands_in_the_file_of_its_rule(tmp_path: Path) -> None:
    (tmp_path / "fixtures").mkdir()
    site = {"name": "x", "type": "employer"}
    document = {"rule": "other", "day": "2026-11-21", "pass": [site], "fail": [site]}
    (tmp_path / "fixtures" / "r.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(BadInput, match=r"other\.yaml"):
        load_fixtures([tmp_path])


def test_changzhis_four_modules_are_a_target_in_changzhi_only() -> None:
    modules = [rule for rule in RULES.values() if rule.id.startswith("changzhi-")]
    assert {rule.module.value for rule in modules} == {"video", "panic", "access", "fire"}
    assert len(modules) == 5, "of video two: a camera in each zone, and what it sees"
    for rule in modules:
        assert (rule.force, rule.basis) == (Force.POL, Basis.TARGET)
        assert rule.applies("140403001", "public_comprehensive", NOW)
        assert not rule.applies("3301", "public_comprehensive", NOW)


def test_every_type_of_institution_is_held_to_something_everywhere() -> None:
    for one in InstitutionType:
        assert any(rule.applies("33", one.value, NOW) for rule in RULES.values()), one


def test_the_prohibition_holds_everybody_and_wins_over_every_video_rule() -> None:
    rule = RULES["national-video-forbidden"]
    assert rule.force is Force.LAW
    assert isinstance(rule.requirement, NoneIn)
    assert rule.requirement.zones == FORBIDDEN_FOR_VIDEO
    for one in InstitutionType:
        assert rule.applies("14", one.value, NOW)
    for other in RULES.values():
        if isinstance(other.requirement, AtLeast) and "video.live" in other.requirement.capabilities:
            assert not other.requirement.zones & FORBIDDEN_FOR_VIDEO


def test_the_law_holds_from_its_first_day_in_china() -> None:
    since = to_datetime(RULES["national-video-forbidden"].since)
    assert since.isoformat() == "2025-03-31T16:00:00+00:00"


def test_every_capability_of_a_rule_is_offered_by_some_profile() -> None:
    offered = {
        one for profile in load_profiles([data_folder("device-profiles")]).values() for one in profile.capabilities
    }
    for rule in RULES.values():
        assert getattr(rule.requirement, "capabilities", frozenset()) <= offered, rule.id


def test_a_plan_that_puts_a_camera_into_a_toilet_is_warned_with_the_law() -> None:
    for purpose in ZonePurpose:
        warnings = placement_warnings(
            PACKS,
            division="140403",
            institution_type="home_point",
            purpose=purpose,
            capabilities=("video.live",),
            at=NOW,
        )
        if purpose in FORBIDDEN_FOR_VIDEO:
            [warning] = warnings
            assert warning.clause == "第八条"
            assert "799" in warning.number
            assert warning.clause in warning.zh
            assert warning.clause in warning.en
        else:
            assert warnings == ()


def test_nothing_is_warned_of_before_the_law_was_in_force() -> None:
    before = RULES["national-video-forbidden"].since - 1
    assert (
        placement_warnings(
            PACKS, division="14", institution_type="station", purpose="toilet", capabilities=["video.live"], at=before
        )
        == ()
    )


GOOD_RULE: dict[str, Any] = {
    "id": "r-1",
    "clause_id": "VID-03",
    "module": "video",
    "document": "某规范",
    "clause": "第一条",
    "force": "NORM",
    "basis": "obligation",
    "confidence": "V3",
    "effective_from": "2024-01-01",
    "title": {"zh": "标题", "en": "title"},
    "days_to_remedy": 7,
    "requirement": {"at_least": {"capability": "video.live", "per": "zone", "zones": "infant_zones"}},
}


def written(**change: object) -> dict[str, Any]:
    return {
        "pack": "p",
        "version": "2026.11.1",
        "title": {"zh": "包", "en": "pack"},
        "rules": [{**GOOD_RULE, **change}],
    }


def test_a_single_capability_and_the_name_of_a_set_may_be_written_short() -> None:
    [rule] = parse_rule_pack(written(), "p.yaml").rules
    assert isinstance(rule.requirement, AtLeast)
    assert rule.requirement.capabilities == {"video.live"}
    assert "nap_room" in rule.requirement.zones


def test_the_last_day_of_a_rule_still_belongs_to_it() -> None:
    [rule] = parse_rule_pack(written(effective_to="2024-12-31"), "p.yaml").rules
    assert rule.until is not None
    assert to_datetime(rule.until).isoformat() == "2024-12-31T16:00:00+00:00"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, "rules.0.colour"),
        ({"force": "MUST"}, "rules.0.force"),
        ({"basis": "target"}, "obligation"),
        ({"force": "POL", "basis": "target"}, "jurisdiction"),
        ({"force": "REC"}, "recommendation"),
        ({"confidence": "I"}, "no obligation"),
        ({"effective_to": "2023-01-01"}, "effective_to"),
        ({"clause_id": "video"}, "clause_id"),
        ({"institution_types": ["castle"]}, "institution_types"),
        ({"jurisdiction": "山西"}, "jurisdiction"),
        ({"title": {"zh": "只有中文"}}, "title.en"),
        ({"requirement": {}}, "exactly one"),
        ({"requirement": {"at_least": {"capability": "video.live", "per": "zone"}}}, "zones"),
        ({"requirement": {"at_least": {"capability": [], "per": "institution"}}}, "capability"),
        ({"requirement": {"at_least": {"capability": "video.live", "per": "zone", "zones": "moon"}}}, "zones"),
        ({"requirement": {"at_least": {"capability": "video.live", "per": "institution", "n": 0}}}, "at_least.n"),
        ({"requirement": {"none_in": {"zones": ["toilet"]}}}, "forbids nothing"),
        ({"requirement": {"none_in": {"zones": ["toilet"], "kinds": ["ghost"]}}}, "kinds"),
    ],
)
def test_a_badly_written_rule_is_refused_with_file_and_key(change: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=r"p\.yaml") as refused:
        parse_rule_pack(written(**change), "p.yaml")
    assert said in str(refused.value)


def test_a_rule_or_pack_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(written()))
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(written()))
    with pytest.raises(BadInput, match=r"pack 'p' stands in .*a\.yaml too"):
        load_rule_packs([tmp_path])
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({**written(), "pack": "q"}))
    with pytest.raises(BadInput, match="rule 'r-1' stands in"):
        load_rule_packs([tmp_path])


def test_broken_yaml_is_refused_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("pack: [")
    with pytest.raises(BadInput, match=r"a\.yaml"):
        load_rule_packs([tmp_path])
