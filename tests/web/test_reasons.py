"""Whatever a form of the console may be refused for is said in Chinese, too."""

import ast
import re
from pathlib import Path

import pytest
import yaml

import hub
from hub.errors import BadInput
from hub.web.words import in_chinese, reason_of

ROOT = Path(hub.__file__).parent
WHERE = (
    *(
        "core/maintenance.py",
        "store/maintenance.py",
        "store/police_windows.py",
        "store/hidings.py",
        "store/handovers.py",
    ),
    *(
        "core/orders.py",
        "core/coverage/waivers.py",
        "store/orders.py",
        "store/waivers.py",
        "api/waivers.py",
        "web/orders.py",
    ),
    *("store/drills.py", "store/attestations.py", "store/camera_views.py", "store/zone_plans.py"),
    *(f"web/{one.name}" for one in sorted((ROOT / "web").glob("*.py"))),
)
FUNCTIONS = {"core/opening.py": "check_armed", "core/exercises.py": "check_drill", "store/duty_book.py": "hand_over"}
RAISED = {"BadInput": 0, "Conflict": 0, "Forbidden": 0, "refuse": 1}
"""what is called with a reason, and the place of the reason"""


def _text(node: ast.expr) -> str | None:
    """A literal, what is put into it standing as `7`; None for what is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [_text(part) if isinstance(part, ast.Constant) else "7" for part in node.values]
        return "".join(part or "" for part in parts)
    return None


def _reasons() -> list[str]:
    found = []
    for name in (*WHERE, *FUNCTIONS):
        tree: ast.AST = ast.parse((ROOT / name).read_text("utf-8"))
        if name in FUNCTIONS:
            tree = next(
                one
                for one in ast.walk(tree)
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == FUNCTIONS[name]
            )
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in RAISED:
                text = _text(call.args[RAISED[call.func.id]]) if len(call.args) > RAISED[call.func.id] else None
                if text is not None:
                    found.append(text)
    assert len(found) > 30
    for name in ("core/proofs.py", "core/exercises.py"):  # why a proof failed
        for one in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "_end":
                found += [text for text in [_text(one.args[3])] if text is not None]
            if isinstance(one, ast.Return) and isinstance(one.value, ast.Tuple) and len(one.value.elts) == 2:
                state, reason = (_text(part) for part in one.value.elts)
                found += [reason] if state == "failed" and reason else []
    return sorted(set(found))


@pytest.mark.parametrize("reason", _reasons())
def test_every_reason_of_a_refusal_has_its_chinese(reason: str) -> None:
    chinese = in_chinese(reason)
    assert chinese is not None
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert "{" not in chinese


def test_every_translation_takes_as_much_as_it_is_given() -> None:
    text = (ROOT / "web/translations/reasons.yaml").read_text("utf-8")
    for english, chinese in yaml.safe_load(text).items():
        assert chinese.count("{}") <= english.count("{}"), english


def test_a_reason_names_the_field_in_both_languages_and_what_is_unknown_stays_english() -> None:
    assert reason_of(BadInput("at most a year ahead", "since", "maintenance")) == (
        "开始：最多提前一年",
        "Since: at most a year ahead",
    )
    assert reason_of(BadInput("is past: a press is declared beforehand", "presses.3.at"))[0].startswith(
        "时刻：时间已过"
    )
    assert reason_of(BadInput("somebody else than who hands over", "#/taker"))[0] == "接班人：须是另一人"
    assert reason_of("something new {0.__class__}") == ("something new {0.__class__}",) * 2
