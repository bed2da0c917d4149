"""The boards' queries, sent as a role."""

from datetime import UTC, datetime
from typing import Any

import psycopg

from dashboards.boards import boards
from dashboards.queries import expand, relative

MADE: dict[str, dict[str, Any]] = {one["uid"]: one for one in boards()}
CHINESE = [uid for uid in MADE if not uid.endswith("-en")]
MINE, OTHER = "140403", "140404"
CHOSEN = {
    "division": "all", "institution": f"sun-{MINE}", "device": f"d-0-{MINE}", "zone": "nap", "basis": "obligation", "rule": "all", "group": "all", "as_of": "", "known_at": "",
}  # fmt: skip
LOOKS: tuple[tuple[str, dict[str, str]], ...] = (
    ("now-30d", {}),
    ("now-1h", {"division": MINE, "institution": "all", "basis": "target"}),
    ("now-90d", {"division": "1404", "as_of": "2026-03-01", "known_at": "2026-04-01 08:00", "rule": "rule-turned"}),
    ("now-24h", {"division": "it's none", "institution": "none", "device": "none", "zone": "none"}),
)
"""Ranges and choices under which every query runs."""


class Asked:
    """Queries as one role, over one connection."""

    def __init__(self, conn: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._conn = conn

    def rows(self, sql: str, since: str = "now-30d", **chosen: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        now = datetime.now(UTC)
        cursor = self._conn.execute(expand(sql, relative(since, now), now, {**CHOSEN, **chosen}).encode())
        assert cursor.description is not None
        return [one.name for one in cursor.description], cursor.fetchall()

    def records(self, sql: str, since: str = "now-30d", **chosen: str) -> list[dict[str, Any]]:
        names, rows = self.rows(sql, since, **chosen)
        return [dict(zip(names, row, strict=True)) for row in rows]


def sql_of(uid: str, title: str) -> str:
    (found,) = [panel for panel in MADE[uid]["panels"] if panel["title"].startswith(title)]
    return str(found["targets"][0]["rawSql"])


def value_of(asked: Asked, uid: str, title: str, **chosen: str) -> Any:
    (row,) = asked.records(sql_of(uid, title), **chosen)
    return row["value"]
