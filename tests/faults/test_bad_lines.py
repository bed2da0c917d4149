"""Drivers over a bad line, run as an edge runs them: the link recovers, and no wrong value is taken for a good one.

What a protocol can promise differs. RTU (CRC), SNMP v3 (authenticated) and GB/T 26875.3 (sum) notice a flipped bit themselves. Modbus TCP
and MQTT leave that to TCP's checksum: a bit that is flipped behind it (in a gateway, say) is a value like any other, so there bits are
flipped only to see that the link survives it. Cut, held, swallowed and halved pieces never give a wrong value with any of them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from drivers.modbus import driver as modbus
from drivers.mqtt import driver as mqtt
from drivers.serial import Address, Device
from drivers.serial import driver as serial
from drivers.simulator.fire_panel import FirePanel
from drivers.simulator.modbus import ModbusDevice
from drivers.simulator.mqtt_device import MqttDevice
from drivers.simulator.wire import TcpPort
from drivers.snmp import driver as snmp
from hub.driver import Binding
from hub.engine import Prefix
from hub.model import SECOND, Lane, Reject, Sample, Scalar, Series
from hub.mqtt import Broker
from hub.runtime.drivers import LinkPlan
from hub.runtime.links import LinkRunner
from hub.testing import eventually
from hub.testing.fault_proxy import (
    TCP_FAULTS,
    UDP_FAULTS,
    Episode,
    Fault,
    TcpFaultProxy,
    UdpFaultProxy,
    Weather,
    episodes,
)
from tests.brokers import HOST, PASSWORD, own_broker
from tests.drivers.modbus.field_bus import FieldBus
from tests.drivers.snmp.agent import Snmpd, binding, v3
from tests.ports import free_port

pytestmark = [pytest.mark.usefixtures("no_long_pauses"), pytest.mark.timeout(120)]
SEED = 20261122
FAIR, FOUL = (0.05, 0.2), (0.05, 0.3)


class Sink:
    """An edge's spool, as far as a link sees it."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.rejects: list[Reject] = []

    async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
        self.samples += samples
        self.rejects += rejects

    def good(self) -> list[tuple[Series, Scalar | None]]:
        return [(sample.series, sample.raw) for sample in self.samples if sample.error is None]


@asynccontextmanager
async def linked(driver: Any, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[Sink]:
    sink = Sink()
    every = {one.series: SECOND // 50 for one in bindings}
    plan = LinkPlan(
        "line", driver, endpoint, tuple(bindings), every, {one.series.device: Lane.BULK for one in bindings}
    )
    running = asyncio.create_task(LinkRunner(plan, sink).run())
    try:
        yield sink
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.wait([running])


def storm(faults: Sequence[Fault], seed: int = SEED) -> list[Episode]:
    """Every fault once, and some again: two seconds."""
    once = [Episode(0.03, fault, 0.1) for fault in faults]
    return once + episodes(seed, 0.7, faults, fair=FAIR, foul=FOUL)


def without(*these: Fault) -> list[Fault]:
    return [fault for fault in TCP_FAULTS if fault not in these]


async def garble(proxy: TcpFaultProxy | UdpFaultProxy) -> None:
    """Until bits were flipped indeed: a storm may have passed while nobody spoke."""
    before = proxy.done["garbled"]
    proxy.weather = Weather(garble=0.3)
    await eventually(lambda: proxy.done["garbled"] > before + 3, deadline=60)
    proxy.resume()


async def recovers(sink: Sink) -> None:
    before = len(sink.good())
    await eventually(lambda: len(sink.good()) > before + 3, deadline=60)


def wrong(sink: Sink, true: Mapping[Series, Scalar]) -> list[tuple[Series, Scalar | None]]:
    """What was taken as good and is not what the device had."""
    return [(series, raw) for series, raw in sink.good() if raw != true[series]]


async def test_modbus_tcp_over_a_bad_line(tmp_path: Path) -> None:
    bindings = [
        Binding(Series("meter", f"h{n}"), modbus.Device(unit=1), modbus.Address(table="holding", address=n), "int")
        for n in (1, 40)
    ]
    async with ModbusDevice() as device, TcpFaultProxy(device.host, device.port, seed=SEED) as proxy:
        for n in (1, 40):
            device.set_holding(1, n, 1000 + n)
        endpoint = modbus.Endpoint.model_validate({"host": HOST, "port": proxy.port, "timeout_s": 0.2})
        async with linked(modbus, endpoint, bindings) as sink:
            await recovers(sink)
            await proxy.play(storm(without(Fault.GARBLE)))
            await recovers(sink)
            assert wrong(sink, {one.series: 1000 + one.address.address for one in bindings}) == []
            await proxy.play([Episode(0.0, Fault.GARBLE, 0.4)])
            await recovers(sink)


async def test_modbus_rtu_over_tcp_over_a_bad_line(tmp_path: Path) -> None:
    bus = await FieldBus("rtu_over_tcp", tmp_path).start()
    try:
        async with TcpFaultProxy(HOST, bus.endpoint.port, seed=SEED) as proxy:
            endpoint = bus.endpoint.model_copy(update={"port": proxy.port})
            async with linked(modbus, endpoint, bus.bindings) as sink:
                await recovers(sink)
                await proxy.play(storm(TCP_FAULTS))
                await garble(proxy)
                await recovers(sink)
                assert wrong(sink, bus.values) == []
    finally:
        await bus.refuse()


async def test_snmp_v3_over_a_bad_line(peers: Prefix, tmp_path: Path) -> None:
    agent = Snmpd(peers.program("snmpd"), tmp_path, free_port())
    bindings = [binding(agent.set(f"{n}.0", "integer", 1000 + n)) for n in (1, 2)]
    await agent.start()
    try:
        async with UdpFaultProxy(HOST, agent.port, seed=SEED) as proxy:
            endpoint = v3(proxy.port, timeout_s=0.2)
            async with linked(snmp, endpoint, bindings) as sink:
                await recovers(sink)
                await proxy.play(storm(UDP_FAULTS))
                await garble(proxy)
                await recovers(sink)
                assert wrong(sink, dict(zip((one.series for one in bindings), (1001, 1002), strict=True))) == []
    finally:
        await agent.stop()


async def test_an_mqtt_broker_behind_a_bad_line(engine_prefix: Prefix, tmp_path: Path) -> None:
    battery = Binding(
        Series("sos", "battery"), mqtt.Device(topic="z/sos"), mqtt.Address(topic="", pointer="/battery"), "int"
    )
    with own_broker(engine_prefix, tmp_path) as broker:
        async with (
            TcpFaultProxy(HOST, broker.port, seed=SEED) as proxy,
            MqttDevice(Broker(HOST, broker.port, "hub", SecretStr(PASSWORD)), "z/sos", "TS0215A_sos", beat=0.05),
        ):
            endpoint = mqtt.Endpoint.model_validate(
                {"host": HOST, "port": proxy.port, "username": "hub", "password": PASSWORD, "keepalive": 2}
            )
            async with linked(mqtt, endpoint, [battery]) as sink:
                await recovers(sink)
                await proxy.play(storm(without(Fault.GARBLE, Fault.TRUNCATE)))
                await recovers(sink)
                assert wrong(sink, {battery.series: 100}) == []
                await proxy.play([Episode(0.0, fault, 0.3) for fault in (Fault.GARBLE, Fault.TRUNCATE)])
                await recovers(sink)


async def test_a_fire_panel_behind_a_serial_server_over_a_bad_line() -> None:
    fire = Binding(Series("panel", "fire"), Device(), Address(item="part", bit="fire"), "bool")
    wire = TcpPort()
    async with FirePanel(wire, beat=60, patience=0.3) as panel:
        target = int(wire.port.rsplit(":", 1)[1])
        async with TcpFaultProxy(HOST, target, seed=SEED) as proxy:
            endpoint = serial.Endpoint.model_validate(
                {"port": f"socket://{HOST}:{proxy.port}", "protocol": "gb26875", "idle_timeout": 2.0}
            )
            async with linked(serial, endpoint, [fire]) as sink:
                confirmed: set[str] = set()
                await wire.called(20)
                storming = asyncio.create_task(proxy.play(storm(TCP_FAULTS)))
                part = 0
                while not storming.done():
                    part += 1
                    if await panel.part(part, fire=part % 2 == 1):
                        confirmed.add(f"1-{part}")
                await storming
                last = part + 1 + part % 2
                await eventually(lambda: panel.part(last, fire=True), deadline=60)
                await recovers_to(sink, f"1-{last}")
                true = {one: one[2].endswith(("1", "3", "5", "7", "9")) for one, _ in sink.good()}
                assert [one for one in sink.good() if (one[1] is True) != true[one[0]]] == []
                assert confirmed <= {series.instance for series, _ in sink.good()}, "confirmed to the panel, and lost"
                assert confirmed


async def recovers_to(sink: Sink, instance: str) -> None:
    await eventually(lambda: any(series.instance == instance for series, _ in sink.good()), deadline=60)
