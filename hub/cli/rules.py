"""`anxin rules check`: are the rule packs well-formed, and does every rule tell right from wrong?

Exit codes: 0 all hold, 1 a fixture does not, 2 a file cannot be read; every line names file and rule.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.config import data_folder
from hub.errors import BadInput

app = typer.Typer(help="规则包 Rule packs.", no_args_is_help=True)


@app.callback()
def rules() -> None:
    """Rule packs: the clauses that institutions are held to, as data."""


@app.command("check")
def check(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="folders of rule packs; the shipped ones if none")
    ] = None,
) -> None:
    """Load every pack and play every fixture: each rule must pass where it should and fail where it should."""
    from hub.rulepack_fixtures import failures, load_fixtures
    from hub.rulepacks import load_rule_packs

    places = folders or [data_folder("rule-packs")]
    try:
        packs = load_rule_packs(places)
        fixtures = load_fixtures(places)
    except (BadInput, OSError) as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    wrong = failures(packs, fixtures)
    for line in wrong:
        print(line, file=sys.stderr)
    rules_held = sum(len(pack.rules) for pack in packs)
    print(f"{len(packs)} packs, {rules_held} rules, {len(fixtures)} fixtures, {len(wrong)} wrong")
    if wrong:
        raise typer.Exit(1)
