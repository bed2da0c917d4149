"""What if: the same judge with other arguments. Other rules on today's facts, the loss of one part, what is missing for full coverage. Pure.

Nothing here is a finding: it is recorded nowhere, and its verdicts are never shown as today's.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from hub.core.coverage.facts import Contribution, DeviceFact, InstitutionFacts
from hub.core.coverage.findings import Finding
from hub.core.coverage.judge import check
from hub.core.coverage.rules import AtLeast, Basis, RulePack, ShareCovered, Verdict
from hub.model import AdminState, FunctionState, LinkState, Micros

MOST_PARTS = 500
"""looked at in one institution, each of which costs one judgement; those that most depends on first"""
_WORTH = {Basis.OBLIGATION: 0, Basis.TARGET: 1, Basis.RECOMMENDATION: 2}


class Turn(NamedTuple):
    """A rule that would say something else; None where it does not hold."""

    rule: str
    basis: Basis
    before: Verdict | None
    after: Verdict | None
    zones: tuple[str, ...]
    """ids of the zones whose verdict would be another; empty where it is judged for the institution as a whole"""
    sentence_zh: str
    sentence_en: str


class Loss(NamedTuple):
    """What would fall with one part. `part` is `device:<id>` or what a device is behind (`link:`, `switch:`, `recorder:`, `edge:`, `uplink:`)."""

    part: str
    devices: int
    """that fall with it"""
    falls: tuple[Turn, ...]
    """rules that are compliant now and would not be; never empty"""

    @property
    def weight(self) -> tuple[int, ...]:
        """How many rules fall by basis, obligations first, then how many zones."""
        counts = [sum(one.basis is basis for one in self.falls) for basis in _WORTH]
        return (*counts, len({zone for one in self.falls for zone in one.zones}))


class Missing(NamedTuple):
    """What a zone (or the institution, or a floor) lacks: `buy` are not there at all, `restore` are there and prove nothing now."""

    capabilities: tuple[str, ...]
    zone: str | None
    zone_zh: str
    zone_en: str
    place: str
    buy: int
    restore: int
    at_least: bool
    """true where cover and not count is asked: one more may not be enough"""
    rules: tuple[str, ...]


def turns(before: Sequence[Finding], after: Sequence[Finding]) -> tuple[Turn, ...]:
    """The rules whose verdicts differ, obligations first."""
    then = {one.rule.id: one for one in before}
    later = {one.rule.id: one for one in after}
    out = []
    for name in then.keys() | later.keys():
        was, now = then.get(name), later.get(name)
        if (None if was is None else was.verdict) is (None if now is None else now.verdict):
            continue
        shown = now or was
        assert shown is not None
        verdicts = (None if was is None else was.verdict, None if now is None else now.verdict)
        out.append(Turn(name, shown.basis, *verdicts, _zones(was, now), shown.sentence_zh, shown.sentence_en))
    return tuple(sorted(out, key=lambda one: (_WORTH[one.basis], one.rule)))


def _zones(was: Finding | None, now: Finding | None) -> tuple[str, ...]:
    def by_zone(one: Finding | None) -> dict[str, Verdict]:
        parts = () if one is None else one.parts
        return {part.zone.id: part.verdict for part in parts if part.zone is not None}

    before, after = by_zone(was), by_zone(now)
    return tuple(sorted(zone for zone in before.keys() | after.keys() if before.get(zone) is not after.get(zone)))


def other_rules(
    packs: Sequence[RulePack], other: Sequence[RulePack], facts: InstitutionFacts, at: Micros, rules_at: Micros
) -> tuple[Turn, ...]:
    """What `other` packs, or those of another time, would say of today's facts: evidence is judged as old as it is at `at`."""
    return turns(check(packs, facts, at), check(other, facts, at, rules_at=rules_at))


def losses(packs: Sequence[RulePack], facts: InstitutionFacts, at: Micros) -> tuple[Loss, ...]:
    """The single parts without which a rule that holds now would not, the worst first."""
    now = check(packs, facts, at)
    out = []
    for part in _parts(facts):
        left, fallen = _without(facts, part, at)
        falls = [one for one in turns(now, check(packs, left, at)) if one.before is Verdict.COMPLIANT]
        if falls:
            out.append(Loss(part, fallen, tuple(falls)))
    return tuple(sorted(out, key=lambda one: (*(-n for n in one.weight), one.part)))


def _parts(facts: InstitutionFacts) -> list[str]:
    counted: dict[str, int] = {}
    for device in facts.devices:
        if device.admin_state is AdminState.IN_SERVICE:
            for part in (f"device:{device.id}", *device.behind):
                counted[part] = counted.get(part, 0) + 1
    for recording in facts.recordings:
        counted.setdefault(f"recorder:{recording.recorder}", 1)
    return sorted(counted, key=lambda part: (-counted[part], part))[:MOST_PARTS]


def _without(facts: InstitutionFacts, part: str, at: Micros) -> tuple[InstitutionFacts, int]:
    """The facts after the loss: the device itself has failed, what is behind the part is silent, and a recorder's recordings are out of reach."""
    kind, _, id = part.partition(":")
    own = id if kind in ("device", "recorder", "edge", "switch") else ""
    gone = {
        one.id
        for one in facts.devices
        if one.id == own or part in one.behind or (own and f"recorder:{own}" in one.behind)
    }
    recordings = tuple(one for one in facts.recordings if one.recorder not in gone and one.recorder != own)
    devices = tuple(_lost(one, own, at) if one.id in gone else one for one in facts.devices)
    return replace(facts, devices=devices, recordings=recordings), len(gone)


def _lost(device: DeviceFact, own: str, at: Micros) -> DeviceFact:
    if device.id == own:
        return replace(device, function_state=FunctionState.FAILED, function_since=at)
    return replace(device, link_state=LinkState.OFFLINE, link_since=at)


def missing(findings: Iterable[Finding], *, recommendations: bool = False) -> tuple[Missing, ...]:
    """What must be added or brought back so that every rule of cover and count holds, zone by zone; the strictest rule of a place decides."""
    found: dict[tuple[tuple[str, ...], str, str], Missing] = {}
    for finding in findings:
        asked = finding.rule.requirement
        wanted = recommendations or finding.basis is not Basis.RECOMMENDATION
        if not wanted or not isinstance(asked, AtLeast | ShareCovered):
            continue
        for part in finding.parts:
            if (
                part.verdict not in (Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.WAIVED)
                or part.needed <= part.proven
            ):
                continue
            idle = sum(row.contribution is not Contribution.PROVEN for row in part.devices)
            buy, restore = _lacking(asked, part.needed - part.proven, idle, part.unknown)
            place = (tuple(sorted(asked.capabilities)), "" if part.zone is None else part.zone.id, part.place)
            one = Missing(
                capabilities=place[0],
                zone=None if part.zone is None else part.zone.id,
                zone_zh="" if part.zone is None else part.zone.title_zh,
                zone_en="" if part.zone is None else part.zone.title_en,
                place=part.place,
                buy=buy,
                restore=restore,
                at_least=isinstance(asked, ShareCovered),
                rules=(finding.rule.id,),
            )
            found[place] = _stricter(found.get(place), one)
    return tuple(sorted(found.values(), key=lambda one: (one.zone or "", one.place, one.capabilities)))


def _lacking(asked: AtLeast | ShareCovered, short: float, idle: int, unknown: float) -> tuple[int, int]:
    """How many to buy and to bring back, where `idle` are there and prove nothing."""
    if isinstance(asked, ShareCovered):  # how many cameras a share takes depends on the room
        return (0, idle) if unknown >= short else (1, idle)
    whole = math.ceil(short)
    return whole - min(whole, idle), min(whole, idle)


def _stricter(one: Missing | None, other: Missing) -> Missing:
    if one is None:
        return other
    rules = tuple(sorted({*one.rules, *other.rules}))
    if one.buy + one.restore >= other.buy + other.restore:
        return one._replace(rules=rules, at_least=one.at_least or other.at_least)
    return other._replace(rules=rules, at_least=one.at_least or other.at_least)
