"""What a person reads who asks a command what it does, or gives it what it cannot take: a line, in words, and never a trace."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import hub.cli.main
import provisioning.main
from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError, sent_from

RUNNER = CliRunner()
APPS = {"anxin": hub.cli.main.app, "anxinctl": provisioning.main.app}


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, f"{path} {name}")


ALL = [found for name, app in APPS.items() for found in _commands(typer.main.get_command(app), name)]


def test_every_command_says_in_chinese_first_what_it_does_and_describes_whatever_it_takes() -> None:
    assert len(ALL) > 130
    for path, command in ALL:
        assert re.match(r"[\u4e00-\u9fff]+[ ·(]", (command.help or "").strip()), path
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{path}: {parameter.name}"


@pytest.mark.parametrize("checked", [("rules", "check"), ("profile", "check")])
def test_a_check_that_found_nothing_to_check_is_no_success(checked: tuple[str, ...], tmp_path: Path) -> None:
    result = RUNNER.invoke(hub.cli.main.app, [*checked, str(tmp_path)])
    assert result.exit_code == 2
    assert "nothing was checked" in result.output


def test_a_profile_that_is_nested_without_end_or_in_another_encoding_is_refused_in_a_line(tmp_path: Path) -> None:
    deep, gbk = tmp_path / "deep.yaml", tmp_path / "gbk.yaml"
    deep.write_text("[" * 20_000)
    gbk.write_bytes("profile: 门".encode("gbk"))
    result = RUNNER.invoke(hub.cli.main.app, ["profile", "check", str(deep), str(gbk)])
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit)
    assert "2 wrong" in result.output
    recorded = ["profile", "record", str(gbk), "--endpoint", "host=x", "--output", str(tmp_path / "case")]
    assert RUNNER.invoke(hub.cli.main.app, recorded).exit_code == 2


def test_a_port_that_is_none_is_refused_before_anything_is_started() -> None:
    result = RUNNER.invoke(hub.cli.main.app, ["demo", "--port", "99999"])
    assert result.exit_code == 2
    assert "engine" not in result.output


def test_whoever_names_the_wrong_folder_reads_fifty_lines_and_how_many_more_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANXIN_TOKEN", "hub_x")
    for n in range(60):
        (tmp_path / f"{n:02}.yaml").write_text("a word\n")
    assert provisioning.main.run(["plan", "-f", str(tmp_path)]) == Exit.BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 51
    assert lines[-1] == "anxinctl: 另有 10 处 and 10 more"


def test_what_the_hub_does_not_take_of_a_file_names_the_file() -> None:
    with pytest.raises(HubError, match=r"^list\.csv: row 1: no such column$"), sent_from("list.csv"):
        raise HubError("#: row 1: no such column", Exit.BAD_INPUT)
    with pytest.raises(HubError, match=r"^not within your scope$"), sent_from("list.csv"):
        raise HubError("not within your scope", Exit.NOT_ALLOWED)


def test_a_hub_that_is_not_there_is_said_with_what_to_look_at() -> None:
    with pytest.raises(HubError, match="ANXIN_API") as caught, Hub("http://127.0.0.1:1", "hub_x") as there:
        there.get("/alarms")
    assert caught.value.code == Exit.NOT_REACHABLE


def test_a_time_is_chinas_wherever_the_terminal_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert show.moment("2026-11-22T19:10:43Z") == "11-23 03:10:43"
