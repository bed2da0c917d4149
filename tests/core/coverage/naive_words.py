"""What all kinds of requirements share, by rule-packs/README.md, "How it is judged", 4 to 7."""

from collections.abc import Callable, Iterable
from math import ceil, isfinite

from hub.core.coverage.facts import DeviceFact, InstitutionFacts, View, ZoneFact

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
YES, MAYBE, NO, EXEMPT = "compliant", "unknown", "non_compliant", "not_applicable"
PROVEN, UNSURE, NOTHING = 2, 1, 0


def worst(parts: Iterable[str], must_exist: bool = False) -> str:
    """7: the worst part decides; nothing to judge is exempt, or unknown where it must exist."""
    parts = list(parts)
    if not parts:
        return MAYBE if must_exist else EXEMPT
    for verdict in (NO, MAYBE, YES):
        if verdict in parts:
            return verdict
    raise AssertionError(parts)


So = Callable[[str | None], str]
"""9: whether a rule's circumstance holds for a zone, or for all else (None)"""


class Parts:
    """7 and 9: the verdicts of parts, as far as the circumstance holds for them."""

    def __init__(self, so: So) -> None:
        self._so = so
        self._left: list[str] = []
        self._let_off = False

    def add(self, verdict: str, zone: str | None = None) -> None:
        holds = self._so(zone)
        if holds == NO:
            self._let_off = True
        else:
            self._left.append(MAYBE if holds == MAYBE and verdict == NO else verdict)

    def verdict(self, must_exist: bool = False) -> str:
        if self._left:
            return worst(self._left)
        if self._let_off or self._so(None) == NO:
            return EXEMPT
        return MAYBE if must_exist else EXEMPT


def as_a_whole(verdict: str, so: So) -> str:
    """9: for what is about no zone."""
    if so(None) == NO:
        return EXEMPT
    return MAYBE if so(None) == MAYBE and verdict == NO else verdict


def fresh(stated: int | None, at: int, age: int | None) -> bool:
    """4."""
    if stated is None or stated - at > 5 * MINUTE:
        return False
    return age is None or at - stated <= age


ALONE = ("video.live", "video.record", "access.control", "power.backup")


def gives(device: DeviceFact, at: int, age: int | None, asked: frozenset[str] = frozenset()) -> int:
    """5: what a device contributes to these capabilities."""
    if device.admin_state != "in_service" or device.function_state == "failed":
        return NOTHING
    if device.function_state == "unproven":
        return UNSURE
    wanted = [one for one in device.capabilities if one in asked]
    if wanted and all(one in device.unproven for one in wanted):
        return UNSURE
    if device.link_state == "unknown" and device.heard_late and wanted and all(one in ALONE for one in wanted):
        return PROVEN
    if device.link_state != "online":
        return UNSURE
    if age is None or fresh(device.last_heard_at, at, age):
        return PROVEN
    return UNSURE


def usable(view: View) -> bool:
    return not view.masked and 0 < view.share <= 1


def places(
    device: DeviceFact, capabilities: frozenset[str], at: int, age: int | None, within: int | None
) -> dict[str, int]:
    """6: the zones in which a device counts for these capabilities, and as what."""
    has = device.capabilities & capabilities
    given = gives(device, at, age, capabilities)
    found: dict[str, int] = {}
    video = frozenset(one for one in has if one.startswith("video."))
    looks = bool(device.sees and video)
    if looks:
        seen = min(given, UNSURE) if video <= device.unproven else given
        for view in device.sees:
            if usable(view):
                worth = seen if fresh(view.attested_at, at, within) else min(seen, UNSURE)
                found[view.zone] = max(found.get(view.zone, NOTHING), worth)
    stays = has - video if looks else has
    if stays and device.zone is not None:
        done = min(given, UNSURE) if stays <= device.unproven else given
        found[device.zone] = max(found.get(device.zone, NOTHING), done)
    return found


def known(figure: float | None) -> bool:
    return figure is not None and isfinite(figure) and figure > 0


def times(figure: float, each: float) -> int:
    """⌈figure / each⌉, at least 1; a hair above a whole number is that number."""
    quotient = figure / each
    whole = round(quotient)
    return max(1, whole if 0 <= quotient - whole <= 1e-9 else ceil(quotient))


def enough(sure: float, unsure: float, needed: float) -> str:
    if sure >= needed:
        return YES
    return MAYBE if sure + unsure >= needed else NO


def meant(facts: InstitutionFacts, purposes: frozenset[str], forbidden: Iterable[str] = ()) -> list[ZoneFact]:
    return [
        zone
        for zone in facts.zones
        if (not purposes or zone.purpose in purposes) and zone.purpose not in set(forbidden)
    ]


def total(zones: Iterable[ZoneFact]) -> float | None:
    areas = [zone.area_m2 for zone in zones]
    return sum(one for one in areas if one is not None) if areas and all(known(one) for one in areas) else None


def in_zones(
    device: DeviceFact, capabilities: frozenset[str], purposes: frozenset[str], facts: InstitutionFacts
) -> bool | None:
    """Whether it counts in zones of these purposes; None where it is not placed: it has no position, and no views say where it looks."""
    if not purposes:
        return True
    wanted = {zone.id for zone in facts.zones if zone.purpose in purposes}
    if wanted & places(device, capabilities, 0, None, None).keys():
        return True
    looks = device.sees and any(one.startswith("video.") for one in device.capabilities & capabilities)
    return None if device.zone is None and not looks else False


def in_service(facts: InstitutionFacts) -> list[DeviceFact]:
    return [one for one in facts.devices if one.admin_state == "in_service"]


def each_device(
    devices: Iterable[DeviceFact],
    capabilities: frozenset[str],
    purposes: frozenset[str],
    facts: InstitutionFacts,
    judge: Callable[[DeviceFact], str],
) -> list[str]:
    parts = []
    for device in devices:
        inside = in_zones(device, capabilities, purposes, facts)
        if inside is None:
            parts.append(MAYBE)
        elif inside:
            parts.append(judge(device))
    return parts


def as_it_gives(device: DeviceFact, at: int, age: int | None, asked: frozenset[str] = frozenset()) -> str:
    return {PROVEN: YES, UNSURE: MAYBE, NOTHING: MAYBE}[gives(device, at, age, asked)]
