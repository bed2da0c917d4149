"""The judge, case by case."""

from dataclasses import replace

import pytest

from hub.core.coverage.facts import Contribution, DeviceFact, contribution
from hub.core.coverage.judge import check, placement_warnings, worst
from hub.core.coverage.purposes import (
    FORBIDDEN_FOR_VIDEO,
    INFANT_ZONES,
    ROOMS,
    InstitutionType,
    ZonePurpose,
    purpose_title,
)
from hub.core.coverage.rollup import Tally, coverage, headline, rank, tally, verdicts
from hub.core.coverage.rules import BASIS_OF, Basis, Force, Requirement, Verdict
from hub.model import AdminState, FunctionState, LinkState
from tests.core.coverage_city import (
    ACT,
    CAMERA,
    EACH_ZONE,
    FAILED,
    NAP,
    NO_CAMERA,
    NOW,
    OFFLINE,
    TOILET,
    TWO_ANYWHERE,
    pack,
    rule,
    site,
)

V = Verdict


def verdict(requirement: Requirement, *devices: DeviceFact, **options: object) -> Verdict:
    [finding] = check([pack(rule(requirement))], site(*devices, **options), NOW)  # type: ignore[arg-type]
    return finding.verdict


@pytest.mark.parametrize(
    ("change", "expected", "reason"),
    [
        ({}, Contribution.PROVEN, "ok"),
        ({"function_state": FunctionState.DEGRADED}, Contribution.PROVEN, "degraded"),
        ({"link_state": LinkState.OFFLINE}, Contribution.UNKNOWN, "offline"),
        ({"link_state": LinkState.UNKNOWN}, Contribution.UNKNOWN, "link_unknown"),
        ({"function_state": FunctionState.UNPROVEN}, Contribution.UNKNOWN, "unproven"),
        ({"function_state": FunctionState.FAILED}, Contribution.NONE, "failed"),
        ({"function_state": FunctionState.FAILED, "link_state": LinkState.OFFLINE}, Contribution.NONE, "failed"),
        ({"admin_state": AdminState.OUT_OF_SERVICE}, Contribution.NONE, "out_of_service"),
        ({"admin_state": AdminState.REGISTERED}, Contribution.NONE, "registered"),
        ({"admin_state": AdminState.COMMISSIONED}, Contribution.NONE, "commissioned"),
    ],
)
def test_only_a_device_in_service_that_is_heard_and_works_is_proven(
    change: dict[str, object], expected: Contribution, reason: str
) -> None:
    assert contribution(replace(CAMERA, **change))[:2] == (expected, reason)  # type: ignore[arg-type]


def test_a_zone_with_a_proven_camera_is_compliant() -> None:
    assert verdict(EACH_ZONE, CAMERA) is V.COMPLIANT


def test_a_zone_whose_camera_is_offline_is_unknown() -> None:
    assert verdict(EACH_ZONE, OFFLINE) is V.UNKNOWN


def test_a_zone_whose_camera_failed_is_non_compliant() -> None:
    assert verdict(EACH_ZONE, FAILED) is V.NON_COMPLIANT


def test_one_bad_zone_decides_over_the_good_ones() -> None:
    assert verdict(EACH_ZONE, CAMERA, zones=(ACT, NAP)) is V.NON_COMPLIANT


def test_a_camera_elsewhere_does_not_cover_the_zone() -> None:
    assert verdict(EACH_ZONE, replace(CAMERA, zone="nap"), zones=(ACT,)) is V.NON_COMPLIANT


def test_a_device_without_the_capability_does_not_count() -> None:
    assert verdict(EACH_ZONE, replace(CAMERA, capabilities=frozenset({"fire.smoke"}))) is V.NON_COMPLIANT


def test_two_needed_one_proven_one_offline_is_unknown() -> None:
    assert verdict(TWO_ANYWHERE, CAMERA, replace(OFFLINE, id="cam-2")) is V.UNKNOWN


def test_two_needed_one_proven_one_failed_is_non_compliant() -> None:
    assert verdict(TWO_ANYWHERE, CAMERA, replace(FAILED, id="cam-2")) is V.NON_COMPLIANT


def test_without_a_zone_plan_nothing_per_zone_is_known() -> None:
    assert verdict(EACH_ZONE, CAMERA, zones=()) is V.UNKNOWN
    assert verdict(NO_CAMERA, CAMERA, zones=()) is V.UNKNOWN


def test_a_plan_without_the_zones_that_every_institution_has_is_unknown_not_exempt() -> None:
    assert verdict(EACH_ZONE, zones=(TOILET,)) is V.UNKNOWN
    assert verdict(replace(EACH_ZONE, must_exist=False), zones=(TOILET,)) is V.NOT_APPLICABLE


def test_an_institution_that_is_not_connected_is_unknown_in_every_rule() -> None:
    asked: list[Requirement] = [EACH_ZONE, TWO_ANYWHERE, NO_CAMERA]
    rules = [rule(one, id=f"r-{n}") for n, one in enumerate(asked)]
    found = check([pack(*rules)], site(connected=False), NOW)
    assert {(finding.verdict, finding.reason) for finding in found} == {(V.UNKNOWN, "not_connected")}
    assert "尚未接入" in found[0].sentence_zh


@pytest.mark.parametrize(
    "camera",
    [
        CAMERA,
        OFFLINE,
        FAILED,
        replace(CAMERA, admin_state=AdminState.OUT_OF_SERVICE),
        replace(CAMERA, admin_state=AdminState.REGISTERED, link_state=LinkState.UNKNOWN),
    ],
)
def test_a_camera_in_a_toilet_is_a_violation_whatever_its_state(camera: DeviceFact) -> None:
    assert verdict(NO_CAMERA, replace(camera, zone="wc"), zones=(TOILET, ACT)) is V.NON_COMPLIANT


def test_a_smoke_detector_in_a_toilet_is_fine() -> None:
    detector = replace(CAMERA, kind="smoke_detector", capabilities=frozenset({"fire.smoke"}), zone="wc")
    assert verdict(NO_CAMERA, detector, zones=(TOILET,)) is V.COMPLIANT


def test_a_retired_camera_does_not_hang_there_any_more() -> None:
    assert (
        verdict(NO_CAMERA, replace(CAMERA, zone="wc", admin_state=AdminState.RETIRED), zones=(TOILET,)) is V.COMPLIANT
    )


def test_a_camera_nobody_placed_may_hang_in_the_toilet() -> None:
    assert verdict(NO_CAMERA, replace(CAMERA, zone=None), zones=(TOILET,)) is V.UNKNOWN


def test_no_forbidden_zone_means_not_applicable() -> None:
    assert verdict(NO_CAMERA, CAMERA, zones=(ACT,)) is V.NOT_APPLICABLE


def test_evidence_names_devices_zone_state_and_since_when() -> None:
    [finding] = check([pack(rule(EACH_ZONE))], site(replace(OFFLINE, link_since=NOW - 5)), NOW)
    [part] = finding.parts
    assert part.zone == ACT
    assert (part.needed, part.proven, part.unknown) == (1, 0, 1)
    [evidence] = part.devices
    assert (evidence.device, evidence.reason, evidence.since, evidence.last_heard_at) == (
        "cam-1",
        "offline",
        NOW - 5,
        NOW,
    )


def test_sentences_name_place_device_and_state_in_both_languages() -> None:
    [finding] = check([pack(rule(EACH_ZONE))], site(OFFLINE), NOW)
    assert "活动室一（cam-1 离线）" in finding.sentence_zh
    assert "Activity 1 (cam-1 offline)" in finding.sentence_en


def test_below_a_recommendation_is_never_called_a_violation() -> None:
    [finding] = check([pack(rule(TWO_ANYWHERE, Force.REC, Basis.RECOMMENDATION))], site(), NOW)
    assert finding.verdict is V.NON_COMPLIANT
    assert finding.sentence_zh.startswith("低于建议")
    assert finding.sentence_en.startswith("Below the recommendation")


@pytest.mark.parametrize("requirement", [EACH_ZONE, TWO_ANYWHERE, NO_CAMERA])
@pytest.mark.parametrize("devices", [(), (CAMERA,), (OFFLINE,), (FAILED,), (replace(CAMERA, zone="wc"),)])
def test_every_finding_has_a_sentence_in_both_languages(
    requirement: Requirement, devices: tuple[DeviceFact, ...]
) -> None:
    for zones in ((), (ACT,), (TOILET,), (ACT, NAP, TOILET)):
        [finding] = check([pack(rule(requirement))], site(*devices, zones=zones), NOW)
        assert finding.sentence_zh.endswith("。")
        assert finding.sentence_en.endswith((".", "judged."))


def test_a_long_list_of_zones_is_cut_in_the_sentence_not_in_the_evidence() -> None:
    zones = tuple(replace(ACT, id=f"act-{n}", title_zh=f"活动室{n}", title_en=f"Activity {n}") for n in range(9))
    [finding] = check([pack(rule(EACH_ZONE))], site(zones=zones), NOW)
    assert "另 4 处" in finding.sentence_zh
    assert len(finding.parts) == 9


def test_a_rule_holds_only_in_its_time_place_and_type() -> None:
    held = replace(
        rule(TWO_ANYWHERE), since=100, until=200, jurisdiction="1404", institution_types=frozenset({"employer"})
    )
    assert held.applies("140403", "employer", 100)
    assert held.applies("1404", "employer", 199)
    assert not held.applies("140403", "employer", 99)
    assert not held.applies("140403", "employer", 200)
    assert not held.applies("140503", "employer", 150)
    assert not held.applies("140403", "home_point", 150)


def test_a_rule_that_does_not_apply_gives_no_finding() -> None:
    elsewhere = replace(rule(TWO_ANYWHERE), jurisdiction="33")
    assert check([pack(elsewhere)], site(CAMERA), NOW) == ()


def test_every_force_has_exactly_one_basis() -> None:
    assert BASIS_OF.keys() == set(Force)
    assert BASIS_OF[Force.POL] is Basis.TARGET


def test_the_worst_verdict_decides_and_not_applicable_does_not_count() -> None:
    assert worst([V.COMPLIANT, V.UNKNOWN, V.NON_COMPLIANT]) is V.NON_COMPLIANT
    assert worst([V.COMPLIANT, V.UNKNOWN]) is V.UNKNOWN
    assert worst([V.COMPLIANT, V.NOT_APPLICABLE]) is V.COMPLIANT
    assert worst([V.NOT_APPLICABLE]) is V.NOT_APPLICABLE
    assert worst([]) is V.NOT_APPLICABLE


def test_a_rate_has_the_unknown_in_its_denominator() -> None:
    counted = tally([V.COMPLIANT] * 2 + [V.UNKNOWN, V.NON_COMPLIANT, V.NOT_APPLICABLE])
    assert counted == Tally(compliant=2, non_compliant=1, unknown=1, not_applicable=1)
    assert counted.rate == 0.5
    assert tally([V.NOT_APPLICABLE]).rate is None


def test_the_three_figures_are_never_mixed() -> None:
    rules = (
        rule(TWO_ANYWHERE, id="must"),
        rule(TWO_ANYWHERE, Force.POL, Basis.TARGET, id="aim"),
        rule(EACH_ZONE, Force.REC, Basis.RECOMMENDATION, id="may"),
    )
    figures = coverage(check([pack(*rules)], site(CAMERA), NOW))
    assert figures[Basis.OBLIGATION] == Tally(non_compliant=1)
    assert figures[Basis.TARGET] == Tally(non_compliant=1)
    assert figures[Basis.RECOMMENDATION] == Tally(compliant=1)
    assert verdicts(check([pack(*rules)], site(CAMERA), NOW))[Basis.RECOMMENDATION] is V.COMPLIANT


def test_obligations_give_the_one_word_and_the_target_only_where_there_are_none() -> None:
    words = {Basis.OBLIGATION: V.COMPLIANT, Basis.TARGET: V.NON_COMPLIANT, Basis.RECOMMENDATION: V.NON_COMPLIANT}
    assert headline(words) is V.COMPLIANT
    assert headline({**words, Basis.OBLIGATION: V.NOT_APPLICABLE}) is V.NON_COMPLIANT


def test_what_is_not_connected_is_listed_before_everything_then_the_worst() -> None:
    listed = [V.NON_COMPLIANT, V.UNKNOWN, V.WAIVED, V.COMPLIANT, V.NOT_APPLICABLE]
    assert [rank(True, verdict) for verdict in listed] == [1, 2, 3, 4, 5]
    assert {rank(False, verdict) for verdict in V} == {0}


def test_a_camera_in_a_toilet_is_warned_of_with_document_and_clause() -> None:
    asked = {"division": "1404", "institution_type": "employer", "capabilities": ["video.live"], "at": NOW}
    forbidden = replace(NO_CAMERA, capabilities=frozenset({"video.live"}))
    [warning] = placement_warnings([pack(rule(forbidden, Force.LAW))], purpose="toilet", **asked)  # type: ignore[arg-type]
    assert (warning.document, warning.clause) == ("某规范", "第一条")
    assert "卫生间" in warning.zh
    assert "某规范 No. 1 第一条" in warning.zh
    assert "toilet" in warning.en
    assert placement_warnings([pack(rule(forbidden))], purpose="corridor", **asked) == ()  # type: ignore[arg-type]


def test_the_sets_of_zones_do_not_contradict_each_other() -> None:
    assert not FORBIDDEN_FOR_VIDEO & INFANT_ZONES
    assert ZonePurpose.NAP_ROOM in ROOMS
    assert ZonePurpose.OUTDOOR_PLAY not in ROOMS


def test_every_purpose_and_type_has_both_names() -> None:
    assert all(one.zh and one.en for one in ZonePurpose)
    assert all(one.zh and one.en for one in InstitutionType)
    assert purpose_title("never heard of") == ("never heard of", "never heard of")
