"""The far end of a serial line: a pseudo terminal under a name that stays, a TCP port that is called, or one that calls.

A wire is plugged and unplugged at will; what the hub's side writes is read from `reader`, which is new with every plug.
"""

import asyncio
import contextlib
import os
import tty
from pathlib import Path
from typing import Protocol

from hub.errors import LinkDown

WRITE_TIMEOUT = 5.0


class Wire(Protocol):
    """What a simulated device speaks through."""

    @property
    def reader(self) -> asyncio.StreamReader:
        """What the hub's side says; a new one with every plug."""
        ...

    @property
    def port(self) -> str:
        """What an endpoint's `port` must be to reach it."""
        ...

    async def plug(self) -> None:
        """Be there."""
        ...

    async def unplug(self) -> None:
        """Be gone; whoever reads gets an error or an end."""
        ...

    async def write(self, octets: bytes) -> None:
        """Send. Lost when nobody is connected; raises TimeoutError when nobody reads for `WRITE_TIMEOUT` seconds."""
        ...


class Pty:
    """A pseudo terminal; `path` becomes a link to the name that it has this time."""

    def __init__(self, path: Path) -> None:
        self.reader = asyncio.StreamReader()
        self._path = path
        self._master: int | None = None
        self._slave: int | None = None

    @property
    def port(self) -> str:
        """The link's path."""
        return str(self._path)

    async def plug(self) -> None:
        """A new terminal under the old name. Its own slave side stays open: without one the kernel answers EIO."""
        if self._master is not None:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.reader = asyncio.StreamReader()
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self._path)

    async def unplug(self) -> None:
        """Close the terminal and take its name away."""
        if self._master is None or self._slave is None:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._path.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = None
        self.reader.feed_eof()

    async def write(self, octets: bytes) -> None:
        """Send; a terminal holds about 4 KiB that nobody has read."""
        async with asyncio.timeout(WRITE_TIMEOUT):
            while octets and self._master is not None:
                try:
                    octets = octets[os.write(self._master, octets) :]
                except BlockingIOError:
                    await asyncio.sleep(0.002)

    def feed(self, octets: bytes) -> None:
        """Send what the terminal takes at once; what it does not is lost, as on a line."""
        if self._master is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, octets)

    def _readable(self) -> None:
        if self._master is not None:
            with contextlib.suppress(OSError):
                self.reader.feed_data(os.read(self._master, 4096))


class TcpPort:
    """A TCP port of loopback that the hub calls, as a serial server has it. Keeps its number over plug and unplug."""

    def __init__(self, number: int = 0, host: str = "127.0.0.1") -> None:
        self.reader = asyncio.StreamReader()
        self._number = number
        self._host = host
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()
        self._called = asyncio.Event()

    @property
    def port(self) -> str:
        """Known once it was plugged in, when the number was 0."""
        return f"socket://{self._host}:{self._number}"

    async def plug(self) -> None:
        """Listen."""
        if self._server is None:
            self.reader = asyncio.StreamReader()
            self._server = await asyncio.start_server(self._answer, self._host, self._number)
            self._number = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Stop listening and hang up."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in list(self._callers):
            writer.transport.abort()
        self._callers.clear()
        self._called.clear()
        self.reader.feed_eof()
        await server.wait_closed()

    @property
    def callers(self) -> int:
        """How many are connected."""
        return len(self._callers)

    def hang_up(self) -> None:
        """Cut every connection, and be there to be called again."""
        for writer in list(self._callers):
            writer.transport.abort()

    async def called(self, deadline: float = 5.0) -> None:
        """Wait until somebody has called; raises TimeoutError."""
        async with asyncio.timeout(deadline):
            await self._called.wait()

    async def write(self, octets: bytes) -> None:
        """Send to every caller."""
        async with asyncio.timeout(WRITE_TIMEOUT):
            for writer in list(self._callers):
                with contextlib.suppress(OSError):
                    writer.write(octets)
                    await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.add(writer)
        self._called.set()
        try:
            with contextlib.suppress(OSError):
                while octets := await reader.read(4096):
                    self.reader.feed_data(octets)
        finally:
            self._callers.discard(writer)
            writer.close()


class Caller:
    """Calls a centre that listens (`listen://host:port`), as a transmitter does."""

    def __init__(self, host: str, number: int) -> None:
        self.reader = asyncio.StreamReader()
        self._where = (host, number)
        self._writer: asyncio.StreamWriter | None = None

    @property
    def port(self) -> str:
        """What the centre's endpoint listens on."""
        return f"listen://{self._where[0]}:{self._where[1]}"

    async def plug(self) -> None:
        """Call; raises LinkDown when nobody answers."""
        if self._writer is None:
            try:
                async with asyncio.timeout(WRITE_TIMEOUT):
                    self.reader, self._writer = await asyncio.open_connection(*self._where)
            except (OSError, TimeoutError) as error:
                raise LinkDown(f"{self.port}: {error}") from None

    async def unplug(self) -> None:
        """Hang up."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def write(self, octets: bytes) -> None:
        """Send."""
        if self._writer is not None:
            async with asyncio.timeout(WRITE_TIMEOUT):
                with contextlib.suppress(OSError):
                    self._writer.write(octets)
                    await self._writer.drain()
