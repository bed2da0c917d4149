"""From a bundle's endpoints to what a link needs: drivers found by entry point, settings parsed by the driver's own models.

Everything that does not fit is a `BadInput` that names the file, the key and what is wrong, never a value: settings hold secrets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hub.bundle import BundleDevice, BundleEndpoint
from hub.driver import ENTRY_POINT_GROUP, Binding, Driver
from hub.errors import BadInput
from hub.model import Lane, Micros, Series

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One endpoint, ready to be connected."""

    endpoint_id: str
    driver: Driver
    endpoint: Any
    """an instance of the driver's `Endpoint` model"""
    bindings: tuple[Binding, ...]
    every: Mapping[Series, Micros]
    lanes: Mapping[str, Lane]
    """of each device behind it"""

    @property
    def source(self) -> str:
        """What rejects from here name as their source."""
        return f"{self.driver.name}:/{self.endpoint_id}"

    @property
    def urgent(self) -> bool:
        """Whether any device behind it is of the urgent lane."""
        return Lane.URGENT in self.lanes.values()


def find_driver(name: str, where: str) -> Driver:
    """The driver that the entry point `name` of the group `hub.drivers` names; raises BadInput that lists the ones there are."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise BadInput(f"no driver {name!r} is installed; there are: {there}", where, code="driver")
    try:
        driver: Driver = found[name].load()
    except Exception as error:  # noqa: BLE001 -- third-party code: a configuration that names it must end no edge
        reason = f"the driver {name!r} cannot be loaded: {type(error).__name__}: {error}"
        raise BadInput(reason, where, code="driver") from None
    for part in ("name", "Endpoint", "Device", "Address", "connect"):
        if not hasattr(driver, part):
            raise BadInput(f"the driver {name!r} has no {part!r}", where, code="driver")
    return driver


def plan_links(endpoints: Sequence[BundleEndpoint], where: str) -> list[LinkPlan]:
    """One plan an endpoint; `where` names the file. Raises BadInput for the first thing that does not fit."""
    return [_plan(endpoint, f"{where}: endpoints.{endpoint.id}") for endpoint in endpoints]


def _plan(endpoint: BundleEndpoint, where: str) -> LinkPlan:
    driver = find_driver(endpoint.driver, f"{where}.driver")
    every: dict[Series, Micros] = {}
    bindings: list[Binding] = []
    for device in endpoint.devices:
        bound = _bind(driver, device, f"{where}.devices.{device.id}")
        bindings.extend(bound)
        every.update((binding.series, point.every) for binding, point in zip(bound, device.points, strict=True))
    return LinkPlan(
        endpoint.id,
        driver,
        _parse(driver.Endpoint, endpoint.settings, f"{where}.settings"),
        tuple(bindings),
        every,
        {device.id: device.lane for device in endpoint.devices},
    )


def _bind(driver: Driver, device: BundleDevice, where: str) -> list[Binding]:
    settings = _parse(driver.Device, device.settings, f"{where}.settings")
    return [
        Binding(
            Series(device.id, point.point),
            settings,
            _parse(driver.Address, point.address, f"{where}.points.{point.point}.address"),
            point.type,
            point.writable,
        )
        for point in device.points
    ]


def _parse(model: type[Model], settings: Mapping[str, Any], where: str) -> Model:
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(str(first["msg"]), f"{where}.{key}" if key else where, code="settings") from None
    except Exception as error:  # noqa: BLE001 -- a driver's own check; what it says may hold a value
        raise BadInput(f"the driver's check failed: {type(error).__name__}", where, code="settings") from None
