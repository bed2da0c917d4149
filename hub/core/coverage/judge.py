"""The judge: rules and facts in, findings out.

Never green on silence: a verdict is compliant only when enough devices are proven now. An institution that is not connected, a zone plan that
is missing, a device nobody hears: unknown. A device in a forbidden zone is a violation whatever its state.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.core.coverage import sentences
from hub.core.coverage.facts import Contribution, DeviceFact, InstitutionFacts, ZoneFact, contribution
from hub.core.coverage.findings import DeviceEvidence, Finding, Part
from hub.core.coverage.rules import AtLeast, Force, NoneIn, Requirement, Rule, RulePack, Verdict
from hub.model import AdminState, Micros

_V = Verdict
_NOT_INSTALLED = frozenset({AdminState.RETIRED, AdminState.QUARANTINED})


@dataclass(frozen=True, slots=True)
class PlacementWarning:
    """What the provisioning plan shows when a device would break a rule by where it is placed."""

    rule: str
    document: str
    number: str
    clause: str
    force: Force
    zh: str
    en: str


def check(packs: Sequence[RulePack], facts: InstitutionFacts, at: Micros) -> tuple[Finding, ...]:
    """Every rule that applies to this subject at `at`, judged, in the order of packs and rules."""
    return tuple(
        _judge(pack, rule, facts)
        for pack in packs
        for rule in pack.rules
        if rule.applies(facts.division, facts.type, at)
    )


def _judge(pack: RulePack, rule: Rule, facts: InstitutionFacts) -> Finding:
    verdict, reason, parts = _required(rule.requirement, facts)
    zh, en = sentences.of(rule, verdict, reason, parts)
    return Finding(facts.subject, pack.id, pack.version, rule, verdict, reason, parts, zh, en)


def _required(requirement: Requirement, facts: InstitutionFacts) -> tuple[Verdict, str, tuple[Part, ...]]:
    if not facts.connected:
        return _V.UNKNOWN, "not_connected", ()
    if isinstance(requirement, NoneIn):
        return _none_in(requirement, facts)
    if requirement.per == "institution":
        part = _institution_part(requirement, facts)
        return part.verdict, "judged", (part,)
    return _each_zone(requirement, facts)


def _institution_part(requirement: AtLeast, facts: InstitutionFacts) -> Part:
    inside = {zone.id for zone in facts.zones if zone.purpose in requirement.zones}
    counted = [device for device in facts.devices if not requirement.zones or device.zone in inside]
    return _count(requirement, None, counted)


def _each_zone(requirement: AtLeast, facts: InstitutionFacts) -> tuple[Verdict, str, tuple[Part, ...]]:
    zones = sorted((zone for zone in facts.zones if zone.purpose in requirement.zones), key=lambda zone: zone.id)
    if not zones:
        if not facts.zones:
            return _V.UNKNOWN, "no_zone_plan", ()
        return _V.UNKNOWN if requirement.must_exist else _V.NOT_APPLICABLE, "no_such_zone", ()
    parts = tuple(_count(requirement, zone, [d for d in facts.devices if d.zone == zone.id]) for zone in zones)
    return worst(part.verdict for part in parts), "judged", parts


def _count(requirement: AtLeast, zone: ZoneFact | None, devices: Iterable[DeviceFact]) -> Part:
    evidence = tuple(
        _evidence(device)
        for device in sorted(devices, key=lambda device: device.id)
        if device.capabilities & requirement.capabilities
    )
    proven = sum(row.contribution is Contribution.PROVEN for row in evidence)
    unknown = sum(row.contribution is Contribution.UNKNOWN for row in evidence)
    if proven >= requirement.n:
        verdict = _V.COMPLIANT
    else:
        verdict = _V.UNKNOWN if proven + unknown >= requirement.n else _V.NON_COMPLIANT
    return Part(zone, verdict, requirement.n, proven, unknown, evidence)


def _evidence(device: DeviceFact) -> DeviceEvidence:
    counts, reason, since = contribution(device)
    heard = device.last_heard_at if reason in ("offline", "link_unknown") else None
    return DeviceEvidence(device.id, device.zone, counts, reason, since, heard)


def _none_in(requirement: NoneIn, facts: InstitutionFacts) -> tuple[Verdict, str, tuple[Part, ...]]:
    meant = sorted(
        (
            device
            for device in facts.devices
            if (device.kind in requirement.kinds or device.capabilities & requirement.capabilities)
            and device.admin_state not in _NOT_INSTALLED
        ),
        key=lambda device: device.id,
    )
    parts = tuple(
        _forbidden_part(zone, [device for device in meant if device.zone == zone.id])
        for zone in sorted(facts.zones, key=lambda zone: zone.id)
        if zone.purpose in requirement.zones
    )
    if any(part.verdict is _V.NON_COMPLIANT for part in parts):
        return _V.NON_COMPLIANT, "judged", parts
    unplaced = tuple(device for device in meant if device.zone is None)
    if unplaced:
        found = tuple(DeviceEvidence(d.id, None, Contribution.UNKNOWN, "unplaced", d.admin_since) for d in unplaced)
        return _V.UNKNOWN, "unplaced", (*parts, Part(None, _V.UNKNOWN, 0, 0, len(found), found))
    if not parts:
        return (_V.NOT_APPLICABLE, "no_such_zone", ()) if facts.zones else (_V.UNKNOWN, "no_zone_plan", ())
    return _V.COMPLIANT, "judged", parts


def _forbidden_part(zone: ZoneFact, devices: Sequence[DeviceFact]) -> Part:
    found = tuple(DeviceEvidence(d.id, d.zone, Contribution.NONE, "forbidden", d.admin_since) for d in devices)
    return Part(zone, _V.NON_COMPLIANT if found else _V.COMPLIANT, 0, 0, 0, found)


_ORDER = (_V.NON_COMPLIANT, _V.UNKNOWN, _V.WAIVED, _V.COMPLIANT)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; those that are not applicable do not count. Nothing at all is not applicable."""
    given = set(verdicts)
    return next((verdict for verdict in _ORDER if verdict in given), _V.NOT_APPLICABLE)


def placement_warnings(
    packs: Sequence[RulePack],
    *,
    division: str,
    institution_type: str,
    purpose: str,
    capabilities: Sequence[str],
    at: Micros,
    kind: str = "",
) -> tuple[PlacementWarning, ...]:
    """The rules that a device with these capabilities would break by standing in a zone of this purpose."""
    found = []
    for rule in (rule for pack in packs for rule in pack.rules if rule.applies(division, institution_type, at)):
        asked = rule.requirement
        if not isinstance(asked, NoneIn) or purpose not in asked.zones:
            continue
        if kind in asked.kinds or asked.capabilities.intersection(capabilities):
            zh, en = sentences.of_placement(rule, purpose)
            found.append(PlacementWarning(rule.id, rule.document, rule.number, rule.clause, rule.force, zh, en))
    return tuple(found)
