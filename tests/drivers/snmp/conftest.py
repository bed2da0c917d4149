"""One snmpd a test, or a site of several."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.engine import Prefix
from tests.drivers.snmp.agent import Snmpd
from tests.drivers.snmp.trapping import Site
from tests.ports import free_port


@pytest.fixture
async def agent(peers: Prefix, tmp_path: Path) -> AsyncIterator[Snmpd]:
    running = Snmpd(peers.program("snmpd"), tmp_path, free_port())
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def site(peers: Prefix, tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(peers, tmp_path)
    yield made
    for agent in made.agents.values():
        await agent.stop()
    assert made.driver._listeners._open == {}
