"""The demo's Modbus device, asked by libmodbus' mbpoll."""

import asyncio

import pytest

from drivers.simulator.modbus import ModbusDevice
from hub.engine import Prefix


async def mbpoll(peers: Prefix, device: ModbusDevice, *options: str, write: tuple[str, ...] = ()) -> str:
    asked = await asyncio.create_subprocess_exec(
        *(peers.program("mbpoll"), "-m", "tcp", "-p", str(device.port), "-1", "-0", *options, device.host, *write),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asked.communicate()
    return said.decode()


async def test_an_independent_client_reads_every_table(peers: Prefix) -> None:
    async with ModbusDevice() as device:
        device.set_holding(3, 100, 4242)
        device.set_input(3, 7, 17)
        device.set_coil(3, 1, True)
        device.set_discrete(3, 2, True)
        assert "[100]: \t4242" in await mbpoll(peers, device, "-a", "3", "-t", "4", "-r", "100")
        assert "[7]: \t17" in await mbpoll(peers, device, "-a", "3", "-t", "3", "-r", "7")
        assert "[1]: \t1" in await mbpoll(peers, device, "-a", "3", "-t", "0", "-r", "1")
        assert "[2]: \t1" in await mbpoll(peers, device, "-a", "3", "-t", "1", "-r", "2")


async def test_what_was_never_set_is_refused(peers: Prefix) -> None:
    async with ModbusDevice() as device:
        device.set_holding(1, 1, 1)
        assert "Illegal data address" in await mbpoll(peers, device, "-a", "1", "-t", "4", "-r", "2")
        device.remove(1, "holding", 1)
        device.set_coil(1, 1, False)
        assert "Illegal data address" in await mbpoll(peers, device, "-a", "1", "-t", "4", "-r", "1")


async def test_what_a_client_writes_can_be_seen(peers: Prefix) -> None:
    async with ModbusDevice() as device:
        device.set_holding(1, 5, 0)
        await mbpoll(peers, device, "-a", "1", "-t", "4", "-r", "5", write=("77",))
        assert device.get(1, "holding", 5) == 77


async def test_plugging_twice_and_unplugging_twice_does_nothing_more() -> None:
    async with ModbusDevice() as device:
        port = device.port
        await device.plug()
        await device.unplug()
        await device.unplug()
        await device.plug()
        assert device.port == port


async def test_a_value_out_of_bounds_is_refused() -> None:
    device = ModbusDevice()
    with pytest.raises(ValueError, match="out of bounds"):
        device.set_holding(1, 1, 65_536)
    with pytest.raises(ValueError, match="out of bounds"):
        device.set_input(256, 1, 1)


async def test_a_muted_unit_is_silent_and_its_neighbour_is_not(peers: Prefix) -> None:
    async with ModbusDevice() as device:
        for unit in (1, 2):
            device.set_holding(unit, 1, unit)
        device.mute(1)
        assert "timed out" in await mbpoll(peers, device, "-o", "0.2", "-a", "1", "-t", "4", "-r", "1")
        assert "[1]: \t2" in await mbpoll(peers, device, "-a", "2", "-t", "4", "-r", "1")
        device.unmute(1)
        assert "[1]: \t1" in await mbpoll(peers, device, "-a", "1", "-t", "4", "-r", "1")
