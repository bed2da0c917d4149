"""A row that somebody holds makes its own client wait, and nobody else: not their messages, and not what time does to them."""

import asyncio
from collections.abc import Collection

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.runtime import put_off
from hub.runtime.put_off import PAUSES, QUICKLY, SEARCH, PutOff, find_held
from hub.runtime.shared import wall_clock
from hub.store import lanes
from tests.runtime.city import centre, client, fetch, rows, sample, seed, seed_another_edge

EDGES = [f"edge-{n}" for n in range(40)]
HELD = "select 1 from device d join device_state s on s.device = d.key where d.id in ('button-1', 'heat-1') for update"
SILENT = "select d.id from device_state s join device d on d.key = s.device where s.link_state <> 'online' and d.id <> 'edge-1' order by 1"
ALARMS = "select d.id, a.definition from alarm a join device d on d.key = a.device order by 1, 2"


async def test_a_row_that_somebody_holds_delays_nothing_of_others_and_what_waited_is_committed_once_it_is_free(
    fresh_database: str, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_off, "PAUSES", (0.5, 0.5))
    monkeypatch.setattr(lanes, "LOCKED", "300ms")
    seed(fresh_database)
    seed_another_edge(fresh_database)
    async with (
        centre(fresh_database, mqtt_url) as owner,
        client(mqtt_url) as edge,
        client(mqtt_url, "edge-2") as other,
    ):
        for one, n in ((edge, 1), (other, 2)):
            await one.told("bulk", sample(f"heat-{n}", "celsius", 20.0), sample(f"edge-{n}", "beat", 900.0))
            await one.told("urgent", sample(f"button-{n}", "alive", 1), sample(f"edge-{n}", "beat", 900.0))
        await rows(fresh_database, SILENT, [])
        async with await psycopg.AsyncConnection.connect(fresh_database) as holder:
            await holder.execute(HELD)
            at = wall_clock()
            press = await edge.say("urgent", sample("button-1", "press", "single", at))
            await other.told("urgent", sample("button-2", "press", "single", at))
            await edge.say("urgent", sample("button-1", "press", "double", at + 1))
            await other.told("urgent", sample("button-2", "pressed", True))  # behind what waits
            assert edge.upto.get(edge.stream("urgent"), 0) < press
            await rows(fresh_database, ALARMS, [("button-2", "click"), ("button-2", "panic")])
            # nobody beats any more: of one edge's devices the clock can write that, of the other's it cannot
            await rows(fresh_database, SILENT, [("button-2",), ("edge-2",), ("heat-2",)])
        await edge.confirmed("urgent", press + 1)
        await rows(fresh_database, ALARMS, [("button-1", "click"), ("button-2", "click"), ("button-2", "panic")])
        clicks = "select d.id, a.occurrences from alarm a join device d on d.key = a.device where a.definition = 'click' order by 1"
        assert fetch(fresh_database, clicks) == [("button-1", 2), ("button-2", 1)]
        assert fetch(fresh_database, "select count(*) from quarantine") == [(0,)]
        assert sum(lane.counters.put_off for lane in owner.lanes) >= 2
        assert sum(lane.counters.database_losses for lane in owner.lanes) == 0


# who is held, and for how long -----------------------------------------------------------------------------------------


class Database:
    """Rows of some clients are held; each try of a part with one of them lasts as long as it may."""

    def __init__(self, held: Collection[str]) -> None:
        self.held, self.now, self.tries = held, 0.0, 0

    async def goes(self, clients: Collection[str]) -> bool:
        self.tries += 1
        free = not set(clients) & set(self.held)
        self.now += 0.01 if free else QUICKLY.total_seconds()
        return free

    def found(self) -> set[str] | None:
        return asyncio.run(find_held(EDGES, self.goes, lambda: self.now))


@given(st.sampled_from(EDGES))
def test_a_held_client_is_found_by_few_tries(one: str) -> None:
    database = Database([one])
    assert database.found() == {one}
    assert database.tries <= 14


@given(st.sets(st.sampled_from(EDGES), min_size=1))
def test_every_held_client_waits_however_many_there_are_and_the_search_is_bounded(held: set[str]) -> None:
    database = Database(held)
    found = database.found()
    assert found is None or found >= held  # none: nobody of those who were tried went in
    assert database.now <= SEARCH + QUICKLY.total_seconds()


def test_where_nobody_goes_in_no_row_is_to_blame_and_where_the_state_moved_nobody_is_named() -> None:
    assert Database(EDGES).found() is None

    async def moved(clients: Collection[str]) -> None:
        return None

    assert asyncio.run(find_held(EDGES, moved, lambda: 0.0)) == set()


def test_who_is_put_off_again_and_again_waits_for_longer_up_to_a_bound_and_who_went_in_is_forgotten() -> None:
    waiting, now, pauses = PutOff(), 100.0, []
    assert waiting.put_off({"edge-1"}, now) == ["edge-1"]
    for _ in range(6):
        began = now
        while "edge-1" in waiting.waits(now):
            now += 0.25
        pauses.append(now - began)
        assert waiting.known(["edge-1", "edge-2"]) == ["edge-1"]
        assert waiting.put_off({"edge-1"}, now) == []
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert pauses[-1] == PAUSES[1]
    assert waiting.went_in(["edge-1", "edge-2"]) == ["edge-1"]
    assert not waiting.any()
    assert waiting.waits(now) == frozenset()
    waiting.put_off({"edge-1"}, now)
    assert waiting.waits(now + 3600.0) == frozenset()
    assert not waiting.any()
