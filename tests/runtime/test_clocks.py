"""A device whose own clock is wrong, over a real database: its alarm, its evidence, and what a restart of the hub knows of it."""

from collections.abc import AsyncIterator

import pytest

from hub.model import SECOND, Lane, Micros, Sample, Series
from hub.registry import partition_of
from tests.runtime.blind_city import PARTITIONS, BlindCity

CLOCK = "select d.id, c.ahead, c.reader, c.wrong from device_clock c join device d on d.key = c.device"


@pytest.fixture
async def city(fresh_database: str) -> AsyncIterator[BlindCity]:
    async with BlindCity.open(fresh_database, [("140402", "unicom")]) as city:
        await city.policy()
        yield city


async def say(city: BlindCity, ahead: Micros, seconds: int) -> None:
    """So long the thermometer says its temperature each ten seconds, with the time that its own clock shows."""
    number = partition_of("i0000", PARTITIONS)
    for _ in range(0, seconds, 10):
        city.now += 10 * SECOND
        await city.beat([0])
        edge_at = city.now if ahead else None
        sample = Sample(Series("t0000", "celsius", ""), city.now + ahead, 20.0 + city.now % 7, edge_at=edge_at)
        await city._take(number, Lane.BULK, [city._message(number, "e0000", Lane.BULK, [sample])])
        await city.tick()


async def test_a_wrong_clock_is_an_alarm_with_its_evidence_and_is_known_after_a_restart(city: BlindCity) -> None:
    await say(city, 600 * SECOND, 100)
    alarm = "select signal_class, state from alarm where definition = 'clock_wrong'"
    assert await city.rows(alarm) == [{"signal_class": "clock", "state": "unack_active"}]
    assert await city.rows(CLOCK) == [{"id": "t0000", "ahead": 600.0, "reader": "edge", "wrong": True}]
    stored = await city.rows(
        "select count(*) as n, max(at) <= max(received_at) as dated, min(quality) as quality from reading"
    )
    assert (stored[0]["dated"], stored[0]["quality"]) == (True, 101)
    assert await city.count("quarantine") == 0
    await city.restart()
    await say(city, 0, 100)
    assert await city.rows(alarm) == [{"signal_class": "clock", "state": "unack_cleared"}]
    assert await city.rows(CLOCK) == [{"id": "t0000", "ahead": 0.0, "reader": "edge", "wrong": False}]
