"""What the judge says: a finding with its parts and its evidence. They are made by the hundred thousand, so they are NamedTuples."""

from typing import NamedTuple

from hub.core.coverage.facts import Contribution, ZoneFact
from hub.core.coverage.rules import Basis, Module, Rule, Verdict
from hub.model import Micros


class DeviceEvidence(NamedTuple):
    """One device that the rule looked at: what it contributed, why, and since when. `last_heard_at` only where it is silent."""

    device: str
    zone: str | None
    contribution: Contribution
    reason: str
    since: Micros
    last_heard_at: Micros | None = None
    by: str = ""
    """how a camera came to count for a zone: `view` (it declares to see it) or `zone` (it declares nothing and hangs there)"""
    value: float | None = None
    """what was measured: a point's value, days of recording, the share of a zone that is seen"""
    at: Micros | None = None
    """when that was measured, proven or attested"""


class FactEvidence(NamedTuple):
    """Something else that the rule looked at: an attestation, a document, an interval, an opening day, an area that nobody gave."""

    kind: str
    id: str
    contribution: Contribution
    reason: str
    at: Micros | None = None
    until: Micros | None = None
    value: float | None = None
    number: str = ""


class Part(NamedTuple):
    """The verdict for one zone, one floor (`place`), or for the whole institution (`zone` is None)."""

    zone: ZoneFact | None
    verdict: Verdict
    needed: float
    proven: float
    unknown: float
    devices: tuple[DeviceEvidence, ...]
    place: str = ""
    facts: tuple[FactEvidence, ...] = ()


class Finding(NamedTuple):
    """The verdict of one rule for one institution now, with its evidence and a sentence for people."""

    subject: str
    pack: str
    pack_version: str
    rule: Rule
    verdict: Verdict
    reason: str
    """`judged`, `not_connected`, `unreadable`, `no_zone_plan`, `no_such_zone`, `no_such_device`, `prohibited` or `unplaced`"""
    parts: tuple[Part, ...]
    sentence_zh: str
    sentence_en: str
    plan_not_signed: bool = False
    """it stands on zones, and the regulator has not signed the zone plan as it is now: green must not be counted as compliant"""

    @property
    def basis(self) -> Basis:
        """The rule's basis: which of the three figures this belongs to."""
        return self.rule.basis

    @property
    def module(self) -> Module:
        """The rule's module, for the roll-ups."""
        return self.rule.module
