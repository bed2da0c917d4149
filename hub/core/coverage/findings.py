"""What the judge says: a finding with its parts and its evidence."""

from dataclasses import dataclass

from hub.core.coverage.facts import Contribution, ZoneFact
from hub.core.coverage.rules import Basis, Rule, Verdict
from hub.model import Micros


@dataclass(frozen=True, slots=True)
class DeviceEvidence:
    """One device that the rule looked at: what it contributed, why, and since when. `last_heard_at` only where it is silent."""

    device: str
    zone: str | None
    contribution: Contribution
    reason: str
    since: Micros
    last_heard_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The verdict for one zone, or for the whole institution (`zone` is None)."""

    zone: ZoneFact | None
    verdict: Verdict
    needed: int
    proven: int
    unknown: int
    devices: tuple[DeviceEvidence, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one rule for one institution now, with its evidence and a sentence for people."""

    subject: str
    pack: str
    pack_version: str
    rule: Rule
    verdict: Verdict
    reason: str
    """`judged`, `not_connected`, `no_zone_plan`, `no_such_zone` or `unplaced`"""
    parts: tuple[Part, ...]
    sentence_zh: str
    sentence_en: str

    @property
    def basis(self) -> Basis:
        """The rule's basis: which of the three figures this belongs to."""
        return self.rule.basis
