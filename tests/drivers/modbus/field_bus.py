"""A Modbus device of ours for the contract and for RTU: every frame is made by hand, over TCP, RTU over TCP or a pseudo terminal.

It shares no code with pymodbus or the driver: its checksum is computed bit by bit as the standard's appendix describes it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.modbus import driver
from drivers.simulator.wire import Pty
from hub.model import Series
from hub.testing import ContractPeer, eventually
from tests.drivers.modbus.peers import HOST, binding

Send = Callable[[bytes], None]
LAGGING_S = 0.04
"""Between a late answer and the one that is due: in one piece nobody would take the one for the other."""
DEAD = b"\x02"
"""Exception 2: no such address."""


def checksum(frame: bytes) -> bytes:
    """MODBUS over Serial Line V1.02, 6.2.2: low byte first."""
    register = 0xFFFF
    for byte in frame:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


class FieldBus(ContractPeer):
    """Holding registers of one unit or more. `transport` is the endpoint's: `tcp`, `rtu_over_tcp` or `rtu`."""

    def __init__(self, transport: str, folder: Path, units: tuple[int, ...] = (1,), **settings: Any) -> None:
        self.transport = transport
        self.units = units
        self.bindings = [binding(f"h{at}", device={"unit": 1}, table="holding", address=at) for at in (1, 5)]
        self.values = {one.series: 100 + number for number, one in enumerate(self.bindings)}
        self.asked_for: list[tuple[int, int, int]] = []
        """(unit, address, count) of every question"""
        self.written: list[tuple[int, int, int]] = []
        """(unit, address, value) of every write of a single register"""
        self.mute: set[int] = set()
        self.silent = False
        self.delay = 0.0
        """seconds before each answer"""
        self.hold = 0
        """so many of the next questions are answered late"""
        self._held: list[bytes] = []
        self._question = asyncio.Event()
        self._next = 200
        self._dead: set[int] = set()
        self._pty = Pty(folder / "bus") if transport == "rtu" else None
        self._settings: dict[str, Any] = {"timeout_s": 0.3, **settings}
        if transport != "tcp":
            self._settings = {"late_s": 0.1} | self._settings
        self._number = 0
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter | None] = {}

    async def start(self) -> "FieldBus":
        await self.recover()
        where = {"device": self._pty.port} if self._pty else {"host": HOST, "port": self._number}
        self.endpoint = driver.Endpoint.model_validate({"transport": self.transport, **where, **self._settings})
        return self

    # ---- misfortunes ----

    async def asked(self) -> None:
        await self._question.wait()

    async def refuse(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            for writer in self._tasks.values():
                if writer is not None:
                    writer.transport.abort()
            await eventually(lambda: not self._tasks)
            await server.wait_closed()
        if self._pty is not None:
            await self._pty.unplug()
            await eventually(lambda: not self._tasks)

    async def fall_silent(self) -> None:
        self.silent = True
        self._question.clear()

    async def freeze(self) -> None:
        await self.fall_silent()

    async def kill_point(self, series: Series) -> None:
        self._dead.add(int(series.point[1:]))

    async def hold_answer(self) -> None:
        self.hold = 1

    async def change(self, series: Series) -> None:
        self._next += 1
        self.values[series] = self._next

    async def recover(self) -> None:
        self.silent = False
        if self._pty is not None and not self._tasks:
            await self._pty.plug()
            task = asyncio.create_task(self._serve(self._pty.reader, self._to_line))
            self._tasks[task] = None
            task.add_done_callback(self._tasks.pop)
        elif self._pty is None and self._server is None:
            self._server = await asyncio.start_server(self._called, HOST, self._number)
            self._number = self._server.sockets[0].getsockname()[1]

    async def send(self, octets: bytes) -> None:
        """Noise on a pseudo terminal."""
        assert self._pty is not None
        await self._pty.write(octets)

    # ---- frames ----

    def _to_line(self, octets: bytes) -> None:
        assert self._pty is not None
        task = asyncio.create_task(self._pty.write(octets))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = writer
        try:
            await self._serve(reader, writer.write)
        finally:
            self._tasks.pop(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, send: Send) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                if self.transport == "tcp":
                    head = await reader.readexactly(6)
                    unit, pdu = (question := await reader.readexactly(int.from_bytes(head[4:6])))[0], question[1:]
                    answer = self._answer(unit, pdu)
                    frame = head[:4] + (1 + len(answer)).to_bytes(2) + bytes([unit]) + answer
                else:
                    question = await reader.readexactly(2)
                    question += await reader.readexactly({17: 2, 43: 5}.get(question[1], 6))
                    assert checksum(question[:-2]) == question[-2:]
                    unit, pdu = question[0], question[1:-2]
                    frame = bytes([unit]) + self._answer(unit, pdu)
                    frame += checksum(frame)
                if unit in self.mute or unit not in self.units or self.silent:
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._give(frame, send)

    async def _give(self, frame: bytes, send: Send) -> None:
        if self.hold:
            self.hold -= 1
            self._held.append(frame)
            return
        if self._held:
            self.late_sent += len(self._held)
            send(b"".join(self._held))
            self._held.clear()
            await asyncio.sleep(LAGGING_S)
        send(frame)

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        if pdu[0] in (17, 43):
            return bytes([pdu[0] | 0x80, 1])
        address, count = int.from_bytes(pdu[1:3]), int.from_bytes(pdu[3:5])
        self.asked_for.append((unit, address, count))
        self._question.set()
        if pdu[0] == 6:
            self.written.append((unit, address, count))
            self.values[Series(f"unit-{unit}", f"h{address}")] = count
            return pdu
        if self._dead & set(range(address, address + count)):
            return bytes([pdu[0] | 0x80]) + DEAD
        known = {int(series.point[1:]): raw for series, raw in self.values.items() if series.device == f"unit-{unit}"}
        words = [int(known.get(at, 0)) for at in range(address, address + count)]
        return pdu[:1] + bytes([2 * count]) + b"".join(word.to_bytes(2) for word in words)
