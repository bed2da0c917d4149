"""What every command of `anxinctl` takes: the hub, the token, the way to print."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.errors import Exit, HubError

if TYPE_CHECKING:
    from provisioning.client import Hub


@dataclass
class Options:
    """What the command line says for every command."""

    api: str
    token_file: Path | None
    as_json: bool


def _for_programs(context: typer.Context, given: bool) -> bool:
    """`--json` after a command holds for it, before the command for all."""
    return given or (isinstance(context.obj, Options) and context.obj.as_json)


Context = typer.Context
Json = Annotated[bool, typer.Option("--json", help="For programs.", callback=_for_programs)]
Institution = Annotated[str | None, typer.Option("--institution", help="Only this institution.")]
AlarmId = Annotated[str, typer.Argument(help="告警编号 The alarm's id, or enough of its beginning.")]
DeviceId = Annotated[str, typer.Argument(help="设备编号 The device's id.")]
InstitutionId = Annotated[str, typer.Argument(help="机构编号 The institution's id.")]
AuthorityId = Annotated[str, typer.Argument(help="接警单位编号 The authority's id.")]
Note = Annotated[str, typer.Option("--note", "-m", help="What to write into the alarm's history.")]


def connect(options: Options) -> "Hub":
    """A session with the hub that the options name; raises HubError."""
    from provisioning.client import Hub

    token = os.environ.get("ANXIN_TOKEN", "")
    if options.token_file is not None:
        try:
            token = options.token_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise HubError(f"{options.token_file}: {reason}", Exit.BAD_INPUT) from None
    if not token.strip():
        raise HubError("no token: set ANXIN_TOKEN or name a file with --token-file", Exit.BAD_INPUT)
    return Hub(options.api, token.strip())
