"""Peers that we did not write (pyModbusTCP's server), and peers that nobody should have written."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from pyModbusTCP.server import DataBank, DataHandler, ModbusServer

from drivers.modbus import driver
from hub.driver import Binding
from hub.model import Series
from tests.ports import free_port

HOST = "127.0.0.1"


class _Handler(DataHandler):  # type: ignore[misc]
    """pyModbusTCP's own handler, with addresses that refuse and a count of what was asked."""

    def __init__(self, bank: DataBank) -> None:
        super().__init__(bank)
        self.refuses: set[int] = set()
        self.asked: list[tuple[int, int]] = []

    def read_h_regs(self, address: int, count: int, srv_info: Any) -> Any:
        self.asked.append((address, count))
        if self.refuses & set(range(address, address + count)):
            return DataHandler.Return(exp_code=2)
        return super().read_h_regs(address, count, srv_info)


class IndependentServer:
    """pyModbusTCP's server in its own threads."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bank = DataBank()
        self.handler = _Handler(self.bank)
        self.server = ModbusServer(host=HOST, port=port, no_block=True, data_hdl=self.handler)


@contextmanager
def independent_server() -> Iterator[IndependentServer]:
    peer = IndependentServer(free_port())
    peer.server.start()
    try:
        yield peer
    finally:
        peer.server.stop()


Answer = Callable[[bytes], "bytes | None"]
"""From one request frame to the bytes sent back; None sends nothing, b"" closes the connection."""


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[int]:
    """A TCP peer that answers each request as told; yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(6)
                said = answer(head + await reader.readexactly(int.from_bytes(head[4:6])))
                if said == b"":
                    break
                if said is not None:
                    writer.write(said)

    def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task of ours: one of Python 3.11's streams that is cancelled, perhaps before its first step, is reported as an error of the loop's."""
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    server = await asyncio.start_server(called, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks.copy():
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def endpoint(port: int, **settings: Any) -> Any:
    return driver.Endpoint.model_validate({"host": HOST, "port": port, "timeout_s": 2, **settings})


def binding(
    point: str, kind: str = "int", *, device: dict[str, Any] | None = None, writable: bool = False, **address: Any
) -> Binding:
    name = f"unit-{(device or {}).get('unit', 1)}"
    return Binding(
        Series(name, point),
        driver.Device.model_validate(device or {}),
        driver.Address.model_validate(address),
        kind,
        writable,
    )


def holding(address: int, unit: int = 1, **device: Any) -> Binding:
    return binding(f"h{address}", device={"unit": unit, **device}, table="holding", address=address)


def answered(request: bytes, *words: int) -> bytes:
    """A right answer to a read of registers."""
    body = request[6:8] + bytes([2 * len(words)]) + b"".join(word.to_bytes(2) for word in words)
    return request[:4] + len(body).to_bytes(2) + body
