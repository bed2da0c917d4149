"""Reads as plain rows: column name to value, as the statement names them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import structlog
from psycopg import sql
from psycopg.rows import dict_row

from hub.errors import ODD
from hub.store.pool import Connection

Row = dict[str, Any]
R = TypeVar("R")
T = TypeVar("T")
_MOST_SAID = 1000
_said: set[tuple[str, str]] = set()
"""what was left out already and was said: it is read again every second"""
_log = structlog.get_logger(__name__)


def readable(what: str, rows: Iterable[R], make: Callable[[R], T], name: Callable[[R], object]) -> Iterator[T]:
    """What `make` makes of each row. One that it does not understand (another release wrote it) is said by its `name`, once, and left out: it must not
    cost all others their pages.
    """
    for row in rows:
        try:
            yield make(row)
        except ODD as error:
            place = what, str(name(row))[:100]
            say = _log.debug if place in _said else _log.error
            if len(_said) < _MOST_SAID:
                _said.add(place)
            say("row_unreadable", what=what, row=place[1], reason=f"{type(error).__name__}: {error}"[:200])


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
