"""What a simulated device of a profile says: values at rest, values that move, values that raise an alarm. Pure; chance comes in as `dice`.

Raw values, as the protocol would give them: the profile's scale, offset and enumerations are undone here, the protocol's own encoding is the
simulator's affair. A value at rest meets no alarm's and no health row's condition, and a moving one never wanders into one by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from hub.core.alarms import holds
from hub.core.normalise import normalise
from hub.model import Lane, Micros, Quality, Sample, Scalar, Series
from hub.profiles import BUILT_IN, Condition, Point, Profile, Record

Dice = Callable[[], float]
"""A number from 0 to below 1."""
Key = tuple[str, str]
"""point and instance"""
_NOW: Micros = 1_795_000_000_000_000
_FRACTIONS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9, 0.0, 1.0)
_WELL = frozenset({"normal", "ok", "good", "mains", "online", "up", "closed", "locked", "idle", "running", "active"})
"""Labels of a device with which all is well; others come after them."""
_STEP = 0.02
"""How far a value moves at once at most, as a part of its range."""


class Interval(NamedTuple):
    """Bounds of a number, in the profile's unit."""

    low: float
    high: float


def bounds(point: Point) -> Interval:
    """The point's range, or one that is usual."""
    return Interval(0.0, 100.0) if point.range is None else Interval(*point.range)


def keys(profile: Profile, instances: Sequence[str]) -> list[Key]:
    """Every point of the profile with its instances; a point without any has the empty one."""
    return [
        (name, instance)
        for name, point in profile.points.items()
        for instance in (instances if point.instances else ("",))
    ]


def at_rest(
    profile: Profile, instances: Sequence[str], uptime: float, words: Mapping[str, frozenset[Scalar]] | None = None
) -> dict[Key, Scalar]:
    """Raw values of a device with which all is well; events are not among them. `uptime`: seconds since its start, for beats that count.

    `words`: all that a point can say, where its device has words only for some values; one whose words all alarm is not among the values.
    """
    found: dict[Key, Scalar] = {}
    for name, instance in keys(profile, instances):
        point = profile.points[name]
        if point.record is Record.EVENT:
            continue
        if point.record is Record.BEAT and point.type in ("int", "float") and point.enum is None:
            found[name, instance] = _raw(point, uptime)
            continue
        possible = [*_candidates(point), *(raw for one in _conditions(profile, name) for raw in _beyond(point, one))]
        calm = [raw for raw in possible if not _judged(profile, name, raw)]
        sayable = (words or {}).get(name)
        if sayable is not None:
            calm = [raw for raw in calm if raw in sayable]
            if not calm:
                continue
        found[name, instance] = calm[0] if calm else possible[0]
    return found


def drifted(profile: Profile, values: Mapping[Key, Scalar], uptime: float, dice: Dice) -> dict[Key, Scalar]:
    """What the values have become a moment later: numbers wander inside their range, counters count, all else stays."""
    found: dict[Key, Scalar] = dict(values)
    for (name, instance), raw in values.items():
        point = profile.points[name]
        if point.enum is not None or point.type not in ("int", "float") or isinstance(raw, bool | str):
            continue
        if point.record is Record.BEAT:
            found[name, instance] = _raw(point, uptime)
            continue
        low, high = bounds(point)
        moved = raw * point.scale + point.offset + (dice() - 0.5) * 2 * _STEP * (high - low)
        new = _raw(point, min(max(moved, low), high))
        if not _judged(profile, name, new):
            found[name, instance] = new
    return found


def alarming(profile: Profile, alarm: str, instances: Sequence[str]) -> dict[Key, Scalar] | None:
    """Raw values that raise the alarm, at the first of the instances; None for one that only silence or the device's clock raises."""
    definition = profile.alarms[alarm]
    if definition.point in BUILT_IN:
        return None
    point = profile.points[definition.point]
    instance = instances[0] if point.instances and instances else ""
    for raw in (*_candidates(point), *_beyond(point, definition.condition)):
        if _meets(point, raw, definition.condition):
            return {(definition.point, instance): raw}
    return None


def _beyond(point: Point, condition: Condition) -> list[Scalar]:
    """Just over the threshold, for a range that is wide or not told; or the very value that the condition names."""
    named = condition.any_of if condition.any_of is not None else (condition.equals,)
    if point.enum is None and condition.above is None and condition.below is None:
        return [_raw(point, one) if isinstance(one, int | float) else one for one in named if one is not None]
    threshold = condition.above if condition.above is not None else condition.below
    if threshold is None or point.type not in ("int", "float"):
        return []
    margin = max(1.0, abs(threshold) * 0.2)
    return [_raw(point, threshold + margin), _raw(point, threshold - margin)]


def is_event(profile: Profile, values: Mapping[Key, Scalar]) -> bool:
    """Whether these happen and never un-happen: there is nothing to put back."""
    return all(profile.points[name].record is Record.EVENT for name, _ in values)


def _conditions(profile: Profile, name: str) -> list[Condition]:
    """All that is judged of this point, but for what happens."""
    found = [alarm.condition for _, alarm in profile.alarms_of.get(name, ())]
    found += [row.condition for row in profile.health if row.point == name]
    return [one for one in found if one.present is None]


def _judged(profile: Profile, name: str, raw: Scalar) -> bool:
    return any(_meets(profile.points[name], raw, condition) for condition in _conditions(profile, name))


def _meets(point: Point, raw: Scalar, condition: Condition) -> bool:
    reading = normalise(Sample(Series("", ""), _NOW, raw), point, _NOW, Lane.BULK)
    return reading.quality is Quality.GOOD and holds(condition, 0.0, False, reading.value, reading.text)


def _candidates(point: Point) -> list[Scalar]:
    """Raw values that the point can have, the most ordinary first."""
    if point.enum is not None:
        labels = point.enum
        if point.type == "bool":
            return [bool(code) for code in sorted(labels)]
        codes = sorted(labels, key=lambda code: labels[code] not in _WELL)
        return [labels[code] for code in codes] if point.type == "str" else list(codes)
    if point.type == "bool":
        return [True, False] if point.record is not Record.READING else [False, True]
    if point.type == "str":
        return ["simulated"]
    low, high = bounds(point)
    return [_raw(point, low + (high - low) * fraction) for fraction in _FRACTIONS]


def _raw(point: Point, value: float) -> int | float:
    raw = (value - point.offset) / point.scale if point.scale else 0.0
    if point.type == "int":
        return round(raw)
    return round(raw, 3)
