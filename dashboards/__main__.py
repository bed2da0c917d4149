"""`python -m dashboards` writes dashboards/generated/*.json; `--check` writes nothing and exits 1 where it is not up to date."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from dashboards.boards import BOARDS

GENERATED = Path(__file__).parent / "generated"


def texts() -> Mapping[str, str]:
    """What the folder must hold: file name to text."""
    made = [make() for make in BOARDS]
    return {f"{one['uid']}.json": json.dumps(one, ensure_ascii=False, indent=2) + "\n" for one in made}


def stale(folder: Path) -> list[str]:
    """Names of files that are missing, differ or should not be there."""
    wanted = texts()
    there = {path.name: path.read_text("utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main() -> int:
    """The command; its exit code."""
    if sys.argv[1:] == ["--check"]:
        names = stale(GENERATED)
        if names:
            print(f"dashboards/generated is not up to date ({', '.join(names)}): run python -m dashboards")
        return 1 if names else 0
    GENERATED.mkdir(exist_ok=True)
    wanted = texts()
    for path in GENERATED.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (GENERATED / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
