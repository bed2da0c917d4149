"""One snmpd a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.engine import Prefix
from tests.drivers.snmp.agent import Snmpd
from tests.ports import free_port


@pytest.fixture
async def agent(peers: Prefix, tmp_path: Path) -> AsyncIterator[Snmpd]:
    running = Snmpd(peers.program("snmpd"), tmp_path, free_port())
    await running.start()
    yield running
    await running.stop()
