"""Named SQL: `queries("alarms")["active"]` is the statement under `-- name: active` in sql/alarms.sql."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

from psycopg import sql

_NAME = re.compile(r"^-- name: ([a-z_0-9]+)\s*$", re.MULTILINE)


@cache
def queries(noun: str) -> dict[str, sql.SQL]:
    """All statements of sql/<noun>.sql by name; raises FileNotFoundError for an unknown noun."""
    text = files("hub.store").joinpath("sql", f"{noun}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: sql.SQL(cast(LiteralString, body.strip())) for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
