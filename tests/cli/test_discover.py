"""`anxin discover`: settings from the command line, what is printed, and how it ends."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from typer.testing import CliRunner

from hub.cli.main import app
from hub.driver import Found
from hub.errors import AccessDenied, AnxinError, BadInput, LinkDown
from hub.runtime import drivers

RUNNER = CliRunner()


class Ranges(BaseModel):
    model_config = ConfigDict(extra="forbid")
    hosts: list[str] = Field(description="addresses")
    units: str = "1-4"
    password: SecretStr | None = None


class Lamps:
    """Finds a lamp for each host, then ends as it is told."""

    name = "lamps"
    Endpoint = Ranges
    Device = Ranges
    Address = Ranges
    Search = Ranges
    connect = None

    def __init__(self, end: AnxinError | None = None) -> None:
        self.end = end
        self.searched: list[Any] = []
        self.closed = 0

    async def discover(self, search: Any) -> AsyncIterator[Found]:
        self.searched.append(search)
        try:
            for host in search.hosts:
                yield Found(f"lamp {host}", {"host": host}, {}, "I am a \x1b[31mlamp")
            if self.end is not None:
                raise self.end
        finally:
            self.closed += 1


@pytest.fixture
def lamps(monkeypatch: pytest.MonkeyPatch) -> Lamps:
    driver = Lamps()
    monkeypatch.setattr(drivers, "find_driver", lambda name, where: driver)
    return driver


def test_what_was_found_is_a_manifest_on_standard_output(lamps: Lamps) -> None:
    result = RUNNER.invoke(app, ["discover", "lamps", "hosts=[a, b]", "units=7", "--institution", "sun"])
    assert result.exit_code == 0
    (institution,) = yaml.safe_load(result.stdout)["institutions"]
    assert institution["id"] == "sun"
    assert [device["id"] for device in institution["devices"]] == ["lamp-a", "lamp-b"]
    assert lamps.searched[0].units == "7"
    assert lamps.closed == 1
    assert "found: lamp a  I am a [31mlamp" in result.stderr


@pytest.mark.parametrize("end", [LinkDown("gone"), AccessDenied("no")])
def test_a_search_that_breaks_off_prints_what_it_found(lamps: Lamps, end: AnxinError) -> None:
    lamps.end = end
    result = RUNNER.invoke(app, ["discover", "lamps", "hosts=[a]"])
    assert result.exit_code == 1
    assert "lamp-a" in result.stdout
    assert str(end) in result.stderr


def test_a_secret_comes_from_the_environment_and_is_never_printed(lamps: Lamps, tmp_path: Path) -> None:
    written = tmp_path / "found.yaml"
    arguments = ["discover", "lamps", "hosts=[a]", "password=${env:LAMP}", "--output", str(written)]
    result = RUNNER.invoke(app, arguments, env={"LAMP": "hush-hush-1"})
    assert result.exit_code == 0
    assert lamps.searched[0].password.get_secret_value() == "hush-hush-1"
    assert "hush-hush-1" not in result.output + written.read_text()
    (institution,) = yaml.safe_load(written.read_text())["institutions"]
    assert institution["endpoints"][0]["settings"]["password"] == "${env:LAMP}"


def test_a_secret_that_was_typed_gets_a_variable_of_its_own(lamps: Lamps) -> None:
    result = RUNNER.invoke(app, ["discover", "lamps", "hosts=[a]", "password=hush-hush-2"])
    (institution,) = yaml.safe_load(result.stdout)["institutions"]
    assert institution["endpoints"][0]["settings"]["password"] == "${env:ANXIN_LAMPS_PASSWORD}"
    assert "hush-hush-2" not in result.output


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "hosts: Field required"),
        (["hosts"], "KEY=VALUE"),
        (["hosts=[a]", "hosts=[b]"], "hosts: stands here twice"),
        (["hosts=[a"], "hosts: not a list"),
        (["hosts=[a]", "colour=red"], "colour: Extra inputs"),
        (["hosts=[a]", "password=${env:NOT_THERE}"], "NOT_THERE"),
        (["hosts=[a]", "hosts.b=1"], "hosts"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_key(lamps: Lamps, settings: list[str], said: str) -> None:
    result = RUNNER.invoke(app, ["discover", "lamps", *settings])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("anxin discover: ") == 1
    assert lamps.searched == []


def test_without_settings_it_says_which_there_are(lamps: Lamps) -> None:
    result = RUNNER.invoke(app, ["discover", "lamps"])
    assert "hosts  (required)  addresses" in result.stderr
    assert "units  (default 1-4)" in result.stderr


def test_a_range_that_the_driver_refuses_is_said(lamps: Lamps) -> None:
    lamps.end = BadInput("too many units", "units", code="settings")
    result = RUNNER.invoke(app, ["discover", "lamps", "hosts=[]"])
    assert result.exit_code == 2
    assert "too many units" in result.stderr


def test_a_driver_that_is_not_there_is_named() -> None:
    result = RUNNER.invoke(app, ["discover", "nonsense"])
    assert result.exit_code == 2
    assert "no driver 'nonsense'" in result.stderr
