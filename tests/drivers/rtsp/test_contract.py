"""The driver `rtsp` keeps the contract: aio-rtsp-toolkit's file server behind a front of ours."""

import pytest

from drivers.rtsp import driver
from hub.testing import Case, ContractPeer, DriverContract
from tests.drivers.rtsp.front import HEIGHT, PASSWORD, WIDTH, Front, binding, endpoint


class _Server(ContractPeer):
    def __init__(self, front: Front) -> None:
        self.front = front
        self.endpoint = endpoint(front.port, timeout_s=2.0, fresh_s=5.0)
        self.bindings = [binding("width"), binding("height")]
        self.values = {one.series: value for one, value in zip(self.bindings, (WIDTH, HEIGHT), strict=True)}

    async def asked(self) -> None:
        await self.front.asked.wait()

    async def refuse(self) -> None:
        await self.front.close()

    async def fall_silent(self) -> None:
        self.front.silent = True
        self.front.asked.clear()

    async def freeze(self) -> None:
        self.front.silent = True

    async def demand_other_credentials(self) -> None:
        self.front.password = "another"

    async def recover(self) -> None:
        self.front.silent = False
        self.front.password = PASSWORD
        await self.front.open()


class TestRtspContract(DriverContract):
    driver = driver
    secrets = (PASSWORD,)
    patience = 30.0  # each look starts a process
    cannot = {
        Case.LATE_ANSWER: "every look has a connection and a process of its own: nothing old can reach it",
        Case.DEAD_POINT: "all points of a stream are figures of the same pictures; dead streams have tests of their own",
    }

    @pytest.fixture
    async def peer(self, front: Front) -> ContractPeer:
        return _Server(front)
