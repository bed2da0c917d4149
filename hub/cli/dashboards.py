"""`anxin dashboards`: the database roles by which Grafana reads. Boards themselves are files (dashboards/generated)."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.config import load_settings
from hub.errors import AnxinError, BadInput

if TYPE_CHECKING:
    from hub.store.pool import Connection

dashboards_app = typer.Typer(help="看板 Roles by which Grafana reads the database.", no_args_is_help=True)


@dashboards_app.command("reader")
def reader(
    name: Annotated[str, typer.Argument(help="the database role, e.g. grafana or grafana_140403")],
    password_file: Annotated[Path, typer.Option(help="a file with the role's password")],
    everything: Annotated[bool, typer.Option("--everything", help="it sees the whole hub")] = False,
    division: Annotated[list[str] | None, typer.Option(help="divisions that it sees")] = None,
    institution: Annotated[list[str] | None, typer.Option(help="institutions that it sees")] = None,
    group: Annotated[list[str] | None, typer.Option(help="groups that it sees")] = None,
) -> None:
    """Make a role that reads its scope through the views of schema `dash`, or change the scope and password of one."""
    from hub.core.rights import Scope
    from hub.store.readers import grant_reader

    scope = Scope(everything, tuple(division or ()), tuple(institution or ()), tuple(group or ()))

    async def grant(conn: "Connection") -> None:
        if everything == bool(scope.divisions or scope.institutions or scope.groups):
            raise BadInput("name a scope: either --everything or --division, --institution, --group", "scope")
        try:
            password = password_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot be read: {error}", f"--password-file {password_file}") from None
        await grant_reader(conn, name, scope, password, actor="anxin")

    _with_database(grant)


@dashboards_app.command("drop-reader")
def drop(name: Annotated[str, typer.Argument(help="the database role")]) -> None:
    """Remove a role that `reader` made."""
    from hub.store.readers import drop_reader

    _with_database(lambda conn: drop_reader(conn, name, actor="anxin"))


def _with_database(work: "Callable[[Connection], Awaitable[None]]") -> None:
    from hub.store.pool import connect

    async def run() -> None:
        conn = await connect(load_settings().database_url.get_secret_value(), "dashboards", autocommit=True)
        async with conn:
            await work(conn)

    try:
        asyncio.run(run())
    except AnxinError as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
