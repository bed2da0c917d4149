"""The driver `onvif` keeps the contract: with ipycam, which we did not write, and with our own simulator, behind a relay of ours."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from drivers.onvif import driver
from drivers.simulator.onvif import OnvifDevice
from hub.model import Series
from hub.testing import ContractPeer, DriverContract
from tests.drivers.onvif.cameras import PASSWORD, USER, Ipycam, binding, endpoint
from tests.drivers.onvif.relay import Relay


class _Camera(ContractPeer):
    """The relay, and behind it whatever `_put` and `_break` know to change."""

    def __init__(self) -> None:
        self.relay = Relay(self._port)
        self.bindings = [
            binding("width", "int", media="width"),
            binding("model", "str", device="model"),
        ]
        self.width, self.model = (one.series for one in self.bindings)
        self.values = {self.width: 1920, self.model: "model-1"}
        self._count = 1

    async def start(self) -> None:
        await self.relay.open()
        # as through a NAT: the device tells addresses of its own, and only the relay can be reached
        self.endpoint = endpoint(self.relay.port, host="localhost", timeout_s=1.5, pull_s=0.7)
        for series, value in self.values.items():
            await self._put(series, value)

    def _port(self) -> int:
        raise NotImplementedError

    async def _put(self, series: Series, value: Any) -> None:
        raise NotImplementedError

    async def _password(self, text: str) -> None:
        raise NotImplementedError

    async def asked(self) -> None:
        await self.relay.asked.wait()

    async def refuse(self) -> None:
        await self.relay.close()

    async def fall_silent(self) -> None:
        self.relay.silent = True
        self.relay.asked.clear()

    async def freeze(self) -> None:
        self.relay.silent = True

    async def demand_other_credentials(self) -> None:
        await self._password("another-secret")

    async def hold_answer(self) -> None:
        self.relay.holding = True

    @property
    def late_sent(self) -> int:  # type: ignore[override]
        return self.relay.late_sent

    async def change(self, series: Series) -> None:
        self._count += 1
        self.values[series] = 2000 + self._count if series == self.width else f"model-{self._count}"
        await self._put(series, self.values[series])

    async def recover(self) -> None:
        self.relay.silent = self.relay.holding = False
        await self._password(PASSWORD)
        await self.relay.open()


class _Theirs(_Camera):
    def __init__(self, camera: Ipycam) -> None:
        super().__init__()
        self._camera = camera

    def _port(self) -> int:
        return self._camera.port

    async def _put(self, series: Series, value: Any) -> None:
        await self._camera.set(**{"main_width" if series == self.width else "model": value})

    async def _password(self, text: str) -> None:
        await self._camera.set(password=text)

    async def kill_point(self, series: Series) -> None:
        await self._put(series, "nonsense" if series == self.width else "")


class _Ours(_Camera):
    def __init__(self, device: OnvifDevice) -> None:
        super().__init__()
        self._device = device

    def _port(self) -> int:
        return self._device.port

    async def _put(self, series: Series, value: Any) -> None:
        if series == self.width:
            self._device.set_stream(value, 1080, 25)
        else:
            self._device.set("Model", value)

    async def _password(self, text: str) -> None:
        self._device.password = text

    async def kill_point(self, series: Series) -> None:
        self._device.refused.add("GetProfiles" if series == self.width else "GetDeviceInformation")


class TestOnvifContractWithIpycam(DriverContract):
    driver = driver
    secrets = (PASSWORD,)

    @pytest.fixture
    async def peer(self) -> AsyncIterator[ContractPeer]:
        async with Ipycam() as camera:
            peer = _Theirs(camera)
            await peer.start()
            yield peer
            await peer.refuse()


class TestOnvifContractWithOurSimulator(DriverContract):
    driver = driver
    secrets = (PASSWORD,)

    @pytest.fixture
    async def peer(self) -> AsyncIterator[ContractPeer]:
        async with OnvifDevice(user=USER, password=PASSWORD, http_digest=True) as device:
            peer = _Ours(device)
            await peer.start()
            yield peer
            await peer.refuse()
