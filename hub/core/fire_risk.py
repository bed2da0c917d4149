"""How likely a fire is to start, or to be met unprepared, at one institution now: a score from 0 to 100 of which every point is explained.

Pure: facts, weights and the time are arguments. The score is this hub's own (standards catalogue FIR-80 asks for one and fixes no method; section
17): its weights are internal parameters, read from rule-packs/fire-risk.yaml, and it is never shown as a standard's.

What holds of it, whatever the facts (tests/core/test_fire_risk.py):

- The points of the factors add up to the score; the weights of all factors but the hard ones add up to 100.
- What is not known counts as if it were bad, and is said to be unknown: silence, a missing sensor or a lost record never lowers the score.
  `certain` is the part of it that rests on what is known.
- A hard state (a fire alarm that has not ended, gas above its limit) raises the score to its own floor; nothing averages it away.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hub.core.coverage.facts import Contribution, DeviceFact, contribution
from hub.core.coverage.purposes import ROOMS, ZonePurpose
from hub.core.fire_facts import (
    DETECTING,
    HARD,
    SOFT,
    Factor,
    FireFacts,
    Level,
    Limits,
    LiveAlarm,
    Measured,
    State,
    Weight,
    Weights,
)
from hub.model import Micros, SignalClass

MOST_EVIDENCE = 50
"""Things a factor names one by one; `count` says how many there are."""


class Seen(NamedTuple):
    """One thing that was looked at. `whole`: it stands for all that the factor could see, and adds its most."""

    thing: str
    """`device:…`, `zone:…`, `check:…`, or empty for the institution"""
    state: State
    reason: str
    since: Micros | None = None
    whole: bool = False


class Points(NamedTuple):
    """What one factor adds to the score, and why. `certain` of the points rest on what is known, the others on what is not."""

    factor: Factor
    points: int
    certain: int
    most: int
    bad: int
    unknown: int
    evidence: tuple[Seen, ...]
    """worst first, then oldest; at most MOST_EVIDENCE"""


class Risk(NamedTuple):
    """The score with what it is made of: hard factors last, for they fill up what the others left."""

    subject: str
    at: Micros
    score: int
    certain: int
    level: Level
    hard: bool
    factors: tuple[Points, ...]


def assess(facts: FireFacts, weights: Weights, at: Micros) -> Risk:
    """The score of one institution at a time. Nothing is scored low on silence: what is not connected has the full score, all of it unknown."""
    looked = {factor: list(look(facts, weights.limits, at)) for factor, look in _LOOKS.items()}
    if not facts.connected:
        looked = {factor: [_nothing("not_connected")] if factor in SOFT else [] for factor in looked}
    soft = [_points(factor, looked[factor], weights.factors[factor]) for factor in SOFT]
    score, certain = sum(one.points for one in soft), sum(one.certain for one in soft)
    hard = []
    for factor in HARD:
        found = _points(factor, looked[factor], weights.factors[factor])
        floor = weights.factors[factor].most if found.bad else 0
        raised = found._replace(points=max(0, floor - score), certain=max(0, floor - certain))
        score, certain = score + raised.points, certain + raised.certain
        hard.append(raised)
    return Risk(
        subject=facts.subject,
        at=at,
        score=score,
        certain=certain,
        level=[one for one in weights.levels if one.least <= score][-1],
        hard=any(one.bad for one in hard),
        factors=(*soft, *hard),
    )


def _points(factor: Factor, seen: Iterable[Seen], weight: Weight) -> Points:
    rows = [one for one in seen if one.state is not State.GOOD]
    bad = [one for one in rows if one.state is State.BAD]
    worst_first = sorted(
        rows, key=lambda one: (one.state is not State.BAD, one.since is None, one.since or 0, one.thing)
    )
    return Points(
        factor=factor,
        points=_worth(rows, weight),
        certain=_worth(bad, weight),
        most=weight.most,
        bad=len(bad),
        unknown=len(rows) - len(bad),
        evidence=tuple(worst_first[:MOST_EVIDENCE]),
    )


def _worth(rows: list[Seen], weight: Weight) -> int:
    return weight.most if any(one.whole for one in rows) else min(weight.most, weight.each * len(rows))


def _nothing(reason: str, state: State = State.UNKNOWN) -> Seen:
    return Seen("", state, reason, whole=True)


# what each factor looks at -------------------------------------------------------------------------------------------


def _fire_alarm(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    for one in facts.alarms:
        if one.signal_class is SignalClass.FIRE and not one.gas:
            yield Seen(f"device:{one.device}", State.BAD, "fire_alarm", one.raised_at)


def _gas_alarm(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    for one in facts.alarms:
        if one.signal_class is SignalClass.FIRE and one.gas:
            yield Seen(f"device:{one.device}", State.BAD, "gas_alarm", one.raised_at)
    for value in facts.measured:  # of any age and quality: what was last said stands until something better is said
        if value.unit == "%LEL" and value.value is not None and value.value >= limits.gas_limit:
            yield Seen(f"device:{value.device}", State.BAD, "gas_above_limit", value.at)


def _detectors(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """Every detector and panel: faulty or out of service is bad, not heard or never proven is unknown. None at all is bad."""
    detectors = [one for one in facts.devices if one.capabilities & DETECTING]
    if not detectors:
        yield _nothing("no_detector", State.BAD)
    for one in detectors:
        yield _working(one)


def _working(device: DeviceFact) -> Seen:
    """By the worst of what it detects: a smoke alarm that was tested says nothing of its gas alarm."""
    said = [contribution(device, frozenset({one})) for one in sorted(device.capabilities & DETECTING)]
    what, reason, since = min(said, key=lambda one: _WORST.index(one[0]))
    return Seen(f"device:{device.id}", _STATE_OF[what], reason, since)


_DOOR = frozenset({"access.control"})
_WORST = (Contribution.NONE, Contribution.UNKNOWN, Contribution.PROVEN)
_STATE_OF = {Contribution.PROVEN: State.GOOD, Contribution.UNKNOWN: State.UNKNOWN, Contribution.NONE: State.BAD}


def _rooms(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """Every room has a smoke detector in service. Where a panel hears loops of its own, a room without one of ours is unknown, not bare."""
    if not facts.zones:
        yield _nothing("no_zone_plan")
    watched = {one.zone for one in facts.devices if "fire.smoke" in one.capabilities and _counts(one)}
    has_panel = any("fire.panel" in one.capabilities and _counts(one) for one in facts.devices)
    for zone in facts.zones:
        if zone.purpose in ROOMS and zone.id not in watched:
            state, reason = (State.UNKNOWN, "panel_only") if has_panel else (State.BAD, "no_detector_here")
            yield Seen(f"zone:{zone.id}", state, reason)


def _exits(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """Every exit: propped, forced or blocked is bad; one whose door nobody hears is unknown."""
    stuck = {
        one.device: one.raised_at for one in sorted(facts.alarms, key=_newest_first) if one.definition in limits.blocked
    }
    for device, since in stuck.items():
        yield Seen(f"device:{device}", State.BAD, "exit_not_free", since)
    doors = [one for one in facts.devices if one.capabilities & _DOOR]
    for door in doors:
        what, _, since = contribution(door, _DOOR)
        if what is not Contribution.PROVEN and door.id not in stuck:
            yield Seen(f"device:{door.id}", State.UNKNOWN, "door_silent", since)
    if not facts.zones:
        yield _nothing("no_zone_plan")
    told = {one.zone for one in doors}
    for zone in facts.zones:
        if zone.purpose in limits.exits and zone.id not in told:
            yield Seen(f"zone:{zone.id}", State.UNKNOWN, "nobody_tells_of_it")
    if facts.zones and not doors and not any(zone.purpose in limits.exits for zone in facts.zones):
        yield _nothing("no_exit_known")


def _newest_first(alarm: LiveAlarm) -> int:
    return -alarm.raised_at


def _gas(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """A warning of a gas detector that is no alarm yet is bad; a kitchen without one is unknown: nobody said whether it burns gas."""
    for one in facts.alarms:
        if one.gas and one.signal_class is SignalClass.SUPERVISORY:
            yield Seen(f"device:{one.device}", State.BAD, "gas_warning", one.raised_at)
    for value in facts.measured:
        if value.unit == "%LEL" and (value.value is None or not value.good or value.at < at - limits.fresh):
            yield Seen(f"device:{value.device}", State.UNKNOWN, "value_too_old", value.at)
    if not facts.zones:
        yield _nothing("no_zone_plan")
    watched = {one.zone for one in facts.devices if "gas.detect" in one.capabilities and _counts(one)}
    for zone in facts.zones:
        if zone.purpose == ZonePurpose.KITCHEN and zone.id not in watched:
            yield Seen(f"zone:{zone.id}", State.UNKNOWN, "no_gas_detector_here")


def _heat(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """Every measured room temperature; nobody measuring any is unknown."""
    found = [one for one in facts.measured if one.unit == "°C" and one.kind in limits.heat_kinds]
    if not found:
        yield _nothing("not_measured")
    for one in found:
        yield _bounded(one, limits.heat_above, limits, at, "hot")


def _circuits(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """A circuit that leaks or overheats, at any hour; after closing also one that is still live, and nobody measuring any."""
    for alarm in facts.alarms:
        if alarm.definition in limits.electrical:
            yield Seen(f"device:{alarm.device}", State.BAD, "electrical", alarm.raised_at)
    if facts.is_open:
        return
    found = [one for one in facts.measured if one.unit == "W" and one.kind in limits.circuit_kinds]
    if not found:
        yield _nothing("not_measured")
    for one in found:
        yield _bounded(one, limits.idle_watts, limits, at, "live_after_closing")


def _bounded(one: Measured, above: float, limits: Limits, at: Micros, reason: str) -> Seen:
    thing = f"device:{one.device}"
    if one.value is None or not one.good or one.at < at - limits.fresh:
        return Seen(thing, State.UNKNOWN, "value_too_old", one.at)
    return Seen(thing, State.BAD if one.value > above else State.GOOD, reason, one.at)


def _checks(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """Patrols, inspections, drills: overdue is bad, never recorded is unknown."""
    for kind, within in sorted(limits.checks.items()):
        last = facts.checked.get(kind)
        if last is None:
            yield Seen(f"check:{kind}", State.UNKNOWN, "never_recorded")
        else:
            yield Seen(f"check:{kind}", State.BAD if last < at - within else State.GOOD, "overdue", last)


def _tests(facts: FireFacts, limits: Limits, at: Micros) -> Iterator[Seen]:
    """The function tests of detectors, whatever their state. Without any detector there is nothing that was ever tested."""
    detectors = [one for one in facts.devices if one.capabilities & DETECTING]
    if not detectors:
        yield _nothing("nothing_tested")
    for one in detectors:
        last = facts.tested.get(one.id)
        if last is None:
            yield Seen(f"device:{one.id}", State.UNKNOWN, "never_tested")
        else:
            yield Seen(
                f"device:{one.id}", State.BAD if last < at - limits.tested_within else State.GOOD, "test_overdue", last
            )


def _counts(device: DeviceFact) -> bool:
    """In service and not known to have failed: whether it is heard is another factor's question."""
    return contribution(device)[0] is not Contribution.NONE


_LOOKS = {
    Factor.FIRE_ALARM: _fire_alarm,
    Factor.GAS_ALARM: _gas_alarm,
    Factor.DETECTORS: _detectors,
    Factor.ROOMS: _rooms,
    Factor.EXITS: _exits,
    Factor.GAS: _gas,
    Factor.HEAT: _heat,
    Factor.CIRCUITS: _circuits,
    Factor.CHECKS: _checks,
    Factor.TESTS: _tests,
}
