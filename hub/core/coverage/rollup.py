"""The roll-up: counts and rates per basis, never mixed.

A rate is compliant / (compliant + non_compliant + unknown + waived), over the register (VOCABULARY.md, Compliance): what is not known is in
the denominator and never in the numerator.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hub.core.coverage.judge import worst
from hub.core.coverage.rules import Basis, Verdict


class Judged(Protocol):
    """Anything with a basis and a verdict: a finding, or a row of the store."""

    @property
    def basis(self) -> Basis:
        """Which figure it belongs to."""

    @property
    def verdict(self) -> Verdict:
        """What it says."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many findings of one basis have each verdict."""

    compliant: int = 0
    non_compliant: int = 0
    unknown: int = 0
    waived: int = 0
    not_applicable: int = 0

    @property
    def denominator(self) -> int:
        """What a rate is taken over: everything that applies."""
        return self.compliant + self.non_compliant + self.unknown + self.waived

    @property
    def rate(self) -> float | None:
        """From 0 to 1; None where nothing applies."""
        return self.compliant / self.denominator if self.denominator else None


_SHOWN = 10_000
"""A rate is shown to a hundredth of a percent."""
_HAIR = 1e-6
"""of the last digit shown: less than two rates of a register of a million can differ by, more than a float is off"""


def shown(rate: float | None) -> float | None:
    """A rate of what is wanted as it is shown, cut off: 84.996 % is not 85 %, one of 30,000 that is lacking is not none."""
    return None if rate is None else math.floor(rate * _SHOWN + _HAIR) / _SHOWN


def shown_lack(rate: float | None) -> float | None:
    """A rate of what nobody wants as it is shown, rounded up: one unknown of 30,000 is not 0 %."""
    return None if rate is None else math.ceil(rate * _SHOWN - _HAIR) / _SHOWN


def tally(verdicts: Iterable[Verdict]) -> Tally:
    """Counts of verdicts."""
    counts = dict.fromkeys(Verdict, 0)
    for verdict in verdicts:
        counts[verdict] += 1
    return Tally(**{verdict.value: n for verdict, n in counts.items()})


def coverage(findings: Iterable[Judged]) -> dict[Basis, Tally]:
    """Three tallies of findings, one per basis, each present even when empty."""
    by_basis: dict[Basis, list[Verdict]] = {basis: [] for basis in Basis}
    for finding in findings:
        by_basis[finding.basis].append(finding.verdict)
    return {basis: tally(verdicts) for basis, verdicts in by_basis.items()}


def verdicts(findings: Iterable[Judged]) -> dict[Basis, Verdict]:
    """An institution's verdict per basis: the worst of its findings of that basis."""
    rows = list(findings)
    return {basis: worst(row.verdict for row in rows if row.basis is basis) for basis in Basis}


def headline(by_basis: Mapping[Basis, Verdict]) -> Verdict:
    """The one word for an institution: its obligations', or its target's where no obligation applies. Recommendations never decide."""
    first = by_basis[Basis.OBLIGATION]
    return by_basis[Basis.TARGET] if first is Verdict.NOT_APPLICABLE else first


_LISTED = (Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.WAIVED, Verdict.COMPLIANT, Verdict.NOT_APPLICABLE)


def rank(connected: bool, verdict: Verdict) -> int:
    """Where an institution stands in a list: what is not connected first, then what is worst."""
    return 1 + _LISTED.index(verdict) if connected else 0


CONNECTED_TARGET = 0.85
"""the share of institutions that use the platform which Changzhi's plan names for its project 14 (standards catalogue, 14.2): shown beside, never judged"""
MODULES = ("video", "panic", "access", "fire")
"""the four modules 四大模块 of project 15"""


class Figure(NamedTuple):
    """A figure of a place for one basis and module: institutions by their worst finding, and the findings themselves."""

    institutions: Tally
    findings: Tally

    @property
    def unknown_rate(self) -> float | None:
        """The share of institutions of which nothing can be said; None where nothing applies."""
        return self.institutions.unknown / self.institutions.denominator if self.institutions.denominator else None


EMPTY = Figure(Tally(), Tally())


def figures(stored: Mapping[str, Sequence[int]]) -> dict[tuple[Basis, str], Figure]:
    """The figures of a place as the store keeps them (table coverage_day), by basis and module; module "" is all of them, and there for each basis."""
    found = {(basis, ""): EMPTY for basis in Basis}
    for name, counts in stored.items():
        basis, _, module = name.partition("/")
        found[Basis(basis), module] = Figure(Tally(*map(int, counts[:5])), Tally(*map(int, counts[5:])))
    return found
