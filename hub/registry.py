"""What is registered, as one immutable snapshot that ingest, alarms and liveness read without asking the database.

`hub.store.registry.load` makes it; a change in the registry makes a new one. Unknown things are simply not in it.
"""

import zlib
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field

from hub.model import AdminState, Lane, Micros
from hub.profiles import Profile


def partition_of(institution: str, partitions: int) -> int:
    """The partition of an institution: crc32 of its id modulo N (N is fixed when a hub is set up)."""
    return zlib.crc32(institution.encode()) % partitions


def canaries_of(partitions: int) -> list[str]:
    """The name of each partition's canary: the first of canary-0, canary-1 … that falls into it."""
    names: dict[int, str] = {}
    number = 0
    while len(names) < partitions:
        names.setdefault(partition_of(f"canary-{number}", partitions), f"canary-{number}")
        number += 1
    return [names[n] for n in range(partitions)]


@dataclass(frozen=True, slots=True)
class Device:
    """One registered device that is not retired."""

    key: int
    """below 0: a canary's, which is no real device"""
    id: str
    institution: str
    institution_key: int
    profile: Profile
    lane: Lane
    admin_state: AdminState
    client: str
    """the client that may speak for it: its edge, or itself"""
    is_edge: bool
    title_zh: str
    title_en: str
    """where it is, for people: institution · zone · position"""
    version: int = 0
    """counts the changes by manifests"""
    proven: bool = False
    """a function test has passed since the last change that matters"""
    wanted: int = 0
    """of an edge: the version of its configuration that is wanted; 0: none"""
    wanted_at: Micros = 0
    testing_until: Micros | None = None
    """end of the open function test; inside it nobody is paged for this device"""
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """Who may publish: its institution's partition, and whether it was revoked."""

    name: str
    institution: str
    partition: int
    device: str
    """the device that this client is: the edge itself, or the device that speaks our protocol"""
    revoked: bool


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything by its identifier."""

    partitions: int
    devices: Mapping[str, Device] = field(default_factory=dict)
    clients: Mapping[str, Client] = field(default_factory=dict)
    behind: Mapping[Lane, Mapping[str, tuple[Device, ...]]] = field(init=False, compare=False, repr=False)
    """by the client that speaks for them, without the clients themselves"""
    own_clients: tuple[Device, ...] = field(init=False, compare=False, repr=False)
    """devices that speak for themselves: edges, and what speaks our protocol"""
    gated: Mapping[Lane, Mapping[str, tuple[Device, ...]]] = field(init=False, compare=False, repr=False)
    """by institution, the devices with a definition that depends on hours or the armed state"""
    prints: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    """of each institution a fingerprint of what was loaded, by which a later load finds what has changed"""
    before: InitVar["Registry | None"] = None
    """the snapshot that this one takes the place of: what is the same behind a client is the same object"""

    def __post_init__(self, before: "Registry | None") -> None:
        """What is looked at twice a second is sorted once."""
        devices = self.devices.values()
        behind: dict[Lane, dict[str, list[Device]]] = {lane: {} for lane in Lane}
        for device in devices:
            if device.client != device.id:
                behind[device.lane].setdefault(device.client, []).append(device)
        object.__setattr__(
            self,
            "behind",
            {
                lane: {
                    client: _same(tuple(some), None if before is None else before.behind[lane].get(client))
                    for client, some in found.items()
                }
                for lane, found in behind.items()
            },
        )
        object.__setattr__(self, "own_clients", tuple(device for device in devices if device.client == device.id))
        gated: dict[Lane, dict[str, list[Device]]] = {lane: {} for lane in Lane}
        for device in devices:
            if device.profile.gated:
                gated[device.lane].setdefault(device.institution, []).append(device)
        found = {lane: {name: tuple(mine) for name, mine in by.items()} for lane, by in gated.items()}
        object.__setattr__(self, "gated", found)

    def is_same_behind(self, client: str, other: "Registry") -> bool:
        """Whether the client and all devices behind it are the same objects in both snapshots."""
        return self.devices.get(client) is other.devices.get(client) and all(
            self.behind[lane].get(client) is other.behind[lane].get(client) for lane in Lane
        )


def _same(found: tuple[Device, ...], before: tuple[Device, ...] | None) -> tuple[Device, ...]:
    if before is None or len(before) != len(found):
        return found
    return before if all(a is b for a, b in zip(found, before, strict=True)) else found


def changed_devices(before: Registry, after: Registry, lane: Lane) -> set[str]:
    """Devices of `lane` (and edges, which beat in both) that came, went, moved to the other lane, or differ."""
    if before is after:
        return set()
    changed = set()
    for name in _candidates(before, after):
        device, now = before.devices.get(name), after.devices.get(name)
        if now is device:
            continue
        if device is not None and _in_lane(device, lane) and (now is None or not _in_lane(now, lane)):
            changed.add(name)
        if now is not None and _in_lane(now, lane) and (device is None or _facts(device) != _facts(now)):
            changed.add(name)
    return changed


def _candidates(before: Registry, after: Registry) -> set[str]:
    """All that may differ: a province has hundreds of thousands of devices, and a change concerns a few."""
    found = {device.id for registry in (before, after) for device in registry.own_clients}
    for lane in Lane:
        old, new = before.behind[lane], after.behind[lane]
        for client in old.keys() | new.keys():
            if old.get(client) is not new.get(client):
                found.update(device.id for device in (*old.get(client, ()), *new.get(client, ())))
    return found


def _in_lane(device: Device, lane: Lane) -> bool:
    return device.lane is lane or device.is_edge


def _facts(device: Device) -> tuple[object, ...]:
    state = device.admin_state, device.proven, device.version
    return device.key, device.profile.profile, device.lane, device.client, device.institution_key, *state
