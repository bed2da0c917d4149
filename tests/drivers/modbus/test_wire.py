"""The wire: any pieces, any noise, one answer; what was not asked for is thrown away. Over a transport that only notes what was sent."""

import asyncio
import gc
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.frame import Asked, Stage, Verdict
from drivers.modbus.settings import ModbusEndpoint
from drivers.modbus.wire import Wire
from tests.drivers.modbus.field_bus import checksum
from tests.drivers.modbus.peers import answered

TCP = ModbusEndpoint(host="h")
RTU = ModbusEndpoint(transport="rtu", device="/dev/ttyS0")
ASKED = Asked(7, 3, 3, 100, 2)
QUESTION = bytes.fromhex("000700000006030300640002")
RIGHT = answered(QUESTION, 11, 22)
LATE = answered(b"\0\6" + QUESTION[2:], 33, 44)
OTHER_UNIT = bytes.fromhex("0503020001") + checksum(bytes.fromhex("0503020001"))
RIGHT_RTU = RIGHT[6:] + checksum(RIGHT[6:])


class Sent:
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.frames.append(data)

    def abort(self) -> None:
        pass


def ask(endpoint: ModbusEndpoint, pieces: Sequence[bytes], timeout_s: float = 20) -> tuple[Verdict, bytes]:
    async def run() -> tuple[Verdict, bytes]:
        wire = Wire(endpoint)
        wire.connection_made(Sent())
        wire.data_received(b"nobody has asked")
        asking = asyncio.create_task(wire.ask(ASKED, timeout_s))
        await asyncio.sleep(0)
        for piece in pieces:
            wire.data_received(piece)
        verdict = await asking
        wire.data_received(b"nobody asks any more")
        return verdict, wire.received

    return asyncio.run(run())


def cut(octets: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % len(octets) for place in places} | {len(octets)})
    return [octets[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if begin < end]


@given(st.integers(0, 3), st.lists(st.integers(0, 200), max_size=8))
def test_late_answers_and_the_right_one_cut_anywhere_give_the_right_one(late: int, places: list[int]) -> None:
    verdict, _ = ask(TCP, cut(LATE * late + RIGHT, places))
    assert verdict == Verdict(Stage.WHOLE, RIGHT)


@given(st.integers(0, 3), st.lists(st.integers(0, 200), max_size=8))
def test_over_rtu_answers_of_others_and_the_right_one_cut_anywhere_give_the_right_one(
    others: int, places: list[int]
) -> None:
    verdict, _ = ask(RTU, cut(OTHER_UNIT * others + RIGHT_RTU, places))
    assert verdict == Verdict(Stage.WHOLE, RIGHT_RTU)


@given(st.lists(st.binary(max_size=30), max_size=6), st.booleans())
def test_any_pieces_end_in_a_verdict_and_what_came_is_kept_for_quarantine(pieces: list[bytes], rtu: bool) -> None:
    verdict, received = ask(RTU if rtu else TCP, pieces, timeout_s=0.001)
    assert b"".join(pieces).startswith(received)
    assert (verdict.stage is Stage.WHOLE) == bool(verdict.frame)


async def test_a_connection_that_ends_ends_the_question_and_every_later_one() -> None:
    wire = Wire(TCP)
    wire.connection_made(Sent())
    asking = asyncio.create_task(wire.ask(ASKED, 20))
    await asyncio.sleep(0)
    wire.connection_lost(None)
    for question in (asking, wire.ask(ASKED, 20)):
        with pytest.raises(ConnectionError, match="closed the connection"):
            await question


async def test_a_cancellation_that_meets_the_answer_is_a_cancellation() -> None:
    wire = Wire(TCP)
    wire.connection_made(Sent())
    asking = asyncio.create_task(wire.ask(ASKED, 20))
    await asyncio.sleep(0)
    wire.data_received(RIGHT)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_cancellation_that_meets_the_end_of_the_connection_leaves_nothing_to_the_loop() -> None:
    escaped: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: escaped.append(context))
    wire = Wire(TCP)
    wire.connection_made(Sent())
    asking = asyncio.create_task(wire.ask(ASKED, 20))
    await asyncio.sleep(0)
    wire.connection_lost(None)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    del asking
    gc.collect()
    assert escaped == []


@settings(max_examples=20)
@given(st.integers(1, 300))
def test_what_may_come_before_an_answer_is_bounded(size: int) -> None:
    verdict, received = ask(TCP, cut(LATE * 2000, range(0, 2000 * len(LATE), size)), timeout_s=20)
    assert verdict.stage is Stage.NONSENSE
    assert len(received) < (1 << 14) + 2 * 300
