"""What an operator meets first: settings that do not hold, and a database that is not there. One line, an exit code, no secret."""

from collections.abc import Iterator

import pytest
import structlog
import typer

from hub.cli import centre

NOWHERE = "postgresql://hub:s3cret@127.0.0.1:1/anxin"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ANXIN_DATABASE_URL", NOWHERE)
    monkeypatch.setenv("ANXIN_MQTT_URL", "mqtt://hub:s3cret@127.0.0.1:1")
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)  # the command sets it up for a standard error that ends with the test


def refused(capsys: pytest.CaptureFixture[str], command: str) -> tuple[int, str]:
    with pytest.raises(typer.Exit) as ended:
        centre.migrate() if command == "migrate" else centre.serve(partitions="", ready_file="")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "s3cret" not in said
    return ended.value.exit_code, said


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_database_that_is_not_there_is_said_in_a_line_and_worth_another_try(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(capsys, command)
    assert code == 1
    assert "database: connection failed" in said


@pytest.mark.parametrize("command", ["migrate", "serve"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ANXIN_DATABASE_URL", "s3cret"),
        ("ANXIN_API_PORT", "99999"),
        ("ANXIN_PROFILES", "/s3cret"),
        ("ANXIN_RULE_PACKS", "s3cret,other"),
        ("ANXIN_LOG_LEVEL", "s3cret"),
    ],
)
def test_a_setting_that_does_not_hold_is_named_and_its_value_is_not(
    variable: str, value: str, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    code, said = refused(capsys, command)
    assert (code, variable in said) == (2, True)
