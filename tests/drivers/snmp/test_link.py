"""The link against net-snmp's snmpd, an implementation that shares no code with gufo-snmp."""

import asyncio
import time
from typing import Any

import pytest

from drivers.snmp import driver
from hub.driver import Binding, PollLink
from hub.errors import AccessDenied, LinkDown
from hub.model import Sample, Series
from tests.drivers.snmp.agent import AUTH_KEY, PRIV_KEY, ROOT, Snmpd, binding, v2c, v3
from tests.ports import free_port

UPTIME = "1.3.6.1.2.1.1.3.0"


async def read(endpoint: Any, bindings: list[Binding]) -> list[Sample]:
    async with driver.connect(endpoint, bindings) as link:
        assert isinstance(link, PollLink)
        return list(await link.read([one.series for one in bindings]))


@pytest.mark.parametrize("user", ["sha", "sha256", "sha512"])
async def test_v3_is_read_with_authentication_and_privacy(agent: Snmpd, user: str) -> None:
    oid = agent.set("1.0", "integer", 42)
    (sample,) = await read(v3(agent.port, user), [binding(oid)])
    assert (sample.raw, sample.error) == (42, None)


async def test_every_type_is_read(agent: Snmpd) -> None:
    bindings = [
        binding(agent.set("1.0", "integer", -7), type="integer"),
        binding(agent.set("2.0", "gauge", 4_000_000_000), type="gauge"),
        binding(agent.set("3.0", "counter", 4_294_967_295), type="counter"),
        binding(agent.set("4.0", "timeticks", 12_345), type="timeticks"),
        binding(agent.set("5.0", "string", "安心"), "str", type="string"),
        binding(agent.set("6.0", "string", "21.5"), "float", type="string"),
        binding(agent.set("7.0", "octet", "00 1B FF"), "str", type="hex"),
        binding(agent.set("8.0", "objectid", ".1.3.6.1.4"), "str", type="oid"),
        binding(agent.set("9.0", "ipaddress", "192.0.2.1"), "str", type="ip"),
        binding(agent.set("10.0", "integer", 2), "bool", type="truth"),
        binding(agent.set("11.0", "integer", 0)),
        binding(UPTIME),
    ]
    *samples, uptime = await read(v2c(agent.port), bindings)
    assert [sample.error for sample in samples] == [None] * 11
    assert [sample.raw for sample in samples] == [
        -7, 4_000_000_000, 4_294_967_295, 12_345, "安心", 21.5, "00:1b:ff", "1.3.6.1.4", "192.0.2.1", False, 0,
    ]  # fmt: skip
    assert isinstance(uptime.raw, int)


async def test_a_sample_has_the_time_at_which_it_was_read(agent: Snmpd) -> None:
    before = time.time_ns() // 1000
    (sample,) = await read(v2c(agent.port), [binding(UPTIME)])
    assert before <= sample.at <= time.time_ns() // 1000


async def test_a_value_that_changes_is_seen_by_the_next_read(agent: Snmpd) -> None:
    one = binding(agent.set("1.0", "integer", 1))
    async with driver.connect(v3(agent.port), [one]) as link:
        assert isinstance(link, PollLink)
        for value in (1, 2, 3):
            agent.set("1.0", "integer", value)
            assert [sample.raw for sample in await link.read([one.series])] == [value]


async def test_a_point_that_the_agent_does_not_have_is_an_error_of_that_point_alone(agent: Snmpd) -> None:
    bindings = [binding(agent.set("1.0", "integer", 1)), binding(f"{ROOT}.99.0"), binding("1.3.6.1.2.1.1.3.7")]
    samples = await read(v3(agent.port), bindings)
    assert [sample.raw for sample in samples] == [1, None, None]
    assert samples[1].error == f"{ROOT}.99.0: no such object or instance"


async def test_a_point_that_was_missing_is_read_when_it_appears(agent: Snmpd) -> None:
    bindings = [binding(f"{ROOT}.{number}.0") for number in (1, 2, 3)]
    async with driver.connect(v2c(agent.port), bindings) as link:
        assert isinstance(link, PollLink)
        for _ in range(2):
            assert all(sample.error for sample in await link.read([one.series for one in bindings]))
        agent.set("2.0", "integer", 5)
        samples = await link.read([one.series for one in bindings])
        assert [sample.raw for sample in samples] == [None, 5, None]


async def test_many_points_are_asked_for_in_batches(agent: Snmpd) -> None:
    bindings = [binding(agent.set(f"{number}.0", "integer", number)) for number in range(1, 51)]
    samples = await read(v3(agent.port, max_varbinds=7), bindings)
    assert [sample.raw for sample in samples] == list(range(1, 51))


async def test_answers_too_long_for_one_message_are_asked_for_in_halves(agent: Snmpd) -> None:
    bindings = [binding(agent.set(f"{number}.0", "string", "x" * 800), "str") for number in range(1, 21)]
    samples = await read(v2c(agent.port), bindings)
    assert {sample.raw for sample in samples} == {"x" * 800}


async def test_an_indexed_point_is_read_at_its_devices_row(agent: Snmpd) -> None:
    agent.set("5.1.2", "integer", 12)
    agent.set("5.1.3", "integer", 13)
    bindings = [
        binding(f"{ROOT}.5.1", device={"index": "2"}, indexed=True)._replace(series=Series("outlet-2", "on")),
        binding(f"{ROOT}.5.1", device={"index": "3"}, indexed=True)._replace(series=Series("outlet-3", "on")),
        binding(f"{ROOT}.5.1", indexed=True)._replace(series=Series("outlet-x", "on")),
    ]
    samples = await read(v2c(agent.port), bindings)
    assert [sample.raw for sample in samples] == [12, 13, None]
    assert samples[2].error == f"{ROOT}.5.1 is indexed and the device has no index"


async def test_a_series_that_is_not_bound_gets_an_error(agent: Snmpd) -> None:
    async with driver.connect(v2c(agent.port), [binding(UPTIME)]) as link:
        assert isinstance(link, PollLink)
        (sample,) = await link.read([Series("other", "p")])
    assert sample.error == "this link has no such point"


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth_key": "not-the-key-1"},
        {"priv_key": "not-the-key-2"},
        {"auth": "sha512"},
        {"priv": "aes256"},
        {"user": "nobody"},
        {"user": "powerless"},
    ],
)
async def test_wrong_credentials_are_denied_and_no_secret_is_in_the_error(agent: Snmpd, wrong: dict[str, Any]) -> None:
    with pytest.raises(AccessDenied, match="user") as caught:
        await read(v3(agent.port, timeout_s=0.5, **wrong), [binding(UPTIME)])
    told = f"{caught.value!r} {caught.value} {caught.value.__context__!r}"
    assert not any(secret in told for secret in (AUTH_KEY, PRIV_KEY, "not-the-key"))


async def test_a_wrong_community_is_a_link_down_that_says_what_it_may_be(agent: Snmpd) -> None:
    with pytest.raises(LinkDown, match="community") as caught:
        await read(v2c(agent.port, community="s3cret-community", timeout_s=0.3), [binding(UPTIME)])
    assert "s3cret" not in f"{caught.value!r} {caught.value.__context__!r}"


async def test_a_port_where_nothing_listens_is_a_link_down_at_once() -> None:
    async with asyncio.timeout(20):
        for endpoint in (v2c(free_port(), timeout_s=20), v3(free_port(), timeout_s=20)):
            with pytest.raises(LinkDown, match="nothing listens"):
                await read(endpoint, [binding(UPTIME)])


async def test_an_agent_that_dies_is_a_link_down_and_is_found_again(agent: Snmpd) -> None:
    one = binding(agent.set("1.0", "integer", 1))
    async with driver.connect(v3(agent.port), [one]) as link:
        assert isinstance(link, PollLink)
        await link.read([one.series])
        await agent.stop()
        with pytest.raises(LinkDown):
            await link.read([one.series])
    await agent.start()
    assert [sample.raw for sample in await read(v3(agent.port), [one])] == [1]


async def test_an_agent_that_restarts_under_a_link_is_no_wrong_credential(agent: Snmpd) -> None:
    """Its engine has booted once more: the first request is refused as out of its time window."""
    one = binding(agent.set("1.0", "integer", 1))
    async with driver.connect(v3(agent.port), [one]) as link:
        assert isinstance(link, PollLink)
        await agent.stop()
        await agent.start()
        assert [sample.raw for sample in await link.read([one.series])] == [1]


async def test_an_agent_that_comes_back_as_another_engine_is_found_by_connecting_again(agent: Snmpd) -> None:
    one = binding(agent.set("1.0", "integer", 1))
    async with driver.connect(v3(agent.port), [one]) as link:
        assert isinstance(link, PollLink)
        await agent.stop()
        agent.forget_engine()
        await agent.start()
        with pytest.raises(LinkDown):
            await link.read([one.series])
    assert [sample.raw for sample in await read(v3(agent.port), [one])] == [1]


async def test_concurrent_reads_of_one_link_keep_apart(agent: Snmpd) -> None:
    bindings = [binding(agent.set(f"{number}.0", "integer", number)) for number in range(1, 11)]
    async with driver.connect(v3(agent.port), bindings) as link:
        assert isinstance(link, PollLink)
        read = await asyncio.gather(*(link.read([one.series]) for one in bindings for _ in range(5)))
    assert [samples[0].raw for samples in read] == [number for number in range(1, 11) for _ in range(5)]
