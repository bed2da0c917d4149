"""The standby's journal: what it owes and what it has sent while the database does not answer, on the hub's own disk.

One SQLite file, synced before a page is sent and after it was, so that a hub restarted during the outage goes on where it was and sends
nothing twice. It is no commit of telemetry: that stays with the edges. Bounded: what was handed over to the database is forgotten, and a file
that is full, broken or slow delays nobody; the pages go out from memory, loudly. It holds identifiers and times, no secret and no message.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec
import structlog

from hub.core.answers import Answer
from hub.core.standby import Pursuit
from hub.store.reconcile import Page

PATIENCE = 0.4
"""seconds that a page waits for the disk at most"""
LARGEST = 256 * 1024 * 1024
"""bytes of the file at most"""
DELIVERED = 20_000
"""keys of urgent pages that the deliverer has sent, kept so that no outage repeats them"""
_PAGE = 4096
_SCHEMA = """
create table if not exists pursuit (alarm text primary key, body blob not null) strict;
create table if not exists page (key text primary key, alarm text not null, body blob not null) strict;
create index if not exists page_alarm on page (alarm);
create table if not exists answer (alarm text not null, at integer not null, body blob not null, primary key (alarm, at)) strict;
create table if not exists delivered (n integer primary key autoincrement, key text not null unique) strict;
"""
_log = structlog.get_logger(__name__)
T = TypeVar("T")


class Kept(NamedTuple):
    """What a journal held when it was opened."""

    pursuits: list[Pursuit]
    pages: list[tuple[UUID, Page]]
    """with the alarm that each is of"""
    delivered: list[UUID]
    answers: list[Answer] = []


class Journal:
    """One writer thread over one file; without a folder all of it lies in memory and ends with the process."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="standby-journal")
        self._conn: sqlite3.Connection | None = None
        self.failures = 0
        """writes that the disk did not take in time or at all"""
        self._behind = 0

    async def open(self) -> Kept:
        """Open the file and read it; a damaged one is moved aside, loudly."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._open)

    def close(self) -> None:
        """Let go of the file; what was asked before is written first, for a second at most."""
        done = threading.Event()
        self._thread.submit(self._close, done)
        done.wait(1.0)
        self._thread.shutdown(wait=False, cancel_futures=True)

    # writing: each waits for the disk for `PATIENCE` at most, and never raises for it --------------------------------

    async def owe(self, owed: Sequence[tuple[Pursuit, Sequence[Page]]]) -> None:
        """Note pursuits as they are now, each with new pages of it."""
        pursuits = [(str(pursuit.alarm.id), msgspec.msgpack.encode(pursuit)) for pursuit, _ in owed]
        pages = [(str(p.key), str(one.alarm.id), msgspec.msgpack.encode(p)) for one, of in owed for p in of]

        def write(conn: sqlite3.Connection) -> None:
            conn.executemany("insert or replace into pursuit values (?, ?)", pursuits)
            conn.executemany("insert or replace into page values (?, ?, ?)", pages)

        await self._write(write)

    async def note(self, alarm: UUID, page: Page) -> None:
        """Note what became of a page, unless its alarm was forgotten meanwhile."""
        row = str(page.key), str(alarm), msgspec.msgpack.encode(page), str(alarm)

        def write(conn: sqlite3.Connection) -> None:
            conn.execute(
                "insert or replace into page select ?, ?, ? where exists (select 1 from pursuit where alarm = ?)", row
            )

        await self._write(write)

    async def answer(self, answer: Answer) -> None:
        """Note an acknowledgement, or that it is over."""
        row = str(answer.alarm), answer.at, msgspec.msgpack.encode(answer)

        def write(conn: sqlite3.Connection) -> None:
            conn.execute("insert or replace into answer values (?, ?, ?)", row)

        await self._write(write)

    async def forget(self, alarm: UUID, sent: Sequence[UUID]) -> None:
        """It stands in the database now, or nothing is owed any more; keys that were `sent` are remembered."""

        def write(conn: sqlite3.Connection) -> None:
            conn.execute("delete from pursuit where alarm = ?", (str(alarm),))
            conn.execute("delete from page where alarm = ?", (str(alarm),))
            conn.execute("delete from answer where alarm = ?", (str(alarm),))
            conn.executemany("insert or ignore into delivered (key) values (?)", [(str(key),) for key in sent])

        await self._write(write)

    async def delivered(self, key: UUID) -> None:
        """The deliverer has sent this one."""

        def write(conn: sqlite3.Connection) -> None:
            conn.execute("insert or ignore into delivered (key) values (?)", (str(key),))
            conn.execute("delete from delivered where n <= (select max(n) from delivered) - ?", (DELIVERED,))

        await self._write(write)

    async def _write(self, write: Callable[[sqlite3.Connection], None]) -> None:
        if self._behind > 10_000:  # the disk hangs; what waits for it is bounded
            self._fail("the disk is behind")
            return
        self._behind += 1
        future = self._thread.submit(self._commit, write)
        waiting = asyncio.wrap_future(future)
        done, _ = await asyncio.wait({waiting}, timeout=PATIENCE)
        if not done:
            self._fail("the disk is slow")
            waiting.add_done_callback(lambda late: late.cancelled() or late.exception())

    def _commit(self, write: Callable[[sqlite3.Connection], None]) -> None:
        try:
            if self._conn is None:
                self._conn = self._connect()
            with self._conn:
                write(self._conn)
        except (sqlite3.Error, OSError) as error:
            self._fail(str(error))
            if self._conn is not None and not isinstance(error, sqlite3.OperationalError):
                self._conn.close()
                self._conn = None
        finally:
            self._behind -= 1

    def _fail(self, why: str) -> None:
        self.failures += 1
        say = _log.error if self.failures == 1 or self.failures % 1000 == 0 else _log.debug
        say("standby.journal_failed", reason=why, failures=self.failures)

    # in the thread ------------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        if self._folder is None:
            conn = sqlite3.connect(":memory:", check_same_thread=False)
        else:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / "journal.db"
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            conn = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
            conn.execute("pragma journal_mode = wal")
            conn.execute("pragma synchronous = full")
            conn.execute(f"pragma max_page_count = {LARGEST // _PAGE}")
        conn.executescript(_SCHEMA)
        return conn

    def _open(self) -> Kept:
        try:
            self._conn = self._connect()
            return _read(self._conn)
        except sqlite3.DatabaseError as error:
            if self._folder is None or isinstance(error, sqlite3.OperationalError):
                self._fail(str(error))
                return Kept([], [], [])
            if self._conn is not None:
                self._conn.close()
            aside = self._folder / f"journal.corrupt-{os.getpid()}.db"
            (self._folder / "journal.db").replace(aside)
            _log.critical("standby.journal_corrupt", moved_to=str(aside), reason=str(error))
            for leftover in ("journal.db-wal", "journal.db-shm"):
                (self._folder / leftover).unlink(missing_ok=True)
            self._conn = None
            return Kept([], [], [])
        except OSError as error:
            self._fail(str(error))
            return Kept([], [], [])

    def _close(self, done: threading.Event) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        done.set()


def _read(conn: sqlite3.Connection) -> Kept:
    """What can be read. A row that another release wrote costs no other: whom it may have told is told once more, its edge still has the press."""
    pursuits: dict[UUID, Pursuit] = {}
    for alarm, body in conn.execute("select alarm, body from pursuit").fetchall():
        pursuit = _decoded(body, Pursuit, "standby.pursuit_unreadable", alarm)
        if pursuit is not None:
            pursuits[pursuit.alarm.id] = pursuit
    pages: list[tuple[UUID, Page]] = []
    sent: list[UUID] = []
    for alarm, body in conn.execute("select alarm, body from page order by rowid").fetchall():
        page, its = _decoded(body, Page, "standby.page_unreadable", alarm), UUID(alarm)
        if page is None and its in pursuits:
            pursuits[its] = replace(pursuits[its], done=frozenset())  # it may be of a step that was never sent
        elif page is not None and its in pursuits:
            pages.append((its, page))
        elif page is not None and page.state == "sent":  # nobody pursues it: it must not be sent again, and no more
            sent.append(page.key)
    answers = [
        answer
        for alarm, body in conn.execute("select alarm, body from answer order by at").fetchall()
        if (answer := _decoded(body, Answer, "standby.answer_unreadable", alarm)) is not None
    ]
    keys = conn.execute("select key from delivered order by n").fetchall()
    return Kept([*pursuits.values()], pages, [*(UUID(key) for (key,) in keys), *sent], answers)


def _decoded(body: bytes, kind: type[T], event: str, alarm: str) -> T | None:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        _log.error(event, alarm=alarm, reason=str(error)[:200])
        return None
