"""Waivers: they excuse a violation for a time, never a law, and prove nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.findings import Finding
from hub.core.coverage.judge import check
from hub.core.coverage.rules import Basis, Force, Verdict
from hub.core.coverage.waivers import LONGEST, NEVER, Waiver, amend, check_waiver, next_turn
from hub.errors import BadInput
from hub.model import SECOND
from tests.core.coverage_city import CAMERA, EACH_ZONE, FAILED, NOW, OFFLINE, pack, rule, site

DAY = 86_400 * SECOND
WAIVER = Waiver("w-1", "inst-1", "r-1", NOW, NOW + DAY)


def finding(*devices: object, force: Force = Force.POL, basis: Basis = Basis.TARGET) -> Finding:
    (found,) = check([pack(rule(EACH_ZONE, force, basis))], site(*devices), NOW)  # type: ignore[arg-type]
    return found


def test_a_violation_is_waived_from_its_beginning_until_before_its_expiry() -> None:
    violation = finding(FAILED)
    for at, verdict in (
        (NOW - 1, Verdict.NON_COMPLIANT),
        (NOW, Verdict.WAIVED),
        (NOW + DAY - 1, Verdict.WAIVED),
        (NOW + DAY, Verdict.NON_COMPLIANT),
    ):
        (amended,) = amend([violation], [WAIVER], at)
        assert amended.verdict is verdict
    (waived,) = amend([violation], [WAIVER], NOW)
    assert (waived.reason, waived.parts) == ("waived", violation.parts)
    assert waived.sentence_zh == f"已获豁免：{violation.sentence_zh}"


@pytest.mark.parametrize(("device", "verdict"), [(CAMERA, Verdict.COMPLIANT), (OFFLINE, Verdict.UNKNOWN)])
def test_what_holds_or_is_not_known_stays_as_it_was_judged(device: object, verdict: Verdict) -> None:
    judged = finding(device)
    assert judged.verdict is verdict
    assert amend([judged], [WAIVER], NOW) == (judged,)


@pytest.mark.parametrize("force", sorted(NEVER))
def test_a_law_is_not_waived_even_where_somebody_wrote_a_waiver(force: Force) -> None:
    violation = finding(FAILED, force=force, basis=Basis.OBLIGATION)
    assert amend([violation], [WAIVER], NOW) == (violation,)


@given(st.sampled_from(["inst-1", "inst-2"]), st.sampled_from(["r-1", "r-2"]), st.integers(-2, 2), st.integers(1, 3))
def test_exactly_the_violation_of_that_rule_at_that_place_is_waived_while_it_holds(
    subject: str, name: str, since: int, days: int
) -> None:
    waiver = Waiver("w", subject, name, NOW + since * DAY, NOW + (since + days) * DAY)
    findings = check([pack(rule(EACH_ZONE, Force.POL), rule(EACH_ZONE, Force.POL, id="r-2"))], site(FAILED), NOW)
    after = amend(findings, [waiver], NOW)
    for before, now in zip(findings, after, strict=True):
        meant = subject == before.subject and name == before.rule.id and waiver.since <= NOW < waiver.until
        assert now.verdict is (Verdict.WAIVED if meant else before.verdict)


def test_the_next_turn_is_the_next_beginning_or_end() -> None:
    later = Waiver("w-2", "inst-1", "r-2", NOW + 2 * DAY, NOW + 3 * DAY)
    assert next_turn([WAIVER, later], NOW - 1) == NOW
    assert next_turn([WAIVER, later], NOW) == NOW + DAY
    assert next_turn([WAIVER, later], NOW + 2 * DAY) == NOW + 3 * DAY
    assert next_turn([WAIVER], NOW + DAY) is None


@pytest.mark.parametrize(
    ("where", "force", "basis", "ground", "since", "until"),
    [
        ("rule", Force.LAW, Basis.OBLIGATION, "x", 0, 1),
        ("rule", Force.GB_MANDATORY, Basis.OBLIGATION, "x", 0, 1),
        ("rule", Force.ENG, Basis.RECOMMENDATION, "x", 0, 1),
        ("ground", Force.POL, Basis.TARGET, " ", 0, 1),
        ("expires_at", Force.POL, Basis.TARGET, "x", 1, 1),
        ("expires_at", Force.POL, Basis.TARGET, "x", 0, LONGEST // DAY + 1),
        ("since", Force.POL, Basis.TARGET, "x", -1, 1),
        ("since", Force.POL, Basis.TARGET, "x", 93, 94),
    ],
)
def test_what_may_not_be_waived_is_refused_by_the_key_that_is_wrong(
    where: str, force: Force, basis: Basis, ground: str, since: int, until: int
) -> None:
    with pytest.raises(BadInput) as refused:
        check_waiver(rule(EACH_ZONE, force, basis), ground, NOW + since * DAY, NOW + until * DAY, NOW)
    assert refused.value.where == where


def test_a_target_and_an_obligation_of_lesser_force_may_be_waived_for_a_year() -> None:
    for force, basis in ((Force.POL, Basis.TARGET), (Force.NORM, Basis.OBLIGATION)):
        check_waiver(rule(EACH_ZONE, force, basis), "改造中", NOW, NOW + LONGEST, NOW)
