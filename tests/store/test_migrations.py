"""A database of the release before is brought up with all that is in it, and its lanes go on where they were."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg import sql

from hub.core import wire
from hub.core.intake import take_in
from hub.core.lane import Message
from hub.model import Lane, to_datetime
from hub.store import duty, lane_commit, lanes, registry
from hub.store.coverage import open_ledger
from hub.store.migrate import _LOCK, FOLDER, newest, upgrade
from hub.store.pool import connect
from tests.conftest import with_database
from tests.runtime.city import PARTITION, fetch, profiles, sample, seed
from tests.store.coverage_register import PROFILES, RULES

SECOND = 1_000_000
DAY = 86_400 * SECOND
T0 = 1_795_000_000 * SECOND
STREAM = "00000000-0000-0000-0000-000000000001"
ALARM = "00000000-0000-0000-0000-0000000000aa"
BEFORE = "0006"
"""the last revision of the release before"""


@pytest.fixture
def database_before(database_url: str) -> Iterator[str]:
    """A database of the release before; empty."""
    name = f"before_{secrets.token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            upgrade(with_database(database_url, name), BEFORE)
            yield with_database(database_url, name)
        finally:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def fill(database: str) -> None:
    """What the release before wrote: a press that stands, a temperature over two days, a click, the places of both streams."""
    seed(database)
    at = {"t0": to_datetime(T0), "yesterday": to_datetime(T0 - DAY), "alarm": ALARM, "stream": STREAM}
    with psycopg.connect(database) as conn:
        keys: dict[str, int] = dict(conn.execute("select id::text, key from device").fetchall())
        told = {**at, "button": keys["button-1"], "heat": keys["heat-1"]}
        conn.execute(
            "insert into stream (stream, client, lane, upto, newest_at)"
            " select %(stream)s || '-' || l, 'edge-1', l, 7, %(t0)s from unnest(array['urgent', 'bulk']) l",
            told,
        )
        conn.execute(
            "insert into stream_tally (stream, hour, produced, stored, suppressed, events, beats, duplicates, quarantined)"
            " values (%(stream)s || '-urgent', date_trunc('hour', %(t0)s::timestamptz), 7, 1, 2, 1, 3, 0, 0)",
            told,
        )
        conn.execute(
            "insert into series (device, point, instance) values (%(heat)s, 'celsius', ''), (%(button)s, 'pressed', '')",
            told,
        )
        conn.execute(
            "insert into reading (series_id, at, received_at, value, quality) select s.key, t, t, 21.5, 0"
            " from series s, unnest(array[%(yesterday)s, %(t0)s]::timestamptz[]) t",
            told,
        )
        conn.execute(
            "insert into point_state (series, at, received_at, value, quality, changed_at, stored_at)"
            " select s.key, %(t0)s, %(t0)s, case when s.point = 'pressed' then 1 else 21.5 end, 0, %(t0)s, %(t0)s from series s",
            told,
        )
        conn.execute(
            "insert into event (stream, seq, n, device, point, at, received_at, text, quality)"
            " values (%(stream)s || '-urgent', 3, 0, %(button)s, 'press', %(yesterday)s, %(yesterday)s, 'x', 0)",
            told,
        )
        conn.execute(
            "insert into finding (subject, institution, pack, pack_version, rule, basis, citation, verdict, reason, sentence_zh, sentence_en,"
            " evidence, since, until, closed_at)"
            " select i.id::text, i.key, 'p', '1', 'old', 'target', '{}', v.verdict, 'judged', '一', 'a', '[]', v.since, v.until, v.until"
            " from institution i, (values ('compliant', %(yesterday)s::timestamptz, %(t0)s::timestamptz), ('unknown', %(t0)s, null))"
            " as v(verdict, since, until)",
            told,
        )
        conn.execute(
            "insert into alarm_condition (device, definition, instance, holds, since, judged_at)"
            " values (%(button)s, 'panic', '', true, %(t0)s, %(t0)s)",
            told,
        )
        conn.execute(
            "insert into alarm (id, state, occurrences, version, device, institution, definition, instance, signal_class, priority,"
            " latching, raised_at, received_at, late)"
            " select %(alarm)s, 'unack_active', 1, 1, d.key, d.institution, 'panic', '', 'panic', 'critical', true, %(t0)s, %(t0)s, false"
            " from device d where d.key = %(button)s",
            told,
        )
        conn.execute(
            "insert into alarm_transition (alarm, n, event, from_state, to_state, at, actor, note)"
            " values (%(alarm)s, 1, 'raise', 'normal', 'unack_active', %(t0)s, '', '')",
            told,
        )


async def test_a_press_that_stands_is_neither_lost_nor_raised_again_and_its_stream_goes_on(
    database_before: str,
) -> None:
    database = database_before
    fill(database)
    counts = "select (select count(*) from reading), (select count(*) from event), (select count(*) from stream_tally)"
    before = fetch(database, counts)
    upgrade(database)
    assert fetch(database, counts) == before
    assert fetch(database, "select distinct edge_at from reading") == [(None,)]
    conn = await connect(database, "test")
    async with conn:
        known = await registry.load(conn, profiles(), PARTITION)
        state, series, _ = await lanes.load(conn, PARTITION, Lane.URGENT)
        assert [(key.definition, alarm.state) for key, alarm in state.alarms.items()] == [("panic", "unack_active")]
        name = f"{STREAM}-urgent"
        assert state.streams[name].upto == 7
        now, topic = T0 + 60 * SECOND, f"anxin/v1/{PARTITION}/edge-1/up/urgent"

        async def say(seq: int, raw: bool, items: wire.Items | None, at: int) -> None:
            payload = wire.encode_up([sample("button-1", "pressed", raw, at)])
            message = Message(topic, "edge-1", Lane.URGENT, name, seq, payload, items)
            draft = take_in(state, known, [message], now, frozenset())
            assert draft.confirm[("edge-1", Lane.URGENT, name)] == seq
            await lane_commit.commit(conn, draft, series, lambda: None)
            draft.settle()

        await say(8, True, None, T0 + SECOND)  # an edge of the release before counts nothing
        await say(9, True, wire.Items(41, 42), T0 + 2 * SECOND)  # it was brought up too: its first word is a beginning
        await say(10, False, wire.Items(42, 42), T0 + 3 * SECOND)
    assert fetch(database, "select id::text, state, occurrences from alarm") == [(ALARM, "latched_unack", 1)]
    unbalanced = (
        "select sum(produced), sum(produced + surplus - stored - suppressed - events - beats - duplicates - quarantined - dropped"
        " - missing), sum(missing + surplus) from stream_tally"
    )
    assert fetch(database, unbalanced) == [(10, 0, 0)]
    assert fetch(database, "select count(*) from gap") == [(0,)]


async def test_findings_of_the_release_before_are_the_past_of_the_ledger_and_it_goes_on(database_before: str) -> None:
    fill(database_before)
    upgrade(database_before)
    held, yesterday = to_datetime(T0), to_datetime(T0 - DAY)
    periods = "select verdict, since, until from finding_period where rule = 'old' order by subject, since"
    old = [("compliant", yesterday, held), ("unknown", held, None)]
    assert fetch(database_before, periods)[:2] == old
    known = "select verdict from finding_as_of(%(at)s, now()) where rule = 'old' limit 1"
    with psycopg.connect(database_before) as conn:
        assert conn.execute(known, {"at": yesterday}).fetchall() == [("compliant",)]
        [subject] = conn.execute("select id::text from institution where partition >= 0 limit 1").fetchone() or [""]
    now = time.time_ns() // 1000  # the rows say that they were recorded by the clock of the database
    async with open_ledger(database_before, PROFILES, RULES) as ledger, ledger.judging([subject], now) as judging:
        assert await judging.record() > 0
    ended = (
        "select max(true_to), count(*) filter (where known_to is null) from finding where rule = 'old' and subject = "
    )
    assert fetch(database_before, f"{ended}'{subject}'") == [(to_datetime(now), 2)]
    assert fetch(database_before, "select subject, n from ledger_entry") == [(subject, 1)]


async def test_the_views_of_the_release_before_go_on_over_old_rows(database_before: str) -> None:
    fill(database_before)
    upgrade(database_before)
    for (view,) in fetch(
        database_before,
        "select quote_ident(schemaname) || '.' || quote_ident(viewname) from pg_views where schemaname = 'dash'",
    ):
        fetch(database_before, f"select * from {view}")


def test_a_database_that_stands_at_the_newest_revision_is_left_alone(database: str) -> None:
    assert ScriptDirectory(str(FOLDER)).get_current_head() == newest()
    with psycopg.connect(database) as conn:
        conn.execute("select pg_advisory_lock(%s)", [_LOCK])  # as another centre that is migrating
        upgrade(database)
        assert conn.execute("select version_num from alembic_version").fetchone() == (newest(),)


def test_a_second_run_changes_nothing(database_before: str) -> None:
    fill(database_before)
    upgrade(database_before)
    upgrade(database_before)
    assert fetch(database_before, "select count(*) from hub_setting where name = 'gaps_since'") == [(1,)]


async def test_rotas_that_stood_before_their_history_was_kept_are_its_first_edition(database_url: str) -> None:
    name = f"before_{secrets.token_hex(4)}"
    url = with_database(database_url, name)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            upgrade(url, "0029")
            with psycopg.connect(url) as old:
                old.execute("insert into responder (id, title_zh, title_en) values ('ada', 'a', 'a'), ('bo', 'b', 'b')")
                old.execute(
                    "insert into rota (id, title_zh, title_en, version, retired_at) values ('post', 'p', 'p', 3, null),"
                    " ('gone', 'g', 'g', 1, '2026-11-01T00:00Z')"
                )
                old.execute(
                    "insert into rota_shift (rota, n, id, starts, ends, since, turn_days, crew, weekdays, day_kinds)"
                    " select id, 0, 'all', 0, 0, '2026-01-01', 1, 1, array[0,1,2,3,4,5,6], array['workday','weekend','holiday'] from rota"
                )
                old.execute("insert into rota_turn (rota, shift, n, responder) select id, 0, 0, 'ada' from rota")
            upgrade(url)
            async with await connect(url, "test") as new, new.cursor() as cur:

                async def at(rota: str, when: str) -> tuple[str, ...]:
                    return await duty.on_duty(cur, rota, datetime.fromisoformat(when))

                assert await at("post", "2026-06-01T00:00+00:00") == ("ada",)
                assert await at("gone", "2026-10-31T23:00+00:00") == ("ada",)
                assert await at("gone", "2026-11-02T00:00+00:00") == ()
                rotas = await duty.load_rotas(cur)
                assert list(rotas) == ["post"]
                other = replace(rotas["post"].shifts[0], responders=("bo",))
                for rota in ("post", "gone"):
                    await duty.put_rota(cur, replace(rotas["post"], id=rota, shifts=(other,)))
                    assert await at(rota, "2199-01-01T00:00+00:00") == ("bo",)
                assert await at("post", "2026-06-01T00:00+00:00") == ("ada",)
                await new.commit()
        finally:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
