"""Discovery: pymodbus' server identifies itself, libmodbus' reports itself, gateways stay silent, refuse or hang up."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pymodbus import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus import driver
from drivers.modbus.frame import Asked, Stage, judge, judge_rtu, objects_of, rtu_frame, tcp_frame
from hub.driver import Discoverer, Found
from hub.engine import Prefix
from hub.errors import LinkDown
from tests.drivers.modbus.field_bus import FieldBus, checksum
from tests.drivers.modbus.libmodbus import served
from tests.drivers.modbus.peers import HOST, answered, binding, scripted
from tests.ports import free_port

FAST = {"timeout_s": 5, "per_second": 50}
IDENTIFY = Asked(7, 3, 43, 0, 0)
ANSWER = bytes.fromhex("2b0e01 81 00 00 02") + b"\0\3abc" + b"\1\2xy"
"""After the example of Modbus Application Protocol V1.1b3, 6.21: two basic objects, nothing follows."""


async def look(**settings: Any) -> list[Found]:
    search = driver.Search.model_validate({**FAST, **settings})
    return [found async for found in driver.discover(search)]


_Identity: Any = ModbusDeviceIdentification


@contextlib.asynccontextmanager
async def identified(port: int) -> AsyncIterator[None]:
    """pymodbus' server with a vendor, a product and a revision; it answers for units 3 and 5."""
    says = _Identity(info_name={"VendorName": "Example", "ProductCode": "EX-1", "MajorMinorRevision": "2.3"})
    units = [SimDevice(unit, simdata=[SimData(0, count=4, values=9, datatype=DataType.REGISTERS)]) for unit in (3, 5)]
    server = ModbusTcpServer(units, address=(HOST, port), identity=says)
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


def test_the_driver_can_look_for_devices() -> None:
    assert isinstance(driver, Discoverer)


async def test_units_that_are_there_are_found_with_vendor_product_and_revision() -> None:
    port = free_port()
    async with identified(port):
        found = await look(host=HOST, port=port, first_unit=2, last_unit=6)
    there = [one for one in found if one.points]
    assert [one.device for one in there] == [{"unit": 3}, {"unit": 5}]
    assert there[0].marks == {"vendor": "Example", "product": "EX-1", "revision": "2.3"}
    assert there[0].says == "Example EX-1 2.3"
    assert there[0].endpoint == {"host": HOST, "port": port}
    assert there[0].points[0] == ("holding_0", {"table": "holding", "address": 0}, 9)


async def test_what_libmodbus_reports_of_itself_is_a_mark(peers: Prefix) -> None:
    with served(peers, {"holding": {0: 4}}) as server:
        (found,) = await look(host=HOST, port=server.port, first_unit=1, last_unit=1)
    assert "LMB" in found.marks["report"]


async def test_silent_numbers_on_a_line_are_asked_once_and_no_faster_than_told(tmp_path: Path) -> None:
    bus = FieldBus("rtu", tmp_path, (2, 4))
    bus.bindings = [binding("h0", device={"unit": unit}, table="holding", address=0) for unit in (2, 4)]
    bus.values = {one.series: 7 for one in bus.bindings}
    await bus.start()
    begun = asyncio.get_running_loop().time()
    found = await look(
        transport="rtu", device=bus.endpoint.device, first_unit=1, last_unit=5, timeout_s=1, late_s=0.05, per_second=4
    )
    took = asyncio.get_running_loop().time() - begun
    await bus.refuse()
    assert [one.device["unit"] for one in found] == [2, 4]
    assert found[0].endpoint == {"transport": "rtu", "device": bus.endpoint.device}
    assert found[0].says == "answers, and says nothing of itself"
    assert [unit for unit, address, _ in bus.asked_for if unit in (1, 3, 5)] == [1, 3, 5]
    assert took >= 8 / 4  # nine questions at the least, a quarter of a second between two


async def test_a_gateway_that_refuses_for_a_unit_has_none_there_and_one_that_hangs_up_is_called_again() -> None:
    def gateway(request: bytes) -> bytes:
        unit, function = request[6], request[7]
        if unit == 1:
            return request[:4] + b"\0\3" + bytes([unit, function | 0x80, 11])
        if unit == 2:
            return b""  # hangs up on a unit that it does not know
        if function != 3:
            return b"" if unit == 3 else request[:4] + b"\0\3" + bytes([unit, function | 0x80, 1])
        return answered(request, 55) if unit == 3 else request[:4] + b"\0\3" + bytes([unit, 0x83, 2])

    async with scripted(gateway) as port:
        found = await look(host=HOST, port=port, first_unit=1, last_unit=4)
    assert [(one.device["unit"], one.marks, len(one.points)) for one in found] == [(3, {}, 1), (4, {}, 0)]


async def test_a_search_that_only_ever_met_a_closing_door_says_so() -> None:
    async with scripted(lambda request: b"") as port:
        with pytest.raises(LinkDown, match="closed the connection"):
            await look(host=HOST, port=port, first_unit=1, last_unit=2)
    with pytest.raises(LinkDown):
        await look(host=HOST, port=free_port(), first_unit=1, last_unit=2)


async def test_a_search_that_is_closed_leaves_nothing_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with scripted(lambda request: answered(request, 1)) as port:
        search = driver.Search.model_validate({**FAST, "host": HOST, "port": port, "first_unit": 1, "last_unit": 9})
        seen = driver.discover(search)
        assert isinstance(seen, AsyncGenerator)
        assert (await anext(seen)).device == {"unit": 1}
        await seen.aclose()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"host": "h"}, "first_unit"),
        ({"host": "h", "first_unit": 5, "last_unit": 4}, "last_unit is below"),
        ({"host": "h", "first_unit": 0, "last_unit": 256}, "last_unit"),
        ({"transport": "rtu", "device": "/dev/ttyS0", "first_unit": 0, "last_unit": 4}, "units 1 to 247"),
        ({"host": "h", "first_unit": 1, "last_unit": 4, "per_second": 51}, "per_second"),
        ({"host": "h", "first_unit": 1, "last_unit": 4, "secret": 1}, "secret"),
    ],
)
def test_a_search_without_a_range_or_too_fast_is_refused(settings: dict[str, Any], names: str) -> None:
    with pytest.raises(ValidationError, match=names):
        driver.Search.model_validate(settings)


# ---- frames ----


def test_the_questions_are_those_of_the_standard() -> None:
    assert tcp_frame(IDENTIFY)[7:] == bytes.fromhex("2b0e0100")
    assert rtu_frame(IDENTIFY._replace(function=17))[:-2] == bytes([3, 17])


def test_an_identification_is_read_object_by_object() -> None:
    assert objects_of(ANSWER) == {0: b"abc", 1: b"xy"}


@given(st.integers(0, len(ANSWER) + 2))
def test_over_rtu_every_beginning_of_an_identification_waits_for_the_rest(size: int) -> None:
    body = b"\3" + ANSWER
    frame = body + checksum(body)
    whole = size == len(frame)
    assert judge_rtu(frame[:size], IDENTIFY).stage is (Stage.WHOLE if whole else Stage.CUT if size else Stage.NOTHING)


@given(st.binary(max_size=60))
def test_no_bytes_make_an_identification_that_says_more_than_it_has(body: bytes) -> None:
    pdu = b"\x2b\x0e" + body
    found = objects_of(pdu)
    assert found is None or sum(2 + len(text) for text in found.values()) <= len(pdu) - 7
    frame = b"\0\7\0\0" + (1 + len(pdu)).to_bytes(2) + b"\3" + pdu
    assert judge(frame, IDENTIFY).stage is (Stage.NONSENSE if found is None else Stage.WHOLE)
    assert judge_rtu(b"\3" + pdu, IDENTIFY).stage in Stage
