"""The browser: it runs where only its folder was unpacked, and shows Chinese."""

import os
import subprocess
from pathlib import Path

from hub.engine.browser import Browser, _check, ensure_browser


def test_the_browser_runs_and_renders(browser_program: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><meta charset=utf-8><p id=a></p><script>a.textContent='火警'+(1+1)</script>")
    options = ["--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/user", "--dump-dom"]
    said = subprocess.run(
        [browser_program.program, *options, page.as_uri()],
        capture_output=True,
        env={**os.environ, **browser_program.environment},
        timeout=100,
    )
    assert '<p id="a">火警2</p>' in said.stdout.decode()


def test_what_is_there_is_used_without_asking_anybody(browser_program: Browser, tmp_path: Path) -> None:
    said: list[str] = []
    assert ensure_browser(None, said.append, apt=tmp_path / "no-apt") == browser_program
    assert said == []
    _check(browser_program)
