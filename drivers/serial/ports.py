"""Opening what an endpoint's `port` names; the one place that knows the serial library.

A device path is opened for us alone (two readers on one line each get half); `socket://` calls a serial server or a transmitter over TCP.
Everything ends as asyncio's reader and writer. Raises LinkDown, or AccessDenied where the machine does not let us.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import serial_asyncio_fast
from serial import SerialException

from drivers.serial.settings import Endpoint
from hub.errors import AccessDenied, LinkDown

OPEN_TIMEOUT = 5.0
CLOSE_TIMEOUT = 2.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def host_and_port(port: str) -> tuple[str, int]:
    """Of `socket://host:port` or `listen://host:port`, as the settings have checked it."""
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
