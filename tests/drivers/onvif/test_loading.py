"""The hub says what is missing without the extra, and loading a camera's driver changes nothing else."""

import subprocess
import sys

import pytest


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
