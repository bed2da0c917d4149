"""What discovery found, as a manifest to edit: devices named and numbered, known types recognised, everything else as comments.

Pure: text in, text out. What a device says of itself comes from the field, so it is cut and cleaned before it becomes a comment.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import yaml

from hub.driver import Found
from hub.profiles import Profile

CHOOSE = "choose-a-profile"
"""stands where no profile was recognised; no profile has this name, so that a plan refuses it until somebody chose"""
MAX_SAID = 160
"""characters of what a device says of itself"""
MAX_POINTS = 40
"""points shown of a device whose profile is not known"""
_HEADER = """\
# Found by `anxin discover {driver}`: {devices} behind {endpoints}.
# Edit before you apply. An institution's manifest is complete: what it does not
# name is retired. To add to an institution that the hub has, copy `endpoints`
# and `devices` into its own manifest.
"""
_WIDTH = 80
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
"""strings that need no quotes, but for `_NO_STRINGS`"""
_NO_STRINGS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class Suggestion(NamedTuple):
    """One device as it will stand in the manifest."""

    id: str
    endpoint: str
    profiles: tuple[str, ...]
    """the installed profiles that recognise it"""
    found: Found


def recognised(found: Found, profiles: Mapping[str, Profile], driver: str) -> tuple[str, ...]:
    """The profiles of this driver whose every mark matches, the most particular pattern first; none of the demo's variants of them."""
    fitting = [
        profile
        for profile in profiles.values()
        if profile.driver == driver
        and profile.recognised_by
        and not profile.profile.startswith("demo-")
        and all(fnmatchcase(found.marks.get(mark, ""), pattern) for mark, pattern in profile.recognised_by.items())
    ]
    particular = sorted(fitting, key=lambda profile: (-_letters(profile), profile.profile))
    return tuple(profile.profile for profile in particular)


def _letters(profile: Profile) -> int:
    return sum(len(pattern.strip("*")) for pattern in profile.recognised_by.values())


def suggest(
    driver: str, found: Iterable[Found], profiles: Mapping[str, Profile]
) -> tuple[dict[str, Mapping[str, Any]], list[Suggestion]]:
    """Endpoints by the id that they get, and the devices behind them; ids are unique and fit a manifest."""
    endpoints: dict[str, Mapping[str, Any]] = {}
    names: set[str] = set()
    suggestions = []
    for one in found:
        endpoint = next((name for name, settings in endpoints.items() if settings == one.endpoint), None)
        if endpoint is None:
            endpoint = _unique(driver if not endpoints else f"{driver}-{len(endpoints) + 1}", set(endpoints))
            endpoints[endpoint] = one.endpoint
        name = _unique(one.name or driver, names)
        names.add(name)
        suggestions.append(Suggestion(name, endpoint, recognised(one, profiles, driver), one))
    return endpoints, suggestions


def _unique(wanted: str, taken: set[str]) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:32].strip("-") or "device"
    number, name = 1, plain
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    return name


def manifest_text(
    driver: str,
    found: Sequence[Found],
    profiles: Mapping[str, Profile],
    secrets: Mapping[str, str],
    institution: str = "choose-an-institution",
    edge: str = "choose-an-edge",
) -> str:
    """YAML of one institution with what was found. `secrets` are endpoint settings and where an installer's shell has them."""
    endpoints, suggestions = suggest(driver, found, profiles)
    counts = {"devices": _count(len(suggestions), "device"), "endpoints": _count(len(endpoints), "endpoint")}
    lines = [
        _HEADER.format(driver=driver, **counts).rstrip(),
        "institutions:",
        f"  - id: {institution}",
        "    # division, type and title: as the register has them",
        f"    edges: [{{id: {edge}}}]",
        "    endpoints:" if endpoints else "    endpoints: []",
    ]
    for name, settings in endpoints.items():
        lines += [f"      - id: {name}", f"        driver: {driver}", f"        edge: {edge}"]
        lines += _settings({**settings, **secrets}, 8)
    lines.append("    devices:" if suggestions else "    devices: []")
    for suggestion in suggestions:
        lines += _device(suggestion)
    return "\n".join(lines) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _device(suggestion: Suggestion) -> list[str]:
    found, profiles = suggestion.found, suggestion.profiles
    lines = [f"      - id: {suggestion.id}"]
    if found.says:
        lines.append(f"        # says: {said(found.says)}")
    for mark, value in found.marks.items():
        lines.append(f"        # {said(mark)}: {said(value)}")
    if len(profiles) > 1:
        lines.append(f"        # also fits: {', '.join(profiles[1:])}")
    lines.append(f"        profile: {profiles[0] if profiles else CHOOSE}")
    lines.append(f"        endpoint: {suggestion.endpoint}")
    lines += _settings(found.device, 8)
    if not profiles:
        for point in found.points[:MAX_POINTS]:
            address = said(_flow(dict(point.address)))
            lines.append(f"        # {said(point.name)}: {address} gave {said(repr(point.raw))}")
        if len(found.points) > MAX_POINTS:
            lines.append(f"        # and {len(found.points) - MAX_POINTS} points more")
    return lines


def _settings(settings: Mapping[str, Any], indent: int) -> list[str]:
    """One line where it fits a terminal, else a line for each setting."""
    if not settings:
        return []
    blanks = " " * indent
    line = f"{blanks}settings: {_flow(dict(settings))}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{blanks}settings:", *(f"{blanks}  {_flow(str(key))}: {_flow(value)}" for key, value in settings.items())]


def _flow(value: Any) -> str:
    """One line of YAML. Strings are in quotes unless every reader takes them for one: `0000942e1678` is a number to some."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(str(key))}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _NO_STRINGS
        style = None if plain else "'" if value.isprintable() and value.isascii() else '"'
    else:
        style = None
    text: str = yaml.safe_dump(value, default_style=style, allow_unicode=False, width=2**20)
    return text.removesuffix("\n").removesuffix("\n...")


def said(text: str) -> str:
    """One printable line of at most `MAX_SAID` characters: nothing from the field reaches a terminal or the YAML as it came."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_SAID else plain[: MAX_SAID - 1] + "…"


__all__ = ["CHOOSE", "Suggestion", "manifest_text", "recognised", "said", "suggest"]
