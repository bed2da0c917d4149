"""Readings into the hypertable: binary COPY, and the slower way for a batch that met an occupied instant."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from psycopg import AsyncCursor, errors
from psycopg.rows import TupleRow

from hub.model import Reading, Series, to_datetime
from hub.store.queries import queries

_SQL = queries("lanes")
Cursor = AsyncCursor[TupleRow]
SeriesKeys = dict[Series, int]

_ROUNDS = 1000
_COLUMNS = ("int4", "timestamptz", "timestamptz", "float8", "int2", "timestamptz")


async def copy(cur: Cursor, readings: list[Reading], series: SeriesKeys) -> list[int]:
    """The numbers of readings that were duplicates: none, this way.

    Binary COPY: twice as fast as ON CONFLICT, and aborts on a duplicate, which is rare. Only integers of our own making go through it."""
    async with cur.copy(_SQL["copy_readings"]) as copy:
        copy.set_types(_COLUMNS)
        for reading in readings:
            moments = to_datetime(reading.at), to_datetime(reading.received_at)
            told = (reading.value, int(reading.quality), _own(reading))
            await copy.write_row((series[reading.series], *moments, *told))
    return []


async def stage(cur: Cursor, readings: list[Reading], series: SeriesKeys) -> list[int]:
    """The way of a batch that met an occupied (series, at): the same value is a duplicate, another one is stored a microsecond later.

    Returns the numbers of the duplicates in `readings`.
    """
    duplicates: list[int] = []
    await cur.execute(_SQL["stage"])
    async with cur.copy(_SQL["copy_stage"]) as copy:
        copy.set_types(("int4", *_COLUMNS))
        for n, reading in enumerate(readings):
            moments = to_datetime(reading.at), to_datetime(reading.received_at)
            told = (reading.value, int(reading.quality), _own(reading))
            await copy.write_row((n, series[reading.series], *moments, *told))
    for turn in range(_ROUNDS):  # a bound, not a wait: every round stores something or moves it on
        await cur.execute(_SQL["drop_same"])
        duplicates += [n for (n,) in await cur.fetchall()]
        await cur.execute(_SQL["store_staged"])
        duplicates += _doubled(await cur.fetchall())
        await cur.execute(_SQL["put_off" if turn < 2 else "jump"])
        if cur.rowcount == 0:
            return duplicates
    raise errors.DataException("too many values at one instant of a series")


def _own(reading: Reading) -> datetime | None:
    return None if reading.edge_at is None else to_datetime(reading.edge_at)


def _doubled(gone: Iterable[tuple[Any, ...]]) -> list[int]:
    """Of rows that left together, by (series, at): the first was stored, the others said the same."""
    first: set[tuple[Any, Any]] = set()
    doubled = []
    for n, series, at in sorted(gone):
        if (series, at) in first:
            doubled.append(n)
        first.add((series, at))
    return doubled
