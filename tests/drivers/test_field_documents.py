"""Samples and READMEs of the drivers mqtt and serial are in step with their settings."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import drivers.mqtt
import drivers.serial

FOLDERS = {"mqtt": drivers.mqtt, "serial": drivers.serial}


def _section(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((Path("drivers") / name / "sample.yaml").read_text("utf-8"))
    return [document] if "points" in document else list(document.values())


@pytest.mark.parametrize("name", FOLDERS)
def test_the_sample_holds_settings_that_the_driver_takes(name: str) -> None:
    driver = FOLDERS[name].driver
    for section in _section(name):
        assert section["endpoint"]["driver"] == driver.name
        driver.Endpoint.model_validate(section["endpoint"]["settings"])
        driver.Device.model_validate(section["device"]["settings"])
        for point in section["points"].values():
            driver.Address.model_validate(point["address"])


@pytest.mark.parametrize("name", FOLDERS)
def test_the_readme_names_every_setting(name: str) -> None:
    text = (Path("drivers") / name / "README.md").read_text("utf-8")
    models: list[type[BaseModel]] = [getattr(FOLDERS[name].driver, part) for part in ("Endpoint", "Device", "Address")]
    missing = [field for model in models for field in model.model_fields if f"`{field}`" not in text]
    assert missing == []
