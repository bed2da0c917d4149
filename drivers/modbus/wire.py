"""The bytes to and from a Modbus endpoint: a TCP connection or a serial port, one question at a time. The only file that knows pyserial.

What comes while nothing was asked is thrown away; what comes while something was asked is judged with every piece. A connection that ends
ends the question that waits, and nothing reconnects behind the runtime's back.
"""

import asyncio
import contextlib
import errno
import os
import socket
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import serial

from drivers.modbus.frame import Asked, Stage, Verdict, judge, judge_rtu, rtu_frame, tcp_frame
from drivers.modbus.settings import ModbusEndpoint
from hub.errors import AccessDenied, LinkDown

_MOST = 1 << 14
"""Bytes that may come while an answer is waited for: sixty late answers."""


class _Transport(Protocol):
    """What is needed of asyncio's transports and of `_Port`."""

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...


class Wire(asyncio.Protocol):
    """One open connection. Not for two askers at once: the line takes turns."""

    def __init__(self, endpoint: ModbusEndpoint) -> None:
        self._loop = asyncio.get_running_loop()
        self._judge = judge_rtu if endpoint.is_rtu else judge
        self._frame = rtu_frame if endpoint.is_rtu else tcp_frame
        self._transport: _Transport | None = None
        self._asked: Asked | None = None
        self._answer: asyncio.Future[Verdict] | None = None
        self.received = b""
        """all that came since the last question"""
        self._unjudged = b""
        """what of it may still become an answer"""
        self.heard_at = 0.0
        """the loop's time when the last byte went either way"""

    async def ask(self, asked: Asked, timeout_s: float) -> Verdict:
        """The answer (WHOLE), what is wrong with it (NONSENSE, at once), or how far it came in `timeout_s` seconds (CUT, NOTHING).

        Raises ConnectionError when the connection ends or has ended.
        """
        if self._transport is None:
            raise ConnectionResetError("the peer closed the connection")
        answer: asyncio.Future[Verdict] = self._loop.create_future()
        self._answer = answer
        self._asked, self.received, self._unjudged = asked, b"", b""
        timer = self._loop.call_later(timeout_s, self._give_up, answer)
        try:
            self.heard_at = self._loop.time()
            self._transport.write(self._frame(asked))
            return await answer
        finally:
            timer.cancel()
            if answer.done() and not answer.cancelled():
                answer.exception()  # a connection that ended while we were cancelled is told to nobody, and is no error of the loop's
            self._asked = self._answer = None

    def _give_up(self, answer: "asyncio.Future[Verdict]") -> None:
        if not answer.done() and self._asked is not None:
            answer.set_result(self._judge(self._unjudged, self._asked))

    def connection_made(self, transport: Any) -> None:
        """asyncio's word that it is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A piece of what the peer sends."""
        self.heard_at = self._loop.time()
        if self._asked is None or self._answer is None or self._answer.done():
            return
        self.received = self.received + data if self.received else data
        self._unjudged = self._unjudged + data if self._unjudged else data
        verdict = self._judge(self._unjudged, self._asked)
        if verdict.stage is Stage.WHOLE or verdict.stage is Stage.NONSENSE:
            self._answer.set_result(verdict)
        elif verdict.stage is Stage.NOTHING:
            self._unjudged = (
                b""  # whole answers to other questions: a peer that babbles byte by byte costs each of them once
            )
        if not self._answer.done() and len(self.received) > _MOST:
            self._answer.set_result(Verdict(Stage.NONSENSE, reason=f"{len(self.received)} bytes and no answer in them"))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's word that it is gone: whoever waits must not wait for the time-out."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the peer closed the connection"))

    async def leave(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn


@asynccontextmanager
async def opened(endpoint: ModbusEndpoint) -> AsyncIterator[Wire]:
    """The open wire; raises LinkDown when nothing is there, AccessDenied when the machine does not let us use its port."""
    wire = Wire(endpoint)
    try:
        await _open(endpoint, wire)
        yield wire
    finally:
        await wire.leave()


async def _open(endpoint: ModbusEndpoint, wire: Wire) -> None:
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            if endpoint.device is not None:
                wire.connection_made(_Port(endpoint, wire))
                return
            assert endpoint.host is not None
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(lambda: wire, endpoint.host, endpoint.port)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except TimeoutError:
        raise LinkDown(f"{endpoint.name}: no connection within {endpoint.timeout_s} s") from None
    except (OSError, ValueError, termios.error) as error:  # ValueError: a rate that the port does not know
        denied = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM)
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise (AccessDenied if denied and endpoint.device is not None else LinkDown)(
            f"{endpoint.name}: {reason}"
        ) from None


class _Port:
    """A serial port as a transport. A question is short: what the port does not take at once it takes when it can."""

    def __init__(self, endpoint: ModbusEndpoint, wire: Wire) -> None:
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._unsent = b""
        # opened for us alone: two readers on one line each get half
        self._serial = serial.Serial(
            endpoint.device,
            baudrate=endpoint.baudrate,
            bytesize=8,
            parity=endpoint.parity,
            stopbits=endpoint.stopbits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
        self._loop.add_reader(self._serial.fileno(), self._guarded, self._read)

    def write(self, data: bytes) -> None:
        self._unsent = data  # of an older question nothing is worth sending any more
        self._guarded(self._send)

    def abort(self) -> None:
        self._end(None)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._end(error)

    def _read(self) -> None:
        octets = os.read(self._serial.fileno(), 4096)
        if not octets:
            raise OSError(errno.EIO, "the port is gone")
        self._wire.data_received(octets)

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[os.write(self._serial.fileno(), self._unsent) :]
        if self._unsent:
            self._loop.add_writer(self._serial.fileno(), self._guarded, self._send)
        else:
            self._loop.remove_writer(self._serial.fileno())

    def _end(self, error: Exception | None) -> None:
        if not self._serial.is_open:
            return
        self._loop.remove_reader(self._serial.fileno())
        self._loop.remove_writer(self._serial.fileno())
        with contextlib.suppress(OSError, termios.error):
            self._serial.reset_output_buffer()  # closing would wait until it has been sent
        with contextlib.suppress(OSError):
            self._serial.close()
        self._wire.connection_lost(error)
