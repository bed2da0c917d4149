"""A snapshot: what was judged, as it is kept. Facts are made of dated items, and an item holds from its own time on, whenever it became known. Pure.

`steady` is what must not change without a new judgement: a device that beats, a recorder that is read again, change nothing in it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hub.core.coverage import canonical
from hub.core.coverage.facts import DeviceFact, InstitutionFacts
from hub.core.coverage.waivers import Waiver
from hub.model import LinkState, Micros

_SIX_HOURS: Micros = 6 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Facts in one order, so that equal facts are equal snapshots; and the waivers that stood or were ahead."""

    facts: InstitutionFacts
    waivers: tuple[Waiver, ...] = ()


def snapshot(facts: InstitutionFacts, waivers: Iterable[Waiver] = ()) -> Snapshot:
    """The facts with all their tuples in order, and the waivers of this subject among those given."""
    own = (one for one in waivers if one.subject == facts.subject)
    return Snapshot(
        waivers=tuple(sorted(own, key=lambda one: one.id)),
        facts=replace(
            facts,
            zones=tuple(sorted(facts.zones, key=lambda one: one.id)),
            devices=tuple(sorted(map(_ordered, facts.devices), key=lambda one: one.id)),
            recordings=tuple(sorted(facts.recordings, key=lambda one: (one.device, one.recorder))),
            attestations=tuple(sorted(facts.attestations, key=lambda one: one.id)),
            intervals=tuple(sorted(facts.intervals, key=lambda one: (one.kind, one.began_at, one.device or ""))),
            armed_always=tuple(sorted(facts.armed_always, key=lambda one: (one.device, one.signal_class))),
        ),
    )


def _ordered(device: DeviceFact) -> DeviceFact:
    if len(device.proven) < 2 and len(device.sees) < 2 and len(device.values) < 2:
        return device
    proven = tuple(sorted(device.proven))
    sees = tuple(sorted(device.sees, key=lambda one: one.zone))
    values = tuple(sorted(device.values, key=lambda one: one.point))
    if (proven, sees, values) == (device.proven, device.sees, device.values):
        return device  # the same one, so that what is known of it stays known (`Shelf`)
    return replace(device, proven=proven, sees=sees, values=values)


class Texts:
    """The canonical texts of snapshots that are nearly the same: what they share (by identity) is written once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, str]] = {}
        self._first = True

    def body(self, kept: Snapshot) -> bytes:
        """The canonical text that is kept under its SHA-256, as `canonical.text_of` writes it."""
        if self._first:  # most judgements keep one snapshot, which is written faster as a whole
            self._first = False
            return canonical.text_of(kept)
        lists: dict[str, tuple[object, ...]] = {name: one for name in _MANY if (one := getattr(kept.facts, name))}
        emptied: dict[str, Any] = dict.fromkeys(lists, ())
        rest = canonical.plain(replace(kept, facts=replace(kept.facts, **emptied)))
        rest["facts"].update(dict.fromkeys(lists, _PLACE))
        text = canonical.text(rest).decode()
        for name, many in lists.items():
            text = text.replace(f'"{name}":"{_PLACE}"', f'"{name}":[{",".join(map(self._text, many))}]', 1)
        return text.encode()

    def _text(self, one: object) -> str:
        known = self._known.get(id(one))
        if known is None:
            known = self._known[id(one)] = one, canonical.text_of(one).decode()  # with it, so that its id stays its own
        return known[1]


_MANY = ("zones", "devices", "recordings", "attestations", "intervals", "armed_always")
_PLACE = "@"
"""no field of these names is a word anywhere in facts, and a quotation mark within a word is written otherwise"""


def body(kept: Snapshot) -> bytes:
    """The canonical text that is kept under its SHA-256."""
    return canonical.text_of(kept)


def from_plain(document: object, where: str) -> Snapshot:
    """A snapshot from its parsed text; raises BadInput."""
    return canonical.read(Snapshot, document, where)


def steady(kept: Snapshot) -> bytes:
    """What tells whether the facts must be judged again before a time limit passes: everything but the times of mere renewals."""
    facts = kept.facts
    told: tuple[object, ...] = (
        (facts.subject, facts.division, facts.type, facts.connected, facts.registered, facts.filing_number),
        (facts.capacity, facts.area_m2, facts.plan, facts.zones, facts.attestations, facts.intervals),
        (kept.waivers, [_steady_device(one) for one in facts.devices]),
        [(one.device, one.recorder, int(one.days), one.installed_at) for one in facts.recordings],
        [(round(one.gap_seconds / 3600), round(one.bad_seconds / 3600)) for one in facts.recordings],
        [None if one.possible is None else int(one.possible) for one in facts.recordings],
        [
            None if one.newest_at is None else max(0, one.read_at - one.newest_at) // _SIX_HOURS
            for one in facts.recordings
        ],
        [(one.device, one.signal_class, one.always) for one in facts.armed_always],
    )
    if facts.unreadable:
        told = (*told, "unreadable")
    return hashlib.sha256(repr(told).encode()).digest()


def _steady_device(one: DeviceFact) -> tuple[object, ...]:
    heard = None if one.link_state is LinkState.ONLINE else one.last_heard_at
    axes = (one.admin_state, one.admin_since, one.link_state, one.link_since, one.function_state, one.function_since)
    seen = [(each.point, each.value) for each in one.values]
    told = (one.id, one.kind, one.zone, sorted(one.capabilities), axes, heard, one.proven, one.behind, one.sees, seen)
    return (*told, sorted(one.unproven)) if one.unproven else told


class Observed(NamedTuple):
    """One dated item of an institution's facts: it holds from `since` until a newer one of the same key, or until its own end."""

    key: tuple[str, ...]
    since: Micros
    value: Any
    until: Micros | None = None
    """of what came late and says from when to when it was so: from then on the facts are what they were without it"""


_AXES = ("admin", "link", "function")


def items(facts: InstitutionFacts) -> dict[tuple[str, ...], Observed]:
    """Every dated item by its key."""
    found = [one for device in facts.devices for one in _items_of(device)]
    found += [Observed(("recording", one.device, one.recorder), one.read_at, one) for one in facts.recordings]
    found += [Observed(("attestation", one.id), one.at, one) for one in facts.attestations]
    found += [
        Observed(("interval", one.kind, one.device or "", str(one.began_at)), one.ended_at or one.began_at, one)
        for one in facts.intervals
    ]
    found += [Observed(("arming", one.device, one.signal_class), one.at, one) for one in facts.armed_always]
    if facts.plan is not None:
        found.append(Observed(("plan",), max(facts.plan.signed_at or 0, facts.plan.changed_at), facts.plan))
    return {one.key: one for one in found}


def _items_of(device: DeviceFact) -> Iterable[Observed]:
    for axis in _AXES:
        yield Observed((axis, device.id), getattr(device, f"{axis}_since"), getattr(device, f"{axis}_state"))
    if device.last_heard_at is not None:
        yield Observed(("heard", device.id), device.last_heard_at, device.last_heard_at)
    for capability, at in device.proven:
        yield Observed(("proven", device.id, capability), at, at)
    for view in device.sees:
        yield Observed(("view", device.id, view.zone), view.attested_at or 0, view)
    if device.heard_late:
        yield Observed(("heard_late", device.id), 0, True)
    for value in device.values:
        yield Observed(("value", device.id, value.point), value.at, value)


def news(before: InstitutionFacts, after: InstitutionFacts, at: Micros) -> list[Observed]:
    """The dated items of `after` that are newer than what `before` knew under their key; one that is dated later than `at` is none yet."""
    standing = {device.id: device for device in before.devices}
    moved = tuple(device for device in after.devices if standing.get(device.id) != device)  # nearly none
    known = items(replace(before, devices=tuple(standing[one.id] for one in moved if one.id in standing)))
    return [
        one
        for key, one in items(replace(after, devices=moved)).items()
        if one.since < at and (key not in known or (known[key].since < one.since))
    ]


def put(facts: InstitutionFacts, observed: Iterable[Observed]) -> InstitutionFacts:
    """The facts with these items, each where it is newer than what stands there. Items of devices that are not there are left out."""
    of_devices: dict[str, list[Observed]] = {}
    others: list[Observed] = []
    for one in observed:
        if one.key[0] in _OF_DEVICE:
            of_devices.setdefault(one.key[1], []).append(one)
        else:
            others.append(one)
    changed: dict[str, Any] = {}
    devices = tuple(
        _put_device(device, of_devices[device.id]) if device.id in of_devices else device for device in facts.devices
    )
    if any(one is not old for one, old in zip(devices, facts.devices, strict=True)):
        changed["devices"] = devices
    if others:
        standing = items(replace(facts, devices=()))
        newer = _newer(standing, others)
        for kind, field in _LISTS.items():
            added = {one.key: one.value for one in newer if one.key[0] == kind}
            if added:
                kept = [one.value for key, one in standing.items() if key[0] == kind and key not in added]
                changed[field] = (*kept, *added.values())
        for one in newer:
            if one.key[0] == "plan":
                changed["plan"] = one.value
    return snapshot(replace(facts, **changed)).facts if changed else facts


def _newer(standing: Mapping[tuple[str, ...], Observed], observed: Iterable[Observed]) -> list[Observed]:
    """Of each key the newest item, where it is newer than what stands."""
    best: dict[tuple[str, ...], Observed] = {}
    for one in observed:
        now = best.get(one.key) or standing.get(one.key)
        if now is None or _wins(one, now):
            best[one.key] = one
    return list(best.values())


_OF_DEVICE = frozenset({*_AXES, "heard", "heard_late", "proven", "view", "value"})
_LISTS: Mapping[str, str] = {
    "recording": "recordings",
    "attestation": "attestations",
    "interval": "intervals",
    "arming": "armed_always",
}


def _wins(one: Observed, standing: Observed) -> bool:
    """Newer; of two at the same time always the same one, in whatever order they came."""
    if one.since != standing.since:
        return one.since > standing.since
    if one.value == standing.value:
        return False
    return canonical.text_of(one.value) > canonical.text_of(standing.value)


def _put_device(device: DeviceFact, observed: Sequence[Observed]) -> DeviceFact:
    newer = _newer({one.key: one for one in _items_of(device)}, observed)
    for kind, *key, since, value in ((*one.key, one.since, one.value) for one in newer):
        if kind in _AXES:
            device = replace(device, **{f"{kind}_state": value, f"{kind}_since": since})
        elif kind == "heard":
            device = replace(device, last_heard_at=since)
        elif kind == "heard_late":
            device = replace(device, heard_late=True)  # says something only where the hub did not know (`contribution`)
        elif kind == "proven":
            kept = [pair for pair in device.proven if pair[0] != key[1]]
            lacking = device.unproven - {key[1]}
            device = replace(device, proven=tuple(sorted([*kept, (key[1], since)])), unproven=lacking)
        elif kind == "view":
            device = replace(device, sees=(*(one for one in device.sees if one.zone != key[1]), value))
        else:
            device = replace(device, values=(*(one for one in device.values if one.point != key[1]), value))
    return device
