"""The driver `mqtt` keeps the contract, against a real Mosquitto that is killed, stopped in its tracks and given other passwords."""

import json
from collections.abc import AsyncIterator

import pytest

from drivers.mqtt import Address, Device, Endpoint, driver
from hub.driver import Binding
from hub.model import Series
from hub.testing import Case, ContractPeer, DriverContract
from tests.brokers import HOST, PASSWORD, OwnBroker

TOPIC = "zigbee2mqtt/smoke-1"


class _Broker(ContractPeer):
    def __init__(self, broker: OwnBroker, version: str = "5") -> None:
        self.broker = broker
        settings = {"host": HOST, "port": broker.port, "username": "hub", "password": PASSWORD}
        self.endpoint = Endpoint.model_validate(settings | {"keepalive": 2, "session_expiry": 0, "version": version})
        self.bindings = [
            Binding(Series("smoke-1", point), Device(topic=TOPIC), Address(pointer=f"/{point}"), "float")
            for point in ("battery", "smoke_density")
        ]
        self.values = {self.bindings[0].series: 42.5, self.bindings[1].series: 0.25}
        self._dead: set[Series] = set()
        self._frozen = False

    async def speak(self) -> None:
        said = {series.point: [raw] if series in self._dead else raw for series, raw in self.values.items()}
        async with self.broker.session("the-device") as device:
            await device.publish(TOPIC, json.dumps(said).encode())

    async def refuse(self) -> None:
        self.broker.kill()

    async def fall_silent(self) -> None:
        self._frozen = True
        self.broker.freeze()

    async def freeze(self) -> None:
        await self.fall_silent()

    async def demand_other_credentials(self) -> None:
        self.broker.kill()
        self.broker.start("another-password")

    async def kill_point(self, series: Series) -> None:
        self._dead.add(series)

    async def recover(self) -> None:
        if self._frozen:
            self.broker.thaw()
            self._frozen = False
            return
        self.broker.kill()
        self.broker.start()


class TestMqttContract(DriverContract):
    driver = driver
    secrets = (PASSWORD,)
    cannot = {Case.LATE_ANSWER: "a broker speaks by itself: no question waits for its answer"}
    patience = 20.0  # CONNACK may take 10 s
    version = "5"

    @pytest.fixture
    async def peer(self, broker: OwnBroker) -> AsyncIterator[ContractPeer]:
        peer = _Broker(broker, self.version)
        yield peer
        if peer._frozen:
            broker.thaw()


class TestMqtt311Contract(TestMqttContract):
    version = "3.1.1"
