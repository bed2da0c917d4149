"""What is known of an institution when its coverage is judged: zones, devices with their three axes, and whether it is connected at all."""

from dataclasses import dataclass
from enum import StrEnum

from hub.model import AdminState, FunctionState, LinkState, Micros


@dataclass(frozen=True, slots=True)
class ZoneFact:
    """A zone of the zone plan that is not retired."""

    id: str
    purpose: str
    title_zh: str
    title_en: str


@dataclass(frozen=True, slots=True)
class DeviceFact:
    """A device that is not retired. `zone` is None where it has no position."""

    id: str
    kind: str
    zone: str | None
    capabilities: frozenset[str]
    admin_state: AdminState
    admin_since: Micros
    link_state: LinkState
    link_since: Micros
    function_state: FunctionState
    function_since: Micros
    last_heard_at: Micros | None


@dataclass(frozen=True, slots=True)
class InstitutionFacts:
    """Everything that rules may ask about one subject: an institution, or an entry of the register that is not connected."""

    subject: str
    division: str
    type: str
    connected: bool
    zones: tuple[ZoneFact, ...] = ()
    devices: tuple[DeviceFact, ...] = ()


class Contribution(StrEnum):
    """What a device adds to "at least n"."""

    PROVEN = "proven"
    UNKNOWN = "unknown"
    NONE = "none"


def contribution(device: DeviceFact) -> tuple[Contribution, str, Micros]:
    """What the device contributes, a word for why, and since when.

    Only a device in service counts. A function known to have failed counts for nothing even when the link is gone now;
    offline, unheard or unproven is unknown, never proven.
    """
    if device.admin_state is not AdminState.IN_SERVICE:
        return Contribution.NONE, device.admin_state.value, device.admin_since
    if device.function_state is FunctionState.FAILED:
        return Contribution.NONE, "failed", device.function_since
    if device.link_state is LinkState.OFFLINE:
        return Contribution.UNKNOWN, "offline", device.link_since
    if device.link_state is not LinkState.ONLINE:
        return Contribution.UNKNOWN, "link_unknown", device.link_since
    if device.function_state is FunctionState.UNPROVEN:
        return Contribution.UNKNOWN, "unproven", device.function_since
    return Contribution.PROVEN, device.function_state.value, device.function_since
