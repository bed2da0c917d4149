"""What people read: tables and plans that fit 80 columns, with Chinese text counted as wide as it is. Programs take `--json` instead."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLUMNS = 80
BEIJING = timezone(timedelta(hours=8))
_SIGNS = {"create": ("+", "green"), "change": ("~", "yellow"), "retire": ("-", "red")}
_KINDS = {
    "division": ("行政区划", "divisions"),
    "register_entry": ("名册", "register"),
    "institution": ("机构", "institution"),
    "group": ("机构组", "groups"),
    "zone": ("区域", "zones"),
    "position": ("安装位", "positions"),
    "edge": ("网关", "edges"),
    "endpoint": ("端点", "endpoints"),
    "device": ("设备", "devices"),
    "responder": ("响应人", "responders"),
    "rota": ("值班表", "rotas"),
    "policy": ("升级策略", "policies"),
}
_COLOURS = {
    **dict.fromkeys(("online", "ok", "current", "in_service", "passed", "compliant"), "green"),
    **dict.fromkeys(("offline", "failed", "refused", "not_made", "non_compliant", "expired", "critical"), "red"),
    **dict.fromkeys(("unknown", "degraded", "pending", "unproven", "registered", "out_of_service", "high"), "yellow"),
}


def console() -> Console:
    """Standard output: the terminal's width, 80 columns where there is no terminal."""
    return Console(width=None if sys.stdout.isatty() else COLUMNS, highlight=False, markup=False, emoji=False)


def as_json(document: Any) -> None:
    """A document for programs."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def complain(lines: Iterable[str]) -> None:
    """Errors and warnings go to standard error, one a line, never wrapped: editors find file and line."""
    for line in lines:
        print(line, file=sys.stderr)


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, coloured: Sequence[int] = (), whole: Sequence[int] = (0,)
) -> None:
    """A table; the columns `coloured` hold state words, those `whole` are never folded: they are copied from here."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    for n, heading in enumerate(headings):
        grid.add_column(heading, overflow="fold", no_wrap=n in whole)
    for row in rows:
        cells = [
            Text(cell, _COLOURS.get(cell.split()[0] if cell else "", "") if n in coloured else "")
            for n, cell in enumerate(row)
        ]
        grid.add_row(*cells)
    console().print(grid)


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name), Text(value))
    console().print(grid)


def moment(text: str | None) -> str:
    """A time of the API in China, to the second, as console, messages and boards say it, wherever the terminal stands; a dash where there is none."""
    if text is None:
        return "-"
    return datetime.fromisoformat(text).astimezone(BEIJING).strftime("%m-%d %H:%M:%S")


def ago(text: str | None) -> str:
    """How long ago a time of the API was."""
    if text is None:
        return "-"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def value(given: Any) -> str:
    """A field's value in one line."""
    if given is None:
        return "-"
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def plan(changes: Sequence[Mapping[str, Any]]) -> None:
    """What a plan changes: things that are made or go, counted and named by institution; each change with its fields."""
    out = console()
    counts = {action: sum(1 for change in changes if change["action"] == action) for action in _SIGNS}
    out.print(
        Text(
            f"计划 Plan: {counts['create']} 新建 create, {counts['change']} 更改 change, {counts['retire']} 停用 retire"
        )
    )
    places: dict[str, list[Mapping[str, Any]]] = {}
    for change in changes:
        inside = change["id"] if change["kind"] == "institution" else change["institution"]
        places.setdefault(inside or "", []).append(change)
    for place in sorted(places):
        out.print()
        out.print(Text(place or "全平台 whole hub", "bold"))
        out.print(_grid(places[place]))


def _grid(changes: Sequence[Mapping[str, Any]]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column()
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for action in ("retire", "create"):
        for kind, (zh, en) in _KINDS.items():
            names = [change["id"] for change in changes if (change["action"], change["kind"]) == (action, kind)]
            if names:
                sign, colour = _SIGNS[action]
                grid.add_row(Text(sign, colour), Text(zh), Text(en), Text(f"({len(names)}) {', '.join(names)}", colour))
    for change in changes:
        if change["action"] == "change":
            sign, colour = _SIGNS["change"]
            zh, en = _KINDS[change["kind"]]
            grid.add_row(Text(sign, colour), Text(zh), Text(en), Text(change["id"], colour))
            for field in change["fields"]:
                for name, before, after in differing(field["name"], field["before"], field["after"]):
                    grid.add_row("", "", "", Text(f"  {name}: {value(before)} → {value(after)}"))
    return grid


def differing(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ: in mappings only the keys that do, by their dotted names."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            if before.get(key) != after.get(key):
                yield from differing(f"{name}.{key}", before.get(key), after.get(key))
    else:
        yield name, before, after
