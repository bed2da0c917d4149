"""The link against pyModbusTCP's server, an implementation that shares no code with pymodbus."""

import asyncio
import struct
import time
from collections.abc import Iterator

import pytest

from drivers.modbus import driver
from drivers.simulator.modbus import ModbusDevice
from hub.driver import Binding, PollLink, WriteLink
from hub.errors import BadInput, LinkDown
from hub.model import Sample, Series
from tests.drivers.modbus.peers import IndependentServer, binding, endpoint, holding, independent_server
from tests.ports import free_port


@pytest.fixture
def peer() -> Iterator[IndependentServer]:
    with independent_server() as server:
        yield server


async def read_all(peer: IndependentServer, bindings: list[Binding]) -> dict[str, Sample]:
    async with driver.connect(endpoint(peer.port), bindings) as link:
        assert isinstance(link, PollLink)
        return {sample.series.point: sample for sample in await link.read([one.series for one in bindings])}


async def test_every_table_and_type_is_read(peer: IndependentServer) -> None:
    peer.bank.set_coils(3, [True])
    peer.bank.set_discrete_inputs(4, [True])
    peer.bank.set_input_registers(5, [0xFFFE])
    peer.bank.set_holding_registers(100, [0b1000, *struct.unpack(">HHHH", struct.pack(">d", 21.5))])
    peer.bank.set_holding_registers(200, list(struct.unpack(">4H", "安心x".encode("gb18030").ljust(8, b"\0"))))
    seen = await read_all(
        peer,
        [
            binding("coil", "bool", table="coil", address=3),
            binding("discrete", "bool", table="discrete", address=4),
            binding("input", table="input", address=5, type="i16"),
            binding("bit", "bool", table="holding", address=100, bit=3),
            binding("float", "float", table="holding", address=101, type="f64"),
            binding("text", "str", table="holding", address=200, type="string", length=4, encoding="gb18030"),
            binding("zero", table="holding", address=300),
        ],
    )
    assert {name: sample.raw for name, sample in seen.items()} == {
        "coil": True, "discrete": True, "input": -2, "bit": True, "float": 21.5, "text": "安心x", "zero": 0,
    }  # fmt: skip


async def test_a_sample_has_the_time_at_which_it_was_read(peer: IndependentServer) -> None:
    before = time.time_ns() // 1000
    seen = await read_all(peer, [holding(1)])
    assert before <= seen["h1"].at <= time.time_ns() // 1000


async def test_neighbours_are_read_in_one_request(peer: IndependentServer) -> None:
    await read_all(peer, [holding(10), holding(11), holding(12), holding(20)])
    assert peer.handler.asked == [(10, 3), (20, 1)]


async def test_a_dead_point_does_not_spoil_its_neighbours_and_is_asked_apart_afterwards(
    peer: IndependentServer,
) -> None:
    peer.bank.set_holding_registers(10, [1, 2, 3, 4])
    peer.handler.refuses = {12}
    bindings = [holding(address) for address in (10, 11, 12, 13)]
    async with driver.connect(endpoint(peer.port), bindings) as link:
        assert isinstance(link, PollLink)
        for _ in range(2):
            peer.handler.asked.clear()
            samples = await link.read([one.series for one in bindings])
            assert [sample.raw for sample in samples] == [1, 2, None, 4]
            assert samples[2].error == "holding 12: the device refused: illegal data address (2)"
        assert peer.handler.asked == [(10, 2), (13, 1), (12, 1)]


async def test_a_gap_that_the_device_refuses_is_not_read_over_again(peer: IndependentServer) -> None:
    peer.handler.refuses = {11}
    bindings = [holding(10, max_gap=5), holding(12, max_gap=5)]
    async with driver.connect(endpoint(peer.port), bindings) as link:
        assert isinstance(link, PollLink)
        await link.read([one.series for one in bindings])
        peer.handler.asked.clear()
        assert [sample.error for sample in await link.read([one.series for one in bindings])] == [None, None]
    assert peer.handler.asked == [(10, 1), (12, 1)]


async def test_a_point_whose_type_cannot_be_is_an_error_and_is_never_asked_for(peer: IndependentServer) -> None:
    rule = [{"table": "holding", "first": 7, "last": 7}]
    forbidden = binding("forbidden", device={"forbidden": rule}, table="holding", address=7)
    seen = await read_all(peer, [forbidden, binding("text", "str", table="holding", address=8)])
    assert seen["forbidden"].error == "holding 7 is forbidden by the device's settings"
    assert "type str" in str(seen["text"].error)
    assert peer.handler.asked == []


async def test_a_series_that_is_not_bound_gets_an_error(peer: IndependentServer) -> None:
    async with driver.connect(endpoint(peer.port), [holding(1)]) as link:
        assert isinstance(link, PollLink)
        (sample,) = await link.read([Series("other", "p")])
    assert sample.error == "this link has no such point"


async def test_what_is_written_is_read_back_from_the_device(peer: IndependentServer) -> None:
    bindings = [
        binding("coil", "bool", writable=True, table="coil", address=1),
        binding("word", writable=True, table="holding", address=1, type="i16"),
        binding("float", "float", writable=True, table="holding", address=2, type="f32"),
    ]
    async with driver.connect(endpoint(peer.port), bindings) as link:
        assert isinstance(link, WriteLink)
        assert await link.write(bindings[0].series, True) is True
        assert await link.write(bindings[1].series, -5) == -5
        assert await link.write(bindings[2].series, 0.5) == 0.5
    assert peer.bank.get_coils(1) == [True]
    assert peer.bank.get_holding_registers(1, 3) == [0xFFFB, 0x3F00, 0]


async def test_a_write_that_cannot_be_is_refused_and_the_device_keeps_its_value(peer: IndependentServer) -> None:
    bindings = [
        holding(1),
        binding("input", writable=True, table="input", address=1),
        binding("word", writable=True, table="holding", address=2),
    ]
    async with driver.connect(endpoint(peer.port), bindings) as link:
        assert isinstance(link, WriteLink)
        for one, value, reason in zip(
            bindings, (1, 1, 70_000), ("not writable", "cannot be written", "u16"), strict=True
        ):
            with pytest.raises(BadInput, match=reason):
                await link.write(one.series, value)
    assert peer.bank.get_holding_registers(1, 2) == [0, 0]


async def test_reads_and_writes_at_once_keep_apart(peer: IndependentServer) -> None:
    bindings = [binding(f"w{at}", writable=True, table="holding", address=at) for at in range(20)]
    async with driver.connect(endpoint(peer.port), bindings) as link:
        assert isinstance(link, PollLink)
        assert isinstance(link, WriteLink)
        wrote = [link.write(one.series, number) for number, one in enumerate(bindings)]
        read = [link.read([one.series for one in bindings]) for _ in range(10)]
        done = await asyncio.gather(*wrote, *read)
        assert done[:20] == list(range(20))
        assert [sample.raw for sample in await link.read([one.series for one in bindings])] == list(range(20))


async def test_a_refused_connection_says_so() -> None:
    port = free_port()
    with pytest.raises(LinkDown, match=rf"modbus 127\.0\.0\.1:{port}: .*refused|{port}"):
        async with driver.connect(endpoint(port), [holding(1)]):
            pass


async def test_a_device_that_was_unplugged_is_found_again_when_it_is_back() -> None:
    async with ModbusDevice() as device:
        device.set_holding(1, 10, 7)
        async with driver.connect(endpoint(device.port), [holding(10)]) as link:
            assert isinstance(link, PollLink)
            assert [sample.raw for sample in await link.read([holding(10).series])] == [7]
            await device.unplug()
            with pytest.raises(LinkDown):
                await link.read([holding(10).series])
        with pytest.raises(LinkDown):
            async with driver.connect(endpoint(device.port), [holding(10)]):
                pass
        await device.plug()
        device.set_holding(1, 10, 8)
        async with driver.connect(endpoint(device.port), [holding(10)]) as link:
            assert isinstance(link, PollLink)
            assert [sample.raw for sample in await link.read([holding(10).series])] == [8]
