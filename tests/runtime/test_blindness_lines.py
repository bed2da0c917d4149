"""A line that fails is one alarm at its edge with those of its devices under it, however many there are; a device that fails is its own."""

from collections.abc import AsyncIterator

import pytest

from hub.core.blindness import RECOVERY
from hub.model import SECOND
from tests.runtime.blind_city import BlindCity

ALL = range(4)
ROOT = "select a.id, a.instance, a.state, a.priority, d.id as device, a.occurrences from alarm a join device d on d.key = a.device where a.definition = 'line_lost'"
CRIES = "alarm where definition = 'silent' and ended_at is null"
VERDICT = "select distinct v.cause, v.root_alarm, v.evidence -> 0 -> 'facts' ->> 'silent' as silent from link_verdict v join device d on d.key = v.device where d.id = any (%s)"


@pytest.fixture
async def city(fresh_database: str) -> AsyncIterator[BlindCity]:
    async with BlindCity.open(fresh_database, [("140402", "unicom")] * len(ALL)) as city:
        await city.policy()
        yield city


async def begin(city: BlindCity, n: int, count: int) -> list[str]:
    """The line of this institution has so many devices more, and everything is heard."""
    names = await city.add_thermometers(n, count)
    await city.beat(ALL)
    await city.tick()
    return [*names, f"b{n:04}"]


async def pass_by(city: BlindCity, seconds: int, step: int = 1) -> None:
    """So long every edge beats, and so does every device that is not mute."""
    for _ in range(0, seconds, step):
        city.now += step * SECOND
        await city.beat(ALL)
        await city.tick()


async def test_a_dead_line_is_one_root_alarm_at_its_edge_and_nobody_is_paged_for_the_devices_on_it(
    city: BlindCity,
) -> None:
    names = await begin(city, 1, 6)
    city.mute.update(names)
    await pass_by(city, 20, step=2)
    assert await city.count(f"{CRIES}") == 7  # the button's profile has no alarm for its silence
    await city.look()
    [root] = await city.rows(ROOT)
    assert (root["device"], root["instance"], root["state"], root["priority"]) == (
        "e0001",
        "line",
        "unack_active",
        "high",
    )
    assert await city.count(f"{CRIES} and suppressed_by = %s", root["id"]) == 7
    assert await city.rows(VERDICT, names) == [{"cause": "line", "root_alarm": root["id"], "silent": "8"}]
    assert await city.page() == {"line_lost": 1}

    # it comes back, device by device as they are asked: nobody is paged for those that are not heard yet
    city.mute.difference_update(names[:3])
    await pass_by(city, 10)
    await city.look()
    assert await city.count(f"{CRIES} and suppressed_by is not null") == 4
    assert (await city.rows(ROOT))[0]["state"] == "unack_active"
    city.mute.clear()
    await pass_by(city, 5)
    await city.look()
    assert await city.count(CRIES) == 0
    assert (await city.rows(ROOT))[0]["state"] == "unack_cleared"
    assert await city.page() == {"line_lost": 1}
    assert await city.count("blindness where subject = 'line' and until is null") == 0
    feed = await city.rows("select payload from change where kind = 'blindness' order by seq")
    assert [(row["payload"]["path"], row["payload"]["state"]) for row in feed] == [
        ("e0001/line", "began"),
        ("e0001/line", "over"),
    ]


async def test_a_device_that_stays_away_when_its_line_is_back_is_paged_by_itself(city: BlindCity) -> None:
    names = await begin(city, 1, 3)
    city.mute.update(names)
    await pass_by(city, 20, step=2)
    await city.look()
    assert await city.page() == {"line_lost": 1}
    city.mute.difference_update(names[1:])
    await pass_by(city, 4)
    await city.look()
    assert await city.count(f"{CRIES} and suppressed_by is not null") == 1
    city.now += RECOVERY
    await pass_by(city, 4)
    await city.look()
    assert await city.rows(f"select suppressed_by from {CRIES}") == [{"suppressed_by": None}]
    assert await city.page() == {"line_lost": 1, "silent": 1}
    assert await city.rows(VERDICT, names[:1]) == [{"cause": "device", "root_alarm": None, "silent": None}]


async def test_a_device_that_fails_on_a_line_that_lives_is_paged_at_once_and_one_that_may_be_the_first_of_its_line_waits(
    city: BlindCity,
) -> None:
    alone, line = await begin(city, 1, 3), await begin(city, 2, 3)
    city.mute.add(alone[0])
    city.mute.update(line)
    await pass_by(city, 20, step=2)
    waits = await city.rows(
        "select d.id, round(extract(epoch from e.started_at - a.recorded))::int as seconds from escalation e"
        " join (select a.*, (select max(t.recorded_at) from alarm_transition t where t.alarm = a.id) as recorded from alarm a) a on a.id = e.alarm"
        " join device d on d.key = a.device where a.definition = 'silent'"
    )
    held = {row["id"]: row["seconds"] >= 24 for row in waits}
    assert held == {alone[0]: False} | dict.fromkeys(line[:-1], True)
    await city.look()
    assert [row["device"] for row in await city.rows(ROOT)] == ["e0002"]
    assert await city.page() == {"line_lost": 1, "silent": 1}


async def test_no_child_is_paged_between_the_root_and_its_hiding_and_three_thousand_are_hidden_at_once(
    city: BlindCity,
) -> None:
    names = await begin(city, 1, 3000)
    city.mute.update(names)
    await pass_by(city, 18, step=9)
    assert await city.count(CRIES) == 3001
    await city.watch.lines.weigh(city.now)  # and the watcher is killed before it has hidden one of them
    assert await city.count(f"{CRIES} and suppressed_by is not null") == 0
    assert await city.page(ahead=30) == {"line_lost": 1}  # their own 25 s are over
    await city.look()
    [root] = await city.rows(ROOT)
    assert await city.count(f"{CRIES} and suppressed_by = %s", root["id"]) == 3001
    assert (
        await city.count(
            "escalation e join alarm a on a.id = e.alarm where a.definition = 'silent' and e.state = 'running'"
        )
        == 0
    )
    assert await city.page() == {"line_lost": 1}


async def test_where_the_edge_is_lost_too_its_line_stays_as_it_was_known(city: BlindCity) -> None:
    names = await begin(city, 1, 3)
    city.mute.update(names)
    await pass_by(city, 20, step=2)
    await city.look()
    for _ in range(8):
        city.now += 10 * SECOND
        await city.beat([0, 2, 3])
        await city.tick()
        await city.look()
    assert await city.count(f"{CRIES} and suppressed_by is not null") == 4
    assert set(await city.page()) == {"line_lost", "link_lost"}


async def test_a_line_whose_devices_are_all_retired_ends_with_its_alarm(city: BlindCity) -> None:
    names = await begin(city, 1, 3)
    city.mute.update(names)
    await pass_by(city, 20, step=2)
    await city.look()
    await city.conn.execute("update device set retired_at = now() where id = any (%s)", [names])
    await city.look()
    assert await city.count("blindness where subject = 'line' and until is null") == 0
    assert (await city.rows(ROOT))[0]["state"] == "unack_cleared"


async def test_where_no_policy_covers_the_alarm_of_the_line_every_device_is_paged(city: BlindCity) -> None:
    await city.conn.execute("update policy set priorities = '{critical,low}'")
    names = await begin(city, 1, 3)
    city.mute.update(names)
    await pass_by(city, 20, step=2)
    await city.look()
    assert len(await city.rows(ROOT)) == 1
    assert await city.count(f"{CRIES} and suppressed_by is null") == 4
    assert await city.page() == {"silent": 4}
