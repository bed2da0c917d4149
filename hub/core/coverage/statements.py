"""What a finding says, as plain data that is kept: citation, sentences, evidence. Pure.

Two findings say the same when only readings and their times differ: a camera that was heard again says nothing new.
"""

import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hub.core.coverage import canonical
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Finding, Part
from hub.core.coverage.rules import Rule
from hub.core.coverage.snapshot import Snapshot, body
from hub.model import Micros, to_datetime, to_micros

_RENEWED = frozenset({"last_heard_at", "observed_at", "read_at", "at", "age", "value", "until"})
"""keys of the evidence that change without saying anything else: readings and their times"""


class Statement(NamedTuple):
    """A statement and the SHA-256 of its canonical text."""

    hash: bytes
    content: dict[str, Any]


class Said(NamedTuple):
    """What a rule said, and what that rests on. `facts` and `packs` name what was judged at `judged_at`; nothing where nobody judged."""

    basis: str
    module: str
    verdict: str
    reason: str
    plan_not_signed: bool
    statement: bytes
    essence: bytes | None
    facts: bytes | None
    packs: bytes | None
    judged_at: Micros | None

    def says_the_same(self, other: "Said") -> bool:
        """Whether another row would only repeat this one."""
        mine, theirs = (self.verdict, self.reason, self.essence), (other.verdict, other.reason, other.essence)
        return self is other or self == other or (self.essence is not None and mine == theirs)


class Shelf:
    """What rows name by hash: the texts of facts and statements that a judgement made. Each is written once, wherever it is named."""

    def __init__(self) -> None:
        self.facts: dict[bytes, bytes] = {}
        self.statements: dict[bytes, dict[str, Any]] = {}
        self._known: dict[int, tuple[Snapshot, bytes]] = {}

    def keep(self, kept: Snapshot) -> bytes:
        """The name of a snapshot."""
        known = self._known.get(id(kept))
        if known is None:
            text = body(kept)
            known = self._known[id(kept)] = kept, canonical.sha256(text)
            self.facts[known[1]] = text
        return known[1]

    def said(self, finding: Finding, kept: Snapshot, packs: bytes, at: Micros) -> Said:
        """A finding as it is kept, judged at `at` from these facts and packs."""
        content = stated(finding)
        statement = canonical.digest(content)
        self.statements[statement] = content
        return Said(
            basis=finding.basis.value,
            module=finding.module.value,
            verdict=finding.verdict.value,
            reason=finding.reason,
            plan_not_signed=finding.plan_not_signed,
            statement=statement,
            essence=essence(finding, content),
            facts=self.keep(kept),
            packs=packs,
            judged_at=at,
        )

    def doubted(self, said: Said, content: dict[str, Any], zh: str, en: str) -> Said:
        """Unknown in the place of what nobody judged; `content` is what was said before."""
        doubt = content | {"sentence_zh": zh, "sentence_en": en}
        statement = canonical.digest(doubt)
        self.statements[statement] = doubt
        changed = said._replace(verdict="unknown", reason="stale", statement=statement, essence=None)
        return changed._replace(facts=None, packs=None, judged_at=None)


def essence(finding: Finding, content: dict[str, Any]) -> bytes:
    """What tells whether a finding says something new."""
    said = [finding.rule.id, finding.verdict.value, finding.reason, finding.plan_not_signed]
    return canonical.digest([*said, _without_renewals(content)])


def _without_renewals(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_renewals(value) for key, value in content.items() if key not in _RENEWED}
    return [_without_renewals(one) for one in content] if isinstance(content, list) else content


def stated(finding: Finding) -> dict[str, Any]:
    """The statement of a finding: which rule of which pack, what it cites, the sentences and the evidence; plain JSON."""
    return {
        "pack": finding.pack,
        "pack_version": finding.pack_version,
        "citation": citation(finding.rule),
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
        "needed": _finite(part.needed),
        "proven": _finite(part.proven),
        "unknown": _finite(part.unknown),
        "devices": [_device(row) for row in part.devices],
        "place": part.place,
        "facts": [_fact(row) for row in part.facts],
    }


def _device(row: DeviceEvidence) -> dict[str, Any]:
    return {
        "device": row.device,
        "zone": row.zone,
        "contribution": row.contribution.value,
        "reason": row.reason,
        "since": iso(row.since),
        "last_heard_at": None if row.last_heard_at is None else iso(row.last_heard_at),
        "by": row.by,
        "value": None if row.value is None else _finite(row.value),
        "at": None if row.at is None else iso(row.at),
    }


def _finite(value: float) -> float | None:
    """A measured figure; what is no number is none in evidence (the database's JSON knows none either)."""
    return value if math.isfinite(value) else None


def _fact(row: FactEvidence) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "id": row.id,
        "contribution": row.contribution.value,
        "reason": row.reason,
        "at": None if row.at is None else iso(row.at),
        "until": None if row.until is None else iso(row.until),
        "value": None if row.value is None else _finite(row.value),
        "number": row.number,
    }


def iso(at: Micros) -> str:
    """A time as it is written in statements and in the chain."""
    return to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def micros(written: str) -> Micros:
    """The time that `iso` wrote; raises ValueError for anything else."""
    at = to_micros(datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC))
    if iso(at) != written:
        raise ValueError(f"no time: {written!r}")
    return at
