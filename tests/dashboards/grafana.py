"""A query as Grafana sends it: variables put in, then the macros of its PostgreSQL data source (with `timescaledb: true`).

After the cases of grafana/grafana, pkg/tsdb/grafana-postgresql-datasource/macros_test.go. Only the macros that the boards use.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

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
