"""The demo's manifests under the shipped rules: what the scenario shows must follow from them."""

from pathlib import Path
from typing import Any

import yaml

from hub.config import data_folder
from hub.core.coverage.facts import Attestation, DeviceFact, InstitutionFacts, View, ZoneFact
from hub.core.coverage.judge import check
from hub.core.coverage.requirements import AtLeast, NoneIn
from hub.core.coverage.rollup import verdicts
from hub.core.coverage.rules import Basis, Verdict
from hub.model import AdminState, FunctionState, LinkState
from hub.profiles import load_profiles
from hub.rulepacks import load_rule_packs

MANIFESTS = Path(__file__).resolve().parents[2] / "provisioning" / "manifests"
PROFILES = load_profiles([data_folder("device-profiles")])
PACKS = load_rule_packs([data_folder("rule-packs")])
NOW = 1_795_000_000_000_000
COOKS_WITHOUT_GAS = Attestation("gas", "gas_in_use", NOW, value=0.0)
"""as the demo's regulator states it"""


def institution(folder: str, id: str) -> dict[str, Any]:
    documents = [yaml.safe_load(path.read_text("utf-8")) for path in sorted((MANIFESTS / folder).glob("*.yaml"))]
    [found] = [one for document in documents for one in document.get("institutions", ()) if one["id"] == id]
    return dict(found)


def facts(of: dict[str, Any], offline: str = "") -> InstitutionFacts:
    """Everything commissioned and working, what cameras see attested, but for one device that is offline."""
    zones = tuple(
        ZoneFact(one["id"], one["purpose"], one["title"]["zh"], one["title"]["en"], area_m2=one.get("area_m2"))
        for one in of["zones"]
    )
    zone_of = {one["id"]: one["zone"] for one in of["positions"]}
    sees = {
        one["id"]: tuple(
            View(view["zone"], view["share"], NOW, view.get("masked", False)) for view in one.get("sees", ())
        )
        for one in of["positions"]
    }
    devices = []
    for one in of["devices"]:
        profile = PROFILES[one["profile"]]
        link = LinkState.OFFLINE if one["id"] == offline else LinkState.ONLINE
        devices.append(
            DeviceFact(
                one["id"], profile.kind.value, zone_of[one["position"]], frozenset(profile.capabilities),
                AdminState.IN_SERVICE, NOW, link, NOW, FunctionState.OK, NOW, NOW, sees=sees[one["position"]],
            )
        )  # fmt: skip
    return InstitutionFacts(
        of["id"], of["division"], of["type"], True, zones, tuple(devices), attestations=(COOKS_WITHOUT_GAS,)
    )


def judged(of: InstitutionFacts, requirement: type[AtLeast | NoneIn]) -> set[Verdict]:
    """Of the obligations that ask for this kind of thing and apply."""
    found = [one for one in check(PACKS, of, NOW) if one.basis is Basis.OBLIGATION]
    asked = {one.verdict for one in found if isinstance(one.rule.requirement, requirement)}
    return asked - {Verdict.NOT_APPLICABLE}


def test_the_centre_has_every_device_that_it_must_while_all_of_them_work_and_meets_the_target() -> None:
    centre = facts(institution("demo", "demo-center"))
    assert judged(centre, AtLeast) == judged(centre, NoneIn) == {Verdict.COMPLIANT}
    assert verdicts(check(PACKS, centre, NOW))[Basis.TARGET] is Verdict.COMPLIANT


def test_what_nobody_stated_of_the_centre_is_unknown_and_no_violation() -> None:
    found = verdicts(check(PACKS, facts(institution("demo", "demo-center")), NOW))
    assert found[Basis.OBLIGATION] is Verdict.UNKNOWN


def test_an_unplugged_camera_turns_the_centre_to_unknown() -> None:
    unplugged = facts(institution("demo", "demo-center"), offline="center-cam-activity")
    found = verdicts(check(PACKS, unplugged, NOW))
    assert judged(unplugged, AtLeast) == {Verdict.UNKNOWN, Verdict.COMPLIANT}
    assert found[Basis.TARGET] is Verdict.UNKNOWN


def test_the_camera_in_the_toilet_makes_the_centre_non_compliant_by_law() -> None:
    found = check(PACKS, facts(institution("demo-toilet", "demo-center")), NOW)
    broken = [one for one in found if one.verdict is Verdict.NON_COMPLIANT and one.basis is Basis.OBLIGATION]
    assert [one.rule.clause_id for one in broken] == ["VID-11"]
    assert "幼儿卫生间" in broken[0].sentence_zh


def test_every_institution_of_the_demo_has_findings_of_an_obligation() -> None:
    for id in ("demo-center", "demo-point", "demo-home"):
        found = verdicts(check(PACKS, facts(institution("demo", id)), NOW))
        assert found[Basis.OBLIGATION] is not Verdict.NOT_APPLICABLE, id
