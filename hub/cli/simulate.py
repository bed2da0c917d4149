"""`anxin simulate PROFILE …`: play installed profiles as real endpoints of their protocols, at any number of sites, with faults on demand.

Exit codes: 0 after SIGTERM or Ctrl-C, 2 when a profile, a setting or a place is not usable.
"""

import asyncio
import contextlib
import os
import secrets
import shlex
import signal
import stat
import sys
import tempfile
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from hub.config import data_folder
from hub.errors import AnxinError, BadInput

if TYPE_CHECKING:
    from hub.profiles import Profile
    from hub.runtime.simulation import Simulated, Wish
    from hub.simulation import Place

MAX_SITES = 1_000


def simulate(
    profiles: Annotated[list[str], typer.Argument(help="profiles, each is one device a site; see SUPPORTED.md")],
    sites: Annotated[int, typer.Option("--sites", min=1, max=MAX_SITES, help="institutions that have them all")] = 1,
    faults: Annotated[
        str, typer.Option("--faults", help="for example silence:0.01,half_frame:0.005; the chance of each")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="the same seed, the same values and faults")] = 0,
    every: Annotated[
        float | None,
        typer.Option("--every", min=0.05, help="seconds between two values; the profile's beat, at most 10"),
    ] = None,
    alarms_per_hour: Annotated[
        float, typer.Option("--alarms-per-hour", min=0, help="alarms and presses of each device")
    ] = 0.0,
    alarm_lasts: Annotated[
        float, typer.Option("--alarm-lasts", min=0.1, help="seconds that such an alarm stands")
    ] = 20.0,
    over: Annotated[str, typer.Option("--over", help="tcp, rtu_over_tcp or pty, for what may stand on a line")] = "tcp",
    listen: Annotated[str, typer.Option("--listen", help="the address to listen on")] = "127.0.0.1",
    broker: Annotated[
        str | None,
        typer.Option("--broker", envvar="ANXIN_SIMULATE_BROKER", help="mqtt://user:password@host:port of the devices"),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="write a manifest that fits, and its secrets beside it")
    ] = None,
    webhook: Annotated[
        str,
        typer.Option("--webhook", help="where the manifest's policy tells of fires and presses; nobody if not given"),
    ] = "http://127.0.0.1:9/",
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="note what is said before it is said, synced, a JSON line each")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="where pseudo terminals get their names")] = None,
    profile_folders: Annotated[
        list[Path] | None, typer.Option("--profiles", help="folders of profiles; the shipped ones if none")
    ] = None,
) -> None:
    """模拟 Play profiles as real endpoints until SIGTERM or Ctrl-C. Standard input takes: raise DEVICE ALARM, clear DEVICE ALARM, list."""
    from hub.profiles import load_profiles
    from hub.runtime.simulation import Wish, parse_faults
    from hub.simulation import Place

    try:
        known = load_profiles(profile_folders or [data_folder("device-profiles")])
        chosen = [_profile(name, known) for name in dict.fromkeys(profiles)]
        if over not in ("tcp", "rtu_over_tcp", "pty"):
            raise BadInput(f"{over!r} is none of tcp, rtu_over_tcp, pty", "--over", code="settings")
        wish = Wish(sites, seed, parse_faults(faults), every, alarms_per_hour, alarm_lasts, listen, over)
        with contextlib.ExitStack() as stack:
            place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anxin-simulate-")))
            place.mkdir(parents=True, exist_ok=True)
            asyncio.run(_main(chosen, wish, Place(place.absolute(), broker), manifest, webhook, ledger))
    except (AnxinError, OSError) as error:
        print(f"anxin simulate: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def _profile(name: str, known: "dict[str, Profile]") -> "Profile":
    if name not in known:
        raise BadInput(f"there is no profile {name!r}; device-profiles/SUPPORTED.md lists them", code="profile")
    return known[name]


async def _main(
    profiles: "Sequence[Profile]",
    wish: "Wish",
    place: "Place",
    manifest: Path | None,
    webhook: str,
    ledger_path: Path | None,
) -> None:
    from hub.runtime.simulation import Ledger, simulated

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with contextlib.closing(Ledger(ledger_path)) as ledger:
        async with simulated(profiles, wish, place, ledger, _announce) as devices:
            if manifest is not None:
                _write_manifest(manifest, devices, webhook)
            print(f"{len(devices)} devices are there", flush=True)
            await _until(stop, devices)
            for device in devices:
                if device.playing.spoilt or device.said:
                    print(_told(device))


async def _until(stop: asyncio.Event, devices: "Sequence[Simulated]") -> None:
    """Devices live until it is over; the first that fails ends them all."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(device.live(), name=f"plays {device.name}") for device in devices]
            tasks.append(group.create_task(_listen(devices), name="simulate listens"))
            await stop.wait()
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failed:
        told = failed.split((AnxinError, OSError))[0]
        first: BaseException = told or failed
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _announce(device: "Simulated") -> None:
    where = device.playing.endpoint
    place = where.get("port") or where.get("device")
    told = f"{where['host']}:{place}" if "host" in where else str(place)
    at = " ".join(f"{key}={value}" for key, value in device.playing.device.items())
    print(f"{device.name}\n  {device.profile.driver} {told} {at}".rstrip(), flush=True)
    if device.playing.cannot:
        print(f"  not varied: {', '.join(sorted(device.playing.cannot))}", flush=True)


def _told(device: "Simulated") -> str:
    faults = ", ".join(f"{name} {count}" for name, count in sorted(device.playing.spoilt.items()))
    alarms = ", ".join(f"{name} {count}" for name, count in sorted(device.said.items()))
    return f"{device.name}\n  faults: {faults or 'none'}; alarms: {alarms or 'none'}"


def _write_manifest(path: Path, devices: "Sequence[Simulated]", webhook: str) -> None:
    import yaml

    from hub.core.site_manifest import Sited, manifest_of

    sited = [
        Sited(
            one.name,
            one.site,
            one.profile,
            one.playing.endpoint,
            frozenset(
                name
                for name, info in one.driver.Endpoint.model_fields.items()
                if SecretStr.__name__ in str(info.annotation)
            )
            & one.playing.endpoint.keys(),
            one.playing.device,
        )
        for one in devices
    ]
    secret = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    document, variables = manifest_of(sited, webhook, secret)
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=100), "utf-8")
    print(f"manifest: {path}", flush=True)
    if variables:
        beside = path.with_name(f"{path.stem}.env")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        print(f"its secrets: . {beside}", flush=True)


async def _listen(devices: "Sequence[Simulated]") -> None:
    """Commands from a terminal or a pipe; nothing to do where there is none."""
    by_name = {device.name: device for device in devices}
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return
    if not (sys.stdin.isatty() or stat.S_ISFIFO(kind)):
        return
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        words = line.decode("utf-8", "replace").split()
        try:
            if words == ["list"]:
                for device in devices:
                    print(f"{device.name}: {', '.join(device.playable)}", flush=True)
            elif len(words) == 3 and words[0] in ("raise", "clear"):
                if words[1] not in by_name:
                    raise BadInput("no such device is played; list names them", words[1])
                device = by_name[words[1]]
                await (device.raise_alarm(words[2]) if words[0] == "raise" else device.clear_alarm(words[2]))
                print(f"ok: {' '.join(words)}", flush=True)
            elif words:
                print("raise DEVICE ALARM · clear DEVICE ALARM · list", flush=True)
        except BadInput as error:
            print(str(error), flush=True)
