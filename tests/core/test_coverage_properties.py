"""What must hold of every verdict, whatever the facts: never green on silence."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.facts import Contribution, DeviceFact, InstitutionFacts, ZoneFact, contribution
from hub.core.coverage.judge import check
from hub.core.coverage.rollup import coverage
from hub.core.coverage.rules import AtLeast, NoneIn, Requirement, Verdict
from hub.model import AdminState, FunctionState, LinkState
from tests.core.coverage_city import CAMERA, NOW, pack, rule

_ZONES = (
    ZoneFact("a", "activity_room", "甲", "A"),
    ZoneFact("b", "nap_room", "乙", "B"),
    ZoneFact("c", "toilet", "丙", "C"),
)
_GREEN = {Verdict.NON_COMPLIANT: 0, Verdict.UNKNOWN: 1, Verdict.COMPLIANT: 2}

capabilities = st.frozensets(st.sampled_from(["video.live", "fire.smoke", "alarm.manual"]), max_size=2)
device = st.builds(
    DeviceFact,
    id=st.text("abcdefgh", min_size=1, max_size=4),
    kind=st.sampled_from(["camera", "smoke_detector", "panic_button"]),
    zone=st.sampled_from([None, "a", "b", "c"]),
    capabilities=capabilities,
    admin_state=st.sampled_from(AdminState),
    admin_since=st.just(NOW),
    link_state=st.sampled_from(LinkState),
    link_since=st.just(NOW),
    function_state=st.sampled_from(FunctionState),
    function_since=st.just(NOW),
    last_heard_at=st.just(NOW),
)
devices = st.lists(device, max_size=8, unique_by=lambda one: one.id)
zones = st.lists(st.sampled_from(_ZONES), unique=True).map(tuple)
facts = st.builds(
    lambda places, found: InstitutionFacts("i", "14", "employer", True, places, tuple(found)), zones, devices
)
purposes = st.frozensets(st.sampled_from(["activity_room", "nap_room", "toilet"]), min_size=1)
some_capabilities = st.frozensets(st.sampled_from(["video.live", "fire.smoke"]), min_size=1)
at_least = st.builds(
    AtLeast, some_capabilities, st.integers(1, 3), st.sampled_from(["institution", "zone"]), purposes, st.booleans()
)
none_in = st.builds(NoneIn, purposes, st.just(frozenset({"camera"})), some_capabilities)
requirements: st.SearchStrategy[Requirement] = st.one_of(at_least, none_in)


def judged(requirement: Requirement, of: InstitutionFacts) -> Verdict:
    [finding] = check([pack(rule(requirement))], of, NOW)
    return finding.verdict


@given(requirements, facts, st.randoms(use_true_random=False))
def test_order_of_devices_and_zones_changes_nothing(
    requirement: Requirement, of: InstitutionFacts, dice: random.Random
) -> None:
    shuffled = replace(
        of, devices=tuple(dice.sample(of.devices, len(of.devices))), zones=tuple(dice.sample(of.zones, len(of.zones)))
    )
    packs = [pack(rule(requirement))]
    assert check(packs, of, NOW) == check(packs, shuffled, NOW)


@given(requirements, facts, device)
def test_adding_a_device_that_proves_nothing_never_makes_it_greener(
    requirement: Requirement, of: InstitutionFacts, added: DeviceFact
) -> None:
    useless = replace(added, id="zzzzz", function_state=FunctionState.FAILED)
    before, after = judged(requirement, of), judged(requirement, replace(of, devices=(*of.devices, useless)))
    if before in _GREEN and after in _GREEN:
        assert _GREEN[after] <= _GREEN[before]
    else:  # a camera nobody placed makes a rule of forbidden zones unknown where there were none
        assert (before, after) in {
            (Verdict.NOT_APPLICABLE, Verdict.NOT_APPLICABLE),
            (Verdict.NOT_APPLICABLE, Verdict.UNKNOWN),
        }


@given(at_least, facts)
def test_taking_a_device_away_never_makes_it_greener(requirement: AtLeast, of: InstitutionFacts) -> None:
    before = judged(requirement, of)
    for gone in of.devices:
        after = judged(requirement, replace(of, devices=tuple(one for one in of.devices if one != gone)))
        if before in _GREEN:
            assert _GREEN[after] <= _GREEN[before]
        else:
            assert after is before


@given(at_least, facts)
def test_when_every_device_goes_silent_nothing_is_compliant(requirement: AtLeast, of: InstitutionFacts) -> None:
    silent = replace(of, devices=tuple(replace(one, link_state=LinkState.OFFLINE) for one in of.devices))
    assert judged(requirement, silent) is not Verdict.COMPLIANT


@given(at_least, facts)
def test_losing_one_contributing_device_where_it_is_needed_ends_compliant(
    requirement: AtLeast, of: InstitutionFacts
) -> None:
    [finding] = check([pack(rule(requirement))], of, NOW)
    for part in finding.parts:
        proven = {row.device for row in part.devices if row.contribution is Contribution.PROVEN}
        if len(proven) != requirement.n:
            continue
        for lost in proven:
            cut = tuple(replace(one, link_state=LinkState.OFFLINE) if one.id == lost else one for one in of.devices)
            assert judged(requirement, replace(of, devices=cut)) is not Verdict.COMPLIANT


@given(at_least, facts)
def test_compliant_means_enough_proven_devices_everywhere(requirement: AtLeast, of: InstitutionFacts) -> None:
    [finding] = check([pack(rule(requirement))], of, NOW)
    if finding.verdict is Verdict.COMPLIANT:
        assert finding.parts
        by_id = {one.id: one for one in of.devices}
        for part in finding.parts:
            counted = [row.device for row in part.devices if contribution(by_id[row.device])[0] == "proven"]
            assert len(counted) >= requirement.n


@given(none_in, facts)
def test_no_state_of_a_device_excuses_it_from_a_forbidden_zone(requirement: NoneIn, of: InstitutionFacts) -> None:
    camera = replace(CAMERA, id="zzzzz", zone="c")
    there = replace(of, zones=_ZONES, devices=(*of.devices, camera))
    assert judged(replace(requirement, zones=frozenset({"toilet"})), there) is Verdict.NON_COMPLIANT


@given(requirements, facts)
def test_what_is_not_connected_is_unknown_whatever_is_known_of_it(
    requirement: Requirement, of: InstitutionFacts
) -> None:
    assert judged(requirement, replace(of, connected=False)) is Verdict.UNKNOWN


@given(st.lists(requirements, max_size=4), facts)
def test_a_rate_is_one_only_when_every_rule_that_applies_is_compliant(
    asked: list[Requirement], of: InstitutionFacts
) -> None:
    findings = check([pack(*(rule(one, id=f"r-{n}") for n, one in enumerate(asked)))], of, NOW)
    for figure in coverage(findings).values():
        if figure.rate == 1:
            assert figure.unknown == figure.non_compliant == figure.waived == 0
    assert sum(figure.denominator + figure.not_applicable for figure in coverage(findings).values()) == len(asked)
