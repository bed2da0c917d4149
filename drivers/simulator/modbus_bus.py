"""A Modbus device of our own making for `anxin simulate`: TCP, RTU over TCP, or RTU on a pseudo terminal, with faults.

pymodbus' server (`drivers.simulator.modbus`) knows neither a half answer nor a cut connection; this one is told what to do with each answer.
Sources: Modbus Application Protocol V1.1b3, section 6; MODBUS Messaging on TCP/IP V1.0b, 3.1.3; MODBUS over Serial Line V1.02, 2.5.1 and 6.2.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from drivers.simulator.exchange import Places
from drivers.simulator.faults import BIT, HALF, RESET, SILENCE, WRONG_ID, Faults
from drivers.simulator.wire import Pty

_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input", 5: "coil", 6: "holding", 15: "coil", 16: "holding"}
_NO_FUNCTION, _NO_ADDRESS, _NO_VALUE = 1, 2, 3
_MOST = {1: 2000, 2: 2000, 3: 125, 4: 125, 15: 1968, 16: 123}
_GAP = 0.05
"""Seconds of silence on a serial line after which a frame that began is given up."""


def crc(frame: bytes) -> bytes:
    """MODBUS over Serial Line V1.02, 6.2.2: low octet first."""
    register = 0xFFFF
    for octet in frame:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


def answer(places: Places, unit: int, pdu: bytes) -> bytes:
    """The PDU that answers `pdu`; writes change `places`. Anything at all is answered, nonsense with an exception."""
    function = pdu[0]
    if function not in _TABLES:
        return bytes((function | 0x80, _NO_FUNCTION))
    if len(pdu) < 5:
        return bytes((function | 0x80, _NO_VALUE))
    table, first, argument = _TABLES[function], int.from_bytes(pdu[1:3]), int.from_bytes(pdu[3:5])
    single = function in (5, 6)
    count = 1 if single else argument
    if not single and not 1 <= count <= _MOST[function]:
        return bytes((function | 0x80, _NO_VALUE))
    asked = [(unit, table, first + offset) for offset in range(count)]
    if any(place not in places for place in asked):
        return bytes((function | 0x80, _NO_ADDRESS))
    if function <= 4:
        values = [places[place] for place in asked]
        if function in (3, 4):
            content = b"".join(value.to_bytes(2) for value in values)
        else:
            content = sum(value << n for n, value in enumerate(values)).to_bytes((count + 7) // 8, "little")
        return bytes((function, len(content))) + content
    written = _written(function, argument, count, pdu[6:])
    if written is None:
        return bytes((function | 0x80, _NO_VALUE))
    places.update(zip(asked, written, strict=True))
    return pdu[:5]


def _written(function: int, argument: int, count: int, content: bytes) -> list[int] | None:
    if function == 5:
        return [argument >> 15] if argument in (0, 0xFF00) else None
    if function == 6:
        return [argument]
    if len(content) != (2 * count if function == 16 else (count + 7) // 8):
        return None
    if function == 16:
        return [int.from_bytes(content[at : at + 2]) for at in range(0, 2 * count, 2)]
    return [content[n // 8] >> n % 8 & 1 for n in range(count)]


class Request(NamedTuple):
    """One request cut out of a stream: `head` goes before the answer's PDU."""

    unit: int
    pdu: bytes
    transaction: bytes = b""


def next_tcp(buffer: bytes) -> tuple[Request | None, bytes]:
    """The first request of a stream and what stands behind it; None while it is not whole."""
    if len(buffer) < 8:
        return None, buffer
    size = 6 + int.from_bytes(buffer[4:6])
    if buffer[2:4] != b"\0\0" or not 8 <= size <= 260:
        return None, b""
    if len(buffer) < size:
        return None, buffer
    return Request(buffer[6], buffer[7:size], buffer[:2]), buffer[size:]


def next_rtu(buffer: bytes) -> tuple[Request | None, bytes]:
    """The same over RTU: a request whose checksum is wrong is nothing at all."""
    if len(buffer) < 8:
        return None, buffer
    size = 8 if buffer[1] not in (15, 16) else 9 + buffer[6]
    if len(buffer) < size:
        return None, buffer
    frame = buffer[:size]
    if crc(frame[:-2]) != frame[-2:]:
        return None, b""
    return Request(frame[0], frame[1:-2]), buffer[size:]


class ModbusBus:
    """Devices on one line or port. `transport` is the endpoint's; `places` may be changed at any time."""

    def __init__(self, transport: str, faults: Faults, folder: Path, name: str, host: str = "127.0.0.1") -> None:
        self.places: Places = {}
        self.endpoint: dict[str, object] = {"transport": transport}
        self._rtu = transport != "tcp"
        self._faults = faults
        self._host = host
        self._pty = Pty(folder / name) if transport == "rtu" else None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen; the port keeps its number until `close`."""
        if self._pty is not None:
            await self._pty.plug()
            self.endpoint["device"] = self._pty.port
            self._start(self._serve_pty(self._pty), f"simulated line {self._pty.port}")
            return
        self._server = await asyncio.start_server(self._answer, self._host, 0)
        self.endpoint |= {"host": self._host, "port": self._server.sockets[0].getsockname()[1]}

    async def close(self) -> None:
        """Leave nothing behind."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._server is not None:
            await self._server.wait_closed()
        if self._pty is not None:
            await self._pty.unplug()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, _Cut):
                await self._serve(reader, writer.write)
                await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve_pty(self, pty: Pty) -> None:
        while True:
            try:
                await self._serve(pty.reader, pty.feed)
            except _Cut:
                continue  # a line is not cut by its device: the rest of the frame is lost

    async def _serve(self, reader: asyncio.StreamReader, send: Callable[[bytes], None]) -> None:
        """Until the far end hangs up; raises _Cut in the middle of a frame."""
        buffer = b""
        cut = next_rtu if self._rtu else next_tcp
        while True:
            request, buffer = cut(buffer)
            if request is not None:
                self._reply(request, send)
                continue
            try:
                async with asyncio.timeout(_GAP if buffer and self._rtu else None):
                    octets = await reader.read(4096)
            except TimeoutError:
                buffer = b""
                continue
            if not octets:
                return
            buffer = buffer[-260:] + octets

    def _reply(self, request: Request, send: Callable[[bytes], None]) -> None:
        unit = request.unit
        if not any(place[0] == unit for place in self.places):
            return  # no such unit on this line: nobody answers
        pdu = answer(self.places, unit, request.pdu)
        possible = (SILENCE, HALF, WRONG_ID, RESET, BIT) if self._rtu else (SILENCE, HALF, WRONG_ID, RESET)
        fault = self._faults.draw(*possible)
        frame = self._faults.spoil(
            self._frame(request.transaction, unit, pdu), fault, lambda _: self._renamed(request, pdu)
        )
        if frame:
            send(frame)
        if fault == RESET:
            raise _Cut

    def _frame(self, transaction: bytes, unit: int, pdu: bytes) -> bytes:
        if self._rtu:
            return bytes((unit,)) + pdu + crc(bytes((unit,)) + pdu)
        return transaction + b"\0\0" + (len(pdu) + 1).to_bytes(2) + bytes((unit,)) + pdu

    def _renamed(self, request: Request, pdu: bytes) -> bytes:
        """Over TCP the answer to another question, on a line another unit's."""
        if self._rtu:
            return self._frame(b"", self._faults.other(request.unit, 255), pdu)
        number = self._faults.other(int.from_bytes(request.transaction), 0xFFFF)
        return self._frame(number.to_bytes(2), request.unit, pdu)


class _Cut(Exception):
    """The connection ends in the middle of a frame."""
