"""The demo's SNMP agent, asked by the driver and by net-snmp's snmpget."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from drivers.simulator.snmp import GARBAGE, SnmpAgent, SnmpUser
from drivers.snmp import driver
from hub.driver import Binding, PollLink
from hub.engine import Prefix
from hub.errors import AccessDenied, LinkDown, ProtocolFault
from hub.model import Series
from hub.testing import eventually

OID = "1.3.6.1.2.1.33.1.2.4.0"
USER = SnmpUser("hub", "auth-secret", "priv-secret")
BINDING = Binding(Series("ups", "charge"), driver.Device(), driver.Address.model_validate({"oid": OID}), "int")


def _endpoint(agent: SnmpAgent, **settings: Any) -> Any:
    return driver.Endpoint.model_validate(
        {"host": agent.host, "port": agent.port, "user": "hub", "auth_key": "auth-secret", "priv_key": "priv-secret"}
        | settings
    )


async def test_the_driver_reads_sets_unplugs_and_plugs_by_version_3() -> None:
    async with SnmpAgent(users=[USER]) as agent:
        await agent.set(OID, "gauge", 97)
        async with driver.connect(_endpoint(agent), [BINDING]) as link:
            assert isinstance(link, PollLink)
            assert [sample.raw for sample in await link.read([BINDING.series])] == [97]
            await agent.garble_next()
            with pytest.raises(ProtocolFault) as caught:
                await link.read([BINDING.series])
            assert caught.value.payload == GARBAGE
            await agent.set(OID, "gauge", 0)
            assert [sample.raw for sample in await link.read([BINDING.series])] == [0]
            await agent.remove(OID)
            assert (await link.read([BINDING.series]))[0].error == f"{OID}: no such object or instance"
            await agent.unplug()
            with pytest.raises(LinkDown):
                await link.read([BINDING.series])
        await agent.set(OID, "gauge", 5)
        await agent.plug()
        async with driver.connect(_endpoint(agent), [BINDING]) as link:
            assert isinstance(link, PollLink)
            assert [sample.raw for sample in await link.read([BINDING.series])] == [5]


async def test_wrong_keys_are_denied() -> None:
    async with SnmpAgent(users=[USER]) as agent:
        with pytest.raises(AccessDenied):
            async with driver.connect(_endpoint(agent, auth_key="another-key", timeout_s=1), [BINDING]):
                pass


async def test_net_snmps_own_tool_understands_it_in_version_2c(peers: Prefix) -> None:
    async with SnmpAgent(community="public") as agent:
        await agent.set(OID, "string", "安心")
        asked = await asyncio.create_subprocess_exec(
            peers.program("snmpget"),
            *("-v2c", "-c", "public", "-On", "-Oqv", "-Ox", f"{agent.host}:{agent.port}", OID),
            stdout=asyncio.subprocess.PIPE,
            env={"MIBS": ""},
        )
        said, _ = await asked.communicate()
    assert bytes.fromhex(said.decode().strip().strip('"')).rstrip(b"\0") == "安心".encode()


async def test_its_process_ends_with_the_context_and_keys_stand_in_no_argument() -> None:
    async with SnmpAgent(users=[USER]) as agent:
        process = Path(f"/proc/{agent.pid}")
        assert b"secret" not in (process / "cmdline").read_bytes()
    await eventually(lambda: not process.exists())
    assert "secret" not in repr(USER)
