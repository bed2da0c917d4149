"""`anxin demo`: the whole system on this machine, with simulated devices; plays the scenario once, or stays up.

Exit codes: 0 every step held (`--once`), or ended by Ctrl-C; 1 a step did not hold; 2 a part could not be had or started.
"""

import asyncio
import contextlib
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from hub import logs
from hub.errors import AnxinError

API_PORT = 8443


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="play the scenario once, print a table, leave nothing behind")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="write the report (--once) or the addresses and the token to this file"),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="the API's port; 0, and --once, take a free one")
    ] = API_PORT,
) -> None:
    """演示 The demo: engine, centre, three institutions with real protocol endpoints, webhook and mail receivers."""
    logs.configure("error", "console")
    code = asyncio.run(_main(once, json_file, port))
    if code:
        raise typer.Exit(code)


async def _main(once: bool, json_file: Path | None, port: int) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await (_once(json_file) if once else _stay(json_file, port))
    except asyncio.CancelledError:
        _say("stopped / 已停止")
        return 1 if once else 0
    except (AnxinError, OSError) as error:
        print(f"anxin demo: {error}", file=sys.stderr)
        return 2
    except BaseExceptionGroup as group:
        told, unexpected = group.split(AnxinError)
        if told is None or unexpected is not None:
            raise
        print(f"anxin demo: {_first(told)}", file=sys.stderr)
        return 2


def _first(error: BaseException) -> BaseException:
    """The first error itself, out of the groups around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _say(text: str) -> None:
    print(text, flush=True)


async def _once(json_file: Path | None) -> int:
    from hub.demo.city import running, write_private
    from hub.demo.scenario import play, report

    started = time.monotonic()
    with _folder() as folder:
        async with running(folder, _say) as city:
            steps = await play(city, _say)
    result = report(steps)
    if json_file is not None:
        write_private(json_file, result)
    _table(result, time.monotonic() - started)
    return 0 if result["ok"] else 1


def _table(result: dict[str, object], seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"安心 Anxin Hub demo · {seconds:.0f} s", show_lines=True)
    table.add_column("步骤 Step", no_wrap=True)
    table.add_column("")
    table.add_column("s", justify="right")
    table.add_column("结果 Result", overflow="fold")
    steps = result["steps"]
    assert isinstance(steps, list)
    for step in steps:
        table.add_row(step["name"], "✓" if step["ok"] else "✗", f"{step['seconds']:.1f}", step["detail"])
    Console().print(table)
    _say("全部通过 every step held" if result["ok"] else "未通过 NOT every step held")


async def _stay(json_file: Path | None, port: int) -> int:
    from hub.demo.city import running, write_private
    from hub.demo.keyboard import play_by_hand
    from hub.demo.scenario import CHAPTERS, play

    with _folder() as folder:
        async with running(folder, _say, port) as city:
            steps = await play(city, _say, CHAPTERS[:4])
            if not all(step.ok for step in steps):
                return 1
            if json_file is not None:
                known = {
                    "api": city.api,
                    "console": f"{city.api}/console/",
                    "token": city.token,
                    "mqtt": city.variables["ANXIN_MQTT_URL"],
                    "database": city.variables["ANXIN_DATABASE_URL"],
                }
                write_private(json_file, known)
            write_secret(folder / "token", city.token)
            wanted = {name: value for name, value in city.variables.items() if name.startswith(_FOR_PEOPLE)}
            lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(wanted.items())]
            write_secret(folder / "env", "\n".join(lines))
            _say(_WELCOME.format(api=city.api, token=city.token, folder=folder))
            await play_by_hand(city, _say)
    return 0


def write_secret(path: Path, text: str) -> None:
    """A file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="utf-8")


_FOR_PEOPLE = ("ANXIN_API", "ANXIN_TOKEN", "ANXIN_DEMO_")
"""the variables that `anxinctl` and the demo's manifests read"""

_WELCOME = """
安心 Anxin Hub 演示已就绪 · the demo is up. Ctrl-C 结束 ends it.

  API      {api}/api/v1
  OpenAPI  {api}/api/v1/openapi.json
  Token    {token}

  控制台 Console  {api}/console/   用上面的令牌登录 log in with the token above

试一试 try next, in another terminal:

  . {folder}/env
  .venv/bin/anxinctl device list
  .venv/bin/anxinctl coverage show
  .venv/bin/anxinctl coverage show demo-center
  .venv/bin/anxinctl alarm list --all
  .venv/bin/anxinctl plan -f provisioning/manifests/demo-toilet
  curl -H "authorization: Bearer $ANXIN_TOKEN" $ANXIN_API/api/v1/device-status
  curl -N -H "authorization: Bearer $ANXIN_TOKEN" $ANXIN_API/api/v1/events

在本终端输入一个字并回车 type here and press Enter:
  p  按下一键报警 press the panic button
  f  火警 / 恢复 fire at the panel; again: over
  u  拔掉 / 插上摄像机 unplug the camera; again: plug in
"""


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="anxin-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)
