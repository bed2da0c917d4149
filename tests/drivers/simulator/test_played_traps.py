"""Played SNMP devices send traps: the real driver hears them from the agent's own address, takes a repeated one, and clears by what it reads alone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulator.exchange import Trap, read_lines
from drivers.simulator.snmp_endpoint import trap_of
from drivers.snmp.settings import SnmpAddress
from hub.core.rehearsal import rehearse
from hub.core.site_manifest import Sited, manifest_of
from hub.driver import PollLink, PushLink
from hub.errors import BadInput
from hub.manifest import Manifest
from hub.model import Sample
from hub.runtime.simulation import Ledger, Simulated, Wish, simulated
from hub.simulation import Place
from hub.testing import eventually
from tests.drivers.simulator.test_faults import PROFILES, listening, plan

ROOT = "1.3.6.1.4.1.8072.9999.9999"


@contextlib.asynccontextmanager
async def played(folder: Path, *names: str, **wish: Any) -> AsyncIterator[list[Simulated]]:
    profiles = [PROFILES[name] for name in names]
    asked = Wish(seed=11, **wish)
    async with simulated(profiles, asked, Place(folder), Ledger(None), lambda _: None) as devices:
        yield devices


async def polled(device: Simulated) -> list[Sample]:
    """What a link that nobody sends traps to reads."""
    way = plan(device, traps=None)
    async with way.driver.connect(way.endpoint, way.bindings) as link:
        assert isinstance(link, PollLink)
        return list(await link.read([one.series for one in way.bindings]))


async def test_a_raised_point_comes_by_trap_twice_does_no_harm_and_what_clears_it_is_an_answer(tmp_path: Path) -> None:
    async with asyncio.timeout(60), played(tmp_path, "apc-powernet-ups", faults={"duplicate_trap": 1.0}) as (device,):
        way = plan(device)
        heard: list[tuple[Sample, ...]] = []
        async with way.driver.connect(way.endpoint, way.bindings) as link:
            assert isinstance(link, PushLink)
            stream = link.deliveries()
            await device.raise_alarm("on_battery")
            async with contextlib.aclosing(stream):  # type: ignore[type-var]
                async for delivery in stream:
                    assert not delivery.rejects
                    heard.append(tuple(delivery.samples))
                    await delivery.settle()
                    if len(heard) == 3:  # the trap, the trap again, and what the agent answered to a question
                        await device.clear_alarm("on_battery")
                    if heard[-1] and heard[-1][0].raw != 3:
                        break
        assert [one.raw for samples in heard[:3] for one in samples] == [3, 3, 3]
        assert sum(len(samples) for samples in heard) >= 4  # until an answer says so, nothing does
        assert device.playing.spoilt["duplicate_trap"] >= 2
    before = rehearse(device.profile, [one for samples in heard[:3] for one in samples], heard[0][0].at)
    assert [alarm.definition for alarm in before.alarms] == ["on_battery"]


async def test_what_only_traps_raise_no_trap_clears(tmp_path: Path) -> None:
    async with played(tmp_path, "dahua-recorder") as (device,), listening(plan(device)) as heard:
        await eventually(lambda: heard.connections)
        await device.raise_alarm("video_lost")
        await eventually(lambda: heard.values("video_lost", "1"))
        await device.clear_alarm("video_lost")
        await device.raise_alarm("storage_failed")
        await eventually(lambda: heard.values("storage_failure", "1"))
        assert {one.raw for one in await polled(device) if one.series.point == "video_lost"} == set()
    assert set(heard.values("video_lost", "1")) == {True}
    assert not heard.rejects


async def test_a_restart_is_said_by_coldstart_and_seen_by_what_the_agent_counts(tmp_path: Path) -> None:
    async with played(tmp_path, "if-mib-switch") as (device,):
        assert not any(one.raw for one in await polled(device) if one.series.point == "restarted")
        async with listening(plan(device)) as heard:
            await eventually(lambda: heard.connections)
            await device.raise_alarm("restarted")
            await eventually(lambda: True in heard.values("restarted"))


async def test_a_clock_that_jumps_goes_on_or_begins_anew_as_after_a_restart(tmp_path: Path) -> None:
    async with played(tmp_path, "if-mib-switch", faults={"clock_jump": 1.0}) as (device,):
        seen: list[tuple[float, bool]] = []

        async def both_ways() -> bool:
            await device.playing.show({("uptime", ""): 100_000})
            values = {one.series.point: one.raw for one in await polled(device) if one.series.instance == ""}
            seen.append((float(values["uptime"] or 0), values["restarted"] is True))
            return any(up == 0 and again for up, again in seen) and any(up > 160_000 for up, _ in seen)

        await eventually(both_ways)
        assert all(up == 0 or up > 160_000 for up, _ in seen)


async def test_every_site_hears_its_agents_at_one_port_of_its_own_and_the_manifest_says_where(tmp_path: Path) -> None:
    async with played(tmp_path, "apc-powernet-ups", "if-mib-switch", "rfc1628-ups", sites=2) as devices:
        ends = [device.playing.endpoint for device in devices]
        assert len({end["host"] for end in ends}) == 6
        assert all(end["host"].startswith("127.77.") for end in ends)
        ports = [end["traps"]["port"] if "traps" in end else None for end in ends]
        assert ports[0] == ports[1] != ports[3] == ports[4]
        assert ports[2] is ports[5] is None  # no trap in its profile
        sited = [
            Sited(one.name, one.site, one.profile, one.playing.endpoint, frozenset({"auth_key", "priv_key"}), {})
            for one in devices
        ]
        document, _ = manifest_of(sited, "http://127.0.0.1:9/", "x")
        for site in Manifest.model_validate(document).institutions:
            states = {end.settings["traps"]["state"] for end in site.endpoints if "traps" in end.settings}
            assert len(states) == 1
        async with listening(plan(devices[0])) as one, listening(plan(devices[1])) as other:
            await eventually(lambda: one.connections and other.connections)
            await devices[1].raise_alarm("restarted")
            await devices[0].raise_alarm("on_battery")
            await eventually(lambda: one.values("output") and other.values("restarted"))
            assert not one.rejects + other.rejects


RULES = {
    "raised_by": [
        {"trap": f"{ROOT}.1", "varbind": f"{ROOT}.5", "raises": [4, 5], "when": {f"{ROOT}.6": ["Start"]}},
        {"trap": f"{ROOT}.2", "value": 7, "instance_index": f"{ROOT}.8"},
        {"trap": f"{ROOT}.3"},
    ]
}


def test_a_trap_says_what_a_rule_of_the_point_takes() -> None:
    address = SnmpAddress.model_validate(RULES)
    assert trap_of(address, 5, "") == (f"{ROOT}.1", [(f"{ROOT}.6", "string", "Start"), (f"{ROOT}.5", "integer", 5)])
    assert trap_of(address, 7, "3") == (f"{ROOT}.2", [(f"{ROOT}.8.3", "integer", 3)])
    assert trap_of(address, 1, "") == (f"{ROOT}.3", [])
    assert trap_of(SnmpAddress(oid=f"{ROOT}.9"), 1, "") is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"trap": "up"}', "trap"),
        ('{"variables": []}', "trap"),
        ('{"trap": "1.3.6", "variables": [".1.3.6 = Float: 1"]}', "'Float' is not known"),
        ('{"trap": "1.3.6", "variables": ["x"]}', "snmpwalk -On"),
        ('{"trap": "1.3.6", "version": 3}', "version"),
    ],
)
def test_a_bad_trap_of_a_case_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"traps\.jsonl line 2") as refused:
        read_lines(Trap, f"# a trap\n{line}", "traps.jsonl")
    assert said in str(refused.value)


@given(st.dictionaries(st.sampled_from(["trap", "variables"]), st.text() | st.lists(st.text(max_size=30), max_size=3)))
def test_any_object_is_a_trap_or_is_refused(document: dict[str, Any]) -> None:

    try:
        for one in read_lines(Trap, json.dumps(document), "x"):
            assert len(one.content) == len(one.variables)
    except BadInput:
        pass
