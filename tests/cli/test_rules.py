"""`anxin rules check` on the shipped packs, and on ones that are wrong."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.config import data_folder

RUNNER = CliRunner()


def test_the_shipped_packs_hold() -> None:
    result = RUNNER.invoke(app, ["rules", "check"])
    assert result.exit_code == 0
    assert "0 wrong" in result.output


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [("basis:", "bassis:", 2, "rules.0.basis"), ("n: 1,", "n: 40,", 1, "wrong")],
)
def test_a_pack_that_is_broken_is_refused_by_name(tmp_path: Path, old: str, new: str, code: int, said: str) -> None:
    shutil.copytree(data_folder("rule-packs"), tmp_path / "packs")
    changed = 0
    for path in (tmp_path / "packs").glob("*.yaml"):
        text = path.read_text("utf-8")
        changed += text.count(old)
        path.write_text(text.replace(old, new), encoding="utf-8")
    assert changed > 0
    result = RUNNER.invoke(app, ["rules", "check", str(tmp_path / "packs")])
    assert result.exit_code == code
    assert said in result.output
