"""A storm of alarms is few messages that list them all; fire and panic among them are paged by themselves, at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from hub.core.escalation import Step
from hub.core.storms import MOST
from hub.model import SECOND, Priority, SignalClass
from hub.runtime import deliverer, escalator
from hub.store.escalation import claim, fire, sweep
from hub.testing import eventually
from tests.paging import POLICY, Receiver, World, receiver, webhook

FAULTS = replace(
    POLICY,
    id="faults",
    signal_classes=frozenset({SignalClass.FAULT, SignalClass.INTRUSION, SignalClass.COMMUNICATION}),
    priorities=frozenset(Priority) - {Priority.JOURNAL},
    steps=(Step(1, "guard", "hook"),),
)
PANICS = replace(POLICY, steps=(Step(1, "guard", "hook"),))


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


@pytest.fixture
async def storm(world: World) -> AsyncIterator[Receiver]:
    async with receiver() as hook:
        told = {"guard/hook": webhook(hook.url)}
        await world.policy(FAULTS, told)
        await world.policy(PANICS, told)
        yield hook


async def drive(world: World) -> None:
    """Escalate everything that is due, without any loop."""
    while True:
        async with world.conn.transaction(), world.conn.cursor() as cur:
            alarms = await claim(cur, 50, 10 * SECOND)
        for alarm in alarms:
            async with world.conn.transaction(), world.conn.cursor() as cur:
                await fire(cur, alarm)
        if not alarms:
            return


async def fault(world: World, device: str = "button-1", priority: Priority = Priority.HIGH) -> UUID:
    return await world.alarm(device, SignalClass.FAULT, priority)


async def kinds(world: World) -> dict[str, int]:
    rows = await world.rows("select kind, count(*) as n from notification where state <> 'cancelled' group by kind")
    return {row["kind"]: row["n"] for row in rows}


async def told(world: World) -> set[UUID]:
    """Every alarm that stands in some message."""
    rows = await world.rows("select alarm from notification union select alarm from digest_alarm")
    return {row["alarm"] for row in rows}


async def test_the_first_is_paged_at_once_and_a_hundred_more_are_one_digest_that_lists_each(
    world: World, storm: Receiver
) -> None:
    alarms = {await fault(world) for _ in range(101)}
    await drive(world)
    assert await kinds(world) == {"page": 1, "digest": 1}
    assert await told(world) == alarms
    assert await world.rows("select count(*) as listed from digest_alarm") == [{"listed": 100}]
    waits = await world.rows(
        "select d.next_attempt_at - p.created_at between '50 s' and '61 s' as soon from notification d, notification p"
        " where d.kind = 'digest' and p.kind = 'page'"
    )
    assert waits == [{"soon": True}]
    running = await world.rows("select count(*) as n from escalation where state = 'running'")
    assert running == [{"n": 101}]


async def test_fire_and_panic_are_never_delayed_or_merged(world: World, storm: Receiver) -> None:
    for _ in range(30):
        await fault(world)
    await drive(world)
    panics = [await world.alarm() for _ in range(5)]
    await drive(world)
    rows = await world.rows(
        "select alarm, next_attempt_at <= now() as now from notification where kind = 'page' and urgency = 0"
    )
    assert {row["alarm"] for row in rows} == set(panics)
    assert all(row["now"] for row in rows)


async def test_what_is_graver_and_another_institution_do_not_wait(world: World, storm: Receiver) -> None:
    await world.institution("moon")
    await world.device("button-2", "moon")
    await fault(world)
    await fault(world, priority=Priority.CRITICAL)
    await fault(world, "button-2")
    await drive(world)
    assert await kinds(world) == {"page": 3}


async def test_what_is_less_grave_waits_for_the_digest_of_what_is_graver_and_never_the_other_way_round(
    world: World, storm: Receiver
) -> None:
    grave = [await fault(world, priority=Priority.HIGH) for _ in range(2)]
    await drive(world)
    low = await fault(world, priority=Priority.LOW)
    await drive(world)
    gravest = [await fault(world, priority=Priority.CRITICAL) for _ in range(2)]
    await drive(world)
    pages = await world.rows("select alarm from notification where kind = 'page' order by created_at")
    assert [page["alarm"] for page in pages] == [grave[0], gravest[0]]
    lists = await world.rows(
        "select array_agg(m.alarm order by m.added_at) as alarms from notification n join digest_alarm m on m.notification = n.id"
        " group by n.id, n.created_at order by n.created_at"
    )
    assert [row["alarms"] for row in lists] == [[grave[1], low], [gravest[1]]]


async def silence(world: World, name: str, cause: str) -> None:
    """Two devices that are not heard, and what is known of why."""
    await world.device(f"edge-{name}", "star")
    await world.conn.execute(
        "insert into endpoint (institution, id, driver, edge, settings) select institution, id, 'modbus', key, '{}' from device where id = %s",
        (f"edge-{name}",),
    )
    for n in (1, 2):
        await world.device(f"{name}-{n}", "star")
        await world.conn.execute(
            "update device set endpoint = n.key from endpoint n where n.id = %s and device.id = %s",
            (f"edge-{name}", f"{name}-{n}"),
        )
    await world.conn.execute(
        "insert into device_state (device, link_state, link_cause) select key, 'offline', 'device' from device where id like %s"
        " on conflict (device) do update set link_state = 'offline', link_cause = 'device'",
        (f"{name}-%",),
    )
    if cause == "line":
        await world.conn.execute(
            "insert into blindness (subject, endpoint, devices, cause, evidence, since)"
            " select 'line', n.key, array(select key from device where endpoint = n.key), 'line', '[]', now() from endpoint n where id = %s",
            (f"edge-{name}",),
        )


async def silent(world: World, device: str) -> UUID:
    return await world.alarm(device, SignalClass.COMMUNICATION, Priority.HIGH)


async def test_a_storm_is_grouped_by_what_it_comes_from(world: World, storm: Receiver) -> None:
    """Two lines of one institution fail, and two devices by themselves: each line is a page and a digest, the devices are with what has no known cause."""
    await silence(world, "north", "line")
    await silence(world, "south", "line")
    await silence(world, "alone", "device")
    first = [await silent(world, f"{name}-1") for name in ("north", "south", "alone")]
    await drive(world)
    await fault(world)
    second = [await silent(world, f"{name}-2") for name in ("north", "south", "alone")]
    await drive(world)
    pages = await world.rows("select alarm from notification where kind = 'page'")
    assert {page["alarm"] for page in pages} == set(first)
    rows = await world.rows(
        "select n.root_cause, count(*) as listed, array_agg(m.alarm) as alarms from notification n"
        " join digest_alarm m on m.notification = n.id group by n.id, n.root_cause"
    )
    assert sorted((row["root_cause"].split(" ")[0], row["listed"]) for row in rows) == [
        ("", 2),
        ("line", 1),
        ("line", 1),
    ]
    assert {alarm for row in rows for alarm in row["alarms"]} >= set(second)
    assert len({row["root_cause"] for row in rows}) == 3


async def test_nothing_can_put_a_fire_or_a_panic_into_a_digest(world: World, storm: Receiver) -> None:
    alarm = await world.alarm()
    await drive(world)
    with pytest.raises(psycopg.errors.CheckViolation):
        await world.conn.execute("update notification set kind = 'digest' where alarm = %s", (alarm,))


async def test_over_all_institutions_a_person_gets_only_so_many_and_the_rest_in_one(
    world: World, storm: Receiver
) -> None:
    alarms = set()
    for n in range(2 * MOST):
        await world.institution(f"i-{n}")
        await world.device(f"d-{n}", f"i-{n}")
        alarms.add(await fault(world, f"d-{n}"))
    await drive(world)
    assert await kinds(world) == {"page": MOST, "digest": 1}
    assert await told(world) == alarms
    assert await world.rows("select wide from notification where kind = 'digest'") == [{"wide": True}]


async def test_an_exercise_is_never_in_a_digest(world: World, storm: Receiver) -> None:
    await fault(world)
    await drive(world)
    await world.conn.execute(
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at, exercise)"
        " select gen_random_uuid(), key, institution, 'x', 'fault', 'high', 'unack_active', false, now(), now(), 'drill' from device"
    )
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await sweep(cur)
    await drive(world)
    rows = await world.rows("select kind, exercise from notification order by exercise nulls first")
    assert rows == [{"kind": "page", "exercise": None}, {"kind": "page", "exercise": "drill"}]


async def test_a_digest_goes_on_for_whoever_is_left_and_ends_with_the_last(world: World, storm: Receiver) -> None:
    first, second, third = [await fault(world) for _ in range(3)]
    await drive(world)
    await world.acknowledge(first)
    [digest] = await world.rows("select id, state from notification where kind = 'digest'")
    assert digest["state"] == "pending"
    head = await world.rows("select alarm from notification where kind = 'digest'")
    await world.acknowledge(head[0]["alarm"])
    assert (await world.rows("select state from notification where kind = 'digest'")) == [{"state": "pending"}]
    await world.acknowledge(third if head[0]["alarm"] == second else second)
    assert (await world.rows("select state from notification where kind = 'digest'")) == [{"state": "cancelled"}]


async def send(world: World) -> None:
    """Whatever waits is due: the deliverer sends it."""
    await world.conn.execute("update notification set next_attempt_at = now() where state = 'pending'")
    sending = asyncio.create_task(deliverer.run(world.url, profiles={}, allow_loopback=True), name="deliverer")
    try:

        async def sent() -> bool:
            return not await world.rows("select 1 as one from notification where state = 'pending'")

        await eventually(sent)
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


def bodies(hook: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in hook.requests]


async def test_a_digest_says_how_many_names_the_gravest_and_leaves_out_what_somebody_has_taken(
    world: World, storm: Receiver
) -> None:
    alarms = [await fault(world) for _ in range(15)]
    await drive(world)
    await world.acknowledge(alarms[3])
    await send(world)
    page, digest = sorted(bodies(storm), key=lambda body: str(body["type"]), reverse=True)
    assert page["type"] == "alarm.raised"
    assert "alarms" not in page["data"]
    assert digest["type"] == "alarm.digest"
    assert digest["data"]["alarm_count"] == 13
    assert len(digest["data"]["alarms"]) == 10
    assert str(alarms[3]) not in {line["alarm"] for line in digest["data"]["alarms"]}
    assert digest["data"]["title"] == {"zh": "13 条告警：pressed 等", "en": "13 alarms: pressed and others"}
    assert digest["data"]["response"] == page["data"]["response"], (
        "what to do first is of the gravest, and no list of names"
    )
    assert digest["data"]["alarms"][0]["place"] == {"zh": "门边", "en": "By the door"}


async def test_a_flood_of_five_hundred_is_a_handful_of_messages_and_the_fire_in_it_comes_at_once(
    world: World, storm: Receiver
) -> None:
    """The real loops: while five hundred faults are worked off, a panic does not wait behind them."""
    faults = [await fault(world) for _ in range(250)]
    loops = [
        asyncio.create_task(escalator.run(world.url), name="escalator"),
        asyncio.create_task(deliverer.run(world.url, profiles={}, allow_loopback=True), name="deliverer"),
    ]
    try:
        await eventually(lambda: storm.requests)
        panic = await world.alarm()
        faults += [await fault(world) for _ in range(250)]

        async def all_told() -> bool:
            return await told(world) == {*faults, panic}

        await eventually(all_told, deadline=60)
        await eventually(lambda: any(body["data"]["alarm"] == str(panic) for body in bodies(storm)))
    finally:
        for loop in loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop
    assert len([body for body in bodies(storm) if body["data"]["class"] == "fault"]) <= 3
    rank = await world.rows(
        "select (select count(*) from escalation_step s where s.urgency = 1 and s.state = 'done' and s.ended_at < p.ended_at) as before"
        " from escalation_step p where p.alarm = %s and p.state = 'done'",
        panic,
    )
    assert rank[0]["before"] < 400, "it did not queue behind the storm"
