"""The driver `modbus` keeps the contract over each of its transports."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.modbus import driver
from hub.testing import Case, ContractPeer, DriverContract
from tests.drivers.modbus.field_bus import FieldBus

NO_KEYS = "Modbus knows no credentials (Modbus Security is not supported)"


class _ModbusContract(DriverContract):
    driver = driver
    cannot = {Case.CREDENTIALS: NO_KEYS, Case.SECRETS: NO_KEYS}
    transport = "tcp"

    @pytest.fixture
    async def peer(self, tmp_path: Path) -> AsyncIterator[ContractPeer]:
        peer = await FieldBus(self.transport, tmp_path).start()
        yield peer
        await peer.refuse()


class TestTcp(_ModbusContract):
    pass


class TestRtuOverTcp(_ModbusContract):
    transport = "rtu_over_tcp"


class TestRtuOnATerminal(_ModbusContract):
    transport = "rtu"
    cannot = {**_ModbusContract.cannot, Case.HALF_OPEN: "a serial line has no connection that could be half-open"}
