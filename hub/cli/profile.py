"""`anxin profile check FILE …` and `anxin profile record PROFILE …`.

Exit codes: 0 all hold, or recorded; 1 a profile does not hold, or the device could not be read; 2 a file or setting is not usable.
"""

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from hub.config import data_folder
from hub.errors import BadInput, DriverError

if TYPE_CHECKING:
    from hub.runtime.recording import Recorded

app = typer.Typer(help="设备模型 Device profiles.", no_args_is_help=True)
_VARIABLE = re.compile(r"^\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}$")


@app.callback()
def profile() -> None:
    """Device profiles: the types of devices, as data."""


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="profiles, or folders of them")],
) -> None:
    """检查模型 Is a profile complete, understood by its driver, and does it promise what its alarms need? Every line names file and key."""
    from hub.profiles import load_profiles
    from hub.runtime.profile_check import flags_of, problems

    try:
        shipped = load_profiles([data_folder("device-profiles")])
        paths = [path for given in files for path in _profiles_in(given)]
        if not paths:
            raise BadInput("no *.yaml file lies there: nothing was checked", str(files[0]), code="profile")
        wrong = [f"{path}: {problem}" for path in paths for problem in problems(path, shipped)]
        flagged = [f"{path}: flag: {flag}" for path in paths for flag in flags_of(path, shipped)]
    except (BadInput, OSError) as error:
        print(f"anxin profile: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    for line in wrong:
        print(line, file=sys.stderr)
    for line in flagged:
        print(line, file=sys.stderr)
    print(f"{len(paths)} profiles, {len(wrong)} wrong" + (f", {len(flagged)} flagged" if flagged else ""))
    if wrong:
        raise typer.Exit(1)


def _profiles_in(given: Path) -> list[Path]:
    if given.is_dir():
        return sorted(given.rglob("*.yaml"))
    if not given.is_file():
        raise BadInput("there is no such file", str(given), code="profile")
    return [given]


@app.command("record")
def record(
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="the profile's id, or its file")],
    endpoint: Annotated[
        list[str], typer.Option("--endpoint", help="KEY=VALUE of the endpoint; a secret as KEY='${env:NAME}'")
    ],
    output: Annotated[Path, typer.Option("--output", help="the case's folder; must not be there yet")],
    device: Annotated[list[str] | None, typer.Option("--device", help="KEY=VALUE of the device")] = None,
    source: Annotated[str, typer.Option("--source", help="the device: make, model, how it stood")] = "",
    firmware: Annotated[str, typer.Option("--firmware", help="its firmware, where it is known")] = "",
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=86_400, help="how long to listen")] = 30.0,
    redact: Annotated[list[str] | None, typer.Option("--redact", help="a text that must not stand in the case")] = None,
) -> None:
    """录制真机 Read a real device through its driver and write what it said as a case, redacted; a person reviews it."""
    from hub.profiles import load_profiles
    from hub.runtime.recording import record as recorded
    from hub.simulation import Place

    try:
        path = Path(name)
        shipped = load_profiles([data_folder("device-profiles")])
        known = load_profiles([data_folder("device-profiles"), path.parent]) if path.suffix == ".yaml" else shipped
        wanted = yaml.safe_load(path.read_text("utf-8"))["profile"] if path.suffix == ".yaml" else name
        if wanted not in known:
            raise BadInput(f"there is no profile {wanted!r}", code="profile")
        if output.exists():
            raise BadInput("is there already: a case is not written over", str(output), code="case")
        reach, told = _settings(endpoint, os.environ), _settings(device or [], os.environ)
        with tempfile.TemporaryDirectory(prefix="anxin-record-") as folder:
            place = Place(Path(folder))
            found = asyncio.run(recorded(known[wanted], reach, told, seconds, place, "--endpoint", redact or ()))
        _write(output, found, source or f"{known[wanted].vendor} {known[wanted].model}, recorded by anxin", firmware)
    except UnicodeDecodeError:
        print(f"anxin profile: {name}: not UTF-8: 请另存为 UTF-8 save the file as UTF-8", file=sys.stderr)
        raise typer.Exit(2) from None
    except (BadInput, OSError, yaml.YAMLError, TypeError, KeyError, RecursionError) as error:
        print(f"anxin profile: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except DriverError as error:
        print(f"anxin profile: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _settings(words: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise BadInput("a setting is written KEY=VALUE", "--endpoint, --device", code="settings")
        variable = _VARIABLE.match(value)
        if variable is not None and variable[1] not in environment:
            raise BadInput(f"the environment has no {variable[1]}", key, code="settings")
        found[key] = environment[variable[1]] if variable is not None else value
        if variable is None and value.startswith(("[", "{")):
            found[key] = yaml.safe_load(value)
    return found


def _write(output: Path, found: "Recorded", source: str, firmware: str) -> None:
    about = {**found.about, "source": source, **({"firmware": firmware} if firmware else {})}
    text = yaml.safe_dump(about, allow_unicode=True, sort_keys=False, default_flow_style=None, width=140)
    files = {"case.yaml": text.encode(), **found.files}
    leaks = found.secrets.leaks(files)
    if leaks:
        reason = "still holds a secret or a text to redact, in a form that cannot be replaced: nothing was written"
        raise BadInput(reason, ", ".join(leaks), code="secret")
    part = output.with_name(f".{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, octets in files.items():
        (part / name).write_bytes(octets)
    part.rename(output)
    readings, alarms = about["expect"]["readings"], about["expect"]["alarms"]
    print(f"{output}: {len(readings)} readings, {len(alarms)} alarms, {len(about['expect']['rejects'])} rejects")
    for kind, count in found.replaced.items():
        print(f"  redacted: {count} of kind {kind}")
    for line in _review(readings):
        print(f"  look at:  {line}")
    print("Review every file before you share it: what it is to say is for a person to know.")


def _review(readings: Sequence[Mapping[str, Any]]) -> list[str]:
    odd = [one for one in readings if "error" in one or "quality" in one]
    return [f"{one['point']}: {one.get('error') or one['quality']}"[:66] for one in odd]
