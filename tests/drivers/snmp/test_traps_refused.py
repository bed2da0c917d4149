"""Traps that nobody believes: strangers, wrong keys, repetitions, noise; and what is said of them."""

import asyncio
import random
import socket
from typing import Any

from tests.drivers.snmp.agent import AUTH_KEY, ROOT
from tests.drivers.snmp.messages import KINDS, Keys
from tests.drivers.snmp.trapping import OPEN, OPENED, Site, raised_by, said, take, trap_bytes


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
