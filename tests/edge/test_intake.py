"""The way into the spool: safe when `put` returns, together where that costs nothing, in order, bounded."""

import asyncio
from collections.abc import Sequence

import pytest

from hub.core.batching import Packed, pack
from hub.core.wire import decode_up
from hub.edge.intake import Intake
from hub.edge.spool import Spool, SpoolFailed
from hub.model import Lane, Reject, Sample, Series
from hub.testing import eventually
from tests.edge.conftest import RunIntake

LAMP = Series("lamp-1", "level")


def lamp(*values: int) -> list[Sample]:
    return [Sample(LAMP, value, value) for value in values]


def spooled(spool: Spool, lane: Lane) -> list[list[object]]:
    ups = [decode_up(message.payload) for message in spool.unconfirmed(lane, 0, 1000)]
    return [[numbered.sample.raw for numbered in up.samples] for up in ups]


async def test_when_put_returns_it_is_in_the_spool(spool: Spool, run_intake: RunIntake) -> None:
    async with run_intake(spool) as intake:
        assert intake.disk is not None
        await intake.put(Lane.URGENT, lamp(1), [Reject(1, "line-1", "checksum", "wrong")])
        (message,) = await intake.disk.unconfirmed(Lane.URGENT, 0, 10)
        up = decode_up(message.payload)
        assert (len(up.samples), len(up.rejects)) == (1, 1)
        assert intake.disk.appended[Lane.URGENT].is_set()
        assert not intake.disk.appended[Lane.BULK].is_set()


async def test_what_several_links_read_at_the_same_time_shares_one_bulk_message(
    spool: Spool, run_intake: RunIntake
) -> None:
    async with run_intake(spool) as intake:
        await asyncio.gather(*(intake.put(Lane.BULK, lamp(n)) for n in range(20)))
        assert spooled(spool, Lane.BULK) == [list(range(20))]


async def test_a_full_message_does_not_wait_for_more(spool: Spool) -> None:
    intake = Intake(spool, gather={Lane.URGENT: 0.0, Lane.BULK: 3600.0})
    task = asyncio.create_task(intake.run(Lane.BULK))
    await intake.put(Lane.BULK, lamp(*range(1000)))
    await intake.close()
    await task
    intake.shutdown()
    assert len(spooled(spool, Lane.BULK)) == 1


async def test_an_urgent_sample_does_not_wait_for_the_bulk_that_gathers(spool: Spool) -> None:
    intake = Intake(spool, gather={Lane.URGENT: 0.0, Lane.BULK: 3600.0})
    async with asyncio.TaskGroup() as tasks:
        for lane in Lane:
            tasks.create_task(intake.run(lane))
        bulk = tasks.create_task(intake.put(Lane.BULK, lamp(1)))
        await intake.put(Lane.URGENT, lamp(2))
        assert not bulk.done()
        assert spooled(spool, Lane.URGENT) == [[2]]
        await intake.close()
    assert spooled(spool, Lane.BULK) == [[1]]
    intake.shutdown()


async def test_the_order_of_the_calls_is_the_order_in_the_spool(spool: Spool, run_intake: RunIntake) -> None:
    async with run_intake(spool) as intake:
        await asyncio.gather(*(intake.put(Lane.URGENT, lamp(n)) for n in range(500)))
    assert [value for message in spooled(spool, Lane.URGENT) for value in message] == list(range(500))


async def test_nothing_at_all_makes_no_message(spool: Spool, run_intake: RunIntake) -> None:
    async with run_intake(spool) as intake:
        await intake.put(Lane.URGENT, [])
    assert spool.last(Lane.URGENT) == 0


async def test_what_waits_in_memory_is_bounded_and_who_comes_later_waits(spool: Spool) -> None:
    intake = Intake(spool, waiting=10)
    puts = [asyncio.create_task(intake.put(Lane.URGENT, lamp(*range(10 * n, 10 * n + 10)))) for n in range(3)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert intake._sizes[Lane.URGENT] == 10
    task = asyncio.create_task(intake.run(Lane.URGENT))
    await asyncio.gather(*puts)
    await intake.close()
    await task
    intake.shutdown()
    assert [value for message in spooled(spool, Lane.URGENT) for value in message] == list(range(30))


async def test_one_who_gives_up_waiting_disturbs_nobody(spool: Spool, run_intake: RunIntake) -> None:
    async with run_intake(spool) as intake:
        gone = asyncio.create_task(intake.put(Lane.BULK, lamp(1)))
        stays = asyncio.create_task(intake.put(Lane.BULK, lamp(2)))
        await asyncio.sleep(0)
        gone.cancel()
        await stays
    assert spooled(spool, Lane.BULK) == [[1, 2]]


async def test_after_closing_nothing_is_taken_and_all_that_was_is_written(spool: Spool) -> None:
    intake = Intake(spool)
    before = asyncio.create_task(intake.put(Lane.BULK, lamp(1)))
    await asyncio.sleep(0)
    await intake.close()
    with pytest.raises(SpoolFailed):
        await intake.put(Lane.BULK, lamp(2))
    await intake.run(Lane.BULK)
    await before
    intake.shutdown()
    assert spooled(spool, Lane.BULK) == [[1]]


async def test_what_must_be_packed_in_many_messages_is_safe_all_at_once(spool: Spool, run_intake: RunIntake) -> None:
    async with run_intake(spool) as intake:
        await intake.put(Lane.BULK, lamp(*range(2500)))
    assert [len(message) for message in spooled(spool, Lane.BULK)] == [
        packed.samples for packed in pack(lamp(*range(2500)))
    ]


async def test_an_urgent_sample_passes_a_flood_of_bulk_that_is_being_written(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By order, not by time: when the urgent one is safe most of what came before it in the other lane is not."""
    written = list[Lane]()
    append = spool.append

    def note(lane: Lane, messages: Sequence[Packed]) -> int:
        written.append(lane)
        return append(lane, messages)

    monkeypatch.setattr(spool, "append", note)
    intake = Intake(spool)
    flood = asyncio.create_task(intake.put(Lane.BULK, lamp(*range(100_000))))
    async with asyncio.TaskGroup() as tasks:
        for lane in Lane:
            tasks.create_task(intake.run(lane))
        await eventually(lambda: len(written) > 0)
        await intake.put(Lane.URGENT, lamp(1))
        assert not flood.done()
        assert written.index(Lane.URGENT) <= 10
        await flood
        await intake.close()
    assert spool.depth(Lane.BULK).samples == 100_000
    intake.shutdown()
