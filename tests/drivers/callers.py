"""A TCP port that drivers of peers that speak by themselves call: it can hang up, and it can say nothing."""

import asyncio
import contextlib

from hub.testing import eventually

HOST = "127.0.0.1"


class SpeakingPort:
    """What it is told to say goes to every caller; what callers say is read and forgotten. Keeps its number."""

    def __init__(self) -> None:
        self.number = 0
        self._server: asyncio.Server | None = None
        self._callers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._answer, HOST, self.number)
            self.number = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in self._callers.values():
            writer.transport.abort()
        await eventually(lambda: not self._callers)
        await server.wait_closed()

    async def say(self, octets: bytes) -> None:
        await eventually(lambda: self._callers)
        for writer in list(self._callers.values()):
            writer.write(octets)

    async def nobody_is_left(self) -> None:
        """A caller that hung up is seen to be gone a moment later."""
        await eventually(lambda: not self._callers)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers[task] = writer
        try:
            with contextlib.suppress(OSError):
                while await reader.read(4096):
                    pass
        finally:
            del self._callers[task]
            writer.close()
