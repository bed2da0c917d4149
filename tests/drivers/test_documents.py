"""A driver's README and sample hold what its models hold."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import drivers
from drivers.modbus import driver as modbus
from drivers.onvif import driver as onvif
from drivers.rtsp import driver as rtsp
from drivers.snmp import driver as snmp
from hub.profiles import Point

DRIVERS: tuple[Any, ...] = (modbus, onvif, rtsp, snmp)
MODELS = [
    pytest.param(driver, model, id=f"{driver.name}-{model.__name__}")
    for driver in DRIVERS
    for model in (driver.Endpoint, driver.Device, driver.Address, *((driver.Search,) if driver is onvif else ()))
]


def document(driver: Any, name: str) -> str:
    folder = Path(drivers.__file__).parent / str(driver.name)
    return (folder / name).read_text("utf-8")


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_the_sample_is_accepted(driver: Any) -> None:
    sample = yaml.safe_load(document(driver, "sample.yaml"))
    endpoints = [part for part in sample.values() if "driver" in part]
    assert endpoints
    for endpoint in endpoints:
        assert endpoint["driver"] == driver.name
        driver.Endpoint.model_validate(endpoint["settings"])
    driver.Device.model_validate(sample["device"])
    assert sample["points"]
    for name, point in sample["points"].items():
        title = {"zh": name, "en": name}
        driver.Address.model_validate(Point.model_validate({"title": title, **point}).address)


@pytest.mark.parametrize(("driver", "model"), MODELS)
def test_the_readme_names_every_key(driver: Any, model: type[BaseModel]) -> None:
    readme = document(driver, "README.md")
    assert [key for key in model.model_fields if f"`{key}`" not in readme and f"{key}=" not in readme] == []


def test_the_readme_of_rtsp_names_every_figure() -> None:
    figures = rtsp.Address.model_json_schema()["properties"]["figure"]["enum"]
    readme = document(rtsp, "README.md")
    assert [figure for figure in figures if f"`{figure}`" not in readme] == []
