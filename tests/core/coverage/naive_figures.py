"""The kinds that look at figures, recordings, statements of people and times."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, isfinite

from hub.core.coverage.facts import Attestation, DeviceFact, InstitutionFacts, RecordingFact
from hub.core.coverage.requirements import Attested, Bounds, Documents, TimeBound
from tests.core.coverage.naive_words import (
    DAY,
    MAYBE,
    MINUTE,
    NO,
    NOTHING,
    PROVEN,
    UNSURE,
    YES,
    Parts,
    So,
    as_a_whole,
    as_it_gives,
    each_device,
    enough,
    fresh,
    in_service,
    in_zones,
    known,
    meant,
    times,
    worst,
)


def floors(asked: Bounds, facts: InstitutionFacts, so: So) -> str:
    if not facts.zones:
        return as_a_whole(MAYBE, so)
    parts = Parts(so)
    for zone in meant(facts, asked.zones):
        parts.add(MAYBE if not zone.floor else YES if inside(int(zone.floor), asked) else NO, zone.id)
    return parts.verdict(asked.must_exist)


def bounds(asked: Bounds, facts: InstitutionFacts, at: int, age: int | None) -> str:
    if asked.of in ("area_m2", "capacity"):
        figure = facts.area_m2 if asked.of == "area_m2" else facts.capacity
        if figure is None or not known(figure):
            return MAYBE
        return YES if inside(figure, asked) else NO
    if asked.zones and not facts.zones:
        return MAYBE
    if asked.of == "recording_days":
        return recordings(asked, facts, at, age)
    parts = []
    for device in in_service(facts):
        if asked.kinds and device.kind not in asked.kinds:
            continue
        mine = [value for value in device.values if value.point == asked.point]
        if not (device.capabilities & asked.capabilities if asked.capabilities else mine):
            continue
        if asked.zones:
            if device.zone is None:
                parts.append(MAYBE)
                continue
            if device.zone not in {zone.id for zone in facts.zones if zone.purpose in asked.zones}:
                continue
        newest = max(mine, key=lambda value: (value.at, isfinite(value.value), value.value), default=None)
        if (
            newest is None
            or not isfinite(newest.value)
            or not fresh(newest.at, at, age)
            or device.function_state == "failed"
        ):
            parts.append(MAYBE)
        elif not inside(newest.value, asked):
            parts.append(NO)
        else:
            has = asked.capabilities & device.capabilities
            parts.append(MAYBE if has and has <= device.unproven else as_it_gives(device, at, None))
    return worst(parts, asked.must_exist)


def inside(figure: float, asked: Bounds) -> bool:
    return (asked.minimum is None or figure >= asked.minimum) and (asked.maximum is None or figure <= asked.maximum)


def recordings(asked: Bounds, facts: InstitutionFacts, at: int, age: int | None) -> str:
    parts = []
    for device in in_service(facts):
        mine = [one for one in facts.recordings if one.device == device.id]
        if device.capabilities & asked.capabilities:
            there = in_zones(device, asked.capabilities, asked.zones, facts)
            if there is None:
                parts.append(MAYBE)
            if not there:
                continue
        elif asked.zones or not mine:
            continue
        new = [one for one in mine if fresh(one.read_at, at, age)]
        if not new:
            parts.append(MAYBE)
            continue
        said = []
        if asked.minimum is not None:
            each = [long_enough(one, asked, asked.minimum) for one in new]
            said.append(next(verdict for verdict in (YES, MAYBE, NO) if verdict in each))
        if asked.maximum is not None and not (asked.hold_excepted and on_hold(device, facts, at)):
            each = [short_enough(one, asked.maximum) for one in new]
            said.append(worst(each))
        parts.append(worst(said) if said else YES)
    return worst(parts, asked.must_exist)


def odd(one: RecordingFact) -> bool:
    figures = [one.days, one.gap_seconds, one.bad_seconds] + ([] if one.possible is None else [one.possible])
    return any(not isfinite(figure) or figure < 0 for figure in figures)


def long_enough(one: RecordingFact, asked: Bounds, minimum: float) -> str:
    if odd(one) or (one.installed_at is not None and one.installed_at > one.read_at):
        return MAYBE
    needed = minimum
    if one.installed_at is not None:
        needed = min(minimum, (one.read_at - one.installed_at) / DAY)
    behind = 0.0 if one.newest_at is None else max(0.0, (one.read_at - one.newest_at) / DAY)
    if (
        asked.newest_within is not None
        and one.newest_at is not None
        and one.read_at - one.newest_at > asked.newest_within
    ):
        return NO
    missing = (one.gap_seconds + one.bad_seconds) / 86_400 + behind
    allowed = asked.gaps / DAY
    if max(0.0, needed - one.days) + missing <= allowed:
        doubtful = one.days == 0 or (asked.newest_within is not None and one.newest_at is None)
        return MAYBE if doubtful else YES
    most = max(one.days, one.days if one.possible is None else one.possible)
    shortage = max(0.0, needed - most)
    beyond = max(0.0, min(most, 90.0) - needed)
    surely = max(0.0, min(behind, needed), max(one.gap_seconds, one.bad_seconds) / 86_400 - beyond)
    return NO if shortage > allowed or shortage + surely > allowed else MAYBE


def short_enough(one: RecordingFact, maximum: float) -> str:
    if any(not isfinite(figure) or figure < 0 for figure in (one.days, one.possible or 0.0)):
        return MAYBE
    if one.days > maximum:
        return NO
    return MAYBE if one.possible is not None and one.possible > maximum else YES


def on_hold(device: DeviceFact, facts: InstitutionFacts, at: int) -> bool:
    for one in facts.attestations:
        if one.kind != "legal_hold" or one.at > at or (one.expires_at is not None and one.expires_at <= at):
            continue
        if one.device == device.id or (one.device is None and one.zone is not None and one.zone == device.zone):
            return True
        if one.device is None and one.zone is None:
            return True
    return False


def worth(
    one: Attestation,
    at: int,
    age: int | None,
    within: int | None,
    *,
    seconded: bool = False,
    numbered: bool = False,
    least: float | None = None,
    most: float | None = None,
    per_m2: float | None = None,
    area: float | None = None,
) -> int:
    """What one attestation gives, by the first that fits."""
    if one.at - at > 5 * MINUTE:
        return UNSURE
    if one.expires_at is not None and one.expires_at <= at:
        return NOTHING
    if within is not None and at - one.at > within:
        return NOTHING
    if seconded and not one.seconded:
        return NOTHING
    if numbered and not one.number.strip():
        return NOTHING
    if least is not None or most is not None or per_m2 is not None:
        if one.value is None or not isfinite(one.value):
            return UNSURE
        if (least is not None and one.value < least) or (most is not None and one.value > most):
            return NOTHING
        if per_m2 is not None:
            if area is None or not known(area):
                return NOTHING if one.value < 1 else UNSURE
            if one.value < times(area, per_m2):
                return NOTHING
    if age is not None and at - one.at > age:
        return UNSURE
    return PROVEN


def outdates(newer: Attestation, older: Attestation) -> bool:
    """Whether what is stated later says what is so now in place of this: of the same place, or of the whole institution."""
    same = (newer.zone, newer.device) in ((older.zone, older.device), (None, None))
    return same and newer.at > older.at


def attested(asked: Attested, facts: InstitutionFacts, at: int, age: int | None, so: So) -> str:
    mine = [one for one in facts.attestations if one.kind == asked.kind]

    is_measured = any(limit is not None for limit in (asked.min_value, asked.max_value, asked.value_per_m2))

    def judged(found: Sequence[Attestation], area: float | None) -> str:
        if not found:
            return asked.missing
        if is_measured:
            said = [one for one in found if says(one)]
            now = [one for one in found if not any(outdates(other, one) for other in said)]
            if asked.kind not in ("extinguishers", "guards") and any(outside(one, area) for one in now):
                return NO
            found = now if asked.n == 1 else found
        given = [
            worth(
                one, at, age, asked.within, seconded=asked.seconded, least=asked.min_value, most=asked.max_value,
                per_m2=asked.value_per_m2, area=area,
            )
            for one in found
        ]  # fmt: skip
        return enough(given.count(PROVEN), given.count(UNSURE), asked.n)

    def says(one: Attestation) -> bool:
        """In force and signed as asked, whatever was measured."""
        return worth(one, at, None, asked.within, seconded=asked.seconded) == PROVEN

    def outside(one: Attestation, area: float | None) -> bool:
        return says(one) and NOTHING == worth(
            one, at, None, None, least=asked.min_value, most=asked.max_value, per_m2=asked.value_per_m2, area=area
        )

    if asked.each_open_day:
        return as_a_whole(each_open_day(asked, mine, facts, at), so)
    if asked.per == "institution":
        return as_a_whole(judged(mine, facts.area_m2), so)
    if asked.per == "device":
        if asked.zones and not facts.zones:
            return as_a_whole(MAYBE, so)
        devices = [one for one in in_service(facts) if one.capabilities & asked.where]

        def of_device(device: DeviceFact) -> str:
            return judged([one for one in mine if one.device == device.id], None)

        return as_a_whole(worst(each_device(devices, asked.where, asked.zones, facts, of_device), asked.must_exist), so)
    if not facts.zones:
        return as_a_whole(MAYBE, so)
    such = [
        one
        for one in facts.devices
        if one.capabilities & asked.where and one.admin_state not in ("retired", "quarantined")
    ]
    parts = Parts(so)
    for zone in meant(facts, asked.zones):
        here = any(
            one.zone == zone.id or any(view.zone == zone.id and not view.masked for view in one.sees) for one in such
        )
        if asked.where and not here:
            continue
        parts.add(judged([one for one in mine if one.zone == zone.id], zone.area_m2), zone.id)
    for one in such:
        if one.zone is None:
            parts.add(MAYBE)
    return parts.verdict(asked.must_exist)


def each_open_day(asked: Attested, mine: Sequence[Attestation], facts: InstitutionFacts, at: int) -> str:
    if not mine:
        return asked.missing
    days = set()
    for one in facts.intervals:
        if one.kind != "open" or one.ended_at is None or one.ended_at > at:
            continue
        if asked.within is None or at - one.ended_at <= asked.within:
            days.add(day_in_china(one.began_at))
    if not days:
        return MAYBE
    for day in days:
        done = [one for one in mine if day_in_china(one.at) == day and (one.seconded or not asked.seconded)]
        if len(done) < asked.n:
            return NO
    return YES


def day_in_china(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at, hours=8)).date().isoformat()


def documents(asked: Documents, facts: InstitutionFacts, at: int, age: int | None) -> str:
    parts = []
    for kind in asked.kinds:
        given = [
            worth(one, at, age, asked.within, numbered=asked.number_required)
            for one in facts.attestations
            if one.kind == kind
        ]
        parts.append({PROVEN: YES, UNSURE: MAYBE, NOTHING: NO}[max(given)] if given else asked.missing)
    return worst(parts)


def time_bound(asked: TimeBound, facts: InstitutionFacts, at: int, age: int | None) -> str:
    given = []
    for one in facts.intervals:
        if one.kind != f"{asked.start}-{asked.end}":
            continue
        if one.began_at - at > 5 * MINUTE or (one.ended_at is not None and one.ended_at - at > 5 * MINUTE):
            continue
        if one.ended_at is None:
            overdue = one.began_at + asked.within
            if overdue < at and fresh(overdue, at, age):
                given.append(NOTHING)
        elif fresh(one.ended_at, at, age):
            took = one.ended_at - one.began_at
            given.append(NOTHING if took > asked.within else UNSURE if took < 0 else PROVEN)
    if not given:
        return MAYBE
    needed = len(given) if asked.quantile is None else ceil(asked.quantile * len(given) - 1e-9)
    return enough(given.count(PROVEN), given.count(UNSURE), needed)
