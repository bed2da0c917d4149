"""What goes from the database and what stays, with the real one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from structlog.testing import capture_logs

from hub.core.rights import EVERYTHING
from hub.errors import Conflict, LinkDown
from hub.runtime.fanout import Fanout, Resync
from hub.runtime.housekeeping import Retention, Swept, run, sweep
from hub.store.changes import Cursor
from hub.store.housekeeping import Keeper, open_keeper
from hub.testing import eventually
from tests.store.findings import add_finding


class Place:
    def __init__(self, url: str) -> None:
        self.url = url
        self.conn = psycopg.connect(url, autocommit=True)

    def do(self, statement: str, *values: Any) -> None:
        self.conn.execute(statement.encode(), values)

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.conn.execute(statement.encode(), values).fetchall()

    def one(self, statement: str, *values: Any) -> Any:
        return self.all(statement, *values)[0][0]

    def reading(self, days_ago: float, series: int = 1) -> None:
        self.do("insert into reading select %s, now() - %s * interval '1 day', now(), 1, 0", series, days_ago)

    def change(self, days_ago: float, number: int) -> None:
        self.do(
            "insert into change (at, kind, payload) values (now() - %s * interval '1 day', 'registry', %s)",
            days_ago,
            Jsonb({"n": number}),
        )

    def quarantined(self, count: int, days_ago: float) -> None:
        self.do(
            "insert into quarantine (received_at, source, code, reason, payload)"
            " select now() - %s * interval '1 day' + n * interval '1 ms', 'topic', 'json', %s, '' from generate_series(1, %s) n",
            days_ago,
            f"{days_ago} days",
            count,
        )


@pytest.fixture
def place(fresh_database: str) -> Iterator[Place]:
    made = Place(fresh_database)
    yield made
    made.conn.close()


@pytest.fixture
async def keeper(place: Place) -> AsyncIterator[Keeper]:
    async with open_keeper(place.url) as opened:
        yield opened


async def _sweep(keeper: Keeper, retention: Retention = Retention(), batch: int = 2000) -> Swept:
    return await sweep(keeper, retention, datetime.now(UTC), batch=batch)


async def test_days_of_readings_go_when_all_of_them_are_too_old_and_younger_ones_stay(
    place: Place, keeper: Keeper
) -> None:
    for days in (400, 100, 92, 89, 1, 0):
        place.reading(days)
    swept = await _sweep(keeper)
    assert swept.reading_chunks == 3
    left = [row[0] for row in place.all("select at from reading order by at")]
    assert len(left) == 3
    assert min(left) > datetime.now(UTC) - timedelta(days=90)
    assert (await _sweep(keeper)).reading_chunks == 0


async def test_how_long_readings_are_kept_is_a_setting(place: Place, keeper: Keeper) -> None:
    for days in (10, 5, 1):
        place.reading(days)
    assert (await _sweep(keeper, Retention(readings=timedelta(days=6)))).reading_chunks == 1
    assert (await _sweep(keeper, Retention(readings=timedelta(days=3)))).reading_chunks == 1
    assert place.one("select count(*) from reading") == 1


async def test_old_changes_go_and_who_asks_for_what_lies_before_them_must_resync(place: Place, keeper: Keeper) -> None:
    for number, days in enumerate((9, 8, 7.5, 6, 0)):
        place.change(days, number)
    places = [
        Cursor(int(txid), seq) for txid, seq in place.all("select txid::text, seq from change order by txid, seq")
    ]
    swept = await _sweep(keeper, batch=2)
    assert swept.changes == 3, "all of it, in more than one batch"
    fanout = Fanout(place.url)
    async with fanout.catch_up(EVERYTHING, places[0]) as missed:
        items = [item async for item in missed]
    assert [type(item) for item in items] == [Resync]
    async with fanout.catch_up(EVERYTHING, places[2]) as missed:
        items = [item async for item in missed]
    assert [item.payload["n"] for item in items if not isinstance(item, Resync)] == [3, 4], (
        "nothing was lost for this one"
    )


async def test_quarantine_is_bounded_by_age_and_by_number_and_the_newest_stay(place: Place, keeper: Keeper) -> None:
    place.quarantined(30, 31)
    place.quarantined(50, 20)
    place.quarantined(40, 1)
    swept = await _sweep(keeper, Retention(quarantine_rows=60), batch=7)
    assert swept.quarantine == 30 + 30
    assert place.all("select reason, count(*) from quarantine group by 1 order by 1") == [
        ("1 days", 40),
        ("20 days", 20),
    ]


async def test_tallies_go_after_400_days(place: Place, keeper: Keeper) -> None:
    for days in (401, 399, 0):
        place.do("insert into stream_tally values ('s', now() - %s * interval '1 day', 1, 1, 0, 0, 0, 0, 0)", days)
        columns = "(client, lane, since, until, cause, noted_at)"
        values = "('edge-1', 'bulk', now(), now(), 'edge', now() - %s * interval '1 day')"
        place.do(f"insert into gap {columns} values {values}", days)
    assert (await _sweep(keeper)).tallies == 2
    assert place.one("select count(*) from stream_tally") == 2
    assert place.one("select count(*) from gap") == 2


async def test_what_must_be_kept_for_years_is_never_touched(place: Place, keeper: Keeper) -> None:
    place.do(
        "insert into audit (at, actor, action, target, detail) values (now() - interval '900 days', 'x', 'y', 'z', '{}')"
    )
    place.do("insert into division values ('14', null, '山西', 'Shanxi')")
    place.do(
        "insert into institution (id, division, type, title_zh, title_en, partition)"
        " values ('sun', '14', 'community_point', '托', 'N', 3)"
    )
    place.do(
        "insert into device (id, institution, profile, kind, lane) select 'b', key, 'p', 'panic_button', 'urgent' from institution"
    )
    place.do(
        "insert into event select 's', 1, 1, key, 'press', '', now() - interval '900 days', now(), 1, null, 0 from device"
    )
    place.do(
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at,"
        " ended_at) select gen_random_uuid(), key, institution, 'panic', 'panic', 'critical', 'normal', true,"
        " now() - interval '900 days', now(), now() - interval '899 days' from device"
    )
    place.do("insert into alarm_transition select id, 1, 'raise', 'normal', 'unack_active', raised_at from alarm")
    old = datetime.now(UTC) - timedelta(days=900)
    add_finding(place.conn, subject="sun", basis="target", since=old, until=old + timedelta(days=1))
    tables = ("audit", "event", "alarm", "alarm_transition", "finding", "device", "institution")
    await _sweep(keeper)
    assert [place.one(f"select count(*) from {table}") for table in tables] == [1] * len(tables)


async def test_one_process_keeps_house_and_another_takes_over_when_it_is_gone(place: Place, keeper: Keeper) -> None:
    assert await keeper.is_alone()
    async with open_keeper(place.url) as second:
        assert not await second.is_alone()
        await keeper._conn.close()
        await eventually(second.is_alone)


async def test_a_day_in_use_is_left_for_later_and_blocks_nobody(place: Place, keeper: Keeper) -> None:
    place.reading(100)
    place.reading(0)
    with psycopg.connect(place.url) as reader:
        assert reader.execute("select count(*) from reading").fetchone() == (2,)
        with pytest.raises(Conflict):
            await _sweep(keeper)
        place.reading(0, series=2)
    assert (await _sweep(keeper)).reading_chunks == 1


async def test_the_loop_says_what_it_did_once_a_run_and_lives_through_a_lost_connection(place: Place) -> None:
    place.reading(100)
    with capture_logs() as logs:
        running = asyncio.create_task(run(place.url, retention=Retention(), every_seconds=0.05))
        try:
            await eventually(lambda: len(logs) >= 2)
            place.do(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'anxin-housekeeping'"
            )
            place.reading(100)
            await eventually(lambda: sum(entry.get("reading_chunks", 0) for entry in logs) == 2)
        finally:
            running.cancel()
            await asyncio.wait({running})
    done = [entry for entry in logs if entry["event"] == "housekeeping.done"]
    assert done[0]["reading_chunks"] == 1
    assert set(done[0]) >= {"reading_chunks", "changes", "quarantine", "tallies"}
    assert running.cancelled()


async def test_a_database_that_is_not_there_is_a_lost_link() -> None:
    with pytest.raises(LinkDown):
        async with open_keeper("postgresql://nobody@127.0.0.1:1/nothing"):
            pass
