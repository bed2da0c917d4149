"""Periods of findings: what closes, what opens, what is only restated."""

import json
from dataclasses import replace

from hub.core.coverage.findings import Finding
from hub.core.coverage.judge import check
from hub.core.coverage.ledger import Held, moves, stated
from hub.core.coverage.rules import Verdict
from tests.core.coverage_city import CAMERA, EACH_ZONE, NOW, OFFLINE, TWO_ANYWHERE, pack, rule, site


def found(*devices: object) -> tuple[Finding, ...]:
    return check([pack(rule(EACH_ZONE, id="zone"), rule(TWO_ANYWHERE, id="two"))], site(*devices), NOW)  # type: ignore[arg-type]


def held(findings: tuple[Finding, ...]) -> list[Held]:
    return [Held(n, one.subject, one.rule.id, one.basis, one.verdict, stated(one)) for n, one in enumerate(findings)]


def test_the_first_judgement_opens_every_finding() -> None:
    moved = moves([], found(CAMERA))
    assert [one.rule.id for one in moved.opens] == ["zone", "two"]
    assert [before for _, before in moved.turned] == [None, None]
    assert not moved.closes
    assert not moved.restates


def test_nothing_moves_when_nothing_changed() -> None:
    assert moves(held(found(CAMERA)), found(CAMERA)) == moves([], ())


def test_another_verdict_closes_the_row_and_opens_the_next() -> None:
    moved = moves(held(found(CAMERA)), found(OFFLINE))
    assert [row.rule for row in moved.closes] == ["zone"]
    assert [(one.rule.id, one.verdict) for one in moved.opens] == [("zone", Verdict.UNKNOWN)]
    assert [before for _, before in moved.turned] == [Verdict.COMPLIANT]


def test_the_same_verdict_with_other_evidence_restates_the_row() -> None:
    moved = moves(held(found(CAMERA)), found(replace(CAMERA, id="cam-9")))
    assert not moved.closes
    assert not moved.turned
    assert [key for key, _ in moved.restates] == [0, 1]


def test_a_rule_that_no_longer_applies_is_closed_without_a_successor() -> None:
    moved = moves(held(found(CAMERA)), ())
    assert len(moved.closes) == 2
    assert not moved.opens


def test_what_is_stated_survives_json_unchanged() -> None:
    for finding in found(OFFLINE):
        assert json.loads(json.dumps(stated(finding))) == stated(finding)
