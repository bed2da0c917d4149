"""Passing octets on between a device and the driver, and telling them to somebody: over TCP, or between two serial ports.

What is heard is told before it is passed on, in the order in which each side said it; a tap changes nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import serial_asyncio_fast
from serial import SerialException

from drivers.simulator.wire import Pty
from hub.errors import LinkDown

Hear = Callable[[bool, bytes], None]
"""(said by the device, octets)"""
HOST = "127.0.0.1"
CONNECT_S = 10.0


async def _pass(reader: asyncio.StreamReader, write: Callable[[bytes], object], hear: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError, SerialException):
        while octets := await reader.read(4096):
            hear(octets)
            write(octets)


async def _both(one: asyncio.Task[None], other: asyncio.Task[None]) -> None:
    """Until either side has gone."""
    try:
        await asyncio.wait((one, other), return_when=asyncio.FIRST_COMPLETED)
    finally:
        one.cancel()
        other.cancel()
        await asyncio.wait((one, other))


@contextlib.asynccontextmanager
async def tcp_tap(host: str, port: int, hear: Hear, listen: int = 0) -> AsyncIterator[int]:
    """A port of loopback (or `listen`) behind which `host:port` is; gives its number."""
    running: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            async with asyncio.timeout(CONNECT_S):
                far_reader, far = await asyncio.open_connection(host, port)
            try:
                asked = asyncio.create_task(_pass(reader, far.write, lambda octets: hear(False, octets)))
                told = asyncio.create_task(_pass(far_reader, writer.write, lambda octets: hear(True, octets)))
                await _both(asked, told)
            finally:
                far.close()
        except (OSError, TimeoutError):
            pass  # the driver sees a connection that ends
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(answer, HOST, listen)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        if running:
            await asyncio.wait(running)
        await server.wait_closed()


@contextlib.asynccontextmanager
async def serial_tap(port: str, settings: dict[str, Any], folder: Path, hear: Hear) -> AsyncIterator[str]:
    """A pseudo terminal behind which the serial port is; gives its path. Raises LinkDown when the port cannot be opened."""
    try:
        reader, writer = await serial_asyncio_fast.open_serial_connection(url=port, exclusive=True, **settings)
    except (OSError, SerialException, ValueError) as error:
        raise LinkDown(f"{port}: {error}") from None
    pty = Pty(folder / "tap")
    await pty.plug()
    asked = asyncio.create_task(_pass(pty.reader, writer.write, lambda octets: hear(False, octets)))
    told = asyncio.create_task(_pass(reader, pty.feed, lambda octets: hear(True, octets)))
    try:
        yield pty.port
    finally:
        for task in (asked, told):
            task.cancel()
        await asyncio.wait((asked, told))
        writer.close()
        await pty.unplug()
