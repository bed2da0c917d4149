"""README and sample hold what the models hold."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import drivers.rtsp
from drivers.rtsp import driver
from hub.profiles import Point

FOLDER = Path(drivers.rtsp.__file__).parent


def test_the_sample_is_accepted() -> None:
    sample = yaml.safe_load((FOLDER / "sample.yaml").read_text("utf-8"))
    assert sample["endpoint"]["driver"] == driver.name
    driver.Endpoint.model_validate(sample["endpoint"]["settings"])
    driver.Device.model_validate(sample["device"])
    for name, point in sample["points"].items():
        title = {"zh": name, "en": name}
        driver.Address.model_validate(Point.model_validate({"title": title, **point}).address)


@pytest.mark.parametrize("model", [driver.Endpoint, driver.Device, driver.Address])
def test_the_readme_names_every_key(model: type[BaseModel]) -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert [key for key in model.model_fields if f"`{key}`" not in readme] == []


def test_the_readme_names_every_figure() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    figures = driver.Address.model_json_schema()["properties"]["figure"]["enum"]
    assert [figure for figure in figures if f"`{figure}`" not in readme] == []
