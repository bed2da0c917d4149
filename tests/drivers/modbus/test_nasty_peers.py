"""Peers that are silent, late, short, lying or gone: what the link makes of each."""

import asyncio
import socket
from collections.abc import Awaitable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import driver
from drivers.simulator.modbus import GARBAGE, ModbusDevice
from hub.driver import Binding, PollLink, WriteLink
from hub.errors import BadInput, LinkDown, ProtocolFault
from hub.model import Sample
from hub.testing import eventually
from tests.drivers.modbus.peers import HOST, Answer, answered, binding, endpoint, holding, scripted

THREE = [holding(1), holding(5), holding(9)]


async def read(port: int, bindings: list[Binding], **settings: float) -> list[Sample]:
    async with driver.connect(endpoint(port, **settings), bindings) as link:
        assert isinstance(link, PollLink)
        return list(await link.read([one.series for one in bindings]))


def _address(request: bytes) -> int:
    return int.from_bytes(request[8:10])


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol identifier"),
        (b"\xff" * 900, "protocol identifier"),
        (b"\0\1\0\0\0\0", "the header says 0 bytes"),
    ],
)
async def test_garbage_is_a_fault_with_the_bytes_and_the_neighbours_samples(garbage: bytes, reason: str) -> None:
    async with scripted(lambda request: garbage if _address(request) == 5 else answered(request, 7)) as port:
        with pytest.raises(ProtocolFault, match=reason) as caught:
            await read(port, THREE)
    assert caught.value.payload == garbage
    assert caught.value.source == f"modbus 127.0.0.1:{port}"
    assert [(sample.raw, sample.error is None) for sample in caught.value.samples] == [
        (7, True),
        (None, False),
        (7, True),
    ]


async def test_a_short_answer_is_a_fault_and_never_a_value() -> None:
    four = binding("wide", table="holding", address=0, type="u64")
    async with scripted(lambda request: answered(request, 1)) as port:
        with pytest.raises(ProtocolFault, match="2 bytes of values") as caught:
            await read(port, [four])
    assert caught.value.payload[-2:] == b"\0\1"


async def test_an_answer_that_is_cut_off_is_a_fault_with_what_came_and_costs_one_time_out() -> None:
    asked: list[int] = []

    def cut(request: bytes) -> bytes:
        asked.append(_address(request))
        return answered(request, 7)[:-1]

    async with scripted(cut) as port:
        with pytest.raises(ProtocolFault, match="the frame ends after 10 of 11 bytes") as caught:
            await read(port, THREE, timeout_s=0.3)
    assert len(caught.value.payload) == 10
    assert len(caught.value.samples) == 3
    assert asked == [1]


async def test_an_answer_to_another_function_is_a_fault() -> None:
    async with scripted(lambda request: answered(request[:7] + b"\4", 7)) as port:
        with pytest.raises(ProtocolFault, match="function 4 answers function 3"):
            await read(port, [holding(1)])


async def test_a_fault_costs_no_time_out_and_the_link_goes_on() -> None:
    async with ModbusDevice() as device:
        device.set_holding(1, 1, 7)
        async with driver.connect(endpoint(device.port, timeout_s=20), [holding(1)]) as link:
            assert isinstance(link, PollLink)
            device.garble_next()
            async with asyncio.timeout(15):
                with pytest.raises(ProtocolFault) as caught:
                    await link.read([holding(1).series])
                assert caught.value.payload == GARBAGE
                assert [sample.raw for sample in await link.read([holding(1).series])] == [7]


async def test_a_silent_peer_is_a_link_down_within_the_time_out() -> None:
    async with scripted(lambda request: None) as port, asyncio.timeout(15):
        with pytest.raises(LinkDown, match=r"unit 1 did not answer within 0\.3 s"):
            await read(port, THREE, timeout_s=0.3)


async def test_a_peer_that_never_accepts_is_a_link_down() -> None:
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        async with asyncio.timeout(15):
            with pytest.raises(LinkDown, match=r"did not answer|no connection within"):
                await read(port, [holding(1)], timeout_s=0.3)


async def test_a_half_open_peer_is_a_link_down() -> None:
    """The peer's kernel acknowledges and nobody is behind it: as after a power cut behind a gateway."""
    asked = 0

    def once(request: bytes) -> bytes | None:
        nonlocal asked
        asked += 1
        return answered(request, 7) if asked == 1 else None

    async with scripted(once) as port, driver.connect(endpoint(port, timeout_s=0.3), [holding(1)]) as link:
        assert isinstance(link, PollLink)
        assert [sample.raw for sample in await link.read([holding(1).series])] == [7]
        with pytest.raises(LinkDown):
            await link.read([holding(1).series])


async def test_a_peer_that_hangs_up_is_a_link_down_at_once_and_for_good() -> None:
    async with scripted(lambda request: b"") as port:
        async with driver.connect(endpoint(port, timeout_s=20), [holding(1)]) as link, asyncio.timeout(15):
            assert isinstance(link, PollLink)
            with pytest.raises(LinkDown, match="closed the connection"):
                await link.read([holding(1).series])
            with pytest.raises(LinkDown):
                await link.read([holding(1).series])


async def test_a_dead_unit_behind_a_gateway_costs_its_neighbours_one_time_out_and_no_value() -> None:
    units = [holding(1, unit=1), holding(1, unit=2), holding(5, unit=2), holding(1, unit=3)]
    asked: list[int] = []

    def gateway(request: bytes) -> bytes | None:
        asked.append(request[6])
        return None if request[6] == 2 else answered(request, request[6])

    async with scripted(gateway) as port:
        samples = await read(port, units, timeout_s=0.3)
    assert [sample.raw for sample in samples] == [1, None, None, 3]
    assert [sample.error for sample in samples[1:3]] == ["unit 2 did not answer within 0.3 s"] * 2
    assert asked == [1, 2, 3]


async def test_a_gateway_that_says_that_a_unit_is_gone_is_asked_once_a_turn() -> None:
    asked: list[int] = []

    def gateway(request: bytes) -> bytes:
        asked.append(_address(request))
        return request[:4] + b"\0\3" + request[6:7] + b"\x83\x0b"

    async with scripted(gateway) as port:
        samples = await read(port, THREE)
    assert {sample.error for sample in samples} == {
        "unit 1: the device refused: gateway target device failed to respond (11)"
    }
    assert asked == [1]


async def test_silence_all_around_a_gateway_is_a_link_down_in_the_second_read_at_the_latest() -> None:
    units = [holding(1, unit=1), holding(1, unit=2)]
    async with scripted(lambda request: None) as port, driver.connect(endpoint(port, timeout_s=0.3), units) as link:
        assert isinstance(link, PollLink)
        (sample,) = await link.read([units[0].series])
        assert sample.error == "unit 1 did not answer within 0.3 s"
        with pytest.raises(LinkDown):
            await link.read([units[1].series])


async def test_a_late_answer_is_never_the_answer_to_the_next_question() -> None:
    held: list[bytes] = []

    def late(request: bytes) -> bytes | None:
        if request[6] == 1:
            held.append(answered(request, 111))
            return None
        return b"".join(held) + answered(request, 222)

    units = [holding(1, unit=1), holding(1, unit=2)]
    async with scripted(late) as port:
        samples = await read(port, units, timeout_s=0.3)
    assert [sample.raw for sample in samples] == [None, 222]


async def test_an_answer_in_pieces_is_put_together() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in answered(await reader.readexactly(12), 7):
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()

    served: list[Awaitable[None]] = []
    server = await asyncio.start_server(lambda r, w: served.append(asyncio.ensure_future(dribble(r, w))), HOST, 0)
    async with server:
        assert [sample.raw for sample in await read(server.sockets[0].getsockname()[1], [holding(1)])] == [7]
    await asyncio.gather(*served)


async def test_a_read_cancelled_in_the_middle_leaves_a_link_that_can_be_left_or_used() -> None:
    held: list[bytes] = []
    asked = asyncio.Event()

    def slow(request: bytes) -> bytes | None:
        if not held:
            held.append(answered(request, 111))
            asked.set()
            return None
        return held[0] + answered(request, 222)

    before = asyncio.all_tasks()
    async with scripted(slow) as port:
        async with driver.connect(endpoint(port, timeout_s=20), [holding(1)]) as link:
            assert isinstance(link, PollLink)
            reading = asyncio.create_task(link.read([holding(1).series]))
            await asked.wait()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert [sample.raw for sample in await link.read([holding(1).series])] == [222]
    await eventually(lambda: asyncio.all_tasks() == before)


async def test_a_refused_or_garbled_write_is_told_apart() -> None:
    answers: list[Answer] = [
        lambda request: request[:4] + b"\0\3" + request[6:7] + b"\x86\x03",
        lambda request: request[:-1] + b"\x63",
        lambda request: None,
    ]
    writable = binding("w", writable=True, table="holding", address=1)
    async with scripted(lambda request: answers.pop(0)(request)) as port:
        async with driver.connect(endpoint(port, timeout_s=0.3), [writable]) as link:
            assert isinstance(link, WriteLink)
            with pytest.raises(BadInput, match=r"holding 1: the device refused: illegal data value \(3\)"):
                await link.write(writable.series, 1)
            with pytest.raises(ProtocolFault, match="echo"):
                await link.write(writable.series, 1)
            with pytest.raises(LinkDown):
                await link.write(writable.series, 1)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=40) | st.binary(min_size=250, max_size=700))
def test_any_bytes_are_a_fault_a_silence_or_an_answer_and_nothing_reaches_the_loop(answer: bytes) -> None:
    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: escaped.append(context))
        async with scripted(lambda request: answer) as port:
            try:
                outcomes.append(await read(port, [holding(1)], timeout_s=0.05))
            except (ProtocolFault, LinkDown) as error:
                outcomes.append(error)

    escaped: list[object] = []
    outcomes: list[object] = []
    asyncio.run(run())
    assert escaped == []
    assert len(outcomes) == 1


async def test_a_peer_that_never_stops_talking_is_a_fault_and_what_it_says_is_bounded() -> None:
    """Good frames that answer older questions, without end."""

    def flood(request: bytes) -> bytes:
        older = (int.from_bytes(request[:2]) ^ 0x8000).to_bytes(2)
        return answered(older + request[2:], 7) * 40_000

    async with scripted(flood) as port:
        with pytest.raises(ProtocolFault, match="bytes and no answer in them") as caught:
            await read(port, [holding(1)], timeout_s=20)
    assert len(caught.value.payload) == 4096
