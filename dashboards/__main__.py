"""`python -m dashboards` writes dashboards/generated/*.json; `--check` writes nothing and exits 1 where it is not up to date."""

import sys
from pathlib import Path

from dashboards.boards import boards
from dashboards.files import stale, write

GENERATED = Path(__file__).parent / "generated"


def main() -> int:
    """The command; its exit code."""
    if sys.argv[1:] == ["--check"]:
        names = stale(GENERATED, boards())
        if names:
            print(f"dashboards/generated is not up to date ({', '.join(names)}): run python -m dashboards")
        return 1 if names else 0
    write(GENERATED, boards())
    return 0


if __name__ == "__main__":
    sys.exit(main())
