"""What a rule is: document, clause, force, basis, whom it holds and since when, and what it asks for. Data, no code.

`hub.rulepacks` reads these from YAML. Times are microseconds; a rule is in effect from `since` up to, but not including, `until`.
"""

from dataclasses import dataclass
from enum import StrEnum

from hub.core.coverage.requirements import AlwaysArmed as AlwaysArmed
from hub.core.coverage.requirements import AtLeast as AtLeast
from hub.core.coverage.requirements import Attested as Attested
from hub.core.coverage.requirements import Bounds as Bounds
from hub.core.coverage.requirements import Documents as Documents
from hub.core.coverage.requirements import Independent as Independent
from hub.core.coverage.requirements import NoneIn as NoneIn
from hub.core.coverage.requirements import Proven as Proven
from hub.core.coverage.requirements import Requirement as Requirement
from hub.core.coverage.requirements import ShareCovered as ShareCovered
from hub.core.coverage.requirements import TimeBound as TimeBound
from hub.core.coverage.requirements import When as When
from hub.model import Micros


class Force(StrEnum):
    """How binding a text is (standards catalogue, 0.2)."""

    LAW = "LAW"
    GB_MANDATORY = "GB!"
    NORM = "NORM"
    GB = "GB"
    REC = "REC"
    LOC = "LOC"
    POL = "POL"
    ANA = "ANA"
    INT = "INT"
    ENG = "ENG"


class Basis(StrEnum):
    """What kind of figure a rule belongs to; the three are never mixed in one figure (VOCABULARY.md, Compliance)."""

    OBLIGATION = "obligation"
    TARGET = "target"
    RECOMMENDATION = "recommendation"


BASIS_OF: dict[Force, Basis] = {
    Force.LAW: Basis.OBLIGATION,
    Force.GB_MANDATORY: Basis.OBLIGATION,
    Force.NORM: Basis.OBLIGATION,
    Force.GB: Basis.OBLIGATION,
    Force.LOC: Basis.OBLIGATION,
    Force.POL: Basis.TARGET,
    Force.REC: Basis.RECOMMENDATION,
    Force.ANA: Basis.RECOMMENDATION,
    Force.INT: Basis.RECOMMENDATION,
    Force.ENG: Basis.RECOMMENDATION,
}


class Verdict(StrEnum):
    """What a finding says. `waived` is given by a person's waiver, never by `check`."""

    COMPLIANT = "compliant"
    NON_COMPLIANT = "non_compliant"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"
    WAIVED = "waived"


class Module(StrEnum):
    """The four modules 四大模块 and what stands beside them: rates are rolled up per module."""

    VIDEO = "video"
    PANIC = "panic"
    ACCESS = "access"
    FIRE = "fire"
    RETENTION = "retention"
    PRIVACY = "privacy"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a pack. `clause_id` is the catalogue's key (VID-03), for those who look it up."""

    id: str
    clause_id: str
    document: str
    number: str
    clause: str
    force: Force
    basis: Basis
    confidence: str
    since: Micros
    until: Micros | None
    jurisdiction: str
    """prefix of division codes; empty holds everywhere"""
    institution_types: frozenset[str]
    """empty holds for all"""
    title_zh: str
    title_en: str
    days_to_remedy: int
    requirement: Requirement
    module: Module = Module.OTHER
    evidence_max_age: Micros | None = None
    """the greatest age of the evidence; None where the requirement itself bounds it, or nothing does"""
    overrides: str = ""
    """id of the rule that this one stands in for, where both apply: it tightens or replaces it"""
    replaces: bool = False
    """it replaces it with a ground of its own, instead of tightening it"""
    ground_zh: str = ""
    ground_en: str = ""
    when: When | None = None
    """the circumstance in which alone it asks anything; None: always"""

    def applies(self, division: str, institution_type: str, at: Micros) -> bool:
        """Whether the rule holds an institution of this type in this division at that time."""
        in_effect = self.since <= at and (self.until is None or at < self.until)
        typed = not self.institution_types or institution_type in self.institution_types
        return in_effect and typed and division.startswith(self.jurisdiction)


@dataclass(frozen=True, slots=True)
class RulePack:
    """Rules that are published together. Rule ids are unique over all packs in use."""

    id: str
    version: str
    title_zh: str
    title_en: str
    rules: tuple[Rule, ...]
    overlays: str = ""
    """id of the pack that this one lies over: national, province, city"""
