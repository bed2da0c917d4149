"""Traps and informs of net-snmp's own senders to one listener, from agents that are several snmpd, each at an address of its own."""

import asyncio
import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from drivers.snmp.engine_state import begin_engine
from drivers.snmp.usm import DIGESTS, authenticity_fault, header_of
from hub.errors import LinkDown
from hub.model import Lane, Reject, Sample
from hub.runtime.drivers import LinkPlan
from hub.runtime.links import LinkRunner
from hub.testing import eventually
from tests.drivers.snmp.agent import AUTH_KEY, ROOT, Snmpd
from tests.drivers.snmp.messages import KINDS, Keys
from tests.drivers.snmp.trapping import OPEN, OPENED, Site, raised_by, said, take, trap_bytes


@pytest.mark.parametrize("version", ["1", "2c", "3"])
async def test_a_trap_raises_at_once_and_the_agents_answer_decides(site: Site, version: str) -> None:
    agent = await site.agent("127.0.3.1")
    agent.set("1.0", "integer", 0)
    async with site.link(site.endpoint("127.0.3.1", version), [raised_by(OPEN)]) as (_, stream):
        heard = asyncio.create_task(take(stream, 2))
        what: tuple[str, ...]
        if version == "1":
            what = ("-v", "1", "-c", "public", site.to(), ROOT, "127.0.3.1", "6", "2", "")
        elif version == "2c":
            what = site.v2_trap(OPENED)
        else:
            what = (*site.v3_keys(), site.to(), "", OPENED)
        assert await site.sent("127.0.3.1", *what) == ""
        first, second = await heard
        assert said(first) == [("door", 1)]
        assert said(second) == [("door", 0)]
        assert [*first.rejects, *second.rejects] == []


async def test_one_listener_tells_agents_apart_by_their_address(site: Site) -> None:
    hosts = [f"127.0.3.{n}" for n in (1, 2, 3)]
    for host in hosts:
        (await site.agent(host)).set("1.0", "integer", 1)
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for host in hosts:
            _, stream = await stack.enter_async_context(
                site.link(site.endpoint(host), [raised_by(OPEN, device=f"door-{host[-1]}")])
            )
            streams.append(stream)
        assert len(site.driver._listeners._open) == 1
        heard = [asyncio.create_task(take(stream)) for stream in streams]
        for host in hosts:
            assert await site.sent(host, *site.v2_trap(OPENED)) == ""
        for host, task in zip(hosts, heard, strict=True):
            assert [said(one) for one in await task] == [[(f"door-{host[-1]}", 1)]]


@pytest.mark.parametrize("version", ["2c", "3"])
async def test_an_inform_is_acknowledged_when_its_delivery_is_settled_and_not_before(site: Site, version: str) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    endpoint = site.endpoint("127.0.3.1", version, state=str(site.folder / "state"))
    async with site.link(endpoint, [raised_by(OPEN)]) as (_, stream):
        options = ("-r", "60", "-t", "1")
        keys = site.v3_keys() if version == "3" else ("-v", "2c", "-c", "public")
        sender = await site.send("127.0.3.1", *options, *keys, site.to(), "", OPENED, program="snmpinform")
        (first,) = await take(stream)
        assert said(first) == [("door", 1)]
        with contextlib.suppress(TimeoutError):  # it repeats its inform meanwhile, which is the same one
            await asyncio.wait_for(sender.wait(), 1.5)
        assert sender.returncode is None
        await first.settle()
        assert await asyncio.wait_for(sender.wait(), 20) == 0
        (answer,) = await take(stream)
        assert said(answer) == [("door", 1)]  # what the agent was asked for; no second inform
        assert not answer.rejects


async def test_nothing_goes_out_before_an_inform_is_settled_and_then_the_answer_to_its_newest_repetition(
    site: Site,
) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    loop = asyncio.get_running_loop()
    async with site.link(site.endpoint("127.0.3.1", "3"), [raised_by(OPEN)]) as (_, stream):
        (listener,) = site.driver._listeners._open.values()
        keys, ours = Keys(listener.identity.id), listener.identity
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.bind(("127.0.3.1", 0))
            for number in (7, 8):  # a repetition has another message number
                scoped = keys.scoped(KINDS[3], 5, OPENED)
                message = keys.sealed(number, 7, ours.boots, ours.time, b"sha256", scoped)
                await loop.sock_sendto(sender, message, ("127.0.0.1", site.port))
            (first,) = await take(stream)
            assert said(first) == [("door", 1)]
            (asked,) = await take(stream)  # the repetition gave no second delivery
            assert (said(asked), list(asked.rejects)) == ([("door", 1)], [])
            with pytest.raises(BlockingIOError):
                sender.recv(2048)
            await first.settle()
            answer = await asyncio.wait_for(loop.sock_recv(sender, 2048), 20)
            assert authenticity_fault(answer, DIGESTS["sha256"], keys.auth) is None
            assert header_of(answer).number == 8
            with pytest.raises(BlockingIOError):
                sender.recv(2048)
            await loop.sock_sendto(sender, message, ("127.0.0.1", site.port))  # its answer was lost
            assert header_of(await asyncio.wait_for(loop.sock_recv(sender, 2048), 20)).number == 8


async def test_informs_that_nobody_settles_are_forgotten_in_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.snmp.listener._UNSETTLED", 20)
    await site.agent("127.0.3.1")
    async with site.link(site.endpoint("127.0.3.1", "3"), [raised_by(OPEN)]):
        (listener,) = site.driver._listeners._open.values()
        (ear,) = listener.ears
        keys, ours = Keys(listener.identity.id), listener.identity
        for number in range(30):
            scoped = keys.scoped(KINDS[3], number, OPENED)
            message = keys.sealed(number, 7, ours.boots, ours.time, b"sha256", scoped)
            listener.take(message, ("127.0.3.1", 9))
            ear.heard.clear()
        assert len(listener._waiting) == 20
        for inform in listener._waiting.values():
            inform.since -= 400
        listener.take(keys.sealed(1, 7, ours.boots, ours.time, b"sha256", scoped[:-1] + b"\3"), ("127.0.3.1", 9))
        assert len(listener._waiting) == 1


async def test_requests_and_answers_are_no_notifications_and_leave_nothing_behind(site: Site) -> None:
    await site.agent("127.0.3.1")
    good = trap_bytes()
    async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]):
        (listener,) = site.driver._listeners._open.values()
        (ear,) = listener.ears

        def say(times: int) -> int:
            for tag in list(range(0xA0, 0xA9)) * times:
                listener.take(good.replace(b"\xa7", bytes((tag,)), 1), ("127.0.3.1", 9))
                ear.heard.clear()
            gc.collect()
            return len(gc.get_objects())

        before = say(10)
        assert say(40) - before < 40
        assert "trap-malformed" in [one.code for one in ear.rejects]


async def test_users_of_one_name_with_other_keys_are_told_apart(site: Site) -> None:
    """Traps and informs: the second needs an engine of its own, as pysnmp knows one user of a name at our engine."""
    other = Snmpd(site.peers.program("snmpd"), site.folder / "127.0.3.2", site.agent_port, "127.0.3.2")
    other.configure("another-key-12")
    await other.start()
    site.agents["127.0.3.2"] = other
    await site.agent("127.0.3.1")
    async with contextlib.AsyncExitStack() as stack:
        first = site.endpoint("127.0.3.1", "3")
        second = site.endpoint("127.0.3.2", "3").model_copy(update={"auth_key": SecretStr("another-key-12")})
        bound = [raised_by(OPEN, oid=None)]
        streams = [(await stack.enter_async_context(site.link(one, bound)))[1] for one in (first, second)]
        (listener,) = site.driver._listeners._open.values()
        assert len(listener._engines) == 2
        again = first.model_copy(update={"host": "127.0.3.1"})
        async with site.link(again, bound):
            assert len(listener._engines) == 2
        for host, stream, key in zip(("127.0.3.1", "127.0.3.2"), streams, (AUTH_KEY, "another-key-12"), strict=True):
            keys = [one.replace(AUTH_KEY, key) for one in site.v3_keys()]
            assert await site.sent(host, *keys, site.to(), "", OPENED) == ""
            assert said((await take(stream))[0]) == [("door", 1)]
            sender = await site.send(host, "-r", "5", *keys, site.to(), "", OPENED, program="snmpinform")
            (inform,) = await take(stream)
            assert said(inform) == [("door", 1)]
            await inform.settle()
            assert await asyncio.wait_for(sender.wait(), 30) == 0


async def test_a_trap_that_comes_while_the_first_link_is_still_joining_waits_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.snmp.engines._free", [])
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)

    async def first() -> list[tuple[str, Any]]:
        async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]) as (_, stream):
            return said((await take(stream))[0])

    joining = asyncio.create_task(first())
    while not site.driver._listeners._open:
        await asyncio.sleep(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.3.1", 0))
        sender.sendto(trap_bytes(), ("127.0.0.1", site.port))
    assert await asyncio.wait_for(joining, 30) == [("door", 1)]


def test_pysnmp_is_not_loaded_before_somebody_listens_or_writes() -> None:
    code = "import sys, drivers.snmp.link, drivers.snmp.search; sys.exit('pysnmp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


async def test_an_inform_whose_link_went_is_taken_again_by_the_next_one(site: Site) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    endpoint = site.endpoint("127.0.3.1")
    other = await site.agent("127.0.3.2")
    other.set("1.0", "integer", 1)
    async with site.link(site.endpoint("127.0.3.2"), [raised_by(OPEN)]):  # keeps the listener open
        sender = None
        for _ in range(2):
            async with site.link(endpoint, [raised_by(OPEN)]) as (_, stream):
                if sender is None:
                    keys = ("-r", "60", "-t", "1", "-v", "2c", "-c", "public")
                    sender = await site.send("127.0.3.1", *keys, site.to(), "", OPENED, program="snmpinform")
                (first,) = await take(stream)
                last = first
                assert said(first) == [("door", 1)]
        assert sender is not None
        await last.settle()
        assert await asyncio.wait_for(sender.wait(), 20) == 0


async def test_the_engine_keeps_its_id_and_its_boots_go_up(site: Site) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    folder = site.folder / "state"
    kept = []
    for _ in range(2):
        async with site.link(site.endpoint("127.0.3.1", "3", state=str(folder)), [raised_by(OPEN)]) as (_, stream):
            sender = await site.send(
                "127.0.3.1", "-r", "5", *site.v3_keys(), site.to(), "", OPENED, program="snmpinform"
            )
            (first,) = await take(stream)
            await first.settle()
            assert await asyncio.wait_for(sender.wait(), 30) == 0
        kept.append(json.loads((folder / "snmp-engine.json").read_text()))
    assert [one["boots"] for one in kept] == [1, 2]
    assert kept[0]["engine_id"] == kept[1]["engine_id"]


def test_an_engine_file_that_is_damaged_is_named_and_one_at_its_end_begins_anew(tmp_path: Path) -> None:
    first = begin_engine(str(tmp_path))
    (tmp_path / "snmp-engine.json").write_text(json.dumps({"engine_id": first.id.hex(), "boots": 2**31 - 2}))
    anew = begin_engine(str(tmp_path))
    assert (anew.boots, anew.id != first.id) == (1, True)
    for text in ("", "{", "[]", '{"engine_id": "zz", "boots": 1}', '{"engine_id": "00", "boots": 1}', '{"boots": 0}'):
        (tmp_path / "snmp-engine.json").write_text(text)
        with pytest.raises(ValueError, match=r"snmp-engine\.json"):
            begin_engine(str(tmp_path))
    assert begin_engine(None).id != begin_engine(None).id


async def test_traps_faster_than_they_are_taken_are_counted_and_the_agent_is_asked(site: Site) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 0)
    async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]) as (_, stream):
        (listener,) = site.driver._listeners._open.values()
        for _ in range(400):
            listener.take(trap_bytes(), ("127.0.3.1", 9))
        deliveries = await take(stream, 257)
        codes = [one.code for delivery in deliveries for one in delivery.rejects]
        assert codes == ["trap-overflow"]
        assert "144" in deliveries[0].rejects[0].reason
        assert said(deliveries[-1]) == [("door", 0)]


async def test_an_agent_that_dies_while_it_is_asked_because_of_a_trap_is_a_link_down(site: Site) -> None:
    agent = await site.agent("127.0.3.1")
    agent.set("1.0", "integer", 1)
    async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]) as (_, stream):
        await agent.stop()
        assert await site.sent("127.0.3.1", *site.v2_trap(OPENED)) == ""
        (first,) = await take(stream)
        assert said(first) == [("door", 1)]
        with pytest.raises(LinkDown):
            await take(stream)


async def test_a_port_that_is_taken_and_a_state_that_differs_are_said(site: Site) -> None:
    await site.agent("127.0.3.1")
    await site.agent("127.0.3.2")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", site.port))
        with pytest.raises(LinkDown, match=f"traps cannot be heard at 0.0.0.0:{site.port}"):
            async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]):
                pass
    async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]):
        with pytest.raises(LinkDown, match=r"traps\.state"):
            async with site.link(site.endpoint("127.0.3.2", state=str(site.folder)), [raised_by(OPEN)]):
                pass


async def test_twenty_links_come_and_go_and_leave_no_socket(site: Site) -> None:
    await site.agent("127.0.3.1")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]) as (_, stream):
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_the_runtime_stores_what_a_trap_raises_before_an_inform_is_acknowledged(site: Site) -> None:
    """Through `hub.runtime.links`, which polls this link and listens to it."""
    (await site.agent("127.0.3.1")).set("1.0", "integer", 0)
    stored: list[tuple[Lane, Any]] = []
    free = asyncio.Event()
    turn = asyncio.Lock()  # a sink keeps the order of the calls

    class Store:
        async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
            async with turn:
                if any(one.raw == 1 for one in samples):
                    await free.wait()
                stored.extend((lane, one.raw) for one in samples)

    bound = raised_by(OPEN)
    plan = LinkPlan(
        "agent",
        site.driver,
        site.endpoint("127.0.3.1"),
        (bound,),
        {bound.series: 3_600_000_000},
        {bound.series.device: Lane.URGENT},
    )
    runner = asyncio.create_task(LinkRunner(plan, Store()).run())
    try:
        await eventually(lambda: (Lane.URGENT, 0) in stored)
        keys = ("-r", "60", "-t", "1", "-v", "2c", "-c", "public")
        sender = await site.send("127.0.3.1", *keys, site.to(), "", OPENED, program="snmpinform")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sender.wait(), 1.5)
        assert sender.returncode is None
        free.set()
        assert await asyncio.wait_for(sender.wait(), 20) == 0
        await eventually(lambda: stored[-2:] == [(Lane.URGENT, 1), (Lane.URGENT, 0)])
    finally:
        runner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await runner


async def test_a_trap_whose_sender_sets_the_bit_for_reports_is_a_trap_all_the_same(site: Site) -> None:
    """Some agents do; only who does not know our engine, or us, is answered with a report."""
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    engine = b"\x80\x00\x00\x00\x05another"
    async with site.link(site.endpoint("127.0.3.1", "3"), [raised_by(OPEN)]) as (_, stream):
        (listener,) = site.driver._listeners._open.values()
        keys = Keys(engine)
        scoped = keys.scoped(KINDS[2], 9, OPENED)
        listener.take(keys.sealed(9, 7, 3, 50, b"sha256", scoped), ("127.0.3.1", 9))
        assert said((await take(stream))[0]) == [("door", 1)]
