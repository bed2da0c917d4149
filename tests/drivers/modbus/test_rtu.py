"""RTU: late answers, noise, and one silent unit of many. The peer is ours (`field_bus`), proven by libmodbus' mbpoll."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import driver
from drivers.modbus.frame import Asked, Stage, judge_rtu, rtu_frame
from drivers.modbus.settings import ModbusEndpoint
from hub.core.polling import Schedule
from hub.driver import Link, PollLink, WriteLink
from hub.engine import Prefix
from hub.errors import LinkDown, ProtocolFault
from hub.model import Sample, Series
from tests.drivers.modbus.field_bus import FieldBus, checksum
from tests.drivers.modbus.peers import binding

ASKED = Asked(0, 3, 3, 100, 2)


def framed(*octets: int) -> bytes:
    return bytes(octets) + checksum(bytes(octets))


GOOD = framed(3, 3, 4, 0, 1, 0, 2)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[FieldBus]:
    made = await FieldBus("rtu", tmp_path).start()
    yield made
    await made.refuse()


async def read(link: Link, series: Series) -> Sample:
    assert isinstance(link, PollLink)
    (sample,) = await link.read([series])
    return sample


# ---- the judge ----


def test_the_checksum_is_the_one_of_the_standard() -> None:
    assert checksum(bytes([2, 7])) == bytes([0x41, 0x12])  # MODBUS over Serial Line V1.02, the example of 6.2.2


def test_a_question_has_its_unit_and_its_checksum() -> None:
    assert rtu_frame(ASKED) == framed(3, 3, 0, 100, 0, 2)


@pytest.mark.parametrize(
    ("received", "stage"),
    [
        (b"", Stage.NOTHING),
        (GOOD[:1], Stage.CUT),
        (GOOD[:-1], Stage.CUT),
        (GOOD, Stage.WHOLE),
        (framed(3, 0x83, 2), Stage.WHOLE),
        (framed(4, 3, 2, 0, 1), Stage.NOTHING),
        (framed(4, 3, 2, 0, 1) + GOOD, Stage.WHOLE),
        (GOOD + GOOD, Stage.NONSENSE),
        (b"\0" + GOOD, Stage.NONSENSE),
        (framed(3, 3, 2, 0, 1), Stage.NONSENSE),
        (framed(3, 4, 4, 0, 1, 0, 2), Stage.NONSENSE),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), Stage.NONSENSE),
    ],
)
def test_only_the_whole_right_answer_of_the_right_unit_and_nothing_behind_it_is_one(
    received: bytes, stage: Stage
) -> None:
    verdict = judge_rtu(received, ASKED)
    assert verdict.stage is stage
    assert verdict.frame == (received[-len(verdict.frame) :] if stage is Stage.WHOLE else b"")


@given(st.integers(0, 8 * len(GOOD) - 1))
def test_no_single_wrong_bit_goes_through(place: int) -> None:
    spoiled = (int.from_bytes(GOOD) ^ 1 << place).to_bytes(len(GOOD))
    assert judge_rtu(spoiled, ASKED).stage is not Stage.WHOLE


@given(st.binary(max_size=40))
def test_any_bytes_get_a_verdict(received: bytes) -> None:
    assert judge_rtu(received, ASKED).stage in Stage


@pytest.mark.parametrize(
    ("baudrate", "gap"), [(9600, 3.5 * 11 / 9600), (19_200, 3.5 * 11 / 19_200), (115_200, 0.00175)]
)
def test_the_gap_between_frames_is_three_and_a_half_characters(baudrate: int, gap: float) -> None:
    endpoint = ModbusEndpoint(transport="rtu", device="/dev/ttyS0", baudrate=baudrate)
    assert endpoint.frame_gap_s == gap


# ---- the line ----


async def test_mbpoll_reads_our_peer_so_that_what_the_driver_proves_on_it_holds(peers: Prefix, bus: FieldBus) -> None:
    options = ("-m", "rtu", "-b", "9600", "-P", "none", "-1", "-0", "-a", "1", "-t", "4", "-r", "5", "-c", "1")
    process = await asyncio.create_subprocess_exec(
        str(peers.program("mbpoll")), *options, str(bus.endpoint.device), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert b"[5]: \t101" in said


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["rtu", "rtu_over_tcp"])
async def test_of_many_reads_with_late_answers_none_has_another_registers_value(transport: str, tmp_path: Path) -> None:
    """The library alone gave another register's value in 38 of 120 (reference/reliability.md, F7)."""
    bus = await FieldBus(transport, tmp_path, timeout_s=0.05, late_s=0.1).start()
    chance, good, silent = random.Random(7), 0, 0
    series = [one.series for one in bus.bindings]
    async with driver.connect(bus.endpoint, bus.bindings) as link:
        for number in range(72):
            bus.delay = chance.choice((0.0, 0.0, 0.02, 0.07, 0.12))
            try:
                sample = await read(link, series[number % 2])
            except (LinkDown, ProtocolFault):
                silent += 1  # the only unit: its silence is the line's
                continue
            good += sample.error is None
            assert sample.error is not None or sample.raw == bus.values[sample.series]
    await bus.refuse()
    assert good > 12
    assert silent > 12


async def test_after_a_time_out_the_line_is_left_alone_and_one_answer_is_thrown_away(bus: FieldBus) -> None:
    loop = asyncio.get_running_loop()
    first, second = (one.series for one in bus.bindings)
    async with driver.connect(bus.endpoint, bus.bindings) as link:
        await read(link, first)
        bus.asked_for.clear()
        bus.silent = True
        begun = loop.time()
        with pytest.raises(LinkDown):
            await read(link, first)
        assert loop.time() - begun >= bus.endpoint.timeout_s + bus.endpoint.late_s
        bus.silent = False
        assert (await read(link, second)).raw == bus.values[second]
        assert bus.asked_for == [(1, 1, 1), (1, 5, 1), (1, 5, 1)]


async def test_noise_on_the_line_is_a_fault_with_the_bytes_and_the_next_read_is_right(bus: FieldBus) -> None:
    series = bus.bindings[0].series
    async with driver.connect(bus.endpoint, bus.bindings) as link:
        await read(link, series)
        bus.silent = True
        reading = asyncio.create_task(read(link, series))
        bus._question.clear()
        await bus.asked()
        await bus.send(b"\xfe\xfe\xfe")
        with pytest.raises(ProtocolFault) as caught:
            await reading
        assert caught.value.payload == b"\xfe\xfe\xfe"
        bus.silent = False
        assert (await read(link, series)).raw == bus.values[series]


async def test_noise_before_a_question_disturbs_nothing(bus: FieldBus) -> None:
    series = bus.bindings[0].series
    async with driver.connect(bus.endpoint, bus.bindings) as link:
        for _ in range(3):
            await bus.send(b"\xff\x00\xff")
            await asyncio.sleep(0)
            try:
                sample = await read(link, series)
            except ProtocolFault:
                continue  # it came within the answer
            assert sample.raw == bus.values[series]


async def test_a_unit_that_no_serial_line_has_is_an_error_and_is_never_asked(bus: FieldBus) -> None:
    strange = [binding("x", device={"unit": unit}, table="holding", address=1) for unit in (0, 248)]
    async with driver.connect(bus.endpoint, [*bus.bindings, *strange]) as link:
        for one in strange:
            assert "units 1 to 247" in str((await read(link, one.series)).error)
    assert bus.asked_for == []


async def test_a_line_is_opened_for_us_alone_and_one_that_is_not_there_is_a_link_down(
    bus: FieldBus, tmp_path: Path
) -> None:
    async with driver.connect(bus.endpoint, bus.bindings):
        with pytest.raises(LinkDown, match=r"modbus /.*bus: "):
            async with driver.connect(bus.endpoint, bus.bindings):
                pytest.fail("two masters on one line")
    gone: Any = driver.Endpoint.model_validate({"transport": "rtu", "device": str(tmp_path / "none")})
    with pytest.raises(LinkDown, match="No such file"):
        async with driver.connect(gone, bus.bindings):
            pytest.fail("was opened")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=4))
def test_any_noise_at_any_time_never_becomes_a_value(noise: list[bytes]) -> None:
    async def run(folder: Path) -> None:
        bus = await FieldBus("rtu", folder, timeout_s=0.05, late_s=0.05).start()
        async with driver.connect(bus.endpoint, bus.bindings) as link:
            for octets in noise:
                await bus.send(octets)
                for one in bus.bindings:
                    try:
                        sample = await read(link, one.series)
                    except (LinkDown, ProtocolFault):
                        continue
                    assert sample.error is not None or sample.raw == bus.values[sample.series]
        await bus.refuse()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


# ---- one silent unit of thirty ----

THIRTY = tuple(range(1, 31))
DEAD = "unit-17"
SECOND = 1_000_000


def _healthy_readings(dead: bool, timeout_s: float, late_s: float, hours: int = 4) -> int:
    """On a clock turned by hand: what the neighbours gave, each asked every second and answering in 20 ms."""
    schedule = Schedule({Series(f"unit-{unit}", "x"): SECOND for unit in THIRTY})
    schedule.start(0, 0.0)
    now = readings = 0
    while now < hours * 3600 * SECOND:
        now = max(now, schedule.next() or 0)
        for turn in schedule.turns(now):
            silent = {one for one in turn.series if dead and one.device == DEAD}
            cost = 20_000 * (len(turn.series) - len(silent)) + len(silent) * int((timeout_s + late_s) * SECOND)
            now += cost
            readings += sum(one.device != DEAD for one in turn.series)
            samples = [
                Sample(one, now, None, "silent") if one in silent else Sample(one, now, 1) for one in turn.series
            ]
            schedule.answered(turn, samples, cost, now)
    return readings


def test_one_silent_unit_of_thirty_with_three_seconds_costs_the_others_less_than_a_twentieth_of_their_rate() -> None:
    well, with_dead = (_healthy_readings(dead, 3.0, 1.0) for dead in (False, True))
    assert 0.95 * well < with_dead < well


async def test_one_silent_unit_of_thirty_is_an_error_of_its_own_and_its_neighbours_are_read_in_the_same_turn(
    tmp_path: Path,
) -> None:
    bus = FieldBus("rtu", tmp_path, THIRTY)
    bus.bindings = [binding("h1", device={"unit": unit}, table="holding", address=1) for unit in THIRTY]
    bus.values = {one.series: 100 + number for number, one in enumerate(bus.bindings)}
    bus.mute.add(17)
    await bus.start()
    loop = asyncio.get_running_loop()
    async with driver.connect(bus.endpoint, bus.bindings) as link:
        assert isinstance(link, PollLink)
        await read(link, bus.bindings[0].series)
        begun = loop.time()
        samples = await link.read([one.series for one in bus.bindings])
        took = loop.time() - begun
    await bus.refuse()
    assert {one.series: one.raw for one in samples if one.error is None} == {
        series: raw for series, raw in bus.values.items() if series.device != DEAD
    }
    assert took < 10 * (bus.endpoint.timeout_s + bus.endpoint.late_s)  # the dead one's share once, not once a neighbour


async def test_a_dead_unit_that_is_back_gives_its_value_after_one_answer_was_thrown_away(tmp_path: Path) -> None:
    bus = FieldBus("rtu", tmp_path, (1, 2))
    bus.bindings = [binding("h1", device={"unit": unit}, table="holding", address=1) for unit in (1, 2)]
    bus.values = {one.series: 100 + number for number, one in enumerate(bus.bindings)}
    bus.mute.add(2)
    await bus.start()
    well, back = (one.series for one in bus.bindings)
    async with driver.connect(bus.endpoint, bus.bindings) as link:
        assert (await read(link, well)).raw == 100
        assert (await read(link, back)).error == "unit 2 did not answer within 0.3 s"
        bus.mute.clear()
        bus.asked_for.clear()
        assert (await read(link, well)).raw == 100
        assert (await read(link, back)).raw == 101
        assert bus.asked_for == [(1, 1, 1), (2, 1, 1), (2, 1, 1)]
    await bus.refuse()


async def test_a_units_late_answer_within_one_link_is_neither_its_own_next_one_nor_its_neighbours(
    tmp_path: Path,
) -> None:
    bus = FieldBus("rtu", tmp_path, (1, 2))
    points = [(1, 1), (2, 1), (2, 5)]
    bus.bindings = [binding(f"h{at}", device={"unit": unit}, table="holding", address=at) for unit, at in points]
    bus.values = {one.series: 100 + number for number, one in enumerate(bus.bindings)}
    await bus.start()
    neighbour, owing, next_one = (one.series for one in bus.bindings)
    async with driver.connect(bus.endpoint, bus.bindings) as link:
        await read(link, neighbour)
        for then in (neighbour, next_one, owing):
            await bus.hold_answer()
            assert (await read(link, owing)).error == "unit 2 did not answer within 0.3 s"
            await bus.change(owing)
            for series in (then, owing, neighbour, next_one):
                assert (await read(link, series)).raw == bus.values[series]
    assert bus.late_sent == 3
    await bus.refuse()


async def test_a_write_that_follows_a_time_out_is_made_once_and_read_back_is_the_registers_own(bus: FieldBus) -> None:
    """What is thrown away is a read: a write is never repeated."""
    writable = bus.bindings[0]._replace(writable=True)
    async with driver.connect(bus.endpoint, [writable, bus.bindings[1]]) as link:
        assert isinstance(link, WriteLink)
        bus.silent = True
        with pytest.raises(LinkDown):
            await read(link, writable.series)
        bus.silent = False
        assert await link.write(writable.series, 7) == 7
    assert bus.written == [(1, 1, 7)]
