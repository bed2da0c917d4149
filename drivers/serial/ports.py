"""Opening what an endpoint's `port` names; the one place that knows the serial library.

A device path is opened for us alone (two readers on one line each get half); `socket://` calls a serial server or a transmitter over TCP,
`listen://` is called, `udp://` is sent to. Raises LinkDown, or AccessDenied where the machine does not let us.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import serial_asyncio_fast
from serial import SerialException

from drivers.serial.settings import Endpoint
from hub.errors import AccessDenied, LinkDown

OPEN_TIMEOUT = 5.0
CLOSE_TIMEOUT = 2.0
MAX_DATAGRAMS = 256

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def host_and_port(port: str) -> tuple[str, int]:
    """Of `socket://host:port`, `listen://…` or `udp://…`, as the settings have checked it."""
    parts = urlsplit(port)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


async def _open(endpoint: Endpoint) -> Streams:
    if endpoint.port.startswith("socket://"):
        host, port = host_and_port(endpoint.port)
        reader, writer = await asyncio.open_connection(host, port)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return reader, writer
    opened: Streams = await serial_asyncio_fast.open_serial_connection(
        url=endpoint.port,
        baudrate=endpoint.baudrate,
        bytesize=endpoint.bytesize,
        parity=endpoint.parity,
        stopbits=endpoint.stopbits,
        exclusive=True,
    )
    return opened


@contextlib.asynccontextmanager
async def opened(endpoint: Endpoint) -> AsyncIterator[Streams]:
    """The open port; closed on leaving, whatever happened."""
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            reader, writer = await _open(endpoint)
    except TimeoutError:
        raise LinkDown(f"{endpoint.port}: not open within {OPEN_TIMEOUT:g} s") from None
    except (OSError, SerialException, ValueError) as error:
        denied = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM)
        raise (AccessDenied if denied else LinkDown)(f"{endpoint.port}: {error}") from None
    try:
        yield reader, writer
    finally:
        await close(writer)


@contextlib.asynccontextmanager
async def listening(
    port: str, called: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
) -> AsyncIterator[None]:
    """Let far ends call; who has called is the caller's to end. A far end that dies without a word is found by keep-alive too."""

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        called(reader, writer)

    host, number = host_and_port(port)
    try:
        server = await asyncio.start_server(answer, host, number)
    except OSError as error:
        raise _refused(port, error) from None
    try:
        yield
    finally:
        server.close()  # what has called is ended by whoever was called


@dataclass(frozen=True)
class _Answer:
    """How to answer a far end; equal for all its datagrams."""

    datagrams: "Datagrams"
    far_end: Any

    async def __call__(self, octets: bytes) -> None:
        self.datagrams.send(octets, self.far_end)


class Datagrams(asyncio.DatagramProtocol):
    """What far ends send to a UDP port. At most `MAX_DATAGRAMS` wait; one more is dropped and counted."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue(MAX_DATAGRAMS)
        self._lost = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._shut = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def bound(cls, port: str) -> "AsyncIterator[Datagrams]":
        """The port, open; raises LinkDown or AccessDenied."""
        try:
            transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                cls, local_addr=host_and_port(port)
            )
        except OSError as error:
            raise _refused(port, error) from None
        try:
            yield protocol
        finally:
            transport.close()
            await protocol._shut.wait()  # only then can the port be had again

    async def next(self) -> "tuple[bytes, _Answer]":
        """A datagram, and how to answer it."""
        octets, far_end = await self._waiting.get()
        return octets, _Answer(self, far_end)

    def send(self, octets: bytes, far_end: Any) -> None:
        """Send; nobody knows whether it arrives."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(octets, far_end)

    def lost(self) -> int:
        """How many were dropped since this was asked."""
        lost, self._lost = self._lost, 0
        return lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Called by the loop."""
        try:
            self._waiting.put_nowait((data, addr))
        except asyncio.QueueFull:
            self._lost += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._shut.set()

    def error_received(self, exc: Exception) -> None:
        """Called by the loop: a far end's port is shut; it will be heard, or it will not."""


def _refused(port: str, error: OSError) -> LinkDown | AccessDenied:
    denied = error.errno in (errno.EACCES, errno.EPERM)
    return (AccessDenied if denied else LinkDown)(f"{port}: {error}")


async def close(writer: asyncio.StreamWriter) -> None:
    """Close without waiting for a far end that no longer reads."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except OSError:
        pass  # it has ended already: to abort a serial transport then raises inside the loop
