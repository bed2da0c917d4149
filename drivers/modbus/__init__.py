"""Modbus TCP, RTU and RTU over TCP: reads coils, discrete inputs, input and holding registers; writes coils and holding registers.

`settings` is what people write, `plan`, `values` and `frame` are pure, `wire` is the connection, `line` asks questions over it, `link` reads points,
`search` looks for units.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import BaseModel

from drivers.modbus.settings import ModbusAddress, ModbusDevice, ModbusEndpoint, ModbusSearch
from hub.driver import Binding, Found, Link


class ModbusDriver:
    """The driver `modbus` (see hub.driver for the contract)."""

    name: str = "modbus"
    Endpoint: type[BaseModel] = ModbusEndpoint
    Device: type[BaseModel] = ModbusDevice
    Address: type[BaseModel] = ModbusAddress
    Search: type[BaseModel] = ModbusSearch

    def __init__(self) -> None:
        self._doubtful: dict[str, set[int]] = {}
        """of each serial line by name: units that owe an answer from an earlier link, one entry an endpoint"""

    def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AbstractAsyncContextManager[Link]:
        """A context that yields a link which polls and writes; entering raises LinkDown or AccessDenied."""
        from drivers.modbus.link import connect  # a serial library is loaded only where a link is made

        doubtful = self._doubtful.setdefault(endpoint.name, set()) if endpoint.is_rtu else set()
        return connect(endpoint, bindings, doubtful)

    def discover(self, search: Any) -> AsyncIterator[Found]:
        """The units in the range of `search` that answer (see hub.driver.Discoverer)."""
        from drivers.modbus.search import discover

        return discover(search)


driver = ModbusDriver()
