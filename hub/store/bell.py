"""Waiting for a NOTIFY on a connection that is also used for statements. NOTIFY makes a loop quick; polling makes it sure."""

import asyncio
from typing import LiteralString

from psycopg import sql

from hub.store.pool import Connection
from hub.store.session import translated


class Bell:
    """Rings when the channel was notified, or when somebody in this process calls `ring`."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._rung = asyncio.Event()
        # notifications that arrive in the middle of a statement are read with its answer, and come here
        conn.add_notify_handler(lambda _: self._rung.set())

    async def listen(self, channel: LiteralString) -> None:
        """Subscribe, and wait for nobody's row lock longer than a second; raises LinkDown."""
        with translated():
            # one transaction that is stuck somewhere must not hold up what concerns other alarms: it is a Conflict, and tried again
            await self._conn.execute("set lock_timeout = '1s'")
            await self._conn.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))

    def ring(self) -> None:
        """End the present wait, or the next one at once."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """As `rang`, for who looks anyhow."""
        await self.rang(seconds)

    async def rang(self, seconds: float) -> bool:
        """Until it rings, at most `seconds`; whether it did. A connection that breaks rings too: the next statement then says so.

        Raises LinkDown where it is closed already.
        """
        loop = asyncio.get_running_loop()
        with translated():
            fileno = self._conn.fileno()
        loop.add_reader(fileno, self._rung.set)
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
            return True
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(fileno)
            self._rung.clear()
