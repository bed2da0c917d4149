"""Where a Chinese font is that can be embedded into a PDF: what `ANXIN_REPORT_FONT` names, else one that the system's packages have put there.

Only TrueType outlines will do: reportlab embeds no PostScript ones, which is what the usual Noto and Source Han fonts hold.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

KNOWN = (
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "uming.ttc",
    "ukai.ttc",
)
"""What Debian's packages fonts-wqy-microhei, fonts-wqy-zenhei, fonts-droid-fallback, fonts-arphic-uming and -ukai bring; the best first."""
PACKAGE = "fonts-wqy-microhei"
_DEEPEST = 4


def folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where fonts lie (XDG Base Directory Specification): the user's own before those of all."""
    home = environment.get("HOME", "")
    own = environment.get("XDG_DATA_HOME") or (f"{home}/.local/share" if home else "")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    found = [Path(part) / "fonts" for part in (own, *shared.split(":")) if part.startswith("/")]
    return [*found, *([Path(home) / ".fonts"] if home.startswith("/") else [])]


def find(named: Path | None, within: list[Path] | None = None) -> Path | None:
    """The file that is named, whether it is there or not; else the first of `KNOWN` in the system's folders; else None."""
    if named is not None:
        return named
    places = {
        path.name: path for folder in reversed(folders() if within is None else within) for path in _files(folder)
    }
    return next((places[name] for name in KNOWN if name in places), None)


def _files(folder: Path) -> Iterator[Path]:
    for at, below, names in os.walk(folder):  # what may not be read is left out
        yield from (Path(at) / name for name in names if name in KNOWN)
        if len(Path(at).relative_to(folder).parts) >= _DEEPEST:
            below.clear()
