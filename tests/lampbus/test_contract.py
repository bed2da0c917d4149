"""A third party's driver keeps the contract: what its author writes to prove it is this file."""

import json
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from hub.driver import Binding
from hub.model import Series
from hub.testing import Case, ContractPeer, DriverContract
from tests.drivers.callers import HOST, SpeakingPort
from tests.lampbus.anxin_lampbus import LampAddress, LampDevice, LampEndpoint, driver

SECRET = "lamp-secret-1"


class _Lamp(ContractPeer):
    def __init__(self, port: SpeakingPort) -> None:
        self.port = port
        self.endpoint = LampEndpoint(host=HOST, port=port.number, password=SecretStr(SECRET), idle_timeout=0.8)
        self.bindings = [
            Binding(Series("lamp-1", point), LampDevice(), LampAddress(), "int") for point in ("level", "hue")
        ]
        self.values = {binding.series: 10 + number for number, binding in enumerate(self.bindings)}
        self._dead: set[Series] = set()

    async def speak(self) -> None:
        for number, (series, raw) in enumerate(self.values.items()):
            value = [raw] if series in self._dead else raw
            said = {"n": number, "device": series.device, "point": series.point, "at": 1, "value": value}
            await self.port.say(json.dumps(said).encode() + b"\n")

    async def refuse(self) -> None:
        await self.port.close()

    async def fall_silent(self) -> None:
        pass  # it speaks only when it is told to

    async def freeze(self) -> None:
        pass  # it keeps the connection and never says a word

    async def kill_point(self, series: Series) -> None:
        self._dead.add(series)

    async def recover(self) -> None:
        await self.port.open()
        await self.port.nobody_is_left()


class TestLampbus(DriverContract):
    driver = driver
    secrets = (SECRET,)
    cannot = {
        Case.CREDENTIALS: "the lamp bus asks nobody for the password",
        Case.LATE_ANSWER: "the lamps speak by themselves: no question waits for its answer",
    }

    @pytest.fixture
    async def peer(self) -> AsyncIterator[ContractPeer]:
        port = SpeakingPort()
        await port.open()
        yield _Lamp(port)
        await port.close()
