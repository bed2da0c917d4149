"""`anxin dashboards`: who may read the database through Grafana, and Grafana's boards themselves."""

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlsplit

import typer

from hub.config import data_folder, load_settings
from hub.errors import AnxinError, BadInput

if TYPE_CHECKING:
    from hub.core.rights import Scope
    from hub.grafana import Grafana
    from hub.store.pool import Connection

T = TypeVar("T")

dashboards_app = typer.Typer(
    help="看板 Roles by which Grafana reads the database, and its boards.", no_args_is_help=True
)

_Divisions = Annotated[list[str] | None, typer.Argument(help="codes of divisions, e.g. 140403", metavar="[DIVISION]…")]
_Role = Annotated[str, typer.Option("--role", help="the database role; without it grafana_<divisions>, or grafana")]
_File = Annotated[Path | None, typer.Option(help="a file with the role's password")]
_Url = Annotated[str, typer.Option("--grafana", help="address of Grafana, e.g. http://grafana:3000")]
_User = Annotated[str, typer.Option(help="a server administrator of Grafana")]
_Admin = Annotated[Path | None, typer.Option(help="a file with that administrator's password")]
_Tiles = Annotated[str, typer.Option(help="a tile server for the map, with {z}, {x} and {y}; without it no tiles")]


@dashboards_app.command("grant")
def grant(
    divisions: _Divisions = None,
    everything: Annotated[bool, typer.Option("--everything", help="it sees the whole hub")] = False,
    institution: Annotated[list[str] | None, typer.Option(help="institutions that it sees")] = None,
    group: Annotated[list[str] | None, typer.Option(help="groups that it sees")] = None,
    role: _Role = "",
    password_file: _File = None,
    grafana: _Url = "",
    grafana_user: _User = "admin",
    grafana_password_file: _Admin = None,
    database_address: Annotated[str, typer.Option(help="host:port by which Grafana reaches the database")] = "",
) -> None:
    """授权 Make a role that reads its scope through the views of schema `dash`, or change the scope and password of one.

    With --grafana also an organisation of its own with the data source; then a password that nobody sees is made up unless a file gives one.
    """
    from hub.core.rights import Scope
    from hub.grafana import source
    from hub.store.readers import grant_reader, note_organisation

    with _said():
        scope = Scope(everything, tuple(divisions or ()), tuple(institution or ()), tuple(group or ()))
        if everything == bool(scope.divisions or scope.institutions or scope.groups):
            raise BadInput("name a scope: either --everything or divisions, --institution, --group", "scope")
        name = role or _name(scope)
        server = _grafana(grafana, grafana_user, grafana_password_file)
        if password_file is not None:
            password = _read(password_file, "--password-file")
        elif server is not None:
            password = secrets.token_urlsafe(32)
        else:
            raise BadInput("a password is needed where no --grafana takes one that is made up", "--password-file")
        _with_database(lambda conn: grant_reader(conn, name, scope, password, actor="anxin"))
        if server is not None:
            organisation = f"Anxin {name}"
            address, database = _database(database_address)
            server.data_source(server.organisation(organisation), source(name, password, address, database))
            _with_database(lambda conn: note_organisation(conn, name, organisation))
            print(f"{name}: organisation {organisation!r}")


@dashboards_app.command("revoke")
def revoke(
    divisions: _Divisions = None,
    role: _Role = "",
    grafana: _Url = "",
    grafana_user: _User = "admin",
    grafana_password_file: _Admin = None,
) -> None:
    """收回授权 Remove a role that `grant` made, and end its sessions; with --grafana its organisation too."""
    from hub.core.rights import Scope
    from hub.store.readers import drop_reader

    with _said():
        if bool(divisions) == bool(role):
            raise BadInput("name either divisions or --role", "role")
        name = role or _name(Scope(divisions=tuple(divisions or ())))
        server = _grafana(grafana, grafana_user, grafana_password_file)
        # the role first: whatever Grafana says, nobody reads by it any more
        _with_database(lambda conn: drop_reader(conn, name, actor="anxin"))
        if server is not None:
            server.remove_organisation(f"Anxin {name}")


@dashboards_app.command("build")
def build(
    output: Annotated[Path, typer.Option(help="the folder for the boards' JSON")],
    tiles: _Tiles = "",
) -> None:
    """生成看板 Write the boards as files, for Grafana's provisioning: dashboards/generated of a release holds them without tiles."""
    with _said():
        files, made = _boards(tiles)
        try:
            print(f"{files.write(output, made)} boards in {output}")
        except OSError as error:
            raise BadInput(f"cannot be written: {error}", f"--output {output}") from None


@dashboards_app.command("check")
def check(
    role: Annotated[str, typer.Option("--role", help="run every query as this role")] = "",
    password_file: _File = None,
    tiles: _Tiles = "",
) -> None:
    """检查看板 Say what is wrong with the boards; with --role run every query of theirs in the database as that role."""
    from hub.store.readers import try_queries

    with _said():
        _, made = _boards(tiles)
        checks = _package("checks")
        found = list(checks.faults(made))
        asked = 0
        if role:
            if password_file is None:
                raise BadInput("the role's password is needed", "--password-file")
            url = load_settings().database_url.get_secret_value()
            queries = list(_package("queries").trials(made))
            asked = len(queries)
            found += asyncio.run(try_queries(url, role, _read(password_file, "--password-file"), queries))
        for fault in found:
            print(fault, file=sys.stderr)
        if found:
            raise typer.Exit(1)
        print(f"{len(made)} boards hold" + (f", {asked} queries ran as {role}" if role else ""))


@dashboards_app.command("push")
def push(
    grafana: _Url,
    grafana_user: _User = "admin",
    grafana_password_file: _Admin = None,
    tiles: _Tiles = "",
) -> None:
    """推送看板 Bring the boards of every organisation that `grant --grafana` made to those of this release."""
    from hub.store.readers import readers

    with _said():
        server = _grafana(grafana, grafana_user, grafana_password_file)
        assert server is not None, "the option is required"
        _, made = _boards(tiles)
        known = [one for one in _with_database(readers) if one.organisation is not None]
        if not known:
            raise BadInput("no role has an organisation: `anxin dashboards grant … --grafana` makes one", "--grafana")
        for one in known:
            stand, gone = server.boards(server.organisation(str(one.organisation)), made, "anxin-coverage")
            print(f"{one.organisation}: {stand} boards" + (f", {gone} old ones removed" if gone else ""))


def _name(scope: "Scope") -> str:
    """The role of a scope that nobody named: the same for the same divisions, in whatever order they are given."""
    if scope.institutions or scope.groups:
        raise BadInput("a scope with institutions or groups needs a name", "--role")
    return "_".join(("grafana", *sorted(scope.divisions)))


def _grafana(url: str, user: str, password_file: Path | None) -> "Grafana | None":
    if not url:
        return None
    from hub.grafana import Grafana

    if password_file is None:
        raise BadInput("the administrator's password is needed", "--grafana-password-file")
    return Grafana(url, user, _read(password_file, "--grafana-password-file"))


def _database(address: str) -> tuple[str, str]:
    """Where Grafana finds the database: host and port, and its name."""
    parts = urlsplit(load_settings().database_url.get_secret_value())
    if not address and not parts.hostname:
        raise BadInput("the hub reaches the database by a socket: say how Grafana does", "--database-address")
    return address or f"{parts.hostname}:{parts.port or 5432}", parts.path.strip("/")


def _package(name: str):  # type: ignore[no-untyped-def]
    """A module of the package `dashboards`, which is data of ours: beside the package in a checkout, inside it in a wheel."""
    import importlib

    folder = str(data_folder("dashboards").parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"dashboards.{name}")


def _boards(tiles: str):  # type: ignore[no-untyped-def]
    """The files' module, and all boards."""
    if tiles and not (
        tiles.startswith(("http://", "https://")) and all(mark in tiles for mark in ("{z}", "{x}", "{y}"))
    ):
        raise BadInput("a tile server is http(s)://… with {z}, {x} and {y} in it", "--tiles")
    made = _package("boards").boards(tiles) if tiles else _package("boards").boards()
    return _package("files"), made


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
