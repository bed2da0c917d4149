"""The audit log: who did what to which thing. Rows are only ever added (a trigger refuses the rest).

Payloads name things by identifier; they never hold a secret or data about a child.
"""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import all_rows

_SQL = queries("audit")


class Entry(NamedTuple):
    """One line of the log."""

    at: datetime
    actor: str
    action: str
    target: str
    detail: dict[str, Any]


async def record(conn: Connection, actor: str, action: str, target: str, detail: dict[str, Any]) -> None:
    """Add a line inside the caller's transaction, so that a change and its line stand or fall together.

    `action` is `noun.verb` (`alarm.acknowledge`), `target` is `noun:identifier` (`device:smoke-1`).
    """
    await conn.execute(_SQL["record"], {"actor": actor, "action": action, "target": target, "detail": Jsonb(detail)})


async def entries(
    conn: Connection,
    *,
    limit: int,
    target: str | None = None,
    actor: str | None = None,
    before: int | None = None,
) -> list[tuple[int, Entry]]:
    """The newest lines first with their numbers; `before` goes on below a number."""
    found = await all_rows(conn, _SQL["entries"], {"limit": limit, "target": target, "actor": actor, "before": before})
    return [(row.pop("key"), Entry(**row)) for row in found]
