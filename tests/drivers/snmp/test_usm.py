"""Forged and replayed version 3 answers, against net-snmp's own messages and the RFC's own examples."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.snmp import driver
from drivers.snmp.usm import DIGESTS, authenticity_fault, localized_key
from hub.driver import PollLink
from hub.errors import ProtocolFault
from tests.drivers.snmp.agent import AUTH_KEY, HOST, Snmpd, binding, v3

ONE = binding("1.3.6.1.4.1.99999.1.0")


class Wire(asyncio.DatagramProtocol):
    """Between the driver and the agent; passes on what `spoil` makes of the agent's messages, and keeps them."""

    def __init__(self, agent: int) -> None:
        self.agent = agent
        self.heard: list[bytes] = []
        self.spoil: Callable[[bytes], list[bytes]] = lambda message: [message]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr[1] != self.agent:
            self.client = addr
            self.transport.sendto(data, (HOST, self.agent))
            return
        self.heard.append(data)
        for message in self.spoil(data):
            self.transport.sendto(message, self.client)


@asynccontextmanager
async def wire(agent: Snmpd) -> AsyncIterator[Wire]:
    loop = asyncio.get_running_loop()
    transport, between = await loop.create_datagram_endpoint(lambda: Wire(agent.port), (HOST, 0))
    try:
        yield between
    finally:
        transport.close()


def test_the_key_is_the_one_of_the_rfcs_example() -> None:
    """RFC 3414, A.3.2: password maplesyrup, SHA."""
    engine_id = bytes.fromhex("000000000000000000000002")
    key = localized_key(DIGESTS["sha"], b"maplesyrup", engine_id)
    assert key.hex() == "6695febc9288e36282235fc7151f128497b38f3f"


@pytest.mark.parametrize("user", ["sha", "sha256", "sha512"])
async def test_every_answer_of_net_snmp_is_believed_and_none_after_a_change_of_any_byte(
    agent: Snmpd, user: str
) -> None:
    agent.set("1.0", "integer", 7)
    async with wire(agent) as between, driver.connect(v3(between.port, user), [ONE]) as link:
        assert isinstance(link, PollLink)
        await link.read([ONE.series])
        engine_id = link._agent.engine_id  # type: ignore[attr-defined]
    answer = between.heard[-1]
    digest = DIGESTS[user]
    key = localized_key(digest, AUTH_KEY.encode(), engine_id)
    assert authenticity_fault(answer, digest, key) is None
    for place in range(len(answer)):
        changed = bytearray(answer)
        changed[place] ^= 1
        assert authenticity_fault(bytes(changed), digest, key) is not None
    assert authenticity_fault(answer, digest, None) is not None
    assert authenticity_fault(answer, digest, b"another") == "an answer with a wrong digest"


async def test_a_forged_answer_is_not_believed_and_the_true_one_behind_it_is(agent: Snmpd) -> None:
    agent.set("1.0", "integer", 7)
    async with wire(agent) as between, driver.connect(v3(between.port), [ONE]) as link:
        assert isinstance(link, PollLink)
        between.spoil = lambda message: [message[:-1] + bytes([message[-1] ^ 1]), message]
        assert [sample.raw for sample in await link.read([ONE.series])] == [7]


async def test_where_only_forged_answers_come_it_is_a_fault_with_the_bytes(agent: Snmpd) -> None:
    agent.set("1.0", "integer", 7)
    async with wire(agent) as between, driver.connect(v3(between.port, timeout_s=0.3), [ONE]) as link:
        assert isinstance(link, PollLink)
        between.spoil = lambda message: [message[:-1] + bytes([message[-1] ^ 1])]
        with pytest.raises(ProtocolFault, match="wrong digest") as caught:
            await link.read([ONE.series])
        assert caught.value.payload[:-1] == between.heard[-1][:-1]
        assert [sample.raw for sample in caught.value.samples] == [None]


@given(st.binary(max_size=200), st.sampled_from(sorted(DIGESTS)))
def test_any_bytes_are_judged_and_never_believed_without_being_a_report(message: bytes, auth: str) -> None:
    fault = authenticity_fault(message, DIGESTS[auth], b"key")
    assert fault or b"\xa8" in message
