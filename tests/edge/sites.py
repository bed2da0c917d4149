"""An edge whose devices are Modbus servers that we did not write, and the hub's hand that offers it configurations."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from pyModbusTCP.server import DataBank, DataHandler, ModbusServer

from hub.bundle import Bundle, content_of, parse_bundle
from hub.core.configuration import make_envelope, public_key
from hub.core.wire import configuration_topic
from hub.edge.configuration import Patience
from hub.edge.service import run_edge
from hub.runtime.drivers import plan_links
from tests.brokers import HOST, PASSWORD, OwnBroker
from tests.ports import free_port

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
SEAL = bytes(range(100, 132))
CLIENT, PARTITION = "hub", 3
SOON = Patience(probation=12.0, steady=0.2)
"""a busy machine brings a link back within it"""


class _Handler(DataHandler):  # type: ignore[misc]
    def __init__(self, bank: DataBank) -> None:
        super().__init__(bank)
        self.callers: set[int] = set()
        self.reads = 0

    def read_h_regs(self, address: int, count: int, srv_info: Any) -> Any:
        self.callers.add(srv_info.client.port)
        self.reads += 1
        return super().read_h_regs(address, count, srv_info)


class _Bank(DataBank):  # type: ignore[misc]
    """A device with a test of its own: while coil 8 is on, register 8 says 2, by a loop through the device; and a press is a press."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = True
        self.pressed_in_test = False
        self.tested: list[bool] = []

    def on_coils_change(self, address: int, from_value: bool, to_value: bool, srv_info: Any) -> None:
        if address == 8:
            self.tested.append(to_value)
            if self.answers:
                self.set_holding_registers(8, [2 if to_value else 0])
            if to_value and self.pressed_in_test:
                self.set_holding_registers(0, [1])


class Device:
    """pyModbusTCP's server: who called it, and what its coils and registers are."""

    def __init__(self) -> None:
        self.port = free_port()
        self.bank = _Bank()
        self.handler = _Handler(self.bank)
        self.server = ModbusServer(host=HOST, port=self.port, no_block=True, data_hdl=self.handler)

    @property
    def siren(self) -> bool:
        return bool(self.bank.get_coils(0, 1)[0])

    @property
    def in_test(self) -> bool:
        return bool(self.bank.get_coils(8, 1)[0])

    def set_fire(self, on: bool) -> None:
        self.bank.set_holding_registers(0, [int(on)])


@contextlib.contextmanager
def device() -> Iterator[Device]:
    peer = Device()
    peer.server.start()
    try:
        yield peer
    finally:
        peer.server.stop()


def point(name: str, every: int = 50_000, table: str = "holding", **more: Any) -> dict[str, Any]:
    kind = "bool" if table == "coil" else "int"
    address = {"table": table, "address": 0}
    return {"point": name, "type": kind, "record": "reading", "every": every, "address": address, **more}


def endpoint(name: str, port: int, *points: dict[str, Any], lane: str = "bulk", **settings: Any) -> dict[str, Any]:
    behind = {"id": f"{name}-device", "lane": lane, "settings": {}, "points": list(points) or [point("level")]}
    where = {"host": HOST, "port": port, "timeout_s": 0.5, **settings}
    return {"id": name, "driver": "modbus", "settings": where, "devices": [behind]}


def document(broker_port: int, *endpoints: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A bundle as `anxinctl bundle` writes it."""
    return {
        "version": 1,
        "edge": "edge-1",
        "institution": "kita-1",
        "partition": PARTITION,
        "broker": {"host": HOST, "port": broker_port, "username": CLIENT, "password": PASSWORD},
        "beat": 100_000,
        "endpoints": list(endpoints),
        "configuration": 1,
        "trust": {"key": public_key(KEY).hex(), "seal": SEAL.hex()},
        **changes,
    }


def bundle_in(told: dict[str, Any]) -> Bundle:
    return parse_bundle(json.dumps(told), "edge.json")


def offer(version: int, told: dict[str, Any], key: bytes = KEY, seal: bytes = SEAL, edge: str = "edge-1") -> bytes:
    """The envelope of a configuration, as the hub makes it."""
    return make_envelope(edge, version, content_of(bundle_in(told)), key, seal, os.urandom(12))


async def publish(broker: OwnBroker, envelope: bytes) -> None:
    async with broker.session("config-giver") as live:
        await live.publish(configuration_topic(PARTITION, CLIENT), envelope, retain=True)


@contextlib.asynccontextmanager
async def running(told: dict[str, Any], folder: Path, patience: Patience = SOON) -> AsyncIterator[None]:
    """The edge runs while inside, and stops in order."""
    bundle, stop = bundle_in(told), asyncio.Event()
    plans = plan_links(bundle.endpoints, "edge.json")
    task = asyncio.create_task(run_edge(bundle, plans, folder, stop, patience=patience))
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        stop.set()
        await task
