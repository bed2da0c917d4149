"""SET against net-snmp's snmpd: written, read back, refused, and nothing left of it."""

import asyncio
import gc
import os
from typing import Any

import pytest
from pyasn1.codec.ber import encoder

from drivers.snmp import driver
from drivers.snmp.engine import asn1
from drivers.snmp.engines import _free
from drivers.snmp.settings import SnmpAddress
from drivers.snmp.writing import typed_value
from hub.driver import Binding, WriteLink
from hub.errors import BadInput, LinkDown
from hub.model import Scalar
from tests.drivers.snmp.agent import Snmpd, binding, calm, calm3, v2c

CONTACT, TRAPS_ON = "1.3.6.1.2.1.1.4.0", "1.3.6.1.2.1.11.30.0"
"""sysContact.0 (DisplayString), snmpEnableAuthenTraps.0 (INTEGER, 1 enabled, 2 disabled); RFC 3418."""


def writable(oid: str, kind: str = "str", **address: Any) -> Binding:
    return binding(oid, kind, **address)._replace(writable=True)


async def write(endpoint: Any, bound: Binding, value: Scalar) -> Scalar | None:
    async with driver.connect(endpoint, [bound]) as link:
        assert isinstance(link, WriteLink)
        return await link.write(bound.series, value)


def writers(port: int) -> list[Any]:
    return [
        calm(port, write_community="private"),
        calm(port, version="1", write_community="private"),
        calm3(port, "writer"),
    ]


async def test_a_value_is_written_and_read_back_by_every_version(agent: Snmpd) -> None:
    for number, endpoint in enumerate(writers(agent.port)):
        assert await write(endpoint, writable(CONTACT), f"保安 {number}") == f"保安 {number}"
        assert await write(endpoint, writable(TRAPS_ON, "int"), 2 - number % 2) == 2 - number % 2


async def test_a_truth_is_written_as_one_and_two(agent: Snmpd) -> None:
    endpoint = calm3(agent.port, "writer")
    for value in (True, False):
        assert await write(endpoint, writable(TRAPS_ON, "bool", type="truth"), value) is value


async def test_a_value_that_the_agent_does_not_take_is_refused_with_its_reason(agent: Snmpd) -> None:
    for endpoint, reason in zip(writers(agent.port), ("wrongValue", "badValue", "wrongValue"), strict=True):
        with pytest.raises(BadInput, match=reason):
            await write(endpoint, writable(TRAPS_ON, "int"), 3)


async def test_a_point_that_cannot_be_written_is_refused_before_anything_is_sent(agent: Snmpd) -> None:
    endpoint = calm3(agent.port, "writer")
    for bound, value in (
        (binding(CONTACT, "str"), "x"),
        (writable(TRAPS_ON, "int"), "one"),
        (writable(TRAPS_ON, "int"), 2**31),
        (writable(TRAPS_ON, "int", type="gauge"), -1),
        (writable(TRAPS_ON, "bool", type="truth"), 2),
        (writable(CONTACT, "str", type="ip"), "192.0.2"),
        (writable(CONTACT, "str", type="oid"), "sysContact"),
        (writable(CONTACT, "str", type="hex"), "xx"),
        (writable(CONTACT, "str", encoding="latin-1"), "安"),
    ):
        with pytest.raises(BadInput):
            await write(endpoint, bound, value)


async def test_a_user_who_may_only_read_is_refused_and_a_community_that_may_only_read_too(agent: Snmpd) -> None:
    """The link stays what it is: it may still read."""
    with pytest.raises(BadInput, match=r"noAccess|authorizationError|notWritable"):
        await write(calm3(agent.port), writable(CONTACT), "x")
    with pytest.raises(BadInput, match=r"noAccess|authorizationError|notWritable"):
        await write(calm(agent.port), writable(CONTACT), "x")


async def test_a_write_whose_answer_is_lost_is_judged_by_what_is_read(agent: Snmpd) -> None:
    """snmpd is silent towards an unknown community."""
    endpoint = v2c(agent.port, write_community="wrong", timeout_s=1)
    with pytest.raises(LinkDown, match="wrong community for writing"):
        await write(endpoint, writable(TRAPS_ON, "int"), 1 if await write(endpoint_of(agent), writable(TRAPS_ON, "int"), 2) == 2 else 2)  # fmt: skip
    assert await write(endpoint, writable(TRAPS_ON, "int"), 2) == 2  # it is so already


def endpoint_of(agent: Snmpd) -> Any:
    return calm(agent.port, write_community="private")


@pytest.mark.parametrize("user", ["long", "reeder", "sha512"])
async def test_keys_longer_than_a_digest_are_made_as_the_agent_makes_them(agent: Snmpd, user: str) -> None:
    """Refused, because these users may only read: but by an answer that was encrypted with such a key."""
    with pytest.raises(BadInput, match=r"noAccess|authorizationError|notWritable"):
        await write(calm3(agent.port, user), writable(CONTACT), "x")


async def test_two_hundred_writes_over_forty_links_leave_nothing_behind(agent: Snmpd) -> None:
    bound = writable(TRAPS_ON, "int")

    async def round_of(count: int) -> tuple[int, int, int]:
        for number in range(count):
            endpoint = (calm(agent.port, write_community="private"), calm3(agent.port, "writer"))[number % 2]
            async with driver.connect(endpoint, [bound]) as link:
                assert isinstance(link, WriteLink)
                for _ in range(5):
                    assert await link.write(bound.series, 2) == 2
        gc.collect()
        return len(gc.get_objects()), len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())

    objects, files, tasks = await round_of(8)  # what pysnmp keeps by the clock has come and gone by then
    engines = len(_free)
    more_objects, more_files, more_tasks = await round_of(40)
    assert (len(_free), more_tasks) == (engines, tasks)
    assert more_files <= files
    assert more_objects - objects < 200


async def test_writes_at_the_same_time_do_not_disturb_each_other(agent: Snmpd) -> None:
    one, other = calm3(agent.port, "writer"), calm(agent.port, write_community="private")
    contact, on = writable(CONTACT), writable(TRAPS_ON, "int")
    wrong = write(calm3(agent.port), contact, "x")
    found = await asyncio.gather(*(write(one, contact, "a") for _ in range(6)), *(write(other, on, 2) for _ in range(6)), wrong, return_exceptions=True)  # fmt: skip
    assert found[:12] == ["a"] * 6 + [2] * 6
    assert isinstance(found[12], BadInput)
    assert len(_free) <= 9


async def test_an_agent_whose_clock_began_anew_between_two_writes_is_written_all_the_same(agent: Snmpd) -> None:
    endpoint, bound = calm3(agent.port, "writer"), writable(TRAPS_ON, "int")
    async with driver.connect(endpoint, [bound]) as link:
        assert isinstance(link, WriteLink)
        assert await link.write(bound.series, 2) == 2
        await agent.stop()
        await agent.start()
        assert await link.write(bound.series, 1) == 1


@pytest.mark.parametrize(
    ("value", "settings", "octets"),
    [
        (5, {"type": "gauge"}, "420105"),
        (2**32 - 1, {"type": "gauge"}, "420500ffffffff"),
        (-129, {}, "0202ff7f"),
        (True, {"type": "truth"}, "020101"),
        ("00:1b", {"type": "hex"}, "0402001b"),
        ("192.0.2.1", {"type": "ip"}, "4004c0000201"),
        ("1.3.6.1", {"type": "oid"}, "06032b0601"),
        ("安", {"type": "string", "encoding": "gb18030"}, "0402b0b2"),
        (7, {"type": "string"}, "040137"),
    ],
)
def test_values_are_encoded_in_the_type_of_the_point(value: Scalar, settings: dict[str, Any], octets: str) -> None:
    typed = typed_value(value, SnmpAddress(oid="1.3.6.1.4.1.9", **settings), "int")
    assert encoder.encode(asn1(*typed)).hex() == octets
