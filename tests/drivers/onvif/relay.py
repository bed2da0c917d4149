"""A relay of ours between the driver and a server: it forwards, or is gone, silent, frozen, or holds an answer until it is late."""

import asyncio
import contextlib
from collections.abc import Callable

HOST = "127.0.0.1"


class Relay:
    """Forwards TCP to `target()`; its own port stays the same."""

    def __init__(self, target: Callable[[], int]) -> None:
        self.port = 0
        self.silent = False
        self.holding = False
        self.late_sent = 0
        self.asked = asyncio.Event()
        self._target = target
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._held: tuple[bytes, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._talk, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for talk in list(self._talks):
            talk.cancel()
        for writer in list(self._open):
            writer.transport.abort()
        if self._talks:
            await asyncio.wait(self._talks)
        if server is not None:
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._carry(reader, writer)
        finally:
            self._talks.discard(task)
            self._open.discard(writer)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read(65_536)
        self.asked.set()
        if self._held is not None:
            late, to = self._held
            self._held = None
            with contextlib.suppress(OSError):
                to.write(late)
            self.late_sent += 1
        while self.silent:
            await asyncio.sleep(0.02)
        behind, ahead = await asyncio.open_connection(HOST, self._target())
        self._open.add(ahead)
        try:
            ahead.write(question)
            onward = asyncio.create_task(_pour(reader, ahead))
            try:
                if self.holding:
                    self.holding = False
                    self._held = (await behind.read(), writer)
                    while self._held is not None:
                        await asyncio.sleep(0.02)
                else:
                    await _pour(behind, writer)
            finally:
                onward.cancel()
                await asyncio.wait({onward})
        finally:
            self._open.discard(ahead)
            ahead.close()


async def _pour(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            to.write(data)
            await to.drain()
