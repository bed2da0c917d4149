"""A query as Grafana sends it: variables put in, then the macros of its PostgreSQL data source (with `timescaledb: true`).

After the cases of grafana/grafana, pkg/tsdb/grafana-postgresql-datasource/macros_test.go. Only the macros that the boards use.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_MACRO = re.compile(r"\$__(\w+)\(([^)]*)\)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """`5m` → 300.0."""
    return float(text[:-1]) * _UNITS[text[-1]]


def relative(text: str, now: datetime) -> datetime:
    """`now-24h` → a time."""
    return now - timedelta(seconds=seconds(text.removeprefix("now-")))


def _quoted(at: datetime) -> str:
    return f"'{at.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%f')}Z'"


def expand(sql: str, since: datetime, until: datetime, variables: Mapping[str, str]) -> str:
    """The SQL that reaches the database; KeyError for an unknown variable, ValueError for an unknown macro."""
    text = re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]].replace("'", "''"), sql)

    def macro(found: re.Match[str]) -> str:
        name, arguments = found[1], [one.strip() for one in found[2].split(",")]
        if name == "timeFilter":
            return f"{arguments[0]} BETWEEN {_quoted(since)} AND {_quoted(until)}"
        if name in ("timeGroup", "timeGroupAlias"):
            bucket = f"time_bucket('{seconds(arguments[1].strip(chr(39))):.3f}s',{arguments[0]})"
            return bucket + (' AS "time"' if name == "timeGroupAlias" else "")
        if name == "timeFrom":
            return _quoted(since)
        if name == "timeTo":
            return _quoted(until)
        raise ValueError(f"unknown macro {name}")

    text = _MACRO.sub(macro, text)
    if "$" in text:
        raise ValueError(f"something was not expanded: {text}")
    return text


def sent(board: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Every query of a board: where it stands, its shape (`table`, `time_series` or `choice`), and its SQL."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", "choice", variable["query"]
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield f"panel {panel['id']} {panel['title']} {target['refId']}", target["format"], target["rawSql"]


RANGES = ("now-1h", "now-30d", "now-180d")
SELECTIONS: tuple[Mapping[str, str], ...] = (
    {},
    {"institution": "none", "zone": "none", "device": "none", "division": "99", "basis": "target", "rule": "none"},
    {"as_of": "2026-03-01", "known_at": "2026-04-01 08:00"},
)
_FIRST: Mapping[str, str] = {
    "division": "all",
    "institution": "all",
    "rule": "all",
    "basis": "obligation",
    "group": "all",
}


def trials(boards: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Every query of every board, for several ranges and selections: where it stands, and the SQL that reaches the database.

    Boards in English differ in words only: one range and selection is enough for them.
    """
    now, tried = datetime.now(UTC), list(zip(RANGES, SELECTIONS, strict=True))
    for board in boards:
        for where, _, sql in sent(board):
            for since, chosen in tried[:1] if board["uid"].endswith("-en") else tried:
                names = {variable["name"]: "" for variable in board["templating"]["list"]}
                text = expand(sql, relative(since, now), now, {**names, **_FIRST, **chosen})
                yield f"{board['uid']}, {where}, {since}", text
