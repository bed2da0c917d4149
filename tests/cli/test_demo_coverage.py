"""The demo's city as the shipped rules judge it: what its manifests promise to the demo's scenario."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from hub.config import data_folder
from hub.core.coverage.facts import DeviceFact, InstitutionFacts, View, ZoneFact
from hub.core.coverage.judge import check
from hub.core.coverage.rules import Basis, Verdict
from hub.manifest import Institution, Manifest
from hub.model import AdminState, FunctionState, LinkState, to_micros
from hub.profiles import load_profiles
from hub.rulepacks import CHINA, load_rule_packs
from provisioning.sources import read_manifest
from tests.cli.conftest import DEMO, ENVIRONMENT

PROFILES = load_profiles([data_folder("device-profiles")])
TODAY = to_micros(datetime(2026, 11, 21, tzinfo=CHINA))
PACKS = load_rule_packs([data_folder("rule-packs")])


def institution_of(path: Path, name: str) -> Institution:
    content = read_manifest([path], ENVIRONMENT).content
    return next(one for one in Manifest.model_validate(content).institutions if one.id == name)


def facts_of(institution: Institution) -> InstitutionFacts:
    """Everything in service, online and proven, and what cameras see attested."""
    zone_of = {position.id: position.zone for position in institution.positions}
    seen = {
        position.id: tuple(View(one.zone, one.share, TODAY, one.masked) for one in position.sees)
        for position in institution.positions
    }
    devices = tuple(
        DeviceFact(
            id=device.id,
            kind=PROFILES[device.profile].kind,
            zone=zone_of.get(device.position or ""),
            capabilities=frozenset(PROFILES[device.profile].capabilities),
            admin_state=AdminState.IN_SERVICE,
            admin_since=0,
            link_state=LinkState.ONLINE,
            link_since=0,
            function_state=FunctionState.OK,
            function_since=0,
            last_heard_at=TODAY,
            sees=seen.get(device.position or "", ()),
        )
        for device in institution.devices
    )
    zones = tuple(ZoneFact(zone.id, zone.purpose, zone.title.zh, zone.title.en) for zone in institution.zones)
    return InstitutionFacts(institution.id, institution.division, institution.type, True, zones, devices)


def verdicts(facts: InstitutionFacts) -> dict[tuple[Basis, str], Verdict]:
    found = check(PACKS, facts, TODAY)
    return {(one.rule.basis, one.rule.id): one.verdict for one in found}


def test_the_centre_meets_the_target_and_breaks_no_obligation_when_all_of_it_is_online() -> None:
    found = verdicts(facts_of(institution_of(DEMO / "demo", "demo-center")))
    assert [verdict for (basis, _), verdict in found.items() if basis is Basis.TARGET] == [Verdict.COMPLIANT] * 5
    assert Verdict.NON_COMPLIANT not in [verdict for (basis, _), verdict in found.items() if basis is Basis.OBLIGATION]
    assert found[Basis.OBLIGATION, "national-video-infant-zones"] is Verdict.COMPLIANT


def test_without_a_camera_the_centre_is_unknown() -> None:
    facts = facts_of(institution_of(DEMO / "demo", "demo-center"))
    gone = [
        replace(device, link_state=LinkState.OFFLINE) if device.id == "center-cam-activity" else device
        for device in facts.devices
    ]
    found = verdicts(replace(facts, devices=tuple(gone)))
    assert found[Basis.TARGET, "changzhi-video"] is Verdict.UNKNOWN
    assert found[Basis.OBLIGATION, "national-video-infant-zones"] is Verdict.UNKNOWN


def test_with_a_camera_in_the_toilet_the_centre_breaks_a_law() -> None:
    found = verdicts(facts_of(institution_of(DEMO / "demo-toilet", "demo-center")))
    broken = {
        rule for rule, verdict in found.items() if verdict is Verdict.NON_COMPLIANT and rule[0] is Basis.OBLIGATION
    }
    assert broken == {(Basis.OBLIGATION, "national-video-forbidden")}


def test_the_home_based_point_is_compliant_and_the_community_point_misses_the_citys_target() -> None:
    home = verdicts(facts_of(institution_of(DEMO / "demo", "demo-home")))
    assert Verdict.NON_COMPLIANT not in [
        verdict for (basis, _), verdict in home.items() if basis is not Basis.RECOMMENDATION
    ]
    point = verdicts(facts_of(institution_of(DEMO / "demo", "demo-point")))
    assert point[Basis.TARGET, "changzhi-video"] is Verdict.NON_COMPLIANT
