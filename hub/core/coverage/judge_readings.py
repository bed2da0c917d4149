"""Requirements on what devices measured, recorded, proved, or are set to: bounds, proven, always_armed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hub.core.coverage.facts import Arming, Contribution, DeviceFact, RecordingFact, Value, ZoneFact
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Part
from hub.core.coverage.index import SKEW, Index, fresh, rows_of
from hub.core.coverage.judged import Judged, no_device, no_zone, worst
from hub.core.coverage.rules import AlwaysArmed, Bounds, Proven, Verdict
from hub.core.recordings import DAY, WINDOW_DAYS, is_enough, lost_days, needed_days, silent_days
from hub.model import AdminState, FunctionState, Micros

_V, _C = Verdict, Contribution
_WORSE = {_C.NONE: 0, _C.UNKNOWN: 1, _C.PROVEN: 2}

_Said = tuple[Contribution, str, float | None, Micros | None]
"""what a device contributes, why, what was measured, and when"""


def every(rows: Iterable[DeviceEvidence], must_exist: bool) -> Judged:
    """One part in which every device must be in order: any that is not is a violation, any that is not known leaves it unknown."""
    listed = rows_of(rows)
    if not listed.devices:
        return no_device(must_exist)
    total = len(listed.devices)
    if listed.proven + listed.unknown < total:
        verdict = _V.NON_COMPLIANT
    else:
        verdict = _V.UNKNOWN if listed.unknown else _V.COMPLIANT
    return Judged(verdict, "judged", (Part(None, verdict, total, listed.proven, listed.unknown, listed.devices),))


def bounds(asked: Bounds, greatest_age: Micros | None, index: Index) -> Judged:
    """A point or the days of recording within bounds, at every device in service that is meant; or the institution's own figures."""
    if asked.of in ("area_m2", "capacity"):
        return _figure(asked, index)
    if asked.of == "floor":
        return _floors(asked, index)
    if asked.zones and not index.zones:
        return no_zone(asked.must_exist, index)
    if asked.of != "recording_days":
        return every(_values(asked, greatest_age, index), asked.must_exist)
    # many rules ask for the same days and differ only in what it means that there is no camera
    key = replace(asked, must_exist=False), greatest_age
    recorded = index.recorded.get(key)
    if recorded is None:
        recorded = index.recorded[key] = tuple(_recordings(asked, greatest_age, index))
    return every(recorded, asked.must_exist)


def _figure(asked: Bounds, index: Index) -> Judged:
    given = index.facts.area_m2 if asked.of == "area_m2" else index.facts.capacity
    kind = "area" if asked.of == "area_m2" else "capacity"
    if given is None or not math.isfinite(given) or given <= 0:
        row = FactEvidence(kind, "", _C.UNKNOWN, f"no_{kind}")
    elif asked.minimum is not None and given < asked.minimum:
        row = FactEvidence(kind, "", _C.NONE, "too_low", value=float(given))
    elif asked.maximum is not None and given > asked.maximum:
        row = FactEvidence(kind, "", _C.NONE, "too_high", value=float(given))
    else:
        row = FactEvidence(kind, "", _C.PROVEN, "stated", value=float(given))
    verdict = {_C.PROVEN: _V.COMPLIANT, _C.UNKNOWN: _V.UNKNOWN, _C.NONE: _V.NON_COMPLIANT}[row.contribution]
    sure, perhaps = int(row.contribution is _C.PROVEN), int(row.contribution is _C.UNKNOWN)
    return Judged(verdict, "judged", (Part(None, verdict, 1, sure, perhaps, (), "", (row,)),))


def _floors(asked: Bounds, index: Index) -> Judged:
    parts = tuple(_on_floor(asked, zone) for zone in index.zones_of(asked.zones))
    return Judged(worst(part.verdict for part in parts), "judged", parts) if parts else no_zone(asked.must_exist, index)


def _on_floor(asked: Bounds, zone: ZoneFact) -> Part:
    """1 is the ground floor, -1 the first basement (hub.core.coverage.facts.ZoneFact)."""
    try:
        floor = int(zone.floor)
    except ValueError:
        row = FactEvidence("floor", zone.id, _C.UNKNOWN, "no_floor")
        return Part(zone, _V.UNKNOWN, 1, 0, 1, (), "", (row,))
    if asked.minimum is not None and floor < asked.minimum:
        row = FactEvidence("floor", zone.id, _C.NONE, "too_low", value=float(floor))
    elif asked.maximum is not None and floor > asked.maximum:
        row = FactEvidence("floor", zone.id, _C.NONE, "too_high", value=float(floor))
    else:
        row = FactEvidence("floor", zone.id, _C.PROVEN, "stated", value=float(floor))
    good = row.contribution is _C.PROVEN
    return Part(zone, _V.COMPLIANT if good else _V.NON_COMPLIANT, 1, int(good), 0, (), "", (row,))


def _row(device: DeviceFact, said: _Said) -> DeviceEvidence:
    counts, reason, value, at = said
    return DeviceEvidence(device.id, device.zone, counts, reason, device.function_since, None, "", value, at)


def _meant(
    index: Index, devices: Sequence[DeviceFact], zones: frozenset[str], capabilities: frozenset[str]
) -> Iterable[tuple[DeviceFact, bool]]:
    """The devices in service in these zones (all where none is named), and whether it is known where they are."""
    inside = {zone.id for zone in index.zones_of(zones)}
    for device in devices:
        if device.admin_state is not AdminState.IN_SERVICE:
            continue
        if not zones:
            yield device, True
            continue
        places = index.places(device, capabilities)
        if places is None or places & inside:
            yield device, places is not None


def _values(asked: Bounds, greatest_age: Micros | None, index: Index) -> Iterable[DeviceEvidence]:
    if asked.capabilities:
        devices: Sequence[DeviceFact] = index.having(asked.capabilities)
    else:
        devices = [one for one in index.devices if any(value.point == asked.point for value in one.values)]
    if asked.kinds:
        devices = [one for one in devices if one.kind in asked.kinds]
    for device, placed in _meant(index, devices, asked.zones, frozenset()):
        said = _value(asked, greatest_age, device, index) if placed else (_C.UNKNOWN, "unplaced", None, None)
        yield _row(device, said)


def _value(asked: Bounds, greatest_age: Micros | None, device: DeviceFact, index: Index) -> _Said:
    newest = max((one for one in device.values if one.point == asked.point), key=_newest, default=None)
    if newest is None:
        return _C.UNKNOWN, "no_value", None, None
    own = index.evidence(device, None)
    value, at = newest.value, newest.at
    if not math.isfinite(value):
        return _C.UNKNOWN, "no_value", None, at
    if not fresh(at, index.at, greatest_age):
        return _C.UNKNOWN, "stale", value, at
    if device.function_state is FunctionState.FAILED:
        return _C.UNKNOWN, "failed", value, at
    if asked.minimum is not None and value < asked.minimum:
        return _C.NONE, "too_low", value, at
    if asked.maximum is not None and value > asked.maximum:
        return _C.NONE, "too_high", value, at
    meant = asked.capabilities & device.capabilities
    if own.contribution is _C.PROVEN and meant and meant <= device.unproven:
        return _C.UNKNOWN, "never_proven", value, at
    return own.contribution, own.reason, value, at


def _newest(one: Value) -> tuple[Micros, float]:
    return one.at, one.value if math.isfinite(one.value) else 0.0


def _recordings(asked: Bounds, greatest_age: Micros | None, index: Index) -> Iterable[DeviceEvidence]:
    by_device, at = index.recordings, index.at
    recorded: Sequence[DeviceFact] = index.having(asked.capabilities)
    if not asked.zones:  # where a recorder hangs says nothing of what it records
        known = {device.id for device in recorded}
        if not by_device.keys() <= known:
            recorded = [one for one in index.devices if one.id in by_device or one.id in known]
    for device, placed in _meant(index, recorded, asked.zones, asked.capabilities):
        if not placed:
            yield _row(device, (_C.UNKNOWN, "unplaced", None, None))
        else:
            held = asked.hold_excepted and _held(device, index)
            said = _recorded(asked, greatest_age, by_device.get(device.id, ()), held, at)
            yield DeviceEvidence(
                device.id, device.zone, said[0], said[1], device.function_since, None, "", said[2], said[3]
            )


def _recorded(
    asked: Bounds, greatest_age: Micros | None, facts: Sequence[RecordingFact], held: bool, at: Micros
) -> _Said:
    """The best of what several recorders hold meets the floor; the worst of it must meet the ceiling."""
    if not facts:
        return _C.UNKNOWN, "no_index", None, None
    believed = facts
    if len(facts) > 1 or not fresh(facts[0].read_at, at, greatest_age):
        believed = [fact for fact in facts if fresh(fact.read_at, at, greatest_age)]
    if not believed:
        newest = max(facts, key=lambda fact: (fact.read_at, _days(fact)))
        return _C.UNKNOWN, "stale", _days(newest), newest.read_at
    if asked.maximum is None and asked.minimum is not None and len(believed) == 1:
        return _floor(asked, asked.minimum, believed[0])
    said: list[_Said] = []
    if asked.minimum is not None:
        floors = [_floor(asked, asked.minimum, one) for one in believed]
        said.append(floors[0] if len(floors) == 1 else max(floors, key=_rank))
    if asked.maximum is not None:
        ceilings = [_ceiling(asked.maximum, one, held) for one in believed]
        said.append(ceilings[0] if len(ceilings) == 1 else min(ceilings, key=_rank))
    return said[0] if len(said) == 1 else min(said, key=lambda one: _WORSE[one[0]])


def _rank(said: _Said) -> tuple[int, float, Micros, str]:
    return _WORSE[said[0]], said[2] or 0.0, said[3] or 0, said[1]


def _days(fact: RecordingFact) -> float:
    return fact.days if math.isfinite(fact.days) else 0.0


def _floor(asked: Bounds, minimum: float, fact: RecordingFact) -> _Said:
    """Whether a recorder holds as many days as asked, or as the camera has been in service, less what may be missing (`gaps`), and still records.

    Gaps, black and frozen footage of the last 90 days do not count, however much is held beyond them. Between what is proven and what is possible, and
    where gaps may lie further back than what is asked, it is unknown.
    """
    value, at = round(_days(fact), 1), fact.read_at
    possible = fact.days if fact.possible is None else fact.possible
    inf = math.inf  # what is not a number compares with nothing
    if not (
        0 <= fact.days < inf and 0 <= fact.gap_seconds < inf and 0 <= fact.bad_seconds < inf and 0 <= possible < inf
    ):
        return _C.UNKNOWN, "no_value", None, at
    needed = minimum
    if fact.installed_at is not None:
        if fact.installed_at > fact.read_at:
            return _C.UNKNOWN, "no_value", value, at
        needed = needed_days(minimum, fact.installed_at, fact.read_at)
    lower, upper, allowed = fact.days, max(fact.days, possible), asked.gaps / DAY
    limit, newest = asked.newest_within, fact.newest_at
    if limit is not None and newest is not None and fact.read_at - newest > limit:
        return _C.NONE, "stopped", value, fact.newest_at
    missing = lost_days(fact.gap_seconds, fact.bad_seconds, fact.newest_at, fact.read_at)
    if is_enough(lower, missing, needed, allowed):
        if lower <= 0:
            return _C.UNKNOWN, "days_unproven", value, at
        if limit is not None and newest is None:
            return _C.UNKNOWN, "newest_unknown", value, at
        return _C.PROVEN, "so_far" if needed < minimum else "recorded", value, at
    short = max(0.0, needed - upper)
    if short > allowed:
        return _C.NONE, "too_short", value, at
    elsewhere = max(0.0, min(upper, WINDOW_DAYS) - needed)
    silent = silent_days(newest, fact.read_at)
    within = max(fact.gap_seconds, fact.bad_seconds) / 86_400 - elsewhere
    if short + max(0.0, within, min(silent, needed)) > allowed:
        return _C.NONE, "gaps", value, at
    return _C.UNKNOWN, "gaps" if missing > allowed else "days_unproven", value, at


def _ceiling(maximum: float, fact: RecordingFact, held: bool) -> _Said:
    value, at = round(_days(fact), 1), fact.read_at
    upper = fact.days if fact.possible is None else max(fact.days, fact.possible)
    if held:
        return _C.PROVEN, "legal_hold", value, at
    if not (0 <= fact.days < math.inf and 0 <= (fact.possible or 0.0) < math.inf):
        return _C.UNKNOWN, "no_value", None, at
    if fact.days > maximum:
        return _C.NONE, "too_long", value, at
    return (_C.UNKNOWN, "days_unproven", value, at) if upper > maximum else (_C.PROVEN, "recorded", value, at)


def _held(device: DeviceFact, index: Index) -> bool:
    """Whether somebody stated a legal hold, in force now, for this device, its zone or the whole institution."""
    return any(
        one.device == device.id if one.device is not None else one.zone in (None, device.zone) for one in index.holds
    )


def proven(asked: Proven, greatest_age: Micros | None, index: Index) -> Judged:
    """Every device that is meant was proven within the time."""
    if asked.zones and not index.zones:
        return no_zone(asked.must_exist, index)
    devices = index.having(asked.capabilities)
    rows = []
    for device, placed in _meant(index, devices, asked.zones, asked.capabilities):
        rows.append(
            _row(
                device, _proven(asked, greatest_age, device, index) if placed else (_C.UNKNOWN, "unplaced", None, None)
            )
        )
    return every(rows, asked.must_exist)


def _proven(asked: Proven, greatest_age: Micros | None, device: DeviceFact, index: Index) -> _Said:
    last = _last_proof(asked.capabilities & device.capabilities, device, index.at)
    if device.function_state is FunctionState.FAILED:
        return _C.NONE, "failed", None, last
    if last is None:
        return _C.UNKNOWN, "never_proven", None, None
    if device.function_state is FunctionState.UNPROVEN:
        return _C.UNKNOWN, "unproven", None, last
    if index.at - last > asked.within:
        return _C.NONE, "overdue", None, last
    own = index.evidence(device, greatest_age, asked.capabilities)
    return own.contribution, own.reason, None, last


def _last_proof(meant: frozenset[str], device: DeviceFact, at: Micros) -> Micros | None:
    """When all of these capabilities were proven last: of each the newest proof, and of those the oldest. None where one never was."""
    oldest: Micros | None = None
    for capability in meant:
        proofs = [done for name, done in device.proven if name in ("", capability) and done - at <= SKEW]
        if not proofs:
            return None
        newest = max(proofs)
        oldest = newest if oldest is None else min(oldest, newest)
    return oldest


def always_armed(asked: AlwaysArmed, greatest_age: Micros | None, index: Index) -> Judged:
    """Every device in service that has alarms of these classes has them always on."""
    devices = {device.id: device for device in index.devices if device.admin_state is AdminState.IN_SERVICE}
    found: dict[str, list[Arming]] = {}
    classes = set()
    for one in index.facts.armed_always:
        if one.signal_class in asked.classes and one.device in devices:
            found.setdefault(one.device, []).append(one)
            classes.add(one.signal_class)
    rows = []
    for name in sorted(found):
        device = devices[name]
        said = (_armed(device, one, greatest_age, index) for one in found[name])
        rows.append(_row(device, min(said, key=lambda one: (_WORSE[one[0]], one[1], one[3] or 0))))
    judged = every(rows, asked.must_exist)
    lacking = sorted(asked.classes - classes) if asked.must_exist and rows else []
    if not lacking:
        return judged
    missing = tuple(FactEvidence(name, "", _C.UNKNOWN, "no_such_device") for name in lacking)
    parts = (*judged.parts, Part(None, _V.UNKNOWN, len(lacking), 0, 0, (), "", missing))
    return Judged(worst(part.verdict for part in parts), "judged", parts)


def _armed(device: DeviceFact, arming: Arming, greatest_age: Micros | None, index: Index) -> _Said:
    if device.function_state is FunctionState.FAILED:
        return _C.NONE, "failed", None, arming.at
    if not arming.always:
        return _C.NONE, "may_be_off", None, arming.at
    own = index.evidence(device, greatest_age)
    return own.contribution, own.reason, None, arming.at
