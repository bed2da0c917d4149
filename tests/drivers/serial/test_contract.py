"""The driver `serial` keeps the contract: on a pseudo terminal and over TCP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.serial import Address, Device, Endpoint, driver
from drivers.simulator.wire import Pty
from hub.driver import Binding
from hub.model import Series
from hub.testing import Case, ContractPeer, DriverContract
from tests.drivers.callers import HOST, SpeakingPort

SPEAKS = "a line device speaks by itself: no question waits for its answer"
NO_KEYS = "neither a serial line nor a serial server's port knows credentials"


def _bind(point: str) -> Binding:
    return Binding(Series("s", point), Device(), Address(pattern=point + r"=(?P<value>[-\d.]+)"), "float")


class _Printer(ContractPeer):
    """A device that prints two lines."""

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint
        self.bindings = [_bind("temperature"), _bind("humidity")]
        self.values = {self.bindings[0].series: 21.5, self.bindings[1].series: 40.0}
        self._dead: set[Series] = set()

    def _lines(self) -> bytes:
        said = {series: "--" if series in self._dead else raw for series, raw in self.values.items()}
        return "".join(f"{series.point}={raw}\r\n" for series, raw in said.items()).encode()

    async def kill_point(self, series: Series) -> None:
        self._dead.add(series)

    async def fall_silent(self) -> None:
        pass  # it speaks only when it is told to


class _TerminalPeer(_Printer):
    def __init__(self, path: Path) -> None:
        self.wire = Pty(path)
        super().__init__(_endpoint(str(path)))

    async def speak(self) -> None:
        await self.wire.write(self._lines())

    async def refuse(self) -> None:
        await self.wire.unplug()

    async def recover(self) -> None:
        await self.wire.plug()


class _PortPeer(_Printer):
    def __init__(self, port: SpeakingPort) -> None:
        self.port = port
        super().__init__(_endpoint(f"socket://{HOST}:{port.number}"))

    async def speak(self) -> None:
        await self.port.say(self._lines())

    async def refuse(self) -> None:
        await self.port.close()

    async def freeze(self) -> None:
        pass  # it keeps the connection and never says a word

    async def recover(self) -> None:
        await self.port.open()
        await self.port.nobody_is_left()


def _endpoint(port: str) -> Endpoint:
    settings = {"port": port, "protocol": "lines", "terminator": "\r\n", "idle_timeout": 0.8}
    return Endpoint.model_validate(settings)


class TestOnATerminal(DriverContract):
    driver = driver
    cannot = {
        Case.HALF_OPEN: "a serial line has no connection that could be half-open",
        Case.CREDENTIALS: NO_KEYS,
        Case.SECRETS: NO_KEYS,
        Case.LATE_ANSWER: SPEAKS,
    }

    @pytest.fixture
    async def peer(self, tmp_path: Path) -> AsyncIterator[ContractPeer]:
        peer = _TerminalPeer(tmp_path / "line")
        await peer.wire.plug()
        yield peer
        await peer.wire.unplug()


class TestOverTcp(DriverContract):
    driver = driver
    cannot = {Case.CREDENTIALS: NO_KEYS, Case.SECRETS: NO_KEYS, Case.LATE_ANSWER: SPEAKS}

    @pytest.fixture
    async def peer(self) -> AsyncIterator[ContractPeer]:
        port = SpeakingPort()
        await port.open()
        yield _PortPeer(port)
        await port.close()
