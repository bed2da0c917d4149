"""Traps and informs of net-snmp's own senders to one listener, from agents that are several snmpd, each at an address of its own."""

import asyncio
import contextlib
import gc
import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import encoder
from pydantic import SecretStr
from pysnmp.proto import api

from drivers.snmp import SnmpDriver
from drivers.snmp.engine_state import begin_engine
from drivers.snmp.settings import TrapRule
from drivers.snmp.traps import Notification, Rules
from drivers.snmp.usm import DIGESTS, authenticity_fault, header_of
from hub.driver import Binding, PollLink, PushLink
from hub.engine import Prefix
from hub.errors import LinkDown
from hub.model import Delivery, Lane, Reject, Sample, Series
from hub.runtime.drivers import LinkPlan
from hub.runtime.links import LinkRunner
from hub.testing import eventually
from tests.drivers.snmp.agent import AUTH_KEY, PRIV_KEY, ROOT, Snmpd, binding, calm, calm3
from tests.drivers.snmp.messages import KINDS, Keys
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


@pytest.fixture
async def site(peers: Prefix, tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(peers, tmp_path)
    yield made
    for agent in made.agents.values():
        await agent.stop()
    assert made.driver._listeners._open == {}


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


async def test_strangers_and_wrong_credentials_are_rejects_with_their_reason(site: Site) -> None:
    await site.agent("127.0.3.1")
    async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]) as (_, stream):
        for host, what, code in (
            ("127.0.3.9", site.v2_trap(OPENED), "trap-sender"),
            ("127.0.3.1", site.v2_trap(OPENED, community="other"), "trap-credentials"),
            ("127.0.3.1", (*site.v3_keys(), site.to(), "", OPENED), "trap-credentials"),
            ("127.0.3.1", site.v2_trap(f"{ROOT}.0.77"), "trap-unmapped"),
        ):
            assert await site.sent(host, *what) == ""
            rejects: list[Any] = []
            while not rejects:
                (delivery,) = await take(stream)
                assert delivery.samples == [] or not delivery.samples
                rejects += delivery.rejects
            assert [one.code for one in rejects] == [code]
            assert "other" not in rejects[0].reason


async def test_a_v3_trap_with_a_wrong_key_or_in_the_clear_is_not_believed(site: Site) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    async with site.link(site.endpoint("127.0.3.1", "3"), [raised_by(OPEN)]) as (_, stream):
        wrong = [one.replace(AUTH_KEY, "another-key-1") for one in site.v3_keys()]
        clear = [one.replace("authPriv", "authNoPriv") for one in site.v3_keys()]
        for keys in (wrong, clear, ("-v", "2c", "-c", "public")):
            assert await site.sent("127.0.3.1", *keys, site.to(), "", OPENED) == ""
            (delivery,) = await take(stream)
            assert said(delivery) == []
            assert [one.code for one in delivery.rejects] == ["trap-credentials"]


async def test_a_trap_that_is_said_again_later_is_not_believed(site: Site) -> None:
    """By its sender's own boots, which snmptrap takes by hand."""
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    keys = (*site.v3_keys(), "-e", "0x8000000001020304")
    async with site.link(site.endpoint("127.0.3.1", "3"), [raised_by(OPEN)]) as (_, stream):
        heard: list[Any] = []
        for boots in ("5,1000", "5,1010", "4,2000", "5,500", "6,1"):
            assert await site.sent("127.0.3.1", "-Z", boots, *keys, site.to(), "", OPENED) == ""
            found: list[Any] = []
            while not found:  # the agent's answers come between
                (delivery,) = await take(stream)
                traps = [raw for _, raw in said(delivery)] if delivery.samples else []
                found = [one.code for one in delivery.rejects] or traps
            heard.append(found[0])
        assert heard.count("trap-replay") == 2


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


async def test_five_thousand_malformed_datagrams_reach_nobody_and_the_trap_behind_them_does(site: Site) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    escaped: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    chance = random.Random(3)
    good = trap_bytes(f"{ROOT}.5.1", f"{ROOT}.5.2")
    async with site.link(site.endpoint("127.0.3.1"), [raised_by(OPEN)]) as (_, stream):
        (listener,) = site.driver._listeners._open.values()
        for number in range(5_000):
            if number % 3 == 0:
                datagram = chance.randbytes(chance.randrange(0, 200))
            else:
                spoiled = bytearray(good)
                for _ in range(chance.randrange(1, 4)):
                    spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
                datagram = bytes(spoiled[: chance.randrange(1, len(spoiled) + 1)])
            listener.take(datagram, ("127.0.3.1", 9))
        (ear,) = listener.ears
        assert len(ear.heard) <= 256
        assert len(ear.rejects) <= 40
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.3.1", 0))
            ear.heard.clear()
            for datagram in (b"", b"\x30", good[:-3], good):
                sender.sendto(datagram, ("127.0.0.1", site.port))
        raised: list[tuple[str, Any]] = []
        while not raised:
            (delivery,) = await take(stream)
            raised += said(delivery)
        assert raised == [("door", 1)]
    assert escaped == []


async def test_spoiled_version_3_messages_of_any_kind_reach_nobody(site: Site) -> None:
    """Authentic and not, encrypted and not, to our engine and from others, before and after their time."""
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    chance = random.Random(5)
    async with site.link(site.endpoint("127.0.3.1", "3"), [raised_by(OPEN)]):
        (listener,) = site.driver._listeners._open.values()
        (ear,) = listener.ears
        known = {one: Keys(one) for one in (listener.identity.id, b"\x80\x00\x00\x00\x05abc")}

        def spoiled(octets: bytes, share: float) -> bytes:
            made = bytearray(octets)
            for _ in range(chance.randrange(1, 4) if chance.random() < share else 0):
                made[chance.randrange(len(made))] = chance.randrange(256)
            return bytes(made)

        for number in range(700):
            keys = known[chance.choice(list(known))]
            ours = listener.identity
            boots, now = chance.choice([(ours.boots, ours.time), (0, 0), (2**31 - 1, 2**31 - 1)])
            scoped = spoiled(keys.scoped(chance.choice(KINDS), number, OPENED), 0.5)
            user, flags = chance.choice([b"sha256", b"x", b""]), chance.randrange(8)
            message = keys.sealed(number, flags, boots, now, user, scoped)
            listener.take(spoiled(message, 0.3), ("127.0.3.1", 9))
            assert len(ear.heard) <= 256
            assert len(ear.rejects) <= 40


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


async def test_what_is_quarantined_shows_no_community(site: Site) -> None:
    (await site.agent("127.0.3.1")).set("1.0", "integer", 1)
    async with site.link(site.endpoint("127.0.3.1", community="trap-s3cret"), [raised_by(OPEN)]) as (_, stream):
        assert await site.sent("127.0.3.1", *site.v2_trap(f"{ROOT}.0.77", community="trap-s3cret")) == ""
        rejects: list[Any] = []
        while not rejects:
            rejects += (await take(stream))[0].rejects
        assert [one.code for one in rejects] == ["trap-unmapped"]
        assert b"***********" in rejects[0].payload
        assert b"s3cret" not in rejects[0].payload


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


# ---- what a trap means ----

PORT = f"{ROOT}.2.1.8"


def mean(
    bound: Binding, *varbinds: tuple[str, Any], rows: dict[str, str] | None = None
) -> tuple[list[Any], list[Series]]:
    known = {} if rows is None else {bound.series: rows}
    found = Rules([bound]).apply(Notification(OPENED, varbinds), 5, known)
    return [(one.series.instance, one.raw) for one in found.samples], found.ask


def test_only_values_that_raise_become_samples_and_every_other_one_has_the_agent_asked() -> None:
    bound = raised_by({"trap": OPENED, "varbind": DOOR, "raises": [1, 2]})
    assert mean(bound, (DOOR, 2)) == ([("", 2)], [bound.series])
    for varbinds in ([(DOOR, 3)], [(DOOR, b"x")], [(DOOR, None)], []):
        assert mean(bound, *varbinds) == ([], [bound.series])


def test_a_trap_of_version_1_is_known_also_where_its_mib_has_no_zero_before_the_last_arc() -> None:
    bound = raised_by({"trap": f"{ROOT}.11.3", "value": 1})
    for trap, known in (
        (f"{ROOT}.11.3", True),
        (f"{ROOT}.11.0.3", True),
        (f"{ROOT}.11.0.4", False),
        (f"{ROOT}.3", False),
    ):
        assert Rules([bound]).apply(Notification(trap, ()), 5, {}).known is known


def test_a_rule_holds_only_where_its_bindings_say_so() -> None:
    bound = raised_by({"trap": OPENED, "value": 1, "when": {f"{ROOT}.7": [3, "smoke"]}})
    assert mean(bound, (f"{ROOT}.7.0", 3)) == ([("", 1)], [bound.series])
    assert mean(bound, (f"{ROOT}.7.0", b"smoke\0")) == ([("", 1)], [bound.series])
    for varbinds in ([(f"{ROOT}.7.0", 4)], [(f"{ROOT}.70", 3)], []):
        assert mean(bound, *varbinds) == ([], [])


def test_a_row_is_named_as_the_table_names_it_and_an_unknown_one_is_left_to_the_agent() -> None:
    by_index = raised_by({"trap": OPENED, "value": 2, "instance_index": PORT}, table=PORT, label=f"{ROOT}.2.1.2")
    assert mean(by_index, (f"{PORT}.7", 2), rows={"7": "eth7"}) == ([("eth7", 2)], [by_index.series])
    assert mean(by_index, (f"{PORT}.8", 2), rows={"7": "eth7"}) == ([], [by_index.series])
    assert mean(by_index, rows={"7": "eth7"}) == ([], [by_index.series])
    by_value = raised_by({"trap": OPENED, "value": 2, "instance": f"{ROOT}.9"}, table=PORT)
    assert mean(by_value, (f"{ROOT}.9.7", 7), rows={"7": "7"}) == ([("7", 2)], [by_value.series])


def test_a_trap_about_another_devices_row_is_not_this_ones() -> None:
    bound = raised_by({"trap": OPENED, "value": 1, "instance_index": PORT}, oid=PORT, indexed=True)
    mine = bound._replace(device=SnmpDriver.Device.model_validate({"index": "3"}))
    assert mean(mine, (f"{PORT}.3", 1)) == ([("", 1)], [mine.series])
    assert mean(mine, (f"{PORT}.4", 1)) == ([], [mine.series])


def test_a_point_that_only_traps_raise_is_raised_and_never_asked_for() -> None:
    bound = raised_by({"trap": OPENED, "value": True, "instance": f"{ROOT}.9"}, type=None)
    assert mean(bound, (f"{ROOT}.9.0", b"channel 2")) == ([("channel-2", True)], [])


@pytest.mark.parametrize(
    "rule",
    [
        {"varbind": DOOR},
        {"raises": [1]},
        {"varbind": DOOR, "raises": [1], "value": 1},
        {"instance": DOOR, "instance_index": DOOR},
    ],
)
def test_a_rule_that_could_clear_or_says_two_things_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"varbind|value|instance"):
        TrapRule.model_validate({"trap": OPENED, **rule})


@given(st.lists(st.tuples(st.sampled_from([DOOR, PORT, f"{PORT}.1", f"{ROOT}.9"]), st.one_of(st.none(), st.integers(), st.binary(max_size=90), st.text(max_size=20))), max_size=5))  # fmt: skip
def test_any_bindings_mean_something_or_nothing(varbinds: list[tuple[str, Any]]) -> None:
    for rule in (
        {"varbind": DOOR, "raises": [1]},
        {"value": 1, "instance": f"{ROOT}.9"},
        {"value": 1, "instance_index": PORT},
    ):
        samples, _ = mean(raised_by({"trap": OPENED, **rule}), *varbinds)
        assert all(raw == 1 for _, raw in samples)
