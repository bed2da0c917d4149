"""The ledger of findings: what is closed, opened and restated when an institution is judged again. Pure; the store writes it.

A period is the time in which one verdict held. The same verdict with other evidence restates the open row; another verdict closes it and opens
the next; a rule that no longer applies only closes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hub.core.coverage.findings import DeviceEvidence, Finding, Part
from hub.core.coverage.rules import Rule, Verdict
from hub.model import SECOND, Micros, to_datetime

STALE_AFTER: Micros = 180 * SECOND
"""Everything is judged once a minute; what nobody renewed for three is not believed any more, neither now nor in the past."""


class Held(NamedTuple):
    """An open row of the ledger."""

    key: int
    subject: str
    rule: str
    basis: str
    verdict: Verdict
    stated: dict[str, Any]
    """what `stated` gave when it was written"""


class Moves(NamedTuple):
    """What must be written, in this order."""

    closes: tuple[Held, ...]
    opens: tuple[Finding, ...]
    restates: tuple[tuple[int, Finding], ...]
    turned: tuple[tuple[Finding, Verdict | None], ...]
    """what people hear of: the finding and the verdict before it, None for a first one"""


def moves(held: Sequence[Held], findings: Sequence[Finding]) -> Moves:
    """Compare the open rows of some subjects with their findings now."""
    before = {(row.subject, row.rule): row for row in held}
    after = {(finding.subject, finding.rule.id): finding for finding in findings}
    closes = [row for place, row in before.items() if place not in after or after[place].verdict is not row.verdict]
    opens, restates, turned = [], [], []
    for place, finding in after.items():
        row = before.get(place)
        if row is None or row.verdict is not finding.verdict:
            opens.append(finding)
            turned.append((finding, None if row is None else row.verdict))
        elif row.stated != stated(finding):
            restates.append((row.key, finding))
    return Moves(tuple(closes), tuple(opens), tuple(restates), tuple(turned))


def stated(finding: Finding) -> dict[str, Any]:
    """Everything about a finding that may change while its verdict stands; plain JSON."""
    return {
        "pack": finding.pack,
        "pack_version": finding.pack_version,
        "basis": finding.basis.value,
        "citation": citation(finding.rule),
        "reason": finding.reason,
        "sentence_zh": finding.sentence_zh,
        "sentence_en": finding.sentence_en,
        "evidence": [_part(part) for part in finding.parts],
    }


def citation(rule: Rule) -> dict[str, Any]:
    """What a finding cites, kept with it: a rule may read otherwise next year."""
    return {
        "clause_id": rule.clause_id,
        "document": rule.document,
        "number": rule.number,
        "clause": rule.clause,
        "force": rule.force.value,
        "confidence": rule.confidence,
        "title_zh": rule.title_zh,
        "title_en": rule.title_en,
        "days_to_remedy": rule.days_to_remedy,
    }


def _part(part: Part) -> dict[str, Any]:
    zone = part.zone
    return {
        "zone": None if zone is None else zone.id,
        "purpose": None if zone is None else zone.purpose,
        "title_zh": None if zone is None else zone.title_zh,
        "title_en": None if zone is None else zone.title_en,
        "verdict": part.verdict.value,
        "needed": part.needed,
        "proven": part.proven,
        "unknown": part.unknown,
        "devices": [_device(row) for row in part.devices],
    }


def _device(row: DeviceEvidence) -> dict[str, Any]:
    return {
        "device": row.device,
        "zone": row.zone,
        "contribution": row.contribution.value,
        "reason": row.reason,
        "since": _iso(row.since),
        "last_heard_at": None if row.last_heard_at is None else _iso(row.last_heard_at),
    }


def _iso(at: Micros) -> str:
    return to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
