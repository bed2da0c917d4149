"""The kinds that look at devices: where they stand, what they see, whether they work."""

from collections.abc import Iterable

from hub.core.coverage.facts import DeviceFact, InstitutionFacts
from hub.core.coverage.requirements import AlwaysArmed, AtLeast, Independent, NoneIn, Proven, ShareCovered
from tests.core.coverage.naive_words import (
    EXEMPT,
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
    gives,
    in_service,
    known,
    meant,
    places,
    times,
    total,
    usable,
    worst,
)


def at_least(asked: AtLeast, facts: InstitutionFacts, at: int, age: int | None, forbidden: set[str], so: So) -> str:
    devices = [one for one in facts.devices if one.capabilities & asked.capabilities]
    counts = {one.id: places(one, asked.capabilities, at, age, asked.views_within) for one in devices}

    def tally(zones: Iterable[str]) -> tuple[int, int]:
        inside = set(zones)
        best = [
            max((worth for zone, worth in counts[one.id].items() if zone in inside), default=NOTHING) for one in devices
        ]
        return best.count(PROVEN), best.count(UNSURE)

    def judged(sure: int, unsure: int, figure: float | None, each: float | None) -> str:
        if each is None:
            return enough(sure, unsure, asked.n)
        if figure is None or not known(figure):
            return NO if sure + unsure < asked.n else MAYBE
        return enough(sure, unsure, asked.n * times(figure, each))

    if asked.per == "institution":
        if asked.zones:
            if not facts.zones:
                return as_a_whole(MAYBE, so)
            zones = meant(facts, asked.zones)
            sure, unsure = tally(zone.id for zone in zones)
            area = total(zones)
        else:
            worth = [gives(one, at, age, asked.capabilities) for one in devices]
            sure, unsure = worth.count(PROVEN), worth.count(UNSURE)
            area = facts.area_m2 if known(facts.area_m2) else total(facts.zones)
        if asked.per_children is not None:
            return as_a_whole(judged(sure, unsure, facts.capacity, asked.per_children), so)
        return as_a_whole(judged(sure, unsure, area, asked.per_m2), so)

    if asked.zones and not asked.zones - forbidden:
        return EXEMPT
    if not facts.zones:
        return as_a_whole(MAYBE, so)
    zones = meant(facts, asked.zones, forbidden)
    parts = Parts(so)
    if asked.per == "zone":
        for zone in zones:
            if asked.area_above is not None or asked.area_up_to is not None:
                if zone.area_m2 is None or not known(zone.area_m2):
                    parts.add(MAYBE, zone.id)
                    continue
                if asked.area_above is not None and not zone.area_m2 > asked.area_above:
                    continue
                if asked.area_up_to is not None and not zone.area_m2 <= asked.area_up_to:
                    continue
            parts.add(judged(*tally([zone.id]), zone.area_m2, asked.per_m2), zone.id)
    elif asked.per == "entrance":
        entrances = {name for zone in zones for name in zone.entrances}
        entrances |= {zone.id for zone in zones if zone.purpose in ("entrance", "gate")}
        there = {zone.id: zone for zone in facts.zones}
        for name in entrances:
            if name not in there:
                parts.add(MAYBE)
            elif there[name].purpose not in forbidden:
                parts.add(enough(*tally([name]), asked.n), name)
    else:
        for floor in {zone.floor for zone in zones}:
            counted = tally(zone.id for zone in zones if zone.floor == floor)
            parts.add(enough(*counted, asked.n) if floor else MAYBE)
    return parts.verdict(asked.must_exist)


def share_covered(
    asked: ShareCovered, facts: InstitutionFacts, at: int, age: int | None, forbidden: set[str], so: So
) -> str:
    if not asked.zones - forbidden:
        return EXEMPT
    if not facts.zones:
        return as_a_whole(MAYBE, so)
    parts = Parts(so)
    for zone in meant(facts, asked.zones, forbidden):
        sure = unsure = 0.0
        for device in facts.devices:
            if not device.capabilities & asked.capabilities:
                continue
            given = gives(device, at, age, asked.capabilities)
            if device.capabilities & asked.capabilities & device.unproven:
                given = min(given, UNSURE)
            if not device.sees and device.zone == zone.id and given != NOTHING:
                unsure += 1
            for view in device.sees:
                if view.zone == zone.id and usable(view):
                    worth = given if fresh(view.attested_at, at, asked.views_within) else min(given, UNSURE)
                    sure += view.share if worth == PROVEN else 0
                    unsure += view.share if worth == UNSURE else 0
        parts.add(enough(sure, unsure, asked.share - 1e-9), zone.id)
    return parts.verdict(asked.must_exist)


def none_in(asked: NoneIn, facts: InstitutionFacts) -> str:
    if not facts.zones:
        return MAYBE
    zones = {zone.id for zone in facts.zones if zone.purpose in asked.zones}
    such = [
        one
        for one in facts.devices
        if (one.kind in asked.kinds or one.capabilities & asked.capabilities)
        and one.admin_state not in ("retired", "quarantined")
    ]
    for device in such:
        if device.zone in zones or any(view.zone in zones and not view.masked for view in device.sees):
            return NO
    if any(device.zone is None for device in such):
        return MAYBE
    if any(view.zone in zones and view.attested_at is None for device in such for view in device.sees):
        return MAYBE
    return YES if zones else EXEMPT


def independent(
    asked: Independent, facts: InstitutionFacts, at: int, age: int | None, forbidden: set[str], so: So
) -> str:
    devices = [one for one in facts.devices if one.capabilities & asked.capabilities]

    def judged(inside: set[str] | None) -> str:
        sure: set[str] = set()
        unsure: set[str] = set()
        lost = 0
        for device in devices:
            if inside is None:
                given = gives(device, at, age, asked.capabilities)
            else:
                counts = places(device, asked.capabilities, at, age, None)
                given = max((worth for zone, worth in counts.items() if zone in inside), default=NOTHING)
            way = [one for one in device.behind if one.startswith(f"{asked.of}:")]
            if given == NOTHING:
                continue
            if not way:
                lost += 1
            elif given == PROVEN:
                sure.add(way[-1])
            else:
                unsure.add(way[-1])
        return enough(len(sure), len(unsure - sure) + lost, asked.n)

    if asked.per == "institution":
        if not asked.zones:
            return as_a_whole(judged(None), so)
        inside = {zone.id for zone in meant(facts, asked.zones)}
        return as_a_whole(judged(inside) if facts.zones else MAYBE, so)
    if not asked.zones - forbidden:
        return EXEMPT
    if not facts.zones:
        return as_a_whole(MAYBE, so)
    parts = Parts(so)
    for zone in meant(facts, asked.zones, forbidden):
        parts.add(judged({zone.id}), zone.id)
    return parts.verdict(asked.must_exist)


def proven(asked: Proven, facts: InstitutionFacts, at: int, age: int | None) -> str:
    if asked.zones and not facts.zones:
        return MAYBE

    def judge(device: DeviceFact) -> str:
        has = device.capabilities & asked.capabilities
        proofs = [
            [when for name, when in device.proven if name in (one, "") and when - at <= 5 * MINUTE] for one in has
        ]
        if device.function_state == "failed":
            return NO
        if not all(proofs) or device.function_state == "unproven":
            return MAYBE
        if any(at - max(those) > asked.within for those in proofs):
            return NO
        return as_it_gives(device, at, age, asked.capabilities)

    devices = [one for one in in_service(facts) if one.capabilities & asked.capabilities]
    return worst(each_device(devices, asked.capabilities, asked.zones, facts, judge), asked.must_exist)


def always_armed(asked: AlwaysArmed, facts: InstitutionFacts, at: int, age: int | None) -> str:
    parts = []
    lacking = False
    for name in asked.classes:
        devices = [
            one
            for one in in_service(facts)
            if any(a.device == one.id and a.signal_class == name for a in facts.armed_always)
        ]
        lacking = lacking or not devices
        for device in devices:
            said = [a.always for a in facts.armed_always if a.device == device.id and a.signal_class == name]
            if device.function_state == "failed" or not all(said):
                parts.append(NO)
            else:
                parts.append(as_it_gives(device, at, age))
    verdict = worst(parts, asked.must_exist)
    return MAYBE if verdict == YES and lacking and asked.must_exist else verdict
