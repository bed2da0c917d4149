"""The simulator `modbus`: a device over Modbus TCP whose registers are known."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from drivers.simulator.exchange import REGISTERS, content_of, read_registers
from drivers.simulator.modbus import HOST, ModbusDevice
from hub.simulation import Place


class _Replay:
    """Answers from the registers; says nothing by itself."""

    end = None

    def __init__(self, port: int) -> None:
        self.endpoint: dict[str, Any] = {"transport": "tcp", "host": HOST, "port": port}

    async def play(self) -> None:
        """Nothing: it is asked."""


class ModbusSimulator:
    """Over TCP, whatever the transport was: what a register means does not depend on it."""

    name = "modbus"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`registers.yaml`; an address that is not there is refused with exception 2."""
        places = read_registers(content_of(files, REGISTERS))
        async with ModbusDevice() as device:
            device.fill(places)
            yield _Replay(device.port)


simulator = ModbusSimulator()
