"""README and sample hold what the models hold, and the hub says what is missing without the extra."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import drivers.onvif
from drivers.onvif import driver
from hub.profiles import Point

FOLDER = Path(drivers.onvif.__file__).parent


def test_the_sample_is_accepted() -> None:
    sample = yaml.safe_load((FOLDER / "sample.yaml").read_text("utf-8"))
    assert sample["endpoint"]["driver"] == driver.name
    driver.Endpoint.model_validate(sample["endpoint"]["settings"])
    driver.Device.model_validate(sample["device"])
    for name, point in sample["points"].items():
        title = {"zh": name, "en": name}
        driver.Address.model_validate(Point.model_validate({"title": title, **point}).address)


@pytest.mark.parametrize("model", [driver.Endpoint, driver.Device, driver.Address, driver.Search])
def test_the_readme_names_every_key(model: type[BaseModel]) -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert [key for key in model.model_fields if f"`{key}`" not in readme and f"{key}=" not in readme] == []


@pytest.mark.parametrize(("name", "library"), [("onvif", "aiohttp"), ("rtsp", "av")])
def test_without_the_extra_a_bundle_that_names_the_driver_is_refused_by_name(name: str, library: str) -> None:
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from hub.errors import BadInput\nfrom hub.runtime.drivers import find_driver\n"
        f"try:\n    find_driver({name!r}, 'bundle.json')\nexcept BadInput as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert f"the driver '{name}' cannot be loaded" in done.stdout
    assert "anxin-hub[camera]" in done.stdout


def test_loading_the_driver_sets_up_no_logging_of_its_own() -> None:
    program = "import logging\nimport drivers.onvif\nprint(logging.getLogger().handlers, logging.getLogger().level)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[] 30"
