"""The facts of one institution, ordered once for all the rules that ask: zones by purpose, devices by capability, what counts where.

Knows nothing of rules. Everything asked twice is kept, so that eighty rules cost little more than the questions in which they differ.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from hub.core.coverage.attestations import AttestationKind
from hub.core.coverage.facts import (
    Attestation,
    Contribution,
    DeviceFact,
    InstitutionFacts,
    Interval,
    RecordingFact,
    ZoneFact,
    contribution,
)
from hub.core.coverage.findings import DeviceEvidence
from hub.core.coverage.requirements import Bounds
from hub.model import SECOND, AdminState, Micros

SKEW: Micros = 300 * SECOND
"""how far ahead of us the clock of whoever stated a time may be; evidence dated later than that is not believed"""
INSTALLED_NOT = frozenset({AdminState.RETIRED, AdminState.QUARANTINED})

_C = Contribution
_BETTER = {_C.NONE: 0, _C.UNKNOWN: 1, _C.PROVEN: 2}
_SILENT = frozenset({"offline", "link_unknown", "stale"})


class Rows(NamedTuple):
    """Devices that were looked at, by id, and how many of them are proven and unknown."""

    devices: tuple[DeviceEvidence, ...]
    proven: int
    unknown: int


NO_ROWS = Rows((), 0, 0)


def fresh(stated_at: Micros | None, at: Micros, greatest_age: Micros | None) -> bool:
    """Whether what was stated then may still be believed at `at`."""
    if stated_at is None:
        return greatest_age is None
    return stated_at - at <= SKEW and (greatest_age is None or at - stated_at <= greatest_age)


def rows_of(devices: Iterable[DeviceEvidence]) -> Rows:
    """Rows with their counts."""
    listed = tuple(devices)
    proven = unknown = 0
    for row in listed:
        if row.contribution is _C.PROVEN:
            proven += 1
        elif row.contribution is _C.UNKNOWN:
            unknown += 1
    return Rows(listed, proven, unknown)


@lru_cache(maxsize=1_024)
def video_and_other(matched: frozenset[str]) -> tuple[bool, bool]:
    """Whether there is a capability of video among these, and whether there is another one."""
    video = sum(one.startswith("video.") for one in matched)
    return video > 0, video < len(matched)


class Index:
    """What the kinds of requirements ask of the facts. Made for one `check` and thrown away."""

    def __init__(self, facts: InstitutionFacts, at: Micros) -> None:
        self.facts = facts
        self.at = at
        self.devices = sorted(facts.devices, key=lambda device: device.id)
        self.zones = sorted(facts.zones, key=lambda zone: zone.id)
        self.zone = {zone.id: zone for zone in self.zones}
        self.circumstances: dict[object, object] = {}
        """what `hub.core.coverage.circumstances` has looked up"""
        self.recorded: dict[tuple[Bounds, Micros | None], tuple[DeviceEvidence, ...]] = {}
        """what recorders hold, by what is asked of it"""
        self._zones_of: dict[frozenset[str], tuple[ZoneFact, ...]] = {}
        self._there: dict[frozenset[str], tuple[frozenset[str], tuple[DeviceFact, ...]]] = {}
        self._having: dict[frozenset[str], tuple[DeviceFact, ...]] = {}
        self._rows: dict[tuple[frozenset[str], Micros | None], Rows] = {}
        self._by_zone: dict[tuple[frozenset[str], Micros | None, Micros | None], dict[str, Rows]] = {}

    @cached_property
    def attestations(self) -> dict[str, list[Attestation]]:
        """By kind."""
        found: dict[str, list[Attestation]] = {}
        for one in self.facts.attestations:
            found.setdefault(one.kind, []).append(one)
        return found

    @cached_property
    def intervals(self) -> dict[str, list[Interval]]:
        """By kind."""
        found: dict[str, list[Interval]] = {}
        for one in self.facts.intervals:
            found.setdefault(one.kind, []).append(one)
        return found

    @cached_property
    def recordings(self) -> dict[str, list[RecordingFact]]:
        """By device."""
        found: dict[str, list[RecordingFact]] = {}
        for one in self.facts.recordings:
            found.setdefault(one.device, []).append(one)
        return found

    @cached_property
    def holds(self) -> Sequence[Attestation]:
        """Legal holds that have begun and not expired."""
        at = self.at
        return [
            one
            for one in self.attestations.get(AttestationKind.LEGAL_HOLD, ())
            if one.at <= at and (one.expires_at is None or at < one.expires_at)
        ]

    def zones_of(self, purposes: frozenset[str]) -> tuple[ZoneFact, ...]:
        """The zones of these purposes, by id."""
        found = self._zones_of.get(purposes)
        if found is None:
            found = self._zones_of[purposes] = tuple(zone for zone in self.zones if zone.purpose in purposes)
        return found

    def having(self, capabilities: frozenset[str]) -> tuple[DeviceFact, ...]:
        """The devices with any of these capabilities, by id."""
        found = self._having.get(capabilities)
        if found is None:
            lacks = capabilities.isdisjoint
            found = tuple(device for device in self.devices if not lacks(device.capabilities))
            self._having[capabilities] = found
        return found

    def there(self, capabilities: frozenset[str]) -> tuple[frozenset[str], tuple[DeviceFact, ...]]:
        """The zones in which a device with any of these capabilities stands or that it sees unmasked, and the devices that stand nowhere."""
        found = self._there.get(capabilities)
        if found is None:
            installed = [one for one in self.having(capabilities) if one.admin_state not in INSTALLED_NOT]
            zones = {view.zone for one in installed for view in one.sees if not view.masked}
            zones |= {one.zone for one in installed if one.zone is not None}
            found = frozenset(zones), tuple(one for one in installed if one.zone is None)
            self._there[capabilities] = found
        return found

    def evidence(
        self, device: DeviceFact, greatest_age: Micros | None, asked: frozenset[str] = frozenset()
    ) -> DeviceEvidence:
        """What the device contributes by itself: proven only when it was heard within the greatest age, too.

        `asked`: the capabilities that it is looked at for, where a device that only its edge heard may prove them.
        """
        counts, reason, since = contribution(device, asked)
        heard = device.last_heard_at
        aged = greatest_age is not None and reason != "heard_late"  # its edge heard it without a break
        if counts is _C.PROVEN and aged and not fresh(heard, self.at, greatest_age):
            counts, reason = _C.UNKNOWN, "stale"
        return DeviceEvidence(device.id, device.zone, counts, reason, since, heard if reason in _SILENT else None)

    def rows(self, capabilities: frozenset[str], greatest_age: Micros | None) -> Rows:
        """All devices with any of these capabilities, wherever they are."""
        key = (capabilities, greatest_age)
        found = self._rows.get(key)
        if found is None:
            found = rows_of(self.evidence(device, greatest_age, capabilities) for device in self.having(capabilities))
            self._rows[key] = found
        return found

    def by_zone(
        self, capabilities: frozenset[str], greatest_age: Micros | None, views_within: Micros | None
    ) -> dict[str, Rows]:
        """The same by the zone that they count for: what a camera declares to see, else where a device stands."""
        key = (capabilities, greatest_age, views_within)
        found = self._by_zone.get(key)
        if found is not None:
            return found
        placed: dict[str, list[DeviceEvidence]] = {}
        own = self.rows(capabilities, greatest_age).devices
        for device, row in zip(self.having(capabilities), own, strict=True):
            matched = capabilities & device.capabilities
            for one in self._placed(device, row, matched, views_within):
                if one.zone is not None:
                    placed.setdefault(one.zone, []).append(one)
        found = self._by_zone[key] = {zone: rows_of(rows) for zone, rows in placed.items()}
        return found

    def _placed(
        self, device: DeviceFact, row: DeviceEvidence, matched: frozenset[str], views_within: Micros | None
    ) -> Iterable[DeviceEvidence]:
        video, other = video_and_other(matched)
        if not video:
            return (row,)
        if not device.sees:
            return (row._replace(by="zone"),)
        own = row
        if other and device.unproven and row.contribution is _C.PROVEN:
            # what it sees and what it does where it hangs are proven each by itself
            seen = frozenset(one for one in matched if one.startswith("video."))
            row, own = (_shown(row, part, device) for part in (seen, matched - seen))
        rows: dict[str, DeviceEvidence] = {}
        for view in device.sees:
            if view.masked or not 0 < view.share <= 1:
                continue
            one = row._replace(zone=view.zone, by="view", value=view.share, at=view.attested_at)
            if row.contribution is _C.PROVEN and view.attested_at is None:
                one = one._replace(contribution=_C.UNKNOWN, reason="view_unattested")
            elif row.contribution is _C.PROVEN and not fresh(view.attested_at, self.at, views_within):
                one = one._replace(contribution=_C.UNKNOWN, reason="view_stale")
            known = rows.get(view.zone)
            rows[view.zone] = one if known is None else better(known, one)
        if other and device.zone is not None:
            rows[device.zone] = own._replace(by="zone")  # a camera's button is where the camera hangs
        return rows.values()

    def within(
        self,
        zones: Iterable[str],
        capabilities: frozenset[str],
        greatest_age: Micros | None,
        views_within: Micros | None = None,
    ) -> Rows:
        """The devices that count for any of these zones, each once, with the best it gives."""
        by_zone = self.by_zone(capabilities, greatest_age, views_within)
        best: dict[str, DeviceEvidence] = {}
        for zone in zones:
            for row in by_zone.get(zone, NO_ROWS).devices:
                known = best.get(row.device)
                best[row.device] = row if known is None else better(known, row)
        return rows_of(best[device] for device in sorted(best))

    def places(self, device: DeviceFact, capabilities: frozenset[str]) -> frozenset[str] | None:
        """The zones that the device counts for, by their ids; None where nobody recorded where it is."""
        matched = capabilities & device.capabilities
        video, other = video_and_other(matched)
        if not (video and device.sees):
            return None if device.zone is None else frozenset({device.zone})
        seen = frozenset(view.zone for view in device.sees if not view.masked and 0 < view.share <= 1)
        if device.zone is not None and other:
            return seen | {device.zone}
        return seen


def _shown(row: DeviceEvidence, part: frozenset[str], device: DeviceFact) -> DeviceEvidence:
    return row._replace(contribution=_C.UNKNOWN, reason="never_proven") if part <= device.unproven else row


def better(one: DeviceEvidence, two: DeviceEvidence) -> DeviceEvidence:
    """The row that gives more; of equals the one that sorts first, so that the order of facts decides nothing."""
    if _BETTER[one.contribution] != _BETTER[two.contribution]:
        return one if _BETTER[one.contribution] > _BETTER[two.contribution] else two
    return min(one, two, key=_order)


def _order(row: DeviceEvidence) -> tuple[str, float, Micros]:
    return row.zone or "", -(row.value or 0.0), row.at or 0
