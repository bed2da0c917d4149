"""Crash points kill exactly where they were asked to."""

import os
import signal
import subprocess
import sys

import pytest

_PASSES = """
import sys
from hub import crash
for n in range(1, 5):
    crash.point("elsewhere")
    crash.point("before-commit")
    print(n, flush=True)
"""


def _run(plan: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "ANXIN_CRASH_AT"}
    if plan is not None:
        environment["ANXIN_CRASH_AT"] = plan
    return subprocess.run(
        [sys.executable, "-c", _PASSES], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_process_is_killed_at_the_pass_that_was_asked_for() -> None:
    ended = _run("before-commit:3")
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == ["1", "2"]


@pytest.mark.parametrize("plan", [None, "", "before-commit:9", "after-commit:1"])
def test_nothing_happens_where_no_point_is_asked_for_or_its_turn_never_comes(plan: str | None) -> None:
    ended = _run(plan)
    assert ended.returncode == 0
    assert ended.stdout.split() == ["1", "2", "3", "4"]


@pytest.mark.parametrize("plan", ["before-commit", "before-commit:0", ":3", "before-commit:x"])
def test_a_malformed_plan_is_refused_and_names_its_variable(plan: str) -> None:
    ended = _run(plan)
    assert ended.returncode == 1
    assert "ANXIN_CRASH_AT: is written label:n" in ended.stderr
