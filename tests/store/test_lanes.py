"""A lane and its database: what is loaded is what was committed, and what others wrote meanwhile is not overwritten."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core import wire
from hub.core.alarms import AlarmEvent
from hub.core.commissioning import Trial
from hub.core.draft import Draft
from hub.core.intake import take_in
from hub.core.lane import Message, State
from hub.core.supervision import tick
from hub.errors import Conflict
from hub.model import Lane, Micros, Sample
from hub.registry import Registry
from hub.store import alarms, commissioning, lane_commit, lanes, registry
from hub.store.pool import Connection, connect
from hub.store.readings import SeriesKeys
from hub.testing import eventually
from tests.runtime.city import PARTITION, fetch, profiles, sample, seed

SECOND = 1_000_000
T0 = 1_795_000_000 * SECOND
LANES = {"button-1": Lane.URGENT, "heat-1": Lane.BULK}


class Owner:
    """A lane without a broker: judges, commits and settles like ingest."""

    def __init__(self, conn: Connection, known: Registry, lane: Lane, uuid: int = 1) -> None:
        self.conn, self.registry, self.lane = conn, known, lane
        self.state, self.series = State(), SeriesKeys()
        self.now: Micros = T0
        self.stream = f"00000000-0000-0000-0000-{uuid:012x}-{lane}"

    async def load(self) -> lanes.Loaded:
        loaded = await lanes.load(self.conn, PARTITION, self.lane)
        loaded.state.remember_faults(self.registry)
        return loaded

    async def start(self) -> None:
        loaded = await self.load()
        self.state, self.series = loaded.state, loaded.series

    def message(self, *samples: Sample, client: str = "edge-1") -> Message:
        known = self.state.streams.get(self.stream)
        seq = 1 if known is None else known.upto + 1
        topic = f"anxin/v1/{PARTITION}/{client}/up/{self.lane}"
        return Message(topic, client, self.lane, self.stream, seq, wire.encode_up(samples))

    async def say(self, *samples: Sample) -> Draft:
        return await self.write(take_in(self.state, self.registry, [self.message(*samples)], self.now, frozenset()))

    async def tick(self, clients: dict[str, Micros], requested: list[Trial]) -> Draft:
        return await self.write(tick(self.state, self.registry, self.lane, self.now, T0 - SECOND, clients, requested))

    async def write(self, draft: Draft) -> Draft:
        await lane_commit.commit(self.conn, draft, self.series, lambda: None)
        draft.settle()
        return draft


@asynccontextmanager
async def owner(database: str, lane: Lane, uuid: int = 1) -> AsyncIterator[Owner]:
    conn = await connect(database, "test")
    async with conn:
        known = await registry.load(conn, profiles(), PARTITION)
        made = Owner(conn, known, lane, uuid)
        await made.start()
        yield made


@pytest.fixture
def city(fresh_database: str) -> str:
    seed(fresh_database)
    return fresh_database


async def person(database: str, alarm: UUID, *events: AlarmEvent) -> None:
    conn = await connect(database, "test")
    async with conn:
        for event in events:
            await alarms.act(conn, alarm, event, "duty", "", T0)


# restart exactness ---------------------------------------------------------------------------------------------------


def stored_part(state: State) -> dict[str, object]:
    """What a restart must keep. Not stored: beats, clients, ids taken, how far an open test has come, faults that only a beat said."""
    tests = {name: (trial.id, trial.opened_at, trial.deadline) for name, trial in state.tests.items()}
    faults = {
        name: {k: v for k, v in found.items() if k[0] not in ("beat", "alive")} for name, found in state.faults.items()
    }
    return {
        "latest": state.latest, "watches": state.watches, "alarms": state.alarms, "live": state.live,
        "streams": state.streams, "tests": tests, "faults": {name: found for name, found in faults.items() if found},
    }  # fmt: skip


POINTS: dict[str, list[tuple[str, st.SearchStrategy[object]]]] = {
    "button-1": [("pressed", st.booleans()), ("press", st.just("single")), ("alive", st.integers(0, 9))],
    "heat-1": [
        ("celsius", st.sampled_from([20.0, 20.1, 41.0, 45.0, 99.0, "warm"])),
        ("fault", st.booleans()),
        ("alive", st.integers(0, 9)),
    ],
}


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[tuple[int, list[tuple[str, object, int]]]]]:
    """A device, and batches: seconds that pass before each, and (point, value, seconds into the past) of its samples."""
    device = draw(st.sampled_from(sorted(POINTS)))
    said = st.sampled_from(POINTS[device]).flatmap(
        lambda point: st.tuples(st.just(point[0]), point[1], st.sampled_from([0, 0, 0, 1, 30, 7200]))
    )
    return device, draw(st.lists(st.tuples(st.integers(0, 5), st.lists(said, max_size=4)), min_size=1, max_size=6))


def test_a_restart_changes_nothing_whatever_came_before(make_database: Callable[[], str]) -> None:
    database = make_database()
    seed(database)
    moments = iter(range(T0, T0 + 10**15, 3600 * SECOND))

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories(), st.integers(0, 999))
    def holds(history: tuple[str, list[tuple[int, list[tuple[str, object, int]]]]], chance: int) -> None:
        asyncio.run(play(database, next(moments), *history, random.Random(chance)))

    holds()


async def play(
    database: str,
    start: Micros,
    device: str,
    batches: list[tuple[int, list[tuple[str, object, int]]]],
    chance: random.Random,
) -> None:
    async with owner(database, LANES[device]) as lane:
        lane.now = start
        for wait, said in batches:
            lane.now += wait * SECOND
            if chance.random() < 0.3 and device not in lane.state.tests:
                await commissioning.request(lane.conn, device, "installer", 5 * SECOND)
                await lane.conn.commit()
            samples = [sample(device, point, raw, lane.now - ago * SECOND) for point, raw, ago in said]  # type: ignore[arg-type]
            await lane.say(*samples)
            for alarm in list(lane.state.alarms.values()):
                if chance.random() < 0.3:
                    await acknowledged(database, alarm.id)
                    lane.state.alarms = await lanes.load_alarms(lane.conn, PARTITION, lane.lane)
            requested = await lanes.requested_tests(lane.conn, PARTITION, lane.lane)
            await lane.tick({"edge-1": lane.now}, requested)
        again = (await lane.load()).state
        assert stored_part(again) == stored_part(lane.state)


async def acknowledged(database: str, alarm: UUID) -> None:
    for event in (AlarmEvent.ACKNOWLEDGE, AlarmEvent.RESET):
        try:
            await person(database, alarm, event)
        except Conflict:
            return


# others at work ------------------------------------------------------------------------------------------------------


async def test_a_press_with_the_time_of_an_ended_one_is_told_apart(city: str) -> None:
    async with owner(city, Lane.URGENT) as lane:
        await lane.say(sample("button-1", "press", "single", T0))
        first = fetch(city, "select id from alarm")[0][0]
        await person(city, first, AlarmEvent.ACKNOWLEDGE, AlarmEvent.RESET)
        lane.state.alarms = await lanes.load_alarms(lane.conn, PARTITION, lane.lane)
        with pytest.raises(lane_commit.Taken) as taken:
            await lane.say(sample("button-1", "press", "single", T0))
        assert taken.value.ids == {first}
        lane.state.taken |= taken.value.ids
        await lane.say(sample("button-1", "press", "single", T0))
    assert fetch(city, "select state, count(*) from alarm group by 1 order by 1") == [
        ("latched_unack", 1),
        ("normal", 1),
    ]


async def test_an_owner_whose_state_is_old_writes_nothing(city: str) -> None:
    async with owner(city, Lane.BULK) as old, owner(city, Lane.BULK) as new:
        await new.say(sample("heat-1", "celsius", 20.0, T0))
        await new.say(sample("heat-1", "celsius", 30.0, T0 + SECOND))
        with pytest.raises(lane_commit.Overtaken) as overtaken:
            await old.say(sample("heat-1", "celsius", 25.0, T0 + 2 * SECOND))
        assert overtaken.value.streams == [old.stream]
    assert fetch(city, "select upto from stream") == [(2,)]
    assert fetch(city, "select count(*) from reading") == [(2,)]


async def test_the_stream_of_a_copied_edge_stays_with_its_first_owner(city: str) -> None:
    async with owner(city, Lane.BULK) as lane:
        await lane.say(sample("heat-1", "celsius", 20.0, T0))
        del lane.state.streams[lane.stream]  # the copy is in another partition
        message = lane.message(client="edge-2")
        draft = take_in(lane.state, lane.registry, [message], lane.now, frozenset())
        with pytest.raises(lane_commit.Overtaken):
            await lane_commit.commit(lane.conn, draft, lane.series, lambda: None)
        lane.state.streams |= await lanes.streams_named(lane.conn, [lane.stream])
        draft = take_in(lane.state, lane.registry, [message], lane.now, frozenset())
        assert [row.code for row in draft.quarantined] == ["client"]


async def test_a_test_that_passes_out_of_service_proves_and_leaves_the_device_out(city: str) -> None:
    with psycopg.connect(city) as conn:
        conn.execute("update device_state set admin_state = 'out_of_service'")
    async with owner(city, Lane.BULK) as lane:
        await commissioning.request(lane.conn, "heat-1", "installer", 60 * SECOND)
        await lane.conn.commit()
        await lane.tick({}, await lanes.requested_tests(lane.conn, PARTITION, lane.lane))
        await lane.say(sample("heat-1", "celsius", 20.0, T0), sample("heat-1", "alive", 1, T0))
        assert stored_part((await lane.load()).state) == stored_part(lane.state)
    query = (
        "select s.admin_state, s.function_state, s.proven = jsonb_build_object('fire.heat', (extract(epoch from s.proven_at) * 1e6)::bigint)"
        " from device_state s join device d on d.key = s.device where d.id = 'heat-1'"
    )
    assert fetch(city, query) == [("out_of_service", "ok", True)]  # the heat, and not the gas that it detects as well


async def test_a_device_whose_clock_stands_still_costs_its_neighbours_nothing(city: str) -> None:
    async with owner(city, Lane.BULK) as lane:
        values = [20.0 + n % 50 for n in range(1000)]
        for first in range(0, 3000, 1000):
            await lane.say(*(sample("heat-1", "celsius", value + first / 1e6, T0) for value in values))
        tally = fetch(city, "select sum(produced), sum(stored + duplicates + suppressed) from stream_tally")
    assert tally == [(3000, 3000)]
    assert fetch(city, "select count(distinct value) from reading") == [(150,)]


async def test_late_readings_that_the_table_has_already_are_counted_as_duplicates(city: str) -> None:
    values = [(20.0, T0), (30.0, T0 + 10 * SECOND), (40.0, T0 + 20 * SECOND)]
    late = [
        (20.0, T0),
        (30.0, T0 + 10 * SECOND),
        (31.0, T0 + 10 * SECOND),
        (25.0, T0 + 5 * SECOND),
        (25.0, T0 + 5 * SECOND),
    ]
    async with owner(city, Lane.BULK) as lane:
        for batch in (values, late):
            await lane.say(*(sample("heat-1", "celsius", value, at) for value, at in batch))
    found = fetch(city, "select sum(produced), sum(stored), sum(duplicates) from stream_tally")
    assert found == [(8, 5, 3)]
    assert fetch(city, "select count(*) from reading") == [(5,)]


async def test_what_a_client_declared_and_its_gaps_are_known_after_a_restart(city: str) -> None:
    async with owner(city, Lane.BULK) as lane:
        lane.now = T0 + 3600 * SECOND
        message = lane.message(sample("edge-1", "beat", 1.0, T0), sample("heat-1", "celsius", 20.0, T0))
        message = message._replace(items=wire.Items(2, 9))
        await lane.write(take_in(lane.state, lane.registry, [message], lane.now, frozenset()))
        dropped = lane.message()._replace(items=wire.Items(6, 9, 4))
        await lane.write(take_in(lane.state, lane.registry, [dropped], lane.now, frozenset()))
        await lane.start()
        assert lane.state.streams[lane.stream] == ("edge-1", Lane.BULK, 2, T0, 6, 9, T0, T0, 4)
        last = lane.message(sample("edge-1", "beat", 1.0, T0 + 60 * SECOND))._replace(items=wire.Items(8, 9))
        await lane.write(take_in(lane.state, lane.registry, [last], lane.now, frozenset()))
    assert fetch(city, "select produced, beats, stored, dropped, missing, surplus from stream_tally") == [
        (8, 2, 1, 4, 1, 0)
    ]
    gaps = fetch(city, "select cause, items, extract(epoch from until - since)::int from gap order by cause")
    assert gaps == [("dropped", 4, 60), ("edge", None, 60)]


async def test_an_alarm_of_a_device_that_is_retired_meanwhile_ends_its_condition(city: str) -> None:
    async with owner(city, Lane.URGENT) as lane:
        await lane.say(sample("button-1", "pressed", True, T0))
        with psycopg.connect(city) as conn:
            conn.execute("update device set retired_at = now() where id = 'button-1'")
        assert await alarms.clear_retired(lane.conn, PARTITION, Lane.URGENT, T0 + SECOND) == 1
        assert await alarms.clear_retired(lane.conn, PARTITION, Lane.URGENT, T0 + SECOND) == 0
    assert fetch(city, "select state from alarm") == [("latched_unack",)]


async def test_200_alarms_in_a_batch_are_written_with_their_histories(city: str) -> None:
    async with owner(city, Lane.URGENT) as lane:
        presses = [sample("button-1", "pressed", True, T0, f"part-{n}") for n in range(200)]
        await lane.say(*presses)
        await lane.say(*(sample("button-1", "pressed", False, T0 + SECOND, f"part-{n}") for n in range(200)))
        assert stored_part((await lane.load()).state) == stored_part(lane.state)
    assert fetch(city, "select state, count(*) from alarm group by 1") == [("latched_unack", 200)]
    assert fetch(city, "select event, n, count(*) from alarm_transition group by 1, 2 order by 2") == [
        ("raise", 1, 200),
        ("clear", 2, 200),
    ]


async def test_a_device_whose_profile_is_not_installed_is_neither_online_nor_ok(city: str) -> None:
    with psycopg.connect(city) as conn:
        conn.execute(
            "update device_state set link_state = 'online', link_cause = '', function_state = 'ok', proven_at = now()"
        )
    installed = {name: profile for name, profile in profiles().items() if name != "test-button"}
    reader = await connect(city, "test")
    async with reader:
        for _ in range(2):
            known = await registry.load(reader, installed, PARTITION)
    assert "button-1" not in known.devices
    query = "select d.id, s.link_state, s.function_state from device_state s join device d on d.key = s.device order by 1 limit 2"
    assert fetch(city, query) == [("button-1", "unknown", "unproven"), ("edge-1", "online", "ok")]
    assert fetch(city, "select count(*) from change where payload->>'link_cause' = 'profile_missing'") == [(1,)]


async def test_when_lane_and_api_wait_for_each_other_the_lane_judges_again_on_the_same_connection(city: str) -> None:
    async with owner(city, Lane.URGENT) as lane:
        await lane.say(sample("button-1", "pressed", True, T0))
        alarm = fetch(city, "select id from alarm")[0][0]
        other = await connect(city, "test")
        async with other:
            await other.execute("set deadlock_timeout = '1min'")  # the lane is the one that finds out
            await other.execute("select 1 from alarm where id = %s for update", [alarm])
            writing = asyncio.ensure_future(lane.say(sample("button-1", "pressed", False, T0 + SECOND)))
            await eventually(lambda: fetch(city, "select 1 from pg_stat_activity where wait_event_type = 'Lock'"))
            retiring = asyncio.ensure_future(other.execute("update device_state set admin_since = now()"))
            with pytest.raises(Conflict, match="waited for each other"):
                await writing
            await retiring
        await lane.say(sample("button-1", "pressed", False, T0 + SECOND))
    assert fetch(city, "select state from alarm") == [("latched_unack",)]
