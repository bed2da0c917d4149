"""What could go wrong around an area that fails: nobody covers its root, the hub restarts, a process is killed, an alarm that has nothing to do with it."""

from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import pytest

from hub.core import hidings
from hub.errors import Conflict, LinkDown
from hub.runtime import blindness_watch
from hub.store import alarms
from hub.store.blindness_watch import open_watch
from hub.testing import eventually
from tests.runtime.blind_city import BlindCity

CUT = range(12)
LIVE = range(12, 20)
CHILDREN = "alarm a join device d on d.key = a.device where d.kind = 'edge' and a.ended_at is null"
ROOTS = "alarm a join device d on d.key = a.device where d.kind = 'path' and a.state = 'unack_active'"


@pytest.fixture
async def city(fresh_database: str) -> AsyncIterator[BlindCity]:
    places = [("140402", "unicom")] * 14 + [("140403", "mobile")] * 6
    async with BlindCity.open(fresh_database, places) as city:
        await city.beat([*CUT, *LIVE])
        await city.tick()
        yield city


async def pass_by(city: BlindCity, seconds: int, beating: range = LIVE) -> None:
    """So long only these go on beating."""
    for _ in range(0, seconds, 10):
        city.now += 10_000_000
        await city.beat(beating)
        await city.tick()


async def fail(city: BlindCity) -> None:
    """The carrier of the first twelve fails, and that is found."""
    await pass_by(city, 60)
    await city.look()


async def test_where_no_policy_covers_the_root_nothing_is_hidden_under_it(city: BlindCity) -> None:
    await city.policy(division="140403")  # another district's
    await fail(city)
    assert await city.count(ROOTS) == 1
    assert await city.count("escalation where state = 'uncovered'") == 13
    assert await city.count(f"{CHILDREN} and a.suppressed_by is null") == 12


async def test_a_restart_of_the_hub_in_the_middle_of_it_releases_and_raises_nothing(city: BlindCity) -> None:
    await city.policy()
    await fail(city)
    assert await city.count(f"{CHILDREN} and a.suppressed_by is not null") == 12
    await city.restart()
    for _ in range(5):
        await pass_by(city, 10)
        await city.look()
        assert await city.count(f"{CHILDREN} and a.suppressed_by is not null") == 12
        assert await city.count(ROOTS) == 1
    assert set(await city.page()) == {"carrier_lost"}
    assert (
        await city.count(
            "device_state s join device d on d.key = s.device where d.kind = 'other' and link_state = 'offline'"
        )
        == 0
    )


async def test_what_a_killed_watcher_left_hidden_under_a_root_that_is_over_is_paged_by_the_next_one(
    city: BlindCity,
) -> None:
    await city.policy()
    await fail(city)
    [area] = await city.rows("select key from blindness where subject = 'area'")
    await city.watch._end([area["key"]], city.now)  # and killed before it released anything
    assert await city.count(f"{CHILDREN} and a.suppressed_by is not null") == 12
    await city.look(1)
    assert await city.count(f"{CHILDREN} and a.suppressed_by is null") == 12
    assert (await city.page())["link_lost"] == 12


async def test_an_edges_own_alarm_waits_for_an_area_to_be_found_and_no_other_alarm_does(city: BlindCity) -> None:
    await city.policy()
    await city.press(13)
    await pass_by(city, 40)
    waits = await city.rows(
        "select distinct a.definition, round(extract(epoch from e.started_at - t.recorded_at))::int as seconds"
        " from escalation e join alarm a on a.id = e.alarm join alarm_transition t on t.alarm = a.id and t.event = 'raise'"
    )
    by_name = {row["definition"]: row["seconds"] for row in waits}
    assert by_name.keys() == {"panic", "link_lost"}
    assert by_name["panic"] < 24 <= by_name["link_lost"]


async def test_a_press_is_never_hidden_under_a_root(city: BlindCity) -> None:
    await city.policy()
    await fail(city)
    await city.press(3)  # its edge came through for a moment
    [panic] = await city.rows("select id, suppressed_by from alarm where definition = 'panic'")
    [root] = await city.rows(f"select a.id from {ROOTS}")
    await city.look(1)
    with pytest.raises(Conflict):
        async with city.lanes.transaction():
            by = partial(hidings.suppress, at=city.now, root=UUID(str(root["id"])), reason="x")
            await alarms.move(city.lanes, panic["id"], by, city.now)
    assert (await city.rows("select suppressed_by from alarm where definition = 'panic'"))[0]["suppressed_by"] is None
    assert (await city.page())["panic"] == 1


async def test_one_watcher_leads_and_a_second_one_stands_by(city: BlindCity) -> None:
    async with open_watch(city.url, city.profiles) as other:
        assert not await other.lead()


async def test_a_device_in_the_area_names_the_carrier_with_the_evidence_and_the_root(city: BlindCity) -> None:
    await city.policy()
    await fail(city)
    [root] = await city.rows(f"select a.id from {ROOTS}")
    seen = await city.rows(
        "select d.id, v.cause, v.evidence -> 0 -> 'facts' ->> 'silent' as silent, v.root_alarm from link_verdict v"
        " join device d on d.key = v.device where d.id in ('b0003', 'e0003', 'b0013') order by 1"
    )
    assert [(row["id"], row["cause"], row["silent"], row["root_alarm"]) for row in seen] == [
        ("b0003", "carrier", "12", root["id"]),
        ("b0013", "", None, None),
        ("e0003", "carrier", "12", root["id"]),
    ]
    assert await city.count("institution where partition < 0") == 1


async def test_a_database_that_does_not_answer_is_given_up_and_the_watcher_begins_anew(
    city: BlindCity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blindness_watch, "ANSWER", 0.5)
    await city.conn.execute("begin")
    await city.conn.execute("lock table device_state in access exclusive mode")
    with pytest.raises(LinkDown, match="no answer"):
        await city.watcher._answered(city.watch, city.watch.stirred())
    await city.conn.execute("rollback")
    async with open_watch(city.url, city.profiles) as other:
        await eventually(other.lead)  # the lock of the one that was given up ends with its connection
        assert (await other.stirred())[0] >= 0
