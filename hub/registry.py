"""What is registered, as one immutable snapshot that ingest, alarms and liveness read without asking the database.

`hub.store.registry.load` makes it; a change in the registry makes a new one. Unknown things are simply not in it.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

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

    def __post_init__(self) -> None:
        """What is looked at twice a second is sorted once."""
        devices = self.devices.values()
        behind: dict[Lane, dict[str, list[Device]]] = {lane: {} for lane in Lane}
        for device in devices:
            if device.client != device.id:
                behind[device.lane].setdefault(device.client, []).append(device)
        object.__setattr__(
            self,
            "behind",
            {lane: {client: tuple(some) for client, some in found.items()} for lane, found in behind.items()},
        )
        object.__setattr__(self, "own_clients", tuple(device for device in devices if device.client == device.id))
        gated: dict[Lane, dict[str, list[Device]]] = {lane: {} for lane in Lane}
        for device in devices:
            if device.profile.gated:
                gated[device.lane].setdefault(device.institution, []).append(device)
        found = {lane: {name: tuple(mine) for name, mine in by.items()} for lane, by in gated.items()}
        object.__setattr__(self, "gated", found)


def changed_devices(before: Registry, after: Registry, lane: Lane) -> set[str]:
    """Devices of `lane` (and edges, which beat in both) that came, went, moved to the other lane, or differ."""
    if before is after:
        return set()
    changed = set()
    for name, device in before.devices.items():
        now = after.devices.get(name)
        if now is not device and _in_lane(device, lane) and (now is None or not _in_lane(now, lane)):
            changed.add(name)
    for name, device in after.devices.items():
        known = before.devices.get(name)
        if known is not device and _in_lane(device, lane) and (known is None or _facts(known) != _facts(device)):
            changed.add(name)
    return changed


def _in_lane(device: Device, lane: Lane) -> bool:
    return device.lane is lane or device.is_edge


def _facts(device: Device) -> tuple[object, ...]:
    state = device.admin_state, device.proven, device.version
    return device.key, device.profile.profile, device.lane, device.client, device.institution_key, *state
