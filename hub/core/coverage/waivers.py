"""Waivers 豁免: for a while a violation of one rule at one institution is excused, with a ground and by a named person. Pure.

Never for a law or a mandatory national standard (VOCABULARY.md, Compliance): such a waiver is refused when it is made, and has no effect where one
exists all the same (a rule's force may be another in the next pack). A waiver excuses a violation and proves nothing: what is unknown stays unknown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.core.coverage.findings import Finding
from hub.core.coverage.rules import Basis, Force, Rule, Verdict
from hub.errors import BadInput
from hub.model import SECOND, Micros

NEVER = frozenset({Force.LAW, Force.GB_MANDATORY})
"""what nobody may waive"""
LONGEST: Micros = 366 * 86_400 * SECOND
FURTHEST_AHEAD: Micros = 92 * 86_400 * SECOND
"""how long before it begins a waiver may be granted"""
MOST_GROUND = 2000


@dataclass(frozen=True, slots=True)
class Waiver:
    """A rule excused at a subject from `since` until before `until`: its expiry, or the moment at which a person ended it."""

    id: str
    subject: str
    rule: str
    since: Micros
    until: Micros

    def holds(self, at: Micros) -> bool:
        """Whether it is in force."""
        return self.since <= at < self.until


def amend(findings: Sequence[Finding], waivers: Iterable[Waiver], at: Micros) -> tuple[Finding, ...]:
    """The findings with violations that are waived at `at` as `waived`. By itself the next judgement after the expiry turns them back."""
    excused = {(one.subject, one.rule) for one in waivers if one.holds(at)}
    return tuple(_excused(one) if (one.subject, one.rule.id) in excused and _may(one) else one for one in findings)


def _may(finding: Finding) -> bool:
    return finding.verdict is Verdict.NON_COMPLIANT and finding.rule.force not in NEVER


def _excused(finding: Finding) -> Finding:
    zh, en = finding.sentence_zh, finding.sentence_en
    return finding._replace(
        verdict=Verdict.WAIVED, reason="waived", sentence_zh=f"已获豁免：{zh}", sentence_en=f"Waived: {en}"
    )


def next_turn(waivers: Iterable[Waiver], at: Micros) -> Micros | None:
    """When after `at` the next waiver begins or ends: then its institution is to be judged again. None: there is nothing to wait for."""
    return min((moment for one in waivers for moment in (one.since, one.until) if moment > at), default=None)


def check_waiver(rule: Rule, ground: str, since: Micros, until: Micros, now: Micros) -> None:
    """Raises BadInput that names the key where such a waiver may not be granted at `now`."""
    if rule.force in NEVER:
        raise BadInput(
            "a rule of law or of a mandatory national standard cannot be waived by anybody", "rule", code="waiver"
        )
    if rule.basis is Basis.RECOMMENDATION:
        raise BadInput("a recommendation holds nobody: there is nothing to waive", "rule", code="waiver")
    if not ground.strip():
        raise BadInput("say on which ground", "ground", code="waiver")
    if until <= since:
        raise BadInput("a waiver ends after it begins", "expires_at", code="waiver")
    if until <= now:
        raise BadInput("a waiver that has expired excuses nothing", "expires_at", code="waiver")
    if until - since > LONGEST:
        raise BadInput("a waiver holds a year at most: grant it anew after it", "expires_at", code="waiver")
    if since < now:
        raise BadInput("the past is not waived: it begins now or later", "since", code="waiver")
    if since > now + FURTHEST_AHEAD:
        raise BadInput("at most three months ahead", "since", code="waiver")
