"""The simulator `snmp`: an agent that answers from a walk."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

from drivers.simulator.exchange import WALK, content_of, read_walk
from drivers.simulator.snmp import SnmpAgent
from hub.simulation import Place


class _Replay:
    """Answers from the walk; says nothing by itself."""

    end = None

    def __init__(self, agent: SnmpAgent, community: str) -> None:
        self.endpoint: dict[str, Any] = {
            "host": agent.host,
            "port": agent.port,
            "version": "2c",
            "community": community,
            "insecure_transport": True,
        }

    async def play(self) -> None:
        """Nothing: it is asked."""


class SnmpSimulator:
    """Over version 2c, whatever the agent spoke: what a variable means does not depend on it."""

    name = "snmp"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`agent.snmpwalk`; what is not in it is noSuchInstance."""
        variables = read_walk(content_of(files, WALK))
        community = secrets.token_hex(8)
        async with SnmpAgent(community=community) as agent:
            await agent.fill(variables)
            yield _Replay(agent, community)


simulator = SnmpSimulator()
