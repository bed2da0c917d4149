"""A site of agents whose traps are heard: what the tests of traps share."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

from pyasn1.codec.ber import encoder
from pysnmp.proto import api

from drivers.snmp import SnmpDriver
from hub.driver import Binding, PollLink, PushLink
from hub.engine import Prefix
from hub.model import Delivery, Series
from tests.drivers.snmp.agent import AUTH_KEY, PRIV_KEY, ROOT, Snmpd, binding, calm, calm3
from tests.ports import free_port

DOOR, MOVED, OPENED = f"{ROOT}.1.0", f"{ROOT}.0.1", f"{ROOT}.0.2"
"""a point, and two traps of the enterprise ROOT with these specific numbers"""


class Site:
    """Agents at 127.0.3.x, one listener's port, and net-snmp's senders at the same addresses."""

    def __init__(self, peers: Prefix, folder: Path) -> None:
        self.peers = peers
        self.folder = folder
        self.port = free_port()
        self.agent_port = free_port()
        self.driver = SnmpDriver()
        self.agents: dict[str, Snmpd] = {}

    async def agent(self, host: str) -> Snmpd:
        agent = Snmpd(self.peers.program("snmpd"), self.folder / host, self.agent_port, host)
        await agent.start()
        self.agents[host] = agent
        return agent

    def endpoint(self, host: str, version: str = "2c", **traps: Any) -> Any:
        made: dict[str, Any] = {"host": host, "traps": {"host": "0.0.0.0", "port": self.port} | traps}
        return calm3(self.agent_port, **made) if version == "3" else calm(self.agent_port, version=version, **made)

    @contextlib.asynccontextmanager
    async def link(
        self, endpoint: Any, bindings: list[Binding]
    ) -> AsyncIterator[tuple[Any, AsyncGenerator[Delivery, None]]]:
        async with self.driver.connect(endpoint, bindings) as link:
            assert isinstance(link, PollLink)
            assert isinstance(link, PushLink)
            stream = link.deliveries()
            assert isinstance(stream, AsyncGenerator)
            async with contextlib.aclosing(stream):
                yield link, stream

    async def send(self, host: str, *what: str, program: str = "snmptrap") -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self.peers.program(program),
            f"--clientaddr={host}",
            *what,
            env={**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": str(self.folder / f"sender-{host}")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def sent(self, host: str, *what: str, program: str = "snmptrap") -> str:
        process = await self.send(host, *what, program=program)
        told, _ = await asyncio.wait_for(process.communicate(), 30)
        return told.decode() if process.returncode else ""

    def to(self) -> str:
        return f"127.0.0.1:{self.port}"

    def v2_trap(self, trap: str, *bindings: str, community: str = "public") -> tuple[str, ...]:
        return ("-v", "2c", "-c", community, self.to(), "", trap, *bindings)

    def v3_keys(self) -> tuple[str, ...]:
        return (
            "-v",
            "3",
            "-u",
            "sha256",
            "-l",
            "authPriv",
            "-a",
            "SHA-256",
            "-A",
            AUTH_KEY,
            "-x",
            "AES",
            "-X",
            PRIV_KEY,
        )


def raised_by(*rules: dict[str, Any], device: str = "door", **address: Any) -> Binding:
    bound = binding(DOOR)
    parsed = SnmpDriver.Address.model_validate({"raised_by": rules, **(address or {"oid": DOOR})})
    return bound._replace(series=Series(device, "open"), address=parsed)


OPEN = {"trap": OPENED, "value": 1}


async def take(stream: AsyncGenerator[Delivery, None], count: int = 1) -> list[Delivery]:
    async with asyncio.timeout(20):
        return [await anext(stream) for _ in range(count)]


def said(delivery: Delivery) -> list[tuple[str, Any]]:
    return [(one.series.device, one.raw) for one in delivery.samples]


def trap_bytes(*oids: str) -> bytes:
    v2c_api = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
    pdu = v2c_api.TrapPDU()
    v2c_api.apiTrapPDU.set_defaults(pdu)
    bindings = [
        ("1.3.6.1.2.1.1.3.0", v2c_api.TimeTicks(7)),
        ("1.3.6.1.6.3.1.1.4.1.0", v2c_api.ObjectIdentifier(OPENED)),
    ]
    v2c_api.apiTrapPDU.set_varbinds(pdu, bindings + [(oid, v2c_api.OctetString("x")) for oid in oids])
    message = v2c_api.Message()
    v2c_api.apiMessage.set_defaults(message)
    v2c_api.apiMessage.set_community(message, "public")
    v2c_api.apiMessage.set_pdu(message, pdu)
    made: bytes = encoder.encode(message)
    return made
