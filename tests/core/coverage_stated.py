"""What a finding says, in the plainest way: plain data, from which the canonical text and the essence are made. The hub writes the same text piece by piece."""

import json
import math
from typing import Any

from hub.core.coverage import canonical
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Finding, Part
from hub.core.coverage.statements import Statement, iso

RENEWED = frozenset({"last_heard_at", "observed_at", "read_at", "at", "age", "value", "until"})
"""keys of the evidence that change without saying anything else: readings and their times"""


def content(said: Statement) -> dict[str, Any]:
    """A statement as the store reads it back."""
    nested = {"citation": json.loads(said.citation), "evidence": json.loads(said.evidence)}
    return {key: value for key, value in {**said._asdict(), **nested}.items() if key != "clause_id"}


def essence(finding: Finding) -> bytes:
    said = [finding.rule.id, finding.verdict.value, finding.reason, finding.plan_not_signed]
    return canonical.digest([*said, _without_renewals(stated(finding))])


def _without_renewals(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_renewals(value) for key, value in content.items() if key not in RENEWED}
    return [_without_renewals(one) for one in content] if isinstance(content, list) else content


def stated(finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    return {
        "pack": finding.pack,
        "pack_version": finding.pack_version,
        "citation": {
            "clause_id": rule.clause_id, "document": rule.document, "number": rule.number, "clause": rule.clause, "force": rule.force.value,
            "confidence": rule.confidence, "title_zh": rule.title_zh, "title_en": rule.title_en, "days_to_remedy": rule.days_to_remedy,
        },
        "sentence_zh": finding.sentence_zh,
        "sentence_en": finding.sentence_en,
        "evidence": [_part(part) for part in finding.parts],
    }  # fmt: skip


def _part(part: Part) -> dict[str, Any]:
    zone = part.zone
    names = ("id", "purpose", "title_zh", "title_en")
    return {
        **{"zone" if name == "id" else name: None if zone is None else getattr(zone, name) for name in names},
        "verdict": part.verdict.value,
        "needed": _finite(part.needed),
        "proven": _finite(part.proven),
        "unknown": _finite(part.unknown),
        "devices": [_device(row) for row in part.devices],
        "place": part.place,
        "facts": [_fact(row) for row in part.facts],
    }


def _device(row: DeviceEvidence) -> dict[str, Any]:
    times = {"since": _time(row.since), "last_heard_at": _time(row.last_heard_at), "at": _time(row.at)}
    return row._asdict() | times | {"contribution": row.contribution.value, "value": _finite(row.value)}


def _fact(row: FactEvidence) -> dict[str, Any]:
    times = {"at": _time(row.at), "until": _time(row.until)}
    return row._asdict() | times | {"contribution": row.contribution.value, "value": _finite(row.value)}


def _time(at: int | None) -> str | None:
    return None if at is None else iso(at)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
