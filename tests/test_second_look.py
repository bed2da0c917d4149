"""Which failures of a full run are looked at again, alone (decision 0281)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.second_look import refusal

TREE = Path(__file__).resolve().parent.parent
WAITS = "tests/runtime/test_service.py::test_a_thing"


def test_one_or_two_failures_that_may_have_waited_get_a_second_look() -> None:
    assert refusal([WAITS]) == ""
    assert refusal([WAITS, WAITS + "[2]"]) == ""


@pytest.mark.parametrize(
    ("failed", "why"),
    [
        ([], "names no test"),
        ([WAITS, *(f"{WAITS}[{n}]" for n in range(3))], "4 tests failed"),
        (["tests/core/test_alarms.py::test_a_thing"], "waits for nothing"),
        ([WAITS, "tests/test_house.py::test_a_thing"], "waits for nothing"),
        (["tests/runtime/test_service.py"], "waits for nothing"),
    ],
)
def test_what_cannot_be_an_accident_gets_none(failed: list[str], why: str) -> None:
    assert why in refusal(failed)


ACCIDENT = """
import pathlib
BEEN = pathlib.Path("been")
def test_a_thing():
    been = BEEN.exists()
    BEEN.touch()
    assert been
"""
BROKEN = "def test_a_thing():\n    assert False\n"


@pytest.mark.parametrize(("text", "status"), [(ACCIDENT, 0), (BROKEN, 1)], ids=["accident", "broken"])
def test_what_fails_again_fails_the_run_and_what_passes_is_named(tmp_path: Path, text: str, status: int) -> None:
    (tmp_path / "test_it.py").write_text(text)

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(TREE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = (sys.executable, "-m", *command)
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run("pytest", "-q", "--rootdir", ".").returncode == 1
    again = run("tests.second_look")
    assert again.returncode == status, again.stderr
    assert ("PASSED AT THE SECOND LOOK ONLY" in again.stdout) == (status == 0)
