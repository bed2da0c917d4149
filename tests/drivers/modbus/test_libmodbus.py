"""The driver reads libmodbus' server over TCP, over a line and over a serial server; libmodbus' client reads the server of our simulator."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus import driver
from drivers.simulator.modbus import ModbusDevice
from hub.driver import Binding, PollLink, WriteLink
from hub.engine import Prefix
from hub.model import Scalar
from hub.testing import eventually
from tests.drivers.modbus.field_bus import FieldBus
from tests.drivers.modbus.libmodbus import asking, served
from tests.drivers.modbus.peers import binding, endpoint
from tests.ports import free_port

DOUBLE = struct.unpack(">4H", struct.pack(">d", -21.5))
TEXT = struct.unpack(">3H", "安心".encode())
VALUES = {
    "coil": {3: 1},
    "discrete": {4: 1},
    "input": {5: 0xFFFE, 6: 0x0034},
    "holding": {100: 0b1000, **dict(enumerate(DOUBLE, 101)), **dict(enumerate(TEXT, 200)), 300: 0, 301: 7, 302: 1},
}
POINTS: dict[str, tuple[str, dict[str, Any], Scalar]] = {
    "coil": ("bool", {"table": "coil", "address": 3}, True),
    "discrete": ("bool", {"table": "discrete", "address": 4}, True),
    "nothing": ("bool", {"table": "discrete", "address": 5}, False),
    "signed": ("int", {"table": "input", "address": 5, "type": "i16"}, -2),
    "field": ("int", {"table": "input", "address": 6, "bit": 4, "bits": 2}, 3),
    "bit": ("bool", {"table": "holding", "address": 100, "bit": 3}, True),
    "double": ("float", {"table": "holding", "address": 101, "type": "f64"}, -21.5),
    "text": ("str", {"table": "holding", "address": 200, "type": "string", "length": 3, "encoding": "utf-8"}, "安心"),
    "long": ("int", {"table": "holding", "address": 300, "type": "u64", "word_order": "little"}, 65_543 << 16),
}
ASKED = {name: raw for name, (_, _, raw) in POINTS.items()}


def points(unit: int) -> list[Binding]:
    bound = [binding(name, kind, device={"unit": unit}, **address) for name, (kind, address, _) in POINTS.items()]
    return [
        *bound,
        binding("lamp", "bool", device={"unit": unit}, writable=True, table="coil", address=9),
        binding("limit", device={"unit": unit}, writable=True, table="holding", address=400),
        binding("wide", "float", device={"unit": unit}, writable=True, table="holding", address=402, type="f32"),
    ]


async def speaks(told: Any, unit: int) -> None:
    """Every table and type is read, and what is written is read back."""
    bound = points(unit)
    async with driver.connect(told, bound) as link:
        assert isinstance(link, PollLink)
        assert isinstance(link, WriteLink)
        read = await link.read([one.series for one in bound])
        assert {one.series.point: one.raw for one in read if one.series.point in ASKED} == ASKED
        assert {one.error for one in read} == {None}
        for one, value in zip(bound[-3:], (True, 517, -0.25), strict=True):
            assert await link.write(one.series, value) == value


@contextlib.asynccontextmanager
async def socat(peers: Prefix, *ends: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(str(peers.program("socat1")), *ends)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def pty(path: Path) -> str:
    return f"pty,link={path},raw,echo=0"


@pytest.fixture
def ends(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "ours", tmp_path / "theirs"


async def test_over_tcp_every_table_and_type_is_read_and_written(peers: Prefix) -> None:
    with served(peers, VALUES) as server:
        await speaks(endpoint(server.port, timeout_s=10), 1)
        with asking(peers, port=server.port) as client:
            assert client.ask("coil", 9, 1) == [1]
            assert client.ask("holding", 400, 1) == [517]


async def test_over_a_serial_line_every_table_and_type_is_read_and_written(
    peers: Prefix, ends: tuple[Path, Path]
) -> None:
    async with socat(peers, pty(ends[0]), pty(ends[1])):
        await eventually(lambda: all(end.exists() for end in ends))
        with served(peers, VALUES, device=str(ends[1]), unit=7):
            told = {"transport": "rtu", "device": str(ends[0]), "timeout_s": 3, "late_s": 0.05}
            await speaks(driver.Endpoint.model_validate(told), 7)


async def test_over_a_serial_server_every_table_and_type_is_read_and_written(
    peers: Prefix, ends: tuple[Path, Path]
) -> None:
    port = free_port()
    listening = f"tcp-listen:{port},bind=127.0.0.1,reuseaddr,fork"
    async with socat(peers, pty(ends[0]), pty(ends[1])):
        await eventually(lambda: all(end.exists() for end in ends))
        with served(peers, VALUES, device=str(ends[1]), unit=7):
            async with socat(peers, listening, f"{ends[0]},raw,echo=0"):
                await _listens(port)
                told = {"transport": "rtu_over_tcp", "host": "127.0.0.1", "port": port, "timeout_s": 3, "late_s": 0.05}
                await speaks(driver.Endpoint.model_validate(told), 7)


async def _listens(port: int) -> None:
    """Seen without calling: a caller would be passed on to the line."""
    needle = f":{port:04X} 00000000:0000 0A"
    await eventually(lambda: needle in Path("/proc/net/tcp").read_text())


async def test_a_unit_that_is_not_on_libmodbus_line_is_an_error_and_its_neighbour_is_read(
    peers: Prefix, ends: tuple[Path, Path]
) -> None:
    async with socat(peers, pty(ends[0]), pty(ends[1])):
        await eventually(lambda: all(end.exists() for end in ends))
        with served(peers, {"holding": {1: 11}}, device=str(ends[1]), unit=7):
            told = {"transport": "rtu", "device": str(ends[0]), "timeout_s": 1, "late_s": 0.05}
            bound = [binding("h1", device={"unit": unit}, table="holding", address=1) for unit in (7, 8)]
            async with driver.connect(driver.Endpoint.model_validate(told), bound) as link:
                assert isinstance(link, PollLink)
                read = await link.read([one.series for one in bound])
            assert [(one.raw, one.error) for one in read] == [(11, None), (None, "unit 8 did not answer within 1.0 s")]


async def test_libmodbus_client_reads_and_writes_the_server_of_our_simulator(peers: Prefix) -> None:
    async with ModbusDevice() as device:
        for address in range(3):
            device.set_holding(1, 100 + address, 11 * address)
            device.set_input(1, address, address)
            device.set_discrete(1, address, address == 1)
        device.set_coil(1, 16, False)

        def ask() -> list[Any]:
            with asking(peers, port=device.port) as client:
                return [
                    client.ask("holding", 100, 3),
                    client.ask("input", 0, 3),
                    client.ask("discrete", 0, 3),
                    client.ask("holding", 500, 1),
                    client.ask("write", 101, 9),
                    client.ask("write_coil", 16, 1),
                ]

        answers = await asyncio.to_thread(ask)
        assert answers == [[0, 11, 22], [0, 1, 2], [0, 1, 0], "Illegal data address", 1, 1]
        assert device.get(1, "holding", 101) == 9
        assert device.get(1, "coil", 16) == 1


async def test_libmodbus_client_reads_our_field_bus_so_that_what_the_driver_proves_on_it_holds(
    peers: Prefix, tmp_path: Path
) -> None:
    bus = await FieldBus("rtu", tmp_path).start()

    def ask() -> Any:
        with asking(peers, device=str(bus.endpoint.device)) as client:
            return client.ask("holding", 5, 1)

    assert await asyncio.to_thread(ask) == [101]
    await bus.refuse()
