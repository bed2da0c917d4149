"""`anxin edge --config FILE`: run the drivers of one institution and send what they read to the hub.

Exit codes: 0 after SIGTERM or SIGINT, 1 when a part of the edge failed (start it again), 2 when the file or the spool is not usable.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import structlog
import typer

from hub import logs
from hub.errors import BadInput

STOP_LIMIT = 5
"""seconds to stop in order; then the process is ended as it stands, which the spool survives like any kill"""


def edge(
    config: Annotated[Path, typer.Option("--config", help="the bundle: the file that `anxinctl bundle` wrote")],
    spool: Annotated[
        Path | None, typer.Option("--spool", help="folder of the spool; beside the bundle when not given")
    ] = None,
    log_level: Annotated[str, typer.Option(envvar="ANXIN_LOG_LEVEL", help="debug, info, warning or error")] = "info",
    log_format: Annotated[str, typer.Option(envvar="ANXIN_LOG_FORMAT", help="json or console")] = "json",
) -> None:
    """网关 Run the drivers of one institution, with a spool on disk, until SIGTERM or Ctrl-C."""
    code = run(config, spool, log_level, log_format)
    if code != 0:
        raise typer.Exit(code)


def run(config: Path, spool: Path | None, log_level: str = "info", log_format: str = "json") -> int:
    """What the command does; returns its exit code."""
    from hub.bundle import read_bundle
    from hub.edge.service import run_edge
    from hub.edge.spool import SpoolFailed
    from hub.edge.watchdog import watching
    from hub.runtime.drivers import plan_links

    try:
        logs.configure(_one_of(log_level, "--log-level"), _style(log_format))
        bundle = read_bundle(config)
        plans = plan_links(bundle.endpoints, str(config))
    except BadInput as error:
        print(f"anxin edge: {error}", file=sys.stderr)
        return 2
    folder = config.absolute().parent / f"{config.stem}.spool" if spool is None else spool

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def begin_to_stop(number: int, frame: object) -> None:
            # not by the loop, which a driver may be blocking: then the alarm ends the process as it stands
            signal.alarm(STOP_LIMIT)
            loop.call_soon_threadsafe(stop.set)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, begin_to_stop)
        with watching():
            await run_edge(bundle, plans, folder, stop)

    try:
        asyncio.run(main())
    except SpoolFailed as error:
        print(f"anxin edge: {error}", file=sys.stderr)
        return 2
    except ExceptionGroup:
        structlog.get_logger().critical("edge.failed", exc_info=True)
        return 1
    finally:
        signal.alarm(0)
    return 0


def _one_of(level: str, where: str) -> str:
    if level not in ("debug", "info", "warning", "error"):
        raise BadInput(f"{level!r} is none of debug, info, warning, error", where, code="settings")
    return level


def _style(text: str) -> Literal["console", "json"]:
    if text == "console":
        return "console"
    if text == "json":
        return "json"
    raise BadInput(f"{text!r} is neither json nor console", "--log-format", code="settings")


if __name__ == "__main__":
    typer.run(edge)
