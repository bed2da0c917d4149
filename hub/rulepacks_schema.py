"""The JSON schema of a rule pack, generated: `python -m hub.rulepacks_schema [--check] [folder]`.

With `--check` nothing is written; a schema that differs from what would be generated ends with code 1. `scripts/check` calls it so.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from hub.config import data_folder
from hub.rulepacks import RulePackText


def schema() -> dict[str, Any]:
    """A rule pack as it is written."""
    made = RulePackText.model_json_schema(by_alias=True)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Anxin rule pack"
    return made


def text() -> str:
    """What stands in `schema.json`."""
    return json.dumps(schema(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """0 when all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m hub.rulepacks_schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    parser.add_argument("folder", nargs="?", type=Path, default=data_folder("rule-packs"))
    asked = parser.parse_args(arguments)
    path: Path = asked.folder / "schema.json"
    made = text()
    if not asked.check:
        path.write_text(made, "utf-8")
        return 0
    if path.exists() and path.read_text("utf-8") == made:
        return 0
    print(f"{path}: is not what `python -m hub.rulepacks_schema` makes of the models", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
