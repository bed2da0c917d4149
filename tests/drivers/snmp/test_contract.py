"""The driver `snmp` keeps the contract: net-snmp's agent over version 3, behind a relay of ours that loses, holds and is gone."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from drivers.snmp import driver
from hub.model import Series
from hub.testing import Case, ContractPeer, DriverContract
from tests.drivers.snmp.agent import AUTH_KEY, HOST, PRIV_KEY, ROOT, Snmpd, binding, v3
from tests.ports import free_port


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """A socket is closed by whoever is done with it, and not when the collector comes by: what these cases leave behind, they show at once."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class _Relay(asyncio.DatagramProtocol):
    """Datagrams of the hub go to the agent; the agent's go back, when they should."""

    def __init__(self, peer: "_Agent") -> None:
        self.peer = peer
        self.caller: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr[1] == self.peer.agent.port:
            self.peer.answered(data)
            return
        self.caller = addr
        self.peer.questions.set()
        if not self.peer.silent:
            self.transport.sendto(data, (HOST, self.peer.agent.port))


class _Agent(ContractPeer):
    def __init__(self, agent: Snmpd, **settings: Any) -> None:
        self.agent = agent
        self.number = free_port()
        self.endpoint = v3(self.number, timeout_s=0.5, **settings)
        self.bindings = [binding(f"{ROOT}.{number}.0") for number in (1, 2)]
        self.values = {}
        self._next = 100
        self.questions = asyncio.Event()
        self.silent = False
        self.relay: _Relay | None = None
        self._holds = False
        self._held: bytes | None = None

    async def start(self) -> None:
        for one in self.bindings:
            await self.change(one.series)
        await self.recover()

    def answered(self, data: bytes) -> None:
        relay = self.relay
        if relay is None:
            return
        if self._holds:
            self._holds, self._held = False, data
            return
        if self._held is not None:
            relay.transport.sendto(self._held, relay.caller)
            self._held = None
            self.late_sent += 1
        relay.transport.sendto(data, relay.caller)

    async def asked(self) -> None:
        await self.questions.wait()

    async def refuse(self) -> None:
        if self.relay is not None:
            self.relay.transport.close()
            self.relay = None

    async def fall_silent(self) -> None:
        self.silent = True
        self.questions.clear()

    async def demand_other_credentials(self) -> None:
        await self._restart_with("another-key-1")

    async def _restart_with(self, auth_key: str) -> None:
        await self.agent.stop()
        self.agent.forget_engine()
        self.agent.configure(auth_key)
        await self.agent.start()

    async def kill_point(self, series: Series) -> None:
        self.agent.unset(f"{series.point}")

    async def hold_answer(self) -> None:
        self._holds = True

    async def change(self, series: Series) -> None:
        self._next += 1
        self.values[series] = self._next
        self.agent.set(series.point, "integer", self._next)

    async def recover(self) -> None:
        self.silent = False
        if self.agent.auth_key != AUTH_KEY:
            await self._restart_with(AUTH_KEY)
        if self.relay is None:
            loop = asyncio.get_running_loop()
            _, self.relay = await loop.create_datagram_endpoint(lambda: _Relay(self), (HOST, self.number))


class TestSnmpContract(DriverContract):
    driver = driver
    secrets = (AUTH_KEY, PRIV_KEY)
    cannot = {Case.HALF_OPEN: "UDP has no connection that could be half-open; an agent that dies is the case `silent`"}

    @pytest.fixture
    async def peer(self, agent: Snmpd) -> AsyncIterator[ContractPeer]:
        peer = _Agent(agent)
        await peer.start()
        yield peer
        await peer.refuse()


class TestSnmpContractWithTraps(TestSnmpContract):
    """The same promises by a link that listens too."""

    @pytest.fixture
    async def peer(self, agent: Snmpd) -> AsyncIterator[ContractPeer]:
        peer = _Agent(agent, traps={"host": HOST, "port": free_port()})
        await peer.start()
        yield peer
        await peer.refuse()
