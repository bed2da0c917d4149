"""Several statements in one round trip, each with its answer.

On a machine that is busy a round trip costs two waits for the processor, whatever is asked. What is executed is the same: one statement after
the other, each seeing what those before it did, and none after one that failed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import AsyncCursor, sql
from psycopg.rows import TupleRow


class Asked(NamedTuple):
    """A statement with its values."""

    query: sql.SQL
    given: Mapping[str, Any] | Sequence[Any]


class Answer(NamedTuple):
    """The rows that a statement gave back, and how many it concerned."""

    rows: list[TupleRow]
    touched: int

    @property
    def row(self) -> TupleRow | None:
        """The first one."""
        return self.rows[0] if self.rows else None


async def together(cur: AsyncCursor[TupleRow], *asked: Asked) -> list[Answer]:
    """The answers, in order, on the cursor's connection and in its transaction; raises what the first statement that failed raised."""
    if len(asked) < 2:
        for query, given in asked:
            await cur.execute(query, given)
        return [await _answer(cur) for _ in asked]
    conn = cur.connection
    cursors = [conn.cursor() for _ in asked]
    async with conn.pipeline():
        for one, (query, given) in zip(cursors, asked, strict=True):
            await one.execute(query, given)
    return [await _answer(one) for one in cursors]


async def _answer(cur: AsyncCursor[TupleRow]) -> Answer:
    return Answer([] if cur.description is None else await cur.fetchall(), cur.rowcount)
