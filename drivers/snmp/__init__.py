"""SNMP: asks agents by version 3 (authPriv) and, where somebody accepted it, 2c and 1; hears their traps and informs; writes; looks for them.

`settings` is what people write; `link` plans and keeps a connection, `session` alone imports gufo-snmp, `listener` has the socket for traps,
`writing` sends a SET, `search` looks for agents. `engine` alone imports pysnmp, for `listener` and `writing`, and `engines` loads it. Pure
are `values`, `reboots`, `traps`, `usm` and `frame`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import BaseModel

from drivers.snmp.listener import Listeners
from drivers.snmp.memory import Memory
from drivers.snmp.settings import SnmpAddress, SnmpDevice, SnmpEndpoint, SnmpSearch
from hub.driver import Binding, Found, Link


class SnmpDriver:
    """The driver `snmp` (see hub.driver for the contract)."""

    name: str = "snmp"
    Endpoint: type[BaseModel] = SnmpEndpoint
    Device: type[BaseModel] = SnmpDevice
    Address: type[BaseModel] = SnmpAddress
    Search: type[BaseModel] = SnmpSearch

    def __init__(self) -> None:
        self._memory = Memory()
        self._listeners = Listeners()

    def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AbstractAsyncContextManager[Link]:
        """A context that yields a link which polls; entering raises LinkDown or AccessDenied."""
        from drivers.snmp.link import connect  # gufo-snmp is loaded only where a link is made

        return connect(endpoint, bindings, self._memory, self._listeners)

    def discover(self, search: Any) -> AsyncIterator[Found]:
        """Agents in the ranges of a `SnmpSearch`, as they answer."""
        from drivers.snmp.search import discover

        return discover(search)


driver = SnmpDriver()
