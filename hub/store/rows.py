"""Reads as plain rows: column name to value, as the statement names them."""

from collections.abc import Mapping
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from hub.store.pool import Connection

Row = dict[str, Any]


async def all_rows(conn: Connection, statement: sql.SQL, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """Every row of the answer. Planned anew each time: scope and filters decide the plan, a generic one is up to 50 times slower."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters, prepare=False)
        return await cursor.fetchall()


async def one_row(conn: Connection, statement: sql.SQL, parameters: Mapping[str, Any] | None = None) -> Row | None:
    """The first row of the answer, or None."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()
