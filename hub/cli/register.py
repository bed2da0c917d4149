"""`anxin register import`: a filing list taken in where the database is; the API's own way is POST /api/v1/register/imports.

Exit codes: 0 done or planned, 1 rows do not hold and nothing was changed, 2 the file or the command cannot be read.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.errors import AnxinError

app = typer.Typer(help="名册 The register.", no_args_is_help=True)


@app.callback()
def register() -> None:
    """The register: the institutions that must be there, the denominator of every rate."""


@app.command("import")
def take_in(
    file: Annotated[Path, typer.Argument(help="the filing list 备案名册: CSV (UTF-8 or GB 18030) or XLSX")],
    division: Annotated[str, typer.Option(help="whose whole list it is: what it does not name is withdrawn")],
    by: Annotated[str, typer.Option(help="who takes it in, for the register's trail")],
    apply: Annotated[bool, typer.Option("--apply", help="do it; otherwise it is only shown")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="leave out rows that do not hold; nothing is withdrawn then")
    ] = False,
) -> None:
    """导入名册 Show what a filing list would add, change and withdraw; with --apply do exactly that, in one transaction."""
    from hub.config import load_settings
    from hub.core.rights import EVERYTHING, Principal, Role
    from hub.store import register as store
    from hub.store.pool import connect
    from hub.store.session import translated
    from hub.tables import read

    who = Principal("", by.strip(), Role.ADMIN, EVERYTHING)

    async def run() -> tuple[bool, store.Proposal]:
        data = file.read_bytes()
        sent = store.file(file.name, data, read(data))
        with translated():
            async with await connect(load_settings().database_url.get_secret_value(), "register") as conn:
                if not apply:
                    return False, await store.propose(conn, who, division, sent)
                id, made = await store.take_in(conn, who, division, sent, skip_bad=skip_bad)
                return id is not None, made

    try:
        if not who.name:
            raise typer.BadParameter("say who takes it in", param_hint="--by")
        done, (found, plan) = asyncio.run(run())
    except (AnxinError, OSError) as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    for entry in plan.added:
        print(f"+ {entry.filing_number} {entry.title_zh} ({entry.division})")
    for before, after in plan.changed:
        moved = [name for name in after._fields if getattr(before, name) != getattr(after, name)]
        print(f"~ {after.filing_number} {after.title_zh}: {', '.join(moved)}")
    for entry in plan.withdrawn:
        print(f"- {entry.filing_number} {entry.title_zh} ({entry.division})")
    for problem in found.problems:
        print(f"! {problem.where}: {problem.message}", file=sys.stderr)
    counts = (
        f"{len(plan.added)} added, {len(plan.changed)} changed, {len(plan.withdrawn)} withdrawn, {plan.same} the same"
    )
    said = "done" if done else "nothing was changed" if apply or found.problems else "a plan: --apply does it"
    print(f"{found.rows} rows, {found.bad_rows} do not hold: {counts}; {said}")
    if found.problems and not done:
        raise typer.Exit(1)
