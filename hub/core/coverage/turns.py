"""When a verdict may turn although nothing new is known: evidence grows too old, a proof or a document expires, a rule begins or ends to hold.

Never too late: between two such moments `check` gives the same verdicts for the same facts. It may be too early, which costs one judging.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from hub.core.coverage.attestations import AttestationKind
from hub.core.coverage.facts import Attestation, DeviceFact, InstitutionFacts
from hub.core.coverage.index import SKEW
from hub.core.coverage.judge_records import OPEN
from hub.core.coverage.plan import plan_of
from hub.core.coverage.rules import (
    AlwaysArmed,
    AtLeast,
    Attested,
    Bounds,
    Documents,
    Independent,
    NoneIn,
    Proven,
    Requirement,
    RulePack,
    ShareCovered,
    TimeBound,
    When,
)
from hub.model import Micros


def next_turn(packs: Sequence[RulePack], facts: InstitutionFacts, at: Micros) -> Micros | None:
    """The first moment after `at` at which some verdict may be another one; None if none ever is while the facts stay as they are."""
    plan = plan_of(packs)
    first = plan.next_turn(at)
    if facts.connected and not facts.unreadable:
        stated: _Stated = {}
        for one in facts.attestations:
            stated.setdefault(one.kind, []).append(one)
        for planned in plan.of(facts.division, facts.type, at):
            moments = _moments(planned.requirement, planned.rule.evidence_max_age, facts, stated)
            for moment in chain(moments, _circumstance(planned.rule.when, stated)):
                if moment > at and (first is None or moment < first):
                    first = moment
    return first


_Stated = dict[str, list[Attestation]]
"""attestations by kind"""


def _circumstance(when: When | None, stated: _Stated) -> Iterator[Micros]:
    if when is not None and when.stated:
        yield from _turning(stated.get(when.stated, ()), when.within, None)


def points(packs: Sequence[RulePack]) -> frozenset[str]:
    """The points whose values some rule asks for."""
    asked = [rule.requirement for pack in packs for rule in pack.rules]
    return frozenset(one.point for one in asked if isinstance(one, Bounds) and one.point)


def _moments(
    asked: Requirement, greatest_age: Micros | None, facts: InstitutionFacts, stated: _Stated
) -> Iterator[Micros]:
    match asked:
        case NoneIn():
            return
        case AtLeast() | ShareCovered():
            for device in _having(facts, asked.capabilities):
                yield from _heard(device, greatest_age)
                for view in device.sees:
                    yield from _believed(view.attested_at, asked.views_within)
        case Independent():
            for device in _having(facts, asked.capabilities):
                yield from _heard(device, greatest_age)
                for view in device.sees:
                    yield from _believed(view.attested_at, None)
        case Proven():
            for device in _having(facts, asked.capabilities):
                yield from _heard(device, greatest_age)
                for _, at in device.proven:
                    yield from _believed(at, asked.within)
        case AlwaysArmed():
            for device in facts.devices:
                yield from _heard(device, greatest_age)
        case Bounds():
            yield from _measured(asked, greatest_age, facts, stated)
        case Attested():
            yield from _turning(stated.get(asked.kind, ()), asked.within, greatest_age)
            if asked.each_open_day:
                for one in facts.intervals:
                    if one.kind == OPEN and one.ended_at is not None:
                        yield one.ended_at
                        yield one.ended_at + (asked.within or 0) + 1
        case Documents():
            for kind in asked.kinds:
                yield from _turning(stated.get(kind, ()), asked.within, greatest_age)
        case TimeBound():
            for one in facts.intervals:
                if one.kind == asked.interval:
                    yield one.began_at - SKEW
                    due = one.began_at + asked.within
                    yield from (due, due + 1)
                    yield from _believed(due if one.ended_at is None else one.ended_at, greatest_age)


def _having(facts: InstitutionFacts, capabilities: frozenset[str]) -> Iterator[DeviceFact]:
    return (device for device in facts.devices if not capabilities.isdisjoint(device.capabilities))


def _heard(device: DeviceFact, greatest_age: Micros | None) -> Iterable[Micros]:
    return () if greatest_age is None else _believed(device.last_heard_at, greatest_age)


def _believed(stated_at: Micros | None, greatest_age: Micros | None) -> Iterator[Micros]:
    """When what was stated begins to be believed, and when it ends to be."""
    if stated_at is not None:
        yield stated_at - SKEW
        if greatest_age is not None:
            yield stated_at + greatest_age + 1


def _turning(found: Iterable[Attestation], within: Micros | None, greatest_age: Micros | None) -> Iterator[Micros]:
    for one in found:
        yield from _believed(one.at, greatest_age)
        if within is not None:
            yield one.at + within + 1
        if one.expires_at is not None:
            yield one.expires_at


def _measured(asked: Bounds, greatest_age: Micros | None, facts: InstitutionFacts, stated: _Stated) -> Iterator[Micros]:
    if asked.of == "point":
        for device in facts.devices:
            for value in device.values:
                if value.point == asked.point:
                    yield from _believed(value.at, greatest_age)
    elif asked.of == "recording_days":
        for fact in facts.recordings:
            yield from _believed(fact.read_at, greatest_age)
        if asked.hold_excepted:
            for one in stated.get(AttestationKind.LEGAL_HOLD, ()):
                yield one.at
                if one.expires_at is not None:
                    yield one.expires_at
