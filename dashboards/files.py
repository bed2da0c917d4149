"""Boards as files, one a board and language, named by its uid."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from dashboards.panels import Json


def texts(made: Iterable[Json]) -> Mapping[str, str]:
    """What a folder of these boards must hold: file name to text."""
    return {f"{one['uid']}.json": json.dumps(one, ensure_ascii=False, indent=1) + "\n" for one in made}


def stale(folder: Path, made: Iterable[Json]) -> list[str]:
    """Names of files that are missing, differ or should not be there."""
    wanted = texts(made)
    there = {path.name: path.read_text("utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write(folder: Path, made: Iterable[Json]) -> int:
    """Write them all and remove boards of ours that are no more; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = texts(made)
    for path in folder.glob("anxin-*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, "utf-8")
    return len(wanted)
