"""`anxin rules` on the shipped packs, and on ones that are wrong."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hub.cli.columns import columns
from hub.cli.main import app
from hub.config import data_folder

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def checked() -> str:
    result = RUNNER.invoke(app, ["rules", "check"])
    assert result.exit_code == 0
    return result.output


def test_the_shipped_packs_hold_and_every_clause_is_answered_for(checked: str) -> None:
    assert "0 wrong" in checked
    assert "223 clauses, 141 judged by rules, 82 with a reason why not" in checked


def test_what_is_printed_fits_80_columns(checked: str) -> None:
    asked = (["list"], ["clauses"], ["show", "national-gas-alarm"], ["show", "beijing-retention"])
    for said in (checked, *(RUNNER.invoke(app, ["rules", *one]).output for one in asked)):
        lines = said.splitlines()
        assert len(lines) > 5
        assert [line for line in lines if columns(line) > 80] == []


def test_every_clause_is_judged_by_rules_or_has_its_reason() -> None:
    said = RUNNER.invoke(app, ["rules", "clauses"]).output.splitlines()
    assert "FIR-21  national-gas-alarm, national-gas-cutoff" in said
    assert any(line.startswith("DRL-17  supervisor: 监管部门的职责") for line in said)
    assert not any(line.endswith("?") for line in said)


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [("basis:", "bassis:", 2, "rules.0.basis"), ("n: 1, per", "n: 40, per", 1, "wrong")],
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


def test_conflicts_are_reported_with_both_rules_and_what_holds(checked: str) -> None:
    said = "".join(checked.split())
    overlay = "beijing-retention(北京市婴幼儿托育机构服务规范条号未见)tightensandstandsinfornational-retention(托育机构管理规范"
    assert overlay in said


def test_a_floor_above_a_ceiling_of_the_same_basis_is_left_to_a_person(tmp_path: Path) -> None:
    def rule(name: str, **limits: int) -> dict[str, object]:
        asked = {"of": "recording_days", "capability": "video.live", **limits}
        return {
            "id": name, "clause_id": "RET-01", "module": "retention", "document": "文", "clause": name, "force": "NORM",
            "basis": "obligation", "confidence": "V3", "effective_from": "2024-01-01", "days_to_remedy": 7,
            "title": {"zh": "题", "en": "title"}, "evidence_max_age": "2d", "requirement": {"bounds": asked},
        }  # fmt: skip

    pack = {
        "pack": "p",
        "version": "2026.11.1",
        "title": {"zh": "包", "en": "pack"},
        "rules": [rule("a", min=90), rule("b", max=60)],
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(pack))
    result = RUNNER.invoke(app, ["rules", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "a floor above a ceiling (90 > 60): a (文 a) and b (文 b); a person must decide" in " ".join(
        result.output.split()
    )


def test_a_rule_is_shown_with_what_it_cites_asks_and_stands_in_for() -> None:
    result = RUNNER.invoke(app, ["rules", "show", "beijing-retention"])
    assert result.exit_code == 0
    for said in (
        "stands in for  national-retention",
        "division 11",
        "录像保存天数不低于 90",
        "at least 90",
        "conflict",
    ):
        assert said in result.output, result.output
    unknown = RUNNER.invoke(app, ["rules", "show", "retention"])
    assert unknown.exit_code == 1
    assert "beijing-retention" in unknown.output


def test_rules_are_listed_by_division_and_type_and_the_three_bases_are_counted() -> None:
    beijing = RUNNER.invoke(app, ["rules", "list", "--division", "1101", "--type", "private"])
    assert "beijing-retention" in beijing.output
    assert "changzhi-video" not in beijing.output
    assert "obligations" in beijing.output.splitlines()[-1]
    assert "linan" not in RUNNER.invoke(app, ["rules", "list", "--division", "1101"]).output


def test_the_schema_is_json_for_editors() -> None:
    printed = RUNNER.invoke(app, ["rules", "schema"])
    assert json.loads(printed.output)["title"] == "Anxin rule pack"
