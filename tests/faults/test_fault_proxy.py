"""The bad line itself: it does what it says, no more, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.testing import eventually
from hub.testing.fault_proxy import (
    TCP_FAULTS,
    UDP_FAULTS,
    Episode,
    Fault,
    TcpFaultProxy,
    UdpFaultProxy,
    Way,
    Weather,
    episodes,
)

HOST = "127.0.0.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echoing(**settings: Any) -> AsyncIterator[tuple[TcpFaultProxy, Streams]]:
    """A proxy before a server that says everything back, and one connection through it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    async with server, TcpFaultProxy(HOST, server.sockets[0].getsockname()[1], **settings) as proxy:
        streams = await asyncio.open_connection(HOST, proxy.port)
        await eventually(lambda: proxy.lines == 1)
        yield proxy, streams
        streams[1].close()
        await eventually(lambda: proxy.lines == 0)


async def said(streams: Streams, octets: bytes) -> bytes:
    streams[1].write(octets)
    return await asyncio.wait_for(streams[0].readexactly(len(octets)), 20)


async def silence(streams: Streams, seconds: float = 0.1) -> bool:
    try:
        return not await asyncio.wait_for(streams[0].read(1), seconds)
    except TimeoutError:
        return True


async def test_a_fair_line_carries_everything_both_ways_as_it_is() -> None:
    octets = bytes(range(256)) * 4000
    async with echoing() as (proxy, streams):
        assert await said(streams, octets) == octets
        assert (proxy.done["bytes-up"], proxy.done["bytes-down"]) == (len(octets), len(octets))


async def test_a_cut_ends_every_connection_by_reset_or_by_an_end_and_the_next_caller_gets_through() -> None:
    async with echoing() as (proxy, streams):
        proxy.cut(reset=True)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(streams[0].read(1), 20)
        again = await asyncio.open_connection(HOST, proxy.port)
        assert await said(again, b"hello") == b"hello"
        proxy.cut(reset=False)
        assert await asyncio.wait_for(again[0].read(1), 20) == b""
        again[1].close()


async def test_who_calls_while_it_refuses_is_refused_and_let_in_afterwards_under_the_same_port() -> None:
    async with echoing() as (proxy, _):
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, proxy.port)
        await proxy.accept()
        again = await asyncio.open_connection(HOST, proxy.port)
        assert await said(again, b"hello") == b"hello"
        again[1].close()


async def test_what_a_stall_held_back_comes_late_and_what_was_swallowed_never() -> None:
    async with echoing() as (proxy, streams):
        proxy.stall()
        streams[1].write(b"late")
        assert await silence(streams)
        proxy.resume()
        assert await asyncio.wait_for(streams[0].readexactly(4), 20) == b"late"
        proxy.swallow(frozenset({Way.DOWN}))
        streams[1].write(b"gone")
        await eventually(lambda: proxy.done["swallowed"])
        proxy.resume()
        assert await said(streams, b"next") == b"next"


async def test_a_drip_carries_a_few_bytes_at_a_time_and_loses_none() -> None:
    async with echoing() as (proxy, streams):
        proxy.weather = Weather(delay=0.02, drip=3)
        began = asyncio.get_running_loop().time()
        assert await said(streams, b"0123456789") == b"0123456789"
        assert asyncio.get_running_loop().time() - began >= 4 * 0.02, "four drops up, each after a pause"


async def test_a_garbled_piece_differs_in_one_bit_and_a_truncated_one_lacks_its_end() -> None:
    octets = bytes(100)
    async with echoing(seed=3) as (proxy, streams):
        proxy.weather = Weather(garble=1.0)
        got = await said(streams, octets)
        assert 1 <= sum(byte.bit_count() for byte in got) <= proxy.done["garbled"]
        proxy.weather = Weather(truncate=1.0)
        streams[1].write(bytes(range(100)))
        await eventually(lambda: proxy.done["truncated"])
        proxy.resume()
        streams[1].write(b"\xff")
        came = await asyncio.wait_for(streams[0].readuntil(b"\xff"), 20)
        assert came[:-1] == bytes(range(100))[: len(came) - 1]
        assert len(came) <= 100


async def test_a_target_that_is_away_ends_the_callers_connection() -> None:
    async with TcpFaultProxy(HOST, 1) as proxy:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        assert await asyncio.wait_for(reader.read(1), 20) == b""
        writer.close()


async def test_nothing_is_left_of_a_proxy_that_was_left_while_it_held_connections() -> None:
    async with TcpFaultProxy(HOST, 1):
        pass
    async with echoing() as (proxy, streams):
        proxy.stall()
        streams[1].write(b"held")
        async with TcpFaultProxy(HOST, proxy.port) as outer:
            inner = await asyncio.open_connection(HOST, outer.port)
            await eventually(lambda: outer.lines == 1)
        assert outer.lines == 0
        inner[1].close()
        proxy.resume()
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})


@given(st.integers(0, 2**32), st.floats(0, 120), st.sampled_from([TCP_FAULTS, UDP_FAULTS]))
def test_a_schedule_is_the_seeds_and_fits_its_time(seed: int, seconds: float, faults: tuple[Fault, ...]) -> None:
    plan = episodes(seed, seconds, faults)
    assert plan == episodes(seed, seconds, faults)
    assert sum(episode.after + episode.holds for episode in plan) <= seconds
    assert {episode.fault for episode in plan} <= set(faults)


async def test_a_schedule_that_is_played_does_each_fault_and_leaves_fair_weather() -> None:
    async with echoing() as (proxy, _):
        await proxy.play([Episode(0.0, fault, 0.01) for fault in TCP_FAULTS])
        assert all(proxy.done[fault.value] == 1 for fault in TCP_FAULTS)
        again = await asyncio.open_connection(HOST, proxy.port)
        assert await said(again, b"hello") == b"hello"
        again[1].close()


@pytest.mark.parametrize("wrong", [{"garble": 1.1}, {"lose": -0.1}, {"delay": 61.0}, {"drip": 5000}])
def test_weather_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"0 to"):
        Weather(**wrong)


# datagrams ----------------------------------------------------------------------------------------------------------


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


class _Heard(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append(data)


@asynccontextmanager
async def datagrams(**settings: Any) -> AsyncIterator[tuple[UdpFaultProxy, asyncio.DatagramTransport, list[bytes]]]:
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(_Echo, (HOST, 0))
    async with UdpFaultProxy(HOST, echo.get_extra_info("sockname")[1], **settings) as proxy:
        near, heard = await loop.create_datagram_endpoint(_Heard, remote_addr=(HOST, proxy.port))
        yield proxy, near, heard.heard
        near.close()
    echo.close()


NUMBERS = [bytes([n]) * 20 for n in range(50)]


async def test_datagrams_go_up_and_the_answers_find_each_caller() -> None:
    async with datagrams() as (proxy, near, heard):
        other, others = await asyncio.get_running_loop().create_datagram_endpoint(
            _Heard, remote_addr=(HOST, proxy.port)
        )
        for number in NUMBERS:
            near.sendto(number)
        other.sendto(b"other")
        await eventually(lambda: sorted(heard) == NUMBERS)
        await eventually(lambda: others.heard == [b"other"])
        other.close()


async def test_datagrams_are_lost_doubled_and_overtaken() -> None:
    async with datagrams(seed=5) as (proxy, near, heard):
        proxy.weather = Weather(lose=1.0)
        near.sendto(b"lost")
        await eventually(lambda: proxy.done["lost"] == 1)
        proxy.weather = Weather(double=1.0)
        near.sendto(b"twice")
        await eventually(lambda: heard == [b"twice"] * 4)  # there and back
        heard.clear()
        proxy.weather = Weather(reorder=0.5)
        for number in NUMBERS:
            near.sendto(number)
        await eventually(lambda: sorted(heard) == NUMBERS)
        assert heard != NUMBERS


async def test_datagrams_are_garbled_truncated_and_held() -> None:
    async with datagrams(seed=6) as (proxy, near, heard):
        proxy.weather = Weather(garble=1.0)
        near.sendto(bytes(40))
        await eventually(lambda: len(heard) == 1)
        assert sum(byte.bit_count() for byte in heard[0]) in (0, 2), "a bit up, a bit down"
        heard.clear()
        proxy.weather = Weather(truncate=1.0)
        near.sendto(NUMBERS[7])
        await eventually(lambda: len(heard) == 1)
        assert NUMBERS[7].startswith(heard[0])
        assert len(heard[0]) < 20
        heard.clear()
        proxy.resume()
        proxy.stall()
        near.sendto(b"held")
        await asyncio.sleep(0.05)
        assert heard == []
        proxy.resume()
        await eventually(lambda: heard == [b"held"])
