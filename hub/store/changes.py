"""The change feed: table `change` in commit order, for whoever follows it.

A row is shown only once its transaction is older than every running one; ordered by (txid, seq) nothing is overtaken and nothing
is seen twice. NOTIFY makes it quick, polling makes it sure.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

from hub.model import Micros, to_micros
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_SQL = queries("changes")
_CHANNEL = "anxin_change"


class Cursor(NamedTuple):
    """A place in the feed."""

    txid: int
    seq: int


class Change(NamedTuple):
    """One change, with what is needed to tell who may see it. Without an institution it concerns the whole hub."""

    cursor: Cursor
    at: datetime
    kind: str
    """one of hub.runtime.fanout.KINDS"""
    institution: str | None
    division: str | None
    groups: tuple[str, ...]
    payload: dict[str, Any]


class Stirred(NamedTuple):
    """What changed of an institution: since when, and what it may mean. Without an institution it concerns the whole hub."""

    institution: str | None
    since: Micros
    takes: bool
    """it may take a green away; what only says that a device is heard and well may not"""
    registered: bool
    """what is registered changed: there may be others to judge now"""


class Page(NamedTuple):
    """What a look into the feed found, and how far it reached."""

    stirred: tuple[Stirred, ...]
    cursor: Cursor
    is_full: bool
    """there is more"""
    began: int
    """every transaction with a number below it had begun"""
    read: int
    """every change of the transactions with a number below it has been read"""
    withheld: bool
    """something is committed that may not be shown yet"""


class Feed:
    """The feed over one autocommit connection of its own. Every method raises LinkDown when the connection is gone."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def horizon(self) -> Cursor:
        """The place after everything that can be seen now."""
        row = await self._one("horizon")
        assert row is not None
        return Cursor(row["txid"], 0)

    async def after(self, cursor: Cursor, limit: int) -> list[Change]:
        """At most `limit` changes after `cursor`, in order."""
        place = {"txid": str(cursor.txid), "seq": cursor.seq, "limit": limit}
        with translated():
            found = await all_rows(self._conn, _SQL["after"], place)
        return [_change(row) for row in found]

    async def stirred(self, cursor: Cursor, limit: int, kinds: Collection[str]) -> Page:
        """Of the next `limit` changes after `cursor` those of these kinds, by institution."""
        asked = {"txid": str(cursor.txid), "seq": cursor.seq, "limit": limit, "kinds": sorted(kinds)}
        with translated():
            rows = await all_rows(self._conn, _SQL["stirred"], asked)
        told = rows[0]
        place = cursor if told["txid"] is None else Cursor(told["txid"], told["seq"])
        is_full = told["n"] == limit
        return Page(
            tuple(
                Stirred(row["institution"], to_micros(row["since"]), row["takes"], row["registered"])
                for row in rows
                if row["is_stirred"]
            ),
            place,
            is_full,
            told["began"],
            place.txid if is_full else told["settled"],
            told["withheld"],
        )

    async def withholds(self) -> bool:
        """True where rows are committed that may not be shown yet."""
        row = await self._one("withheld")
        return row is not None and bool(row["some"])

    async def is_forgotten(self, cursor: Cursor) -> bool:
        """True where changes after `cursor` were trimmed, or where it is not of this database."""
        with translated():
            place = {"txid": str(cursor.txid), "seq": cursor.seq}
            row = await one_row(self._conn, _SQL["is_forgotten"], place)
        return row is not None and bool(row["forgotten"])

    async def wait(self, seconds: float) -> None:
        """Until something was announced, at most `seconds`."""
        with translated():
            async for _ in self._conn.notifies(timeout=seconds, stop_after=1):
                pass

    async def trim(self, before: datetime, limit: int = 5000) -> int:
        """Forget the oldest `limit` changes from before `before`, and remember up to where; how many went."""
        with translated():
            row = await one_row(self._conn, _SQL["trim"], {"before": before, "limit": limit})
        return 0 if row is None else int(row["gone"])

    async def _one(self, name: str) -> Row | None:
        with translated():
            return await one_row(self._conn, _SQL[name])


def _change(row: Row) -> Change:
    place = Cursor(row["txid"], row["seq"])
    groups = tuple(row["groups"])
    return Change(place, row["at"], row["kind"], row["institution"], row["division"], groups, row["payload"])


@asynccontextmanager
async def open_feed(database_url: str) -> AsyncIterator[Feed]:
    """Connect and listen; raises LinkDown."""
    conn = await connect(database_url, "fanout", autocommit=True)
    try:
        with translated():
            await conn.execute(f"listen {_CHANNEL}")
        yield Feed(conn)
    finally:
        await conn.close()
