"""Peers that are silent, late, lying or talk rubbish. Their honest answers are made by pysnmp, which shares no code with gufo-snmp."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import api

from drivers.snmp import driver
from hub.driver import PollLink
from hub.errors import AccessDenied, LinkDown, ProtocolFault
from hub.model import Sample
from hub.testing import eventually
from tests.drivers.snmp.agent import ROOT, binding, scripted, v2c, v3

UPTIME = "1.3.6.1.2.1.1.3.0"
V2C = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
THREE = [binding(f"{ROOT}.{number}.0") for number in (1, 2, 3)]


def parse(request: bytes) -> tuple[Any, list[str]]:
    """The message and the OIDs that it asks for."""
    message, _ = decoder.decode(request, asn1Spec=V2C.Message())
    pdu = V2C.apiMessage.get_pdu(message)
    return message, [str(oid) for oid, _ in V2C.apiPDU.get_varbinds(pdu)]


def answered(request: bytes, value: int = 7, *, error: int = 0, shift: int = 0, empty: bool = False) -> bytes:
    """An honest answer; `shift` makes it one to another request, `error` is the error status."""
    message, oids = parse(request)
    response = V2C.apiMessage.get_response(message)
    pdu = V2C.apiMessage.get_pdu(response)
    V2C.apiPDU.set_request_id(pdu, int(V2C.apiPDU.get_request_id(pdu)) + shift)
    V2C.apiPDU.set_error_status(pdu, error)
    values = [] if empty else [(oid, V2C.Null("") if error else V2C.Integer(value)) for oid in oids]
    V2C.apiPDU.set_varbinds(pdu, values)
    sent: bytes = encoder.encode(response)
    return sent


async def read(port: int, bindings: list[Any], **more: Any) -> list[Sample]:
    async with driver.connect(v2c(port, **more), bindings) as link:
        assert isinstance(link, PollLink)
        return list(await link.read([one.series for one in bindings]))


async def test_rubbish_is_a_fault_with_the_bytes_and_the_neighbours_samples() -> None:
    def answer(request: bytes) -> list[bytes]:
        return [b"rubbish \x00\xff"] if f"{ROOT}.2.0" in parse(request)[1] else [answered(request)]

    async with scripted(answer) as port, asyncio.timeout(15):
        with pytest.raises(ProtocolFault, match="no SNMP message") as caught:
            await read(port, THREE, max_varbinds=1, timeout_s=20)
    assert caught.value.payload == b"rubbish \x00\xff"
    assert caught.value.source == f"snmp 127.0.0.1:{port}"
    assert [sample.raw for sample in caught.value.samples] == [7, None, 7]


async def test_the_link_goes_on_after_rubbish() -> None:
    rubbish = [b"\x30\x80"]

    def answer(request: bytes) -> list[bytes]:
        return [rubbish.pop()] if rubbish and UPTIME not in parse(request)[1] else [answered(request)]

    async with scripted(answer) as port, driver.connect(v2c(port), THREE) as link:
        assert isinstance(link, PollLink)
        with pytest.raises(ProtocolFault) as caught:
            await link.read([THREE[0].series])
        assert caught.value.payload == b"\x30\x80"
        assert [sample.raw for sample in await link.read([THREE[0].series])] == [7]


async def test_an_answer_on_which_the_library_panics_is_a_fault_like_any_other() -> None:
    """gufo-snmp 0.13 reads beyond an empty variable binding."""

    def answer(request: bytes) -> list[bytes]:
        message, oids = parse(request)
        if UPTIME in oids:
            return [answered(request)]
        number = int(V2C.apiPDU.get_request_id(V2C.apiMessage.get_pdu(message)))
        size = (number.bit_length() + 8) // 8
        pdu = b"\x02" + bytes([size]) + number.to_bytes(size) + b"\x02\x01\x00\x02\x01\x00\x30\x02\x30\x00"
        body = b"\x02\x01\x01\x04\x06public\xa2" + bytes([len(pdu)]) + pdu
        return [b"\x30" + bytes([len(body)]) + body]

    async with scripted(answer) as port, driver.connect(v2c(port), THREE) as link:
        assert isinstance(link, PollLink)
        for _ in range(20):
            with pytest.raises(ProtocolFault):
                await link.read([THREE[0].series])


async def test_who_answers_the_first_question_with_rubbish_is_no_agent() -> None:
    async with scripted(lambda request: [b"HTTP/1.1 400"]) as port:
        with pytest.raises(LinkDown, match="no SNMP agent of ours"):
            await read(port, THREE)


async def test_a_late_answer_is_never_the_answer_to_the_next_question() -> None:
    def answer(request: bytes) -> list[bytes]:
        return [answered(request, 111, shift=-1), answered(request, 222)]

    async with scripted(answer) as port:
        samples = await read(port, THREE[:1])
    assert [sample.raw for sample in samples] == [222]


async def test_a_lost_datagram_is_asked_for_again() -> None:
    seen = 0

    def answer(request: bytes) -> list[bytes]:
        nonlocal seen
        seen += 1
        return [answered(request)] if seen % 2 == 0 else []

    async with scripted(answer) as port:
        samples = await read(port, THREE, timeout_s=0.3)
    assert [sample.raw for sample in samples] == [7, 7, 7]


async def test_a_silent_peer_is_a_link_down_when_entering() -> None:
    async with scripted(lambda request: []) as port:
        for endpoint in (v2c(port, timeout_s=0.1), v3(port, timeout_s=0.1)):
            with pytest.raises(LinkDown, match=r"no answer to 2 requests within 0\.1 s"):
                async with driver.connect(endpoint, THREE):
                    pass


async def test_a_peer_that_falls_silent_is_a_link_down() -> None:
    alive = True
    async with scripted(lambda request: [answered(request)] if alive else []) as port:
        async with driver.connect(v2c(port, timeout_s=0.3), THREE) as link:
            assert isinstance(link, PollLink)
            alive = False
            with pytest.raises(LinkDown):
                await link.read([THREE[0].series])


async def test_a_flood_of_answers_to_nobodys_question_does_not_hold_a_read_open() -> None:
    def answer(request: bytes) -> list[bytes]:
        return [answered(request)] if UPTIME in parse(request)[1] else [answered(request, shift=5)] * 50

    async with scripted(answer) as port, asyncio.timeout(15):
        samples = await read(port, THREE, timeout_s=0.3)
    assert all("the agent answers, but not to this" in str(sample.error) for sample in samples)


@pytest.mark.parametrize("how", [{"error": 5}, {"error": 1, "empty": True}])
async def test_a_point_that_makes_the_agent_refuse_all_does_not_spoil_its_neighbours(how: dict[str, Any]) -> None:
    asked: list[list[str]] = []

    def answer(request: bytes) -> list[bytes]:
        asked.append(parse(request)[1])
        return [answered(request, **how) if f"{ROOT}.2.0" in asked[-1] else answered(request)]

    async with scripted(answer) as port, driver.connect(v2c(port), THREE) as link:
        assert isinstance(link, PollLink)
        for _ in range(2):
            asked.clear()
            samples = await link.read([one.series for one in THREE])
            assert [sample.raw for sample in samples] == [7, None, 7]
        assert asked == [[f"{ROOT}.1.0", f"{ROOT}.3.0"], [f"{ROOT}.2.0"]]


async def test_an_agent_that_says_that_we_have_no_right_is_access_denied() -> None:
    async with scripted(lambda request: [answered(request, error=16)]) as port:
        with pytest.raises(AccessDenied, match="community"):
            await read(port, THREE)


async def test_a_read_cancelled_in_the_middle_leaves_a_link_that_can_be_used_and_left() -> None:
    asked = asyncio.Event()
    held: list[bytes] = []

    def answer(request: bytes) -> list[bytes]:
        if UPTIME in parse(request)[1]:
            return [answered(request)]
        if not asked.is_set():
            held.append(answered(request, 111))
            asked.set()
            return []
        return [*held, answered(request, 222)]

    before = asyncio.all_tasks()
    async with scripted(answer) as port:
        async with driver.connect(v2c(port, timeout_s=20), THREE) as link:
            assert isinstance(link, PollLink)
            reading = asyncio.create_task(link.read([THREE[0].series]))
            await asked.wait()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert [sample.raw for sample in await link.read([THREE[0].series])] == [222]
    await eventually(lambda: asyncio.all_tasks() == before)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), min_size=1, max_size=3), st.integers(1, 99))
def test_any_datagram_is_a_fault_a_silence_or_an_answer_and_nothing_reaches_the_loop(
    changes: list[tuple[int, int]], cut: int
) -> None:
    def spoiled(request: bytes) -> bytes:
        good = bytearray(answered(request))
        for place, byte in changes:
            good[place % len(good)] = byte
        return bytes(good[:cut])

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: escaped.append(context))

        def answer(request: bytes) -> list[bytes]:
            return [answered(request) if UPTIME in parse(request)[1] else spoiled(request)]

        async with scripted(answer) as port:
            try:
                outcomes.append(await read(port, THREE[:1], timeout_s=0.05))
            except (ProtocolFault, LinkDown, AccessDenied) as error:
                outcomes.append(error)

    escaped: list[object] = []
    outcomes: list[object] = []
    asyncio.run(run())
    assert escaped == []
    assert len(outcomes) == 1
