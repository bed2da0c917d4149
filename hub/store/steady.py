"""The database's clock as escalation may trust it: read beside a clock that only counts, and what waits is moved where it was set."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from hub.core.steady import TOLERANCE, Reading, shift, since_another_boot, step_between
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.store.intervals import to_interval, to_span
from hub.store.queries import queries
from hub.store.together import Answer, Asked

_log = structlog.get_logger(__name__)
_SQL = queries("steady")
_REMEMBER_EVERY: Micros = SECOND
_PRECISE: Micros = SECOND // 5
"""a reading that took longer says too little of the instant at which the wall clock was read"""
_LOOKS = 5
_GRACE: Micros = 60 * SECOND
"""no transaction takes longer (hub.store.pool): what was under way at a reading was not written longer before it"""
_LONGEST_WAIT: Micros = 16 * 60 * SECOND
"""for the next try of a message (hub.core.storms.LONGEST, hub.core.escalation.retry_after)"""
_LONGEST_URGENT_WAIT: Micros = 35 * SECOND
"""of a fire or panic"""

Cursor = AsyncCursor[TupleRow]


class Moment(NamedTuple):
    """An instant of the database's clock, and the sum of the steps by which that clock had been set: so many were taken in."""

    at: Micros
    moved: Micros
    stood: str | None = None
    """the snapshot of what stood then and was compared with the clock; None: all that there is"""


class _Seen(NamedTuple):
    reading: Reading
    snapshot: str
    """what stood then"""


READ = Asked(_SQL["read"], ())
"""asks what time it is by the database's clock, see `moment_of`"""


def moment_of(answer: Answer) -> Moment:
    """Now, by the answer to `READ`, unchecked."""
    wall, total, _ = answer.rows[0]
    return Moment(to_micros(wall), to_span(total))


async def moment(cur: Cursor) -> Moment:
    """Now, by the database's clock as it is, unchecked."""
    wall, total, _ = await _read(cur)
    return Moment(to_micros(wall), to_span(total))


class SteadyClock:
    """One process's view. `host` names the boot of the machine that `uptime` (Micros since then, also while asleep) counts on."""

    def __init__(self, host: str, uptime: Callable[[], Micros]) -> None:
        self._host = host
        self._uptime = uptime
        self._seen: _Seen | None = None
        self._next: _Seen | None = None
        self._remembered_at: Micros | None = None
        self._is_set = False
        self.steps = 0
        """how often the clock was found to have been set, by whichever process"""

    async def read(self, cur: Cursor) -> Moment:
        """Now. Where the clock was set since the last reading (of this process, or of one before it on this host), whatever waits is moved
        first, in the caller's transaction: call `committed` when that is.

        Raises Conflict (through the caller's `translated`) where somebody holds what must be moved: read again, and act on nothing until then.
        """
        first = self._seen or await self._remembered(cur)
        seen = await (self._look_well(cur) if first is None else self._look(cur))
        if first is None:
            first = await self._of_another_boot(cur, seen)
        self._is_set = first is not None and (
            step_between(first.reading, seen.reading) != 0 or await _has_strays(cur, first, seen)
        )
        if self._is_set and first is not None:
            seen = await self._take_in(cur, first)
        if first is None or _span(seen) <= _PRECISE or seen.reading.moved != first.reading.moved:
            await self._remember(cur, seen)
            self._next = seen
        else:
            self._next = first  # goes on from the last precise one
        return Moment(seen.reading.wall, seen.reading.moved, seen.snapshot)

    def committed(self) -> None:
        """The transaction of the last `read` stands: what it saw is what the next one goes on from."""
        if self._next is not None:
            if self._is_set or (self._seen is not None and self._seen.reading.moved != self._next.reading.moved):
                self.steps += 1
            self._seen, self._next = self._next, None

    async def _look_well(self, cur: Cursor) -> _Seen:
        """A precise reading, or the best of a few."""
        looks = []
        for _ in range(_LOOKS):
            looks.append(await self._look(cur))
            if _span(looks[-1]) <= _PRECISE:
                return looks[-1]
        return min(looks, key=_span)

    async def _look(self, cur: Cursor) -> _Seen:
        before = self._uptime()
        wall, total, snapshot = await _read(cur)
        return _Seen(Reading(to_micros(wall), before, self._uptime(), to_span(total)), snapshot)

    async def _take_in(self, cur: Cursor, first: _Seen) -> _Seen:
        await cur.execute(_SQL["hold"])
        second = await self._look_well(cur)
        step = step_between(first.reading, second.reading)
        await cur.execute(_SQL["unseen"], {"seen": first.snapshot})
        unseen = [
            (at, under_way, shift(first.reading, second.reading, step, to_micros(at), _GRACE if under_way else 0))
            for at, under_way in await cur.fetchall()
        ]
        given = {
            "step": to_interval(step),
            "seen": first.snapshot,
            "written_at": [at for at, _, _ in unseen],
            "under_way": [under_way for _, under_way, _ in unseen],
            "by": [to_interval(by) for _, _, by in unseen],
            "wall": to_datetime(second.reading.wall),
            "total": to_interval(second.reading.moved + step),
            "host": self._host,
        }
        await cur.execute(_SQL["move_steps"], given)
        row = await cur.fetchone()
        moved = 0 if row is None else int(row[0])
        if step == 0 and moved == 0:
            return second  # another process was quicker
        if step != 0:
            await cur.execute(_SQL["move_ownerships"], given)
            await cur.execute(_SQL["move_notifications"], given)
            await cur.execute(_SQL["move_handovers"], given)
            longest = second.reading.after - first.reading.before
            new = {"new": to_datetime(second.reading.wall - longest - TOLERANCE)}
            await cur.execute(_SQL["move_uncovered"], given | new)
        await cur.execute(_SQL["note_step"], given | {"moved": moved})
        _log.error("clock_was_set", by_seconds=step / SECOND, steps_moved=moved)
        return second._replace(reading=second.reading._replace(moved=second.reading.moved + step))

    async def _remembered(self, cur: Cursor) -> _Seen | None:
        await cur.execute(_SQL["remembered"], {"host": self._host})
        row = await cur.fetchone()
        if row is None:
            return None
        wall, uptime, total, snapshot = row
        counted = to_span(uptime)
        return _Seen(Reading(to_micros(wall), counted, counted, to_span(total)), snapshot)

    async def _of_another_boot(self, cur: Cursor, seen: _Seen) -> _Seen | None:
        """None where this is the first reading of all."""
        await cur.execute(_SQL["newest"], {"total": to_interval(seen.reading.moved)})
        row = await cur.fetchone()
        return None if row is None else _Seen(since_another_boot(to_micros(row[0]), seen.reading), row[1])

    async def _remember(self, cur: Cursor, seen: _Seen) -> None:
        reading = seen.reading
        known = self._seen is not None and self._seen.reading.moved == reading.moved
        if known and self._remembered_at is not None and reading.after - self._remembered_at < _REMEMBER_EVERY:
            return
        given = {"host": self._host, "wall": to_datetime(reading.wall), "snapshot": seen.snapshot}
        given |= {"uptime": to_interval(reading.after), "total": to_interval(reading.moved)}
        await cur.execute(_SQL["remember"], given)
        if self._remembered_at is None:
            await cur.execute(_SQL["forget"], given)
        waits = {"longest": to_interval(_LONGEST_WAIT), "urgent": to_interval(_LONGEST_URGENT_WAIT)}
        await cur.execute(_SQL["wake"], given | waits)
        await cur.execute(_SQL["wake_handovers"], given | waits)
        self._remembered_at = reading.after


async def _has_strays(cur: Cursor, first: _Seen, now: _Seen) -> bool:
    """Whether anything was written in between by a clock that neither reading knows."""
    given = {
        "seen": first.snapshot,
        "now": now.snapshot,
        "earliest": to_datetime(first.reading.wall + now.reading.moved - first.reading.moved - TOLERANCE),
        "latest": to_datetime(now.reading.wall + TOLERANCE),
        "grace": to_interval(_GRACE),
    }
    await cur.execute(_SQL["strays"], given)
    row = await cur.fetchone()
    return row is not None and bool(row[0])


def _span(seen: _Seen) -> Micros:
    return seen.reading.after - seen.reading.before


async def _read(cur: Cursor) -> tuple[datetime, timedelta, str]:
    await cur.execute(_SQL["read"])
    row = await cur.fetchone()
    assert row is not None
    return row[0], row[1], row[2]
