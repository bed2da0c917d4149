"""Hidings in the database: what is paged is what core says, and what is written is what is read."""

import random
from functools import partial
from itertools import product
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from hub.core import hidings
from hub.core.alarms import Alarm, AlarmEvent, AlarmState, Disposition, is_paged, open_alarm, step
from hub.model import LIFE_SAFETY, SECOND, Priority, SignalClass, to_micros
from hub.runtime.shared import wall_clock
from hub.store import alarms, escalation
from hub.store.pool import connect
from tests.runtime.city import fetch, profiles, seed

HOUR = 3600 * SECOND
ROOT = UUID("11111111-2222-5333-8444-555555555555")


@pytest.fixture
def city(fresh_database: str) -> str:
    seed(fresh_database)
    return fresh_database


def every_alarm(now: int) -> list[Alarm]:
    """States, classes, priorities and hidings in all combinations that the database takes."""
    made = []
    ends = (None, now - HOUR, now + HOUR)
    space = product(
        AlarmState, (SignalClass.PANIC, SignalClass.FAULT), (Priority.CRITICAL, Priority.JOURNAL), ends, (None, ROOT),
        ends, (None, "m-1"), (False, True), (False, True),
    )  # fmt: skip
    for n, (state, signal_class, priority, shelved, root, held, window, out, stale) in enumerate(space):
        if window is not None and held is None:
            continue
        if signal_class in LIFE_SAFETY and (root is not None or held is not None):
            continue
        made.append(
            Alarm(
                id=UUID(int=n + 1),
                device="button-1",
                definition="panic",
                instance=str(n),
                signal_class=signal_class,
                priority=priority,
                latching=False,
                state=state,
                raised_at=now,
                received_at=now,
                cleared_at=None,
                acknowledged_at=None,
                acknowledged_by=None,
                ended_at=now if state is AlarmState.NORMAL else None,
                occurrences=1,
                late=False,
                version=1,
                shelved_until=shelved,
                shelved_by=None if shelved is None else "duty",
                shelve_reason=None if shelved is None else "x",
                shelved_with=None if shelved is None else "head",
                suppressed_by=root,
                suppress_reason=None if root is None else "uplink",
                maintenance=window,
                held_until=held,
                out_of_service=out,
                stale=stale,
            )
        )
    return made


async def test_the_database_pages_what_core_says_is_to_be_paged(city: str) -> None:
    async with await connect(city, "test") as conn:
        async with conn.transaction(), conn.cursor() as cur:
            await cur.execute("select clock_timestamp()")
            row = await cur.fetchone()
            assert row is not None
            now = to_micros(row[0])
            given = every_alarm(now)
            await cur.execute("select key, institution from device where id = 'button-1'")
            place = await cur.fetchone()
            assert place is not None
            stored = await alarms.put_new(cur, given, [(place[0], place[1])] * len(given))
            assert len(stored) == len(given)
        async with conn.transaction(), conn.cursor() as cur:
            await cur.execute("select id, is_paged(a) from alarm a")
            found: dict[UUID, bool] = dict(await cur.fetchall())
    assert found == {alarm.id: is_paged(alarm, now) for alarm in given}
    assert set(found.values()) == {True, False}


async def test_an_alarm_is_read_back_as_it_was_written(city: str) -> None:
    async with await connect(city, "test") as conn:
        chance = random.Random(1)
        now = 1_795_000_000 * SECOND
        given = chance.sample([alarm for alarm in every_alarm(now) if alarm.state is not AlarmState.NORMAL], 20)
        moved = [
            alarm._replace(
                version=2,
                occurrences=7,
                cleared_at=now + 1,
                acknowledged_at=now + 2,
                acknowledged_by="duty",
                disposition=Disposition.NUISANCE,
                disposition_by="head",
                disposition_at=now + 3,
                out_of_service=not alarm.out_of_service,
            )
            for alarm in given
        ]
        async with conn.transaction(), conn.cursor(row_factory=dict_row) as rows, conn.cursor() as cur:
            await cur.execute("select key, institution from device where id = 'button-1'")
            place = await cur.fetchone()
            assert place is not None
            await alarms.put_new(cur, given, [(place[0], place[1])] * len(given))
            assert await alarms.put_moved(cur, [(1, alarm) for alarm in moved]) == len(moved)
            assert await alarms.put_moved(cur, [(1, alarm) for alarm in moved]) == 0
            await rows.execute("select a.*, d.id as device_id from alarm a join device d on d.key = a.device")
            found = [alarms.alarm_from(row) for row in await rows.fetchall()]
    assert sorted(found) == sorted(moved)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ("suppressed_by = gen_random_uuid(), suppress_reason = 'x'", "alarm_never_hidden"),
        ("held_until = now()", "alarm_never_hidden"),
        ("shelved_until = now(), shelved_by = 'duty', shelve_reason = 'x'", "alarm_shelved_by_two"),
        ("shelved_until = now(), shelved_by = 'd', shelve_reason = 'x', shelved_with = 'd'", "alarm_shelved_by_two"),
        ("closed_at = now(), closed_by = 'duty'", "alarm_closed"),
    ],
)
def test_the_database_itself_refuses_to_hide_a_panic_or_to_close_what_stands(
    city: str, columns: str, constraint: str
) -> None:
    with psycopg.connect(city, autocommit=True) as conn:
        conn.execute(
            "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at)"
            " select gen_random_uuid(), key, institution, 'panic', 'panic', 'critical', 'unack_active', true, now(), now()"
            " from device where id = 'button-1'"
        )
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            conn.execute(f"update alarm set {columns}")
    assert refused.value.diag.constraint_name == constraint


async def test_many_alarms_are_moved_at_once_and_one_that_somebody_else_has_moved_stays_as_it_is(city: str) -> None:
    async with await connect(city, "test") as conn:
        now = wall_clock()
        definition = profiles()["test-thermometer"].alarms["hot"]
        made = [open_alarm("heat-1", "hot", str(n), definition, now + n, now) for n in range(60)]
        raised = [step(alarm, AlarmEvent.RAISE, now) for alarm in made]
        async with conn.transaction(), conn.cursor() as cur:
            await cur.execute("select key, institution from device where id = 'heat-1'")
            place = await cur.fetchone()
            assert place is not None
            await alarms.put_new(cur, [alarm for alarm, _ in raised], [(place[0], place[1])] * 60)
            await alarms.put_transitions(cur, [transition for _, transition in raised])
            await escalation.begin(cur, [alarm.id for alarm, _ in raised])
            ended = raised[7][0].id
            await alarms.act(conn, ended, AlarmEvent.CLEAR, "", "", now)
            await alarms.act(conn, ended, AlarmEvent.ACKNOWLEDGE, "duty", "", now)
        ids = [alarm.id for alarm, _ in raised]
        async with conn.transaction():
            by = partial(hidings.suppress, at=now, root=ROOT, reason="x")
            assert await alarms.move_all(conn, ids, by, now) == 59
        async with conn.cursor(row_factory=dict_row) as rows:
            await rows.execute("select id, suppressed_by from alarm")
            hidden = {row["id"]: row["suppressed_by"] for row in await rows.fetchall()}
        assert hidden == dict.fromkeys(ids, ROOT) | {ended: None}
    said = fetch(city, "select count(*) from change where kind = 'alarm' and payload->>'event' = 'suppress'")
    assert said == [(59,)]


async def test_many_escalations_are_stopped_at_once_with_all_that_they_had_not_sent(city: str) -> None:
    with psycopg.connect(city) as conn:
        conn.execute("insert into responder (id, title_zh, title_en) values ('desk', '值班', 'Desk')")
        conn.execute(
            "insert into responder_channel (responder, id, kind, settings) values ('desk', 'hook', 'webhook', '{}')"
        )
        conn.execute(
            "insert into policy (id, title_zh, title_en, signal_classes, priorities, round_every)"
            " values ('all', '全', 'All', '{supervisory}', '{high}', '10 minutes')"
        )
        conn.execute(
            "insert into policy_step (policy, n, responder, channel, delay) values ('all', 1, 'desk', 'hook', '0')"
        )
    async with await connect(city, "test") as conn:
        now = wall_clock()
        definition = profiles()["test-thermometer"].alarms["hot"]
        made = [
            step(open_alarm("heat-1", "hot", str(n), definition, now + n, now), AlarmEvent.RAISE, now)
            for n in range(30)
        ]
        ids = [alarm.id for alarm, _ in made]
        async with conn.transaction(), conn.cursor() as cur:
            await cur.execute("select key, institution from device where id = 'heat-1'")
            place = await cur.fetchone()
            assert place is not None
            await alarms.put_new(cur, [alarm for alarm, _ in made], [(place[0], place[1])] * 30)
            await escalation.begin(cur, ids)
        async with conn.transaction(), conn.cursor() as cur:
            await escalation.fire(cur, ids[0])
            assert await escalation.stop_all(cur, [escalation.Stop(id_, "suppressed") for id_ in ids]) == 31
            assert await escalation.stop_all(cur, [escalation.Stop(id_, "again") for id_ in ids]) == 0
    assert fetch(city, "select state, reason, count(*) from escalation group by 1, 2") == [
        ("stopped", "suppressed", 30)
    ]
    assert fetch(city, "select count(*) from escalation_step where state = 'due'") == [(0,)]
    assert fetch(city, "select state from notification") == [("cancelled",)]
    stops = "select payload->>'cancelled', count(*) from change where kind = 'escalation' and payload->>'state' = 'stopped' group by 1 order by 1"
    assert fetch(city, stops) == [("1", 29), ("2", 1)]
