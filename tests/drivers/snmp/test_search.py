"""Looking for agents: several snmpd, each at an address of its own, and addresses where nobody is."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.snmp import driver
from hub.driver import Discoverer, Found
from hub.engine import Prefix
from tests.drivers.snmp.agent import AUTH_KEY, PRIV_KEY, Snmpd
from tests.ports import free_port

V2 = {"version": "2c", "community": "public", "insecure_transport": True}
V3 = {"user": "sha256", "auth_key": AUTH_KEY, "priv_key": PRIV_KEY}


@pytest.fixture
async def port(peers: Prefix, tmp_path: Path) -> AsyncIterator[int]:
    """Agents at 127.0.5.1 and 127.0.5.3, and nobody between."""
    port = free_port()
    agents = [Snmpd(peers.program("snmpd"), tmp_path / host, port, host) for host in ("127.0.5.1", "127.0.5.3")]
    for agent in agents:
        await agent.start()
    yield port
    for agent in agents:
        await agent.stop()


async def look(**settings: Any) -> list[Found]:
    assert isinstance(driver, Discoverer)
    return [one async for one in driver.discover(driver.Search.model_validate({"per_second": 50, **settings}))]


@pytest.mark.parametrize("access", [V2, V3, V2 | {"version": "1"}])
async def test_agents_are_found_with_what_they_are_and_the_tables_they_have(port: int, access: dict[str, Any]) -> None:
    found = await look(ranges="127.0.5.0/29", port=port, timeout_s=5, **access)
    assert sorted(one.endpoint["host"] for one in found) == ["127.0.5.1", "127.0.5.3"]
    for one in found:
        assert one.marks["sysobjectid"].startswith("1.3.6.1.4.1.8072.3.2.")
        assert "interfaces" in one.marks["tables"].split()
        assert "ups" not in one.marks["tables"].split()
        assert one.marks["sysdescr"] in one.says
        driver.Endpoint.model_validate(
            {**one.endpoint, **{key: access[key] for key in access if key not in one.endpoint}}
        )
        told = f"{one!r}"
        assert not any(secret in told for secret in (AUTH_KEY, PRIV_KEY, "public"))


async def test_an_agent_that_refuses_the_credentials_is_said_and_not_passed_over(port: int) -> None:
    found = await look(ranges=["127.0.5.1"], port=port, **V3 | {"user": "nobody"})
    assert [(one.says, one.marks) for one in found] == [("an SNMP agent that refuses these credentials", {})]


async def test_questions_keep_to_the_rate(port: int) -> None:
    begun = time.monotonic()
    assert len(await look(ranges=["127.0.5.1"], port=port, per_second=20, **V2)) == 1
    assert time.monotonic() - begun > 9 / 20  # greeting, the system group and eight tables


async def test_a_search_that_is_left_leaves_nothing_behind(port: int) -> None:
    gc.collect()  # what searches before this one left to the collector is none of it
    before = asyncio.all_tasks(), len(os.listdir("/proc/self/fd"))
    search = driver.discover(
        driver.Search.model_validate({"ranges": "127.0.5.0/28", "port": port, "per_second": 50, **V2})
    )
    async for _ in search:
        break
    await search.aclose()  # type: ignore[attr-defined]
    assert (asyncio.all_tasks(), len(os.listdir("/proc/self/fd"))) == before


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "ranges"),
        ({"ranges": []}, "ranges"),
        ({"ranges": "127.0.0.0/21"}, "1024 addresses"),
        ({"ranges": "::/64"}, "1024 addresses"),
        ({"ranges": "localhost"}, "ranges"),
        ({"ranges": "127.0.0.1", "per_second": 51}, "per_second"),
        ({"ranges": "127.0.0.1", "host": "127.0.0.1"}, "host"),
    ],
)
def test_a_search_without_bounds_is_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        driver.Search.model_validate(settings | V2)


def test_every_address_is_asked_once() -> None:
    search = driver.Search.model_validate({"ranges": "192.0.2.0/30, 192.0.2.2 192.0.2.9", **V2})
    assert search.addresses == ["192.0.2.1", "192.0.2.2", "192.0.2.9"]  # type: ignore[attr-defined]
