"""What a manifest may refer to on this hub: its profiles, the drivers that are installed, the channels, the rules of placement.

Drivers are found by the entry point group `hub.drivers` and never imported by name. Also knows which settings are secret, so that nobody
else has to: `shown` replaces them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from hub.core.coverage.judge import placement_warnings
from hub.core.coverage.rules import RulePack
from hub.core.provisioning import OWN_PROTOCOL, Fields, Finding, Noun, ProfileFacts
from hub.driver import ENTRY_POINT_GROUP, Driver
from hub.errors import BadInput
from hub.model import Micros
from hub.notify import KINDS
from hub.profiles import Kind, Profile
from hub.runtime.drivers import find_driver

_log = structlog.get_logger(__name__)
_MASK = "**********"


@cache
def installed_drivers() -> Mapping[str, Driver]:
    """Every driver that is installed, by the name of its entry point; one that cannot be loaded is left out, loudly."""
    found: dict[str, Driver] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            found[point.name] = find_driver(point.name, "entry points")
        except BadInput as error:
            _log.error("driver_broken", driver=point.name, error=error.reason)
    return found


@dataclass(frozen=True, slots=True)
class InstalledCatalogue:
    """The catalogue (hub.core.provisioning.Catalogue) of this hub at a moment."""

    profiles: Mapping[str, Profile]
    packs: Sequence[RulePack]
    drivers: Mapping[str, Driver]
    at: Micros
    """rules that are in effect then give warnings"""
    channels: Mapping[str, type[BaseModel]] = field(default_factory=lambda: KINDS)
    addresses: dict[str, Sequence[Finding]] = field(default_factory=dict, init=False, repr=False)
    """by profile, each judged once"""

    def profile(self, name: str) -> ProfileFacts | None:
        """The facts of a profile, None where there is none of that name."""
        profile = self.profiles.get(name)
        if profile is None:
            return None
        alarms = sorted({(alarm.signal_class, alarm.priority) for alarm in profile.alarms.values()})
        writable = {n: p.type for n, p in profile.points.items() if p.writable and (p.scale, p.offset) == (1.0, 0.0)}
        is_edge = profile.kind is Kind.EDGE
        return ProfileFacts(profile.kind, profile.lane, profile.driver, is_edge, tuple(alarms), writable)

    def has_driver(self, name: str) -> bool:
        """Whether a driver of that name is installed."""
        return name in self.drivers

    def endpoint_findings(self, driver: str, settings: Fields) -> Sequence[Finding]:
        """Why the driver cannot take these settings of an endpoint."""
        return _findings(self.drivers[driver].Endpoint, settings)

    def device_findings(self, profile: str, settings: Fields) -> Sequence[Finding]:
        """Why the profile's driver cannot take these settings of a device: the profile's own, with the manifest's over them."""
        known = self.profiles[profile]
        if known.driver == OWN_PROTOCOL:
            return [Finding((), "a device that speaks to the hub itself has no settings")] if settings else []
        driver = self.drivers.get(known.driver)
        if driver is None:
            return [Finding((), f"the profile's driver {known.driver!r} is not installed")]
        return [*_findings(driver.Device, {**known.device, **settings}), *self._address_findings(known, driver)]

    def _address_findings(self, profile: Profile, driver: Driver) -> Sequence[Finding]:
        """What is wrong in the profile itself: an edge could not bind its points."""
        if profile.profile not in self.addresses:
            self.addresses[profile.profile] = [
                Finding(
                    (),
                    f"profile {profile.profile}: points.{name}.address.{'.'.join(map(str, row.path))}: {row.message}",
                )
                for name, point in profile.points.items()
                for row in _findings(driver.Address, point.address)
            ]
        return self.addresses[profile.profile]

    def channel_findings(self, kind: str, settings: Fields) -> Sequence[Finding]:
        """Why there is no channel of this kind (path `kind`), or why it cannot take these settings (path `settings`, …)."""
        model = self.channels.get(kind)
        if model is None:
            return [Finding(("kind",), f"there is no channel kind {kind!r}: it is one of {', '.join(self.channels)}")]
        return [row._replace(path=("settings", *row.path)) for row in _findings(model, settings)]

    def placement_findings(self, division: str, institution_type: str, purpose: str, profile: str) -> Sequence[Finding]:
        """What rules say against a device of this profile in such a zone: warnings with their clause."""
        known = self.profiles[profile]
        rows = placement_warnings(
            self.packs,
            division=division,
            institution_type=institution_type,
            purpose=purpose,
            capabilities=known.capabilities,
            at=self.at,
            kind=known.kind,
        )
        cited = [" ".join(part for part in (row.document, row.number, row.clause) if part) for row in rows]
        return [Finding((), f"{row.zh} {row.en}", clause) for row, clause in zip(rows, cited, strict=True)]

    def shown(self, noun: Noun, fields: Fields) -> dict[str, Any]:
        """A thing's fields as they may be shown: every secret replaced."""
        visible = dict(fields)
        if noun is Noun.ENDPOINT:
            driver = self.drivers.get(fields["driver"])
            visible["settings"] = _masked(None if driver is None else driver.Endpoint, fields["settings"], {})
        elif noun is Noun.DEVICE:
            profile = self.profiles.get(fields["profile"])
            driver = None if profile is None else self.drivers.get(profile.driver)
            below = {} if profile is None else profile.device
            visible["settings"] = _masked(None if driver is None else driver.Device, fields["settings"], below)
        elif noun is Noun.RESPONDER:
            visible["channels"] = {
                name: {**channel, "settings": _masked(self.channels.get(channel["kind"]), channel["settings"], {})}
                for name, channel in fields["channels"].items()
            }
        return visible


def _findings(model: type[BaseModel], settings: Fields) -> list[Finding]:
    try:
        model.model_validate(settings)
    except ValidationError as error:
        rows = error.errors(include_url=False, include_input=False, include_context=False)
        return [Finding(tuple(row["loc"]), row["msg"].removeprefix("Value error, ")) for row in rows]
    return []


def _masked(model: type[BaseModel] | None, settings: Fields, below: Fields) -> Any:
    """`settings` with what the model holds as a secret replaced; all of it, where the model no longer takes them."""
    if model is None or not settings:
        return _cover(settings, None)
    try:
        return _cover(settings, model.model_validate({**below, **settings}).model_dump(mode="json"))
    except ValidationError:
        return _cover(settings, None)


def _cover(raw: Any, dumped: Any) -> Any:
    """The raw value where its dump shows it too, the mask where it does not."""
    if isinstance(raw, Mapping):
        known = dumped if isinstance(dumped, Mapping) else {}
        return {key: _cover(value, known.get(key)) for key, value in raw.items()}
    if isinstance(raw, list):
        known_list = dumped if isinstance(dumped, list) and len(dumped) == len(raw) else [None] * len(raw)
        return [_cover(value, known) for value, known in zip(raw, known_list, strict=True)]
    return _MASK if isinstance(raw, str) and (dumped is None or dumped == _MASK) else raw


def marked(before: Any, after: Any, shown: Any) -> Any:
    """`after` as it is shown, with a note at every secret that differs from `before`: its mask looks the same."""
    if isinstance(shown, Mapping) and isinstance(after, Mapping):
        below = before if isinstance(before, Mapping) else {}
        return {key: marked(below.get(key), after.get(key), value) for key, value in shown.items()}
    return f"{_MASK} (changed)" if shown == _MASK and before not in (after, None) else shown
