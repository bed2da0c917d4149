"""The mark of an exercise goes with the alarm into everything that is made of it, whoever writes it, and can only be taken away."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from hub.core.escalation import Plan
from hub.core.standby import Pursuit
from hub.model import Exercise
from hub.store.escalation import begin, fire
from hub.store.outbox import open_outbox
from hub.store.reconcile import UNMARKED, Page, Tried, hand_over
from tests.delivering import ONE
from tests.paging import World


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(ONE)
        yield world


async def marked(world: World, kind: str | None) -> UUID:
    """An alarm with this mark, paged."""
    alarm = await world.alarm(begun=False)
    await world.conn.execute(
        "set session_replication_role = replica"
    )  # as if it had been raised so: no mark is added later
    await world.conn.execute(
        "update alarm set exercise = %s, exercise_id = %s where id = %s", (kind, uuid4() if kind else None, alarm)
    )
    await world.conn.execute("set session_replication_role = default")
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await begin(cur, [alarm])
        await fire(cur, alarm)
    return alarm


async def marks(world: World, alarm: UUID) -> list[tuple[str | None, UUID | None]]:
    rows = await world.rows(
        "select exercise, exercise_id from alarm where id = %s union all select exercise, exercise_id from escalation where alarm = %s"
        " union all select exercise, exercise_id from notification where alarm = %s",
        alarm,
        alarm,
        alarm,
    )
    return [(row["exercise"], row["exercise_id"]) for row in rows]


@pytest.mark.parametrize("kind", [None, *Exercise])
async def test_escalation_notification_and_what_the_deliverer_claims_bear_the_alarms_mark(
    world: World, kind: str | None
) -> None:
    alarm = await marked(world, kind)
    found = await marks(world, alarm)
    assert len(found) == 3
    assert {row[0] for row in found} == {kind}
    assert len({row[1] for row in found}) == 1
    async with open_outbox(world.url) as outbox:
        (claimed,) = await outbox.claim(10, 10, {}, 30_000_000, urgent_only=False)
    assert claimed.exercise == kind


async def test_no_writer_can_leave_the_mark_out_or_add_one(world: World) -> None:
    alarm = await marked(world, "drill")
    await world.conn.execute(
        "insert into notification (id, alarm, institution, round, step, repetition, responder, channel, urgency, due_at, exercise)"
        " select %s, alarm, institution, 99, 1, 0, responder, channel, 0, now(), 'canary' from notification where alarm = %s",
        (uuid4(), alarm),
    )
    assert [kind for kind, _ in await marks(world, alarm)] == ["drill"] * 4


async def test_a_real_alarm_never_becomes_an_exercise_and_none_becomes_another(world: World) -> None:
    real, drill = await marked(world, None), await marked(world, "drill")
    for alarm, kind in ((real, "drill"), (real, "canary"), (drill, "proof")):
        with pytest.raises(psycopg.errors.CheckViolation):
            await world.conn.execute("update alarm set exercise = %s where id = %s", (kind, alarm))
    with pytest.raises(psycopg.errors.CheckViolation):
        await world.conn.execute("update alarm set exercise_id = %s where id = %s", (uuid4(), real))


async def test_a_press_that_was_real_after_all_loses_its_mark_with_all_that_was_not_sent_yet(world: World) -> None:
    alarm = await marked(world, "drill")
    await world.conn.execute("update notification set state = 'sent', ended_at = now() where alarm = %s", (alarm,))
    await world.pass_time(700)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await fire(cur, alarm)
    await world.conn.execute("update alarm set exercise = null, exercise_id = null where id = %s", (alarm,))
    rows = await world.rows("select state, exercise from notification where alarm = %s order by round", alarm)
    assert [(row["state"], row["exercise"]) for row in rows] == [("sent", "drill"), ("pending", None)]
    assert (await world.escalation(alarm))["exercise"] is None


async def test_only_the_four_kinds_are_marks_and_a_real_alarm_belongs_to_no_exercise(world: World) -> None:
    for kind, number in (("joke", None), ("", None), (None, uuid4())):
        with pytest.raises(psycopg.errors.CheckViolation):
            await world.conn.execute(
                "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at,"
                " exercise, exercise_id) select %s, key, institution, 'x', 'panic', 'critical', 'unack_active', true, now(), now(), %s, %s"
                " from device",
                (uuid4(), kind, number),
            )


@pytest.mark.parametrize("kind", [None, Exercise.DRILL])
async def test_what_was_paged_as_real_without_the_database_is_said_to_have_been(world: World, kind: str | None) -> None:
    """A declared press in an outage: the standby knows no declarations and pages it as real, which is right; the book must not say otherwise."""
    alarm = await marked(world, kind)
    await world.conn.execute("delete from attempt")
    ((key, number, step, repetition, responder, channel),) = [
        tuple(row.values())
        for row in await world.rows(
            "select id, round, step, repetition, responder::text, channel::text from notification"
        )
    ]
    of: Any = SimpleNamespace(id=alarm, device="button-1", definition="panic", instance="")
    pursuit = Pursuit(of, "city", 1, Plan(600_000_000, None, ()), 1, 1, 0)
    page = Page(key, number, step, repetition, responder, channel, 0, "sent", (Tried(5, "delivered", 200, "ok", 1),))
    async with world.conn.transaction(), world.conn.cursor() as cur:
        assert await hand_over(cur, pursuit, [page]) == alarm
    (attempt,) = await world.rows("select detail from attempt where notification = %s", key)
    assert attempt["detail"] == ("ok" if kind is None else f"ok; {UNMARKED}")
