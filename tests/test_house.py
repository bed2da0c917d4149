"""Rules of the house that stand in no module: the lock, the names of hosts, and what scripts/setup reports."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)( ; [^\\]+)? \\$")


def pinned() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = (PINNED.match(line) for line in lines)
    return {canonicalize_name(match[1]): Version(match[2]) for match in found if match is not None}


def test_every_line_of_the_lock_is_a_pinned_package_or_a_hash() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    strange = [
        line for line in lines if not (PINNED.match(line) or re.match(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$", line))
    ]
    assert strange == []
    assert len(pinned()) > 50


def test_the_lock_holds_every_dependency_in_a_version_that_the_project_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [text for group in project["optional-dependencies"].values() for text in group]
    versions = pinned()
    for text in [*project["dependencies"], *extras]:
        wanted = Requirement(text)
        assert versions[canonicalize_name(wanted.name)] in wanted.specifier, text


def test_the_tree_names_no_package_host() -> None:
    hosts = "|".join(
        [
            r"deb\.debian" + r"\.org",
            "pypi" + r"\.org",
            "pythonhosted" + r"\.org",
            "snapshot" + r"\.debian",
            "registry" + r"\.npmjs",
        ]
    )
    found = subprocess.run(["git", "-C", str(ROOT), "grep", "-nIE", hosts], capture_output=True, text=True)
    assert found.stdout == ""


def test_the_set_up_tells_what_it_downloaded_apart_from_what_it_had(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "  Downloading aiomqtt-2.5.1-py3-none-any.whl (500 kB)\n"
        "  Downloading uv-0.13.9-py3-none-manylinux_2_17_x86_64.whl (17.5 MB)\n"
        "  Downloading uv-0.13.9-py3-none-manylinux_2_17_x86_64.whl.metadata (12 kB)\n"
        "  Using cached ruff-0.17.6-py3-none-manylinux_2_17_x86_64.whl (10.0 MB)\n"
        "Installing collected packages: aiomqtt\n"
    )
    script = [sys.executable, str(ROOT / "scripts/pip-progress")]
    said = subprocess.run([*script, "--sum", str(log)], capture_output=True, text=True, check=True)
    assert said.stdout == "18 MB (and 10 MB from pip's cache)\n"
    with log.open() as lines:
        shown = subprocess.run([*script, "3"], stdin=lines, capture_output=True, text=True, check=True)
    assert shown.stderr.splitlines() == [
        "setup:   1/3 aiomqtt (500 kB)",
        "setup:   2/3 uv (17.5 MB)",
        "setup:   3/3 ruff (10.0 MB, cached)",
        "setup: unpacking",
    ]


def drawn() -> list[int]:
    """The examples of one property, as often as it is asked."""
    seen: list[int] = []

    @given(st.integers(-(10**15), 10**15))
    def look(number: int) -> None:
        seen.append(number)

    look()
    return seen


@pytest.mark.skipif("ANXIN_EXPLORE" in os.environ, reason="new examples are wanted")
def test_examples_stay_the_same_whatever_else_is_imported(tmp_path: Path) -> None:
    before = drawn()
    other = tmp_path / "other_room.py"
    other.write_text("".join(f"N{n} = {10**13 + 7 * n}\n" for n in range(500)))
    spec = importlib.util.spec_from_file_location("other_room", other)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["other_room"] = module
    try:
        assert drawn() == before
    finally:
        del sys.modules["other_room"]
