"""The escalator's own connection: what is due is claimed, acted on in one transaction per alarm, and waited for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from hub.model import Micros
from hub.store.bell import Bell
from hub.store.escalation import Cursor, claim, postpone
from hub.store.pool import Connection, connect
from hub.store.session import translated
from hub.store.steady import Moment, SteadyClock, moment


class Timers:
    """Durable timers. Every method raises LinkDown when the connection is gone; what was not committed is due again."""

    def __init__(self, conn: Connection, bell: Bell, clock: SteadyClock | None = None) -> None:
        self._conn = conn
        self._bell = bell
        self._clock = clock

    async def read(self) -> Moment:
        """Now, by the database's clock; where that was set, what waits has been moved. Raises Conflict where it cannot be moved yet."""
        async with self.transaction() as cur:
            now = await (moment(cur) if self._clock is None else self._clock.read(cur))
        if self._clock is not None:
            self._clock.committed()
        return now

    @property
    def clock_steps(self) -> int:
        """How often the clock was found to have been set, since this process began."""
        return 0 if self._clock is None else self._clock.steps

    async def claim(self, limit: int, lease: Micros, now: Moment | None = None) -> list[UUID]:
        """Alarms with something due, urgent first, leased to this connection; committed."""
        async with self.transaction() as cur:
            return await claim(cur, limit, lease, now)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Cursor]:
        """One transaction: committed at the end, rolled back on any error."""
        with translated():
            async with self._conn.transaction(), self._conn.cursor() as cur:
                yield cur

    async def postpone(self, alarm: UUID, lease: Micros) -> None:
        """Let what was claimed of this alarm come up again after `lease`."""
        async with self.transaction() as cur:
            await postpone(cur, alarm, lease)

    async def wait(self, seconds: float) -> None:
        """Until new steps were written, at most `seconds`."""
        await self._bell.wait(seconds)


@asynccontextmanager
async def open_timers(
    database_url: str, clock: SteadyClock | None = None, name: str = "escalator"
) -> AsyncIterator[Timers]:
    """Connect and listen; raises LinkDown. Without `clock` the database's is trusted as it is."""
    conn = await connect(database_url, name, autocommit=True)
    try:
        bell = Bell(conn)
        await bell.listen("anxin_escalation")
        yield Timers(conn, bell, clock)
    finally:
        await conn.close()
