"""The spool: upward messages on disk, synced before anyone is told that they are safe, kept until the hub confirmed their commit.

One SQLite file (WAL, `synchronous=FULL`) with two streams, one a lane. A message is formed when it is written, so that sending it again
sends the same bytes. Numbers have no gaps and are never used twice, whenever the process is killed: a number is taken in the transaction
that writes its message. Knows nothing of the loop or of MQTT; every call blocks, so `hub.edge.intake` calls it in one thread.

Bulk is bounded by a budget: when it is full the oldest messages give up their content, and the last of each run becomes a declaration of
how much was dropped, all under their own numbers, so that the stream has no gap and the loss is seen in the hub's quarantine. What is
left of a message are some fifty bytes. The urgent lane on the disk is never dropped, and has its own room there (`hub.edge.disk`).

`memory_spool` is the same thing without a disk, for what an edge must send while its disk takes nothing. There both lanes are bounded.
"""

import contextlib
import fcntl
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import structlog

from hub.core.batching import Packed, cut_up
from hub.core.wire import MAX_PAYLOAD, encode_reject, join_up
from hub.edge.disk import Disk
from hub.errors import AnxinError, BadInput
from hub.model import Lane, Micros, Reject

log = structlog.get_logger()
T = TypeVar("T")

BULK_BUDGET = 512 * 1024 * 1024
"""Bytes of bulk payloads: about five months of an institution with fifteen devices."""

_SCHEMA = """
create table if not exists stream (
    lane text primary key,
    stream text not null,
    last integer not null default 0,
    confirmed integer not null default 0,
    dropped integer not null default 0,
    items integer not null default 0
) strict;
create table if not exists message (
    lane text not null,
    seq integer not null,
    samples integer not null,
    payload blob not null,
    items integer not null default 0,
    through integer not null default 0,
    dropped integer not null default 0,
    primary key (lane, seq)
) strict;
create index if not exists message_whole on message (lane, seq) where samples > 0 or length(payload) > 256;
drop index if exists message_heavy;
"""
# both by the index: a message that has something to give up; a declaration is smaller than that
_OLDEST = """
select seq, samples, length(payload) from message
where lane = ? and (samples > 0 or length(payload) > 256) order by seq limit ?
"""
_GIVE_UP = """
update message set samples = 0, dropped = items, payload = ?
where lane = ? and seq between ? and ? and (samples > 0 or length(payload) > 256)
"""
_INSERT = "insert into message (lane, seq, samples, payload, items, through, dropped) values (?, ?, ?, ?, ?, ?, ?)"
_PROBE = "insert or replace into message (lane, seq, samples, payload) values ('probe', 1, 0, zeroblob(?))"
_EMPTY = join_up((), ())
_DECLARATION = 256
_TOO_LARGE = """
select seq, payload, items from message where lane = ? and length(payload) > ? and dropped = 0 order by seq limit ?
"""
SPLIT = 100
"""messages that one call cuts up at most: 10 MB"""
RUN = 1000
"""messages that one declaration stands for at most"""
SLACK = 512
"""at least this part of the budget is freed at once, so that a full spool is not busy with every append"""
_FORMAT = 2
_FROM_1 = """
alter table stream add column items integer not null default 0;
alter table message add column items integer not null default 0;
alter table message add column through integer not null default -1;
alter table message add column dropped integer not null default 0;
"""
PAGE = 4096
WAL = 8 * 1024 * 1024
"""bytes that the write-ahead log keeps of the disk after a flood"""
MEMORY: Mapping[Lane, int] = MappingProxyType({Lane.URGENT: 32 * 1024 * 1024, Lane.BULK: 256 * 1024})
"""bytes of payloads that may wait in memory while the disk takes nothing: urgent ones, and in bulk what the edge says of itself"""


class SpoolFailed(AnxinError):
    """The disk does not take or give what was asked (full, read-only, broken): nothing of this call is safe; try again later."""


class SpoolRefused(SpoolFailed):
    """The spool is not ours to use: another process has it, a newer program made it, or there can be none at this place."""


class SpoolBroken(AnxinError):
    """The file is damaged: nothing here can go on. The next start moves it aside."""


class Message(NamedTuple):
    """One unconfirmed message."""

    seq: int
    payload: bytes
    through: int = 0
    """samples and rejects of the stream up to and with this message, as they were written; -1: by a version that did not count"""
    dropped: int = 0
    """of this message, whose content was given up"""


class Row(NamedTuple):
    """A message without its place: what one spool hands to another."""

    payload: bytes
    samples: int
    items: int
    """samples and rejects, as they were written"""
    dropped: int
    """of these, when the content was given up"""


class Depth(NamedTuple):
    """How a lane stands."""

    messages: int
    samples: int
    """unconfirmed"""
    bytes: int
    dropped: int
    """samples whose content was given up since the stream began"""


class Spool:
    """An open spool; `open_spool()` makes it. Calls must not overlap."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Callable[[], Micros],
        budgets: Mapping[Lane, int],
        disk: Disk | None = None,
    ) -> None:
        self.disk = disk
        self.written = dict.fromkeys(Lane, 0)
        """bytes of payloads appended since it was opened"""
        self.lost = dict.fromkeys(Lane, 0)
        """samples given up since it was opened"""
        self._db = connection
        self._clock = clock
        self._budgets = budgets
        self._streams: dict[Lane, str] = {}
        self._depth: dict[Lane, Depth] = {}
        self._inherited: dict[Lane, int | None] = {}
        self._items: dict[Lane, int] = {}
        made = "insert into stream (lane, stream) values (?, ?) on conflict do nothing"
        with self._transaction():
            fresh = {lane: self._db.execute(made, (lane, _stream_name(lane))).rowcount == 1 for lane in Lane}
        for lane in Lane:
            self._load(lane)
            self._inherited[lane] = None if fresh[lane] else self.last(lane)

    def _load(self, lane: Lane) -> None:
        stream, dropped, items = self._one("select stream, dropped, items from stream where lane = ?", lane)
        count = (
            "select count(*), coalesce(sum(samples), 0), coalesce(sum(length(payload)), 0) from message where lane = ?"
        )
        self._streams[lane], self._items[lane] = stream, items
        messages, samples, size = self._one(count, lane)
        self._depth[lane] = Depth(messages, samples, size, dropped)

    def stream(self, lane: Lane) -> str:
        """The name of this lane's stream."""
        return self._streams[lane]

    def depth(self, lane: Lane) -> Depth:
        """How much waits in this lane."""
        return self._depth[lane]

    def items(self, lane: Lane) -> int:
        """Samples and rejects that were given numbers since the stream began: what the edge has produced."""
        return self._items[lane]

    def inherited(self, lane: Lane) -> int | None:
        """The highest number that stood here when the spool was opened; None for a stream that began since."""
        return self._inherited[lane]

    def last(self, lane: Lane) -> int:
        """The highest number given so far; 0 before the first message."""
        number: int = self._one("select last from stream where lane = ?", lane)[0]
        return number

    def confirmed(self, lane: Lane) -> int:
        """The hub has everything up to this number."""
        number: int = self._one("select confirmed from stream where lane = ?", lane)[0]
        return number

    def append(self, lane: Lane, messages: Sequence[Packed]) -> int:
        """Write messages under the next numbers; when it returns they are on the disk. Returns the last number given.

        Bulk that would take the room kept for alarms is refused when dropping older bulk makes none.
        """
        return self.take_over(lane, [Row(m.payload, m.samples, m.samples + m.rejects, 0) for m in messages])

    def take_over(self, lane: Lane, rows: Sequence[Row]) -> int:
        """Like `append`, for messages that stood in another spool."""
        if lane is Lane.URGENT:
            return self._with_reserve(lambda: self._append(lane, rows))
        return self._append(lane, rows)

    def _append(self, lane: Lane, rows: Sequence[Row]) -> int:
        depth = self._depth[lane]
        added = sum(len(row.payload) for row in rows)
        excess = self._excess(lane, added)
        dropped = freed = 0
        with self._transaction():
            if excess > 0:
                budget = self._budgets.get(lane, 0)
                dropped, freed = self._drop_oldest(lane, max(excess, budget // SLACK))
                if freed < excess and self.disk is not None and self._room() < added:
                    raise SpoolFailed("the disk is nearly full: what room is left is kept for alarms")
            last, items = self._one("select last, items from stream where lane = ?", lane)
            for row in rows:
                last += 1
                items += row.items
                self._db.execute(_INSERT, (lane, last, row.samples, row.payload, row.items, items, row.dropped))
            self._db.execute("update stream set last = ?, items = ? where lane = ?", (last, items, lane))
        self._items[lane] = items
        samples = depth.samples + sum(row.samples for row in rows) - dropped
        size = depth.bytes + added - freed
        self._depth[lane] = Depth(depth.messages + len(rows), samples, size, depth.dropped + dropped)
        self.written[lane] += added
        if freed > 0:
            self.lost[lane] += dropped
            log.error("spool.dropped", lane=lane, samples=dropped, total=depth.dropped + dropped)
        return int(last)

    def _excess(self, lane: Lane, added: int) -> int:
        """Bytes that must go before `added` may come: over the budget, or, for bulk, over what the disk has to spare."""
        over = self._depth[lane].bytes + added - self._budgets[lane] if lane in self._budgets else 0
        return max(over, added - self._room()) if lane is Lane.BULK and self.disk is not None else over

    def _room(self) -> int:
        """Bytes that bulk may still take: of the disk, and what the file holds of pages that were let go of."""
        if self.disk is None:
            return 0
        free: int = self._one("pragma freelist_count")[0]
        return self.disk.room + free * PAGE

    def left(self, lane: Lane) -> tuple[int, int | None]:
        """What this lane can still take before something is dropped: payload bytes of its budget, and bytes of the disk."""
        budget = max(0, self._budgets.get(lane, 0) - self._depth[lane].bytes)
        return budget, None if self.disk is None else max(0, self._room())

    def probe(self, lane: Lane) -> None:
        """Whether the disk takes this lane's messages: writes as much as the largest one, synced, or raises SpoolFailed."""
        if (
            lane is Lane.BULK
            and self.disk is not None
            and self._depth[lane].samples == 0
            and self._room() < 2 * MAX_PAYLOAD
        ):
            raise SpoolFailed("the disk is nearly full: what room is left is kept for alarms")
        with self._transaction():
            self._db.execute(_PROBE, (MAX_PAYLOAD,))
        with self._transaction():
            self._db.execute("delete from message where lane = 'probe'")

    def _with_reserve(self, work: Callable[[], T]) -> T:
        """What must succeed on a full disk: once more in the room of the reserve."""
        try:
            return work()
        except SpoolFailed:
            if self.disk is None or not self.disk.give_up_reserve():
                raise
            return work()

    def unconfirmed(self, lane: Lane, after: int, limit: int) -> list[Message]:
        """The first `limit` unconfirmed messages with a number above `after`."""
        with _translated():
            rows = self._db.execute(
                "select seq, payload, through, dropped from message where lane = ? and seq > ? order by seq limit ?",
                (lane, after, limit),
            )
            return [Message(*row) for row in rows]

    def rows(self, lane: Lane, limit: int) -> list[tuple[int, Row]]:
        """The first `limit` unconfirmed messages with their numbers, for another spool to take over."""
        query = "select seq, payload, samples, items, dropped from message where lane = ? order by seq limit ?"
        with _translated():
            return [(seq, Row(*row)) for seq, *row in self._db.execute(query, (lane, limit))]

    def confirm(self, lane: Lane, upto: int) -> int:
        """Let go of everything up to `upto`; returns how many messages that were. A number not given yet is never let go of."""
        return self._with_reserve(lambda: self._confirm(lane, upto))

    def _confirm(self, lane: Lane, upto: int) -> int:
        with self._transaction():
            upto = min(upto, self.last(lane))
            gone = "from message where lane = ? and seq <= ?"
            counted = self._one(
                f"select count(*), coalesce(sum(samples), 0), coalesce(sum(length(payload)), 0) {gone}",
                lane,
                upto,
            )
            self._db.execute(f"delete {gone}", (lane, upto))
            self._db.execute("update stream set confirmed = max(confirmed, ?) where lane = ?", (upto, lane))
        depth = self._depth[lane]
        messages, samples, size = counted
        self._depth[lane] = Depth(depth.messages - messages, depth.samples - samples, depth.bytes - size, depth.dropped)
        return int(messages)

    def split(self, lane: Lane, largest: int) -> int:
        """Cut up the first messages whose payload is over `largest` bytes, more than the broker takes: each keeps its number and what fits, the
        rest follows under the next numbers. What alone is too large becomes a reject that says so. Returns the lowest number touched, 0: none.
        """
        touched = self._with_reserve(lambda: self._split(lane, largest))
        self._load(lane)
        return touched

    def _split(self, lane: Lane, largest: int) -> int:
        lost = 0
        with self._transaction():
            found = self._db.execute(_TOO_LARGE, (lane, largest, SPLIT)).fetchall()
            for seq, payload, items in found:
                first, *rest = rows = [self._fitting(part, largest) for part in _parts_or_all(payload, largest)]
                lost += sum(row.dropped for row in rows)
                if not items:  # by a version that did not count
                    first = first._replace(items=0)
                moved = items - first.items
                kept = "update message set payload = ?, samples = ?, items = ?, dropped = ? where lane = ? and seq = ?"
                self._db.execute(kept, (first.payload, first.samples, first.items, first.dropped, lane, seq))
                shifted = "update message set through = through - ? where lane = ? and seq >= ? and through >= 0"
                self._db.execute(shifted, (moved, lane, seq))
                last, total = self._one("select last, items from stream where lane = ?", lane)
                through = total - moved
                for row in rest:
                    last += 1
                    through += row.items
                    counted = (row.items, through) if items else (0, -1)
                    self._db.execute(_INSERT, (lane, last, row.samples, row.payload, *counted, row.dropped))
                self._db.execute("update stream set last = ? where lane = ?", (last, lane))
            self._db.execute("update stream set dropped = dropped + ? where lane = ?", (lost, lane))
        self.lost[lane] += lost
        return int(found[0][0]) if found else 0

    def _fitting(self, part: Packed, largest: int) -> Row:
        items = part.samples + part.rejects
        if len(part.payload) <= largest:
            return Row(part.payload, part.samples, items, 0)
        reason = f"{len(part.payload)} bytes, the broker takes {largest}"
        log.critical("spool.too_large", items=items, reason=reason)
        excerpt = part.payload[: max(0, min(4096, largest // 2 - 256))]
        reject = Reject(self._clock(), "edge:uplink", "mqtt-size", reason, excerpt)
        return Row(join_up((), (encode_reject(reject),)), 0, items, items)

    def restart(self, lane: Lane) -> str:
        """A new stream for what is unconfirmed, numbered from 1: for a hub that no longer knows the old one. Returns its name."""
        stream = _stream_name(lane)
        self._with_reserve(lambda: self._restart(lane, stream))
        self._load(lane)
        self._inherited[lane] = None
        return stream

    def _restart(self, lane: Lane, stream: str) -> None:
        with self._transaction():
            query = "select seq, items, through from message where lane = ? order by seq"
            rows = self._db.execute(query, (lane,)).fetchall()
            through = 0
            renumber = "update message set seq = ?, through = ? where lane = ? and seq = ?"
            for number, (seq, items, counted) in enumerate(
                rows, 1
            ):  # upwards, and never above the old number: nothing collides
                through += items
                self._db.execute(renumber, (number, -1 if counted < 0 else through, lane, seq))
            self._db.execute(
                "update stream set stream = ?, last = ?, confirmed = 0, dropped = 0, items = ? where lane = ?",
                (stream, len(rows), through, lane),
            )

    def _drop_oldest(self, lane: Lane, wanted: int) -> tuple[int, int]:
        """Inside a transaction: make the oldest messages give up their content until `wanted` bytes are free; returns samples and bytes."""
        dropped = freed = 0
        while freed < wanted:
            run, gain, lost = list[int](), len(_EMPTY) - _DECLARATION, 0
            for seq, samples, size in self._db.execute(_OLDEST, (lane, RUN)):
                run.append(seq)
                gain += size - len(_EMPTY)
                lost += samples
                if freed + gain >= wanted:
                    break
            if gain <= 0:
                break  # nothing, or so little that the declaration is larger
            self._db.execute(_GIVE_UP, (_EMPTY, lane, run[0], run[-1]))
            reason = f"the spool is full: {lost} samples in messages {run[0]} to {run[-1]} were dropped"
            declared = self._replace(lane, run[-1], Reject(self._clock(), "edge:spool", "dropped", reason))
            freed += gain + _DECLARATION - declared
            dropped += lost
        self._db.execute("update stream set dropped = dropped + ? where lane = ?", (dropped, lane))
        return dropped, freed

    def _replace(self, lane: Lane, seq: int, reject: Reject) -> int:
        payload = join_up((), (encode_reject(reject),))
        given_up = "update message set samples = 0, dropped = items, payload = ? where lane = ? and seq = ?"
        self._db.execute(given_up, (payload, lane, seq))
        return len(payload)

    def _one(self, query: str, *arguments: object) -> Any:
        with _translated():
            return self._db.execute(query, arguments).fetchone()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated():
            self._db.execute("begin immediate")
            try:
                yield
                self._db.execute("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("rollback")
                raise


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # full, locked, read-only, I/O
        raise SpoolFailed(f"the spool cannot be used: {error}") from error
    except sqlite3.Error as error:
        raise SpoolBroken(f"the spool is damaged: {error}") from error


def _parts_or_all(payload: bytes, largest: int) -> list[Packed]:
    try:
        return cut_up(payload, largest) or [Packed(payload, 0, 0)]
    except BadInput:  # nothing that this program wrote
        return [Packed(payload, 0, 1)]


def _stream_name(lane: Lane) -> str:
    return f"{uuid.uuid4()}-{lane}"


@contextlib.contextmanager
def open_spool(folder: Path, clock: Callable[[], Micros], budget: int = BULK_BUDGET) -> Iterator[Spool]:
    """The spool in `folder`, made when it is not there; raises SpoolFailed when it cannot be had, SpoolRefused when it never will.

    A file that is corrupt is moved aside under a name with the time in it, said loudly, and a new stream begins: what it held is lost to us,
    and a number of the old stream must never be used again.
    """
    path = folder / "spool.db"
    there = _is_there(path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        # an edge that never had a spool here was set up wrongly; one that had goes on without
        failed = SpoolFailed if there else SpoolRefused
        raise failed(f"{folder}: the spool cannot be made: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SpoolRefused(f"{folder}: another process uses this spool") from None
        disk = Disk(folder)
        try:
            connection = _connect_in_reserve(path, disk)
        except sqlite3.DatabaseError as error:
            if not _is_corrupt(error):
                raise SpoolFailed(f"{path}: the spool cannot be opened: {error}") from None
            _move_aside(path, clock(), str(error))
            connection = _connect_anew(path)
        try:
            disk.keep_reserve()
            yield Spool(connection, clock, {Lane.BULK: budget}, disk)
        finally:
            connection.close()


def memory_spool(clock: Callable[[], Micros], budgets: Mapping[Lane, int] = MEMORY) -> Spool:
    """A spool that is gone with the process."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return Spool(connection, clock, budgets)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _connect_in_reserve(path: Path, disk: Disk) -> sqlite3.Connection:
    """To open takes room too: on a full disk the alarms that wait here would stay until somebody makes some."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        if not disk.give_up_reserve():
            raise
        return _connect(path)


def _connect_anew(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        raise SpoolFailed(f"{path}: the spool cannot be opened: {error}") from None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma journal_size_limit = {WAL:d}")
        (found,) = connection.execute("pragma quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")
        (version,) = connection.execute("pragma user_version").fetchone()
        if version not in (0, 1, _FORMAT):
            raise SpoolRefused(f"{path}: its format is {version}, this program knows {_FORMAT}")
        upgrade = _FROM_1 if version == 1 else ""
        connection.executescript(f"begin; {upgrade} {_SCHEMA} pragma user_version = {_FORMAT:d}; commit;")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return not isinstance(error, sqlite3.OperationalError)  # full, locked, read-only and I/O errors are operational


def _move_aside(path: Path, now: Micros, reason: str) -> None:
    aside = path.with_name(f"spool.corrupt-{now}.db")
    log.critical("spool.corrupt", path=str(path), moved_to=str(aside), reason=reason, lost="what was not confirmed")
    try:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise SpoolFailed(f"{path}: damaged, and it cannot be moved aside: {error.strerror}") from None


__all__ = [
    "BULK_BUDGET",
    "Depth",
    "Message",
    "Spool",
    "SpoolBroken",
    "SpoolFailed",
    "SpoolRefused",
    "memory_spool",
    "open_spool",
]
