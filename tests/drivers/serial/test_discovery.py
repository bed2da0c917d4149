"""`discover` of the driver serial: who talks, on a line, on a port that is called, and in datagrams."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.serial import driver
from drivers.serial.discovery import Search, Talk, masked, modbus_unit
from drivers.simulator.fire_panel import FirePanel
from drivers.simulator.wire import Caller, Pty
from hub.driver import Discoverer, Found
from hub.errors import LinkDown
from hub.testing import eventually
from tests.drivers.serial.test_exchange import PUBLISHED
from tests.drivers.serial.test_link import HOST
from tests.ports import free_port

MODBUS = bytes.fromhex("010300000001840a")
"""The request of the Modbus documentation's kind: unit 1, read one holding register; its CRC is the published algorithm's."""


async def found_by(**settings: Any) -> list[Found]:
    async with aclosing(driver.discover(Search(**settings))) as seen:
        return [one async for one in seen]


def heard(*pieces: bytes) -> list[Found]:
    talk = Talk({"port": "/dev/x"})
    for piece in pieces:
        talk.feed(piece)
        talk.pause()
    return list(talk.found())


def test_the_driver_can_look_for_devices() -> None:
    assert isinstance(driver, Discoverer)


def test_a_published_frame_names_its_transmitter() -> None:
    (one,) = heard(PUBLISHED, PUBLISHED[:7], PUBLISHED)
    assert one.name == "transmitter-000000000379"
    assert one.device == {"address": "000000000379"}
    assert one.endpoint["protocol"] == "gb26875"
    assert one.says == "GB/T 26875.3 version 1.1: transmitter 2x"
    assert one.marks["protocol"] == "gb26875"
    driver.Endpoint.model_validate(one.endpoint)
    driver.Device.model_validate(one.device)


def test_modbus_is_recognised_by_its_crc_and_left_to_its_driver() -> None:
    (one,) = heard(MODBUS, b"\x01\x03\x02\x00\x17\xf8\x4a", b"\x00\x01noise")
    assert one.name == "modbus-unit-1"
    assert "driver modbus" in one.says
    driver.Endpoint.model_validate(one.endpoint)


def test_lines_of_text_are_shown_without_their_digits_and_can_be_matched() -> None:
    (one,) = heard(b"CARD 0012345678 OK\r\nDOOR 1 OPEN\r\nDOOR")
    assert one.endpoint["terminator"] == "\r\n"
    assert one.marks["line"] == "CARD 9999999999 OK"
    assert "2 lines" in one.says
    assert "12345" not in repr(one)
    driver.Endpoint.model_validate(one.endpoint)
    (chinese,) = heard("001-023 火警\n".encode("gb18030") * 3)
    assert (chinese.endpoint["encoding"], chinese.marks["line"]) == ("gb18030", "999-999 火警")


def test_noise_is_nothing() -> None:
    assert heard(b"\x00\xff\x81\x17" * 50) == []
    assert heard() == []


@given(pieces=st.lists(st.binary(max_size=100), max_size=6))
def test_no_bytes_crash_it_and_what_it_gives_are_settings_of_the_driver(pieces: list[bytes]) -> None:
    for one in heard(*pieces):
        driver.Endpoint.model_validate(one.endpoint)
        driver.Device.model_validate(one.device)


@given(burst=st.binary(max_size=300))
def test_a_modbus_unit_is_one_that_exists(burst: bytes) -> None:
    assert modbus_unit(burst) is None or 1 <= (modbus_unit(burst) or 0) <= 247


def test_masked_has_no_digit() -> None:
    assert masked(" a1b22 ") == "a9b99"


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Pty]:
    wire = Pty(tmp_path / "line")
    await wire.plug()
    yield wire
    await wire.unplug()


async def test_every_speed_and_format_of_a_line_is_listened_to(terminal: Pty) -> None:
    async def print_lines() -> None:
        while True:
            await terminal.write(b"T=21.5\r\n")
            await asyncio.sleep(0.05)

    printing = asyncio.create_task(print_lines())
    try:
        found = await found_by(port=terminal.port, baudrates=[9600, 19200], formats=["8N1"], seconds=1)
    finally:
        printing.cancel()
        await asyncio.wait({printing})
    assert [one.endpoint["baudrate"] for one in found] == [9600, 19200]  # a pseudo terminal has no speed
    assert {one.name for one in found} == {"line-talker"}


async def test_a_line_that_talks_in_nothing_known_says_so_with_the_speeds(terminal: Pty) -> None:
    async def noise() -> None:
        while True:
            await terminal.write(b"\x00\xfe\x81")
            await asyncio.sleep(0.02)

    making = asyncio.create_task(noise())
    try:
        (one,) = await found_by(port=terminal.port, baudrates=[9600], formats=["8N1"], seconds=1)
    finally:
        making.cancel()
        await asyncio.wait({making})
    assert one.name == "unknown-talk"
    assert "bytes at 9600 8 N 1" in one.says


async def first_of(number: int, count: int, scheme: str, ready: asyncio.Event) -> list[Found]:
    async with aclosing(driver.discover(Search(port=f"{scheme}://{HOST}:{number}", seconds=60))) as seen:
        asyncio.get_running_loop().call_soon(ready.set)
        return [await anext(seen) for _ in range(count)]


async def test_transmitters_that_call_are_found_and_nothing_is_confirmed() -> None:
    number, ready = free_port(), asyncio.Event()
    looking = asyncio.create_task(first_of(number, 2, "listen", ready))
    await ready.wait()
    await eventually(lambda: _listens(number))
    async with (
        FirePanel(Caller(HOST, number), address="0000000000a1", beat=60, patience=60) as one,
        FirePanel(Caller(HOST, number), address="0000000000a2", beat=60, patience=60) as two,
    ):
        found = await asyncio.wait_for(looking, 20)
        assert {each.device["address"] for each in found} == {"0000000000a1", "0000000000a2"}
        assert one.confirmed + one.denied + two.confirmed + two.denied == 0


def _listens(number: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, number)) == 0


async def test_who_sends_datagrams_is_found_once() -> None:
    number = free_port()
    looking = asyncio.create_task(first_of(number, 1, "udp", asyncio.Event()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far_end:
        while not looking.done():
            far_end.sendto(PUBLISHED, (HOST, number))
            await asyncio.sleep(0.05)
    (one,) = looking.result()
    assert one.name == "transmitter-000000000379"


async def test_a_search_ends_when_its_time_is_over() -> None:
    assert await asyncio.wait_for(found_by(port=f"listen://{HOST}:{free_port()}", seconds=0.1), 20) == []


async def test_a_line_that_is_not_there_is_link_down_and_a_search_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(LinkDown):
        await found_by(port=str(tmp_path / "none"), baudrates=[9600], formats=["8N1"], seconds=1)
    seen = driver.discover(Search(port=f"listen://{HOST}:{free_port()}", seconds=60))
    first = asyncio.ensure_future(anext(seen))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.wait({first})
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"port": "/dev/ttyS0", "seconds": 1}, "baudrates"),
        ({"port": "/dev/ttyS0", "seconds": 1, "baudrates": [9600]}, "formats"),
        ({"port": "listen://0.0.0.0:1", "seconds": 1, "baudrates": [9600], "formats": ["8N1"]}, "baudrates"),
        ({"port": "/dev/ttyS0", "seconds": 1, "baudrates": [1], "formats": ["8N1"]}, "50 to 4000000"),
        ({"port": "/dev/ttyS0", "seconds": 1, "baudrates": [9600], "formats": ["9N1"]}, "formats.0"),
        ({"port": "/dev/ttyS0", "baudrates": [9600], "formats": ["8N1"]}, "seconds"),
        ({"port": "/dev/ttyS0", "seconds": 600, "baudrates": [1200] * 7, "formats": ["8N1"]}, "an hour"),
        ({"port": "/dev/ttyS0", "seconds": 1, "rate": 1}, "rate"),
    ],
)
def test_a_search_that_does_not_hold_is_refused_and_named(document: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Search.model_validate(document)
    assert named in str(caught.value)
