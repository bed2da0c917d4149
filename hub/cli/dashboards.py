"""`anxin dashboards`: who may read the database through Grafana, and Grafana's boards themselves."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hub.config import load_settings
from hub.errors import AnxinError, BadInput

if TYPE_CHECKING:
    from hub.core.rights import Scope
    from hub.store.pool import Connection

T = TypeVar("T")

dashboards_app = typer.Typer(
    help="看板 Roles by which Grafana reads the database, and its boards.", no_args_is_help=True
)

_Divisions = Annotated[list[str] | None, typer.Argument(help="codes of divisions, e.g. 140403", metavar="[DIVISION]…")]
_Role = Annotated[str, typer.Option("--role", help="the database role; without it grafana_<divisions>, or grafana")]
_File = Annotated[
    Path | None, typer.Option(help="a file with the role's password; without it one is made up for Grafana")
]


@dashboards_app.command("grant")
def grant(
    divisions: _Divisions = None,
    everything: Annotated[bool, typer.Option("--everything", help="it sees the whole hub")] = False,
    institution: Annotated[list[str] | None, typer.Option(help="institutions that it sees")] = None,
    group: Annotated[list[str] | None, typer.Option(help="groups that it sees")] = None,
    role: _Role = "",
    password_file: _File = None,
) -> None:
    """Make a role that reads its scope through the views of schema `dash`, or change the scope and password of one."""
    from hub.core.rights import Scope
    from hub.store.readers import grant_reader

    with _said():
        scope = Scope(everything, tuple(divisions or ()), tuple(institution or ()), tuple(group or ()))
        if everything == bool(scope.divisions or scope.institutions or scope.groups):
            raise BadInput("name a scope: either --everything or divisions, --institution, --group", "scope")
        name = role or _name(scope)
        if password_file is None:
            raise BadInput("needs a password", "--password-file")
        password = _read(password_file, "--password-file")
        _with_database(lambda conn: grant_reader(conn, name, scope, password, actor="anxin"))


@dashboards_app.command("revoke")
def revoke(divisions: _Divisions = None, role: _Role = "") -> None:
    """Remove a role that `grant` made, and end its sessions."""
    from hub.core.rights import Scope
    from hub.store.readers import drop_reader

    with _said():
        if bool(divisions) == bool(role):
            raise BadInput("name either divisions or --role", "role")
        name = role or _name(Scope(divisions=tuple(divisions or ())))
        _with_database(lambda conn: drop_reader(conn, name, actor="anxin"))


def _name(scope: "Scope") -> str:
    """The role of a scope that nobody named: the same for the same divisions, in whatever order they are given."""
    if scope.institutions or scope.groups:
        raise BadInput("a scope with institutions or groups needs a name", "--role")
    return "_".join(("grafana", *sorted(scope.divisions)))


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", f"{option} {path}") from None


def _with_database(work: "Callable[[Connection], Awaitable[T]]") -> T:
    from hub.store.pool import connect

    async def run() -> T:
        conn = await connect(load_settings().database_url.get_secret_value(), "dashboards", autocommit=True)
        async with conn:
            return await work(conn)

    return asyncio.run(run())


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except AnxinError as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
