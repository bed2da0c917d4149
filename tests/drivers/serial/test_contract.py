"""The driver `serial` keeps the contract: lines on a pseudo terminal and over TCP, binary frames, a port that is called, datagrams."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.serial import Address, Device, Endpoint, driver
from drivers.serial.checks import check_of
from drivers.simulator.wire import Pty
from hub.driver import Binding
from hub.model import Series
from hub.testing import Case, ContractPeer, DriverContract
from tests.drivers.callers import HOST, SpeakingPort
from tests.ports import free_port

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


class _FramePeer(_PortPeer):
    """The same device in binary: a5 5a, the two values in tenths, 16 bits each, and their CRC; a dead one is too large for its point's map."""

    def __init__(self, port: SpeakingPort) -> None:
        super().__init__(port)
        shape = {"start": "a55a", "size": 9, "check": {"kind": "crc-16-modbus", "order": "little"}}
        settings = {"port": f"socket://{HOST}:{port.number}", "protocol": "frames", "idle_timeout": 0.8, "frame": shape}
        self.endpoint = Endpoint.model_validate(settings)
        known = {str(number): number / 10 for number in range(1000)}
        self.bindings = [
            Binding(
                Series("s", point),
                Device(),
                Address.model_validate({"octets": {"at": at, "type": "u16"}, "map": known}),
                "float",
            )
            for point, at in (("temperature", 2), ("humidity", 4))
        ]

    def _lines(self) -> bytes:
        numbers = [0xFFFF if series in self._dead else round(float(raw) * 10) for series, raw in self.values.items()]
        body = b"\xa5\x5a" + b"".join(number.to_bytes(2, "big") for number in numbers) + b"\x00"
        return body + check_of("crc-16-modbus", body).to_bytes(2, "little")


class _CallerPeer(_Printer):
    """A far end that calls, or sends datagrams."""

    def __init__(self, scheme: str) -> None:
        self._scheme, self._number = scheme, free_port()
        super().__init__(_endpoint(f"{scheme}://{HOST}:{self._number}"))

    async def speak(self) -> None:
        kind = socket.SOCK_DGRAM if self._scheme == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as far_end:
            far_end.connect((HOST, self._number))
            far_end.sendall(self._lines())

    async def recover(self) -> None:
        pass  # it comes when it has something to say


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


class TestInBinary(DriverContract):
    driver = driver
    cannot = {Case.CREDENTIALS: NO_KEYS, Case.SECRETS: NO_KEYS, Case.LATE_ANSWER: SPEAKS}

    @pytest.fixture
    async def peer(self) -> AsyncIterator[ContractPeer]:
        port = SpeakingPort()
        await port.open()
        yield _FramePeer(port)
        await port.close()


@pytest.mark.parametrize("scheme", ["listen", "udp"])
class TestWhereFarEndsCome(DriverContract):
    driver = driver
    cannot = {
        Case.REFUSED: "far ends call us: that one does not is its device's silence, and no end of the port",
        Case.SILENT: "far ends call us: that none speaks is each device's silence, and no end of the port",
        Case.HALF_OPEN: "a caller that is half-open is ended alone, tests/drivers/serial/test_exchange.py",
        Case.CREDENTIALS: NO_KEYS,
        Case.SECRETS: NO_KEYS,
        Case.LATE_ANSWER: SPEAKS,
    }

    @pytest.fixture
    async def peer(self, scheme: str) -> ContractPeer:
        return _CallerPeer(scheme)
