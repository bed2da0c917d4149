"""`anxin serve`, `anxin migrate`, `anxin token create`: the centre and what its operator does on its machine.

Exit codes: 0 after SIGTERM or Ctrl-C, 1 when a part failed (start it again), 2 for settings that do not hold, 3 when another process owns
the partitions.
"""

import asyncio
import os
import signal
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hub import logs
from hub.config import Settings, load_settings
from hub.errors import AnxinError, BadInput, Conflict, LinkDown

if TYPE_CHECKING:
    from hub.runtime.service import ServeApi, Service

STOP_LIMIT = 15
"""seconds to stop in order; then the process is ended as it stands, which loses nothing that was confirmed"""
token_app = typer.Typer(help="令牌 Tokens for people and services.", no_args_is_help=True)


def _settings() -> Settings:
    from hub.store import sealing

    try:
        settings = load_settings()
        sealing.use(
            sealing.parse_keys("" if settings.channel_keys is None else settings.channel_keys.get_secret_value())
        )
    except BadInput as error:
        raise _refuse(str(error), 2) from None
    logs.configure(settings.log_level, settings.log_format)
    return settings


def _refuse(text: str, code: int) -> typer.Exit:
    print(f"anxin: {text}", file=sys.stderr)
    return typer.Exit(code)


def serve(
    role: Annotated[
        list[str] | None, typer.Option("--role", help="ingest, paging, coverage, api, auditor; all when not given")
    ] = None,
    partitions: Annotated[str, typer.Option(help="partitions to own, e.g. 0,1,2; all when not given")] = "",
    migrate: Annotated[bool, typer.Option(help="bring the database to the newest revision first")] = True,
    ready_file: Annotated[str, typer.Option(help="write the API's port here once it takes requests")] = "",
) -> None:
    """中心 Run the centre: ingest, alarms, escalation, coverage and API. Settings come from ANXIN_… variables (docs/operations.md)."""
    from hub.runtime.service import YIELDS, Role, Service, steps_back

    settings = _settings()
    try:
        roles = frozenset(Role(name) for name in role) if role else frozenset(Role)
        numbers = [int(number) for number in partitions.split(",")] if partitions else None
    except ValueError as error:
        raise _refuse(f"--role or --partitions: {error}", 2) from None

    if steps_back(roles):
        os.nice(YIELDS)
    told_to_stop = False
    # what HTTP takes to import is half of a start: a lane that was killed is back without it
    serving = api_of(ready_file) if Role.API in roles else _takes_no_requests

    async def run() -> None:
        task = asyncio.ensure_future(Service(settings, roles, numbers).run(serving, migrate=migrate))

        def stop() -> None:
            nonlocal told_to_stop
            told_to_stop = True
            signal.alarm(STOP_LIMIT)
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await task

    try:
        asyncio.run(run())
    except (asyncio.CancelledError, KeyboardInterrupt):
        if told_to_stop:
            return
        raise  # a part was cancelled that nobody told to stop: never end in silence
    except AnxinError as error:
        raise _refuse(str(error), _code(error)) from None
    except BaseExceptionGroup as group:
        refused, rest = group.split((BadInput, Conflict, LinkDown))
        if refused is None or rest is not None:
            raise
        first = refused
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]  # type: ignore[assignment]
        raise _refuse(str(first), _code(first)) from None


def _code(error: BaseException) -> int:
    return 3 if isinstance(error, Conflict) else 2 if isinstance(error, BadInput) else 1


async def _takes_no_requests(parts: "Service") -> None:
    """In place of the API in a process without that role, which never asks for it."""
    raise AssertionError(parts.roles)


def api_of(ready_file: str) -> "ServeApi":
    """What runs the API for a service; it writes the port to `ready_file`, where one is named, once requests are taken."""
    from pathlib import Path

    from hub.api.app import create_app
    from hub.api.server import serve as serve_app
    from hub.web.app import install

    async def run(parts: "Service") -> None:
        app = create_app(
            parts.settings,
            parts.pool,
            parts.profiles,
            parts.packs,
            fanout=parts.fanout,
            ready=parts.ready,
            duty=parts.duty,
            standby=parts.standby,
            metrics=parts.metrics,
        )

        install(app)

        def bound(port: int) -> None:
            parts.api_port = port
            if ready_file:
                Path(ready_file).write_text(str(port))

        await serve_app(app, parts.settings.api_host, parts.settings.api_port, bound)

    return run


def migrate() -> None:
    """数据库升级 Bring the database to the newest revision, and channels' settings under the newest key."""
    from hub.store.migrate import upgrade
    from hub.store.sealing import reseal

    try:
        url = _settings().database_url.get_secret_value()
        upgrade(url)
        asyncio.run(reseal(url))
    except AnxinError as error:
        raise _refuse(str(error), _code(error)) from None


@token_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="whose it is: a named person or service")],
    role: Annotated[str, typer.Option(help="admin, installer, operator, regulator, platform")],
    service: Annotated[bool, typer.Option("--service", help="for a service, not a person")] = False,
    division: Annotated[list[str] | None, typer.Option(help="divisions of its scope; everything when no scope")] = None,
    institution: Annotated[list[str] | None, typer.Option(help="institutions of its scope")] = None,
    expires: Annotated[datetime | None, typer.Option(help="when it ends, UTC")] = None,
) -> None:
    """发放令牌 Make a token and print it, once. Needs the database; the API's own way is POST /api/v1/tokens."""
    from datetime import UTC

    from hub.core.rights import EVERYTHING, Role, Scope
    from hub.store.access import create_token
    from hub.store.pool import connect

    settings = _settings()

    async def make() -> str:
        scope = Scope(divisions=tuple(division or ()), institutions=tuple(institution or ()))
        if not division and not institution:
            scope = EVERYTHING
        conn = await connect(settings.database_url.get_secret_value(), "token")
        async with conn:
            made = await create_token(
                conn,
                name=name,
                kind="service" if service else "person",
                role=Role(role),
                scope=scope,
                actor="anxin",
                within=EVERYTHING,
                expires_at=None if expires is None else expires.replace(tzinfo=UTC),
            )
        return made.secret

    try:
        print(asyncio.run(make()))
    except (AnxinError, ValueError) as error:
        raise _refuse(str(error), 2) from None
