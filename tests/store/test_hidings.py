"""Hidings in the database: what is paged is what core says, and what is written is what is read."""

import random
from itertools import product
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from hub.core.alarms import Alarm, AlarmState, Disposition, is_paged
from hub.model import LIFE_SAFETY, SECOND, Priority, SignalClass, to_micros
from hub.store import alarms
from hub.store.pool import connect
from tests.runtime.city import seed

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
