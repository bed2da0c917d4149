"""What if: the same judge with other arguments. Other rules on today's facts, the loss of one part, what is missing for full coverage. Pure.

Nothing here is a finding: it is recorded nowhere, and its verdicts are never shown as today's.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hub.core.coverage.facts import Contribution, DeviceFact, InstitutionFacts
from hub.core.coverage.findings import Finding
from hub.core.coverage.judge import check, check_planned
from hub.core.coverage.plan import Planned, plan_of
from hub.core.coverage.rules import AtLeast, Basis, Requirement, Rule, RulePack, ShareCovered, Verdict
from hub.core.coverage.waivers import Waiver, amend
from hub.model import AdminState, FunctionState, LinkState, Micros

MOST_PARTS = 500
"""looked at in one institution, each of which costs one judgement; those that most depends on first"""
_CARRIES = ("switch", "power", "recorder", "edge")
"""as what a device carries others"""
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
    """What would fall with one part. `part` is `device:<id>` or what a device is behind (`link:`, `power:`, `switch:`, `recorder:`, `edge:`, `uplink:`).

    What is a device and carries others is named by what it carries them as.
    """

    part: str
    devices: int
    """that fall with it"""
    falls: tuple[Turn, ...]
    """rules that are compliant now and would not be; never empty"""

    @property
    def weight(self) -> tuple[int, ...]:
        """How many rules fall by basis, obligations first, then how many zones."""
        counts = _by_basis(one.basis for one in self.falls)
        return (*counts, len({zone for one in self.falls for zone in one.zones}))


class RuleTurns(NamedTuple):
    """One rule over many subjects: how many of them turn from what to what."""

    rule: str
    basis: Basis
    subjects: int
    falls: int
    """that would no longer be compliant, or would come under it without being so"""
    counts: Mapping[tuple[Verdict | None, Verdict | None], int]


class Waived(NamedTuple):
    """How many violations are excused by a waiver: now, and then. In the ledger they are `waived`, too, and in no rate compliant."""

    before: int = 0
    after: int = 0


class SubjectTurns(NamedTuple):
    """One subject's turns, and what is waived of all its rules, turned or not."""

    subject: str
    turns: tuple[Turn, ...]
    waived: Waived = Waived()

    @property
    def weight(self) -> tuple[int, ...]:
        """How many of its rules fall by basis, obligations first, then how many turn at all."""
        return (*_by_basis(one.basis for one in self.turns if falls(one)), len(self.turns))


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
    basis: Basis
    """the greatest of those rules'"""
    idle: tuple[tuple[str, str], ...] = ()
    """what is there and proves nothing now: device, and a word for why"""
    waived: tuple[str, ...] = ()
    """of those rules the ones whose violation is waived: it is missing all the same"""


class Total(NamedTuple):
    """What an institution lacks of a capability altogether: what a zone or floor needs counts for the institution as well."""

    capabilities: tuple[str, ...]
    buy: int
    restore: int
    at_least: bool
    basis: Basis


def _by_basis(found: Iterable[Basis]) -> tuple[int, ...]:
    counts = Counter(found)
    return tuple(counts[basis] for basis in _WORTH)


def falls(turn: Turn) -> bool:
    """Whether a rule that held, or did not apply, would be violated or unknown; or a violation that is waived would be one again."""
    if turn.before is Verdict.WAIVED:
        return turn.after is Verdict.NON_COMPLIANT
    return turn.before in (Verdict.COMPLIANT, Verdict.NOT_APPLICABLE, None) and turn.after in (
        Verdict.NON_COMPLIANT,
        Verdict.UNKNOWN,
    )


def ranked(found: Iterable[SubjectTurns]) -> tuple[SubjectTurns, ...]:
    """Those for whom anything turns, who loses most first: obligations, then targets, then recommendations."""
    return tuple(sorted((one for one in found if one.turns), key=lambda one: (*(-n for n in one.weight), one.subject)))


def summed(found: Iterable[SubjectTurns]) -> tuple[RuleTurns, ...]:
    """The rules that turn anywhere: obligations first, then by how many fall."""
    counts: dict[tuple[str, Basis], Counter[tuple[Verdict | None, Verdict | None]]] = {}
    fallen: Counter[tuple[str, Basis]] = Counter()
    for subject in found:
        for turn in subject.turns:
            key = (turn.rule, turn.basis)
            counts.setdefault(key, Counter())[turn.before, turn.after] += 1
            fallen[key] += falls(turn)
    rows = [RuleTurns(*key, sum(one.values()), fallen[key], one) for key, one in counts.items()]
    return tuple(sorted(rows, key=lambda one: (_WORTH[one.basis], -one.falls, -one.subjects, one.rule)))


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


class _Differing(NamedTuple):
    """The rules of a place: those that differ between now and then, and those that ask the same."""

    before: list[Planned]
    after: list[Planned]
    same_before: list[Planned]
    same_after: list[Planned]


class OtherRules:
    """What other packs, or those of another time, would say of today's facts: evidence is judged as old as it is at `at`, and a waiver excuses what it
    excuses while it holds, now and at the later of both times.

    Only what differs between the two is judged, and what is waived: of a rule that asks the same in both nothing else can turn.
    """

    def __init__(self, packs: Sequence[RulePack], other: Sequence[RulePack], at: Micros, rules_at: Micros) -> None:
        self._now, self._then = plan_of(packs), plan_of(other)
        self._at, self._rules_at, self._later = at, rules_at, max(at, rules_at)
        self._differ: dict[tuple[str, str], _Differing] = {}

    def of(self, facts: InstitutionFacts, excused: Iterable[Waiver] = ()) -> SubjectTurns:
        """Which of the subject's verdicts would be others. `excused`: waivers that hold or are ahead, of whomever."""
        rules = self._rules(facts.division, facts.type)
        mine = [one for one in excused if one.subject == facts.subject]
        named = {one.rule for one in mine if one.holds(self._at) or one.holds(self._later)}
        before = rules.before + [one for one in rules.same_before if one.rule.id in named]
        after = rules.after + [one for one in rules.same_after if one.rule.id in named]
        was = amend(check_planned(before, facts, self._at), mine, self._at)
        then = amend(check_planned(after, facts, self._at), mine, self._later)
        return SubjectTurns(facts.subject, turns(was, then), Waived(_waived(was), _waived(then)))

    def _rules(self, division: str, type: str) -> _Differing:
        key = (division, type)
        if key not in self._differ:
            now, then = self._now.of(*key, self._at), self._then.of(*key, self._rules_at)
            same = {_asked(one) for one in now} & {_asked(one) for one in then}
            self._differ[key] = _Differing(
                [one for one in now if _asked(one) not in same],
                [one for one in then if _asked(one) not in same],
                [one for one in now if _asked(one) in same],
                [one for one in then if _asked(one) in same],
            )
        return self._differ[key]


def _waived(findings: Iterable[Finding]) -> int:
    return sum(one.verdict is Verdict.WAIVED for one in findings)


def _asked(one: Planned) -> tuple[Rule, Requirement, bool]:
    return one.rule, one.requirement, one.prohibited


def other_rules(
    packs: Sequence[RulePack],
    other: Sequence[RulePack],
    facts: InstitutionFacts,
    at: Micros,
    rules_at: Micros,
    excused: Iterable[Waiver] = (),
) -> tuple[Turn, ...]:
    """The same of one subject."""
    return OtherRules(packs, other, at, rules_at).of(facts, excused).turns


def losses(
    packs: Sequence[RulePack], facts: InstitutionFacts, at: Micros, excused: Sequence[Waiver] = ()
) -> tuple[Loss, ...]:
    """The single parts without which a rule that holds now would not, the worst first. What would be violated and is waived is told as waived."""
    now = amend(check(packs, facts, at), excused, at)
    out = []
    for part in _parts(facts):
        left, fallen = _without(facts, part, at)
        then = amend(check(packs, left, at), excused, at)
        falls = [one for one in turns(now, then) if one.before is Verdict.COMPLIANT]
        if falls:
            out.append(Loss(part, fallen, tuple(falls)))
    return tuple(sorted(out, key=lambda one: (*(-n for n in (*one.weight, one.devices)), one.part)))


def _parts(facts: InstitutionFacts) -> list[str]:
    counted: dict[str, int] = {}
    for device in facts.devices:
        if device.admin_state is AdminState.IN_SERVICE:
            for part in (f"device:{device.id}", *device.behind):
                counted[part] = counted.get(part, 0) + 1
    for recording in facts.recordings:
        if recording.recorder:
            counted.setdefault(f"recorder:{recording.recorder}", 1)
    for id in {device.id for device in facts.devices}:  # one box is looked at once, with all that hangs on it
        for spare in [part for part in (*(f"{role}:{id}" for role in _CARRIES), f"device:{id}") if part in counted][1:]:
            del counted[spare]
    return sorted(counted, key=lambda part: (-counted[part], part))[:MOST_PARTS]


def _without(facts: InstitutionFacts, part: str, at: Micros) -> tuple[InstitutionFacts, int]:
    """The facts after the loss: the device itself has failed, what is behind it, or behind what falls with it, is silent, and a recorder's recordings
    are out of reach.
    """
    kind, _, id = part.partition(":")
    own = id if kind in ("device", *_CARRIES) and any(one.id == id for one in facts.devices) else ""
    lost = {part} | ({f"{role}:{own}" for role in _CARRIES} if own else set())
    gone: set[str] = set()
    while more := {one.id for one in facts.devices if one.id not in gone and (one.id == own or lost & {*one.behind})}:
        gone |= more
        lost |= {f"{role}:{id}" for id in more for role in _CARRIES}
    recordings = tuple(one for one in facts.recordings if f"recorder:{one.recorder}" not in lost)
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
            idle = tuple(
                (row.device, row.reason) for row in part.devices if row.contribution is not Contribution.PROVEN
            )
            buy, restore = _lacking(asked, part.needed - part.proven, len(idle), part.unknown)
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
                basis=finding.basis,
                idle=idle,
                waived=(finding.rule.id,) if finding.verdict is Verdict.WAIVED else (),
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
    more = one if one.buy + one.restore >= other.buy + other.restore else other
    return more._replace(
        rules=tuple(sorted({*one.rules, *other.rules})),
        at_least=one.at_least or other.at_least,
        basis=min(one.basis, other.basis, key=_WORTH.__getitem__),
        idle=tuple(sorted({*one.idle, *other.idle})),
        waived=tuple(sorted({*one.waived, *other.waived})),
    )


def totals(lacking: Iterable[Missing]) -> tuple[Total, ...]:
    """What to buy and bring back altogether: of a capability the most that is asked of the institution, of its zones together, of its floors together."""
    groups: dict[tuple[str, ...], dict[str, list[Missing]]] = {}
    for one in lacking:
        of = "zone" if one.zone is not None else "place" if one.place else "whole"
        groups.setdefault(one.capabilities, {}).setdefault(of, []).append(one)
    found = []
    for capabilities, by_place in groups.items():
        sums = [(sum(one.buy for one in rows), _restored(rows)) for rows in by_place.values()]
        rows = [one for each in by_place.values() for one in each]
        basis = min((one.basis for one in rows), key=_WORTH.__getitem__)
        buy, restore = max(one[0] for one in sums), max(one[1] for one in sums)
        found.append(Total(capabilities, buy, restore, any(one.at_least for one in rows), basis))
    return tuple(sorted(found, key=lambda one: (_WORTH[one.basis], -one.buy, -one.restore, one.capabilities)))


def _restored(rows: Sequence[Missing]) -> int:
    """A camera that two zones wait for is brought back once."""
    idle = {device for one in rows if one.restore for device, _ in one.idle}
    return min(len(idle), sum(one.restore for one in rows))
