"""A Modbus TCP device on loopback: pymodbus' server over registers that the caller sets.

::

    async with ModbusDevice(port=0) as device:
        device.set_holding(unit=1, address=100, value=7)
        await device.unplug()          # the port is closed, connections are cut
        await device.plug()            # and open again, the same port
        device.garble_next()           # the next answer is garbage
        device.mute(1)                 # the unit is dead behind its gateway; unmute(1) brings it back

Only addresses that were set exist: others are answered with exception 2, units without any address with exception 11.
"""

import socket
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

HOST = "127.0.0.1"
GARBAGE = b"\x00\x01\xca\xfe\x00\x06garbage"
"""A header whose protocol identifier is not Modbus'."""
_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input", 5: "coil", 6: "holding", 15: "coil", 16: "holding"}


class _Registers:
    """The store that pymodbus' server asks; writes of clients land here too."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, str, int], int] = {}

    def device_ids(self) -> list[int]:
        return sorted({unit for unit, _, _ in self.values})

    def _places(self, unit: int, function: int, address: int, count: int) -> list[tuple[int, str, int]]:
        if unit not in self.device_ids():
            raise NoSuchIdException(f"no unit {unit}")
        return [(unit, _TABLES[function], address + offset) for offset in range(count)]

    async def async_getValues(self, unit: int, function: int, address: int, count: int = 1) -> list[int] | ExcCodes:
        places = self._places(unit, function, address, count)
        if any(place not in self.values for place in places):
            return ExcCodes.ILLEGAL_ADDRESS
        return [self.values[place] for place in places]

    async def async_setValues(self, unit: int, function: int, address: int, values: Sequence[int]) -> ExcCodes | None:
        places = self._places(unit, function, address, len(values))
        if any(place not in self.values for place in places):
            return ExcCodes.ILLEGAL_ADDRESS
        self.values.update(zip(places, map(int, values), strict=True))
        return None


class ModbusDevice:
    """An async context manager; `port` 0 takes a free one, `port` then says which."""

    def __init__(self, port: int = 0) -> None:
        self.host = HOST
        self.port = port
        self._registers = _Registers()
        self._garbage: deque[bytes] = deque(maxlen=64)
        self._muted: set[int] = set()
        self._server: ModbusTcpServer | None = None
        self.requests = 0
        """requests that came since the start"""

    async def __aenter__(self) -> Self:
        if self.port == 0:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, 0))
                self.port = probe.getsockname()[1]
        await self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.unplug()

    async def plug(self) -> None:
        """Open the port; nothing happens when it is open."""
        if self._server is not None:
            return
        nothing = SimDevice(id=0, simdata=[SimData(address=0, datatype=DataType.INVALID)])
        server = ModbusTcpServer(nothing, address=(HOST, self.port), trace_packet=self._packet)
        context: Any = self._registers
        server.context = context
        await server.serve_forever(background=True)
        self._server = server

    async def unplug(self) -> None:
        """Close the port and cut every connection; nothing happens when it is closed."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()  # type: ignore[no-untyped-call]

    def fill(self, places: Mapping[tuple[int, str, int], int]) -> None:
        """Set many at once: unit, `coil`, `discrete`, `input` or `holding`, address → value."""
        for (unit, table, address), value in places.items():
            self._set(unit, table, address, value, 0xFFFF if table in ("input", "holding") else 1)

    def set_holding(self, unit: int, address: int, value: int) -> None:
        """Set a holding register, 0 to 65535; it exists from then on."""
        self._set(unit, "holding", address, value, 0xFFFF)

    def set_input(self, unit: int, address: int, value: int) -> None:
        """Set an input register, 0 to 65535."""
        self._set(unit, "input", address, value, 0xFFFF)

    def set_coil(self, unit: int, address: int, value: bool) -> None:
        """Set a coil."""
        self._set(unit, "coil", address, int(value), 1)

    def set_discrete(self, unit: int, address: int, value: bool) -> None:
        """Set a discrete input."""
        self._set(unit, "discrete", address, int(value), 1)

    def get(self, unit: int, table: str, address: int) -> int:
        """What stands in `coil`, `discrete`, `input` or `holding`, a client's write included; KeyError when it was never set."""
        return self._registers.values[unit, table, address]

    def remove(self, unit: int, table: str, address: int) -> None:
        """Make an address answer with exception 2."""
        del self._registers.values[unit, table, address]

    def garble_next(self, answer: bytes = GARBAGE) -> None:
        """Send `answer` instead of the next answer; calls queue up."""
        self._garbage.append(answer)

    def mute(self, unit: int) -> None:
        """Leave this unit's requests without any answer, as a dead device behind a gateway does."""
        self._muted.add(unit)

    def unmute(self, unit: int) -> None:
        """Let it answer again."""
        self._muted.discard(unit)

    def _set(self, unit: int, table: str, address: int, value: int, most: int) -> None:
        if not (0 <= unit <= 255 and 0 <= address <= 0xFFFF and 0 <= value <= most):
            raise ValueError(f"unit {unit} {table} {address}: {value} is out of bounds")
        self._registers.values[unit, table, address] = value

    def _packet(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            return data
        self.requests += 1
        if data[6] in self._muted:
            return b""
        return self._garbage.popleft() if self._garbage else data
