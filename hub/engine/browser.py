"""Chromium for the tests of the console and for its screenshots, unpacked from the machine's own Debian suite.

Its libraries are those of the machine, and beside them what the machine lacks; so it is of the machine's own suite and not of `sources.SUITE`.
A Chinese font comes with it: most machines that run tests have none.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hub.engine.fetch import (
    _APT,
    ROOM_MB,
    Archive,
    Say,
    _codename,
    _exclusive,
    _libraries,
    _run,
    home_folder,
    to_stderr,
)
from hub.errors import EngineUnavailable

PACKAGES = ("chromium-headless-shell", "fonts-wqy-microhei", "fonts-dejavu-core")
NEVER = frozenset({"libc6", "libc-bin", "libcrypt1", "xdg-utils"})
"""The loader and its library are the machine's; the rest is not used without a screen."""
_LAYOUT = 2
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{cache}</cachedir>
  <match target="pattern">
    <test name="family" compare="eq"><string>system-ui</string></test>
    <edit name="family" mode="assign" binding="strong"><string>sans-serif</string></edit>
  </match>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family><family>WenQuanYi Micro Hei</family></prefer></alias>
</fontconfig>
"""


class Browser(NamedTuple):
    """A browser without a screen: its program, and the variables that it must be started with."""

    program: str
    environment: Mapping[str, str]


def ensure_browser(home: Path | None = None, say: Say = to_stderr, apt: Path = _APT) -> Browser:
    """The browser, fetched if it is not there yet (about 90 MB). Raises EngineUnavailable with what to do."""
    home = home_folder() if home is None else home
    final = home / f"browser-{_codename()}-{_LAYOUT}"
    if not final.is_dir():
        try:
            home.mkdir(parents=True, exist_ok=True)
            with _exclusive(home / ".lock", say):
                if not final.is_dir():
                    _fetch(final, say, apt)
        except OSError as error:
            raise EngineUnavailable(f"the browser cannot be put into {home}: {error.strerror or error}") from error
    return _at(final)


def _at(folder: Path) -> Browser:
    libraries = _libraries(folder)
    environment = {
        "LD_LIBRARY_PATH": f"{libraries}:{libraries}/pulseaudio",
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
    }
    return Browser(str(folder / "usr/lib/chromium/chromium-headless-shell"), environment)


def _fetch(final: Path, say: Say, apt: Path) -> None:
    started = time.monotonic()
    for program in ("apt-get", "dpkg-deb", "ldd"):
        if shutil.which(program) is None:
            raise EngineUnavailable(
                f"the browser is unpacked from Debian packages and needs {program}, which is not here"
            )
    free = shutil.disk_usage(final.parent).free // 1_000_000
    if free < ROOM_MB["browser"]:
        raise EngineUnavailable(
            f"{final.parent} has {free} MB of free disk space; the browser takes {ROOM_MB['browser']} MB"
        )
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=final.parent, ignore_cleanup_errors=True) as scratch:
        archive = Archive(Path(scratch), say, apt)
        say("fetching Chromium from this machine's own suite, for the console's tests; the package lists first")
        debs = archive.download_missing(PACKAGES, NEVER)
        tree = Path(scratch) / "tree"
        say("unpacking")
        for deb in debs:
            _run(["dpkg-deb", "-x", str(deb), str(tree)])
        for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale", "etc/chromium.d"):
            shutil.rmtree(tree / folder, ignore_errors=True)
        (tree / "fonts.conf").write_text(
            _FONTS.format(fonts=final / "usr/share/fonts", cache=final / "font-cache"), "utf-8"
        )
        _check(_at(tree))
        tree.chmod(0o755)
        tree.rename(final)
    say(f"the browser is ready: {archive.downloaded / 1e6:.0f} MB downloaded in {time.monotonic() - started:.0f} s")


def _check(browser: Browser) -> None:
    """Raise EngineUnavailable when a library of it is nowhere to be had."""
    listed = subprocess.run(
        ["ldd", browser.program], capture_output=True, text=True, check=False, env={**os.environ, **browser.environment}
    )
    lacking = [line.split()[0] for line in listed.stdout.splitlines() if "not found" in line]
    if lacking or listed.returncode != 0:
        raise EngineUnavailable(f"Chromium lacks {', '.join(lacking) or 'its program'}: {listed.stderr.strip()[-200:]}")
