"""SNMP: polls agents by v3 (authPriv) and, where somebody accepted it, v2c.

`settings` is what people write, `values` is pure, `link` is the connection and alone imports gufo-snmp.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import BaseModel

from drivers.snmp.listener import Listeners
from drivers.snmp.memory import Memory
from drivers.snmp.settings import SnmpAddress, SnmpDevice, SnmpEndpoint
from hub.driver import Binding, Link


class SnmpDriver:
    """The driver `snmp` (see hub.driver for the contract)."""

    name: str = "snmp"
    Endpoint: type[BaseModel] = SnmpEndpoint
    Device: type[BaseModel] = SnmpDevice
    Address: type[BaseModel] = SnmpAddress

    def __init__(self) -> None:
        self._memory = Memory()
        self._listeners = Listeners()

    def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AbstractAsyncContextManager[Link]:
        """A context that yields a link which polls; entering raises LinkDown or AccessDenied."""
        from drivers.snmp.link import connect  # gufo-snmp is loaded only where a link is made

        return connect(endpoint, bindings, self._memory, self._listeners)


driver = SnmpDriver()
