"""Requirements that devices meet by being there and working: at_least, share_covered, none_in, independent."""

import math
from collections.abc import Iterable, Sequence

from hub.core.coverage.facts import Contribution, DeviceFact, View, ZoneFact
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Part
from hub.core.coverage.index import INSTALLED_NOT, NO_ROWS, Index, Rows, fresh
from hub.core.coverage.judged import Judged, no_zone, worst
from hub.core.coverage.rules import AtLeast, Independent, NoneIn, ShareCovered, Verdict
from hub.model import Micros

_V, _C = Verdict, Contribution
_DOORS = frozenset({"entrance", "gate"})
_EPSILON = 1e-9


def at_least(
    asked: AtLeast, greatest_age: Micros | None, index: Index, forbidden: frozenset[str] = frozenset()
) -> Judged:
    """At least n, where it is asked for. `forbidden`: purposes of zones that a prohibition leaves out, named in `asked.zones` or not."""
    if (asked.per != "institution" or asked.zones) and not index.zones:
        return no_zone(asked.must_exist, index)
    if asked.per == "institution":
        part = _in_institution(asked, greatest_age, index)
        return Judged(part.verdict, "judged", (part,))
    if asked.per == "zone":
        parts = tuple(_in_zones(asked, greatest_age, index))
    elif asked.per == "entrance":
        parts = tuple(_at_entrances(asked, greatest_age, index, forbidden))
    else:
        parts = tuple(_on_floors(asked, greatest_age, index, forbidden))
    if not parts:
        return no_zone(asked.must_exist, index)
    return Judged(worst(part.verdict for part in parts), "judged", parts)


def counted(needed: int, certain: bool, rows: Rows) -> Verdict:
    """Enough proven; enough with the unknown; or too few. What is `needed` is a lower bound where it is not `certain`."""
    if rows.proven >= needed and certain:
        return _V.COMPLIANT
    return _V.UNKNOWN if rows.proven + rows.unknown >= needed else _V.NON_COMPLIANT


def multiple(amount: float | None, per: float) -> int | None:
    """How many times `per` is begun in `amount`; None where nobody gave an amount that can be."""
    if amount is None or not math.isfinite(amount) or amount <= 0:
        return None
    times = amount / per
    return max(1, math.ceil(times - _EPSILON)) if math.isfinite(times) else None


def _part(zone: ZoneFact | None, n: int, rows: Rows, times: int | None = 1, lacking: str = "", place: str = "") -> Part:
    """`times` is None where it is not known how often n is asked for, for want of `lacking`."""
    needed = n * (1 if times is None else times)
    facts = () if times is not None else (FactEvidence(lacking, "", _C.UNKNOWN, f"no_{lacking}"),)
    verdict = counted(needed, times is not None, rows)
    return Part(zone, verdict, needed, rows.proven, rows.unknown, rows.devices, place, facts)


def _in_institution(asked: AtLeast, greatest_age: Micros | None, index: Index) -> Part:
    times, lacking = 1, ""
    if asked.zones:
        zones = index.zones_of(asked.zones)
        rows = index.within([zone.id for zone in zones], asked.capabilities, greatest_age, asked.views_within)
    else:
        zones = tuple(index.zones)
        rows = index.rows(asked.capabilities, greatest_age)
    found: int | None = times
    if asked.per_m2 is not None:
        total = None if asked.zones else index.facts.area_m2
        found, lacking = multiple(_sum(zones) if total is None else total, asked.per_m2), "area"
    elif asked.per_children is not None:
        found, lacking = multiple(index.facts.capacity, asked.per_children), "capacity"
    return _part(None, asked.n, rows, found, lacking)


def _sum(zones: Sequence[ZoneFact]) -> float | None:
    """The area of all of them; None where it is not known of one."""
    areas = [zone.area_m2 for zone in zones]
    return None if not areas or None in areas else math.fsum(area for area in areas if area is not None)


def _in_zones(asked: AtLeast, greatest_age: Micros | None, index: Index) -> Iterable[Part]:
    by_zone = index.by_zone(asked.capabilities, greatest_age, asked.views_within)
    by_size = asked.area_above is not None or asked.area_up_to is not None
    if asked.per_m2 is None and not by_size:
        n = asked.n
        for zone in index.zones_of(asked.zones):
            devices, proven, unknown = by_zone.get(zone.id, NO_ROWS)
            enough = _V.COMPLIANT if proven >= n else _V.UNKNOWN if proven + unknown >= n else _V.NON_COMPLIANT
            yield Part(zone, enough, n, proven, unknown, devices)
        return
    for zone in index.zones_of(asked.zones):
        rows = by_zone.get(zone.id, NO_ROWS)
        if by_size:
            sized = _sized(asked, zone.area_m2)
            if sized is None:
                missing = (FactEvidence("area", "", _C.UNKNOWN, "no_area"),)
                yield Part(zone, _V.UNKNOWN, asked.n, rows.proven, rows.unknown, rows.devices, "", missing)
                continue
            if not sized:
                continue
        if asked.per_m2 is None:
            yield _part(zone, asked.n, rows)
        else:
            yield _part(zone, asked.n, rows, multiple(zone.area_m2, asked.per_m2), "area")


def _sized(asked: AtLeast, area: float | None) -> bool | None:
    """Whether a zone of this area is meant; None where nobody knows."""
    if area is None or not math.isfinite(area) or area <= 0:
        return None
    above = asked.area_above is None or area > asked.area_above
    return above and (asked.area_up_to is None or area <= asked.area_up_to)


def _meant(asked: AtLeast, index: Index, forbidden: frozenset[str]) -> Sequence[ZoneFact]:
    """The zones of these purposes, all where none is named, without those that are forbidden."""
    named = index.zones_of(asked.zones) if asked.zones else index.zones
    return [zone for zone in named if zone.purpose not in forbidden]


def _at_entrances(
    asked: AtLeast, greatest_age: Micros | None, index: Index, forbidden: frozenset[str]
) -> Iterable[Part]:
    """The entrances of the zones that are meant, and those of them that are entrances themselves."""
    meant = _meant(asked, index, forbidden)
    doors = {door for zone in meant for door in zone.entrances} | {zone.id for zone in meant if zone.purpose in _DOORS}
    by_zone = index.by_zone(asked.capabilities, greatest_age, asked.views_within)
    for door in sorted(doors):
        zone = index.zone.get(door)
        if zone is not None and zone.purpose in forbidden:
            continue
        if zone is not None:
            yield _part(zone, asked.n, by_zone.get(door, NO_ROWS))
        else:
            missing = (FactEvidence("entrance", door, _C.UNKNOWN, "no_entrance"),)
            yield Part(None, _V.UNKNOWN, asked.n, 0, 0, (), door, missing)


def _on_floors(asked: AtLeast, greatest_age: Micros | None, index: Index, forbidden: frozenset[str]) -> Iterable[Part]:
    meant = _meant(asked, index, forbidden)
    floors: dict[str, list[str]] = {}
    for zone in meant:
        floors.setdefault(zone.floor, []).append(zone.id)
    for floor in sorted(floors):
        rows = index.within(floors[floor], asked.capabilities, greatest_age, asked.views_within)
        if floor:
            yield _part(None, asked.n, rows, place=floor)
        else:
            missing = tuple(FactEvidence("floor", zone, _C.UNKNOWN, "no_floor") for zone in floors[floor])
            yield Part(None, _V.UNKNOWN, asked.n, rows.proven, rows.unknown, rows.devices, "", missing)


def share_covered(asked: ShareCovered, greatest_age: Micros | None, index: Index) -> Judged:
    """The shares of each zone that proven devices see, added up."""
    zones = index.zones_of(asked.zones)
    if not zones:
        return no_zone(asked.must_exist, index)
    seen: dict[str, list[tuple[DeviceEvidence, float, float]]] = {zone.id: [] for zone in zones}
    own = index.rows(asked.capabilities, greatest_age).devices
    for device, row in zip(index.having(asked.capabilities), own, strict=True):
        for zone, one, sure, perhaps in _shares(asked, device, row, index):
            if zone in seen:
                seen[zone].append((one, sure, perhaps))
    parts = tuple(_share_part(asked, zone, seen[zone.id]) for zone in zones)
    return Judged(worst(part.verdict for part in parts), "judged", parts)


def _shares(
    asked: ShareCovered, device: DeviceFact, row: DeviceEvidence, index: Index
) -> Iterable[tuple[str, DeviceEvidence, float, float]]:
    """(zone, evidence, share that is proven, share that may be) of each zone that the device looks at."""
    if not device.sees:
        if device.zone is not None:
            bare = row if row.contribution is _C.NONE else row._replace(contribution=_C.UNKNOWN, reason="no_views")
            yield device.zone, bare._replace(by="zone"), 0.0, 0.0 if row.contribution is _C.NONE else 1.0
        return
    if row.contribution is _C.PROVEN and device.unproven & asked.capabilities:
        row = row._replace(contribution=_C.UNKNOWN, reason="never_proven")
    views = device.sees if len(device.sees) == 1 else sorted(device.sees, key=_by_zone)
    for view in views:
        if view.masked or not 0 < view.share <= 1:
            continue
        one = row._replace(zone=view.zone, by="view", value=view.share, at=view.attested_at)
        if row.contribution is _C.PROVEN and view.attested_at is None:
            one = one._replace(contribution=_C.UNKNOWN, reason="view_unattested")
        elif row.contribution is _C.PROVEN and not fresh(view.attested_at, index.at, asked.views_within):
            one = one._replace(contribution=_C.UNKNOWN, reason="view_stale")
        sure = view.share if one.contribution is _C.PROVEN else 0.0
        yield view.zone, one, sure, view.share if one.contribution is _C.UNKNOWN else 0.0


def _by_zone(view: View) -> tuple[str, float, bool, Micros]:
    return view.zone, view.share, view.masked, view.attested_at or 0


def _share_part(asked: ShareCovered, zone: ZoneFact, seen: Sequence[tuple[DeviceEvidence, float, float]]) -> Part:
    sure = math.fsum(one[1] for one in seen)
    perhaps = math.fsum(one[2] for one in seen)
    if sure + _EPSILON >= asked.share:
        verdict = _V.COMPLIANT
    else:
        verdict = _V.UNKNOWN if sure + perhaps + _EPSILON >= asked.share else _V.NON_COMPLIANT
    rows = tuple(one[0] for one in seen)
    proven = round(min(1.0, sure), 6)
    return Part(zone, verdict, asked.share, proven, round(min(1.0 - proven, perhaps), 6), rows)


def none_in(asked: NoneIn, index: Index) -> Judged:
    """Nothing of the kind in these zones, whatever its state, and no unmasked view into them."""
    meant = [
        device
        for device in index.devices
        if (device.kind in asked.kinds or not asked.capabilities.isdisjoint(device.capabilities))
        and device.admin_state not in INSTALLED_NOT
    ]
    touched = {view.zone for one in meant for view in one.sees} | {one.zone for one in meant}
    parts = tuple(
        _forbidden(zone, meant) if zone.id in touched else Part(zone, _V.COMPLIANT, 0, 0, 0, ())
        for zone in index.zones_of(asked.zones)
    )
    if any(part.verdict is _V.NON_COMPLIANT for part in parts):
        return Judged(_V.NON_COMPLIANT, "judged", parts)
    unplaced = tuple(
        DeviceEvidence(one.id, None, _C.UNKNOWN, "unplaced", one.admin_since) for one in meant if one.zone is None
    )
    if unplaced:
        nowhere = Part(None, _V.UNKNOWN, 0, 0, len(unplaced), unplaced)
        why = "judged" if any(part.verdict is _V.UNKNOWN for part in parts) else "unplaced"
        return Judged(_V.UNKNOWN, why, (*parts, nowhere))
    return Judged(worst(part.verdict for part in parts), "judged", parts) if parts else no_zone(False, index)


def _forbidden(zone: ZoneFact, meant: Sequence[DeviceFact]) -> Part:
    """A view is a violation without a mask, and unknown with one that nobody looked at since this device is there."""
    found, verdict = [], _V.COMPLIANT
    for device in meant:
        if device.zone == zone.id:
            found.append(DeviceEvidence(device.id, zone.id, _C.NONE, "forbidden", device.admin_since))
            continue
        views = [view for view in device.sees if view.zone == zone.id]
        bare = [view for view in views if not view.masked]
        if bare:
            attested = max((view.attested_at for view in bare if view.attested_at is not None), default=None)
            found.append(
                DeviceEvidence(device.id, zone.id, _C.NONE, "view_unmasked", device.admin_since, by="view", at=attested)
            )
        elif any(view.attested_at is None for view in views):
            since = device.admin_since
            found.append(DeviceEvidence(device.id, zone.id, _C.UNKNOWN, "mask_unattested", since, by="view"))
    if found:
        unsure = all(row.contribution is _C.UNKNOWN for row in found)
        verdict = _V.UNKNOWN if unsure else _V.NON_COMPLIANT
    return Part(zone, verdict, 0, 0, sum(row.contribution is _C.UNKNOWN for row in found), tuple(found))


def independent(asked: Independent, greatest_age: Micros | None, index: Index) -> Judged:
    """At least n of which no two share what they depend on."""
    behind = {device.id: _outermost(device, asked.of) for device in index.having(asked.capabilities)}
    if asked.zones and not index.zones:
        return no_zone(asked.must_exist, index)
    if asked.per == "institution":
        zones = [zone.id for zone in index.zones_of(asked.zones)]
        rows = (
            index.within(zones, asked.capabilities, greatest_age)
            if asked.zones
            else index.rows(asked.capabilities, greatest_age)
        )
        part = _apart(asked, None, rows, behind)
        return Judged(part.verdict, "judged", (part,))
    found = index.zones_of(asked.zones)
    if not found:
        return no_zone(asked.must_exist, index)
    by_zone = index.by_zone(asked.capabilities, greatest_age, None)
    parts = tuple(_apart(asked, zone, by_zone.get(zone.id, NO_ROWS), behind) for zone in found)
    return Judged(worst(part.verdict for part in parts), "judged", parts)


def _outermost(device: DeviceFact, kind: str) -> str:
    """The last thing of this kind between the device and the hub: two devices behind different ones share nothing of it further in."""
    return next((one for one in reversed(device.behind) if one.startswith(f"{kind}:")), "")


def _apart(asked: Independent, zone: ZoneFact | None, rows: Rows, behind: dict[str, str]) -> Part:
    """How many ways apart: proven ones by what they are behind; one whose way is not known may be one more."""
    sure: set[str] = set()
    perhaps: set[str] = set()
    evidence = []
    nowhere = 0
    for row in rows.devices:
        way = behind.get(row.device, "")
        if row.contribution is not _C.NONE and not way:
            nowhere += 1
            evidence.append(row._replace(contribution=_C.UNKNOWN, reason="way_unknown"))
            continue
        evidence.append(row)
        if row.contribution is _C.PROVEN:
            sure.add(way)
        elif row.contribution is _C.UNKNOWN:
            perhaps.add(way)
    found = Rows(tuple(evidence), len(sure), len(perhaps - sure) + nowhere)
    return _part(zone, asked.n, found)
