"""Tables walked into instances, restarts, and version 1, against net-snmp's snmpd."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.snmp import SnmpDriver, driver
from drivers.snmp.reboots import Life, began_anew
from drivers.snmp.values import Raw, row_names
from hub.core.wire import _instance as INSTANCE
from hub.driver import Binding, PollLink
from hub.errors import ProtocolFault
from hub.model import GONE, Sample
from tests.drivers.snmp.agent import ROOT, Snmpd, binding, calm, calm3, scripted
from tests.drivers.snmp.test_nasty_peers import UPTIME, V2C, answered

STATE, NAME = f"{ROOT}.2.1.8", f"{ROOT}.2.1.2"
EVERY_VERSION = [{"version": "1"}, {}]


def table(**address: Any) -> Binding:
    bound = binding(STATE, "int")
    return bound._replace(address=driver.Address.model_validate({"table": STATE, **address}))


def by_instance(samples: Any) -> dict[str, Any]:
    return {one.series.instance: one.error if one.raw is None else one.raw for one in samples}


def fill(agent: Snmpd, count: int) -> None:
    for row in range(1, count + 1):
        agent.set(f"2.1.2.{row}", "string", f"Port {row}/安")
        agent.set(f"2.1.8.{row}", "integer", row)


@pytest.mark.parametrize("version", [{"version": "1"}, {"version": "2c"}, {"version": "3"}])
async def test_every_row_is_an_instance_named_by_its_index_or_its_label(agent: Snmpd, version: dict[str, str]) -> None:
    fill(agent, 45)
    endpoint = calm3(agent.port) if version["version"] == "3" else calm(agent.port, **version)
    named = table(label=NAME)
    async with driver.connect(endpoint, [table(), named._replace(series=named.series._replace(point="named"))]) as link:
        assert isinstance(link, PollLink)
        found = await link.read([table().series])
        assert by_instance(found) == {str(row): row for row in range(1, 46)}
        found = await link.read([named.series._replace(point="named")])
        assert by_instance(found) == {f"Port-{row}/": row for row in range(1, 46)}


async def test_a_row_that_has_gone_is_an_error_until_it_is_back_also_over_connections(agent: Snmpd) -> None:
    fill(agent, 3)
    fresh, endpoint = SnmpDriver(), calm(agent.port)

    async def look() -> dict[str, Any]:
        async with fresh.connect(endpoint, [table()]) as link:
            assert isinstance(link, PollLink)
            return by_instance(await link.read([table().series]))

    assert await look() == {"1": 1, "2": 2, "3": 3}
    agent.unset("2.1.8.2")
    for _ in range(2):
        assert await look() == {"1": 1, "2": f"{GONE}{STATE}: the row has gone", "3": 3}
    agent.set("2.1.8.2", "integer", 22)
    assert await look() == {"1": 1, "2": 22, "3": 3}
    for row in (1, 2, 3):
        agent.unset(f"2.1.8.{row}")
    assert set((await look()).values()) == {f"{GONE}{STATE}: the row has gone"}


async def test_a_table_without_rows_and_one_with_too_many_are_errors(agent: Snmpd) -> None:
    bound = table(rows=3)
    async with SnmpDriver().connect(calm(agent.port), [bound]) as link:
        assert isinstance(link, PollLink)
        assert by_instance(await link.read([bound.series])) == {"": f"{STATE}: the table has no rows"}
        fill(agent, 3)
        assert by_instance(await link.read([bound.series])) == {"1": 1, "2": 2, "3": 3}
        fill(agent, 4)
        said = by_instance(await link.read([bound.series]))
        assert said == dict.fromkeys("123", f"{STATE}: the table has more than 3 rows")


async def test_rows_too_long_for_one_answer_are_asked_for_fewer_at_a_time(agent: Snmpd) -> None:
    for row in range(1, 31):
        agent.set(f"2.1.8.{row}", "string", "x" * 700)
    bound = table()._replace(kind="str")
    async with SnmpDriver().connect(calm(agent.port), [bound]) as link:
        assert isinstance(link, PollLink)
        assert set(by_instance(await link.read([bound.series])).values()) == {"x" * 700}


async def test_an_agent_that_goes_round_in_circles_is_a_fault_and_its_neighbours_are_read() -> None:
    """Each GETBULK is answered with the same two rows."""

    def answer(request: bytes) -> list[bytes]:
        if request[:2] and b"\xa5" not in request[:30]:
            return [answered(request)]
        from pyasn1.codec.ber import decoder, encoder

        message, _ = decoder.decode(request, asn1Spec=V2C.Message())
        pdu = V2C.apiMessage.get_pdu(message)
        response = V2C.GetResponsePDU()
        V2C.apiPDU.set_defaults(response)
        V2C.apiPDU.set_request_id(response, V2C.apiPDU.get_request_id(pdu))
        rows = [(f"{STATE}.{row}", V2C.Integer(row)) for row in (1, 2, 3, 2, 3)]
        V2C.apiPDU.set_varbinds(response, rows)
        V2C.apiMessage.set_pdu(message, response)
        return [encoder.encode(message)]

    plain = binding(UPTIME)
    async with scripted(answer) as port, SnmpDriver().connect(calm(port), [table(), plain]) as link:
        assert isinstance(link, PollLink)
        with pytest.raises(ProtocolFault, match="walking") as caught:
            await link.read([table().series, plain.series])
    samples: list[Sample] = list(caught.value.samples)
    assert [one.raw for one in samples if one.series == plain.series] == [7]
    assert [one.raw for one in samples if one.series != plain.series] == [None]


async def test_in_version_1_a_dead_point_does_not_spoil_its_neighbours(agent: Snmpd) -> None:
    """The agent answers the whole request with noSuchName."""
    bindings = [binding(agent.set(f"{n}.0", "integer", n)) for n in range(1, 21) if n not in (7, 8)]
    bindings += [binding(f"{ROOT}.7.0"), binding(f"{ROOT}.8.0")]
    async with SnmpDriver().connect(calm(agent.port, version="1"), bindings) as link:
        assert isinstance(link, PollLink)
        for _ in range(3):
            samples = await link.read([one.series for one in bindings])
            assert [one.raw for one in samples] == [*(n for n in range(1, 21) if n not in (7, 8)), None, None]
        agent.set("8.0", "integer", 8)
        for _ in range(2):
            samples = await link.read([one.series for one in bindings])
        assert [one.raw for one in samples[-2:]] == [None, 8]


REBOOT = binding(UPTIME)._replace(address=driver.Address.model_validate({"reboot": True}), kind="bool")


@pytest.mark.parametrize("version", ["1", "2c", "3"])
async def test_an_agent_that_restarts_is_seen_once(agent: Snmpd, version: str) -> None:
    endpoint = calm3(agent.port) if version == "3" else calm(agent.port, version=version)
    fresh = SnmpDriver()

    async def look(times: int) -> list[Any]:
        async with fresh.connect(endpoint, [REBOOT]) as link:
            assert isinstance(link, PollLink)
            return [(await link.read([REBOOT.series]))[0].raw for _ in range(times)]

    assert await look(2) == [False, False]
    await agent.stop()
    await agent.start()
    assert await look(2) == [True, False]


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 90 * 86_400),
    st.floats(-0.003, 0.003),
)
def test_an_agent_that_runs_on_has_not_restarted_also_where_its_count_begins_again(
    ticks: int, passed: float, drift: float
) -> None:
    later = int(ticks + passed * 100 * (1 + drift)) % 2**32
    assert not began_anew(Life(1000, ticks, None), Life(1000 + passed, later, None))


@given(st.integers(10_000, 2**32 - 1_000_000), st.floats(0, 3600), st.integers(0, 3000))
def test_a_count_that_begins_again_before_its_end_is_a_restart(ticks: int, passed: float, fresh: int) -> None:
    assert began_anew(Life(0, ticks, None), Life(passed, fresh, None))


def test_an_agent_that_was_up_for_a_year_and_restarts_is_seen() -> None:
    assert began_anew(Life(0, 365 * 8_640_000, None), Life(60, 500, None))


def test_a_clock_that_runs_ahead_is_no_restart() -> None:
    assert not began_anew(Life(0, 1000, None), Life(60, 100_000, None))


def test_the_engines_boots_settle_it() -> None:
    assert not began_anew(Life(0, 100_000, 4), Life(60, 50, 4))
    assert began_anew(Life(0, 100_000, 4), Life(60, 106_000, 5))
    assert began_anew(Life(0, 100_000, 4), Life(60, 106_000, 1))


LABELS = st.one_of(st.none(), st.binary(max_size=100), st.text(max_size=100).map(str.encode), st.integers())


@given(st.dictionaries(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30).map(lambda arcs: ".".join(map(str, arcs))), LABELS, max_size=20))  # fmt: skip
def test_rows_have_names_that_travel_and_differ(labels: dict[str, Raw]) -> None:
    names = row_names(labels, labels)
    assert names.keys() == labels.keys()
    assert len(set(names.values())) == len(names)
    assert all(INSTANCE.match(name) for name in names.values())


async def test_two_reads_at_once_of_points_without_values_keep_apart(agent: Snmpd) -> None:
    bindings = [binding(f"{ROOT}.{n}.0") for n in range(1, 5)]
    async with SnmpDriver().connect(calm(agent.port), bindings) as link:
        assert isinstance(link, PollLink)
        asked = [one.series for one in bindings]
        for _ in range(3):
            for samples in await asyncio.gather(link.read(asked), link.read(asked[:2]), link.read(asked)):
                assert all(one.error for one in samples)
