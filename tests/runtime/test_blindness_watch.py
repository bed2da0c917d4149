"""Areas that fail over all partitions: one root alarm, the others under it, nobody paged for them; and what is never hidden. T5, T6."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest

from tests.runtime.blind_city import BlindCity

CUT = range(500)
"""of the carrier that fails: some of its institutions live"""
LIVE = range(500, 560)


def many() -> list[tuple[str, str]]:
    """500 institutions of unicom in four districts, ten more of it that live, fifty of others."""
    places = [(f"14040{n % 4 + 2}", "unicom") for n in range(510)]
    return places + [(f"14040{n % 4 + 2}", "mobile") for n in range(50)]


@pytest.fixture
async def city(fresh_database: str) -> AsyncIterator[BlindCity]:
    opening: AbstractAsyncContextManager[BlindCity] = BlindCity.open(fresh_database, many())
    async with opening as city:
        await city.policy()
        await city.beat([*CUT, *LIVE])
        await city.tick()
        yield city


ROOTS = "alarm a join device d on d.key = a.device where d.kind = 'path' and a.ended_at is null"
CHILDREN = "alarm a join device d on d.key = a.device where d.kind = 'edge' and a.ended_at is null"


async def cut_and_weigh(city: BlindCity) -> None:
    """All that lives goes on beating, the others do not; the watcher looks while their alarms come, and after."""
    for _ in range(3):
        city.now += 10_000_000
        await city.beat(LIVE)
        await city.tick()
    await city.tick(1)
    assert await city.count(CHILDREN) == 500
    await city.beat(LIVE)
    await city.look()
    assert await city.count(ROOTS) == 0, "the picture has not settled"
    city.now += 8_000_000
    await city.beat(LIVE)
    await city.look(8)


async def test_five_hundred_sites_cut_at_once_are_one_root_alarm_with_the_others_under_it_and_nobody_is_paged_for_them(
    city: BlindCity,
) -> None:
    await cut_and_weigh(city)
    [root] = await city.rows(f"select a.id, a.definition, a.signal_class, d.id as device from {ROOTS}")
    assert (root["definition"], root["signal_class"], root["device"]) == (
        "carrier_lost",
        "communication",
        "anxin-path-1404-unicom",
    )
    assert await city.count(f"{CHILDREN} and a.suppressed_by = %s", root["id"]) == 500
    [area] = await city.rows("select cause, evidence from blindness where subject = 'area'")
    facts = area["evidence"][0]["facts"]
    assert (area["cause"], facts["silent"], facts["of"], facts["carrier"]) == ("carrier", 500, 510, "unicom")
    assert await city.page() == {"carrier_lost": 1}

    # a press in the middle of it, at an institution of the same carrier and district that still gets through
    await city.press(504)
    assert await city.page() == {"carrier_lost": 1, "panic": 1}

    # most come back: their alarms end, the rest waits a minute for its neighbours and is paged then
    city.now += 10_000_000
    await city.beat([*range(450), *LIVE])
    await city.tick()
    await city.look()
    assert await city.count(CHILDREN) == 50
    assert await city.count(f"{CHILDREN} and a.suppressed_by is not null") == 50
    for _ in range(7):
        city.now += 10_000_000
        await city.beat([*range(450), *LIVE])
        await city.tick()
    await city.look()
    assert await city.count(f"{ROOTS} and a.state = 'unack_active'") == 0
    assert await city.count(f"{CHILDREN} and a.suppressed_by is null") == 50
    assert await city.page() == {"carrier_lost": 1, "panic": 1, "link_lost": 50}
    assert await city.count("device_state where link_state = 'offline' and link_cause <> 'edge'") == 0


async def test_a_root_that_is_found_before_its_children_cry_hides_them_as_they_come(city: BlindCity) -> None:
    """The broker says that the sessions ended: the area is known before the first of them is offline."""
    city.now += 5_000_000
    await city.beat([*CUT, *LIVE])
    city.deaths = {f"e{n:04}": city.now + 1_000_000 for n in CUT}
    await city.tick(7)
    assert await city.count(CHILDREN) == 0
    await city.beat(LIVE)
    await city.look(16)
    [root] = await city.rows(f"select a.id from {ROOTS}")
    assert await city.count(CHILDREN) == 0
    await city.beat(LIVE)
    await city.tick(11)
    assert await city.count(f"{CHILDREN} and a.suppressed_by is null") == 500
    await city.look(1)
    assert await city.count(f"{CHILDREN} and a.suppressed_by = %s", root["id"]) == 500
    assert await city.page() == {"carrier_lost": 1}
