"""A message of a storm is acknowledged as a whole: each alarm that it listed, and no other."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.api.conftest import City

Problem = Callable[[httpx.Response], dict[str, Any]]


async def alarm(city: City, like: UUID, definition: str) -> UUID:
    """One more of the same device."""
    id_ = uuid4()
    await city.conn.execute(
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at)"
        " select %s, device, institution, %s, 'fault', 'high', 'unack_active', false, now(), now() from alarm where id = %s",
        (id_, definition, like),
    )
    await city.conn.execute(
        "insert into alarm_transition (alarm, n, event, from_state, to_state, at) values (%s, 1, 'raise', 'normal', 'unack_active', now())",
        [id_],
    )
    await city.conn.execute(
        "insert into escalation (alarm, institution, urgency, plan, state, started_at, first_round, round, round_started_at)"
        ' select id, institution, 1, \'{"round_every": 60000000, "max_rounds": null, "steps": []}\', \'running\', now(), 1, 1, now()'
        " from alarm where id = %s",
        [id_],
    )
    return id_


async def digest(city: City, *alarms: UUID) -> UUID:
    """A message that lists these."""
    id_ = uuid4()
    await city.conn.execute(
        "insert into responder (id, title_zh, title_en) values ('duty-x', '值', 'D') on conflict do nothing"
    )
    await city.conn.execute(
        "insert into notification (id, kind, alarm, institution, round, step, repetition, responder, channel, urgency, due_at, state, ended_at)"
        " select %s, 'digest', id, institution, 1, 1, 0, 'duty-x', 'hook', 1, now(), 'sent', now() from alarm where id = %s",
        (id_, alarms[0]),
    )
    for one in alarms:
        await city.conn.execute("insert into digest_alarm values (%s, %s, 1, 1, 0)", (id_, one))
    return id_


async def state(city: City, id_: UUID) -> str:
    row = await (await city.conn.execute("select state from alarm where id = %s", [id_])).fetchone()
    assert row is not None
    return str(row[0])


async def test_acknowledging_a_digest_takes_each_alarm_that_it_listed_and_none_that_came_later(city: City) -> None:
    listed = [await alarm(city, city.a.alarm, f"fault-{n}") for n in range(3)]
    later = await alarm(city, city.a.alarm, "later")
    message = await digest(city, *listed)
    async with city.client("operator-a") as client:
        shown = (await client.get(f"/notifications/{message}")).json()
        assert shown["alarms"] == sorted(map(str, listed))
        await client.post(f"/alarms/{listed[0]}/acknowledge")
        answer = await client.post(f"/notifications/{message}/acknowledge", json={"note": "都看到了"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["acknowledged"] == sorted(map(str, listed[1:]))
    [left] = answer.json()["left"]
    assert left["alarm"] == str(listed[0])
    assert "already acknowledged" in left["reason"]
    assert {await state(city, one) for one in listed} == {"ack_active"}
    assert await state(city, later) == "unack_active"
    actors = await (
        await city.conn.execute(
            "select distinct actor, note from alarm_transition where event = 'acknowledge' and note <> ''"
        )
    ).fetchall()
    assert len(actors) == 1
    running = await (
        await city.conn.execute(
            "select count(*) from escalation where alarm = any (%s) and state = 'running'", [listed]
        )
    ).fetchone()
    assert running == (0,)


async def test_of_a_message_over_several_institutions_only_what_is_within_the_scope_is_taken(
    city: City, problem: Problem
) -> None:
    mine, theirs = await alarm(city, city.a.alarm, "mine"), await alarm(city, city.b.alarm, "theirs")
    message, foreign = await digest(city, mine, theirs), await digest(city, theirs)
    async with city.client("operator-a") as client:
        answer = await client.post(f"/notifications/{message}/acknowledge")
        assert answer.json() == {"acknowledged": [str(mine)], "left": []}
        assert problem(await client.post(f"/notifications/{foreign}/acknowledge"))["status"] == 404
        assert problem(await client.get(f"/notifications/{uuid4()}"))["status"] == 404
    assert await state(city, theirs) == "unack_active"
