"""`anxin discover DRIVER KEY=VALUE …`: look for devices where the settings say, and print a manifest to edit.

Exit codes: 0 the search ended, 1 it broke off (what was found until then is printed all the same), 2 the settings are not usable.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from hub.config import data_folder
from hub.driver import Discoverer, Driver, Found
from hub.errors import AnxinError, BadInput

MAX_FOUND = 2_000
"""devices after which the search ends: nobody edits a longer manifest"""
_VARIABLE = re.compile(r"^\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}$")


def discover(
    driver: Annotated[str, typer.Argument(help="mqtt, modbus, snmp, serial, onvif … or one that is installed")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            help="where to look and how fast, KEY=VALUE each; a secret as KEY='${env:NAME}'; none: what there is"
        ),
    ] = None,
    institution: Annotated[str, typer.Option("--institution", help="its id in the manifest")] = "choose-an-institution",
    edge: Annotated[str, typer.Option("--edge", help="the edge that will run the driver")] = "choose-an-edge",
    output: Annotated[Path | None, typer.Option("--output", help="write here instead of the terminal")] = None,
) -> None:
    """发现设备 Look for devices, in the ranges given alone, and print one manifest to edit. Ctrl-C ends it and prints what was found."""
    from hub.core.discovery import manifest_text, said
    from hub.profiles import load_profiles
    from hub.runtime.drivers import find_driver

    try:
        found_by = find_driver(driver, "")
        search = _search(found_by, settings or [], os.environ)
        profiles = load_profiles([data_folder("device-profiles")])
    except BadInput as error:
        print(f"anxin discover: {error}", file=sys.stderr)
        raise typer.Exit(2) from None

    found: list[Found] = []

    def note(one: Found) -> None:
        found.append(one)
        print(f"found: {said(one.name)}  {said(one.says)}".rstrip(), file=sys.stderr)

    ended = asyncio.run(_look(found_by, search, note))
    text = manifest_text(driver, found, profiles, _secrets(found_by, search, settings or []), institution, edge)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
    if isinstance(ended, BadInput):
        print(f"anxin discover: {ended}", file=sys.stderr)
        raise typer.Exit(2)
    if ended is not None:
        print(f"anxin discover: {ended}", file=sys.stderr)
        raise typer.Exit(1)
    if not found:
        print("anxin discover: nothing answered there", file=sys.stderr)


async def _look(driver: Driver, search: Any, note: Any) -> AnxinError | None:
    """Until the search ends, breaks off, or somebody presses Ctrl-C; returns what broke it off."""
    assert isinstance(driver, Discoverer)
    seen = driver.discover(search)
    looking = asyncio.ensure_future(_each(seen, note))
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, looking.cancel)
    try:
        await looking
    except asyncio.CancelledError:
        return None
    except AnxinError as error:
        return error
    return None


async def _each(seen: Any, note: Any) -> None:
    count = 0
    try:
        async for one in seen:
            note(one)
            count += 1
            if count >= MAX_FOUND:
                raise AnxinError(f"more than {MAX_FOUND} devices: choose a smaller range")
    finally:
        if isinstance(seen, AsyncGenerator):
            await seen.aclose()


def _search(driver: Driver, settings: Iterable[str], environment: Mapping[str, str]) -> BaseModel:
    """The driver's own search settings; raises BadInput that names the key and never a value."""
    if not isinstance(driver, Discoverer):
        raise BadInput(f"the driver {driver.name!r} cannot look for devices", code="settings")
    given: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInput("a setting is written KEY=VALUE", code="settings")
        _put(given, key.split("."), _value(key, value, environment))
    try:
        return driver.Search.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in one['loc']) or 'settings'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        )
        there = "\n".join(_described(driver.Search))
        raise BadInput(f"{wrong}\nsettings of discover {driver.name}:\n{there}", code="settings") from None


def _put(given: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        below = given.setdefault(part, {})
        if not isinstance(below, dict):
            raise BadInput(f"{part}: stands here twice", code="settings")
        given = below
    if path[-1] in given:
        raise BadInput(f"{path[-1]}: stands here twice", code="settings")
    given[path[-1]] = value


def _value(key: str, text: str, environment: Mapping[str, str]) -> Any:
    """The text as it is (the driver's model reads numbers in it), a list or mapping in YAML's short form, or a variable's value."""
    variable = _VARIABLE.match(text)
    if variable is not None:
        if variable[1] not in environment:
            raise BadInput(f"{key}: the environment has no {variable[1]}", code="settings")
        return environment[variable[1]]
    if not text.startswith(("[", "{")):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise BadInput(f"{key}: not a list or mapping in YAML", code="settings") from None


def _described(model: type[BaseModel]) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        need = "required" if field.is_required() else f"default {_shown(field.default)}"
        lines.append(f"  {name}  ({need})" + (f"  {field.description}" if field.description else ""))
    return lines


def _shown(default: object) -> str:
    return "none" if default is None else "hidden" if isinstance(default, SecretStr) else str(default)


def _secrets(driver: Driver, search: BaseModel, settings: Iterable[str]) -> dict[str, str]:
    """The endpoint's secrets that the search was given, as the variables that they came from or that an installer sets: never their values."""
    said = {key: value for key, _, value in (text.partition("=") for text in settings) if _VARIABLE.match(value)}
    return {
        name: said.get(name, f"${{env:ANXIN_{driver.name.upper()}_{name.upper()}}}")
        for name in driver.Endpoint.model_fields
        if isinstance(getattr(search, name, None), SecretStr)
    }
