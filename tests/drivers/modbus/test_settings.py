"""Settings: what is refused, and that the refusal names the key."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from drivers.modbus import driver
from hub.driver import ENTRY_POINT_GROUP, Driver


def _refusal(model: type[BaseModel], settings: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(settings)
    first = caught.value.errors()[0]
    return ".".join(str(part) for part in first["loc"]) + ": " + first["msg"]


@pytest.mark.parametrize(
    ("model", "settings", "names"),
    [
        (driver.Endpoint, {"host": "h", "prot": 1}, "prot"),
        (driver.Endpoint, {"host": ""}, "host"),
        (driver.Endpoint, {"host": "h", "port": 0}, "port"),
        (driver.Endpoint, {"host": "h", "timeout_s": 0}, "timeout_s"),
        (driver.Endpoint, {"transport": "tcp"}, "host: transport tcp needs it"),
        (driver.Endpoint, {"transport": "rtu", "host": "h"}, "device: transport rtu needs it"),
        (driver.Endpoint, {"transport": "rtu", "device": "/dev/ttyS0", "host": "h"}, "host: transport rtu has none"),
        (driver.Endpoint, {"transport": "rtu", "device": "ttyS0"}, "device"),
        (driver.Endpoint, {"transport": "rtu_over_tcp", "host": "h", "baudrate": 9600}, "baudrate"),
        (driver.Endpoint, {"host": "h", "late_s": 1}, "late_s: transport tcp has none"),
        (driver.Device, {"unit": 256}, "unit"),
        (driver.Device, {"max_registers": 126}, "max_registers"),
        (driver.Device, {"forbidden": [{"table": "holding", "first": 5, "last": 4}]}, "last is below first"),
        (driver.Address, {"table": "holding", "address": 65536}, "address"),
        (driver.Address, {"table": "holding", "address": 65535, "type": "u32"}, "beyond 65535"),
        (driver.Address, {"table": "register", "address": 1}, "table"),
        (driver.Address, {"table": "holding", "address": 1, "type": "u8"}, "type"),
        (driver.Address, {"table": "holding", "address": 1, "type": "string"}, "length"),
        (driver.Address, {"table": "holding", "address": 1, "length": 4}, "length"),
        (driver.Address, {"table": "holding", "address": 1, "type": "bool"}, "bit"),
        (driver.Address, {"table": "holding", "address": 1, "type": "u32", "bit": 1}, "bit"),
        (driver.Address, {"table": "holding", "address": 1, "bits": 2}, "bits: a bit field begins at `bit`"),
        (driver.Address, {"table": "holding", "address": 1, "bit": 9, "bits": 8}, "ends with its register"),
        (driver.Address, {"table": "coil", "address": 1, "bits": 2}, "no bits"),
        (driver.Address, {"table": "coil", "address": 1, "type": "u16"}, "coil"),
        (driver.Address, {"table": "coil", "address": 1, "bit": 1}, "bit"),
        (driver.Address, {"table": "holding", "adress": 1}, "address"),
    ],
)
def test_bad_settings_are_refused_naming_the_key(model: type[BaseModel], settings: dict[str, Any], names: str) -> None:
    assert names in _refusal(model, settings)


def test_the_driver_keeps_the_contract_and_is_found_by_its_entry_point() -> None:
    from importlib.metadata import entry_points

    kept: Driver = driver
    assert kept.name == "modbus"
    assert [point.load() for point in entry_points(group=ENTRY_POINT_GROUP, name="modbus")] == [driver]
